"""The columns of the leaderboard: what each means and where its values are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING

from harness.schemas import Rates, WholeClipScore
from harness.types import MIN_SIGNALS, Estimate
from leaderboard.formatting import Kind, Value

if TYPE_CHECKING:
    from leaderboard.board.types import Row


@dataclass(frozen=True)
class Column:
    """One column of the leaderboard."""

    key: str
    """Name in data; for a rate the field of `Rates` or `WholeClipScore`."""
    header: str
    read: Callable[[Row], Value]
    """Its value in a row of the board."""
    kind: Kind
    """How its values are formatted."""
    meaning: str
    """What the number means, in full sentences (definitions)."""


def _rate(key: str) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        headline = row.entry.scorecard.headline
        value: Estimate | None = None if headline is None else getattr(headline.rates, key)
        return value

    return read


def _whole(key: str) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        value: Estimate = getattr(row.entry.scorecard.whole, key)
        return value

    return read


def _trained_on(row: Row) -> str | None:
    datasets = row.entry.facts.trained_on
    if row.overlap:
        return f"overlap: {', '.join(row.overlap)}"
    return ", ".join(datasets) if datasets else None


def _speed(row: Row) -> int | None:
    run = row.entry.run
    if run.n_asked is None or run.n_asked <= (run.n_known or 0) or run.seconds < 0.001:
        return None
    return round(min(run.n_asked, 10**15) / run.seconds)


_MACRO = "On whole clips of known truth: macro mean over the true labels."

COLUMNS: tuple[Column, ...] = (
    Column(
        *("rank", "Rank", lambda row: row.rank, "count"),
        "Rank by lift and, below it, its 95 % interval when all models are scored again on the same "
        "resampled clips; in brackets its range when any one reference is left out of the panel. Models "
        "the data do not tell from the best of their group share a shade.",
    ),
    Column(
        *("model", "Model", lambda row: row.name, "text"),
        "The candidate that judges signals extracted from other models. A reference is a model whose "
        "own signals are part of the suite; its rates are means over the other references.",
    ),
    Column(
        *("lift", "Lift", _rate("lift"), "difference"),
        "The ranking number: transfer minus swap, paired signal by signal, then an unweighted mean over "
        f"the references with at least {MIN_SIGNALS} applicable signals. It says whether what a clip has in "
        "the kept part carries the class. In percentage points; 0 for a constant-class model.",
    ),
    Column(
        *("placement", "Placement", _rate("placement"), "difference"),
        "Transfer minus matched, paired signal by signal, over signals that can be matched: does it matter "
        "which part of the clip the reference relied on, or would an equally loud place do? In "
        "percentage points. It stands beside the lift, and nothing is ranked by it.",
    ),
    Column(
        *("transfer", "Transfer", _rate("transfer"), "rate"),
        "Share of the references' sufficient signals to which the model gives the class the reference "
        "gave the whole clip. Unweighted mean over the other references.",
    ),
    Column(
        *("agreeing_transfer", "Agreeing", _rate("agreeing_transfer"), "rate"),
        "Transfer counted only where model and reference already agree on the whole clip: was it the "
        "signal, or did they disagree anyway?",
    ),
    Column(
        *("swap", "Swap", _rate("swap"), "rate"),
        "Acceptance of the swap control: the same part at the same energy, but of another clip, one that "
        "the reference gives another class; the mean over three such clips a signal. What is accepted here "
        "was not carried by what the clip has in this part.",
    ),
    Column(
        *("matched", "Matched", _rate("matched"), "rate"),
        "Acceptance of the matched control: a part of the same size, shape and energy elsewhere in the same "
        "clip, where it has sound; the mean over up to four such places a signal. A signal too broad to lie "
        "elsewhere has none and is left out.",
    ),
    Column(
        *("largest", "Largest", _rate("largest"), "rate"),
        "Acceptance of the control that keeps as many of the loudest coefficients of the clip: what energy "
        "alone buys.",
    ),
    Column(
        *("beyond_largest", "Beyond largest", _rate("beyond_largest"), "difference"),
        "Transfer minus largest, paired signal by signal, in percentage points: do the signals convince "
        "the model more often than as many of the loudest coefficients do?",
    ),
    Column(
        *("silence", "Silence", _rate("silence"), "rate"),
        "Share of signals whose class the model also gives to pure silence: constant-class bias.",
    ),
    Column(
        *("agreement", "Agreement", _rate("agreement"), "rate"),
        "Agreement on whole clips: acceptance of the clips with nothing removed, that is how often the "
        "model and the reference give the whole clip the same class. It is no upper bound of the transfer: "
        "a model can accept signals of clips on which the two disagree.",
    ),
    Column(
        *("coverage", "Coverage", _rate("coverage"), "rate"),
        "Share of signals whose class exists among the model's classes. The others leave the "
        "denominator; below one half a model is not ranked.",
    ),
    Column(
        *(
            "held_back",
            "Held back",
            lambda row: None if row.held_back is None else row.held_back.held_back_lift,
            "difference",
        ),
        "Lift on clips whose signals are not published, measured by its maintainers. A model that "
        "was fitted to the published signals has a lower one than its lift. Empty where nobody measured.",
    ),
    Column(
        *("accuracy", "Accuracy", _whole("accuracy"), "rate"),
        "Share of whole clips of known truth that are given their true label.",
    ),
    *(
        Column(key, header, _whole(key), "rate", _MACRO)
        for key, header in (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"))
    ),
    *(
        Column(key, header, attrgetter(key), "count", f"{header.split(',')[0]} {when}.")
        for key, header, when in (
            ("rank_low", "Best place", "within the 95 % interval of the rank"),
            ("rank_high", "Worst place", "within the 95 % interval of the rank"),
            ("panel_low", "Best place, other panels", "when any one reference is left out of the panel"),
            ("panel_high", "Worst place, other panels", "when any one reference is left out of the panel"),
        )
    ),
    Column(
        *("tie", "Tie group", lambda row: row.tie, "count"),
        "Models of one group cannot be told from the best of it by these clips.",
    ),
    Column(
        *("status", "Status", lambda row: row.status.name, "text"),
        "How far an entry is to be believed: self-reported; replayed, some of its verdicts came again; "
        "verified, all did; failed, they or its facts did not; stale, of other signals; or invalidated.",
    ),
    Column(
        *("status_note", "Why", lambda row: row.status.note, "text"),
        "What the status rests on, told in a sentence.",
    ),
    Column(
        *("role", "Role", lambda row: "reference" if row.reference else "candidate", "text"),
        "A reference is a model whose own signals are part of the suite; an anchor is a rule or a trivial "
        "model that is shown for comparison alone and is never ranked.",
    ),
    Column(
        *("kind", "Kind", lambda row: row.entry.facts.kind, "text"),
        "What decides the class: a head that was trained for it, the text nearest to the sound (zero-shot), "
        "the answer of a language model, or another model behind its user's own code (adapter). One that "
        "chooses from a list of texts has an easier task where the list is shorter, and other texts move its "
        "answers: compare it with those of the same texts. Nobody but its user runs an adapter.",
    ),
    Column(
        *("architecture", "Architecture", lambda row: row.entry.facts.architecture, "text"),
        "Class of the model, as transformers or its adapter calls it.",
    ),
    Column(
        *("parameters", "Size", lambda row: row.entry.facts.n_parameters, "count"),
        "Parameters of the model, head and encoder together; unknown where an adapter does not say.",
    ),
    Column(
        *("licence", "Licence", lambda row: row.entry.facts.licence, "text"),
        "Licence of the model, as the head of its card states it.",
    ),
    Column(
        *("trained_on", "Trained on", _trained_on, "text"),
        "Datasets that the head of the model card names; overlap: the clips of this task come from one of "
        "them. A card is its author's word: no overlap stated is not no overlap.",
    ),
    Column(
        *("released", "Released", lambda row: row.entry.facts.released, "text"),
        "Day on which the Hub first had the model, by the Hub; unknown for a folder of somebody's machine.",
    ),
    Column(
        *("speed", "Stimuli/s", _speed, "count"),
        "Stimuli that the model was asked in a second of its evaluation, making them included; stated by the "
        "submitter. Not ranked, not to be compared between devices; unknown if most answers were known.",
    ),
    Column(
        *("device", "Device", lambda row: row.entry.run.device, "text"),
        "Where the model ran: cpu, or the kind of card; stated by the submitter.",
    ),
    Column(
        *("revision", "Revision", lambda row: row.entry.model.revision, "text"),
        "Commit of the model, or the sha256 of a local folder.",
    ),
    Column(
        *(
            "signals",
            "Signals",
            lambda row: f"{row.entry.signals.repo_id}@{row.entry.signals.revision}",
            "text",
        ),
        "What was judged; entries of other signals are never ranked together.",
    ),
    Column(
        *("protocol", "Protocol", lambda row: row.entry.protocol, "count"),
        "Version of the definitions; entries of two protocols are never ranked together.",
    ),
    Column(
        *("date", "Evaluated", lambda row: row.entry.run.created[:10], "text"),
        "Day on which the evaluation ended, in UTC; stated by the submitter.",
    ),
)

_OF_RATES = tuple(field.name for field in fields(Rates))

BOARD = tuple(c for c in COLUMNS if c.key in ("rank", "model", *_OF_RATES, "accuracy"))
"""The columns of the overview."""

RATES = tuple(c for c in COLUMNS if c.key in _OF_RATES)
"""The columns that are fields of `Rates`."""

WHOLE = tuple(c for c in COLUMNS if c.key in {field.name for field in fields(WholeClipScore)})
"""The columns that are fields of `WholeClipScore`."""
