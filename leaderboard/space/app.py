"""The leaderboard on a Space, as `goodenough leaderboard app` starts it; see README.md for its variables."""

from harness.cli import run

raise SystemExit(run(["leaderboard", "app"]))
