"""The anchors of the starter suite: a network that learnt nothing, and a regression on average spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.models import loading
from harness.seeds import generator
from harness.starter.build import baselines
from harness.starter.recipes import RECIPES
from harness.tasks import TASKS
from harness.types import Clip, Waveform

RATE = 16_000
PITCHES = (300, 900, 2700)
CANDIDATES = [recipe for recipe in RECIPES if recipe.role == "candidate"]


def clips(task: str, n: int, n_classes: int, n_samples: int = RATE) -> list[Clip]:
    """Tones in noise, a pitch for each class."""
    made = []
    for i in range(n):
        rng = generator("tone", str(i))
        tone = np.sin(2 * np.pi * PITCHES[i % n_classes] * np.arange(n_samples) / RATE)
        wave = (0.3 * tone + 0.05 * rng.normal(size=n_samples)).astype(np.float32)
        made.append(Clip(f"{i}", "tones", TASKS[task].labels[i % n_classes], wave, RATE))
    return made


def waves(some: list[Clip]) -> list[Waveform]:
    return [clip.waveform for clip in some]


@pytest.mark.parametrize("recipe", CANDIDATES, ids=lambda recipe: recipe.task)
def test_a_network_with_random_weights_has_the_candidates_form_and_tells_sounds_apart(
    recipe, tmp_path: Path
) -> None:
    some = clips(recipe.task, 24, 2)
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        baselines.random_weights(recipe, tmp_path / name, some, seed)
    one, again, other = (loading.load(str(tmp_path / name)) for name in ("one", "again", "other"))
    assert one.class_names == recipe.labels
    assert one.ref.weights_sha256 == again.ref.weights_sha256 != other.ref.weights_sha256
    logits = one.logits(waves(some), RATE)
    np.testing.assert_allclose(logits.mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(logits.std(axis=0, ddof=1), 1, atol=0.01)
    assert len(set(logits.argmax(axis=1).tolist())) > 1


@pytest.mark.parametrize(("task", "n_classes"), [("emotion", 3), ("deepfake", 2)])
def test_the_regression_gives_each_sound_the_class_it_learnt(task: str, n_classes: int) -> None:
    model = baselines.regression(clips(task, 24, n_classes))
    new = clips(task, 30, n_classes, n_samples=RATE // 2)[24:]
    logits = model.logits(waves(new), RATE)
    assert logits.shape == (6, n_classes)
    assert logits.dtype == np.float32
    assert [model.class_names[i] for i in logits.argmax(axis=1)] == [clip.label for clip in new]


def test_the_regression_gives_a_sound_the_same_logits_in_every_company() -> None:
    some = clips("emotion", 24, 3)
    model = baselines.regression(some)
    alone = np.concatenate([model.logits([wave], RATE) for wave in waves(some)])
    np.testing.assert_array_equal(alone, model.logits(waves(some), RATE))
    silence = model.logits([np.zeros(RATE, np.float32)], RATE)
    assert np.isfinite(silence).all()


def test_the_name_of_a_regression_is_what_it_learnt() -> None:
    one, again = (baselines.regression(clips("emotion", 24, 3)) for _ in range(2))
    other = baselines.regression(clips("emotion", 27, 3))
    assert one.ref == again.ref
    assert one.ref.weights_sha256 != other.ref.weights_sha256
    assert one.facts.n_parameters == 3 * 64 + 3
