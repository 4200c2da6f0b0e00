"""Entries in the words of others: each export is read by the library it is for, or held to its schema."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCardData, eval_result_entries_to_yaml, parse_eval_result_entries
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from harness import cli
from harness.dataset.suite_notes import SMALL_MODELS, SYNTHETIC
from harness.entries import every_eval_ever, export, store
from harness.entries.export import Source
from harness.errors import BadInput
from harness.schemas import Entry
from harness.types import DatasetRef, Estimate
from tests.helpers.entries import DETECTOR, by_adapter, make_entry
from tests.helpers.families import HEADLINE

NOBODY = Source()
BOARD = Source("The board", "https://example.org/board")
SHA256 = "5" * 64
HUB = DatasetRef("org/signals", "c" * 40, "emotion", "test", SHA256, HEADLINE)
EMBEDDED = DatasetRef("embedded/starter", SHA256, "emotion", "test", SHA256, HEADLINE)


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
        assert "source" not in result


def test_the_name_of_the_dataset_has_the_note_of_its_task() -> None:
    for task, note in (("emotion", SYNTHETIC), ("deepfake", SMALL_MODELS)):
        signals = dataclasses.replace(EMBEDDED, config=task)
        (model,) = export.model_index(made(signals), NOBODY)["model-index"]
        assert model["results"][0]["dataset"]["name"] == f"embedded/starter ({note})"


def test_what_could_not_be_counted_is_left_out() -> None:
    entry = made(lift=None)
    (model,) = export.model_index(entry, NOBODY)["model-index"]
    assert "lift" not in [metric["type"] for metric in model["results"][0]["metrics"]]


# .eval_results


def test_eval_results_name_a_registered_framework_and_can_still_be_read() -> None:
    (plain,), (named,) = export.eval_results(made(), BOARD), export.eval_results(made(), BOARD, "goodenough")
    assert named == {**plain, "evaluation_framework": "goodenough"}
    assert parse_eval_result_entries([named]) == parse_eval_result_entries([plain])


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
        f"lift, signals of family {HEADLINE}; 95 % interval 0.1250 to 0.3750, n = 40 (clip bootstrap);"
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
            assert content == every_eval_ever.record(store.read(folder), BOARD, created=created)


def test_a_framework_is_for_results_of_the_hub(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = store.write(tmp_path, *make_entry(n_clips=30))
    words = ["export", str(folder), "--framework", "goodenough", "--as"]
    assert cli.run([*words, "model-index"]) == 2
    assert "--framework is for --as eval-results" in capsys.readouterr().err
    assert cli.run([*words, "eval-results"]) == 0
    assert "evaluation_framework: goodenough" in capsys.readouterr().out


def test_export_writes_a_record_with_its_samples_and_prints_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.write(tmp_path / "results", *make_entry(n_clips=30))
    command = ["export", str(folder), "--as", "every-eval-ever", "--out", str(tmp_path / "out")]
    assert cli.run(command) == 0
    said = capsys.readouterr()
    files = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert [said.out, said.err] == [f"{files[0]}\n", ""]
    assert [path.name.split("_")[-1] for path in files[1:]] == ["samples.jsonl"]
    assert cli.run([*command[:3], "model-index", *command[4:]]) == 2
    assert capsys.readouterr().err.endswith("model-index is one file and is printed\n")
    (tmp_path / "file").write_text("")
    assert cli.run([*command[:-1], str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


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


def test_a_model_that_is_no_head_says_its_kind() -> None:
    entry = make_entry(n_clips=30)[0]
    asked = by_adapter(entry, DETECTOR, "language model")
    names = [
        export.model_index(e, Source())["model-index"][0]["results"][0]["task"]["name"]
        for e in (entry, asked)
    ]
    assert names == ["emotion (goodenough)", "emotion (goodenough, language model)"]
    notes = export.eval_results(asked, Source())[0]["notes"]
    assert notes.endswith("protocol 2, language model")
