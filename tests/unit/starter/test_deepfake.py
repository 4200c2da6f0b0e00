"""Pairs of a recording and its copy: alike in all that is not the machine's, and never in two splits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness.starter.build import deepfake
from harness.starter.build.copies import FAMILIES
from tests.helpers.telephone_prompts import band_power

SPLITS = ("train", "held-out", "test", *deepfake.UNSEEN)


def test_no_recording_is_in_two_splits_and_what_is_unseen_is_in_one(prompts: Path) -> None:
    recordings_of = {split: {pair.cut.path for pair in deepfake.pairs(split)} for split in SPLITS}
    assert all(recordings_of.values())
    assert sum(map(len, recordings_of.values())) == len(set().union(*recordings_of.values()))
    for split in SPLITS:
        voices_met = {pair.cut.voice for pair in deepfake.pairs(split)}
        families = {pair.family for pair in deepfake.pairs(split)}
        assert (deepfake.UNSEEN_VOICE in voices_met) == (split == "unseen-voice")
        assert (deepfake.UNSEEN_FAMILY in families) == (split == "unseen-family")
        assert len(voices_met) == (1 if split == "unseen-voice" else min(4, len(deepfake.pairs(split))))


def test_families_and_voices_take_turns(prompts: Path) -> None:
    families = Counter(pair.family for pair in deepfake.pairs("train"))
    assert max(families.values()) - min(families.values()) <= 1
    assert len(families) == min(len(FAMILIES) - 1, len(deepfake.pairs("train")))


def test_the_two_of_a_pair_have_all_but_the_machine_in_common(
    prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(0, 4, 2):
        bonafide, spoof = (deepfake.clip("test", index + i) for i in range(2))
        assert bonafide.shape == spoof.shape == (32_000,)
        assert np.sqrt(np.mean(bonafide**2)) == pytest.approx(np.sqrt(np.mean(spoof**2)), rel=0.3)
        assert np.abs(bonafide).max() <= 0.85
        assert np.abs(spoof).max() <= 0.85
        assert not np.allclose(bonafide, spoof, atol=1e-3)
        np.testing.assert_array_equal(bonafide, deepfake.clip("test", index))
    monkeypatch.setattr(deepfake, "copied", lambda rng, x, family: x)
    np.testing.assert_array_equal(deepfake.clip("test", 2), deepfake.clip("test", 3))


def test_both_of_a_pair_end_at_the_band_limit_of_the_family(prompts: Path) -> None:
    for i, pair in enumerate(deepfake.pairs("held-out") + deepfake.pairs("unseen-family")):
        split, at = ("held-out", i) if i < 4 else ("unseen-family", i - 4)
        edge = min(7_000, FAMILIES[pair.family].limit_hz) + 400
        for index in (2 * at, 2 * at + 1):
            clip = deepfake.clip(split, index)
            assert band_power(clip, edge, 8_001) < 1e-3 * band_power(clip, 0, 8_001)


def test_a_split_has_no_clip_beyond_its_last(prompts: Path) -> None:
    with pytest.raises(IndexError):
        deepfake.clip("test", 8)


def test_the_two_of_a_pair_are_silent_at_the_same_times(
    prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy spreads into the silence around a recording; how long that is would tell the class."""
    windows, placed = [], deepfake._placed

    def remembered(*arguments):
        x, window = placed(*arguments)
        windows.append(window)
        return x, window

    noise = 0.1 * np.random.default_rng(0).normal(size=32_000)
    monkeypatch.setattr(deepfake, "_placed", remembered)
    monkeypatch.setattr(deepfake, "copied", lambda rng, x, family: noise)
    for index in range(8):
        sound = deepfake.clip("held-out", index)
        outside = windows.pop() == 0
        assert outside.sum() > 100
        assert np.mean(sound[outside] ** 2) < 1e-3 * np.mean(sound[~outside] ** 2)
