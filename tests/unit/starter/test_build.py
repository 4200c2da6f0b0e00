"""Building the suite: a tiny task from nothing, step by step; what is stale, and what is taken over."""

from __future__ import annotations

import dataclasses
import json
import os
from functools import partial
from pathlib import Path

import pytest

from harness import cli
from harness.dataset.suites import Suite
from harness.entries import store
from harness.errors import BadInput
from harness.extract.search_task import Limits
from harness.starter import __main__ as command
from harness.starter.build import baselines, recordings
from harness.starter.build import builder as building
from harness.starter.build import steps as planning
from harness.starter.build.builder import build
from harness.starter.build.steps import STEPS, Plan, stale, steps
from harness.starter.recipes import RECIPES
from leaderboard.board import anchors
from tests.helpers import forking, telephone_prompts

PANEL = tuple(r for r in RECIPES if r.task == "deepfake" and r.architecture in ("sew", "wav2vec2"))
TINY = Plan(recipes=PANEL, n_train_binary=20, n_held_out=8, n_test_binary=6, n_anchor=10)


def begin(environment: dict[str, str]) -> None:
    """Of a worker that is forked where the libraries are open: what a spawned one has from its parent."""
    os.environ.update(environment)
    telephone_prompts.use(Path(environment[recordings.VARIABLE]), pytest.MonkeyPatch())
    building._quiet_worker()


@pytest.fixture(scope="module")
def tiny(prompts, tmp_path_factory):
    """A suite of one task, two references and six clips, made from nothing."""
    root = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOODENOUGH_CACHE", str(root / "cache"))
        patch.setattr(building, "get_context", lambda _: forking.FORKS)
        patch.setattr(building, "_quiet_worker", partial(begin, dict(os.environ)))
        assert build(TINY, (), root / "suite")
        yield root / "suite"


@pytest.mark.slow  # what it makes is there, and is tested, in the suite that is shipped
def test_a_tiny_task_is_made_from_nothing_and_knows_its_answers(tiny: Path) -> None:
    suite = Suite(tiny / "signals", building.NAME)
    assert [r.model.repo_id for r in suite.references("deepfake")] == [
        "local/starter-deepfake-sew",
        "local/starter-deepfake-wav2vec2",
    ]
    entries = [store.read(folder) for folder in store.find(tiny / "signals" / "verdicts")]
    assert len(entries) == 2
    for entry in entries:
        assert entry.signals == suite.ref("deepfake")
        assert entry.scorecard.known_answer == 1.0
    assert cli.run(["validate", str(tiny / "signals" / "verdicts"), "--signals", str(tiny / "signals")]) == 0
    assert {p.name for p in (tiny / "models").iterdir()} == {recipe.folder for recipe in PANEL}


@pytest.mark.slow  # what it makes is there, and is tested, in the suite that is shipped
def test_the_anchors_lie_with_the_suite_and_are_none_of_its_references(tiny: Path, capsys) -> None:
    suite = Suite(tiny / "signals", building.NAME)
    folders = [folder for name in (baselines.RANDOM, baselines.REGRESSION) for folder in suite.anchors(name)]
    models = {store.read(folder).model.repo_id for folder in folders}
    assert models == {"local/random-weights", "local/logistic-regression"}
    assert models.isdisjoint(record.model.repo_id for record in suite.references("deepfake"))
    assert models.isdisjoint(store.read(folder).model.repo_id for folder in suite.verdicts())
    command = ["validate", *map(str, folders), "--signals", str(suite.root)]
    assert cli.run(command) == 0, capsys.readouterr()
    shown = [anchor.name for anchor in anchors.build(suite, "deepfake", suite.verdicts())]
    # Of six clips no reference has a lift: none is the best.
    assert shown == ["consensus", "random weights", "logistic regression"]


@pytest.mark.slow  # what it makes is there, and is tested, in the suite that is shipped
def test_nothing_is_made_twice(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p: p.stat().st_mtime_ns for p in tiny.rglob("*")}
    monkeypatch.setattr(building, "_make_all", lambda *_: pytest.fail("made again"))
    assert build(TINY, (), tiny)
    assert {p: p.stat().st_mtime_ns for p in tiny.rglob("*")} == before


@pytest.mark.slow  # what it makes is there, and is tested, in the suite that is shipped
def test_a_change_of_search_makes_signals_and_verdicts_stale_and_nothing_else(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "LIMITS", Limits(budget=17))
    assert {step.kind for step in stale(TINY, (), tiny)} == {"signals", "verdicts", "anchor"}
    assert [step.name for step in stale(TINY, ["signals/*sew"], tiny)] == ["signals/starter-deepfake-sew"]


def test_a_step_brings_those_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOODENOUGH_CACHE", str(tmp_path / "cache"))
    names = [step.name for step in stale(TINY, ["verdicts/*sew"], tmp_path / "suite")]
    both = {f"{kind}/{recipe.folder}" for kind in ("model", "signals") for recipe in PANEL}
    assert set(names) == both | {"verdicts/starter-deepfake-sew"}
    assert names == [name for name in steps(TINY) if name in names]


@pytest.mark.slow  # what it makes is there, and is tested, in the suite that is shipped
def test_what_the_suite_holds_is_taken_over_when_the_cache_is_gone(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOODENOUGH_CACHE", str(tmp_path / "cache"))
    for step in steps(TINY).values():
        building._adopt(step, TINY, tiny)
    building._put_together(TINY, tmp_path / "copy")
    ours = {p.relative_to(tiny): p.read_bytes() for p in tiny.rglob("*") if p.is_file() and p.name[0] != "."}
    theirs = {p: (tmp_path / "copy" / p).read_bytes() for p in ours}
    assert ours == theirs


def test_the_key_of_a_step_covers_what_it_builds_on() -> None:
    more = dataclasses.replace(TINY, n_train_binary=21)
    before, after = steps(TINY), steps(more)
    assert all(before[name].key != after[name].key for name in before)
    clips = dataclasses.replace(TINY, n_test_binary=7)
    changed = {name for name, step in steps(clips).items() if step.key != before[name].key}
    assert {name.split("/")[0] for name in changed} == {"signals", "verdicts", "anchor"}
    fewer = dataclasses.replace(TINY, n_anchor=11)
    changed = {name for name, step in steps(fewer).items() if step.key != before[name].key}
    assert changed == {"anchor/deepfake"}


def test_a_pattern_that_matches_nothing_is_bad_input_in_one_line(tmp_path: Path, capsys) -> None:
    with pytest.raises(BadInput, match="no step matches 'model/nobody'"):
        stale(TINY, ["model/nobody"], tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["starter", "--list", "--only", "model/nobody"])
        assert command.run() == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow  # what it makes is there, and is tested, in the suite that is shipped
def test_the_keys_of_a_suite_stand_in_it(tiny: Path) -> None:
    assert json.loads((tiny / STEPS).read_text()) == {name: s.key for name, s in steps(TINY).items()}
