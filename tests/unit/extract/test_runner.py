"""Runs over many clips: certified, resumable, the same in any order."""

import dataclasses
import json

import numpy as np
import pytest

from harness import audio
from harness.completions import CHECKED
from harness.dataset.parquet_schema import level_sizes
from harness.domains import fft, parse
from harness.domains.masks import runs
from harness.extract import journal_lines, runner
from harness.extract.minimal import Gradient, Minimal
from harness.extract.objectives import margin
from harness.extract.oracle import SLOPE_QUERIES, SearchState, ask
from harness.extract.responsibility import Responsibility
from harness.extract.search import Slope
from harness.extract.search_task import Draws, Limits, family_of, search_name
from harness.families import atoms_of
from harness.journal import Journal
from harness.types import MIN_MARGIN, N_COMPLETIONS, N_LEVELS, OTHER, LabelMap
from tests.helpers.families import FAMILIES, HEADLINE, MINIMAL
from tests.helpers.tone_models import RATE, TONES_HZ, ToneModel, TwoToneModel, clip_of

SEARCHES = [Responsibility(repetitions=2, splits=3), Minimal()]


def same(one, other):
    """Two lists of Extracted agree to the last bit."""
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.skipped == b.skipped
        for s, t in zip(a.signals, b.signals, strict=True):
            np.testing.assert_array_equal(s.mask, t.mask)
            np.testing.assert_array_equal(s.levels, t.levels)
            rest = {"mask": None, "levels": None}
            assert vars(s) | rest == vars(t) | rest
    return True


def extracted(clips, label_map, journal, listener=None, searches=SEARCHES, **options):
    return runner.extract(listener or ToneModel(), "toys/ear", label_map, clips, searches, journal, **options)


def test_every_signal_is_sufficient_as_decoded_from_its_bytes(clips, label_map, journal):
    ear = ToneModel()
    by_id = {clip.clip_id: clip for clip in clips}
    for result in extracted(clips, label_map, journal):
        assert [s.family for s in result.signals] == [MINIMAL, HEADLINE]
        for signal in result.signals:
            if signal.degenerate:
                continue
            X = fft.spectrum(by_id[signal.clip_id].waveform)
            waveform = fft.keep(X, signal.mask, signal.n_samples)
            decoded = audio.read(audio.encode(waveform, signal.sample_rate_hz))[0]
            logits = ear.logits([decoded], signal.sample_rate_hz)[0]
            assert label_map.canonical[int(np.argmax(logits))] == signal.expected
            assert signal.margin >= MIN_MARGIN
            assert audio.sha256(decoded) == signal.sha256


def test_the_minimal_signal_of_a_tone_is_the_bin_of_the_tone(label_map, journal):
    (result,) = extracted([clip_of("a", [0.1, 0.1, 0.9])], label_map, journal)
    minimal = result.signals[0]
    assert runs(minimal.mask).tolist() == [[TONES_HZ["high"] // 10, 1]]
    assert minimal.guarantee == "one_minimal"
    assert minimal.n_atoms == 401


@pytest.mark.parametrize("resolution", ["bins", "bands20"])
def test_the_levels_of_a_minimal_signal_go_from_its_mask_to_the_whole_clip(
    clips, label_map, journal, resolution
):
    searches = [Minimal(), Responsibility(repetitions=2, splits=3, resolution=resolution)]
    for clip, result in zip(clips, extracted(clips, label_map, journal, searches=searches), strict=True):
        minimal, other = result.signals
        assert other.levels is None
        assert (minimal.levels is None) == minimal.degenerate
        if minimal.degenerate:
            continue
        np.testing.assert_array_equal(minimal.levels == 0, minimal.mask)
        sizes = [int((minimal.levels <= j).sum()) for j in range(N_LEVELS)]
        assert sizes == level_sizes(minimal.n_kept, len(minimal.mask)).tolist()
        X = fft.spectrum(clip.waveform)
        whole = fft.keep(X, minimal.levels <= N_LEVELS - 1, minimal.n_samples)
        np.testing.assert_array_max_ulp(whole, clip.waveform, maxulp=1)


def test_results_on_disk_are_those_in_memory(clips, label_map, journals, monkeypatch):
    in_memory = extracted(clips[:4], label_map, journals())
    monkeypatch.setattr(journal_lines, "_MAX_BYTES", 1)
    assert same(in_memory, extracted(clips[:4], label_map, journals()))


def test_the_band_that_matters_comes_early_among_the_levels(label_map, journal):
    # The low tone is louder than the noise around the high one, but speaks for another class.
    clip = clip_of("a", [0.1, 0.1, 0.9])
    (result,) = extracted([clip], label_map, journal, searches=[Responsibility(), Minimal()])
    levels = result.signals[0].levels
    at = {name: hz // 10 for name, hz in TONES_HZ.items()}
    assert levels[at["high"]] == 0
    assert levels[at["high"] - 1] < levels[at["low"]]
    assert levels[at["high"] + 1] < levels[at["low"]]


@pytest.mark.parametrize(
    ("searches", "budget"),
    [([Minimal()], None), ([Minimal(resolution="bands20")], None), (SEARCHES, 5)],
    ids=str,
)
def test_without_a_finished_ranking_there_are_no_levels(label_map, journal, searches, budget):
    clip = clip_of("a", [0.1, 0.1, 0.9])
    (result,) = extracted([clip], label_map, journal, searches=searches, limits=Limits(budget))
    assert len(result.signals) == len(searches)
    assert all(signal.levels is None for signal in result.signals)


def test_a_line_of_the_journal_holds_the_levels_in_few_bytes(clips, label_map, journal):
    whole = extracted(clips, label_map, journal)
    items = [json.loads(line[9:]) for line in journal.path.read_bytes().splitlines()[1:]]
    of = {item["clip_id"]: journal_lines.from_item(item) for item in items}
    assert same(whole, [of[clip.clip_id] for clip in clips])
    packed = [s["levels"] for item in items for s in item["signals"] if s["levels"] is not None]
    assert len(packed) == sum(not s.degenerate for e in whole for s in e.signals) / 2 > 10
    assert max(map(len, packed)) < 300, "of 401 bins"


def test_a_class_that_silence_gets_too_is_degenerate_with_an_empty_mask(label_map, journal):
    (result,) = extracted([clip_of("mid", [0.1, 0.9, 0.1])], label_map, journal)
    for signal in result.signals:
        assert signal.degenerate
        assert signal.n_kept == 0
        assert signal.n_queries == 3


def test_neither_order_nor_company_of_the_clips_changes_a_signal(clips, label_map, journals, monkeypatch):
    one = extracted(clips, label_map, journals())
    backwards = extracted(clips[::-1], label_map, journals())
    assert same(one, backwards[::-1])
    monkeypatch.setattr(runner, "_POOL", 2)
    monkeypatch.setattr(runner, "_QUESTIONS_AT_ONCE", 1)
    assert same(one, extracted(clips, label_map, journals()))


class Killed(Exception):
    """A stand-in for a kill."""


@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_run_that_was_cut_off_continues_to_the_same_content(
    clips, label_map, journal, tmp_path, monkeypatch, after
):
    monkeypatch.setattr(runner, "_POOL", 4)
    whole = extracted(clips, label_map, journal)

    class Dying(ToneModel):
        def logits(self, waveforms, sample_rate_hz):
            if len(path.read_bytes().splitlines()) > after:
                raise Killed
            return super().logits(waveforms, sample_rate_hz)

    path = tmp_path / "cut"
    cut = Journal(path, {}, "")
    with pytest.raises(Killed):
        extracted(clips, label_map, cut, Dying())
    cut.close()
    path.write_bytes(path.read_bytes()[:-7])  # and the last line torn
    again = Journal(path, {}, "")
    assert len(again.items) < len(clips)
    assert same(whole, extracted(clips, label_map, again))
    again.close()


def test_progress_adds_up_to_all_clips_and_all_queries(clips, label_map, journal):
    told = []
    results = extracted(clips, label_map, journal, progress=lambda n, queries: told.append((n, queries)))
    assert sum(n for n, _ in told) == len(clips)
    spent = sum(s.n_queries - 3 for r in results for s in r.signals)
    assert sum(queries for _, queries in told) == spent


def test_a_spent_budget_is_said_and_the_signal_still_sufficient(label_map, journal):
    clip = clip_of("a", [0.1, 0.1, 0.9])
    (result,) = extracted([clip], label_map, journal, searches=[Minimal()], limits=Limits(2))
    (signal,) = result.signals
    assert signal.guarantee == "budget_spent"
    assert signal.margin >= MIN_MARGIN
    assert signal.n_queries < 30


def test_a_clip_whose_class_is_none_of_the_task_is_skipped_with_the_reason(journal):
    label_map = LabelMap("toy", ("LOW", "MID", "noise"), ("low", "mid", OTHER), "names")
    (result,) = extracted([clip_of("a", [0.1, 0.1, 0.9])], label_map, journal)
    assert result.signals == ()
    assert result.skipped[0].why == "the reference says 'noise', which is no label of the task"


def test_a_clip_without_a_lead_is_skipped_with_the_reason(label_map, journal):
    t = np.arange(800) / 8000
    tie = sum(np.sin(2 * np.pi * hz * t) for hz in (500, 3000)).astype(np.float32)
    tied = dataclasses.replace(clip_of("tie", [0, 0, 0]), waveform=tie)
    (result,) = extracted([tied], label_map, journal)
    assert "leads by less than 0.001" in result.skipped[0].why


def test_questions_asked_before_are_neither_asked_nor_counted_again(label_map, journal):
    ear = ToneModel()
    (result,) = extracted([clip_of("a", [0.1, 0.1, 0.9])], label_map, journal, ear)
    asked = sum(s.n_queries - 3 for s in result.signals)
    # whole clip, all bins kept and silence once; a certificate per family, and once more with each rest
    n_rests = 1 + (len(CHECKED) - 1) * N_COMPLETIONS
    assert ear.n_heard == asked + 3 + 2 * (1 + n_rests)


def test_a_budget_is_part_of_the_name_of_a_search(label_map, journal):
    (result,) = extracted([clip_of("a", [0.1, 0.1, 0.9])], label_map, journal, limits=Limits(9000))
    names = {s.family: s.search for s in result.signals}
    assert names == {str(family_of(search)): f"{search!r} within 9000 queries" for search in SEARCHES}
    assert search_name(SEARCHES[1], Limits()) == "Minimal(resolution='bins')"


class Slanted(ToneModel):
    """An ear that says how its lead changes: by the amplitude of each tone."""

    def input_gradients(self, waveforms, sample_rate_hz, is_expected):
        found = []
        for x, expected in zip(waveforms, is_expected, strict=True):
            (logits,) = self.logits([x], sample_rate_hz)
            best = np.flatnonzero(expected)[0]
            other = max(np.flatnonzero(~expected), key=lambda i: logits[i])
            slope = np.zeros(len(x))
            for i, sign in ((best, 1), (other, -1)):
                tone = np.zeros(len(x) // 2 + 1, dtype=complex)
                at = round(list(TONES_HZ.values())[i] * len(x) / RATE)
                tone[at] = np.exp(1j * np.angle(np.fft.rfft(x)[at]))
                slope += sign * 10 * np.fft.irfft(tone, len(x))
            found.append(slope.astype(np.float32))
        return found


def test_the_slope_of_a_band_is_what_its_gain_changes(clips):
    clip, ear = clips[0], Slanted()
    expected = ear.logits([clip.waveform], RATE)[0]
    is_expected = np.arange(3) == expected.argmax()
    case = SearchState(clip, is_expected, parse("bins").atoms(len(clip.waveform), RATE))
    ask(ear, [(case, Slope(np.ones(len(case.atoms), dtype=bool)))])
    assert case.n_queries == SLOPE_QUERIES
    for at in (round(hz * len(clip.waveform) / RATE) for hz in TONES_HZ.values()):
        gain = np.ones(len(case.atoms))
        gain[at] = 1.01
        louder = np.fft.irfft(case.coefficients * gain, len(clip.waveform)).astype(np.float32)
        changed = margin(ear.logits([louder], RATE)[0], is_expected) - margin(expected, is_expected)
        assert case.slope[at] == pytest.approx(changed / 0.01, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("listener", [ToneModel(), Slanted()], ids=["no slopes", "slopes"])
def test_the_white_box_search_is_certified_too(clips, label_map, journal, listener):
    for result in extracted(clips, label_map, journal, listener, searches=[Gradient()]):
        (signal,) = result.signals
        assert signal.family == MINIMAL
        assert signal.guarantee == "one_minimal"
        assert signal.degenerate or signal.margin >= MIN_MARGIN


def test_alpha_asks_for_a_share_of_the_confidence(label_map, journals):
    clip = clip_of("a", [0.0, 0.0, 0.3])
    t = np.arange(len(clip.waveform)) / RATE
    second = (0.29 * np.sin(2 * np.pi * 3500 * t)).astype(np.float32)
    clip = dataclasses.replace(clip, waveform=clip.waveform + second)
    kept = {}
    for alpha in (0.0, 0.95):
        (result,) = extracted(
            [clip], label_map, journals(), TwoToneModel(), searches=[Minimal()], limits=Limits(alpha=alpha)
        )
        (signal,) = result.signals
        assert signal.p_signal >= alpha * signal.p_whole
        kept[signal.search] = signal.n_kept
    assert kept == {f"{Minimal()!r}": 1, f"{Minimal()!r} at alpha 0.95": 2}


@pytest.mark.parametrize("seconds", [30, 60])
def test_a_long_clip_costs_hardly_more_queries_than_a_short_one(label_map, journals, seconds):
    searches = [Minimal(), Responsibility(repetitions=1, splits=3, resolution="bands64")]
    of = {}
    for n_samples in (RATE, seconds * RATE):
        clip = clip_of("long", [0.1, 0.1, 0.9], n_samples)
        (result,) = extracted([clip], label_map, journals(), searches=searches)
        of[n_samples] = [signal.n_queries for signal in result.signals]
        assert [s.guarantee for s in result.signals] == ["one_minimal", "prefix_minimal"]
    assert of[seconds * RATE][0] <= 1.5 * of[RATE][0]


# --- seeds and draws

THREE = Draws(seed=7, n=3)


def by_draw(result, family):
    return {s.draw: s for s in result.signals if s.family == family}


def test_draws_carry_seed_and_number_and_stand_in_order(clips, label_map, journal):
    results = extracted(clips[:4], label_map, journal, draws=THREE)
    for result in results:
        assert [(s.family, s.draw) for s in result.signals] == [
            (family, draw) for family in (MINIMAL, HEADLINE) for draw in (1, 2, 3)
        ]
        for s in result.signals:
            assert s.signal_id == f"{s.clip_id}:toys__ear:{s.family}:7.{s.draw}"
        assert len({s.signal_id for s in result.signals}) == len({s.seed for s in result.signals}) == 6


def test_draws_are_independent_and_the_first_is_what_one_draw_gives(clips, label_map, journals):
    draws = extracted(clips, label_map, journals(), draws=THREE)
    one = extracted(clips, label_map, journals(), draws=Draws(seed=7))
    two = extracted(clips, label_map, journals(), draws=Draws(seed=7, n=2))
    other_seed = extracted(clips, label_map, journals(), draws=Draws(seed=8))
    differing = seeds_differing = 0
    for many, few, single, other in zip(draws, two, one, other_seed, strict=True):
        for family in FAMILIES:
            of = by_draw(many, family)
            for fewer in (few, single):
                for draw, signal in by_draw(fewer, family).items():
                    np.testing.assert_array_equal(signal.mask, of[draw].mask)
                    np.testing.assert_array_equal(signal.levels, of[draw].levels)
                    assert (signal.signal_id, signal.seed) == (of[draw].signal_id, of[draw].seed)
            # The mask is the tone in every draw; what lies around it is ranked by other partitions.
            differing += not np.array_equal(of[1].levels, of[2].levels)
            alone = by_draw(other, family)[1]
            seeds_differing += not np.array_equal(of[1].levels, alone.levels)
            assert alone.seed != of[1].seed
    assert differing >= 10
    assert seeds_differing >= 10


def test_neither_order_nor_batch_nor_a_restart_changes_a_draw(
    clips, label_map, journals, journal, tmp_path, monkeypatch
):
    whole = extracted(clips[:6], label_map, journals(), draws=THREE)
    assert same(whole, extracted(clips[5::-1], label_map, journals(), draws=THREE)[::-1])
    monkeypatch.setattr(runner, "_POOL", 2)
    monkeypatch.setattr(runner, "_QUESTIONS_AT_ONCE", 1)
    assert same(whole, extracted(clips[:6], label_map, journals(), ToneModel(batch_size=3), draws=THREE))
    cut = Journal(tmp_path / "cut", {}, "")
    extracted(clips[:6], label_map, cut, draws=THREE)
    cut.close()
    lines = (tmp_path / "cut").read_bytes().splitlines(keepends=True)
    (tmp_path / "cut").write_bytes(b"".join(lines[:4]))
    again = Journal(tmp_path / "cut", {}, "")
    assert len(again.items) == 3
    assert same(whole, extracted(clips[:6], label_map, again, draws=THREE))
    again.close()


def test_levels_are_of_the_ranking_of_their_own_draw(clips, label_map, journals):
    """A run of that draw alone gives the same levels: no other draw has a part in them."""
    searches = [Minimal(), Responsibility(repetitions=1, splits=3)]
    n_differing = 0
    for clip, result in zip(
        clips, extracted(clips, label_map, journals(), searches=searches, draws=Draws(n=2)), strict=True
    ):
        one, two = by_draw(result, MINIMAL).values()
        if one.degenerate:
            continue
        for signal in (one, two):
            np.testing.assert_array_equal(signal.levels == 0, signal.mask)
        n_differing += not np.array_equal(one.levels, two.levels)
        (alone,) = extracted([clip], label_map, journals(), searches=searches)
        np.testing.assert_array_equal(by_draw(alone, MINIMAL)[1].levels, one.levels)
    assert n_differing >= 10


def test_families_can_have_different_numbers_of_draws(clips, label_map, journal):
    draws = Draws(n=1, by_family=((HEADLINE, 2),))
    (result,) = extracted(clips[:1], label_map, journal, draws=draws)
    assert [(s.family, s.draw) for s in result.signals] == [
        *((MINIMAL, 1), (HEADLINE, 1), (HEADLINE, 2)),
    ]
    assert search_name(SEARCHES[0], Limits(), draws).endswith(", 2 draws")
    assert search_name(SEARCHES[1], Limits(), draws) == repr(SEARCHES[1])


def test_seed_and_draws_are_part_of_the_name_of_a_search():
    names = [
        search_name(SEARCHES[1], Limits(), draws)
        for draws in (Draws(), Draws(3), Draws(n=2), Draws(3, 2), Draws(0, 1))
    ]
    assert names == [
        repr(SEARCHES[1]),
        f"{SEARCHES[1]!r}, seed 3",
        f"{SEARCHES[1]!r}, 2 draws",
        f"{SEARCHES[1]!r}, seed 3, 2 draws",
        repr(SEARCHES[1]),
    ]


def test_the_probabilities_of_a_clip_are_of_the_labels_in_alphabetical_order(journal):
    label_map = LabelMap("toy", ("LOW", "MID", "HIGH"), ("zebra", OTHER, "ape"), "names")
    clip, ear = clip_of("a", [0.2, 0.1, 0.9]), ToneModel()
    (result,) = extracted([clip], label_map, journal, ear)
    logits = ear.logits([clip.waveform], RATE)[0].astype(float)
    p = np.exp(logits) / np.exp(logits).sum()
    for signal in result.signals:
        assert signal.p_clip == pytest.approx((p[2], p[0]), rel=1e-5)
        assert signal.p_whole == pytest.approx(signal.p_clip[0])


def test_the_probabilities_of_a_clip_sum_to_one_where_every_class_is_a_label(clips, label_map, journal):
    for result in extracted(clips, label_map, journal):
        for signal in result.signals:
            assert len(signal.p_clip) == 3
            assert sum(signal.p_clip) == pytest.approx(1.0)
            labels = sorted(label_map.covered)
            assert signal.p_clip[labels.index(signal.expected)] == pytest.approx(signal.p_whole)
            assert max(signal.p_clip) == pytest.approx(signal.p_whole)


def test_responsibility_works_on_32_bands_unless_it_is_told_otherwise(label_map, journal):
    assert Responsibility().resolution == "bands32"
    clip = clip_of("a", [0.1, 0.1, 0.9])
    (result,) = extracted([clip], label_map, journal, searches=[Responsibility(repetitions=1, splits=2)])
    (signal,) = result.signals
    assert signal.n_atoms == 32
    edges = atoms_of(signal).column_edges
    whole = np.logical_and.reduceat(signal.mask, edges[:-1])
    some = np.logical_or.reduceat(signal.mask, edges[:-1])
    np.testing.assert_array_equal(whole, some)
