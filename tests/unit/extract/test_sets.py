"""Further sets: disjoint signals, necessary and complete sets; answers by hand, and on disk."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import cli
from harness.dataset.suites import load
from harness.domains import fft
from harness.extract import journal_lines, runner
from harness.extract.minimal import Gradient, Minimal
from harness.extract.objectives import TOLERANCE, complete, margin, necessary, probability, sufficient
from harness.extract.responsibility import Responsibility
from harness.extract.search_task import Limits, Sets
from harness.types import MIN_MARGIN, SET_KINDS
from tests.helpers.corpus import make_corpus
from tests.helpers.tone_models import RATE, ToneModel, TwoToneModel, clip_of
from tests.helpers.toy_models import save_model

MINIMAL = (Minimal(),)
ALL = Sets(max_signals=4, contrastive=True)
IS_EXPECTED = np.array([False, True, False])


def two_tones():
    """A clip of both tones of `high`, at bins 300 and 350, in faint noise."""
    clip = clip_of("two", [0.0, 0.0, 0.3])
    second = 0.29 * np.sin(2 * np.pi * 3500 * np.arange(len(clip.waveform)) / RATE)
    return dataclasses.replace(clip, waveform=clip.waveform + second.astype(np.float32))


def found_in(clip, label_map, journal, listener, searches=MINIMAL, sets=ALL, **options):
    (result,) = runner.extract(
        listener, "toys/ear", label_map, [clip], searches, journal, sets=sets, **options
    )
    return result


def bins(record):
    return np.flatnonzero(record.mask).tolist()


def test_the_sets_of_two_tones_of_one_class_by_hand(label_map, journal):
    result = found_in(two_tones(), label_map, journal, TwoToneModel())
    (signal,) = result.signals
    assert bins(signal) == [300]
    assert result.skipped == ()
    by_kind = {s.kind: s for s in result.sets}
    assert {kind: bins(s) for kind, s in by_kind.items()} == {
        "disjoint": [350],  # and no third: noise is no `high`
        "necessary": [300, 350],  # without one of them it is still `high`
        "complete": [300, 350],  # one of them alone is less certain
    }
    assert by_kind["disjoint"].ordinal == 2
    assert by_kind["necessary"].set_id == "two:toys__ear:minimal@bins:necessary:1"
    for s in result.sets:
        assert s.guarantee == "one_minimal"
        assert s.n_atoms == 401
        assert s.seed != signal.seed


def test_one_tone_alone_is_all_of_it(label_map, journal):
    result = found_in(clip_of("one", [0.1, 0.1, 0.9]), label_map, journal, ToneModel())
    assert {s.kind: bins(s) for s in result.sets} == {"necessary": [300], "complete": [300]}


def test_what_is_written_of_a_set_is_what_the_model_says(label_map, journal):
    clip, ear = two_tones(), TwoToneModel()
    result = found_in(clip, label_map, journal, ear)
    X = fft.spectrum(clip.waveform)
    is_high = np.array([False, False, True])
    for s in result.sets:
        alone, without = ear.logits(fft.keep(X, np.stack([s.mask, ~s.mask]), s.n_samples), RATE)
        assert (s.p_alone, s.p_without) == (probability(alone, is_high), probability(without, is_high))
        assert (s.margin_alone, s.margin_without) == (margin(alone, is_high), margin(without, is_high))
        if s.kind != "disjoint":
            assert s.margin_without <= -MIN_MARGIN
        if s.kind != "necessary":
            assert s.margin_alone >= MIN_MARGIN
        if s.kind == "complete":
            assert abs(s.p_alone - s.p_whole) <= TOLERANCE


def test_disjoint_signals_share_no_bin_and_end_with_what_was_asked_for(clips, label_map, journals):
    searches = [Responsibility(repetitions=2, splits=3, resolution="bands50"), Minimal()]
    for clip in clips:
        result = found_in(clip, label_map, journals(), TwoToneModel(), searches, Sets(max_signals=3))
        for signal in result.signals:
            more = [s for s in result.sets if s.family == signal.family]
            assert [s.ordinal for s in more] == list(range(2, 2 + len(more)))
            assert len(more) <= (0 if signal.degenerate else 2)
            assert np.sum([signal.mask, *(s.mask for s in more)], axis=0).max() <= 1
            assert all(s.kind == "disjoint" and s.margin_alone >= MIN_MARGIN for s in more)


def test_a_degenerate_clip_has_no_further_sets(label_map, journal):
    result = found_in(clip_of("mid", [0.1, 0.9, 0.1]), label_map, journal, ToneModel())
    assert result.signals[0].degenerate
    assert result.sets == ()


def test_signals_are_the_same_with_and_without_further_sets(clips, label_map, journals):
    for clip in clips[:6]:
        alone, beside = (
            found_in(clip, label_map, journals(), TwoToneModel(), sets=sets).signals for sets in (Sets(), ALL)
        )
        assert [bins(s) for s in alone] == [bins(s) for s in beside]
        assert [s.n_queries for s in alone] == [s.n_queries for s in beside]


def test_a_search_by_slope_finds_sets_of_every_aim(label_map, journal):
    result = found_in(two_tones(), label_map, journal, TwoToneModel(), searches=[Gradient()])
    assert sorted(s.kind for s in result.sets) == sorted(SET_KINDS)


def test_a_spent_budget_leaves_a_set_that_is_still_what_it_says(label_map, journal):
    result = found_in(two_tones(), label_map, journal, TwoToneModel(), limits=Limits(budget=2))
    for s in result.sets:
        assert s.guarantee == "budget_spent"
        assert s.margin_without <= -MIN_MARGIN or s.kind == "disjoint"
        assert s.n_queries < 60


def test_sets_survive_the_journal(label_map, journal):
    result = found_in(two_tones(), label_map, journal, TwoToneModel())
    again = journal_lines.from_item(journal_lines.item(two_tones(), result))
    for one, other in zip(result.sets, again.sets, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert vars(one) | {"mask": None} == vars(other) | {"mask": None}


@pytest.mark.parametrize(
    ("aim", "alone", "without", "reached"),
    [
        (sufficient(), 1.0, None, True),
        (sufficient(), MIN_MARGIN / 2, None, False),
        (sufficient(0.9), 1.0, None, False),  # p = e / (e + 2) = .58
        (sufficient(0.5), 1.0, None, True),
        (necessary(), None, -1.0, True),
        (necessary(), None, -MIN_MARGIN / 2, False),
        (complete(0.576), 1.0, -1.0, True),
        (complete(0.6), 1.0, -1.0, False),
        (complete(0.5), 1.0, -1.0, False),  # too certain is not the confidence of the clip either
        (complete(0.576), 1.0, 1.0, False),
    ],
)
def test_when_an_aim_is_reached(aim, alone, without, reached):
    rows = [[0.0, x, 0.0] for x in (alone, without) if x is not None]
    assert aim.n_signals == len(rows)
    assert aim.are_met(np.array(rows, dtype=np.float32), IS_EXPECTED).tolist() == [reached]


@given(st.integers(1, 5), st.integers(1, 30))
def test_an_aim_hears_each_mask_and_then_the_rest_of_it(m, n_atoms):
    masks = np.random.default_rng(m * n_atoms).random((m, n_atoms)) < 0.5
    assert (sufficient().signal_masks(masks) == masks).all()
    assert (necessary().signal_masks(masks) == ~masks).all()
    both = complete(0.5).signal_masks(masks)
    assert (both[::2] == masks).all()
    assert (both[1::2] == ~masks).all()


def test_sets_are_stored_beside_the_signals_and_counted_nowhere(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", *((f"c{i}.wav", "happy") for i in range(2)))
    model = save_model(tmp_path / "ear", "wav2vec2", ("neu", "hap", "ang", "sad"))

    def extract(out, *options):
        command = ["extract", model, "--task", "emotion", "--corpus", corpus, "--out", tmp_path / out]
        assert cli.run([str(part) for part in (*command, "--search", "minimal", *options)]) == 0
        suite = load(str(tmp_path / out))
        return suite, list(suite.causal_sets("emotion", "local__ear"))

    plain, none = extract("plain")
    assert none == []
    asked = ("--max-signals", "3", "--contrastive")
    suite, sets = extract("sets", *asked)
    assert {s.kind for s in sets} == set(SET_KINDS)
    (record,) = suite.references("emotion")
    assert {(c.kind, c.most, c.n_sets) for c in record.sets} == {
        (kind, 2 if kind == "disjoint" else 1, sum(s.kind == kind for s in sets)) for kind in SET_KINDS
    }
    assert suite.ref("emotion").sha256 == plain.ref("emotion").sha256
    assert suite.counts("emotion") == plain.counts("emotion")
    assert suite.expected_verdicts("emotion") == plain.expected_verdicts("emotion")
    before = (suite.root / "manifest.json").read_bytes()
    extract("sets", *asked)
    extract("sets")
    assert (suite.root / "manifest.json").read_bytes() == before, "done already: nothing is done again"
    suite, sets = extract("plain", *asked)
    assert {s.kind for s in sets} == set(SET_KINDS)
    suite, sets = extract("plain", "--alpha", "0.5")
    assert sets == [], "of signals that are gone"
