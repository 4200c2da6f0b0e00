"""Clips of the starter suite: seeds, balance, bit depth, cache. How they sound is tested beside this."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness import audio, tasks
from harness.errors import BadTask
from harness.starter.build import clips as door
from harness.starter.build import keys, recordings

SPOKEN = ("emotion", "deepfake")
"""Tasks whose clips need Python packages alone."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GOODENOUGH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def recorded(prompts):
    """Stand-ins for the recorded voices."""


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


def test_the_two_clips_of_a_pair_bear_its_name_and_their_corpus_states_its_licence() -> None:
    task = tasks.find("deepfake")
    made = door.clips(task, "test", 4)
    assert made[0].pair == made[1].pair != made[2].pair == made[3].pair
    assert {clip.corpus for clip in made} == {"asterisk-core-sounds"}
    assert door.corpus_of(task) == ("asterisk-core-sounds", "cc-by-sa-3.0")
    assert set(door.unseen_splits(task)) == {"unseen-voice", "unseen-family"}
    emotion = tasks.find("emotion")
    assert {(clip.pair, clip.corpus) for clip in door.clips(emotion, "test", 2)} == {(None, door.CORPUS)}
    assert door.corpus_of(emotion) == (door.CORPUS, "apache-2.0")
    assert door.unseen_splits(emotion) == {}


def test_the_key_of_recorded_clips_covers_the_recordings(tmp_path: Path, monkeypatch) -> None:
    made_by = {name: door.made_by(tasks.find(name)) for name in SPOKEN}
    other = tmp_path / "recordings.sha256"
    other.write_text(f"{'0' * 64}  en_US_f_Allison/vm-intro.g722\n")
    monkeypatch.setattr(recordings, "RECORDINGS_LIST", other)
    assert door.made_by(tasks.find("emotion")) == made_by["emotion"]
    assert door.made_by(tasks.find("deepfake")) != made_by["deepfake"]


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
