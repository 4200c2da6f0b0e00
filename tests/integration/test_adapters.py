"""An adapter through every command: everything is as for a checkpoint, and its code is run by no one else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import goodenough as ge
from harness import cli
from harness.entries import store, verification
from harness.starter import paths
from harness.starter.paths import open_suite
from tests.helpers import toy_adapters
from tests.helpers.small_starter import TASK, small_suite


@pytest.fixture(scope="module")
def base_temp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="module", autouse=True)
def suite(base_temp: Path) -> Iterator[Path]:
    """A small suite in place of the embedded one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "SUITE", small_suite(base_temp))
        yield paths.SUITE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy_adapters.write_logits(tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="module")
def arguments(model: str) -> list[str]:
    return ["--adapter-arg", f"weights={Path(model.rpartition(':')[0]).parent / 'weights.npy'}"]


@pytest.fixture(scope="module")
def results(model: str, arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results")
    assert cli.run(["evaluate", model, *arguments, "--task", TASK, "--out", str(out)]) == 0
    return out


@pytest.fixture
def folder(results: Path, tmp_path: Path) -> Path:
    """Its entry, among submissions of its own."""
    (entry_folder,) = store.find(results)
    return store.file_into(entry_folder, tmp_path / "submissions")


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


def test_its_entry_is_valid_and_says_what_it_is(folder, capsys):
    assert run("validate", folder) == 0
    entry = store.read(folder)
    assert entry.facts.kind == "adapter"
    assert entry.facts.adapter.name == "shape.py:Shape"
    assert entry.model.repo_id == "local/shape"
    assert entry.model.revision == entry.facts.adapter.revision
    assert entry.complete
    assert entry.proof.n_flips == 0


def test_the_same_command_answers_from_what_is_known(model, arguments, results, capsys, monkeypatch):
    monkeypatch.setattr("harness.evaluation.runner.evaluate", None)
    assert run("evaluate", model, *arguments, "--task", TASK, "--out", results) == 0
    assert "already evaluated, and nothing has changed since" in capsys.readouterr().err
    with pytest.raises(TypeError):  # what would be called is None
        run("evaluate", model, *arguments, "--adapter-arg", "gain=3", "--task", TASK, "--out", results)


def test_it_is_checked_and_the_next_command_has_its_arguments(model, arguments, capsys):
    assert run("check", model, *arguments, "--task", TASK, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"]
    assert arguments[1] in answer["next"]
    assert answer["facts"]["kind"] == "adapter"


def test_its_own_signals_are_extracted_and_judged_by_the_references(model, arguments, tmp_path, capsys):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = ["file_name,label"]
    rng = np.random.default_rng(0)
    for i, label in enumerate(("angry", "happy", "neutral", "sad")):
        tone = 0.2 * np.sin(2 * np.pi * (200 + 900 * i) * np.arange(4_000) / 16_000)
        soundfile.write(corpus / f"{i}.flac", tone + 0.01 * rng.normal(size=len(tone)), 16_000)
        lines.append(f"{i}.flac,{label}")
    (corpus / "metadata.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "signals"
    words = ("extract", model, *arguments, "--task", TASK, "--corpus", corpus, "--out", tmp_path / "masks")
    assert run(*words, "--search", "gradient", "--masks-only") == 0
    words = ("download", tmp_path / "masks", "--task", TASK, "--corpus", corpus, "--out", out)
    assert run(*words, "--reference", model, *arguments) == 0
    assert run(*words, "--reference", model, *arguments, "--adapter-arg", "gain=2") == 2
    assert "does not have the weights of any reference" in capsys.readouterr().err
    (reference,) = open_suite(str(out)).references(TASK)
    assert reference.facts.kind == "adapter"
    assert [count.n_signals for count in reference.counts] == [4]
    assert run("evaluate", model, *arguments, "--signals", out, "--out", tmp_path / "results") == 0
    (entry,) = map(store.read, store.find(tmp_path / "results"))
    assert entry.scorecard.known_answer == 1.0


@pytest.mark.slow
def test_the_references_judge_it_and_a_study_has_it(model, arguments, results, tmp_path, capsys):
    words = ("evaluate", model, *arguments, "--task", TASK, "--out", results)
    assert run(*words, "--outgoing", "--search", "responsibility@bands8", "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert len(result["outgoing"]) == 2
    assert run("study", "--model", model, *arguments, "--results", results, "--out", tmp_path / "study") == 0
    assert "shape, the model given, accepts" in capsys.readouterr().out


def test_it_is_verified_only_by_who_names_it(model, arguments, folder, tmp_path, capsys):
    assert run("verify", folder) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "code that is run only where its user names it" in line
    assert run("verify", folder, "--if-possible") == 0
    assert verification.read(folder) is None
    other = toy_adapters.write_logits(tmp_path / "other")
    code = Path(other.rpartition(":")[0])
    code.write_text(code.read_text() + "# mine\n")
    weights = f"weights={code.parent / 'weights.npy'}"
    assert run("verify", folder, "--adapter", other, "--adapter-arg", weights) == 2
    assert "what differs: code" in capsys.readouterr().err
    assert run("verify", folder, "--adapter", model, "--adapter-arg", f"{weights}", "-k", 40) == 0
    record = verification.read(folder)
    assert record is not None
    assert record.holds


def test_it_opts_out_of_a_task(model, arguments, tmp_path, capsys):
    words = ("opt-out", model, *arguments, "--task", TASK, "--author", "Ada", "--reason", "Trained on it.")
    assert run(*words, "--out", tmp_path) == 0
    (notice,) = tmp_path.rglob("*.json")
    assert load_model(model, arguments).ref.revision in notice.read_text()


def load_model(model, arguments):
    name, _, value = arguments[1].partition("=")
    return ge.load_model(model, arguments={name: value})


def test_it_is_loaded_and_evaluated_from_python(model, arguments):
    weights = arguments[1].partition("=")[2]
    classifier = ge.load_model(model, arguments={"weights": weights, "gain": 2})
    assert "adapter" in classifier.frontend
    result = ge.evaluate(classifier, ge.load_suite(), task=TASK)
    assert result.entry.facts.adapter.arguments == {"gain": "2", "weights": "weights.npy"}
