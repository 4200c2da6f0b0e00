"""Clips of the starter suite: seeds, balance, bit depth, cache. How they sound is tested beside this."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness import audio, tasks
from harness.errors import BadTask
from harness.starter.build import clips as door
from harness.starter.build import keys

SPOKEN = ("emotion", "deepfake")
"""Tasks whose clips need Python packages alone."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GOODENOUGH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", SPOKEN)
def test_a_clip_depends_on_its_task_split_and_number_alone(name: str) -> None:
    task = tasks.find(name)
    few, more = door.clips(task, "test", 2), door.clips(task, "test", 3)
    for a, b in zip(few, more, strict=False):
        assert (a.clip_id, a.label) == (b.clip_id, b.label)
        assert np.array_equal(a.waveform, b.waveform)
    other = door.clips(task, "train", 2)
    assert [clip.label for clip in few] == [clip.label for clip in other]
    assert not any(np.array_equal(a.waveform, b.waveform) for a in few for b in other)


@pytest.mark.parametrize("name", SPOKEN)
def test_clips_are_balanced_named_labelled_canonically_and_exact_in_16_bit(name: str) -> None:
    task = tasks.find(name)
    labels = door.labels_of(task)
    made = door.clips(task, "test", len(labels) + 1)
    assert [clip.label for clip in made] == [*labels, labels[0]]
    assert set(labels) <= set(task.labels)
    assert made[1].clip_id == f"{name}-test-001"
    for clip in made:
        assert clip.sample_rate_hz == task.sample_rate_hz
        assert clip.waveform.shape == (door.n_samples_of(task),)
        assert 2 * 16_000 <= len(clip.waveform) <= 3 * 16_000
        assert 0.05 < np.abs(clip.waveform).max() < 1.0
        data, ending = audio.encode_exact(clip.waveform, clip.sample_rate_hz)
        assert ending == "flac"
        assert np.array_equal(audio.read(data)[0], clip.waveform)


def test_clips_that_were_made_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    task = tasks.find("deepfake")
    made = door.clips(task, "test", 2)
    monkeypatch.setattr(door, "_samples", lambda *_: pytest.fail("made again"))
    again = door.clips(task, "test", 2)
    assert all(np.array_equal(a.waveform, b.waveform) for a, b in zip(made, again, strict=True))


def test_a_task_the_suite_does_not_play_is_refused_with_those_it_has(tmp_path: Path) -> None:
    own = tmp_path / "task.yaml"
    own.write_text("name: instrument\nlabels: [cello, flute]\n")
    with pytest.raises(BadTask, match="no task 'instrument'; it has: music-genre, emotion, deepfake"):
        door.clips(tasks.find(str(own)), "test", 1)


def test_the_key_of_code_minds_code_and_not_its_words() -> None:
    source = '"""A module."""\n\nx = 1  # one\n\n\ndef f():\n    """Say it."""\n    return x\n'
    assert keys._bare(source) == keys._bare("x = 1\ndef f():\n    return x")
    assert keys._bare(source) != keys._bare(source.replace("x = 1", "x = 2"))
    assert keys.code("starter.build.keys") != keys.code("starter.paths")
    shown = "class A:\n    def f(self):\n        return 1\n    def __repr__(self):\n        return 'A'\n"
    assert keys._bare(shown) == keys._bare(shown.replace("'A'", "'B'"))
    assert keys._bare(shown) != keys._bare(shown.replace("1", "2"))
    assert keys.key("a", "bc") != keys.key("ab", "c")


def test_classes_take_turns() -> None:
    task = tasks.find("deepfake")
    assert Counter(clip.label for clip in door.clips(task, "test", 4)) == {"bonafide": 2, "spoof": 2}
