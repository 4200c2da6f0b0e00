"""`evaluate` of several models, of which some are at fault; and of a few clips, to try it out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.entries import store
from tests.helpers.small_suite import small_suite
from tests.helpers.toy_models import save_model

NAMES = ("fake", "real")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite; models `ear` and `nose`; `mute`, whose classes fit no task."""
    root = tmp_path_factory.mktemp("several")
    small_suite(root / "signals")
    for name, seed in (("ear", 0), ("nose", 1)):
        save_model(root / name, "wav2vec2", NAMES, seed=seed)
    save_model(root / "mute", "wav2vec2", ("LABEL_0", "LABEL_1"))
    return root


def evaluate(root: Path, out: Path, *words: object) -> int:
    names = [root / w if w in ("ear", "nose", "mute", "gone") else w for w in words]
    return cli.run(["evaluate", *map(str, names), "--signals", str(root / "signals"), "--out", str(out)])


def test_several_models_are_evaluated_and_a_table_has_a_row_for_each(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(world, tmp_path, "ear", "nose", "ear") == 0
    out, err = capsys.readouterr()
    assert "Model 2 of 2: " in err, "one that is named twice is evaluated once"
    table = out[out.index("All models") :].splitlines()
    assert table[1].split() == ["Model", "Task", "Lift", "95", "%", "interval", "Transfer", "Swap", "n"]
    assert [line.split()[:2] for line in table[3:5]] == [
        ["local/ear", "deepfake"],
        ["local/nose", "deepfake"],
    ]
    assert len(store.find(tmp_path)) == 2
    assert evaluate(world, tmp_path, "ear") == 0
    assert "All models" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [("mute", "ear", "gone", "nose"), ("gone", "mute", "ear", "nose")])
def test_a_model_at_fault_costs_only_itself(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert evaluate(world, tmp_path, *words, "--json") == 2
    out, err = capsys.readouterr()
    by_name = {Path(record["model"]).name: record for record in json.loads(out)["models"]}
    assert [*by_name] == list(words), "in the order given"
    assert {name for name, record in by_name.items() if "error" in record} == {"mute", "gone"}
    for name in ("mute", "gone"):
        assert set(by_name[name]) == {"model", "error"}
        assert by_name[name]["error"] in err
    assert by_name["ear"]["results"][0]["task"] == "deepfake"
    last = err.splitlines()[-1]
    assert last.startswith("goodenough: 2 of 4 models failed: ")
    assert len(store.find(tmp_path)) == 2


def test_json_of_one_model_is_the_object_that_stands_in_the_list_of_several(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(world, tmp_path, "ear", "nose", "--json") == 0
    several = json.loads(capsys.readouterr().out)["models"]
    assert evaluate(world, tmp_path, "nose", "--json") == 0
    assert json.loads(capsys.readouterr().out) == several[1]


@pytest.mark.parametrize("option", ["--revision", "--label-map"])
def test_an_option_of_one_model_is_refused_beside_several(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    (tmp_path / "labels.json").write_text("{}")
    assert evaluate(world, tmp_path / "out", "ear", "nose", option, tmp_path / "labels.json") == 2
    line = f"goodenough: {option} cannot be combined with several models; "
    assert capsys.readouterr().err.startswith(line)
    assert not (tmp_path / "out").exists()


def test_the_exit_code_is_the_worst_and_a_result_that_does_not_hold_is_still_there(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.cli import model_evaluation
    from harness.errors import NotValid

    def unlike(entries: Any) -> NotValid | None:
        return NotValid("not itself") if entries[0].model.repo_id == "local/ear" else None

    monkeypatch.setattr(model_evaluation, "_unlike_itself", unlike)
    assert evaluate(world, tmp_path, "ear", "nose", "--json") == 1
    first, second = json.loads(capsys.readouterr().out)["models"]
    assert (first["error"], "error" in second) == ("not itself", False)
    assert len(first["results"]) == 1
    assert evaluate(world, tmp_path, "ear", "nose", "gone") == 2
    assert "local/ear" in capsys.readouterr().out
    assert evaluate(world, tmp_path, "ear") == 1


def test_the_offer_to_update_the_suite_names_the_one_model(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = ("--task", "emotion", "--corpus", str(tmp_path / "corpus"), "--search", "minimal")
    from tests.helpers.corpus import make_corpus

    moods = ("angry", "happy", "neutral", "sad")
    make_corpus(tmp_path / "corpus", *((f"c{i}.wav", moods[i % 4]) for i in range(4)))
    for name, seed in (("ear", 0), ("nose", 1)):
        save_model(tmp_path / name, "wav2vec2", ("neu", "hap", "ang", "sad"), seed=seed)
    out = ("--out", str(tmp_path / "signals"))
    assert cli.run(["extract", str(tmp_path / "ear"), *task, *out]) == 0
    capsys.readouterr()
    assert evaluate(tmp_path, tmp_path / "out", "nose", "ear") == 0
    [hint] = [line for line in capsys.readouterr().err.splitlines() if "--update-suite" in line]
    words = hint.split(": ")[-1].split()
    assert str(tmp_path / "ear") in words
    assert str(tmp_path / "nose") not in words
    assert cli.run(words[1:]) == 0


def test_shards_of_several_models_are_merged(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in (1, 2):
        assert evaluate(world, tmp_path, "ear", "nose", "--shard", f"{i}/2") == 0
    assert store.find(tmp_path) == []
    shutil.rmtree(tmp_path / ".partial", ignore_errors=True)
    assert evaluate(world, tmp_path, "ear", "nose") == 0
    assert [store.read(folder).run.n_asked for folder in store.find(tmp_path)] == [0, 0]


# --- a few clips, to try it out


@pytest.mark.parametrize("n", [1, 5])
def test_a_few_clips_make_an_entry_that_is_called_partial_and_takes_no_place(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], n: int
) -> None:
    assert evaluate(world, tmp_path, "ear", "--limit", n) == 0
    assert f"Partial: {n} of 7 clips; it cannot be submitted." in capsys.readouterr().out
    assert store.find(tmp_path) == [], "nothing to submit"
    [report] = (tmp_path / ".partial").rglob("report.html")
    assert f"Partial: {n} of 7 clips; it cannot be submitted." in report.read_text()
    assert cli.run(["submit", str(report.parent), "--out", str(tmp_path / "submissions")]) != 0
    assert evaluate(world, tmp_path, "ear") == 0
    [folder] = store.find(tmp_path)
    assert store.read(folder).run.n_known >= n, "the answers were kept"


def test_a_limit_of_all_clips_is_a_whole_run(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(world, tmp_path, "ear", "--limit", "7") == 0
    assert "Partial" not in capsys.readouterr().out
    assert len(store.find(tmp_path)) == 1
    assert evaluate(world, tmp_path, "ear", "--limit", "9") == 0
    assert "nothing has changed since" in capsys.readouterr().err


@pytest.mark.parametrize(
    "other",
    [["--shard", "1/2"], ["--outgoing"], ["--update-suite"], ["--held-back", "x"], ["--ci-width", ".1"]],
)
def test_a_limit_is_refused_with_what_needs_a_whole_run(
    capsys: pytest.CaptureFixture[str], other: list[str]
) -> None:
    assert cli.run(["evaluate", "m", "--limit", "2", *other]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert other[0] in err
    assert "--limit" in err


# --- the sentence after a scorecard


def test_the_terminal_ends_with_the_sentence_of_the_report(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "Ranks 2 of 5 by lift with the references of the suite; its lift is above 0."
    monkeypatch.setattr("leaderboard.board.provisional_rank.sentence", lambda entry, suite: told)
    assert evaluate(world, tmp_path, "ear") == 0
    assert capsys.readouterr().out.splitlines()[-1] == told
    [report] = tmp_path.rglob("report.html")
    assert told in report.read_text()
    assert evaluate(world, tmp_path, "ear", "--json") == 0
    assert told not in capsys.readouterr().out
