"""What `evaluate --ci-width` says at its end: whether it stopped early, and how well the lift is known.

Public: UnitCounter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.plurals import plural

if TYPE_CHECKING:
    from harness.evaluation.runner import Progress
    from harness.evaluation.running_score import RunningScore
    from harness.schemas import Entry


@dataclass
class UnitCounter:
    """Counts the units of an evaluation that were judged, or known before."""

    n: int = 0
    total: int = 0

    def counting(self, progress: Progress) -> Progress:
        """Wrap a progress callback so that units are counted."""

        def step(n: int, total: int, score: RunningScore | None) -> None:
            self.n, self.total = self.n + n, total
            progress(n, total, score)

        return step

    def summary(self, entry: Entry, width: float) -> str:
        """The result of the early stop, in one line; `width` is half of the interval that was asked for."""
        from leaderboard.formatting import TOO_FEW, half_width

        family = entry.scorecard.headline
        low, high = (None, None) if family is None else (family.rates.lift.low, family.rates.lift.high)
        half = None if low is None or high is None else (high - low) / 2
        lift = TOO_FEW if half is None else f"known to {half_width(half)}"
        target, units = half_width(width), plural(self.total, "unit")
        if self.n < self.total:
            return f"Stopped early, after {self.n:,} of {units}: lift {lift}, asked for {target}."
        if half is not None:
            lift += ", as asked for" if half <= width else f" only, not to the {target} asked for"
        return f"Not stopped early: {self.total:,} of {units} judged; lift {lift}."
