"""Searches, objectives and certificates where the rest of a signal is not silent; answers by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from harness import audio
from harness.completions import ZERO, Completion
from harness.dataset.completed import OtherClips, sound_of
from harness.extract import journal_lines, runner
from harness.extract.minimal import Minimal
from harness.extract.objectives import complete, necessary, sufficient
from harness.extract.responsibility import Responsibility
from harness.extract.search_task import Draws, Limits, SearchTask, Sets, WholeClipResult, search_name
from harness.families import atoms_of, n_atoms_kept
from harness.journal import Journal
from harness.types import N_COMPLETIONS, Clip, LabelMap

IS_EXPECTED = np.array([False, True, False])
SWAP, NOISE = Completion("swap"), Completion("noise", -40)
LABELS = LabelMap("toy", ("LOUD", "SOFT"), ("loud", "soft"), "names")
BLOCKS = Minimal("blocks10ms")


class Meter:
    """`loud` where the mean of the samples from 30 to 50 ms is above a level; 8,000 Hz."""

    def __init__(self, level: float = 0.5) -> None:
        self.level = level

    def logits(self, waveforms: Sequence[np.ndarray], sample_rate_hz: int) -> np.ndarray:
        means = np.array([x[240:400].mean(dtype=np.float64) for x in waveforms])
        return np.stack([10 * (means - self.level), np.zeros(len(means))], axis=1).astype(np.float32)


def constant(name: str, value: float) -> Clip:
    """100 ms: ten blocks of 80 samples at 8,000 Hz; the meter hears blocks 3 and 4."""
    return Clip(name, "toy", None, np.full(800, value, dtype=np.float32), 8_000)


def extracted(clips, journal, *, level=0.5, searches=(BLOCKS,), **options):
    return runner.extract(Meter(level), "toys/meter", LABELS, clips, searches, journal, **options)


def blocks(record) -> list[int]:
    return np.flatnonzero(record.mask).tolist()


# --- objectives


@pytest.mark.parametrize(
    ("robust", "n_right", "is_met"),
    [(1.0, 4, True), (1.0, 3, False), (0.75, 3, True), (0.75, 2, False), (0.6, 3, True), (0.6, 2, False)],
)
@pytest.mark.parametrize("make", [sufficient, necessary])
def test_an_objective_is_met_in_a_share_of_its_draws(make, robust, n_right, is_met):
    objective = replace(make(), n_draws=4, robust=robust)
    sign = 1.0 if objective.alone else -1.0
    rows = [[0.0, sign if i < n_right else -sign, 0.0] for i in range(4)]
    assert objective.n_signals == 4
    assert objective.are_met(np.array(rows, dtype=np.float32), IS_EXPECTED).tolist() == [is_met]


def test_an_objective_of_both_sides_hears_every_draw_of_either():
    objective = replace(complete(0.576), n_draws=2, robust=0.5)
    masks = np.array([[True, False, True], [False, False, True]])
    heard = objective.signal_masks(masks)
    assert objective.n_signals == 4
    np.testing.assert_array_equal(heard[:4], [masks[0], masks[0], ~masks[0], ~masks[0]])
    np.testing.assert_array_equal(heard[4:], [masks[1], masks[1], ~masks[1], ~masks[1]])
    right, wrong = [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]
    for rows, is_met in (
        ([right, wrong, wrong, right], True),  # alone in one of two, without in one of two
        ([right, right, right, right], False),
        ([wrong, wrong, wrong, wrong], False),
    ):
        assert objective.are_met(np.array(rows, dtype=np.float32), IS_EXPECTED).tolist() == [is_met]


# --- searches


def test_a_signal_holds_against_the_clip_that_stands_in(journals):
    """Of the blocks that are heard one is enough against silence; against -1 elsewhere both are needed."""
    clips = [constant("a", 1.0), constant("b", -1.0)]
    alone, against = (
        extracted(clips, journals(), level=0.2, limits=Limits(completion=completion))[0].signals[0]
        for completion in (ZERO, SWAP)
    )
    assert len(blocks(alone)) == 1
    assert set(blocks(alone)) < {3, 4}
    assert blocks(against) == [3, 4]
    assert (against.family, against.rest_clip) == ("minimal@blocks10ms+swap", "b")
    assert (alone.family, alone.rest_clip) == ("minimal@blocks10ms", None)
    assert against.guarantee == "one_minimal"
    assert against.search == f"{BLOCKS!r} with swap"
    assert against.signal_id == "a:toys__meter:minimal@blocks10ms+swap:0.1"
    by_id = {clip.clip_id: clip for clip in clips}
    assert against.sha256 == audio.sha256(sound_of(against, clips[0], by_id.__getitem__))


def test_what_stands_in_and_gets_the_class_by_itself_makes_a_degenerate_signal(journal):
    clips = [constant("a", 1.0), constant("b", 0.9)]
    for result in extracted(clips, journal, limits=Limits(completion=SWAP), sets=Sets(max_signals=3)):
        (signal,) = result.signals
        assert signal.degenerate
        assert signal.n_kept == 0
        assert signal.survival is None
        assert result.sets == (), "and no disjoint ones after it"
        assert signal.n_queries == 2 + 3, "of no block and of all"


def test_the_class_of_silence_is_not_degenerate_where_the_rest_gets_another(journals):
    clips = [constant("a", 0.0), constant("b", 1.0)]
    (silent, _) = extracted(clips, journals())
    assert silent.signals[0].degenerate
    (against, _) = extracted(clips, journals(), limits=Limits(completion=SWAP))
    (signal,) = against.signals
    assert not signal.degenerate
    assert set(blocks(signal)) <= {3, 4}
    assert signal.n_kept >= 1


def test_where_not_even_all_atoms_are_enough_there_is_no_signal():
    rng = np.random.default_rng(0)
    clip = Clip("a", "toy", None, (1.0 + 0.1 * rng.normal(size=800)).astype(np.float32), 8_000)
    whole = WholeClipResult("loud", np.array([True, False]), 0.9, (0.9, 0.1), degenerate=False)
    task = SearchTask(BLOCKS, whole, clip, "toys/meter", Limits(completion=NOISE))
    np.testing.assert_array_equal(task.question, [[False] * 10, [True] * 10])
    for mask in task.question:
        task.state.learn(mask[None], np.array([[0.0, 1.0]], dtype=np.float32))
    task.advance()
    assert task.is_done
    assert task.result is None
    assert not task.degenerate
    assert task.next_disjoint(Sets(max_signals=2)) is None


def test_disjoint_signals_are_found_against_the_same_clip(journal):
    clips = [constant("a", 1.0), constant("b", 0.0)]
    result, _ = extracted(clips, journal, level=0.2, limits=Limits(completion=SWAP), sets=Sets(max_signals=4))
    (signal,) = result.signals
    (second,) = result.sets
    assert sorted([*blocks(signal), *blocks(second)]) == [3, 4]
    assert second.family == signal.family == "minimal@blocks10ms+swap"


def test_a_robust_signal_is_heard_with_every_draw_and_says_so(journals):
    clip = constant("a", 1.0)
    limits = Limits(completion=NOISE, robust=1.0)
    (one,), (robust,) = (
        extracted([clip], journals(), level=0.2, limits=each)[0].signals
        for each in (Limits(completion=NOISE), limits)
    )
    assert robust.search == f"{BLOCKS!r} with noise:-40 robust to 1"
    assert (robust.n_queries - 3) % N_COMPLETIONS == 0
    assert robust.n_queries > one.n_queries
    assert search_name(BLOCKS, limits, Draws(n=2)) == f"{robust.search}, 2 draws"


@pytest.mark.parametrize("resolution", ["bands16", "blocks10ms", "tiles2x4"])
def test_both_searches_find_signals_of_whole_atoms_in_every_domain(journal, resolution):
    rng = np.random.default_rng(1)
    clips = [
        Clip(f"c{i}", "toy", None, (i % 2 + 0.1 * rng.normal(size=800)).astype(np.float32), 8_000)
        for i in range(4)
    ]
    searches = [Responsibility(2, 3, resolution), Minimal(resolution)]
    n_levels = 0
    for result in extracted(clips, journal, searches=searches):
        assert [s.family for s in result.signals] == [f"minimal@{resolution}", f"responsibility@{resolution}"]
        for signal in result.signals:
            atoms = atoms_of(signal)
            kept = atoms.pool(signal.mask.astype(float)) > 0
            np.testing.assert_array_equal(atoms.expand(kept), signal.mask)
            assert signal.n_atoms == len(atoms)
            assert n_atoms_kept(signal) == kept.sum()
        minimal, ranked = result.signals
        assert ranked.levels is None
        assert (minimal.levels is None) == minimal.degenerate, "a ranking of the same domain gives levels"
        n_levels += minimal.levels is not None
    assert n_levels == 2


def test_a_ranking_of_another_domain_gives_no_levels(journals):
    clips = [constant("a", 1.0)]
    for other, has_levels in (("blocks20ms", True), ("bands16", False), ("tiles2x4", False)):
        (result,) = extracted(clips, journals(), searches=[Responsibility(2, 3, other), BLOCKS])
        minimal = next(s for s in result.signals if s.family == "minimal@blocks10ms")
        assert (minimal.levels is not None) == has_levels


# --- survival


def test_survival_counts_the_draws_in_which_a_signal_keeps_its_class(journal):
    """Of the other clips those at -3 take the class away from one block, those at 0 do not."""
    others = [constant(f"b{i}", -3.0 if i < 3 else 0.0) for i in range(5)]
    clip = constant("a", 1.0)
    result = extracted([clip, *others], journal, level=0.2)[0]
    (signal,) = result.signals
    chosen = OtherClips([clip, *others]).stand_ins(clip, 0).checked
    assert len(chosen) == N_COMPLETIONS
    share = np.mean([other is not None and other.waveform[0] == 0.0 for other in chosen])
    assert 0 < share < 1
    assert signal.survival == (1.0, 1.0, 1.0, pytest.approx(share))


def test_of_a_signal_by_itself_against_the_swap_survival_says_so(journal):
    """Its family is against another clip: silence in its place would take its class away."""
    clips = [constant("a", 0.1), constant("b", 1.0), constant("c", 1.0)]

    class Window(Meter):
        """`loud` only where the mean lies between .3 and .8."""

        def logits(self, waveforms, sample_rate_hz):
            means = np.array([x[240:400].mean(dtype=np.float64) for x in waveforms])
            return np.stack([1.0 - 4 * np.abs(means - 0.55), np.zeros(len(means))], 1).astype(np.float32)

    ear = Window()
    clip = constant("a", 0.5)
    (signal,) = runner.extract(
        ear, "toys/ear", LABELS, [clip, *clips[1:]], [BLOCKS], journal, limits=Limits(completion=SWAP)
    )[0].signals
    assert signal.survival is not None
    assert len(blocks(signal)) == 1, "half of .5 and half of 1 is .75"
    assert signal.survival == (0.0, 0.0, 0.0, 1.0)


def test_survival_is_none_of_a_degenerate_signal_and_survives_the_journal(journal):
    clips = [constant("a", 1.0), constant("b", 0.0)]
    for clip, result in zip(clips, extracted(clips, journal), strict=True):
        (signal,) = result.signals
        assert (signal.survival is None) == signal.degenerate == (clip.clip_id == "b")
        (again,) = journal_lines.from_item(journal_lines.item(clip, result)).signals
        assert again.survival == signal.survival
        assert again.rest_clip == signal.rest_clip


def test_after_a_restart_every_clip_may_still_stand_in(journals, tmp_path):
    rng = np.random.default_rng(3)
    clips = [
        Clip(f"c{i}", "toy", None, rng.normal(0.6, 3.0, size=800).astype(np.float32) * (i % 2 + 0.1), 8_000)
        for i in range(8)
    ]
    whole = extracted(clips, journals(), limits=Limits(completion=SWAP))
    assert len({s.rest_clip for r in whole for s in r.signals}) > 2
    cut = Journal(tmp_path / "cut", {}, "")
    extracted_first = runner.extract(
        Meter(), "toys/meter", LABELS, clips, [BLOCKS], cut, limits=Limits(completion=SWAP)
    )
    assert len(extracted_first) == 8
    cut.close()
    lines = (tmp_path / "cut").read_bytes().splitlines(keepends=True)
    (tmp_path / "cut").write_bytes(b"".join(lines[:7]))
    again = Journal(tmp_path / "cut", {}, "")
    assert len(again.items) == 6
    rest = extracted(clips, again, limits=Limits(completion=SWAP))
    again.close()
    for one, other in zip(whole, rest, strict=True):
        assert [(s.rest_clip, s.survival, s.sha256) for s in one.signals] == [
            (s.rest_clip, s.survival, s.sha256) for s in other.signals
        ]
