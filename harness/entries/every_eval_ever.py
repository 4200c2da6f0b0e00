"""An entry as Every Eval Ever holds it (github.com/evaleval/every_eval_ever), schema version 0.3.0.

A record has the numbers of an entry with their intervals (`every_eval_ever/schemas/eval.schema.json`); its
samples, a line of JSON each (`instance_level_eval.schema.json`), are the answers that the numbers are counted
from. They lie in the database as

    data/goodenough/<developer>/<model>/<uuid>.json
    data/goodenough/<developer>/<model>/<uuid>_samples.jsonl

Of a record's numbers, transfer, swap and accuracy have samples: each is a mean of theirs, over the draws of a
clip, the clips of a reference and the references. Lift is transfer minus swap; the others are left out.

Conventions: shares are fractions; the same entry gives the same uuid and the same samples.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.dataset.paths import SAMPLES
from harness.dataset.suite_notes import note_of_signals
from harness.disk_errors import unwritable, whole
from harness.entries.export import Number, Source, n_panel, numbers, on_hub
from harness.errors import BadInput
from harness.journal import replace_file
from harness.metrics.acceptance import accepted, at_level_zero
from harness.plurals import plural
from harness.schemas import Entry, FamilyScore
from harness.types import DatasetRef, Estimate

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = "0.3.0"
"""Of Every Eval Ever."""

_COLLECTION = "goodenough"
"""Folder of the database."""


def record(entry: Entry, source: Source, *, created: int) -> dict[str, Any]:
    """The record of an entry, made so many seconds after 1970, without its samples."""
    model, run = entry.model, entry.run
    organisation, _, name = model.repo_id.rpartition("/")
    is_local = organisation == "local"
    model_info: dict[str, Any] = {"name": name, "id": model.repo_id}
    if not is_local:
        model_info["developer"] = organisation
    facts, adapter = entry.facts, entry.facts.adapter
    engine = {"name": "transformers", "version": run.versions.get("transformers", "unknown")}
    if adapter is not None:
        engine = {"name": adapter.name, "version": adapter.revision}
    details = {
        "deployment_type": "self_deployed",
        "model_availability": "unknown" if is_local else "open_weights",
        "revision": model.revision,
        "weights_sha256": model.weights_sha256,
        "kind": facts.kind,
        "architecture": facts.architecture,
        "n_parameters": "not stated" if facts.n_parameters is None else str(facts.n_parameters),
        "dtype": run.dtype,
    }
    if adapter is not None and adapter.prompts_sha256 is not None:
        details["prompts_sha256"] = adapter.prompts_sha256
    if adapter is not None and adapter.threshold is not None:
        details["threshold"] = f"{adapter.above} above {adapter.threshold}; from: {adapter.threshold_source}"
    metadata = {"source_name": source.name or "goodenough", "source_type": "evaluation_run"}
    if source.url is not None:
        metadata["source_organization_url"] = source.url
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": _evaluation_id(entry),
        "evaluation_timestamp": str(_seconds(run.created)),
        "retrieved_timestamp": str(created),
        "source_metadata": {
            **metadata,
            "source_organization_name": source.name or "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "goodenough", "version": run.goodenough},
        "model_info": {**model_info, "inference_engine": engine, "additional_details": details},
        "evaluation_results": [_result(entry, *args) for args in numbers(entry)],
    }


def samples(entry: Entry, verdicts: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The answers that transfer, swap and accuracy are counted from, in order of the verdicts.

    Left out are signals of a class that the candidate does not know, those of a reference that counts as the
    candidate itself, and clips without a label or with one that the candidate does not know.

    Args:
        entry: the entry.
        verdicts: its verdicts, with the columns of `parquet_schema.VERDICTS`.
    """
    family, covered = entry.scorecard.headline, sorted(entry.label_map.covered)
    known_truth = (verdicts["stimulus"] == "whole") & verdicts["truth"].isin(covered)
    counted = {"whole": verdicts[known_truth]}
    if family is not None:
        others = [cell.reference.repo_id for cell in family.cells if not cell.own]
        of_family = verdicts[
            (verdicts["family"] == family.family)
            & verdicts["reference"].isin(others)
            & verdicts["expected"].isin(covered)
            & at_level_zero(verdicts)
        ]
        counted |= {name: of_family[of_family["stimulus"] == name] for name in ("signal", "swap")}
    for stimulus, number in (("signal", "transfer"), ("swap", "swap"), ("whole", "accuracy")):
        if stimulus not in counted or counted[stimulus].empty:
            continue
        rows = counted[stimulus]
        is_right = (rows["predicted"] == rows["truth"]) if stimulus == "whole" else accepted(rows)
        family_name = "whole" if stimulus == "whole" or family is None else family.family
        for row, right in zip(rows.to_dict("records"), is_right, strict=True):
            yield _sample(entry, row, bool(right), f"{entry.task}.{family_name}.{number}")


def write(folder: Path, entry: Entry, verdicts: pd.DataFrame, source: Source, *, created: int) -> Path:
    """Write record and samples below a folder, as they lie in the database.

    Args:
        folder: root of a copy of the database, or any other folder.
        entry: the entry.
        verdicts: its verdicts.
        source: who publishes it.
        created: seconds since 1970.

    Returns:
        The record, which is written last and names its samples, if there are any.

    Raises:
        BadInput: the folder cannot be written.
    """
    organisation, _, name = entry.model.repo_id.rpartition("/")
    seed = hashlib.sha256(f"{_evaluation_id(entry)} {entry.verdicts_sha256}".encode()).digest()
    identity = uuid.UUID(bytes=seed[:16], version=4)
    here = Path("data") / _COLLECTION / organisation / name
    path, samples_path = here / f"{identity}.json", here / f"{identity}{SAMPLES}"
    digest, n_rows = hashlib.sha256(), 0
    document = record(entry, source, created=created)
    try:
        with whole(folder / samples_path) as part, part.open("wb") as file:
            for sample in samples(entry, verdicts):
                line = json.dumps(sample, ensure_ascii=False).encode() + b"\n"
                digest.update(line)
                file.write(line)
                n_rows += 1
    except OSError as error:
        raise BadInput(unwritable(folder / here, error)) from None
    if n_rows:
        document["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": samples_path.as_posix(),
            "hash_algorithm": "sha256",
            "checksum": digest.hexdigest(),
            "total_rows": n_rows,
        }
    else:
        (folder / samples_path).unlink()
    replace_file(folder / path, (json.dumps(document, indent=2) + "\n").encode())
    return folder / path


def _evaluation_id(entry: Entry) -> str:
    """Task and suite, model, and when it was evaluated."""
    suite = f"goodenough-{entry.task}@{entry.signals.sha256[:8]}"
    return f"{suite}/{entry.model.repo_id}/{_seconds(entry.run.created)}"


def _seconds(created: str) -> int:
    time = datetime.datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    return int(time.timestamp())


def _sample(entry: Entry, row: Mapping[Any, Any], is_right: bool, result_id: str) -> dict[str, Any]:
    """One answer, as Every Eval Ever holds it."""
    stimulus = row["stimulus"]
    sample_id = row["clip_id"] if stimulus == "whole" else row["signal_id"]
    if stimulus == "swap":
        sample_id = f"{sample_id}:swap:{int(row['replicate'])}"
    signals = entry.signals
    put_in = {
        "raw": f"{signals.repo_id}@{signals.revision}/{entry.task}#{sample_id}",
        "reference": [row["truth" if stimulus == "whole" else "expected"]],
    }
    hashed = json.dumps(put_in, sort_keys=True, separators=(",", ":")).encode()
    about = {"stimulus": stimulus, "clip_id": row["clip_id"]}
    if stimulus != "whole":
        about |= {"reference": row["reference"], "family": row["family"], "draw": str(int(row["draw"]))}
    if stimulus == "swap":
        about["other_clip"] = row["other_clip"]
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": _evaluation_id(entry),
        "model_id": entry.model.repo_id,
        "evaluation_name": _evaluation_name(entry),
        "evaluation_result_id": result_id,
        "sample_id": sample_id,
        "sample_hash": hashlib.sha256(hashed).hexdigest(),
        "interaction_type": "single_turn",
        "input": put_in,
        "output": {"raw": [row["predicted_raw"]]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": row["predicted"],
                "extraction_method": "label_map",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(is_right), "is_correct": is_right},
        "metadata": about,
    }


def _evaluation_name(entry: Entry) -> str:
    return f"goodenough.{entry.task}"


def _result(entry: Entry, number: Number, family: FamilyScore | None, estimate: Estimate) -> dict[str, Any]:
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
        "evaluation_name": _evaluation_name(entry),
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


def _description(entry: Entry, number: Number, family: FamilyScore | None) -> str:
    """What a number is, for which panel, and the note of the signals where there is one."""
    panel = f" Mean over {plural(n_panel(family), 'reference')}, for this panel alone." if family else ""
    suite_note = note_of_signals(entry.signals)
    return f"{number.what}{panel}{f' {suite_note}' if suite_note else ''}"


def _source_data(signals: DatasetRef) -> dict[str, Any]:
    details = {"sha256": signals.sha256}
    if not on_hub(signals):
        return {
            "dataset_name": signals.repo_id,
            "source_type": "other",
            "additional_details": details | {"config": signals.config, "revision": signals.revision},
        }
    return {
        "dataset_name": signals.repo_id.split("/")[-1],
        "source_type": "hf_dataset",
        "hf_repo": signals.repo_id,
        "hf_split": signals.split,
        "additional_details": details | {"config": signals.config, "revision": signals.revision},
    }
