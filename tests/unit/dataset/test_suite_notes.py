"""What is said first of a task: by its corpora where the suite is at hand, else by name, task and sha256."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.dataset import croissant
from harness.dataset.suite_notes import (
    EMBEDDED,
    SMALL_MODELS,
    SYNTHETIC,
    heading,
    joined,
    note_of_signals,
    note_of_task,
)
from harness.dataset.suites import Suite
from harness.entries import store
from harness.starter import paths
from harness.types import DatasetRef
from tests.helpers import board_world, noted_suite
from tests.helpers.families import HEADLINE
from tests.helpers.noted_suite import CORPORA

NEW = DatasetRef(EMBEDDED, "5" * 64, "deepfake", "test", "5" * 64, HEADLINE)
CARD = "---\nversion: 1.0.0\nsynthetic: false\n---\n\n# Tones\n"


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return board_world.make_suite(tmp_path_factory.mktemp("tones") / "signals")


@pytest.fixture(scope="module")
def suite(tones: Suite, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return noted_suite.make(tones, tmp_path_factory.mktemp("noted"))


def test_the_note_of_a_task_is_that_of_its_corpus(suite: Suite, tones: Suite) -> None:
    assert [note_of_task(suite, task) for task in CORPORA] == [SYNTHETIC, SMALL_MODELS]
    assert note_of_task(tones, "tone") is None
    assert note_of_task(Suite(tones.root, EMBEDDED), "tone") == SYNTHETIC


def test_a_task_of_several_corpora_has_no_note_unless_it_is_embedded(tones: Suite, tmp_path: Path) -> None:
    mixed = noted_suite.make(tones, tmp_path)
    path = mixed.root / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["references"][0]["corpus"]["name"] = "local/others"
    path.write_text(json.dumps(manifest))
    assert [note_of_task(Suite(mixed.root, "local/tones"), task) for task in CORPORA] == [None, SMALL_MODELS]
    assert [note_of_task(Suite(mixed.root, EMBEDDED), task) for task in CORPORA] == [SYNTHETIC, SMALL_MODELS]


def test_signals_of_the_suite_have_its_note_and_others_of_its_name_have_none(suite: Suite) -> None:
    for task, note in zip(CORPORA, (SYNTHETIC, SMALL_MODELS), strict=True):
        signals = suite.ref(task)
        assert note_of_signals(signals, suite) == note
        assert note_of_signals(signals) is None
        assert note_of_signals(replace(signals, sha256="5" * 64), suite) is None
        assert note_of_signals(replace(signals, repo_id="org/tones"), suite) is None
        assert note_of_signals(replace(signals, config="other"), suite) is None


def test_every_version_of_the_embedded_suite_is_known_without_it() -> None:
    assert note_of_signals(NEW) == SMALL_MODELS
    assert note_of_signals(replace(NEW, config="emotion")) == SYNTHETIC
    old = "a3957c5da5c768c446092f568f6d15e0bd3c76538f2a1e8514c7bcab7aa32e30"
    assert note_of_signals(replace(NEW, sha256=old)) == SYNTHETIC
    assert note_of_signals(replace(NEW, repo_id="local/starter")) is None


def test_the_packaged_suite_says_the_same_with_and_without_its_manifest() -> None:
    suite = paths.open_suite()
    of_entries = {entry.signals.config: entry.signals for entry in map(store.read, suite.verdicts())}
    assert of_entries.keys() == {*suite.task_names}
    for task, signals in of_entries.items():
        assert note_of_signals(signals) == note_of_task(suite, task), (
            f"{task}: add {signals.sha256}, of synthetic signals, to harness/dataset/suite_notes.py"
        )


def test_notes_of_several_tasks_are_joined_once_each_with_their_tasks() -> None:
    assert joined([]) is None
    assert joined([("a", None), ("b", None)]) is None
    assert joined([("a", SYNTHETIC), ("b", SYNTHETIC)]) == SYNTHETIC
    assert joined([("a", None), ("b", SYNTHETIC)]) == f"b: {SYNTHETIC}"
    notes = [("b", SYNTHETIC), ("c", SMALL_MODELS), ("a", SYNTHETIC), ("b", SYNTHETIC)]
    assert joined(notes) == f"b, a: {SYNTHETIC} c: {SMALL_MODELS}"


def test_other_signals_of_a_task_are_told_from_its_current_ones_where_their_notes_differ() -> None:
    assert (
        joined([("a", SMALL_MODELS), ("a", SYNTHETIC)])
        == f"a: {SMALL_MODELS} a on other signals: {SYNTHETIC}"
    )
    assert joined([("a", None), ("a", SYNTHETIC)]) == f"a on other signals: {SYNTHETIC}"
    assert joined([("a", SYNTHETIC), ("a", None)]) == f"a: {SYNTHETIC}"


def test_the_first_words_of_a_note_stand_alone() -> None:
    assert heading(SYNTHETIC) == "synthetic clips"
    assert heading(SMALL_MODELS) == "real voices, small models"


def test_the_metadata_of_a_dataset_say_that_some_of_its_tasks_are_synthetic(
    suite: Suite, tones: Suite, tmp_path: Path
) -> None:
    recordings = noted_suite.make(tones, tmp_path, dict.fromkeys(CORPORA, "asterisk-core-sounds"))
    for each, missing, has_synthetic in ((suite, False, True), (recordings, True, None)):
        silent = croissant.missing(each, {"tone": CARD.replace("synthetic: false\n", "")})
        assert any("synthetic" in line for line in silent) == missing
        assert _metadata(each, {}).get("rai:hasSyntheticData") is has_synthetic
        assert _metadata(each, {"tone": CARD})["rai:hasSyntheticData"] is bool(has_synthetic)


def _metadata(suite: Suite, cards: dict[str, str]) -> dict[str, object]:
    return croissant.render(suite, {}, {}, [], cards, "org/tones", False, "", "2026-11-29")
