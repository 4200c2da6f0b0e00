"""Clips of moods: sound that is drawn from its generator alone, with cues that differ and overlap."""

import subprocess
import sys
from dataclasses import astuple, fields

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from harness.errors import BadInput
from harness.starter.build import emotion
from harness.starter.build.emotion import LABELS
from harness.tasks import TASKS

pytest.importorskip("espeakng_loader")
pytest.importorskip("pyworld")


@pytest.fixture(scope="module")
def clips():
    """Four of each label; seeds are shared, so the speakers and sentences are too."""
    return {
        label: [emotion.make(np.random.default_rng(seed), label) for seed in range(4)] for label in LABELS
    }


def test_the_labels_are_canonical_and_in_their_order():
    assert [label for label in TASKS["emotion"].labels if label in LABELS] == list(LABELS)
    assert len(LABELS) == 5


def test_every_clip_lasts_three_seconds_and_lies_within_full_scale(clips):
    for x in (x for group in clips.values() for x in group):
        assert x.shape == (48_000,)
        assert x.dtype == np.float64
        assert 0.1 <= np.abs(x).max() <= 0.9


def test_no_clip_holds_digital_silence(clips):
    for x in (x for group in clips.values() for x in group):
        assert np.abs(x).reshape(-1, 160).max(axis=1).min() > 0


def test_the_same_seed_gives_the_same_samples_whatever_came_before(clips):
    assert np.array_equal(emotion.make(np.random.default_rng(2), "fear"), clips["fear"][2])
    assert not np.allclose(clips["fear"][2], clips["fear"][3])
    assert not np.allclose(clips["fear"][2], clips["happy"][2])


def test_another_process_makes_the_same_clip(clips):
    code = (
        "import sys, numpy as np; from harness.starter.build import emotion; "
        "sys.stdout.buffer.write(emotion.make(np.random.default_rng(3), 'sad').tobytes())"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert np.array_equal(np.frombuffer(made), clips["sad"][3])


def test_the_global_generator_is_neither_read_nor_moved(clips):
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert np.array_equal(emotion.make(np.random.default_rng(1), "angry"), clips["angry"][1])
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_overall_level_does_not_tell_the_emotion(clips):
    level = {label: [10 * np.log10(np.mean(x**2)) for x in group] for label, group in clips.items()}
    assert all(-32 < value < -18 for group in level.values() for value in group)
    means = [np.mean(group) for group in level.values()]
    assert max(means) - min(means) < 6


def test_no_single_cue_tells_the_five_emotions_apart():
    rng = np.random.default_rng(0)
    cues = np.array([astuple(emotion._drawn(rng, emotion._MEANS[LABELS[i % 5]])) for i in range(2000)])
    truth = np.arange(2000) % 5
    for column, cue in zip(cues.T, fields(emotion._Manner), strict=True):
        tree = DecisionTreeClassifier(max_leaf_nodes=12, random_state=0).fit(
            column[:1000, None], truth[:1000]
        )
        assert tree.score(column[1000:, None], truth[1000:]) < 0.7, cue.name


def test_no_two_emotions_differ_in_one_cue_alone():
    rows = {label: np.array(astuple(manner)) for label, manner in emotion._MEANS.items()}
    unit = np.array(astuple(emotion._DEVIATIONS))
    for a in LABELS:
        for b in LABELS:
            assert a == b or np.sum(np.abs(rows[a] - rows[b]) > 2 * unit) >= 3


def test_cues_are_drawn_around_their_means_and_some_are_missing():
    rng = np.random.default_rng(0)
    tremor = np.array([emotion._drawn(rng, emotion._MEANS["fear"]).tremor for _ in range(2000)])
    near = np.abs(tremor - emotion._MEANS["fear"].tremor) <= 2 * emotion._DEVIATIONS.tremor + 1e-9
    assert 1 - near.mean() == pytest.approx(emotion._MISSING, abs=0.02)
    assert tremor[near].mean() == pytest.approx(emotion._MEANS["fear"].tremor, abs=0.02)


def test_an_accent_can_be_sudden_even_or_a_swell():
    n, accents = 201, np.array([100])
    even, sudden, swell = (emotion._nearness(n, accents, thrust) for thrust in (0.0, 1.0, -1.0))
    assert np.argmax(even) == 100
    np.testing.assert_allclose(even, even[::-1])
    np.testing.assert_allclose(sudden, swell[::-1])
    assert np.all(sudden[:90] == 0)
    assert sudden[91] == pytest.approx(1, abs=0.1)
    assert np.all(np.diff(sudden[91:]) < 0)


def test_growling_modulates_the_amplitude_at_18_to_30_hz():
    steady = np.ones(16_000)
    assert np.array_equal(emotion._growled(np.random.default_rng(0), steady, 0.0), steady)
    growled = emotion._growled(np.random.default_rng(0), steady, 0.5)
    assert (growled.min(), growled.max()) == pytest.approx((0.5, 1.5), abs=0.01)
    cycles = np.sum(np.diff(np.sign(growled - 1)) > 0)
    assert 14 < cycles < 36


def test_a_tremor_shakes_six_to_ten_times_a_second():
    shaking = emotion._shaking(np.random.default_rng(0), 400)  # 2 s
    assert np.abs(shaking).max() == pytest.approx(1, abs=0.02)
    assert 8 < np.sum(np.diff(np.sign(shaking)) > 0) < 26


def test_an_unknown_emotion_is_refused():
    with pytest.raises(KeyError, match="boredom"):
        emotion.make(np.random.default_rng(0), "boredom")


def test_without_world_one_line_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(BadInput, match=r"pyworld; pip install 'goodenough\[starter\]'") as error:
        emotion.make(np.random.default_rng(0), "sad")
    assert "\n" not in str(error.value)
