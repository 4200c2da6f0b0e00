"""How much signals depend on the draw: a toy counted by hand, and what holds of any masks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.estimates import clip_weights
from harness.metrics.stability import jaccard, of_signals, stability_of
from harness.types import LabelMap, ModelRef, signal_id
from tests.helpers.families import FAMILIES

HEADLINE, MINIMAL = FAMILIES
CLIPS = tuple("abcdefgh")
WEIGHTS = clip_weights(len(CLIPS), ("toy",))
LABELS = LabelMap("toy", ("yes", "no"), ("yes", "no"), "names")


def model(name, weights=None):
    return ModelRef(f"toys/{name}", "0" * 40, weights or f"weights of {name}")


REFERENCE = model("reference")


class ToySuite:
    """Signals as a suite gives them; `masks` by clip, a tuple of kept bins for each draw."""

    def __init__(self, masks, degenerate=()):
        self.lines, self.masks = [], {}
        for clip_id, draws in masks.items():
            for draw, bins in enumerate(draws, start=1):
                name = signal_id(clip_id, REFERENCE.slug, HEADLINE, 0, draw)
                mask = np.isin(np.arange(16), bins)
                self.masks[name] = mask
                self.lines.append(
                    SimpleNamespace(
                        signal_id=name,
                        clip_id=clip_id,
                        family=HEADLINE,
                        draw=draw,
                        expected="yes",
                        degenerate=clip_id in degenerate,
                        n_kept=int(mask.sum()),
                    )
                )

    def clip_lines(self, task):
        return [SimpleNamespace(clip_id=clip_id) for clip_id in CLIPS]

    def signal_lines(self, task, slug):
        return self.lines

    def mask(self, task, slug, name):
        return self.masks[name]


def judge(name, rejected, suite, labels=LABELS, weights=None):
    """A model that accepts all signals but those named `<clip>.<draw>`."""
    rows = [
        {
            "stimulus": "signal",
            "family": line.family,
            "reference": REFERENCE.repo_id,
            "level": None,
            "signal_id": line.signal_id,
            "expected": line.expected,
            "predicted": "no" if f"{line.clip_id}.{line.draw}" in rejected else "yes",
        }
        for line in suite.lines
        if not line.degenerate
    ]
    return model(name, weights), labels, pd.DataFrame(rows)


def stability(suite, *judges):
    on_signals = [(ref, labels, of_signals(verdicts)) for ref, labels, verdicts in judges]
    return stability_of(suite, "toy", REFERENCE, HEADLINE, on_signals, WEIGHTS)


def test_two_draws_of_two_clips_by_hand():
    """Clip a: 2 and 4 bins, 1 in common of 5; clip b: the same 3 bins; clip c has one draw."""
    suite = ToySuite({"a": ((0, 1), (1, 2, 3, 4)), "b": ((5, 6, 7),) * 2, "c": ((9,),)})
    first = judge("first", ("a.2",), suite)
    second = judge("second", ("b.1", "b.2", "c.1"), suite)
    result = stability(suite, first, second)
    assert (result.n_draws, result.n_clips, result.measured) == (2, 2, True)
    assert result.jaccard.value == pytest.approx((1 / 5 + 1) / 2)
    assert result.jaccard.n == 2
    assert result.size_ratio.value == 1  # of 1 and 2, the lower median
    # The first changes its verdict on a, not on b; the second on neither.
    assert result.verdicts_changed.value == pytest.approx(1 / 4)
    assert result.verdicts_changed.n == 4
    # Draw 1: the first accepts a, b and c, the second a alone; draw 2: b, and a.
    assert [e.value for e in result.transfer] == pytest.approx([(1 + 1 / 3) / 2, (1 / 2 + 1 / 2) / 2])
    assert [e.n for e in result.transfer] == [6, 4]


def test_pairs_of_one_clip_count_once():
    """Three draws of a, all disjoint, one of twice the size: three pairs; b is one pair of equal masks."""
    suite = ToySuite({"a": ((0,), (1,), (2, 3)), "b": ((5,), (5,))})
    result = stability(suite, judge("first", ("a.3",), suite))
    assert result.n_draws == 3
    assert result.jaccard.value == pytest.approx((0 + 1) / 2)
    # Two of three pairs of a changed, none of b.
    assert result.verdicts_changed.value == pytest.approx((2 / 3 + 0) / 2)
    assert [e.value for e in result.transfer] == [1, 1, 0]


def test_the_ratio_of_sizes_is_that_of_the_larger_to_the_smaller():
    suite = ToySuite(dict.fromkeys(CLIPS, ((0, 1, 2), (3,))))
    result = stability(suite)
    assert (result.size_ratio.value, result.size_ratio.n) == (3, 8)
    assert (result.size_ratio.low, result.size_ratio.high) == (3, 3)


def test_one_draw_measures_nothing_but_transfer():
    suite = ToySuite(dict.fromkeys(CLIPS, ((0,),)))
    result = stability(suite, judge("first", ("a.1", "b.1"), suite))
    assert not result.measured
    for estimate in (result.jaccard, result.size_ratio, result.verdicts_changed):
        assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 0)
    assert [e.value for e in result.transfer] == [0.75]


def test_no_signals_and_no_judges_measure_nothing():
    assert stability(ToySuite({})).transfer == ()
    result = stability(ToySuite({"a": ((0,), (1,))}))
    assert result.jaccard.value == 0
    assert result.jaccard.high > 0.3, "one clip is not all clips"
    assert result.verdicts_changed.value is None
    assert [e.value for e in result.transfer] == [None, None]


def test_degenerate_signals_stay_out():
    suite = ToySuite({"a": ((0,), (1,)), "b": ((2,), (2,))}, degenerate=("a",))
    result = stability(suite, judge("first", (), suite))
    assert (result.n_clips, result.jaccard.value, result.verdicts_changed.n) == (1, 1, 1)


def test_a_judge_of_the_same_weights_and_one_that_does_not_know_the_class_are_passed_over():
    suite = ToySuite({"a": ((0,), (1,)), "b": ((2,), (3,))})
    itself = judge("copy", ("a.1",), suite, weights=REFERENCE.weights_sha256)
    deaf = judge("deaf", ("a.1",), suite, labels=LabelMap("toy", ("no",), ("no",), "names"))
    result = stability(suite, itself, deaf)
    assert result.verdicts_changed.value is None
    with_another = stability(suite, itself, deaf, judge("first", ("a.1",), suite))
    assert (with_another.verdicts_changed.value, with_another.verdicts_changed.n) == (0.5, 2)


def test_further_levels_and_other_families_are_no_verdicts_on_a_draw():
    suite = ToySuite({"a": ((0,), (1,))})
    reference, labels, frame = judge("first", (), suite)
    extra = frame.assign(predicted="no")
    frame = pd.concat([frame.assign(level=0), extra.assign(level=1), extra.assign(family=MINIMAL, level=0)])
    assert [e.value for e in stability(suite, (reference, labels, frame)).transfer] == [1, 1]


masks = st.lists(st.booleans(), min_size=1, max_size=20).map(np.array)


@given(masks)
@settings(deadline=None)
def test_a_mask_is_like_itself_and_unlike_its_complement(mask):
    assert jaccard(mask, mask) == 1
    assert jaccard(mask, ~mask) == 0


@given(
    st.integers(1, 20).flatmap(lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n)] * 2))
)
def test_likeness_of_masks_is_symmetric_and_that_of_their_sets(pair):
    a, b = (np.array(mask) for mask in pair)
    assert jaccard(a, b) == jaccard(b, a)
    first, second = (set(np.flatnonzero(mask)) for mask in (a, b))
    wanted = len(first & second) / len(first | second) if first | second else 1
    assert jaccard(a, b) == pytest.approx(wanted)


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=30)
def test_intervals_hold_the_values_and_stay_in_range(sizes):
    suite = ToySuite({c: (range(a), range(b)) for c, (a, b) in zip(CLIPS, sizes, strict=False)})
    result = stability(suite, judge("first", ("a.1",), suite))
    assert 0 <= result.jaccard.low <= result.jaccard.value <= result.jaccard.high <= 1
    assert result.size_ratio.value >= 1
    assert result.size_ratio.low is None or 1 <= result.size_ratio.low <= result.size_ratio.value
