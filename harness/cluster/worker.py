"""A worker of a cluster: it holds a model, receives clips or units, and sends the results.

A worker is an ordinary object that does not use ray. Each of its methods is a generator of messages: the keys
of the finished items, and their results. Each message is sent at once, so that a worker that dies loses only
the items it was working on.

A worker must run the same code and versions as the command that it works for. It opens models and signals
itself: those of the Hub by commit, local ones under the same path, that is, on a file system that all nodes
share. Any difference is refused before it could change an answer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from harness.dataset.completed import StandIns
from harness.dataset.parquet_io import sha256_of
from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite, load
from harness.errors import BadCluster, BadModel, BadSignals
from harness.evaluation import predict
from harness.evaluation.units import Unit
from harness.extract import runner
from harness.extract.search import Search
from harness.extract.search_task import Draws, Limits, Sets
from harness.journal import FinishedItems, Journal
from harness.models import heads
from harness.models.checkpoints import resolve
from harness.models.classifiers import Classifier
from harness.provenance import own_version, versions
from harness.types import PROTOCOL, Clip, LabelMap, ModelRef, Waveform

Message = tuple[list[str], Any]
"""Keys of the finished items, and their results or the progress so far."""

_PACKAGE = Path(__file__).parents[1]
_SHARED = "with --engine ray every worker must find it there: put it on a file system that all nodes share"


@dataclass(frozen=True)
class Build:
    """What an answer depends on besides the model: it must be the same on every worker as in the command."""

    goodenough: str
    """Version of this package."""
    protocol: int
    """See `types.PROTOCOL`."""
    code: str
    """sha256 over its source files: two states of a checkout have the same version."""
    versions: tuple[tuple[str, str], ...]
    """Versions of python and of the packages whose change can move a logit."""


@cache
def own_build() -> Build:
    """The build of this process."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return Build(own_version(), PROTOCOL, digest.hexdigest(), tuple(sorted(versions().items())))


def portable(path: Path) -> Path:
    """A folder for every node: relative to the installed package where it lies in it, else absolute.

    The package may lie elsewhere on each node; `_PACKAGE / folder` is the folder for this process.
    """
    absolute = path.resolve()
    return absolute.relative_to(_PACKAGE) if absolute.is_relative_to(_PACKAGE) else absolute


@dataclass(frozen=True)
class Model:
    """A model and how it is opened."""

    ref: ModelRef
    """Which, at which moment."""
    folder: Path | None
    """Where it lies, see `portable`; None for one of the Hub."""
    trusted: bool
    """Whether the Python files next to it may be run."""
    device: str
    """`cpu`, `cuda` or `mps`."""
    batch_size: int
    """Largest batch."""
    dtype: str
    """Its arithmetic."""


@dataclass(frozen=True)
class Signals:
    """A signals folder, and what is in it."""

    name: str
    """What it is called in entries."""
    commit: str | None
    """40-hex commit of a dataset of the Hub; None for a folder."""
    folder: Path
    """Where it lies, see `portable`, if it is no dataset of the Hub."""
    sha256: str
    """Of its manifest, which names that of every file."""


class Worker:
    """A process of the cluster that keeps the model and the signals it used last."""

    def __init__(self) -> None:
        """Nothing is opened before it is needed."""
        self._model: tuple[Model, Classifier] | None = None
        self._suite: tuple[Signals, Suite] | None = None

    def greet(self, expected: Build, model: Model) -> Iterator[Message]:
        """Open a model and send process id and host, if the builds agree.

        Raises:
            BadCluster: it would compute something else.
            BadModel: the model is not there, or another one.
        """
        own, host = own_build(), socket.gethostname()
        if own != expected:
            raise BadCluster(
                f"a worker on {host} has {_build_difference(own, expected)}; its answers could be others:"
                " install the same version of everything on each node of the cluster"
            )
        self._classifier(model)
        yield [], (os.getpid(), host)

    def describe(self, model: Model, keys: Sequence[str]) -> Iterator[Message]:
        """The description of the model: the attributes of its `Classifier` that need no weights."""
        names = ("class_names", "device", "dtype", "settings_sha256", "batch_size", "frontend", "min_samples")
        classifier = self._classifier(model)
        yield list(keys), {name: getattr(classifier, name) for name in (*names, "facts", "notes")}

    def logits(
        self, model: Model, batch_size: int, rate: int, items: Sequence[tuple[str, list[Waveform]]]
    ) -> Iterator[Message]:
        """Logits of waveforms, and the batch size that they took."""
        classifier = self._classifier(model)
        classifier.batch_size = min(classifier.batch_size, batch_size)
        for key, waveforms in items:
            logits = classifier.logits([np.array(waveform) for waveform in waveforms], rate)
            yield [key], (logits, classifier.batch_size)

    def extract(
        self,
        model: Model,
        reference: str,
        labels: LabelMap,
        searches: Sequence[Search],
        limits: Limits,
        sets: Sets,
        draws: Draws,
        clips: Sequence[tuple[Clip, StandIns]],
    ) -> Iterator[Message]:
        """Extract from clips, as in `extract.runner`: sends journal lines, and queries in between.

        The runner uses callbacks, so it runs in a thread of its own.
        """
        classifier = self._classifier(model)
        # Arrays from the object store are read-only, which torch does not accept.
        writable_clips = [dataclasses.replace(clip, waveform=np.array(clip.waveform)) for clip, _ in clips]
        stand_ins = {clip.clip_id: others for clip, others in clips}
        messages: SimpleQueue[Message | BaseException | None] = SimpleQueue()

        def report(n_clips: int, n_queries: int) -> None:
            if n_queries:
                messages.put(([], n_queries))

        def run_extraction() -> None:
            try:
                journal = _MessageJournal(messages)
                runner.extract(
                    *(classifier, reference, labels, writable_clips, searches, journal),
                    limits=limits,
                    sets=sets,
                    draws=draws,
                    stand_ins=lambda clip: stand_ins[clip.clip_id],
                    progress=report,
                )
                messages.put(None)
            except BaseException as error:
                messages.put(error)

        threading.Thread(target=run_extraction, daemon=True).start()
        while (message := messages.get()) is not None:
            if isinstance(message, BaseException):
                raise message
            yield message

    def judge(self, model: Model, signals: Signals, task: str, units: Sequence[Unit]) -> Iterator[Message]:
        """Answers to the units of one clip, and the batch size that they took."""
        suite, classifier = self._suite_of(signals), self._classifier(model)
        for block_answers in predict.judge(classifier, suite, suite.task(task), [units]):
            yield (
                [unit.key for unit, _ in block_answers],
                ([answers for _, answers in block_answers], classifier.batch_size),
            )

    def _classifier(self, model: Model) -> Classifier:
        if self._model is None or self._model[0] != model:
            self._model = None  # two at a time may not fit
            source, revision = model.ref.repo_id, None if model.folder else model.ref.revision
            if model.folder is not None:
                source = str(_PACKAGE / model.folder)
                if not Path(source).is_dir():
                    raise BadModel(f"no folder {source} on {socket.gethostname()}; {_SHARED}")
            checkpoint = resolve(source, revision, trust_remote_code=model.trusted)
            if checkpoint.ref.weights_sha256 != model.ref.weights_sha256 or (
                checkpoint.ref.revision != model.ref.revision
            ):
                raise BadModel(
                    f"{source} on {socket.gethostname()} is not the {model.ref.repo_id} of this command: its"
                    f" files differ; {_SHARED}"
                )
            classifier = heads.open_checkpoint(
                checkpoint, device=model.device, batch_size=model.batch_size, dtype=model.dtype
            )
            self._model = model, classifier
        return self._model[1]

    def _suite_of(self, signals: Signals) -> Suite:
        if self._suite is None or self._suite[0] != signals:
            if signals.commit is not None:
                suite = load(f"{signals.name}@{signals.commit}")
            else:
                root = _PACKAGE / signals.folder
                if not root.is_dir():
                    raise BadSignals(f"no signals folder {root} on {socket.gethostname()}; {_SHARED}")
                suite = Suite(root, signals.name)
            if sha256_of(suite.root / MANIFEST) != signals.sha256:
                raise BadSignals(
                    f"{suite.root} on {socket.gethostname()} is not the {signals.name} of this command: its"
                    f" {MANIFEST} differs; {_SHARED}"
                )
            self._suite = signals, suite
        return self._suite[1]


class _MessageJournal(Journal):
    """A journal whose lines are sent to the command, which writes the file."""

    def __init__(self, messages: SimpleQueue[Any]) -> None:
        self.items = FinishedItems()
        self.folder = None
        self._messages = messages

    def append(self, *items: dict[str, Any]) -> None:
        for item in items:
            self._messages.put(([item["clip_id"]], item))


def _build_difference(own: Build, expected: Build) -> str:
    """How two builds differ, in words."""
    if (own.goodenough, own.protocol) != (expected.goodenough, expected.protocol):
        return (
            f"goodenough {own.goodenough} with protocol {own.protocol}, and this command is"
            f" {expected.goodenough} with protocol {expected.protocol}"
        )
    own_versions = dict(own.versions)
    for name, version in expected.versions:
        if own_versions.get(name) != version:
            return f"{name} {own_versions.get(name)}, and this command {version}"
    return f"other source files of goodenough {own.goodenough} than this command"
