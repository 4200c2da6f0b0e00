"""Signals whose rest is not silent: the clip where they keep it, the rest elsewhere; the same everywhere."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from harness import audio
from harness.completions import ZERO, Completion
from harness.dataset import completed, suites, writer
from harness.dataset.clip_cache import domain_of
from harness.dataset.completed import OtherClips, sound_of
from harness.errors import BadSignals
from harness.evaluation import predict
from harness.evaluation.units import units_of
from harness.extract.minimal import Minimal
from harness.extract.search_task import Limits, SearchTask, WholeClipResult
from harness.families import parse_family
from harness.types import Clip, SufficientSignal, Waveform, signal_id
from tests.helpers import toy_models

RESOLUTIONS = ("bands16", "blocks10ms", "tiles2x4")
"""One of each domain."""

RESTS = ("noise:-20", "swap")


def constant(name: str, value: float, n_samples: int = 1_600) -> Clip:
    return Clip(name, "toys", "spoof", np.full(n_samples, value, dtype=np.float32), 16_000)


def signal_of(clip: Clip, family: str, rest: str | None = None, seed: int = 5) -> SufficientSignal:
    """A signal of every third atom of a clip; its hash is that of its sound."""
    atoms = parse_family(family).resolution.atoms(len(clip.waveform), clip.sample_rate_hz)
    mask = atoms.expand(np.arange(len(atoms)) % 3 == 1)
    signal = toy_models.signal_of(clip, family=family.partition("+")[0], mask=mask, seed=seed)
    name = signal_id(clip.clip_id, "toys__a", family, seed, 1)
    return dataclasses.replace(signal, signal_id=name, family=family, rest_clip=rest)


def clips_of(n: int) -> dict[str, Clip]:
    return {clip.clip_id: clip for clip in (toy_models.clip_of(i, 1_600) for i in range(n))}


# --- what it sounds like


def test_a_signal_of_blocks_is_the_clip_where_it_is_kept_and_the_rest_elsewhere() -> None:
    """Blocks of 160 samples; a crossfade of 64 lies around each border."""
    clips = {"a": constant("c0", 1.0), "b": constant("c1", -0.5)}
    signal = signal_of(clips["a"], "responsibility@blocks10ms+swap", "b")  # keeps blocks 1, 4 and 7
    sound = sound_of(signal, clips["a"], clips.__getitem__)
    assert sound.dtype == np.float32
    for block in range(10):
        inside = sound[160 * block + 32 : 160 * (block + 1) - 32]
        np.testing.assert_allclose(inside, 1.0 if block in (1, 4, 7) else -0.5, atol=1e-6)
    # From one to the other the gain is that of a raised cosine: half of either at the border.
    fade = sound[160 - 32 : 160 + 32]
    assert (np.diff(fade) > 0).all()
    assert fade[31:33].mean() == pytest.approx((1.0 - 0.5) / 2, abs=1e-6)


def test_a_signal_without_a_rest_is_silent_elsewhere() -> None:
    clip = constant("c0", 1.0)
    signal = signal_of(clip, "responsibility@blocks10ms")
    sound = sound_of(signal, clip, {}.__getitem__)
    assert not sound[192 + 160 : 640 - 32].any()
    np.testing.assert_allclose(sound[192:288], 1.0, atol=1e-6)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("rest", RESTS)
def test_what_is_kept_is_of_the_clip_and_all_else_of_the_rest(resolution: str, rest: str) -> None:
    clips = clips_of(3)
    clip, family = clips["c0"], f"minimal@{resolution}+{rest}"
    signal = signal_of(clip, family, "c2" if rest == "swap" else None)
    domain = domain_of(clip, parse_family(family).resolution.domain)
    stand_in = completed.rest_of(signal, clip, clips.__getitem__)
    assert stand_in is not None
    if rest == "swap":
        np.testing.assert_array_equal(stand_in, clips["c2"].waveform)
    parts = [
        domain.keep(domain.forward(waveform), mask[None])[0]
        for waveform, mask in ((clip.waveform, signal.mask), (stand_in, ~signal.mask))
    ]
    np.testing.assert_allclose(sound_of(signal, clip, clips.__getitem__), sum(parts), atol=1e-6)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_a_clip_with_itself_for_the_rest_is_the_clip(resolution: str) -> None:
    clips = clips_of(1)
    signal = signal_of(clips["c0"], f"minimal@{resolution}+swap", "c0")
    np.testing.assert_allclose(
        sound_of(signal, clips["c0"], clips.__getitem__), clips["c0"].waveform, atol=1e-6
    )


def test_noise_is_drawn_by_clip_completion_seed_and_draw() -> None:
    clip, other = clips_of(2).values()
    noise = Completion("noise", -20)
    draws = [
        completed.rest(noise, clip, None, 1),
        completed.rest(noise, clip, None, 2),
        completed.rest(noise, clip, None, 1, draw=1),
        completed.rest(Completion("noise", -21), clip, None, 1),
        completed.rest(noise, dataclasses.replace(clip, clip_id="c9"), None, 1),
    ]
    for a, b in itertools.combinations(draws, 2):
        assert a is not None
        assert b is not None
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.2
    np.testing.assert_array_equal(
        draws[0], completed.rest(noise, clip, other, 1), "no other clip has a part in it"
    )
    assert completed.rest(ZERO, clip, other, 1) is None


# --- which clip stands in


def test_a_clip_of_the_same_length_stands_in_where_there_is_one() -> None:
    clips = [toy_models.clip_of(i, 400 + 100 * (i % 2)) for i in range(9)]
    chosen = {OtherClips(clips).choose(clips[0], seed) for seed in range(40)}
    assert {clip.clip_id for clip in chosen if clip} == {"c2", "c4", "c6", "c8"}
    alone = toy_models.clip_of(10, 999)
    found = {OtherClips([*clips, alone]).choose(alone, seed) for seed in range(80)}
    assert {clip.clip_id for clip in found if clip} == {clip.clip_id for clip in clips}
    assert OtherClips([alone]).choose(alone, 0) is None
    assert OtherClips([]).choose(alone, 0) is None


def test_neither_order_nor_a_further_length_changes_which_clip_stands_in() -> None:
    clips = [toy_models.clip_of(i) for i in range(9)]
    longer = toy_models.clip_of(9, 900)
    for seed in range(20):
        chosen = OtherClips(clips).choose(clips[3], seed)
        assert chosen is not None
        assert chosen is OtherClips(clips[::-1]).choose(clips[3], seed)
        assert chosen is OtherClips([longer, *clips]).choose(clips[3], seed)


# --- the same when searched, stored and judged


def searched(clip: Clip, other: Clip, family: str) -> tuple[Waveform, SearchTask]:
    """What a search hears of a mask of every third atom, and the task that asks."""
    parsed = parse_family(family)
    whole = WholeClipResult("spoof", np.array([True, False]), 0.9, (0.1, 0.9), degenerate=False)
    limits = Limits(completion=parsed.completion)
    swaps = other if parsed.completion.kind == "swap" else None
    task = SearchTask(Minimal(str(parsed.resolution)), whole, clip, "toys/a", limits, other=swaps, seed=5)
    masks = (np.arange(len(task.state.atoms)) % 3 == 1)[None]
    (heard,) = task.state.signals(masks, NoModel())
    return heard, task


class NoModel:
    """It makes no signals and gives no answers."""

    def logits(self, waveforms: object, sample_rate_hz: int) -> np.ndarray:
        raise AssertionError


class Recorder:
    """Says `fake` of everything and keeps what it heard."""

    ref, facts = toy_models.record_of("toys/g").model, toy_models.record_of("toys/g").facts
    class_names = ("fake", "real")

    def __init__(self) -> None:
        self.heard: list[Waveform] = []

    def logits(self, waveforms: list[Waveform], sample_rate_hz: int) -> np.ndarray:
        self.heard += waveforms
        return np.tile(np.array([1, 0], dtype=np.float32), (len(waveforms), 1))


@pytest.mark.parametrize("masks_only", [False, True], ids=["with audio", "masks only"])
@pytest.mark.parametrize("rest", RESTS)
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_what_is_searched_is_what_is_stored_and_judged(
    tmp_path: Path, resolution: str, rest: str, masks_only: bool
) -> None:
    family, clips = f"minimal@{resolution}+{rest}", clips_of(4)
    clip, other = clips["c0"], clips["c2"]
    heard, task = searched(clip, other, family)
    signal = signal_of(clip, family, other.clip_id if rest == "swap" else None, seed=task.seed)
    sound = sound_of(signal, clip, clips.__getitem__)
    np.testing.assert_allclose(heard, sound, atol=1e-6)
    signal = dataclasses.replace(signal, sha256=audio.sha256(sound))
    record = toy_models.record_of("toys/a", (family,), 1)
    writer.add_reference(
        tmp_path, toy_models.TASK, record, list(clips.values()), [signal], masks_only=masks_only
    )
    suite = suites.load(str(tmp_path))
    ((stored, waveform),) = suite.signals("deepfake", "toys__a")
    np.testing.assert_array_equal(waveform, sound)
    assert audio.sha256(waveform) == signal.sha256
    np.testing.assert_array_equal(stored.mask, signal.mask)
    assert (stored.family, stored.rest_clip) == (family, signal.rest_clip)
    (unit,) = (unit for unit in units_of(suite, toy_models.TASK) if unit.signal_id is not None)
    recorder = Recorder()
    list(predict.judge(recorder, suite, toy_models.TASK, [[unit]]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(recorder.heard[0], sound)


def test_a_suite_without_the_clip_that_stands_in_says_so_in_a_line(tmp_path: Path) -> None:
    clips = clips_of(3)
    signal = signal_of(clips["c0"], "minimal@blocks10ms+swap", "c9")
    record = toy_models.record_of("toys/a", ("minimal@blocks10ms+swap",), 1)
    writer.add_reference(tmp_path, toy_models.TASK, record, list(clips.values()), [signal], masks_only=True)
    with pytest.raises(BadSignals, match="c9"):
        list(suites.load(str(tmp_path)).signals("deepfake", "toys__a"))
