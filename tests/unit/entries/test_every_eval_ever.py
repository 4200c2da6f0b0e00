"""Entries as Every Eval Ever holds them: of its schema, with samples that give the numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import jsonschema
import pytest

from harness.dataset.suite_notes import SMALL_MODELS, SYNTHETIC
from harness.entries import every_eval_ever, store
from harness.entries.export import Source
from harness.schemas import Entry
from harness.types import OTHER, DatasetRef
from tests.helpers.entries import DETECTOR, by_adapter, make_entry
from tests.helpers.families import HEADLINE, MINIMAL
from tests.helpers.repository import DATA

NOBODY = Source()
BOARD = Source("The board", "https://example.org/board")
SHA256 = "5" * 64
HUB = DatasetRef("org/signals", "c" * 40, "emotion", "test", SHA256, HEADLINE)
EMBEDDED = DatasetRef("embedded/starter", SHA256, "emotion", "test", SHA256, HEADLINE)


@cache
def validator(kind: str) -> jsonschema.Draft7Validator:
    schema = json.loads((DATA / f"every_eval_ever/{kind}.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def check(document: dict[str, Any], kind: str) -> None:
    """Hold a document to the schema of its kind, `record` or `sample`, and to the limits it states itself."""
    validator(kind).validate(document)
    for result in document.get("evaluation_results", ()):
        config, score = result["metric_config"], result["score_details"]["score"]
        assert config["min_score"] <= score <= config["max_score"]


def of(signals: DatasetRef, **options: Any) -> Entry:
    entry, _ = make_entry(n_clips=30, **options)
    return dataclasses.replace(entry, signals=signals)


# The record


@pytest.mark.parametrize("source", [NOBODY, BOARD])
@pytest.mark.parametrize("signals", [HUB, EMBEDDED])
@pytest.mark.parametrize("repo_id", ["toys/candidate", "local/candidate"])
def test_a_record_is_of_schema_0_3_0(signals: DatasetRef, source: Source, repo_id: str) -> None:
    record = every_eval_ever.record(of(signals, repo_id=repo_id), source, created=1_800_000_000)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    check(record, "record")
    assert record["schema_version"] == every_eval_ever.SCHEMA_VERSION == "0.3.0"
    assert record["evaluation_id"] == f"goodenough-emotion@55555555/{repo_id}/1767323045"
    assert (record["evaluation_timestamp"], record["retrieved_timestamp"]) == ("1767323045", "1800000000")
    assert record["eval_library"] == {"name": "goodenough", "version": "0.1.0"}
    assert record["source_metadata"]["source_organization_name"] == (source.name or "unknown")
    details = record["model_info"]["additional_details"]
    availability = "unknown" if repo_id.startswith("local/") else "open_weights"
    assert (details["deployment_type"], details["model_availability"]) == ("self_deployed", availability)
    said = [result["metric_config"]["evaluation_description"] for result in record["evaluation_results"]]
    assert all((SYNTHETIC in text) == (signals is EMBEDDED) for text in said)


def test_every_number_on_the_recordings_of_the_embedded_suite_has_their_note() -> None:
    record = every_eval_ever.record(
        of(dataclasses.replace(EMBEDDED, config="deepfake")), NOBODY, created=1_800_000_000
    )
    texts = [result["metric_config"]["evaluation_description"] for result in record["evaluation_results"]]
    assert texts
    assert all(text.endswith(f" {SMALL_MODELS}") for text in texts)


@pytest.mark.parametrize(
    "damage",
    [
        {"schema_version": "0.2.2"},
        {"note": ""},
        {"model_info": {"name": "a", "id": "a/a", "additional_details": {"dtype": "float32"}}},
        {"evaluation_results": []},
    ],
)
def test_a_record_of_another_form_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(every_eval_ever.record(of(HUB), NOBODY, created=0) | damage, "record")


def test_every_number_has_its_interval() -> None:
    entry = of(HUB)
    results = every_eval_ever.record(entry, NOBODY, created=0)["evaluation_results"]
    by_id = {result["metric_config"]["metric_id"]: result["score_details"] for result in results}
    rates = ("lift", "placement", "transfer", "swap", "agreement")
    assert list(by_id) == [*(f"goodenough.{name}" for name in rates), "accuracy", "f1_macro"]
    lift = entry.scorecard.lift
    assert lift is not None
    assert by_id["goodenough.lift"] == {
        "score": lift.value,
        "uncertainty": {
            "confidence_interval": {
                "lower": lift.low,
                "upper": lift.high,
                "confidence_level": 0.95,
                "method": lift.method,
            },
            "num_samples": lift.n,
        },
    }
    assert by_id["accuracy"]["score"] == entry.scorecard.whole.accuracy.value
    lower = {r["metric_config"]["metric_id"] for r in results if r["metric_config"]["lower_is_better"]}
    assert lower == {"goodenough.swap"}
    assert len({result["evaluation_result_id"] for result in results}) == len(results)


def test_what_could_not_be_counted_is_left_out() -> None:
    results = every_eval_ever.record(of(HUB, families=(MINIMAL,)), NOBODY, created=0)["evaluation_results"]
    assert [result["metric_config"]["metric_id"] for result in results] == ["accuracy", "f1_macro"]


# The samples


def written(folder: Path, **options: Any) -> tuple[Entry, dict[str, Any], list[dict[str, Any]]]:
    """An entry, its record, and its samples, as they were written below a folder."""
    at = store.write(folder / "results", *make_entry(**options))
    entry = store.read(at)
    path = every_eval_ever.write(folder / "out", entry, store.verdicts(at), BOARD, created=7)
    record = json.loads(path.read_text())
    content = (folder / "out" / record["detailed_evaluation_results"]["file_path"]).read_bytes()
    assert path.relative_to(folder / "out").as_posix() == record["detailed_evaluation_results"][
        "file_path"
    ].replace("_samples.jsonl", ".json")
    assert record["detailed_evaluation_results"]["checksum"] == hashlib.sha256(content).hexdigest()
    return entry, record, [json.loads(line) for line in content.decode().splitlines()]


def means(values: Iterator[tuple[Any, float]]) -> dict[Any, float]:
    """The mean of the values of each key."""
    groups: dict[Any, list[float]] = {}
    for key, value in values:
        groups.setdefault(key, []).append(value)
    return {key: fmean(group) for key, group in groups.items()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_draws": 2},
        {"repo_id": "toys/first"},
        {"repo_id": "local/own", "references": ("toys/first",)},
    ],
)
def test_the_numbers_can_be_counted_from_the_samples(tmp_path: Path, options: dict[str, Any]) -> None:
    entry, record, lines = written(tmp_path, n_clips=40, **options)
    check(record, "record")
    for line in lines:
        check(line, "sample")
    assert record["detailed_evaluation_results"]["total_rows"] == len(lines)
    assert {line["evaluation_id"] for line in lines} == {record["evaluation_id"]}
    assert {line["model_id"] for line in lines} == {record["model_info"]["id"]}
    assert len({(line["evaluation_result_id"], line["sample_id"]) for line in lines}) == len(lines)
    scores = {r["evaluation_result_id"]: r["score_details"]["score"] for r in record["evaluation_results"]}
    assert {line["evaluation_result_id"] for line in lines} <= scores.keys()
    for name in ("transfer", "swap"):
        of_rate = [line for line in lines if line["evaluation_result_id"] == f"emotion.{HEADLINE}.{name}"]
        signals = means(
            (
                (x["metadata"]["reference"], x["metadata"]["clip_id"], x["metadata"]["draw"]),
                x["evaluation"]["score"],
            )
            for x in of_rate
        )
        clips = means(((reference, clip), value) for (reference, clip, _), value in signals.items())
        references = means((reference, value) for (reference, _), value in clips.items())
        assert fmean(references.values()) == pytest.approx(scores[f"emotion.{HEADLINE}.{name}"])
    whole = [x["evaluation"]["score"] for x in lines if x["evaluation_result_id"] == "emotion.whole.accuracy"]
    assert fmean(whole) == pytest.approx(scores["emotion.whole.accuracy"])
    assert entry.model.repo_id not in {line["metadata"].get("reference") for line in lines}


def test_only_answers_that_count_have_a_sample(tmp_path: Path) -> None:
    at = store.write(tmp_path, *make_entry(n_clips=30))
    entry = store.read(at)
    names = tuple(OTHER if name == "angry" else name for name in entry.label_map.canonical)
    entry = dataclasses.replace(entry, label_map=dataclasses.replace(entry.label_map, canonical=names))
    lines = list(every_eval_ever.samples(entry, store.verdicts(at)))
    assert lines
    assert "angry" not in {label for line in lines for label in line["input"]["reference"]}


def test_the_same_entry_gives_the_same_files(tmp_path: Path) -> None:
    first, second = (written(tmp_path / name, n_clips=30)[1:] for name in "ab")
    assert first == second
    assert written(tmp_path / "c", n_clips=30, seed=1)[1:] != first


def test_an_entry_without_answers_that_count_has_no_samples(tmp_path: Path) -> None:
    at = store.write(tmp_path, *make_entry(n_clips=30))
    entry, verdicts = store.read(at), store.verdicts(at)
    path = every_eval_ever.write(tmp_path / "out", entry, verdicts[:0], NOBODY, created=0)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert "detailed_evaluation_results" not in json.loads(path.read_text())


def test_a_sample_hash_is_the_same_for_every_model(tmp_path: Path) -> None:
    hashes = [
        {
            line["sample_id"]: line["sample_hash"]
            for line in written(tmp_path / name, repo_id=f"toys/{name}")[2]
        }
        for name in ("one", "two")
    ]
    assert hashes[0] == hashes[1]
    line = written(tmp_path / "three")[2][0]
    text = json.dumps(line["input"], sort_keys=True, separators=(",", ":"))
    assert line["sample_hash"] == hashlib.sha256(text.encode()).hexdigest()


def test_a_model_behind_an_adapter_says_so_and_states_no_size() -> None:
    record = every_eval_ever.record(by_adapter(of(HUB), DETECTOR, "zero-shot"), NOBODY, created=0)
    check(record, "record")
    details = record["model_info"]["additional_details"]
    assert (details["kind"], details["n_parameters"]) == ("zero-shot", "not stated")
    assert details["prompts_sha256"] == DETECTOR.prompts_sha256
    assert details["threshold"].startswith("Bonafide above 0.5173892; from: equal error rate")
    assert record["model_info"]["inference_engine"]["name"] == "aasist.py:Aasist"
    assert (
        every_eval_ever.record(of(HUB), NOBODY, created=0)["model_info"]["additional_details"]["kind"]
        == "head"
    )
