"""Entries in the words of others: each export is read by the library it is for, or held to its schema."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCardData, eval_result_entries_to_yaml, parse_eval_result_entries
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from harness import cli
from harness.dataset.synthetic import SYNTHETIC
from harness.entries import export, store
from harness.entries.export import Source
from harness.errors import BadInput
from harness.schemas import Entry
from harness.types import DatasetRef, Estimate
from tests.helpers.entries import make_entry

NOBODY = Source()
BOARD = Source("The board", "https://example.org/board")
SHA256 = "5" * 64
HUB = DatasetRef("org/signals", "c" * 40, "emotion", "test", SHA256)
EMBEDDED = DatasetRef("embedded/starter", SHA256, "emotion", "test", SHA256)


def made(signals: DatasetRef = HUB, *, ranked: bool = True, lift: float | None = 0.25) -> Entry:
    """An entry with a lift that is known."""
    entry, _ = make_entry(n_clips=30)
    estimate = Estimate(lift, 0.125, 0.375, 0.95, "clip bootstrap", 40)
    family, *others = entry.scorecard.families
    family = dataclasses.replace(family, rates=dataclasses.replace(family.rates, lift=estimate))
    card = dataclasses.replace(
        entry.scorecard,
        families=(family, *others),
        ranked=ranked,
        unranked_because=None if ranked else "Too few signals.",
    )
    return dataclasses.replace(entry, signals=signals, scorecard=card)


# model-index


def test_a_model_card_reads_the_model_index_and_writes_it_again() -> None:
    content = export.model_index(made(), BOARD)
    assert yaml.safe_load(yaml.safe_dump(content)) == content
    name, results = model_index_to_eval_results(content["model-index"])
    assert name == "candidate"
    assert eval_results_to_model_index(name, results) == content["model-index"]
    assert ModelCardData(**content).to_dict() == content
    lift = results[0]
    assert (lift.metric_type, lift.metric_value, lift.task_type) == ("lift", 0.25, "audio-classification")
    assert lift.metric_name == "Lift, 95 % interval 0.1250 to 0.3750, n = 40"
    assert (lift.dataset_type, lift.dataset_config, lift.dataset_split) == ("org/signals", "emotion", "test")
    assert (lift.dataset_revision, lift.source_url) == ("c" * 40, "https://example.org/board")
    kinds = [result.metric_type for result in results]
    assert kinds == ["lift", "placement", "transfer", "swap", "agreement", "accuracy", "f1"]


def test_signals_that_are_no_dataset_of_the_hub_get_no_name_of_one() -> None:
    for signals in (EMBEDDED, dataclasses.replace(EMBEDDED, repo_id="local/starter")):
        (model,) = export.model_index(made(signals), NOBODY)["model-index"]
        (result,) = model["results"]
        assert result["dataset"]["type"] == "goodenough-starter"
        assert (SYNTHETIC in result["dataset"]["name"]) == (signals is EMBEDDED)
        record = export.every_eval_ever(made(signals), NOBODY, created=0)
        said = [r["metric_config"]["evaluation_description"] for r in record["evaluation_results"]]
        assert all((SYNTHETIC in text) == (signals is EMBEDDED) for text in said)
        assert "source" not in result


def test_what_could_not_be_counted_is_left_out() -> None:
    entry = made(lift=None)
    (model,) = export.model_index(entry, NOBODY)["model-index"]
    assert "lift" not in [metric["type"] for metric in model["results"][0]["metrics"]]
    results = export.every_eval_ever(entry, NOBODY, created=0)["evaluation_results"]
    assert "goodenough.lift" not in [result["metric_config"]["metric_id"] for result in results]


# .eval_results


@pytest.mark.parametrize("source", [NOBODY, BOARD])
def test_eval_results_are_those_of_huggingface_hub(source: Source) -> None:
    content = export.eval_results(made(), source)
    assert yaml.safe_load(yaml.safe_dump(content)) == content
    (result,) = parse_eval_result_entries(content)
    assert eval_result_entries_to_yaml([result]) == content
    assert (result.dataset_id, result.task_id, result.dataset_revision) == (
        "org/signals",
        "emotion",
        "c" * 40,
    )
    assert (result.value, result.date) == (0.25, "2026-01-02T03:04:05Z")
    assert (result.source_url, result.source_name) == (source.url, source.name)
    assert result.notes == (
        "lift, signals of family responsibility; 95 % interval 0.1250 to 0.3750, n = 40 (clip bootstrap);"
        " for this panel of 2 references; goodenough 0.1.0, protocol 2"
    )


@pytest.mark.parametrize("signals", [EMBEDDED, dataclasses.replace(EMBEDDED, repo_id="local/starter")])
def test_eval_results_need_signals_of_the_hub(signals: DatasetRef) -> None:
    with pytest.raises(BadInput, match=r"no dataset of the Hub.*--as model-index") as caught:
        export.eval_results(made(signals), NOBODY)
    assert "\n" not in str(caught.value)


def test_an_entry_that_is_not_ranked_takes_no_place_in_a_ranking() -> None:
    with pytest.raises(BadInput, match=r"may not be ranked \(Too few signals\), and"):
        export.eval_results(made(ranked=False), NOBODY)


# Every Eval Ever


def fits(value: Any, required: dict[str, Any], allowed: dict[str, Any], where: str = "record") -> None:
    """Hold an object to the fields of a schema, and their kinds."""
    fields = required | allowed
    assert required.keys() <= value.keys() <= fields.keys(), where
    for name, inner in value.items():
        kind = fields[name]
        if callable(kind) and not isinstance(kind, type):
            kind(inner, f"{where}.{name}")
        else:
            assert isinstance(inner, kind), f"{where}.{name}"


def texts(value: Any, where: str) -> None:
    assert isinstance(value, dict), where
    assert all(isinstance(text, str) for text in value.values()), where


def model_info(value: Any, where: str) -> None:
    engine = {"inference_engine": texts, "additional_details": texts}
    fits(value, {"name": str, "id": str}, {"developer": str, **engine}, where)


def source_metadata(value: Any, where: str) -> None:
    required = {"source_type": str, "source_organization_name": str, "evaluator_relationship": str}
    fits(value, required, {"source_name": str, "source_organization_url": str}, where)
    assert value["source_type"] in ("documentation", "evaluation_run")
    assert value["evaluator_relationship"] in ("first_party", "third_party", "collaborative", "other")


def source_data(value: Any, where: str) -> None:
    required: dict[str, Any] = {"dataset_name": str, "source_type": str}
    if value["source_type"] == "hf_dataset":
        allowed = dict.fromkeys(("hf_split", "hf_config", "hf_revision"), str)
        fits(value, {**required, "hf_repo": str}, {**allowed, "additional_details": texts}, where)
    else:
        assert value["source_type"] == "other"
        fits(value, required, {"source_version": str, "additional_details": texts}, where)


def metric_config(value: Any, where: str) -> None:
    words = ("evaluation_description", "metric_id", "metric_name", "metric_kind", "metric_unit")
    continuous = {"score_type": str, "min_score": float, "max_score": float}
    allowed = {**dict.fromkeys(words, str), "metric_parameters": dict}
    fits(value, {"lower_is_better": bool, **continuous}, allowed, where)
    assert value["score_type"] == "continuous"


def score_details(value: Any, where: str) -> None:
    def interval(value: Any, where: str) -> None:
        fits(value, {"lower": float, "upper": float}, {"confidence_level": float, "method": str}, where)
        assert value["lower"] <= value["upper"]

    def uncertainty(value: Any, where: str) -> None:
        fits(value, {}, {"confidence_interval": interval, "num_samples": int}, where)

    fits(value, {"score": float}, {"uncertainty": uncertainty}, where)


def results(value: Any, where: str) -> None:
    required = {
        "evaluation_name": str,
        "source_data": source_data,
        "metric_config": metric_config,
        "score_details": score_details,
    }
    for i, one in enumerate(value):
        fits(one, required, {"evaluation_result_id": str, "evaluation_timestamp": str}, f"{where}.{i}")
        config, score = one["metric_config"], one["score_details"]["score"]
        assert config["min_score"] <= score <= config["max_score"]


@pytest.mark.parametrize("source", [NOBODY, BOARD])
@pytest.mark.parametrize("signals", [HUB, EMBEDDED])
def test_every_eval_ever_gets_a_record_of_its_schema_0_2_2(signals: DatasetRef, source: Source) -> None:
    record = export.every_eval_ever(made(signals), source, created=1_800_000_000)
    assert json.loads(json.dumps(record)) == record
    required = {
        "schema_version": str,
        "evaluation_id": str,
        "retrieved_timestamp": str,
        "source_metadata": source_metadata,
        "model_info": model_info,
        "eval_library": texts,
        "evaluation_results": results,
    }
    fits(record, required, {"evaluation_timestamp": str})
    assert record["schema_version"] == export.SCHEMA_VERSION == "0.2.2"
    assert record["evaluation_id"] == "goodenough-emotion/toys/candidate/1800000000"
    assert record["evaluation_timestamp"] == "1767323045"
    assert record["eval_library"] == {"name": "goodenough", "version": "0.1.0"}
    assert record["source_metadata"]["source_organization_name"] == (source.name or "unknown")


def test_every_number_goes_to_every_eval_ever_with_its_interval() -> None:
    entry = made()
    found = export.every_eval_ever(entry, NOBODY, created=0)["evaluation_results"]
    by_id = {result["metric_config"]["metric_id"]: result["score_details"] for result in found}
    rates = ("lift", "placement", "transfer", "swap", "agreement")
    assert list(by_id) == [*(f"goodenough.{name}" for name in rates), "accuracy", "f1_macro"]
    assert by_id["goodenough.lift"] == {
        "score": 0.25,
        "uncertainty": {
            "confidence_interval": {
                "lower": 0.125,
                "upper": 0.375,
                "confidence_level": 0.95,
                "method": "clip bootstrap",
            },
            "num_samples": 40,
        },
    }
    assert by_id["accuracy"]["score"] == entry.scorecard.whole.accuracy.value
    lower = {r["metric_config"]["metric_id"] for r in found if r["metric_config"]["lower_is_better"]}
    assert lower == {"goodenough.swap"}
    assert len({result["evaluation_result_id"] for result in found}) == len(found)


# The verb


def test_export_prints_the_entry_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = store.write(tmp_path, *make_entry(n_clips=30))
    for form in ("model-index", "eval-results", "every-eval-ever"):
        source = ("--source-name", "The board", "--source-url", "https://example.org/board")
        assert cli.run(["export", str(folder), "--as", form, *source]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        content = (json.loads if form == "every-eval-ever" else yaml.safe_load)(said.out)
        if form == "model-index":
            assert content == export.model_index(store.read(folder), BOARD)
        elif form == "eval-results":
            assert content == export.eval_results(store.read(folder), BOARD)
        else:
            created = int(content["retrieved_timestamp"])
            assert content == export.every_eval_ever(store.read(folder), BOARD, created=created)


def test_export_refuses_what_is_not_valid_and_what_is_not_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.write(tmp_path, *make_entry(n_clips=30))
    (folder / store.ENTRY).write_text(
        (folder / store.ENTRY).read_text().replace('"ranked": true', '"ranked": false')
    )
    assert cli.run(["export", str(folder), "--as", "model-index"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "scorecard.ranked: False, expected True" in said.err
    store.write(tmp_path, *make_entry(repo_id="toys/other", n_clips=4))
    assert cli.run(["export", str(tmp_path), "--as", "model-index"]) == 2
    assert "holds 2 entries; give the folder of one" in capsys.readouterr().err
    assert cli.run(["export", str(folder), "--as", "model-index", "--source-name", "The board"]) == 2
    assert "--source-url" in capsys.readouterr().err
