"""Extraction and evaluation spread over a Ray cluster: the work of `extract.runner` and `evaluation.predict`.

The command itself loads no model. It stores what the workers return as it would its own results: the journal
of an extraction, the answers of an evaluation. So it continues after a kill as it does without a cluster, on
another cluster, or on none.

The unit of extraction is a clip, and a work item has a few of them; the unit of evaluation is all stimuli of
one clip. Masks and classes are those of a run on one machine, unless a lead is within rounding of
MIN_MARGIN; logits may differ in their last bits, as they do between batch sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cluster.ray_client import require
from harness.cluster.resources import ResourceRequest
from harness.cluster.worker import Model, Signals, portable
from harness.cluster.worker_pool import WorkerPool, WorkItem
from harness.dataset.clip_sequence import ids_and_lengths, without
from harness.dataset.completed import OtherClips
from harness.dataset.parquet_io import sha256_of
from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite
from harness.errors import BadCluster
from harness.evaluation.predict import Answers, Candidate
from harness.evaluation.units import Unit
from harness.extract.certify import Extracted
from harness.extract.journal_lines import Results
from harness.extract.oracle import Listener
from harness.extract.runner import Progress
from harness.extract.search import Search
from harness.extract.search_task import NO_LIMITS, ONE_DRAW, ONE_SIGNAL, Draws, Limits, Sets
from harness.journal import Journal
from harness.models.checkpoints import Checkpoint
from harness.models.classifiers import Classifier
from harness.tasks import Task
from harness.types import Clip, LabelMap, Waveform

_MAX_CLIPS = 8
"""Clips of a work item: enough to fill batches; fewer towards the end, so that workers end together."""


@contextmanager
def ray_engine(
    request: ResourceRequest,
    *,
    device: str | None,
    batch_size: int,
    dtype: str,
    notify: Callable[[str], None],
) -> Iterator[RayEngine]:
    """Models on a cluster, which is joined or started when the first is opened, as of `classifiers.load`.

    Raises:
        BadCluster: ray is not installed.
    """
    require()
    pool = WorkerPool(request, device, notify)
    try:
        yield RayEngine(pool, batch_size, dtype)
    finally:
        pool.close()


class RayEngine:
    """Models on a cluster. Made by `ray_engine`."""

    def __init__(self, pool: WorkerPool, batch_size: int, dtype: str) -> None:
        self.pool = pool
        self._batch_size, self._dtype = batch_size, dtype

    def open(self, checkpoint: object) -> Classifier:
        """A model that runs on the cluster; a worker opens and describes it.

        Raises:
            BadCluster: it is no checkpoint.
        """
        if not isinstance(checkpoint, Checkpoint):
            raise BadCluster("an adapter runs on this machine alone; leave --engine ray out")
        folder = portable(checkpoint.folder) if checkpoint.ref.repo_id.startswith("local/") else None
        device = self.pool.shape.device
        model = Model(checkpoint.ref, folder, checkpoint.trusted, device, self._batch_size, self._dtype)
        return _RemoteClassifier(self.pool, model)

    def extract(
        self,
        listener: Listener,
        reference: str,
        label_map: LabelMap,
        clips: Sequence[Clip],
        searches: Sequence[Search],
        journal: Journal,
        *,
        limits: Limits = NO_LIMITS,
        sets: Sets = ONE_SIGNAL,
        draws: Draws = ONE_DRAW,
        progress: Progress = lambda clips, queries: None,
    ) -> Sequence[Extracted]:
        """See `extract.runner.extract`; the listener was opened here."""
        assert isinstance(listener, _RemoteClassifier)  # noqa: S101
        results = Results([clip_id for clip_id, _ in ids_and_lengths(clips)], journal.folder)
        for line in journal.items:
            results.add(line)
        progress(len(results.finished), 0)
        pending = without(clips, results.finished)
        context = (reference, label_map, tuple(searches), limits, sets, draws)
        for keys, content in self.pool.run(
            "extract", listener.model, context, self._chunks(pending, OtherClips(clips), draws)
        ):
            if not keys:
                progress(0, content)
                continue
            journal.append(content)
            results.add(content)
            progress(1, 0)
        return results

    def judge(
        self, candidate: Candidate, suite: Suite, task: Task, blocks: Iterable[Sequence[Unit]]
    ) -> Iterator[list[tuple[Unit, Answers]]]:
        """See `predict.judge`; the candidate was opened here."""
        assert isinstance(candidate, _RemoteClassifier)  # noqa: S101
        folder, sha256 = portable(suite.root), sha256_of(suite.root / MANIFEST)
        signals = Signals(suite.name, suite.commit if suite.is_remote else None, folder, sha256)
        units: dict[str, Unit] = {}

        def work_items() -> Iterator[WorkItem]:
            for block in blocks:
                work_item = WorkItem({unit.key: unit for unit in block})
                units.update(work_item.pending)
                yield work_item

        context = (signals, task.name)
        for keys, (answers, batch_size) in self.pool.run("judge", candidate.model, context, work_items()):
            candidate.batch_size = min(candidate.batch_size, batch_size)
            # Copied, or each would hold on to the memory that it came in.
            yield [
                (units.pop(key), Answers(answer.stimuli, np.array(answer.logits), np.array(answer.seen)))
                for key, answer in zip(keys, answers, strict=True)
            ]

    def _chunks(self, clips: Sequence[Clip], others: OtherClips, draws: Draws) -> Iterator[WorkItem]:
        """A few clips each, with the clips that stand in for their rests: a worker has no others."""
        start = 0
        while start < len(clips):
            n_clips = math.ceil((len(clips) - start) / (2 * self.pool.shape.workers))
            chunk = clips[start : start + min(_MAX_CLIPS, n_clips)]
            yield WorkItem({clip.clip_id: (clip, others.stand_ins(clip, draws.seed)) for clip in chunk})
            start += len(chunk)


class _RemoteClassifier(Classifier):
    """A model that is loaded on workers only; `logits` is computed there."""

    def __init__(self, pool: WorkerPool, model: Model) -> None:
        self.model = model
        self._pool = pool
        vars(self).update(self._ask("describe", (), model.ref.repo_id), ref=model.ref)

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> NDArray[np.float32]:
        """See `Classifier.logits`; one worker computes them all, in batches that fit every worker."""
        context = (self.batch_size, sample_rate_hz)
        logits, batch_size = self._ask("logits", context, (self.ref.repo_id, list(waveforms)))
        self.batch_size = min(self.batch_size, batch_size)
        return np.array(logits)

    def _ask(self, method: str, context: tuple[Any, ...], item: Any) -> Any:
        """The answer of any worker to a single item."""
        items = iter([WorkItem({self.model.ref.repo_id: item})])
        ((_, content),) = self._pool.run(method, self.model, context, items)
        return content
