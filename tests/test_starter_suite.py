"""The starter suite, made by its own code: known answers, and models whose score is known beforehand."""

import json

import pytest

from harness import cli
from harness.dataset import signals
from harness.starter import build
from harness.starter.train import RECIPES
from harness.submit import store
from tests import toys

GENRES = ("blues", "classical", "disco", "metal")
SMALL = [r for r in RECIPES if r.name.split("/")[1] in ("toy-genre-wav2vec2", "toy-genre-whisper")]


def lifts(model, suite, out, capsys):
    """Lift of a model per task, as estimates."""
    assert cli.run(["evaluate", str(model), "--signals", str(suite), "--out", str(out), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    return {r["task"]: r["scorecard"]["families"][0]["rates"]["lift"] for r in results}


def made(root, recipes):
    build.build(root, recipes)
    return root / "signals"


def check_known_answers(suite):
    entries = [store.read(folder) for folder in store.find(suite / "verdicts")]
    assert len(entries) == len(signals.load(str(suite)).manifest.references)
    for entry in entries:
        assert entry.scorecard.known_answer == 1.0, entry.model.repo_id
        for count in entry.references:
            assert count.n_signals - count.n_degenerate >= 20, count


def check_models_known_beforehand(suite, tmp_path, capsys):
    wall = toys.save_model(tmp_path / "wall", "wav2vec2", GENRES, bias=(0.0, 0.0, 1.0, 0.0))
    lift = lifts(wall, suite, tmp_path / "out", capsys)["music-genre"]
    assert lift["value"] == 0.0
    assert lift["low"] < 0 < lift["high"]
    random = toys.save_model(tmp_path / "random", "hubert", GENRES, seed=3)
    lift = lifts(random, suite, tmp_path / "out", capsys)["music-genre"]
    assert abs(lift["value"]) < 0.2
    assert lift["low"] <= 0.02
    assert lift["high"] >= -0.02


def test_two_references_make_a_suite_on_which_known_models_score_as_known(tmp_path, capsys):
    suite = made(tmp_path / "suite", SMALL)
    check_known_answers(suite)
    check_models_known_beforehand(suite, tmp_path, capsys)
    before = (suite / "manifest.json").read_bytes()
    build.build(tmp_path / "suite", SMALL)
    assert (suite / "manifest.json").read_bytes() == before


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_suite_knows_its_answers_and_its_candidates_hear_something(tmp_path, capsys):
    suite = made(tmp_path / "suite", RECIPES)
    check_known_answers(suite)
    check_models_known_beforehand(suite, tmp_path, capsys)
    for recipe in RECIPES:
        if recipe.role == "candidate":
            folder = tmp_path / "suite" / "models" / recipe.name.split("/")[1]
            assert lifts(folder, suite, tmp_path / "out", capsys)[recipe.task]["value"] > 0.05
