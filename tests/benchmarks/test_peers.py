"""The searches we compare with keep the contract, and the request to ReX is pinned."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.domains import fft, parse
from harness.domains.masks import runs
from harness.models import loading
from harness.starter.paths import cache
from harness.types import LabelMap
from tests.benchmarks.baselines import BackwardSelection, QuickXplain
from tests.benchmarks.extract import extracted
from tests.benchmarks.rex import peer
from tests.helpers import rounding
from tests.helpers.planted_evidence import CUES, N_SAMPLES, RATE_HZ, planted, recovery
from tests.helpers.tone_models import RATE, clip_of
from tests.helpers.toy_functions import monotone, removable, solve, toys
from tests.helpers.toy_models import save_model

CACHE = cache()
"""The user's: asked for before the tests get one of their own."""


@given(toys, st.integers(0, 100))
@settings(deadline=None)
def test_backward_selection_finds_a_sufficient_set_that_nothing_can_leave(toy, seed):
    n_bands, sufficient = toy
    found, asked = solve(BackwardSelection(), sufficient, np.random.default_rng(seed).random(n_bands))
    assert found.guarantee == "one_minimal"
    assert sufficient(found.mask)
    assert removable(found.mask, sufficient) == []
    assert asked <= n_bands * (n_bands + 1) / 2


@given(toys, st.integers(0, 100))
@settings(deadline=None)
def test_quickxplain_finds_a_sufficient_set_whatever_is_accepted(toy, seed):
    n_bands, sufficient = toy
    found, asked = solve(QuickXplain(), sufficient, np.random.default_rng(seed).random(n_bands))
    assert sufficient(found.mask)
    assert asked <= 2 * n_bands


@given(monotone(), st.integers(0, 100))
@settings(deadline=None)
def test_quickxplain_is_minimal_where_acceptance_is_monotone(toy, seed):
    n_bands, sufficient = toy
    found, _ = solve(QuickXplain(), sufficient, np.random.default_rng(seed).random(n_bands))
    assert removable(found.mask, sufficient) == []


@pytest.mark.parametrize(("search", "n_questions"), [(QuickXplain(), 40), (BackwardSelection(), 60 * 61 / 2)])
def test_the_two_needed_bands_are_found_by_hand(search, n_questions):
    found, asked = solve(search, lambda mask: mask[7] and mask[42], np.linspace(1, 0, 60))
    assert np.flatnonzero(found.mask).tolist() == [7, 42]
    assert asked <= n_questions


def test_of_the_bands_that_can_go_the_quietest_goes():
    found, _ = solve(BackwardSelection(), lambda mask: mask.sum() >= 2, np.array([3.0, 1.0, 4.0, 2.0]))
    assert np.flatnonzero(found.mask).tolist() == [0, 2]


@pytest.mark.parametrize("search", [QuickXplain(), BackwardSelection(resolution="bands32")])
def test_the_engine_runs_them_as_searches_of_its_own(search):
    """From the whole clip to a signal that was packed and read again."""
    atoms, classes = parse(search.resolution).atoms(N_SAMPLES, RATE_HZ), ("there", "not there")
    clip, listener, chosen = planted(atoms, *CUES["one"], seed=0)
    (result,) = extracted(listener, LabelMap("planted", classes, classes, "names"), [clip], [search])
    (signal,) = result.signals
    assert signal.mask[atoms.expand(np.arange(len(atoms)) == chosen)].all()
    assert signal.n_queries > 0


def test_every_package_asked_for_beside_rex_has_one_version():
    assert peer.ENVIRONMENT[0] == "rex-xai==0.4.1"
    assert {line.split("==")[0] for line in peer.ENVIRONMENT[1:]} == set(peer._OURS)


with_rex = pytest.mark.skipif(
    not peer.is_made(), reason="python -m tests.benchmarks.rex.peer makes it: 1.7 GB"
)


@with_rex
@pytest.mark.slow
def test_rex_finds_what_our_own_model_room_finds_sufficient(tmp_path, monkeypatch):
    monkeypatch.setenv("GOODENOUGH_CACHE", str(CACHE))
    model = save_model(tmp_path / "toy", "wav2vec2", ("low", "mid", "high"), sample_rate_hz=RATE)
    clip = clip_of("c", [0.8, 0.4, 0.3])
    (outcome,) = peer.ask(model, [clip])
    classifier = loading.load(str(model), device="cpu")
    for variant in (outcome.shipped, outcome.index_fixed):
        assert variant.queries == variant.calls > outcome.map_queries
        kept = fft.keep(fft.spectrum(clip.waveform), variant.mask, len(clip.waveform))
        whole, masked = classifier.logits([clip.waveform, kept], RATE)
        top = int(whole.argmax())
        assert classifier.class_names[top] == outcome.said
        assert variant.sufficient == (masked.argmax() == top)
        assert variant.margin == pytest.approx(
            masked[top] - np.delete(masked, top).max(), abs=rounding.MARGIN
        )
    # The fault: a location is applied as all bins below it.
    assert runs(outcome.shipped.mask)[:, 0].tolist() == [0]
    # Batches of one, ten bins more in each.
    extraction = outcome.index_fixed.queries - outcome.map_queries
    assert outcome.index_fixed.mask.sum() == min(10 * extraction, outcome.n_bins)


@with_rex
@pytest.mark.slow
def test_rex_keeps_the_only_bin_that_is_needed_and_its_own_ten_at_a_time(monkeypatch):
    monkeypatch.setenv("GOODENOUGH_CACHE", str(CACHE))
    clip, listener, chosen = planted(parse("bins").atoms(N_SAMPLES, RATE_HZ), *CUES["one"], seed=0)
    (outcome,) = peer.ask_planted([clip], [listener])
    assert (outcome.said, outcome.degenerate) == ("there", False)
    for variant in (outcome.shipped, outcome.index_fixed):
        kept = fft.keep(fft.spectrum(clip.waveform), variant.mask, N_SAMPLES)
        there, not_there = listener.logits([kept], RATE_HZ)[0]
        assert variant.sufficient == (there > not_there)
        assert variant.margin == pytest.approx(there - not_there, abs=rounding.MARGIN)
        assert variant.mask[chosen].all()
    fixed = recovery(outcome.index_fixed.mask, chosen, listener.n_needed, outcome.index_fixed.queries)
    assert (fixed.precision, fixed.recall) == (0.1, 1)
