"""Every domain: clips come back, energies add up, atoms are a partition; and an MDCT by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.domains import DOMAINS, Atoms, Grid, fft, one_row, parse
from harness.domains.frequency import SCALES, Frequency
from harness.domains.time import Time
from harness.domains.time_frequency import TimeFrequency
from harness.errors import BadInput
from harness.types import Waveform

RATE_HZ = 16_000
NAMES = ("bins", "bands24", "mel40", "erb24", "blocks10ms", "blocks30ms", "tiles1x1", "tiles2x4", "tiles8x16")
LENGTHS = st.integers(1, 5_000)


def noise(n_samples: int, seed: int = 0) -> Waveform:
    return np.random.default_rng(seed).normal(0, 0.1, n_samples).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
@given(LENGTHS, st.integers(0, 1_000), st.sampled_from([8_000, 11_025, 16_000]))
@settings(deadline=None, max_examples=25)
def test_a_clip_comes_back_and_its_energies_add_up(name: str, n_samples: int, seed: int, rate: int) -> None:
    atoms, x = parse(name).atoms(n_samples, rate), noise(n_samples, seed)
    domain = atoms.domain
    assert domain.name == parse(name).domain
    coefficients = domain.forward(x)
    masks = np.zeros((2, len(atoms)), dtype=bool)
    masks[1] = True
    silence, whole = domain.keep(coefficients, atoms.expand(masks))
    assert not silence.any()
    np.testing.assert_allclose(whole, x, atol=1e-6)
    energy = atoms.pool(domain.products(coefficients, coefficients))
    assert (energy >= 0).all()
    np.testing.assert_allclose(energy.sum(), np.sum(x.astype(np.float64) ** 2), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@given(LENGTHS, st.integers(0, 1_000))
@settings(deadline=None, max_examples=15)
def test_a_signal_and_what_it_leaves_out_add_up_to_the_clip(name: str, n_samples: int, seed: int) -> None:
    atoms, x = parse(name).atoms(n_samples, RATE_HZ), noise(n_samples, seed)
    mask = np.random.default_rng(seed).random(len(atoms)) < 0.5
    signals = atoms.domain.keep(atoms.domain.forward(x), atoms.expand(np.stack([mask, ~mask])))
    np.testing.assert_allclose(signals.sum(axis=0), x, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_kept", [0, 1, 2])
def test_what_is_left_out_is_a_zero_that_a_file_gives_back_bit_by_bit(name: str, n_kept: int) -> None:
    """A decoded file has no -0.0, and the sha256 of a signal must be that of its file."""
    atoms, x = parse(name).atoms(4_000, RATE_HZ), noise(4_000)
    kept = np.arange(len(atoms)) < n_kept
    (signal,) = atoms.domain.keep(atoms.domain.forward(x), atoms.expand(kept)[None])
    assert not np.signbit(signal[signal == 0]).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_of_a_gain_is_that_of_a_difference(name: str) -> None:
    """Of the inner product with a waveform, which is linear: the product with each atom alone."""
    atoms, x, gradient = parse(name).atoms(2_000, RATE_HZ), noise(2_000), noise(2_000, 1)
    domain = atoms.domain
    slopes = atoms.pool(domain.products(domain.forward(x), domain.forward(gradient)))
    some = np.linspace(0, len(atoms) - 1, min(len(atoms), 12)).astype(int)
    alone = domain.keep(domain.forward(x), atoms.expand(np.eye(len(atoms), dtype=bool)[some]))
    np.testing.assert_allclose(slopes[some], alone.astype(np.float64) @ gradient, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@given(LENGTHS)
@settings(deadline=None, max_examples=25)
def test_atoms_cover_the_plane_without_overlap(name: str, n_samples: int) -> None:
    atoms = parse(name).atoms(n_samples, RATE_HZ)
    n_rows, n_columns = atoms.domain.shape
    for edges, n in ((atoms.row_edges, n_rows), (atoms.column_edges, n_columns)):
        assert (edges[0], edges[-1]) == (0, n)
        assert (np.diff(edges) >= 1).all()
    sizes = atoms.pool(np.ones(n_rows * n_columns))
    assert sizes.sum() == n_rows * n_columns
    for i in {0, len(atoms) // 2, len(atoms) - 1}:
        mask = atoms.expand(np.arange(len(atoms)) == i)
        assert mask.sum() == sizes[i]
        low, high, start, end = atoms.extent(i)
        assert 0 <= low < high <= RATE_HZ / 2
        assert 0 <= start <= end <= n_samples / RATE_HZ + 1e-9


@pytest.mark.parametrize("domain", DOMAINS)
@given(LENGTHS, st.integers(0, 1_000))
@settings(deadline=None, max_examples=15)
def test_signals_made_together_are_those_made_alone_to_the_last_bit(
    domain: str, n_samples: int, seed: int
) -> None:
    plane = DOMAINS[domain](n_samples, RATE_HZ)
    rng = np.random.default_rng(seed)
    shares = rng.random((7, 1)) ** 3
    masks = rng.random((7, plane.shape[0] * plane.shape[1])) < shares
    coefficients = plane.forward(noise(n_samples, seed))
    together = plane.keep(coefficients, masks)
    alone = np.concatenate([plane.keep(coefficients, mask[None]) for mask in masks])
    np.testing.assert_array_equal(together.view(np.uint32), alone.view(np.uint32))


def test_bands_are_those_of_the_spectrum_and_the_same_signals() -> None:
    x = noise(4_001)
    atoms = parse("bands128").atoms(len(x), RATE_HZ)
    masks = np.random.default_rng(0).random((5, 128)) < 0.3
    X = fft.spectrum(x)
    of_bins = np.repeat(masks, np.diff(atoms.column_edges), axis=1)
    np.testing.assert_array_equal(atoms.expand(masks), of_bins)
    np.testing.assert_array_equal(
        atoms.domain.keep(atoms.domain.forward(x), atoms.expand(masks)), fft.keep(X, of_bins, len(x))
    )
    energy = fft.bin_energy(X, len(x))
    np.testing.assert_allclose(atoms.domain.products(X, X), energy, rtol=1e-12)
    np.testing.assert_allclose(
        atoms.pool(energy), np.add.reduceat(energy, atoms.column_edges[:-1]), rtol=1e-12
    )


def test_energies_of_atoms_are_sums_over_their_coefficients() -> None:
    atoms = Atoms(Frequency(10, RATE_HZ), np.array([0, 1]), np.array([0, 1, 4, 6]))
    assert atoms.pool(np.arange(6.0)).tolist() == [0.0, 6.0, 9.0]
    assert atoms.spread(np.array([5, 6, 7])).tolist() == [5, 6, 6, 6, 7, 7]


@pytest.mark.parametrize("scale", SCALES)
def test_bands_are_even_on_their_scale(scale: str) -> None:
    domain = Frequency(32_000, RATE_HZ)
    edges = SCALES[scale](domain, 24)
    centres = edges[12:-1] * RATE_HZ / 32_000
    on_scale = {
        "bands": np.log(centres),
        "mel": np.log10(1 + centres / 700),
        "erb": np.log10(1 + 0.00437 * centres),
    }[scale]
    assert np.ptp(np.diff(on_scale)) < 0.01 * np.diff(on_scale).mean()


def test_the_mdct_is_that_of_its_definition() -> None:
    domain, x = TimeFrequency(700, 4_000), noise(700)
    n_frames, hop = domain.shape
    assert hop == 64
    padded = np.concatenate([np.zeros(hop), x, np.zeros((n_frames + 1) * hop)])
    n, k = np.arange(2 * hop), np.arange(hop)
    cosines = np.cos(np.pi / hop * (n[:, None] + 0.5 + hop / 2) * (k + 0.5)) * np.sqrt(2 / hop)
    window = np.sin(np.pi * (n + 0.5) / (2 * hop))
    frames = np.stack([padded[i * hop : (i + 2) * hop] * window for i in range(n_frames)])
    np.testing.assert_allclose(domain.forward(x), frames @ cosines, atol=1e-9)


def test_a_tone_and_a_click_are_where_they_belong() -> None:
    n = 8_000
    tone = np.sin(2 * np.pi * 1_000 * np.arange(n) / RATE_HZ).astype(np.float32)
    click = np.zeros(n, dtype=np.float32)
    click[4_000] = 1
    for x, name in ((tone, "bands128"), (tone, "mel64"), (tone, "tiles64x4"), (click, "blocks10ms")):
        atoms = parse(name).atoms(n, RATE_HZ)
        coefficients = atoms.domain.forward(x)
        extent = atoms.extent(int(atoms.pool(atoms.domain.products(coefficients, coefficients)).argmax()))
        if x is tone:
            assert extent.low_hz - 1 <= 1_000 <= extent.high_hz + 1
        else:
            assert extent.start_s <= 0.25 <= extent.end_s
    assert str(extent) == "0 to 8000 Hz, 0.250 to 0.260 s"


def test_a_kept_stretch_of_blocks_is_the_clip_within_and_fades_at_its_ends() -> None:
    x = np.ones(1_600, dtype=np.float32)
    domain = Time(1_600, RATE_HZ)
    (kept,) = domain.keep(domain.forward(x), np.array([[False] * 3 + [True] * 4 + [False] * 3]))
    assert np.array_equal(kept[480 + 32 : 1_120 - 32], x[480 + 32 : 1_120 - 32])
    assert not kept[: 480 - 32].any()
    assert not kept[1_120 + 32 :].any()
    assert (np.diff(kept[480 - 32 : 480 + 32]) > 0).all()
    np.testing.assert_allclose(kept[:480][::-1][:32] + kept[480:512], 1, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("band128", "did you mean 'bands128'?"),
        ("bands0", "no resolution is called"),
        ("bands99999999", "numbers of at most 10,000,000"),
        ("bands٣", "no resolution is called"),
        ("tiles8", "no resolution is called"),
        ("tiles0x4", "no resolution is called"),
        ("blocks15ms", "multiples of 10 ms"),
        ("blocks10", "no resolution is called"),
        ("", "no resolution is called"),
        ("Bins", "did you mean 'bins'?"),
    ],
)
def test_a_name_that_is_no_resolution_is_refused_in_a_line(name: str, words: str) -> None:
    with pytest.raises(BadInput, match="resolution") as refusal:
        parse(name)
    assert words in str(refusal.value)


def test_every_domain_has_a_resolution() -> None:
    assert {parse(name).domain for name in NAMES} == set(DOMAINS)
    assert str(parse("tiles8x16")) == "tiles8x16"
    assert isinstance(parse("mel40").atoms(100, RATE_HZ), Atoms)


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 200))
@settings(deadline=None)
def test_regions_are_rectangles_that_cover_a_grid(n_rows: int, n_columns: int, n: int) -> None:
    rows, columns = (axis.ravel() for axis in np.indices((n_rows, n_columns)))
    region = Grid(rows, columns).regions(n)
    assert sorted(set(region)) == list(range(region.max() + 1))
    assert region.max() + 1 <= max(n, n_rows if n_columns > 1 else 1)
    for i in range(region.max() + 1):
        n_inside = len(set(rows[region == i])) * len(set(columns[region == i]))
        assert n_inside == np.count_nonzero(region == i)


def test_regions_of_a_row_are_even_in_log_frequency_and_those_of_a_column_in_time() -> None:
    row = np.bincount(one_row(1_000).regions(10))
    assert (np.diff(row) >= 0).all()
    assert row[-1] > 100 * row[0]
    time = parse("blocks10ms").atoms(16_000, RATE_HZ)
    assert np.bincount(time.grid(np.arange(100)).regions(10)).tolist() == [10] * 10


def test_rows_and_columns_without_an_allowed_atom_are_left_out_of_a_grid() -> None:
    atoms = parse("tiles8x16").atoms(8_000, RATE_HZ)
    allowed = np.array([0, 2, 2 * atoms.shape[1] + 2])
    grid = atoms.grid(allowed)
    assert grid.rows.tolist() == [0, 0, 1]
    assert grid.columns.tolist() == [0, 1, 1]
    assert grid.shape == (2, 2)
