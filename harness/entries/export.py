"""An entry in the formats of other projects.

- `model_index`: the head of a model card, as huggingface_hub's `EvalResult` and `ModelCardData` write it.
- `eval_results`: `.eval_results/*.yaml` of a model repository, as huggingface_hub's `EvalResultEntry` writes
  it: one number per task of a benchmark, here the lift of the headline family.
- `every_eval_ever`: one JSON record of the Every Eval Ever database (github.com/evaleval/every_eval_ever,
  `every_eval_ever/schemas/eval.schema.json`), schema version 0.2.2, with the intervals.

Conventions: shares are fractions, as everywhere; a number that could not be counted is left out.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.dataset.synthetic import SYNTHETIC, of_synthetic
from harness.errors import BadInput
from harness.plurals import plural
from harness.schemas import Entry, FamilyScore
from harness.types import DatasetRef, Estimate

SCHEMA_VERSION = "0.2.2"
"""Of Every Eval Ever."""


@dataclass(frozen=True)
class Source:
    """Who publishes a result; all of it may be unknown."""

    name: str | None = None
    """Of a leaderboard, a report, a group."""
    url: str | None = None


@dataclass(frozen=True)
class _Number:
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
    _Number("lift", "Lift", -1.0, False, "Transfer minus swap, paired signal by signal; the ranking number."),
    _Number(
        *("placement", "Placement", -1.0, False),
        "Transfer minus acceptance of equally loud places elsewhere in the clip, paired; never ranked by.",
    ),
    _Number("transfer", "Transfer", 0.0, False, "Share of sufficient signals of other models accepted."),
    _Number(
        *("swap", "Swap", 0.0, True),
        "Acceptance of the same bins at the same energy of clips that the reference gives another class.",
    ),
    _Number(
        *("agreement", "Agreement on whole clips", 0.0, False),
        "Acceptance of the whole clips; no upper bound of the transfer.",
    ),
)
"""Of the headline family."""

_WHOLE = (
    _Number("accuracy", "Accuracy", 0.0, False, "Share of whole clips given their true label."),
    _Number("f1", "Macro F1", 0.0, False, "Macro mean of F1 on whole clips."),
)
"""On whole clips."""


def unranked_because(entry: Entry) -> str:
    """Why an entry is not ranked, as its scorecard says, and true of a model that is no reference, too.

    The sentence in the scorecard speaks of references other than the model itself, and stays as it was filed.
    """
    reason = entry.scorecard.unranked_because or ""
    if any(reference.model.weights_sha256 == entry.model.weights_sha256 for reference in entry.references):
        return reason
    return reason.replace(" other than the model itself", "")


def model_index(entry: Entry, source: Source) -> dict[str, Any]:
    """The head of a model card."""
    signals = entry.signals
    dataset: dict[str, Any] = {"name": signals.repo_id, "type": signals.repo_id}
    if not _on_hub(signals):
        # A name with a slash would lead to a dataset of the Hub that has nothing to do with it.
        dataset["type"] = "goodenough-" + signals.repo_id.split("/")[-1]
    if of_synthetic(signals):
        dataset["name"] = f"{signals.repo_id} ({SYNTHETIC})"
    dataset |= {"config": signals.config, "split": signals.split, "revision": signals.revision}
    result: dict[str, Any] = {
        "task": {"type": "audio-classification", "name": f"{entry.task} (goodenough)"},
        "dataset": dataset,
        "metrics": [
            {"type": number.key, "value": estimate.value, "name": f"{number.name}, {_interval(estimate)}"}
            for number, _, estimate in _numbers(entry)
        ],
    }
    if source.url is not None:
        result["source"] = {"name": source.name or "goodenough", "url": source.url}
    return {"model-index": [{"name": entry.model.repo_id.split("/")[-1], "results": [result]}]}


def eval_results(entry: Entry, source: Source) -> list[dict[str, Any]]:
    """A file for `.eval_results/`.

    Raises:
        BadInput: the signals are no dataset of the Hub, or the lift of the entry may not be ranked.
    """
    family = entry.scorecard.headline
    if not _on_hub(entry.signals):
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
    if source.url is not None:
        result["source"] = {"url": source.url, "name": source.name or "goodenough"}
    result["notes"] = (
        f"lift, signals of family {family.family}; {_interval(lift)} ({lift.method});"
        f" for this panel of {plural(_n_panel(family), 'reference')};"
        f" goodenough {entry.run.goodenough}, protocol {entry.protocol}"
    )
    return [result]


def every_eval_ever(entry: Entry, source: Source, *, created: int) -> dict[str, Any]:
    """A record of Every Eval Ever, made so many seconds after 1970."""
    model, run = entry.model, entry.run
    organisation, _, name = model.repo_id.rpartition("/")
    run_time = datetime.datetime.strptime(run.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    model_info: dict[str, Any] = {"name": name, "id": model.repo_id}
    if organisation != "local":
        model_info["developer"] = organisation
    engine = {"name": "transformers", "version": run.versions.get("transformers", "unknown")}
    details = {
        "revision": model.revision,
        "weights_sha256": model.weights_sha256,
        "architecture": entry.facts.architecture,
        "n_parameters": str(entry.facts.n_parameters),
        "dtype": run.dtype,
    }
    metadata = {"source_name": source.name or "goodenough", "source_type": "evaluation_run"}
    if source.url is not None:
        metadata["source_organization_url"] = source.url
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"goodenough-{entry.task}/{model.repo_id}/{created}",
        "evaluation_timestamp": str(int(run_time.timestamp())),
        "retrieved_timestamp": str(created),
        "source_metadata": {
            **metadata,
            "source_organization_name": source.name or "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "goodenough", "version": run.goodenough},
        "model_info": {**model_info, "inference_engine": engine, "additional_details": details},
        "evaluation_results": [_result(entry, *args) for args in _numbers(entry)],
    }


def _result(entry: Entry, number: _Number, family: FamilyScore | None, estimate: Estimate) -> dict[str, Any]:
    """One number, as Every Eval Ever holds it."""
    score: dict[str, Any] = {"score": estimate.value}
    if estimate.low is not None and estimate.high is not None:
        interval = {
            "lower": estimate.low,
            "upper": estimate.high,
            "confidence_level": estimate.level,
            "method": estimate.method,
        }
        score["uncertainty"] = {"confidence_interval": interval, "num_samples": estimate.n}
    family_name = family.family if family else "whole"
    metric_id = f"goodenough.{number.key}" if family else number.key.replace("f1", "f1_macro")
    return {
        "evaluation_result_id": f"{entry.task}.{family_name}.{number.key}",
        "evaluation_name": f"goodenough {entry.task}",
        "source_data": _source_data(entry.signals),
        "evaluation_timestamp": entry.run.created,
        "metric_config": {
            "evaluation_description": _description(entry, number, family),
            "metric_id": metric_id,
            "metric_name": number.name,
            "metric_kind": "difference" if number.lowest < 0 else "rate",
            "metric_unit": "proportion",
            "metric_parameters": {"family": family_name, "protocol": entry.protocol},
            "lower_is_better": number.lower_is_better,
            "score_type": "continuous",
            "min_score": number.lowest,
            "max_score": 1.0,
        },
        "score_details": score,
    }


def _description(entry: Entry, number: _Number, family: FamilyScore | None) -> str:
    """What a number is, for which panel, and that the suite is synthetic where it is."""
    panel = f" Mean over {plural(_n_panel(family), 'reference')}, for this panel alone." if family else ""
    return f"{number.what}{panel}{f' {SYNTHETIC}' if of_synthetic(entry.signals) else ''}"


def _n_panel(family: FamilyScore) -> int:
    """References that the rates are means over."""
    return sum(not cell.own for cell in family.cells)


def _source_data(signals: DatasetRef) -> dict[str, Any]:
    details = {"sha256": signals.sha256}
    if not _on_hub(signals):
        return {
            "dataset_name": signals.repo_id,
            "source_type": "other",
            "source_version": signals.revision,
            "additional_details": details | {"task": signals.config},
        }
    return {
        "dataset_name": signals.repo_id.split("/")[-1],
        "source_type": "hf_dataset",
        "hf_repo": signals.repo_id,
        "hf_config": signals.config,
        "hf_split": signals.split,
        "hf_revision": signals.revision,
        "additional_details": details,
    }


def _numbers(entry: Entry) -> Iterator[tuple[_Number, FamilyScore | None, Estimate]]:
    """Each number that an entry has, with the family it is over."""
    family = entry.scorecard.headline
    rates = [] if family is None else [(n, family, getattr(family.rates, n.key)) for n in _RATES]
    whole = [(n, None, getattr(entry.scorecard.whole, n.key)) for n in _WHOLE]
    yield from (each for each in (*rates, *whole) if each[2].value is not None)


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"n = {estimate.n}"
    return (
        f"{100 * estimate.level:.0f} % interval {estimate.low:z.4f} to {estimate.high:z.4f}, n = {estimate.n}"
    )


def _on_hub(signals: DatasetRef) -> bool:
    return not signals.repo_id.startswith(("local/", "embedded/"))
