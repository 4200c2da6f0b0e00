"""Where the repository has what tests read of it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SUBMISSIONS = ROOT / "submissions"
DATA = ROOT / "tests" / "data"
