"""One candidate on one task: from a loaded model to an entry with its verdicts."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.dataset import clip_cache, parquet_io
from harness.dataset.suites import Suite
from harness.errors import NotValid
from harness.evaluation import predict, stimuli, threshold_check
from harness.evaluation.answer_cache import AnswerCache
from harness.evaluation.running_score import RunningScore
from harness.evaluation.units import Unit, evaluation_order, shard_of, units_of
from harness.evaluation.verdict_tables import LazyVerdicts
from harness.metrics.likeness import SignalCounts, copies, likeness_of_counts
from harness.metrics.scorecard import Tally
from harness.models.classifiers import Classifier
from harness.provenance import run_settings, versions
from harness.schemas import BatchProof, Entry
from harness.seeds import generator
from harness.tasks import Task
from harness.types import N_PROVEN, PROOF_TOLERANCE, PROTOCOL, Estimate, LabelMap, Waveform

Progress = Callable[[int, int, RunningScore | None], None]
"""Told the units done since it was last called, those in all, and the estimates so far."""
Judge = Callable[
    [Classifier, Suite, Task, Iterator[list[Unit]]], Iterator[list[tuple[Unit, predict.Answers]]]
]
"""What judges units: `predict.judge`, or what does the same elsewhere."""

_IN_NO_RATE = ["task", "draw", "other_clip", "p_expected", "p", "seconds_seen"]
"""Columns of verdicts that are in no rate."""

_STEP = 1.05
"""Factor by which the clips heard must grow before an early stop is thought of again."""


@dataclass(frozen=True)
class Result:
    """The result of an evaluation; `entries.store.write` saves it."""

    entry: Entry
    lazy_verdicts: LazyVerdicts
    """The rows it was counted from, a table at a time."""

    @property
    def verdicts(self) -> pa.Table:
        """All of these rows, with the columns of `parquet_schema.VERDICTS`; made anew each time."""
        return self.lazy_verdicts.table()

    def frame(self) -> pd.DataFrame:
        """The verdicts, as `entries.store.verdicts` reads them."""
        return parquet_io.frame_of(self.verdicts)


def evaluate(
    classifier: Classifier,
    label_map: LabelMap,
    suite: Suite,
    task: Task,
    out: Path,
    *,
    ci_width: float | None = None,
    limit: int | None = None,
    judge: Judge = predict.judge,
    progress: Progress = lambda n, total, score: None,
) -> Result:
    """Judge every unit that was never judged before, and sum up; nothing of the result is written.

    Answers go to a cache below `out` as they come, and stay there: a run that was cut off continues, shards
    of it are merged, and a suite that has grown costs only what is new. With `ci_width` it stops when the
    interval of the lift is at most that to either side; only the headline family is judged, and the entry is
    not complete. With `limit` the silences and only so many clips are judged,
    the first of `evaluation_order` with all their signals; the entry is not complete if the suite has more.

    Raises:
        NotValid: the batch size moves the logits of this model; nothing is judged. Or its threshold was tuned
            on the clips of the suite; the answers are kept.
        BadModel: its threshold comes from the suite, as its author says.
    """
    start = time.monotonic()
    threshold_check.require_other_source(classifier.facts.adapter, suite, task)
    units = units_of(suite, task)
    _check_features(classifier, suite, task, units)
    cache = _open_cache(classifier, task, out)
    try:
        scope = _scope(units, suite, task, ci_width, limit)
        n_known = sum(unit.content in cache.answers for unit in scope)
        headline = suite.headline(task.name)
        score = RunningScore(scope, suite.counts(task.name), classifier.ref, label_map, headline)
        for unit in scope:
            if unit.content in cache.answers:
                score.learn(unit, cache.answers[unit.content])
        blocks = evaluation_order(scope, task)
        stop_rule = _StopRule(ci_width)
        # Before anything is asked, so that no answer of a batch that sways is ever kept; and again where
        # memory ran out and the batch became smaller.
        _proof(classifier, suite, task, units, cache)
        _judge(classifier, suite, task, cache, blocks, len(scope), progress, score, stop_rule, judge)
        proof = _proof(classifier, suite, task, units, cache)
        # Sounds are no longer needed, and counting takes memory, too.
        suite.clear_recent()
        clip_cache.clear()
        _return_free_memory()
        done_units = scope if ci_width is None else _known(units, cache)
        threshold_check.require_untuned(classifier.facts.adapter, done_units, cache.answers, label_map)
        verdicts = LazyVerdicts(done_units, cache.answers, label_map, task)
        run_counts = (time.monotonic() - start, len(done_units) - n_known, n_known)
        complete = len(done_units) == len(units)
        entry = _entry(classifier, label_map, suite, task, verdicts, proof, complete, run_counts)
        _return_free_memory()
        return Result(entry, verdicts)
    finally:
        cache.close()


def _return_free_memory() -> None:
    """Give back what is free between the blocks of the heap, which Arrow would not use; of glibc alone."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _scope(
    units: list[Unit], suite: Suite, task: Task, ci_width: float | None, limit: int | None
) -> list[Unit]:
    """What is judged at most, in the order of the units."""
    if ci_width is not None:
        return [unit for unit in units if unit.family in (None, suite.headline(task.name))]
    if limit is None:
        return units
    clip_blocks = (block for block in evaluation_order(units, task) if block[0].clip_id is not None)
    clip_ids = {block[0].clip_id for block in islice(clip_blocks, limit)} | {None}
    return [unit for unit in units if unit.clip_id in clip_ids]


def _known(units: Sequence[Unit], cache: AnswerCache) -> list[Unit]:
    """What an early stop leaves: signals of an earlier run, too, of any family, but none without its clip."""
    known = [unit for unit in units if unit.content in cache.answers]
    clip_ids = {unit.clip_id for unit in known if unit.signal_id is None}
    return [unit for unit in known if unit.signal_id is None or unit.clip_id in clip_ids]


def judge_shard(
    classifier: Classifier,
    suite: Suite,
    task: Task,
    out: Path,
    shard: tuple[int, int],
    *,
    progress: Progress = lambda n, total, score: None,
) -> int:
    """Judge the units of one shard, (i, n) with 1 <= i <= n, into a cache that `evaluate` merges; how many.

    Raises:
        NotValid: see `evaluate`.
    """
    units = units_of(suite, task)
    blocks = [block for block in evaluation_order(units, task) if shard_of(block, shard[1]) == shard[0]]
    n = sum(map(len, blocks))
    _check_features(classifier, suite, task, units)
    cache = _open_cache(classifier, task, out, shard)
    try:
        _proof(classifier, suite, task, units, cache)
        _judge(classifier, suite, task, cache, iter(blocks), n, progress, None, _StopRule(None))
    finally:
        cache.close()
    return n


def _open_cache(
    classifier: Classifier, task: Task, out: Path, shard: tuple[int, int] | None = None
) -> AnswerCache:
    work = {
        "protocol": PROTOCOL,
        "weights": classifier.ref.weights_sha256,
        "settings": classifier.settings_sha256,
        "classes": list(classifier.class_names),
        "dtype": classifier.dtype,
        "device": classifier.device.split(":")[0],
        "frontend": classifier.frontend,
        "sample_rate_hz": task.sample_rate_hz,
        "versions": versions(),
    }
    return AnswerCache(out, classifier.ref.slug, work, task.name, shard)


class _StopRule:
    """Stops when the interval of the lift is narrow enough; checked less often as more clips are heard."""

    def __init__(self, half_width: float | None) -> None:
        self.half_width = half_width
        self.next_check = 0.0

    def is_met(self, score: RunningScore | None) -> bool:
        if self.half_width is None or score is None:
            return False
        n_clips = score.n_clips
        if n_clips < self.next_check:
            return False
        self.next_check = n_clips * _STEP
        # The scorecard resamples other clips than the estimate on the way, whose interval may be narrower.
        return self._is_narrow(score.now().lift) and self._is_narrow(score.lift_of_heard())

    def _is_narrow(self, lift: Estimate) -> bool:
        half_width = self.half_width
        if half_width is None or lift.low is None or lift.high is None:
            return False
        return lift.high - lift.low <= 2 * half_width


def _judge(
    classifier: Classifier,
    suite: Suite,
    task: Task,
    cache: AnswerCache,
    blocks: Iterator[list[Unit]],
    n_units: int,
    progress: Progress,
    score: RunningScore | None,
    stop_rule: _StopRule,
    judge: Judge = predict.judge,
) -> None:
    missing = [[unit for unit in block if unit.content not in cache.answers] for block in blocks]
    if n_known := n_units - sum(map(len, missing)):
        progress(n_known, n_units, score)
    if stop_rule.is_met(score):
        return
    for batch in judge(classifier, suite, task, filter(None, missing)):
        cache.append(batch)
        if score is not None:
            for unit, answers in batch:
                score.learn(unit, answers)
        progress(len(batch), n_units, score)
        if stop_rule.is_met(score):
            return


def _check_features(classifier: Classifier, suite: Suite, task: Task, units: Sequence[Unit]) -> None:
    """Give up features in torch where those of the extractor answer otherwise to the stimuli of the proof."""
    if isinstance(classifier, Classifier) and classifier.has_torch_features:
        sounds = _sample(suite, task, units, classifier.ref.weights_sha256)
        classifier.check_features(sounds, task.sample_rate_hz)


def _proof(
    classifier: Classifier, suite: Suite, task: Task, units: Sequence[Unit], cache: AnswerCache
) -> BatchProof:
    """Some stimuli of the commonest length, scored one by one and in one full batch, in which they repeat.

    Raises:
        NotValid: they differ.
    """
    size = classifier.batch_size
    proof = next((p for p in cache.proofs if p.batch_size == size and p.n >= N_PROVEN), None)
    if proof is None:
        sounds = _sample(suite, task, units, classifier.ref.weights_sha256)
        rate = task.sample_rate_hz
        n = max(len(sounds), classifier.batch_size)
        batch_logits = classifier.logits([sounds[i % len(sounds)] for i in range(n)], rate)[: len(sounds)]
        single_logits = np.concatenate([classifier.logits([sound], rate) for sound in sounds])
        proof = BatchProof(
            n=len(sounds),
            batch_size=classifier.batch_size,
            max_logit_difference=float(np.abs(batch_logits - single_logits).max()),
            n_flips=int((batch_logits.argmax(axis=1) != single_logits.argmax(axis=1)).sum()),
        )
        cache.prove(proof)
    tolerance = PROOF_TOLERANCE[classifier.dtype]
    if proof.n_flips or proof.max_logit_difference > tolerance:
        raise NotValid(
            f"{classifier.ref.repo_id}: of {proof.n} stimuli heard alone and in a batch of"
            f" {proof.batch_size} the logits differ by {proof.max_logit_difference:.2g} ({tolerance:g} is the"
            f" most), and so do {proof.n_flips or 'none'} of the answers: its verdicts would depend on the"
            " batch; try --batch-size 1"
        )
    return proof


def _sample(suite: Suite, task: Task, units: Sequence[Unit], seed: str) -> list[Waveform]:
    """N_PROVEN whole clips and `largest` controls, in turn, all of one length; a small pool goes round."""
    signals = [unit for unit in units if unit.signal_id is not None]
    sources = signals or [unit for unit in units if unit.clip_id is not None]
    lengths = [unit.n_samples for unit in sources]
    common_length = max(set(lengths), key=lambda n: (lengths.count(n), n))
    pool = [unit for unit in sources if unit.n_samples == common_length]
    rng = generator("batch proof", task.name, seed)
    order = rng.permutation(len(pool))
    sounds: list[Waveform] = []
    for n in range(N_PROVEN):
        unit = pool[order[n % len(pool)]]
        clip = suite.clip(task.name, unit.clip_id or "")
        if unit.signal_id is None or (n + n // len(pool)) % 2 == 0:
            sounds.append(clip.waveform)
        else:
            signal, _ = suite.signal(task.name, unit.slug or "", unit.signal_id)
            largest = stimuli.control(signal, clip, (), "largest")
            sounds.append(clip.waveform if largest is None else largest)
    return sounds


def _entry(
    classifier: Classifier,
    label_map: LabelMap,
    suite: Suite,
    task: Task,
    verdicts: LazyVerdicts,
    proof: BatchProof,
    complete: bool,
    run_counts: tuple[float, int, int],
) -> Entry:
    references, headline = suite.counts(task.name), suite.headline(task.name)
    clips = parquet_io.frame_of(verdicts.of_clips())
    tally = Tally(clips, task, classifier.ref, references, label_map, headline)
    counts = SignalCounts(label_map.covered, headline)
    with parquet_io.VerdictsFile() as file:
        for table in verdicts.tables():
            file.append(table)
            rows = _scorecard_rows(table)
            counts.add(rows)
            tally.add(rows)
    likeness = likeness_of_counts(clips, counts, task, label_map, suite)
    return Entry(
        protocol=PROTOCOL,
        task=task.name,
        model=classifier.ref,
        facts=classifier.facts,
        signals=suite.ref(task.name),
        references=references,
        label_map=label_map,
        scorecard=tally.scorecard(copies(likeness)),
        run=run_settings(
            classifier.device, classifier.dtype, classifier.batch_size, classifier.frontend, *run_counts
        ),
        proof=proof,
        likeness=likeness,
        complete=complete,
        n_verdicts=file.n_rows,
        verdicts_sha256=file.sha256,
    )


def _scorecard_rows(table: pa.Table) -> pd.DataFrame:
    """The rows and columns of verdicts that a scorecard is made of; lists of numbers would be objects."""
    is_above = pc.fill_null(pc.greater(table["level"], 0), False)
    table = table.drop_columns(_IN_NO_RATE)
    if pc.any(is_above).as_py():  # else a filter would copy the whole
        table = table.filter(pc.invert(is_above))
    frame: pd.DataFrame = table.to_pandas()
    return frame
