"""What is said at the end of `evaluate --ci-width`, in every case."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.cli.model_evaluation import UnitCounter
from leaderboard.formatting import TOO_FEW


def entry(low: float | None, high: float | None, *, has_family: bool = True) -> Any:
    family = SimpleNamespace(rates=SimpleNamespace(lift=SimpleNamespace(low=low, high=high)))
    return SimpleNamespace(scorecard=SimpleNamespace(headline=family if has_family else None))


@pytest.mark.parametrize(
    ("n", "made", "line"),
    [
        (
            40,
            entry(0.1, 0.2),
            "Stopped early, after 40 of 1,000 units: lift known to ±5 pp, asked for ±5 pp.",
        ),
        (40, entry(None, None), f"Stopped early, after 40 of 1,000 units: lift {TOO_FEW}, asked for ±5 pp."),
        (
            1000,
            entry(0.1, 0.24),
            "Not stopped early: 1,000 of 1,000 units judged; lift known to ±7 pp only, not to the ±5 pp asked"
            " for.",
        ),
        (
            1000,
            entry(0.1, 0.19),
            "Not stopped early: 1,000 of 1,000 units judged; lift known to ±4.5 pp, as asked for.",
        ),
        (1000, entry(None, None), f"Not stopped early: 1,000 of 1,000 units judged; lift {TOO_FEW}."),
        (
            1000,
            entry(None, None, has_family=False),
            f"Not stopped early: 1,000 of 1,000 units judged; lift {TOO_FEW}.",
        ),
    ],
)
def test_it_says_whether_it_stopped_early_and_whether_the_width_was_reached(
    n: int, made: Any, line: str
) -> None:
    asked, calls = UnitCounter(), []
    step = asked.counting(lambda *said: calls.append(said))
    step(n - 10, 1000, None)
    step(10, 1000, None)
    assert calls == [(n - 10, 1000, None), (10, 1000, None)]
    assert asked.summary(made, 0.05).replace("\u202f", " ") == line
