"""What a study of a suite with pairs says: do the references hear what the copy changed?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.metrics.paired_evidence import CHANGED
from harness.metrics.study import Study
from harness.plurals import plural
from leaderboard.board.matrix import short_names
from leaderboard.reports.study_findings import fmt

_QUESTION = "Do these models hear what the copy changed?"

PAIRED_COLUMNS = (
    *("reference", "label of clip and signal", "of a signal's energy in what changed"),
    *("of its matched controls' energy", "difference", "signals", "left out"),
)


def paired_rows(study: Study) -> list[tuple[str, ...]]:
    """A row for each reference and label; none without pairs."""
    names = short_names(list(study.models))
    return [
        (
            *(names[each.reference], each.label, fmt(each.share), fmt(each.share_matched)),
            *(fmt(each.difference, "difference"), f"{each.n_signals:,}", f"{each.n_left_out:,}"),
        )
        for each in study.paired_evidence or ()
    ]


def pairs_sentences(study: Study) -> Iterator[str]:
    """The question, with an answer for each label; none without pairs."""
    labels = dict.fromkeys(each.label for each in study.paired_evidence or ())
    for label in labels:
        differences = [e.difference for e in study.paired_evidence or () if e.label == label]
        n_above = sum(d.low is not None and d.low > 0 for d in differences)
        n_below = sum(d.high is not None and d.high < 0 for d in differences)
        n_pairs = max(d.n for d in differences)
        yield (
            f"{_QUESTION} Signals of class {label}, on clips of that label in up to"
            f" {plural(n_pairs, 'pair')}: of {plural(len(differences), 'reference')} {n_above} have more of"
            f" their energy in the {100 * CHANGED:g} % of bins where the two clips of a pair differ most than"
            f" their matched controls have, and {n_below} have less (each interval by itself excludes 0)."
        )
    if study.paired_evidence is not None and not labels:
        yield f"{_QUESTION} No reference has a signal whose class is the label of a clip in a pair."
