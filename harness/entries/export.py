"""An entry in the formats of other projects.

- `model_index`: the head of a model card, as huggingface_hub's `EvalResult` and `ModelCardData` write it.
- `eval_results`: `.eval_results/*.yaml` of a model repository, as huggingface_hub's `EvalResultEntry` writes
  it: one number per task of a benchmark, here the lift of the headline family.

Conventions: shares are fractions, as everywhere; a number that could not be counted is left out. The
format of Every Eval Ever is in `every_eval_ever`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.dataset.suite_notes import note_of_signals
from harness.errors import BadInput
from harness.number_format import percent
from harness.plurals import plural
from harness.schemas import Entry, FamilyScore
from harness.types import DatasetRef, Estimate


@dataclass(frozen=True)
class Source:
    """Who publishes a result; all of it may be unknown."""

    name: str | None = None
    """Of a leaderboard, a report, a group."""
    url: str | None = None


@dataclass(frozen=True)
class Number:
    """A number of the scorecard under its names elsewhere."""

    key: str
    """Field of `Rates` or `WholeClipScore`."""
    name: str
    lowest: float
    """The least it can be; the most is 1."""
    lower_is_better: bool
    """Whether less of it is better, all else being equal."""
    what: str
    """In a sentence."""


_RATES = (
    Number("lift", "Lift", -1.0, False, "Transfer minus swap, paired signal by signal; the ranking number."),
    Number(
        *("placement", "Placement", -1.0, False),
        "Transfer minus acceptance of equally loud places elsewhere in the clip, paired; never ranked by.",
    ),
    Number("transfer", "Transfer", 0.0, False, "Share of sufficient signals of other models accepted."),
    Number(
        *("swap", "Swap", 0.0, True),
        "Acceptance of the same bins at the same energy of clips that the reference gives another class.",
    ),
    Number(
        *("agreement", "Agreement on whole clips", 0.0, False),
        "Acceptance of the whole clips; no upper bound of the transfer.",
    ),
)
"""Of the headline family."""

_WHOLE = (
    Number("accuracy", "Accuracy", 0.0, False, "Share of whole clips given their true label."),
    Number("f1", "Macro F1", 0.0, False, "Macro mean of F1 on whole clips."),
)
"""On whole clips."""


_SHARE = re.compile(r"[0-9][-0-9.e]*(?= of the signals;| of its own signals,| is the least\.)")
"""A share in the sentence of a scorecard."""


def unranked_because(entry: Entry) -> str:
    """Why an entry is not ranked, as its scorecard says, and true of a model that is no reference, too.

    The sentence in the scorecard gives shares as fractions and speaks of references other than the model
    itself; it stays as it was filed.
    """
    reason = _SHARE.sub(_in_percent, entry.scorecard.unranked_because or "")
    if any(reference.model.weights_sha256 == entry.model.weights_sha256 for reference in entry.references):
        return reason
    return reason.replace(" other than the model itself", "")


def _in_percent(share: re.Match[str]) -> str:
    return f"{percent(float(share[0]))} %"


def model_index(entry: Entry, source: Source) -> dict[str, Any]:
    """The head of a model card."""
    signals = entry.signals
    dataset: dict[str, Any] = {"name": signals.repo_id, "type": signals.repo_id}
    if not on_hub(signals):
        # A name with a slash would lead to a dataset of the Hub that has nothing to do with it.
        dataset["type"] = "goodenough-" + signals.repo_id.split("/")[-1]
    if suite_note := note_of_signals(signals):
        dataset["name"] = f"{signals.repo_id} ({suite_note})"
    dataset |= {"config": signals.config, "split": signals.split, "revision": signals.revision}
    result: dict[str, Any] = {
        "task": {"type": "audio-classification", "name": f"{entry.task} (goodenough{_kind(entry)})"},
        "dataset": dataset,
        "metrics": [
            {"type": number.key, "value": estimate.value, "name": f"{number.name}, {_interval(estimate)}"}
            for number, _, estimate in numbers(entry)
        ],
    }
    if source.url is not None:
        result["source"] = {"name": source.name or "goodenough", "url": source.url}
    return {"model-index": [{"name": entry.model.repo_id.split("/")[-1], "results": [result]}]}


def eval_results(entry: Entry, source: Source, framework: str | None = None) -> list[dict[str, Any]]:
    """A file for `.eval_results/`; `framework` is the name that the Hub has registered for what made it.

    Raises:
        BadInput: the signals are no dataset of the Hub, or the lift of the entry may not be ranked.
    """
    family = entry.scorecard.headline
    if not on_hub(entry.signals):
        raise BadInput(
            f"{entry.path} was asked {entry.signals.repo_id}, no dataset of the Hub, and .eval_results"
            " can name no other; export it --as model-index or --as every-eval-ever"
        )
    if not entry.scorecard.ranked or family is None or family.rates.lift.value is None:
        reason = unranked_because(entry) or "it has no lift"
        raise BadInput(
            f"{entry.path} may not be ranked ({reason.rstrip('.')}), and .eval_results is a ranking"
        )
    lift = family.rates.lift
    dataset = {"id": entry.signals.repo_id, "task_id": entry.task, "revision": entry.signals.revision}
    result: dict[str, Any] = {"dataset": dataset, "value": lift.value, "date": entry.run.created}
    if framework is not None:
        result["evaluation_framework"] = framework
    if source.url is not None:
        result["source"] = {"url": source.url, "name": source.name or "goodenough"}
    result["notes"] = (
        f"lift, signals of family {family.family}; {_interval(lift)} ({lift.method});"
        f" for this panel of {plural(n_panel(family), 'reference')};"
        f" goodenough {entry.run.goodenough}, protocol {entry.protocol}{_kind(entry)}"
    )
    return [result]


def numbers(entry: Entry) -> Iterator[tuple[Number, FamilyScore | None, Estimate]]:
    """Each number that an entry has, with the family it is over."""
    family = entry.scorecard.headline
    rates = [] if family is None else [(n, family, getattr(family.rates, n.key)) for n in _RATES]
    whole = [(n, None, getattr(entry.scorecard.whole, n.key)) for n in _WHOLE]
    yield from (each for each in (*rates, *whole) if each[2].value is not None)


def _kind(entry: Entry) -> str:
    """What kind of model it is, where it is no head: others are not to be compared with it unread."""
    return "" if entry.facts.kind == "head" else f", {entry.facts.kind}"


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"n = {estimate.n}"
    return (
        f"{100 * estimate.level:.0f} % interval {estimate.low:z.4f} to {estimate.high:z.4f}, n = {estimate.n}"
    )


def on_hub(signals: DatasetRef) -> bool:
    """Whether signals are a dataset of the Hub, by their name."""
    return not signals.repo_id.startswith(("local/", "embedded/"))


def n_panel(family: FamilyScore) -> int:
    """References that the rates of a family are means over."""
    return sum(not cell.own for cell in family.cells)
