"""Controls of signals of blocks and tiles, and where the rest is not silent; by hand and properties."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import placements
from harness.dataset.clip_cache import domain_of, energy_of, parts_of
from harness.domains import DOMAINS
from harness.domains.masks import runs
from harness.evaluation import stimuli
from harness.evaluation.stimuli import of_signal, sounds
from harness.families import parse_family
from harness.types import Clip, FloatArray, Mask, SufficientSignal
from tests.helpers import toy_models
from tests.helpers.loudness import assert_controls_are_as_loud, of_name

FAMILIES = ("responsibility@bands20", "responsibility@blocks10ms", "responsibility@tiles2x4")
"""One of each domain."""

LENGTHS = (1_600, 1_601, 2_345)
"""Samples at 16 kHz: 10 blocks, 11 of which the last is one sample, 15."""


def noise(seed: int, n_samples: int, name: str = "c0") -> Clip:
    """Noise that rises and falls by up to 40 dB, from one tenth of the clip to the next."""
    rng = np.random.default_rng([seed, n_samples])
    loudness = 10 ** rng.uniform(-2, 0, 10)[np.arange(n_samples) * 10 // n_samples]
    return Clip(name, "toys", "spoof", (loudness * rng.normal(size=n_samples)).astype(np.float32), 16_000)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Clip, SufficientSignal, list[Clip]]:
    """A clip, a signal of some atoms of it, and two other clips."""
    family, n_samples = draw(st.sampled_from(FAMILIES)), draw(st.sampled_from(LENGTHS))
    clip = noise(draw(st.integers(0, 10**6)), n_samples)
    atoms = parse_family(family).resolution.atoms(n_samples, 16_000)
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    kept = rng.random(len(atoms)) < draw(st.sampled_from([0.05, 0.2, 0.5]))
    kept[rng.integers(len(atoms))] = True
    lengths = (n_samples, draw(st.sampled_from(LENGTHS)))
    others = [noise(draw(st.integers(0, 10**6)), n, f"c{i + 1}") for i, n in enumerate(lengths)]
    return clip, toy_models.signal_of(clip, family=family, mask=atoms.expand(kept)), others


@given(cases())
@settings(max_examples=120, deadline=None)
def test_swap_and_matched_have_the_energy_of_the_signal_in_the_sound(
    case: tuple[Clip, SufficientSignal, list[Clip]],
) -> None:
    clip, signal, others = case
    asked = of_signal(signal, clip, others)
    assert len(of_name(asked, "swap")) == 2
    assert all(s.mask.any() for s in (*of_name(asked, "swap"), *of_name(asked, "matched")))
    assert_controls_are_as_loud(asked, rel=1e-5)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_what_a_signal_keeps_and_its_complement_are_the_clip(
    case: tuple[Clip, SufficientSignal, list[Clip]],
) -> None:
    clip, signal, _ = case
    asked = of_signal(signal, clip, ())
    sound_of = dict(zip([stimulus.name for stimulus in asked], sounds(asked), strict=True))
    np.testing.assert_allclose(sound_of["signal"] + sound_of["complement"], clip.waveform, atol=1e-5)
    largest = of_name(asked, "largest")[0].mask
    of_clip = energy_of(clip, parse_family(signal.family).resolution.domain)
    assert largest.sum() == signal.n_kept
    assert of_clip[largest].min() >= of_clip[~largest].max(initial=0.0)


# --- matched, on a plane


PLANE = np.array(
    [
        [9.0, 1.0, 1.0, 2.0],
        [1.0, 1.0, 1.0, 1.0],
        [1.0, 1.0, 3.0, 1.0],
    ]
)
"""Energies of three rows of four coefficients; all of them are occupied."""


def plane_mask(*places: tuple[int, int], shape: tuple[int, int] = (3, 4)) -> Mask:
    mask = np.zeros(shape, dtype=bool)
    for place in places:
        mask[place] = True
    return mask.ravel()


def places_of(mask: Mask, shape: tuple[int, int] = (3, 4)) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for row, column in zip(*np.nonzero(mask.reshape(shape)), strict=True)]


def test_a_pair_of_tiles_moves_together_and_comes_in_at_the_other_side() -> None:
    """Of eleven other places two overlap it; of the nine that are left one has 4, another 3, the rest 2."""
    mask = plane_mask((0, 0), (0, 1))
    found = [places_of(m) for m in placements.matched(mask, PLANE.ravel(), (3, 4), "s")]
    # The signal has 10: nearest is 4, then 3. All others have 2, in the order of their shifts.
    pairs = {frozenset(places) for places in found}
    assert len(found) == len(pairs) == 4
    assert [sum(PLANE[place] for place in places) for places in found] == [4.0, 4.0, 3.0, 2.0]
    assert {frozenset({(2, 1), (2, 2)}), frozenset({(2, 2), (2, 3)}), frozenset({(0, 2), (0, 3)})} < pairs


def test_a_pair_across_the_border_is_still_a_pair() -> None:
    """Where all but one place is nearly silent, the one is taken: the last column is next to the first."""
    plane = np.full((3, 4), 1e-15)
    plane[0, 0] = plane[0, 1] = plane[2, 3] = plane[2, 0] = 1.0
    found = placements.matched(plane_mask((0, 0), (0, 1)), plane.ravel(), (3, 4), "s")
    assert places_of(found[0]) == [(2, 0), (2, 3)]


@pytest.mark.parametrize(
    ("kept", "n_controls"),
    [
        ([(0, 0), (0, 1), (0, 2), (0, 3)], 2),  # a whole row: the two others
        ([(row, column) for row in range(3) for column in range(4)], 0),  # everything: no other place
        ([(0, 0)], 4),
    ],
)
def test_as_many_controls_as_there_are_places(kept: list[tuple[int, int]], n_controls: int) -> None:
    found = placements.matched(plane_mask(*kept), np.ones(12), (3, 4), "s")
    assert len(found) == n_controls
    assert not any((m & plane_mask(*kept)).any() for m in found)


def torus_class(inside: Mask) -> set[bytes]:
    """All shifts of a pattern around its box: the same for patterns of the same relative places."""
    n_rows, n_columns = inside.shape
    return {np.roll(inside, (i, j), axis=(0, 1)).tobytes() for i in range(n_rows) for j in range(n_columns)}


@st.composite
def planes(draw: st.DrawFn) -> tuple[Mask, FloatArray, tuple[int, int]]:
    """A mask of a few coefficients, energies with silent rows and columns, and their shape."""
    shape = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    of_plane = rng.random(shape) * (rng.random(shape[0]) < 0.8)[:, None] * (rng.random(shape[1]) < 0.8)
    of_plane[shape[0] // 2, shape[1] // 2] += 1
    mask = rng.random(shape) < draw(st.sampled_from([0.05, 0.2, 0.5]))
    mask[shape[0] // 2, shape[1] // 2] = True
    return mask.ravel(), of_plane.ravel(), shape


@given(planes(), st.text(max_size=3))
@settings(max_examples=150)
def test_matched_is_the_same_pattern_elsewhere_in_the_occupied_box(
    case: tuple[Mask, FloatArray, tuple[int, int]], name: str
) -> None:
    mask, of_coefficient, shape = case
    found = placements.matched(mask, of_coefficient, shape, name)
    again = placements.matched(mask, of_coefficient, shape, name)
    np.testing.assert_array_equal(found, again)
    plane = of_coefficient.reshape(shape)
    box = []
    for axis in (0, 1):
        first, end = placements.occupied_band(plane.sum(axis=1 - axis))
        kept = np.flatnonzero(mask.reshape(shape).any(axis=1 - axis))
        box.append(slice(min(first, int(kept[0])), max(end, int(kept[-1]) + 1)))
    alike = torus_class(mask.reshape(shape)[tuple(box)])
    overlaps = [float((m & mask).sum() / mask.sum()) for m in found]
    for m in found:
        assert m.sum() == mask.sum()
        assert m.reshape(shape)[tuple(box)].sum() == m.sum(), "all of it lies in the box"
        assert np.ascontiguousarray(m.reshape(shape)[tuple(box)]).tobytes() in alike
    assert len({m.tobytes() for m in found}) == len(found)
    assert max(overlaps, default=0.0) < 0.5
    if overlaps and min(overlaps) <= 0.1:
        assert max(overlaps) <= 0.1
        wanted = of_coefficient[mask].sum()
        distances = [abs(np.log(of_coefficient[m].sum() / wanted)) for m in found]
        assert distances == sorted(distances)
    else:
        assert overlaps == sorted(overlaps)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_matched_of_a_signal_overlaps_it_in_at_most_a_tenth_or_is_the_least_that_does(
    case: tuple[Clip, SufficientSignal, list[Clip]],
) -> None:
    clip, signal, _ = case
    made = of_name(of_signal(signal, clip, ()), "matched")
    overlaps = [float((stimulus.mask & signal.mask).sum() / signal.n_kept) for stimulus in made]
    assert all(overlap <= 0.1 for overlap in overlaps) or 0.1 < min(overlaps) <= max(overlaps) < 0.5
    for stimulus in made:
        assert stimulus.mask.sum() == signal.n_kept
        if parse_family(signal.family).resolution.domain == "time":
            lengths = (sorted(runs(mask)[:, 1].tolist()) for mask in (stimulus.mask, signal.mask))
            assert next(lengths) == next(lengths)


# --- a mask, carried to a clip of another length


@pytest.mark.parametrize(
    ("kept", "n_rows", "carried"),
    [
        ([1], 8, [2, 3]),  # of four blocks the second; of eight the third and fourth
        ([0, 3], 8, [0, 1, 6, 7]),
        ([1], 2, [0]),  # the first half of the clip
        ([1, 2], 2, [0, 1]),
        ([1], 1, [0]),
        ([0, 1, 2, 3], 7, [0, 1, 2, 3, 4, 5, 6]),
        ([], 7, []),
        ([2], 4, [2]),
    ],
)
def test_blocks_keep_their_place_as_a_share_of_the_clip(
    kept: list[int], n_rows: int, carried: list[int]
) -> None:
    mask = np.zeros(4, dtype=bool)
    mask[kept] = True
    found = stimuli.transfer_mask(mask, (4, 1), (n_rows, 1))
    assert np.flatnonzero(found).tolist() == carried


def test_tiles_keep_their_frequencies_and_move_in_time_alone() -> None:
    mask = plane_mask((0, 1), (1, 3), shape=(2, 4))
    longer = stimuli.transfer_mask(mask, (2, 4), (5, 4))
    assert places_of(longer, (5, 4)) == [(0, 1), (1, 1), (2, 3), (3, 3), (4, 3)]
    shorter = stimuli.transfer_mask(mask, (2, 4), (1, 4))
    assert places_of(shorter, (1, 4)) == [(0, 1), (0, 3)], "no row gets lost"


@given(st.integers(1, 12), st.integers(2, 5), st.integers(1, 12), st.integers(0, 10**6))
def test_a_carried_mask_of_rows_is_never_empty_and_all_of_it_is_all(
    n_rows: int, n_columns: int, n_new: int, seed: int
) -> None:
    shape, new_shape = (n_rows, n_columns), (n_new, n_columns)
    mask = np.random.default_rng(seed).random(shape) < 0.3
    carried = stimuli.transfer_mask(mask.ravel(), shape, new_shape).reshape(new_shape)
    np.testing.assert_array_equal(carried.any(axis=0), mask.any(axis=0))
    assert (
        stimuli.transfer_mask(np.ones(n_rows * n_columns, bool), shape, new_shape).all()
        or n_rows == 1 != n_new
    )
    np.testing.assert_array_equal(stimuli.transfer_mask(mask.ravel(), shape, shape), mask.ravel())


@pytest.mark.parametrize("family", FAMILIES[1:])
def test_swap_in_a_clip_of_another_length_has_the_mask_carried_in_time(family: str) -> None:
    clip, longer = noise(0, 1_600), noise(1, 3_200, "c1")
    domain = parse_family(family).resolution.domain
    shape, new_shape = (domain_of(c, domain).shape for c in (clip, longer))
    mask = np.zeros(shape, dtype=bool)
    mask[shape[0] // 2] = True
    (swap,) = of_name(
        of_signal(toy_models.signal_of(clip, family=family, mask=mask.ravel()), clip, [longer]), "swap"
    )
    rows = np.flatnonzero(swap.mask.reshape(new_shape).any(axis=1))
    middle = (rows.mean() + 0.5) / new_shape[0]
    assert middle == pytest.approx((shape[0] // 2 + 0.5) / shape[0], abs=1 / shape[0])


# --- the clip itself, and a rest that is not silent


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("n_samples", LENGTHS)
def test_the_full_mask_is_the_clip_to_the_last_bit(domain: str, n_samples: int) -> None:
    clip = noise(3, n_samples)
    n_rows, n_columns = domain_of(clip, domain).shape
    everything, nothing = parts_of(
        clip, domain, np.array([[True], [False]]).repeat(n_rows * n_columns, axis=1)
    )
    np.testing.assert_array_equal(everything, clip.waveform)
    assert not nothing.any()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_stimulus_has_the_same_rest_where_it_keeps_nothing(family: str) -> None:
    """What a stimulus and one like it without a rest differ by is the rest, without what is kept."""
    clip, other = noise(0, 1_600), noise(1, 1_600, "c1")
    rest = noise(2, 1_600).waveform
    atoms = parse_family(family).resolution.atoms(1_600, 16_000)
    signal = toy_models.signal_of(clip, family=family, mask=atoms.expand(np.arange(len(atoms)) == 3))
    with_rest, without = of_signal(signal, clip, [other], rest), of_signal(signal, clip, [other])
    assert [s.key for s in with_rest] == [s.key for s in without]
    domain = atoms.domain
    for one, plain, heard, silent in zip(with_rest, without, sounds(with_rest), sounds(without), strict=True):
        np.testing.assert_array_equal(one.mask, plain.mask)
        assert one.gain == plain.gain
        assert one.sound != plain.sound
        (expected,) = domain.keep(domain.forward(rest), ~one.mask[None])
        np.testing.assert_allclose(heard - silent, expected, atol=1e-5)


def test_a_rest_is_repeated_or_cut_for_a_clip_of_another_length() -> None:
    family = FAMILIES[1]
    clip, longer = noise(0, 1_600), noise(1, 4_000, "c1")
    signal = toy_models.signal_of(clip, family=family, mask=np.arange(10) == 2)
    rest = np.arange(1_600, dtype=np.float32)
    (swap,) = of_name(of_signal(signal, clip, [longer], rest), "swap")
    assert swap.rest is not None
    np.testing.assert_array_equal(swap.rest, np.concatenate([rest, rest, rest[:800]]))


def test_stimuli_of_two_domains_are_two_sounds_though_their_masks_agree() -> None:
    clip = noise(0, 1_600)
    of_blocks = toy_models.signal_of(clip, family=FAMILIES[1], mask=np.arange(10) == 2)
    base = of_signal(of_blocks, clip, ())[0]
    assert base.domain == "time"
    assert dataclasses.replace(base, domain="frequency").sound != base.sound
    silent = dataclasses.replace(base, mask=np.zeros(10, dtype=bool))
    assert silent.sound == dataclasses.replace(silent, domain="frequency").sound == b"silence1600"
