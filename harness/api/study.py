"""A study of a suite as tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from harness import notebook
from harness.api.results import Result
from harness.api.suite import Suite
from harness.errors import BadInput
from harness.plurals import plural

if TYPE_CHECKING:
    from harness.metrics.flat_earth import Share
    from harness.metrics.study import Study


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """What a suite shows of one task: flat-earthers, information, the price of agreement."""

    study: Study
    """All of it, as `study.json` holds it."""

    def to_frame(self, what: str, family: str | None = None) -> pd.DataFrame:
        """One part of it as a table.

        Args:
            what: `flat_earthers`, a row for each model; or `pairs`, one for each reference and judge.
            family: a family of the study; None for the headline.

        Raises:
            BadInput: no such part, or no such family in this study.
        """
        parts = {f.family: f for f in self.study.families}
        family = self.study.families[0].family if family is None else family
        if family not in parts:
            raise BadInput(f"no family {family!r} in this study; it has: {', '.join(parts)}")
        if what == "flat_earthers":
            rows = [
                {
                    "model": each.model.repo_id,
                    "verdict": each.verdict,
                    **_share("rejects_alone", each.rejects_alone),
                    **_share("rejected_by_all", each.rejected_by_all),
                }
                for each in parts[family].flat_earth
            ]
        elif what == "pairs":
            rows = [
                {
                    "reference": pair.reference.repo_id,
                    "judge": pair.judge.repo_id,
                    "information_bits": pair.information.mutual.value,
                    "low": pair.information.mutual.low,
                    "high": pair.information.mutual.high,
                    "n_clips": pair.information.mutual.n,
                }
                for pair in parts[family].pairs
            ]
        else:
            raise BadInput(f"no part {what!r} of a study; expected flat_earthers or pairs")
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        s = self.study
        counts = (s.n_references, "reference"), (len(s.models), "model"), (s.n_clips, "clip")
        return f"StudyResult({s.task}: {', '.join(plural(n, noun) for n, noun in counts)})"

    def _repr_html_(self) -> str:
        return f"{notebook.line(repr(self))}{self.to_frame('flat_earthers').to_html(index=False)}"


def _share(name: str, share: Share) -> dict[str, float | None]:
    """The share, of how many signals, its excess over the median of the others, and the adjusted p."""
    excess = share.excess
    return {
        name: share.k / share.n if share.n else None,
        f"{name}_n": share.n,
        f"{name}_excess": None if excess is None else excess.value,
        f"{name}_excess_low": None if excess is None else excess.low,
        f"{name}_excess_high": None if excess is None else excess.high,
        f"{name}_p_adjusted": share.p_adjusted,
    }


def study(suite: Suite, task: str, *, extra: Sequence[Result] = ()) -> StudyResult:
    """Study a task of a suite, from the verdicts that came with it: no model is asked.

    Args:
        suite: the suite.
        task: name of a task.
        extra: further models.

    Raises:
        BadInput: no such task, or no verdicts of its references that can be read.

    Examples:
        >>> ge.study(suite, "emotion")
        StudyResult(emotion: 4 references, 4 models, 120 clips)
    """
    from harness.metrics.study import study_of

    answered = [*suite._answered(task), *((result.entry, result.verdicts) for result in extra)]
    return StudyResult(study_of(suite._open, suite._open.task(task), answered))
