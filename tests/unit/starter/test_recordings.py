"""Recorded voices: the pinned files, and where they are cut."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.starter.build import codecs, recordings
from harness.starter.build.recordings import LONGEST, SHORTEST, cuts_of

RATE = 16_000


@pytest.fixture(autouse=True)
def installed():
    pytest.importorskip("av")


def speaking(*parts: tuple[float, bool]) -> np.ndarray:
    """Noise where somebody speaks and 60 dB below it where nobody does, in parts of so many seconds."""
    rng = np.random.default_rng(1)
    return np.concatenate(
        [rng.normal(size=round(seconds * RATE)) * (0.1 if loud else 1e-4) for seconds, loud in parts]
    )


def test_a_cut_begins_with_the_speech_and_ends_in_the_pause_behind_it() -> None:
    sound = speaking((0.5, False), (1.8, True), (1.0, False))
    ((first, n_samples),) = cuts_of(sound)
    assert first == pytest.approx(0.5 * RATE, abs=160)
    assert SHORTEST * RATE <= n_samples <= LONGEST * RATE
    assert first + n_samples >= 2.3 * RATE - 160, "no word is cut"


def test_long_speech_without_a_pause_is_not_cut_and_what_follows_the_pause_is() -> None:
    assert not list(cuts_of(speaking((0.2, False), (5.0, True))))
    ((first, _),) = cuts_of(speaking((0.2, False), (5.0, True), (0.3, False), (1.75, True), (0.5, False)))
    assert first == pytest.approx(5.5 * RATE, abs=160)


def test_a_cut_that_is_mostly_pause_is_left_out() -> None:
    assert not list(cuts_of(speaking((0.1, False), (0.5, True), (2.0, False), (0.1, True), (0.1, False))))


@pytest.mark.parametrize("seconds", [0.0, 0.005, 1.0])
def test_a_recording_shorter_than_a_cut_gives_none(seconds: float) -> None:
    assert not list(cuts_of(speaking((seconds, True))))


@given(st.lists(st.tuples(st.floats(0.05, 2.5), st.booleans()), min_size=1, max_size=9))
def test_cuts_are_apart_in_range_and_between_words(parts: list[tuple[float, bool]]) -> None:
    sound = speaking(*parts)
    level = recordings.levels(sound)
    loudest = np.percentile(level, 95) if len(level) else 0.0
    end_before = 0
    for first, n_samples in cuts_of(sound):
        assert first >= end_before
        assert SHORTEST * RATE <= n_samples < LONGEST * RATE
        assert level[first // 160] > loudest - 35, "it begins where somebody speaks"
        end = (first + n_samples) // 160
        assert min(level[end - 1 : end + 2]) < loudest - 20, "it ends where nobody does"
        end_before = first + n_samples
    assert end_before <= len(sound)


def test_the_pinned_files_are_those_of_five_voices_each_once() -> None:
    lines = recordings.RECORDINGS_LIST.read_text("utf-8").splitlines()
    assert all(re.fullmatch(r"[0-9a-f]{64}  [a-zA-Z_]+/[a-zA-Z0-9/_-]+\.g722", line) for line in lines)
    assert len(recordings.pinned()) == len(lines) == len(set(recordings.pinned().values()))
    voices = {path.split("/")[0] for path in recordings.pinned()}
    assert sorted(voice[:2] for voice in voices) == list(recordings.LANGUAGES)


def test_a_recording_that_is_missing_or_another_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(recordings.VARIABLE, str(tmp_path))
    path = next(iter(recordings.pinned()))
    with pytest.raises(
        BadInput, match=r"apt-get install asterisk-core-sounds-en-g722 .* or name their folder"
    ):
        recordings.read(path)
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(b"other")
    with pytest.raises(
        BadInput, match=r"has sha256 d9298a10.*, expected .*: is the package another version\?"
    ):
        recordings.read(path)


@pytest.mark.skipif(
    not Path(recordings.FOLDER, recordings.LANGUAGES[0] + "_US_f_Allison").is_dir(), reason="no recordings"
)
def test_the_packages_hold_the_pinned_recordings() -> None:
    assert all(len(recordings.read(path)) > SHORTEST * RATE for path in recordings.pinned())


def test_a_file_of_g722_is_two_samples_a_byte() -> None:
    assert codecs.decode_g722(bytes(800)).shape == (1_600,)
    assert codecs.decode_g722(b"").shape == (0,)
