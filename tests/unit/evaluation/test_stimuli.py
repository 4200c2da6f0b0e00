"""Controls: known answers by hand, and what holds for any clip, mask and other clip."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import placements
from harness.dataset import clip_cache, suites
from harness.domains import fft
from harness.domains.masks import runs
from harness.evaluation import stimuli
from harness.evaluation.stimuli import control, of_signal, sounds, swap_clips
from harness.evaluation.units import units_of
from harness.types import N_MATCHED, N_SWAPS, Clip, Mask, SufficientSignal
from tests.helpers import toy_models
from tests.helpers.families import HEADLINE, MINIMAL
from tests.helpers.loudness import assert_controls_are_as_loud, energy_of, of_name
from tests.helpers.repository import ROOT


def clip_with(amplitudes: list[float], name: str = "c0", n_samples: int | None = None) -> Clip:
    """A clip of known amplitude at each bin; of an even number of samples, unless it is given."""
    n_samples = n_samples or 2 * (len(amplitudes) - 1)
    X = np.array(amplitudes, dtype=complex) * n_samples / 2
    return Clip(name, "toys", "spoof", np.fft.irfft(X, n_samples).astype(np.float32), 16_000)


def signal_in(clip: Clip, bins: list[int]) -> SufficientSignal:
    mask = np.zeros(len(clip.waveform) // 2 + 1, dtype=bool)
    mask[bins] = True
    return toy_models.signal_of(clip, mask=mask)


def bins(mask: Mask) -> list[int]:
    return [int(i) for i in np.flatnonzero(mask)]


# --- by hand


CHORD = [0.0, 4.0, 3.0, 2.0, 1.0, 3.0, 5.0, 0.0, 0.0]
"""Amplitudes at the nine bins of sixteen samples; all energy lies from bin 1 to bin 6."""


def test_the_stimuli_of_a_signal_by_hand() -> None:
    clip, other = clip_with(CHORD), clip_with([0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0], "c1")
    made = of_signal(signal_in(clip, [1, 2]), clip, [other])
    assert [stimulus.key for stimulus in made] == [
        ("signal", None, None),
        ("swap", None, 0),
        ("matched", None, 0),
        ("matched", None, 1),
        ("matched", None, 2),
        ("largest", None, None),
        ("complement", None, None),
    ]
    # The signal has 16 + 9 = 25 in squares of amplitudes; the other clip has 1 at these bins.
    (swap,) = of_name(made, "swap")
    assert (swap.clip, bins(swap.mask), swap.gain) == (other, [1, 2], pytest.approx(5.0))
    # Pairs of bins that the signal has no part in: 5 and 6 have 34, 3 and 4 have 5, 4 and 5 have 10.
    matched = of_name(made, "matched")
    assert [bins(stimulus.mask) for stimulus in matched] == [[5, 6], [4, 5], [3, 4]]
    wanted = [(25 / 34) ** 0.5, (25 / 10) ** 0.5, (25 / 5) ** 0.5]
    assert [stimulus.gain for stimulus in matched] == pytest.approx(wanted)
    assert [bins(stimulus.mask) for stimulus in made[-2:]] == [[1, 6], [0, 3, 4, 5, 6, 7, 8]]
    assert [stimulus.gain for stimulus in made[-2:]] == [1.0, 1.0]


def test_a_control_is_heard_as_its_bins_at_the_energy_of_the_signal() -> None:
    clip = clip_with(CHORD)
    other = clip_with([0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0], "c1")
    heard = control(signal_in(clip, [1, 2]), clip, [other], "swap")
    assert heard is not None
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard, 5 * np.cos(2 * np.pi * np.arange(16) / 16), atol=1e-6)


def test_the_mask_is_carried_by_frequency_to_a_clip_of_another_length() -> None:
    clip = clip_with(CHORD)
    longer = clip_with([0.0] * 4 + [2.0] + [0.0] * 28, "c1")  # twice the bins and twice again: 8 is now 32
    (swap,) = of_name(of_signal(signal_in(clip, [1, 2]), clip, [longer]), "swap")
    assert bins(swap.mask) == list(range(2, 10))  # from half a bin below the first
    (heard,) = sounds([swap])
    assert len(heard) == 64
    assert energy_of(heard) == pytest.approx(25 * 16 / 2)


def test_another_clip_that_has_nothing_at_the_bins_gives_silence() -> None:
    clip, tone = clip_with(CHORD), clip_with([0.0] * 5 + [3.0] + [0.0] * 3, "c1")
    (swap,) = of_name(of_signal(signal_in(clip, [1, 2]), clip, [tone]), "swap")
    assert bins(swap.mask) == []
    assert swap.sound == b"silence16"
    (heard,) = sounds([swap])
    assert not heard.any()
    empty = dataclasses.replace(tone, waveform=np.zeros(20, dtype=np.float32))
    (swap,) = of_name(of_signal(signal_in(clip, [1, 2]), clip, [empty]), "swap")
    assert swap.sound == b"silence20"


@pytest.mark.parametrize(
    ("kept", "places"),
    [
        ([1, 2, 3], [[4, 5, 6]]),
        ([1, 3], [[2, 4], [2, 5], [2, 6], [4, 6]]),
        ([1, 2, 3, 4], []),  # two and three places on it holds three and two of the four
        ([1, 2, 3, 4, 5, 6], []),
        ([1, 2, 4, 5], []),  # one place on it holds 2 and 5
        ([1, 3, 5], [[2, 4, 6]]),
    ],
)
def test_where_a_mask_can_lie_in_a_band_of_six_bins(kept: list[int], places: list[list[int]]) -> None:
    clip = clip_with([0.0, *[1.0] * 6, 0.0, 0.0])
    made = of_name(of_signal(signal_in(clip, kept), clip, ()), "matched")
    assert sorted(bins(stimulus.mask) for stimulus in made) == places


def test_where_every_place_holds_a_tenth_of_the_mask_the_one_that_holds_least_is_taken() -> None:
    clip = clip_with([0.0, *[1.0] * 7, 0.0])
    made = of_name(of_signal(signal_in(clip, [1, 2, 3, 4]), clip, ()), "matched")
    assert [bins(stimulus.mask) for stimulus in made] == [[4, 5, 6, 7]]


def test_a_signal_of_nothing_and_a_silent_clip_have_no_matched_control() -> None:
    clip = clip_with(CHORD)
    assert control(signal_in(clip, []), clip, (), "matched") is None
    silent = clip_with([0.0] * 9)
    made = of_signal(signal_in(silent, [1]), silent, [clip])
    assert of_name(made, "matched") == []
    assert not any(heard.any() for heard in sounds(made))
    assert control(signal_in(clip, [1]), clip, (), "swap") is None


# --- what holds for any clip and mask


def coloured(seed: int, n_samples: int, name: str = "c0") -> Clip:
    """Noise that is louder at some frequencies than at others, by up to 40 dB, and falls towards the top."""
    rng = np.random.default_rng([seed, n_samples])
    X = np.fft.rfft(rng.normal(size=n_samples))
    shape = 10 ** rng.uniform(-2, 0, 8)[np.arange(len(X)) * 8 // len(X)]
    X *= shape * np.exp(-np.linspace(0, rng.uniform(0, 12), len(X)))
    waveform = np.fft.irfft(X, n_samples) * 10 ** rng.uniform(-3, 0)
    return Clip(name, "toys", "spoof", waveform.astype(np.float32), 16_000)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Clip, SufficientSignal, list[Clip]]:
    """A clip, a signal of a few runs in it, and other clips of its length or another."""
    n_samples = draw(st.integers(60, 700))
    clip = coloured(draw(st.integers(0, 10**6)), n_samples)
    n_bins = n_samples // 2 + 1
    mask = np.zeros(n_bins, dtype=bool)
    for _ in range(draw(st.integers(1, 5))):
        first = draw(st.integers(0, n_bins - 1))
        mask[first : first + draw(st.integers(1, max(1, n_bins // 8)))] = True
    lengths = draw(st.lists(st.sampled_from([n_samples, 60, 333, 900]), min_size=1, max_size=N_SWAPS))
    others = [coloured(draw(st.integers(0, 10**6)), n, f"c{i + 1}") for i, n in enumerate(lengths)]
    return clip, toy_models.signal_of(clip, mask=mask), others


@given(cases())
@settings(max_examples=150, deadline=None)
def test_swap_and_matched_have_the_energy_of_the_signal_in_the_sound(
    case: tuple[Clip, SufficientSignal, list[Clip]],
) -> None:
    clip, signal, others = case
    assert_controls_are_as_loud(of_signal(signal, clip, others), rel=1e-6)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_matched_is_the_same_runs_elsewhere_in_the_occupied_band(
    case: tuple[Clip, SufficientSignal, list[Clip]],
) -> None:
    clip, signal, _ = case
    energy = fft.bin_energy(fft.spectrum(clip.waveform), len(clip.waveform))
    first, end = placements.occupied_band(energy)
    made = of_name(of_signal(signal, clip, ()), "matched")
    assert len(made) <= N_MATCHED
    assert [stimulus.replicate for stimulus in made] == list(range(len(made)))
    assert len({stimulus.sound for stimulus in made}) == len(made)
    lengths = sorted(runs(signal.mask)[:, 1].tolist())
    overlaps = [int((stimulus.mask & signal.mask).sum()) / signal.n_kept for stimulus in made]
    for stimulus in made:
        assert stimulus.clip is clip
        # As many runs of the same lengths: none touches another.
        assert sorted(runs(stimulus.mask)[:, 1].tolist()) == lengths
        assert not stimulus.mask[:first].any()
        assert not stimulus.mask[end:].any()
    assert all(overlap <= 0.1 for overlap in overlaps) or 0.1 < min(overlaps) <= max(overlaps) < 0.5
    if overlaps and max(overlaps) > 0.1:
        assert overlaps == sorted(overlaps)
    else:  # the nearest in energy comes first
        wanted = energy[signal.mask].sum()
        distances = [abs(np.log(energy[stimulus.mask].sum() / wanted)) for stimulus in made]
        assert distances == sorted(distances)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_swap_is_the_same_mask_of_the_other_clip(case: tuple[Clip, SufficientSignal, list[Clip]]) -> None:
    clip, signal, others = case
    made = of_name(of_signal(signal, clip, others), "swap")
    assert [stimulus.clip.clip_id for stimulus in made] == [other.clip_id for other in others]
    for stimulus, other in zip(made, others, strict=True):
        if stimulus.mask.any():
            carried = stimuli.transfer_mask(
                signal.mask, (1, len(signal.mask)), (1, len(other.waveform) // 2 + 1)
            )
            np.testing.assert_array_equal(stimulus.mask, carried)


@given(st.lists(st.integers(0, 99), unique=True, max_size=9), st.text(max_size=9))
def test_up_to_three_different_clips_stand_in_and_the_signal_settles_which(
    numbers: list[int], name: str
) -> None:
    eligible = sorted(f"c{i}" for i in numbers)
    chosen = swap_clips(name, eligible)
    assert chosen == swap_clips(name, list(eligible))
    assert len(set(chosen)) == len(chosen) == min(N_SWAPS, len(eligible))
    assert set(chosen) <= set(eligible)


def test_all_clips_stand_in_equally_often() -> None:
    eligible = [f"c{i}" for i in range(6)]
    times = dict.fromkeys(eligible, 0)
    for i in range(2000):
        for clip_id in swap_clips(f"signal {i}", eligible):
            times[clip_id] += 1
    assert 900 < min(times.values()) <= max(times.values()) < 1100, "1,000 each are expected"


# --- the same in any order, process and after a restart


def digests(numbers: list[int]) -> dict[int, str]:
    """What all stimuli of some signals are, key, mask and gain; of the sounds all but the last bits."""
    clips = {i: coloured(i, 400 + 33 * (i % 2), f"c{i}") for i in range(12)}
    found = {}
    for i in numbers:
        mask = np.random.default_rng(i).random(len(clips[i].waveform) // 2 + 1) < 0.05
        made = of_signal(toy_models.signal_of(clips[i], mask=mask), clips[i], [clips[i - 1], clips[i - 2]])
        digest = hashlib.sha256()
        for stimulus, heard in zip(made, sounds(made), strict=True):
            digest.update(repr(stimulus.key).encode() + np.packbits(stimulus.mask).tobytes())
            digest.update(f"{stimulus.gain:.9g} {energy_of(heard):.5g}".encode())
        found[i] = digest.hexdigest()
    return found


def test_controls_are_the_same_in_any_order_and_with_nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = list(range(2, 12))
    one = digests(numbers)
    assert len(set(one.values())) == len(one)
    assert digests(numbers[::-1]) == one
    monkeypatch.setattr(clip_cache._recent_clips, "_max_size", 0)
    assert digests(numbers) == one


@pytest.mark.slow
def test_controls_are_the_same_in_another_process() -> None:
    module = "tests.unit.evaluation.test_stimuli"
    code = f"import json; from {module} import digests; print(json.dumps(digests([11, 5, 2])))"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == {str(i): digest for i, digest in digests([2, 5, 11]).items()}


# --- which clips stand in, in a suite


def test_the_class_of_the_other_clip_is_another_and_its_length_the_same_where_there_is_one(
    tmp_path: Path,
) -> None:
    long = {1, 2, 4, 5, 8, 10, 13}
    clips = [toy_models.clip_of(i, 500 if i in long else 400) for i in range(14)]
    toy_models.add_signals(tmp_path, clips=clips)
    suite = suites.load(str(tmp_path))
    by_id = {clip.clip_id: clip for clip in clips}
    units = [unit for unit in units_of(suite, toy_models.TASK) if unit.signal_id is not None]
    assert len(units) == 28
    for unit in units:
        others = [by_id[clip_id] for clip_id in unit.others]
        assert len({clip.clip_id for clip in others}) == N_SWAPS
        assert all(clip.label != unit.expected for clip in others)
        assert [len(clip.waveform) for clip in others] == [unit.n_samples] * N_SWAPS
        assert unit.other_n_samples == (unit.n_samples,) * N_SWAPS


def test_a_clip_of_another_length_stands_in_where_there_is_none_of_the_same(tmp_path: Path) -> None:
    toy_models.add_signals(tmp_path, clips=[toy_models.clip_of(i, 400 + 10 * i) for i in range(4)])
    units = {u.key: u for u in units_of(suites.load(str(tmp_path)), toy_models.TASK)}
    unit = units[f"signal:c0:toys__a:{HEADLINE}:0.1"]
    assert set(unit.others) == {"c1", "c3"}
    assert dict(zip(unit.others, unit.other_n_samples, strict=True)) == {"c1": 410, "c3": 430}


def test_where_all_clips_have_one_class_nothing_stands_in(tmp_path: Path) -> None:
    toy_models.add_signals(tmp_path, clips=[0, 2, 4])
    units = [
        unit for unit in units_of(suites.load(str(tmp_path)), toy_models.TASK) if unit.signal_id is not None
    ]
    assert [unit.others for unit in units] == [()] * 6
    assert {unit.n_stimuli for unit in units} == {3 + N_MATCHED}


def test_another_reference_changes_no_stand_in(tmp_path: Path) -> None:
    """Who stands in for a clip depends on its reference alone: answers that are kept stay good."""
    toy_models.add_signals(tmp_path, clips=range(9))
    before = {unit.key: unit for unit in units_of(suites.load(str(tmp_path)), toy_models.TASK)}
    toy_models.add_signals(tmp_path, "toys/b", clips=range(5, 14))
    after = {unit.key: unit for unit in units_of(suites.load(str(tmp_path)), toy_models.TASK)}
    assert {key: after[key] for key in before} == before


def test_draws_and_families_of_a_clip_are_controlled_by_themselves(tmp_path: Path) -> None:
    toy_models.add_signals(tmp_path, clips=range(20), n_draws=3)
    units = [u for u in units_of(suites.load(str(tmp_path)), toy_models.TASK) if u.clip_id == "c3" and u.draw]
    assert sorted((u.family, u.draw) for u in units) == [
        (family, draw) for family in (MINIMAL, HEADLINE) for draw in (1, 2, 3)
    ]
    assert len({unit.others for unit in units}) > 1
