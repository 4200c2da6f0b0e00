"""Remarks on an entry, in sentences: its panel, near copies, answers to silence.

Conventions: all but `partial` and `as_other` follow from the entry alone, so that a report, a page and a
terminal say the same. The cells of its scorecard are not needed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.entries import export
from harness.metrics.estimates import wilson
from harness.plurals import plural
from harness.schemas import Entry, NearCopy, ReferenceCounts
from harness.types import OTHER, Estimate
from leaderboard.formatting import format_estimate

if TYPE_CHECKING:
    import pandas as pd

    from harness.dataset.suites import Suite

_MIN_SHARE = 0.5
"""Share of answers as to silence from which on it is shown (definitions: Share answered as silence)."""

_STIMULI = {
    "signal": "the signals",
    "swap": "the swap controls",
    "matched": "the matched controls",
    "largest": "the controls of the loudest coefficients",
}


@dataclass(frozen=True)
class Share:
    """Answers to one kind of stimulus that are the model's answer to silence."""

    family: str
    stimulus: str
    """What was judged, in words."""
    estimate: Estimate
    """The share, above one half."""


unranked = export.unranked_because
"""Why an entry is not ranked."""


def n_panel(entry: Entry) -> int:
    """References that the rates are means over: those of the headline family that it does not count as."""
    copies, weights = copies_of(entry), entry.model.weights_sha256
    models = [reference.model for reference in _headline(entry)]
    return sum(model.weights_sha256 != weights and model.repo_id not in copies for model in models)


def panel(n: int) -> str:
    """The words that name the panel in every caption of rates."""
    return f"for this panel of {plural(n, 'reference')}"


def partial(entry: Entry, verdicts: pd.DataFrame, suite: Suite) -> str | None:
    """What was judged of the suite, in a sentence; None for an entry that is complete."""
    if entry.complete:
        return None
    n = verdicts.loc[verdicts["stimulus"] == "whole", "clip_id"].nunique()
    clips = f"{n:,} of {plural(sum(1 for _ in suite.clip_lines(entry.task)), 'clip')}"
    has_all = {count.family for count in entry.references} <= {*verdicts["family"].dropna()}
    return f"Partial: {clips}{'' if has_all else ', only the headline family'}; it cannot be submitted."


def as_other(verdicts: pd.DataFrame) -> str | None:
    """How many whole clips it answers with a class that is no label of the task; None where it never does.

    Names the three such classes that it answers most often.
    """
    whole = verdicts[verdicts["stimulus"] == "whole"]
    names = Counter(whole.loc[whole["predicted"] == OTHER, "predicted_raw"])
    if not names:
        return None
    often = ", ".join(f"{name} {n:,}" for name, n in sorted(names.items(), key=lambda i: (-i[1], i[0]))[:3])
    share = format_estimate(wilson(names.total(), len(whole)), "rate")
    return f"Answers to whole clips that are no label of the task: {share}. Most often: {often}."


def copies_of(entry: Entry) -> tuple[str, ...]:
    """repo_ids of the references that it counts as without having their weights, in order."""
    return tuple(likeness.reference.repo_id for likeness in _copies(entry))


def _copies(entry: Entry) -> list[NearCopy]:
    weights = entry.model.weights_sha256
    return [near for near in entry.likeness if near.is_copy and near.reference.weights_sha256 != weights]


def near_copies(entry: Entry) -> tuple[str, ...]:
    """A sentence for each reference that it counts as without having its weights."""
    return tuple(
        f"Counts as {likeness.reference.repo_id}: that reference is left out of its means. It accepts "
        f"{likeness.n_accepted:,} of its {likeness.n_signals:,} signals and agrees with it on "
        f"{likeness.n_agreed:,} of {likeness.n_clips:,} whole clips."
        for likeness in _copies(entry)
    )


def made_from(entry: Entry) -> tuple[str, ...]:
    """The references that its card names as what it was made from, in the order of the card."""
    references = {reference.model.repo_id for reference in entry.references} - {entry.model.repo_id}
    return tuple(dict.fromkeys(name for name in entry.facts.base_models or () if name in references))


def likenesses(entry: Entry) -> tuple[str, ...]:
    """A sentence for each reference that it counts as, or was made from by its card."""
    return near_copies(entry) + tuple(f"Made from {name}, by its card." for name in made_from(entry))


def silence_classes(entry: Entry) -> str | None:
    """How many references give silence each class, in a sentence; None for more than two classes.

    Signals of the class that a reference gives silence are degenerate: with two classes it has signals of the
    other alone, unless it gives silence neither. The unweighted mean over references therefore weighs the
    classes by these counts.
    """
    counts = Counter(reference.silence_class for reference in _headline(entry))
    headline = entry.scorecard.headline
    classes = {*counts, *(headline.by_class if headline is not None else ())} - {OTHER}
    if len(classes) != 2 or len(counts) == 0:
        return None
    class_counts = ", ".join(
        f"{counts[label]} {'calls' if counts[label] == 1 else 'call'} it {label}" for label in sorted(classes)
    )
    other_text = f", {counts[OTHER]} neither" if counts[OTHER] else ""
    both_text = " (of both where it calls silence neither)" if counts[OTHER] else ""
    n_references = counts.total()
    call = "calls" if n_references == 1 else "call"
    return (
        f"What the {plural(n_references, 'reference')} {call} silence: {class_counts}{other_text}. A"
        f" reference has signals of the class that it does not give silence{both_text}, and the means weigh"
        " all references equally."
    )


def as_silence(entry: Entry) -> tuple[Share, ...]:
    """Where most of its answers are the class that it gives silence, by family and stimulus."""
    return tuple(
        Share(score.family, words, score.as_silence[name])
        for score in entry.scorecard.families
        for name, words in _STIMULI.items()
        if name in score.as_silence and (score.as_silence[name].value or 0.0) > _MIN_SHARE
    )


def _headline(entry: Entry) -> list[ReferenceCounts]:
    return [reference for reference in entry.references if reference.family == entry.signals.headline]
