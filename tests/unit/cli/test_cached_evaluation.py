"""A result is used again exactly where a new run would only repeat it, whichever verb asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import cli, provenance
from harness.cli import cached_evaluation
from harness.cli.options import ModelOptions
from harness.dataset.suites import load
from harness.entries import store
from harness.schemas import from_json, to_json
from tests.helpers import toy_models
from tests.helpers.corpus import make_corpus

TASK = "emotion"
LABELS = ("neu", "hap", "ang", "sad")


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, and a suite of the signals of the first."""
    root = tmp_path_factory.mktemp("cached")
    make_corpus(root / "corpus", *((f"c{i}.wav", ("angry", "happy")[i % 2]) for i in range(4)))
    for seed, name in enumerate(("reference", "candidate")):
        toy_models.save_model(root / name, "wav2vec2", LABELS, seed=seed)
    command = ("extract", root / "reference", "--task", TASK, "--corpus", root / "corpus")
    assert run(*command, "--search", "minimal", "--out", root / "signals") == 0
    return root


VERBS: dict[str, Callable[[Path, Path], tuple[object, ...]]] = {
    "evaluate": lambda root, out: (
        "evaluate", root / "candidate", "--signals", root / "signals", "--out", out
    ),
    "evaluate --outgoing": lambda root, out: (
        *("evaluate", root / "candidate", "--signals", root / "signals", "--out", out),
        *("--outgoing", "--reference", root / "reference"),
    ),
    "study": lambda root, out: (
        *("study", root / "signals", "--model", root / "reference"),
        *("--model", root / "candidate", "--out", out),
    ),
    "study --recompute": lambda root, out: (
        *("study", root / "signals", "--recompute", "--model", root / "reference", "--out", out),
    ),
}  # fmt: skip


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were evaluated, not taken from an earlier run."""
    from harness.evaluation import runner

    names: list[str] = []
    genuine = runner.evaluate

    def noted(classifier, *args, **options):  # type: ignore[no-untyped-def]
        names.append(classifier.ref.repo_id)
        return genuine(classifier, *args, **options)

    monkeypatch.setattr(runner, "evaluate", noted)
    return names


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_evaluates_anew_what_other_versions_computed(
    root: Path, tmp_path: Path, evaluated: list[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    command = VERBS[verb](root, tmp_path)
    assert run(*command) == 0
    first = sorted(evaluated)
    assert first
    evaluated.clear()
    assert run(*command) == 0
    assert evaluated == []
    versions = provenance.versions() | {"torch": "0.0.1"}
    for module in ("harness.provenance", "harness.evaluation.runner"):
        monkeypatch.setattr(f"{module}.versions", lambda: versions)
    if verb != "evaluate --outgoing":  # whose own signals are of other versions, too: it refuses to go on
        assert run(*command) == 0
        assert sorted(evaluated) == first
        entries = [store.read(folder) for folder in store.find(tmp_path)]
        assert {entry.run.versions["torch"] for entry in entries} == {"0.0.1"}
        evaluated.clear()
        assert run(*command) == 0
        assert evaluated == []


@pytest.mark.parametrize("verb", ["evaluate", "study"])
def test_another_type_is_another_result(root: Path, tmp_path: Path, evaluated: list[str], verb: str) -> None:
    command = VERBS[verb](root, tmp_path)
    assert run(*command) == 0
    n = len(evaluated)
    assert run(*command, "--dtype", "bfloat16") == 0
    assert len(evaluated) == 2 * n
    assert {store.read(folder).run.dtype for folder in store.find(tmp_path)} == {"bfloat16"}


CHANGES: dict[str, object] = {
    "dtype": "bfloat16",
    "batch_size": 3,
    "frontend": "none, forward pass compiled by inductor",
    "device": "cuda",
    "versions": {"python": "3.0"},
    "goodenough": "0.0.0",
}


@pytest.mark.parametrize("field", CHANGES)
def test_all_that_a_result_depends_on_must_be_the_same(root: Path, tmp_path: Path, field: str) -> None:
    assert run(*VERBS["evaluate"](root, tmp_path)) == 0
    (folder,) = store.find(tmp_path)
    entry = store.read(folder)
    suite = load(str(root / "signals"))
    opening = ModelOptions(None, "cpu:0", entry.run.batch_size, entry.run.dtype, False)

    def earlier() -> Path | None:
        arguments = (tmp_path, entry.model, entry.label_map, suite, suite.task(TASK), opening)
        return cached_evaluation.earlier_result(*arguments)

    assert earlier() == folder
    path = folder / store.ENTRY
    changed = dataclasses.replace(entry.run, **{field: CHANGES[field]})
    path.write_text(to_json(dataclasses.replace(entry, run=changed)))
    assert from_json(type(entry), path.read_bytes()).run == changed
    assert earlier() == (folder if field == "goodenough" else None), (
        "its versions of one protocol compute the same"
    )


def test_verdicts_that_were_changed_are_not_used_again(
    root: Path, tmp_path: Path, evaluated: list[str]
) -> None:
    command = VERBS["evaluate"](root, tmp_path)
    assert run(*command) == 0
    (folder,) = store.find(tmp_path)
    data = (folder / store.VERDICTS).read_bytes()
    (folder / store.VERDICTS).write_bytes(data[:-1])
    assert run(*command) == 0
    assert len(evaluated) == 2
    assert (folder / store.VERDICTS).read_bytes() == data


def test_a_study_uses_the_results_of_an_evaluation(
    root: Path, tmp_path: Path, evaluated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("evaluate", root / "candidate", "--signals", root / "signals") == 0
    study = ("study", root / "signals", "--model", root / "reference", "--model", root / "candidate")
    assert run(*study) == 0
    assert sorted(evaluated) == ["local/candidate", "local/reference"]
    assert run(*study, "--results", tmp_path / "elsewhere", "--out", tmp_path / "other") == 0
    assert run(*study, "--recompute", "--out", tmp_path / "anew") == 0
    assert sorted(evaluated) == sorted(["local/candidate", "local/reference"] * 3)
