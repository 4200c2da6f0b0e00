"""The suite that is shipped: its known answers, what the cards say of it, and models known beforehand."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import numpy as np
import pytest

from harness import audio, cli
from harness.dataset.suites import Suite
from harness.entries import store
from harness.families import parse_family
from harness.labels import harmonise
from harness.metrics.flat_earth import EXCESS
from harness.models import loading
from harness.starter import paths
from harness.starter.build import cards, recordings
from harness.starter.build.steps import STEPS
from harness.starter.recipes import RECIPES
from harness.tasks import TASKS
from harness.types import MIN_SIGNALS, N_LEVELS
from tests.helpers import toy_models
from tests.helpers.families import MINIMAL, STARTER_FAMILIES
from tests.helpers.repository import ROOT

TASK_NAMES = ("music-genre", "emotion", "deepfake")
GENRES = ("classical", "disco", "hiphop", "jazz", "metal", "reggae")
REFERENCES = [recipe for recipe in RECIPES if recipe.role == "reference"]


@pytest.fixture(scope="module")
def suite():
    return Suite(paths.embedded(), "embedded/starter")


def entries(suite, task):
    found = [store.read(folder) for folder in store.find(suite.root / "verdicts")]
    return {entry.model.repo_id.split("/")[1]: entry for entry in found if entry.task == task}


# ---- known answers -------------------------------------------------------------------------------


SAMPLED = [pytest.param(16, id="some"), pytest.param(None, id="all", marks=pytest.mark.slow)]
"""Signals that are drawn; None for all."""


def drawn(suite, recipe, n):
    """Signals of a reference that are not degenerate, with their waveforms; the same in every run."""
    slug = f"local__{recipe.folder}"
    lines = [line for line in suite.signal_lines(recipe.task, slug) if not line.degenerate]
    assert len(lines) >= 3 * MIN_SIGNALS, "all families"
    if n is None:
        return [(s, x) for s, x in suite.signals(recipe.task, slug) if not s.degenerate]
    some = random.Random(0).sample([line.signal_id for line in lines], n)
    return [suite.signal(recipe.task, slug, signal_id) for signal_id in some]


@pytest.mark.parametrize("n", SAMPLED)
@pytest.mark.parametrize("recipe", REFERENCES, ids=lambda recipe: recipe.folder)
def test_a_reference_accepts_all_of_its_own_signals_on_this_machine(suite, recipe, n) -> None:
    classifier = loading.load(str(paths.SUITE / "models" / recipe.folder), batch_size=32)
    label_map = harmonise(classifier.class_names, TASKS[recipe.task])
    signals = drawn(suite, recipe, n)
    assert {s.family for s, _ in signals} == set(STARTER_FAMILIES)
    logits = classifier.logits([x for _, x in signals], 16_000)
    said = [label_map.canonical[i] for i in logits.argmax(axis=1)]
    assert said == [s.expected for s, _ in signals]


@pytest.mark.parametrize("n", SAMPLED)
def test_the_audio_of_a_signal_is_rebuilt_as_it_was_certified(suite, n) -> None:
    for recipe in REFERENCES[::3]:
        signals = drawn(suite, recipe, n)
        same = [audio.sha256(x) == s.sha256 for s, x in signals]
        # Another processor may round a sample of an irfft the other way; the class is what counts.
        assert sum(same) >= 0.9 * len(same)


@pytest.mark.parametrize("n", SAMPLED)
def test_every_minimal_signal_that_is_not_degenerate_has_its_levels(suite, n) -> None:
    for recipe in REFERENCES:
        for line in suite.signal_lines(recipe.task, f"local__{recipe.folder}"):
            assert line.has_levels or line.family != MINIMAL or line.degenerate
        for signal, _ in drawn(suite, recipe, n):
            if signal.family == MINIMAL:
                sizes = [int((signal.levels <= j).sum()) for j in range(N_LEVELS)]
                assert sizes[0] == signal.n_kept
                assert sizes[-1] == len(signal.mask)
                assert all(a <= b for a, b in pairwise(sizes))


# ---- shape and size ------------------------------------------------------------------------------


def test_the_suite_is_small_enough_to_be_shipped() -> None:
    sizes = [path.stat().st_size for path in paths.SUITE.rglob("*") if path.is_file()]
    assert sum(sizes) <= 40e6
    assert max(sizes) <= 8 * 2**20


def test_every_task_has_the_same_families_and_one_of_them_is_of_time_and_frequency(suite) -> None:
    for task in TASK_NAMES:
        assert suite.families(task) == STARTER_FAMILIES
        assert {r.counts[0].n_draws for r in suite.references(task)} == {2}
    domains = [parse_family(family).resolution.domain for family in STARTER_FAMILIES]
    assert domains == ["frequency", "time-frequency", "frequency"]


def test_the_suite_holds_what_the_recipes_say(suite) -> None:
    assert sorted(p.name for p in (paths.SUITE / "models").iterdir()) == sorted(r.folder for r in RECIPES)
    for task in TASK_NAMES:
        names = [record.model.repo_id for record in suite.references(task)]
        assert names == sorted(f"local/{r.folder}" for r in REFERENCES if r.task == task)
        assert len(names) >= 4
        assert set(entries(suite, task)) == {name.split("/")[1] for name in names}
        assert len(suite.clips(task)) >= 60
    assert set(json.loads((paths.SUITE / STEPS).read_text())) >= {f"model/{r.folder}" for r in RECIPES}


def test_one_reference_of_each_task_is_hard_and_gives_silence_a_class_of_its_own(suite) -> None:
    for task in TASK_NAMES:
        says = {c.model.repo_id.split("/")[1]: c.silence_class for c in suite.counts(task)}
        strange = {r.folder: r.quirk for r in REFERENCES if r.task == task and r.quirk}
        assert {name for name, label in says.items() if label == "other"} == set(strange)
        assert sorted(strange.values()) == ["flat-earther"] * (task == "deepfake") + ["hard"]


def test_the_deepfake_panel_has_two_references_with_each_silence_class(suite) -> None:
    says = {c.model.repo_id: c.silence_class for c in suite.counts("deepfake")}
    assert list(says.values()).count("bonafide") >= 2
    assert list(says.values()).count("spoof") >= 2


def test_the_planted_flat_earther_alone_rejects_what_all_others_accept(suite) -> None:
    alone = cards.rejected_alone(cards.verdicts_of(suite, "deepfake"), suite.headline("deepfake"))
    others = {name: share for name, share in alone.items() if name != "starter-deepfake-ast"}
    highest = max(share.high for share in others.values())
    assert alone["starter-deepfake-ast"].low > 0.5
    assert highest < 0.5
    assert max(share.value for share in others.values()) < 0.3
    assert alone["starter-deepfake-ast"].low - highest > EXCESS, "by what a flat-earther has to exceed"


def test_entries_of_references_and_candidates_are_valid(suite, capsys) -> None:
    folders = [suite.root / "verdicts", ROOT / "submissions"]
    assert cli.run(["validate", *map(str, folders), "--signals", str(suite.root)]) == 0, capsys.readouterr()
    candidates = {f"local/{r.folder}" for r in RECIPES if r.role == "candidate"}
    submitted = [store.read(folder) for folder in store.find(ROOT / "submissions")]
    assert {e.model.repo_id for e in submitted if e.signals.repo_id == "embedded/starter"} >= candidates


# ---- what the cards say --------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASK_NAMES)
def test_a_card_says_what_is_measured(task: str) -> None:
    text = (ROOT / "data_cards" / f"starter-{task}.md").read_text("utf-8")
    said = text.split(cards.BEGIN)[1].split(cards.END)[0].strip()
    assert said == cards.measured(task, paths.SUITE)


def test_models_are_better_than_an_average_spectrum_allows(suite) -> None:
    for task in TASK_NAMES:
        linear = json.loads((paths.SUITE / "baselines" / task / "baseline.json").read_text())["accuracy"]
        reports = [paths.SUITE / "models" / r.folder / "training.json" for r in REFERENCES if r.task == task]
        accuracies = [json.loads(path.read_text())["accuracy"] for path in reports]
        assert linear <= max(accuracies) - 0.05


def test_loudness_over_time_does_not_tell_a_copy_from_its_recording(suite) -> None:
    """Its quietest frame did so in 67 % of pairs when a copy spread into the silence around a recording."""
    clips = suite.clips("deepfake")
    features = {}
    for clip in clips.values():
        level = recordings.levels(clip.waveform)
        features[clip.clip_id] = [level.min(), np.percentile(level, 5), level[0], level[-1], level.std()]
    bonafide = np.array([features[name] for name in sorted(clips) if clips[name].label == "bonafide"])
    spoof = np.array([features[name] for name in sorted(clips) if clips[name].label == "spoof"])
    louder = (spoof[:, None] > bonafide[None]) + 0.5 * (spoof[:, None] == bonafide[None])
    above = louder.mean(axis=(0, 1))
    # Three standard errors of independent clips; the two of a pair depend on each other and make it less.
    error = np.sqrt((len(spoof) + len(bonafide) + 1) / (12 * len(spoof) * len(bonafide)))
    assert np.abs(above - 0.5).max() < 3 * error


# ---- models known beforehand ---------------------------------------------------------------------


def lift(model, out, capsys):
    arguments = ["evaluate", str(model), "--task", "music-genre", "--out", str(out), "--json"]
    assert cli.run(arguments) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    return result["scorecard"]["families"][0]["rates"]["lift"]


@pytest.mark.slow  # tests/integration/test_attacks.py has a sample of it
def test_a_model_that_always_says_the_same_has_no_lift(tmp_path, capsys) -> None:
    wall = toy_models.save_model(tmp_path / "wall", "wav2vec2", GENRES, bias=(0.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    found = lift(wall, tmp_path / "out", capsys)
    assert found["value"] == 0.0
    assert found["low"] < 0 < found["high"]


@pytest.mark.slow  # tests/integration/test_attacks.py has a sample of it
def test_a_model_with_random_weights_has_hardly_any_lift(tmp_path, capsys) -> None:
    random = toy_models.save_model(tmp_path / "random", "hubert", GENRES, seed=3)
    found = lift(random, tmp_path / "out", capsys)
    assert abs(found["value"]) < 0.2
    assert found["low"] <= 0.02
    assert found["high"] >= -0.02
