"""Extraction and evaluation spread over a Ray cluster: the work of `extract.runner` and `evaluation.predict`.

The command that gives out the work holds no model, and keeps what comes back just as if it had made it: the
journal of an extraction, the answers of an evaluation. So it continues after a kill as it does without a
cluster, also on another one, or on none.

The unit of extraction is a clip, a few of which are given out together; that of an evaluation is all that is
asked about one clip. Masks and classes are those of a run on one machine, unless a lead is within rounding of
MIN_MARGIN; logits may differ in their last bits, as they do between batch sizes.

Public: ray_engine, RayEngine.
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
from harness.cluster.worker import About, Model, Signals, folder_of
from harness.cluster.worker_pool import WorkerPool, WorkItem
from harness.dataset.parquet_io import sha256_of
from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite
from harness.evaluation.predict import Answers, Candidate
from harness.evaluation.units import Unit
from harness.extract.certify import Extracted
from harness.extract.journal_lines import from_item
from harness.extract.oracle import Listener
from harness.extract.runner import Progress
from harness.extract.search import Search
from harness.extract.search_task import NO_LIMITS, ONE_DRAW, ONE_SIGNAL, Draws, Limits, Sets
from harness.journal import Journal
from harness.models.checkpoints import Checkpoint
from harness.models.classifiers import Classifier
from harness.tasks import Task
from harness.types import Clip, LabelMap, Waveform

_MOST_CLIPS = 8
"""Clips given out together: enough to fill batches; towards the end fewer, so that nobody is waited for."""


@contextmanager
def ray_engine(
    wishes: ResourceRequest, *, device: str | None, batch_size: int, dtype: str, say: Callable[[str], None]
) -> Iterator[RayEngine]:
    """Models at work on a cluster, which is joined or started when the first is asked something.

    Args:
        wishes: what the user asks of the cluster.
        device: see `classifiers.load`; the cluster says which card.
        batch_size: see `classifiers.load`.
        dtype: see `classifiers.load`.
        say: tells the user something, in a line.

    Raises:
        BadCluster: ray is not installed.
    """
    require()
    crew = WorkerPool(wishes, device, say)
    try:
        yield RayEngine(crew, batch_size, dtype)
    finally:
        crew.close()


class RayEngine:
    """Models at work on a cluster. Made by `ray_engine`."""

    def __init__(self, crew: WorkerPool, batch_size: int, dtype: str) -> None:
        self.crew = crew
        self._batch_size, self._dtype = batch_size, dtype

    def open(self, checkpoint: Checkpoint) -> Classifier:
        """A model that hears on the cluster; a worker opens it, and says what it is."""
        folder = folder_of(checkpoint.folder) if checkpoint.ref.repo_id.startswith("local/") else None
        device = self.crew.shape.device
        model = Model(checkpoint.ref, folder, checkpoint.trusted, device, self._batch_size, self._dtype)
        return _Far(self.crew, model)

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
    ) -> list[Extracted]:
        """See `extract.runner.extract`; the listener was opened here."""
        assert isinstance(listener, _Far)  # noqa: S101
        done = {line["clip_id"]: from_item(line) for line in journal.items}
        journal.items.clear()
        progress(len(done), 0)
        waiting = [clip for clip in clips if clip.clip_id not in done]
        context = (reference, label_map, tuple(searches), limits, sets, draws)
        for finished, said in self.crew.run("extract", listener.model, context, self._chunks(waiting)):
            if not finished:
                progress(0, said)
                continue
            journal.append(said)
            done[said["clip_id"]] = from_item(said)
            progress(1, 0)
        return [done[clip.clip_id] for clip in clips]

    def judge(
        self, candidate: Candidate, suite: Suite, task: Task, blocks: Iterable[Sequence[Unit]]
    ) -> Iterator[list[tuple[Unit, Answers]]]:
        """See `predict.judge`; the candidate was opened here."""
        assert isinstance(candidate, _Far)  # noqa: S101
        folder, sha256 = folder_of(suite.root), sha256_of(suite.root / MANIFEST)
        commit = suite.commit if suite.is_remote else None
        signals = Signals(suite.name, commit, folder, sha256)
        asked: dict[str, Unit] = {}

        def pieces() -> Iterator[WorkItem]:
            for block in blocks:
                piece = WorkItem({unit.key: unit for unit in block})
                asked.update(piece.left)
                yield piece

        context = (signals, task.name)
        for keys, (said, batch_size) in self.crew.run("judge", candidate.model, context, pieces()):
            candidate.batch_size = min(candidate.batch_size, batch_size)
            # Copied, or each would hold on to the memory that it came in.
            yield [
                (asked.pop(key), Answers(one.stimuli, np.array(one.logits), np.array(one.seen)))
                for key, one in zip(keys, said, strict=True)
            ]

    def _chunks(self, clips: Sequence[Clip]) -> Iterator[WorkItem]:
        start = 0
        while start < len(clips):
            share = math.ceil((len(clips) - start) / (2 * self.crew.shape.workers))
            some = clips[start : start + min(_MOST_CLIPS, share)]
            yield WorkItem({clip.clip_id: clip for clip in some})
            start += len(some)


class _Far(Classifier):
    """A model that is loaded on workers only; here it is known, and can be asked for logits."""

    def __init__(self, crew: WorkerPool, model: Model) -> None:
        self.model = model
        self._crew = crew
        about: About = self._ask("describe", (), model.ref.repo_id)
        self.ref = model.ref
        self.class_names = about.class_names
        self.device = about.device
        self.dtype = about.dtype
        self.settings_sha256 = about.settings_sha256
        self.batch_size = about.batch_size
        self.frontend = about.frontend
        self.min_samples = about.min_samples
        self.facts = about.facts
        self.notes = about.notes

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> NDArray[np.float32]:
        """See `Classifier.logits`; one worker hears them all, in batches as large as all may have them."""
        context = (self.batch_size, sample_rate_hz)
        logits, batch_size = self._ask("hear", context, (self.ref.repo_id, list(waveforms)))
        self.batch_size = min(self.batch_size, batch_size)
        return np.array(logits)

    def _ask(self, method: str, context: tuple[Any, ...], item: Any) -> Any:
        """What some worker says of a single item."""
        ((_, said),) = self._crew.run(
            method, self.model, context, iter([WorkItem({self.model.ref.repo_id: item})])
        )
        return said
