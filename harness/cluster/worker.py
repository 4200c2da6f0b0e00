"""What one worker of a cluster does: it holds a model, is given clips or units, and says what came of them.

A worker is an ordinary object that knows nothing of ray. Each of its methods is a generator of messages: the
keys of the items that are finished, and what came of them. A message is sent as soon as there is one, so that
whoever gives out the work loses no more with a worker than what it had in hand.

A worker must run the same code under the same versions as the command that it works for, and finds models and
signals by itself: those of the Hub by commit, local ones under the same path, that is, on a file system which
all nodes share. Anything else is refused before it could give another answer.

Public: Worker, Message, Model, Signals, Folder, Build, About, own_build, folder_of.
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

from harness.dataset.parquet_io import sha256_of
from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite, load
from harness.errors import BadCluster, BadModel, BadSignals
from harness.evaluation import predict
from harness.evaluation.units import Unit
from harness.extract import runner
from harness.extract.search import Search
from harness.extract.search_task import Draws, Limits, Sets
from harness.journal import Journal
from harness.model_facts import ModelFacts
from harness.models import classifiers
from harness.models.checkpoints import resolve
from harness.models.classifiers import Classifier
from harness.provenance import own_version, versions
from harness.types import PROTOCOL, Clip, LabelMap, ModelRef, Waveform

Message = tuple[list[str], Any]
"""Keys of the items that are finished, and what came of them or of the work so far."""

_PACKAGE = Path(__file__).parents[1]
_SHARED = "with --engine ray every worker must find it there: put it on a file system that all nodes share"


@dataclass(frozen=True)
class Build:
    """What decides an answer beside the model: the same on every worker as in the command."""

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
    """That of this process."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return Build(own_version(), PROTOCOL, digest.hexdigest(), tuple(sorted(versions().items())))


@dataclass(frozen=True)
class Folder:
    """A local folder, wherever it lies for a worker."""

    path: Path
    """Absolute; or below the installed package, which each node has in a place of its own."""

    def here(self) -> Path:
        """Where it lies for this process."""
        return _PACKAGE / self.path


def folder_of(path: Path) -> Folder:
    """A folder by the path that a worker will find it under."""
    whole = path.resolve()
    return Folder(whole.relative_to(_PACKAGE) if whole.is_relative_to(_PACKAGE) else whole)


@dataclass(frozen=True)
class Model:
    """A model and how it is opened."""

    ref: ModelRef
    """Which, at which moment."""
    folder: Folder | None
    """Where it lies; None for one of the Hub."""
    trusted: bool
    """Whether the Python files beside it may be run."""
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
    folder: Folder
    """Where it lies, if it is no dataset of the Hub."""
    sha256: str
    """Of its manifest, which names that of every file."""


@dataclass(frozen=True)
class About:
    """What a worker knows of a model that it opened; the fields are those of `classifiers.Classifier`."""

    class_names: tuple[str, ...]
    device: str
    dtype: str
    settings_sha256: str
    batch_size: int
    frontend: str
    min_samples: int
    facts: ModelFacts
    notes: tuple[str, ...]


class Worker:
    """A process of the cluster that keeps the model and the signals it was last asked about."""

    def __init__(self) -> None:
        """Nothing is opened before it is needed."""
        self._model: tuple[Model, Classifier] | None = None
        self._suite: tuple[Signals, Suite] | None = None

    def greet(self, wanted: Build, model: Model) -> Iterator[Message]:
        """Open a model, and say who and where it is, process id and host, if it may take part.

        Raises:
            BadCluster: it would compute something else.
            BadModel: the model is not there, or another one.
        """
        here, host = own_build(), socket.gethostname()
        if here != wanted:
            raise BadCluster(
                f"a worker on {host} has {_differing(here, wanted)}; its answers could be others: install the"
                " same version of everything on each node of the cluster"
            )
        self._opened(model)
        yield [], (os.getpid(), host)

    def describe(self, model: Model, what: Sequence[str]) -> Iterator[Message]:
        """What the model is."""
        opened = self._opened(model)
        yield list(what), About(**{f.name: getattr(opened, f.name) for f in dataclasses.fields(About)})

    def hear(
        self, model: Model, batch_size: int, rate: int, sounds: Sequence[tuple[str, list[Waveform]]]
    ) -> Iterator[Message]:
        """Logits of waveforms, and the batch size that they took."""
        opened = self._opened(model)
        opened.batch_size = min(opened.batch_size, batch_size)
        for key, waveforms in sounds:
            logits = opened.logits([np.array(waveform) for waveform in waveforms], rate)
            yield [key], (logits, opened.batch_size)

    def extract(
        self,
        model: Model,
        reference: str,
        labels: LabelMap,
        searches: Sequence[Search],
        limits: Limits,
        sets: Sets,
        draws: Draws,
        clips: Sequence[Clip],
    ) -> Iterator[Message]:
        """What comes of some clips, as in `extract.runner`: lines of the journal, and queries in between.

        It calls back where a generator gives, so it goes in a thread of its own.
        """
        opened = self._opened(model)
        # What comes out of the object store is read-only, which torch does not like.
        own = [dataclasses.replace(clip, waveform=np.array(clip.waveform)) for clip in clips]
        said: SimpleQueue[Message | BaseException | None] = SimpleQueue()

        def tell(n_clips: int, n_queries: int) -> None:
            if n_queries:
                said.put(([], n_queries))

        def work() -> None:
            try:
                journal = _Sent(said)
                runner.extract(
                    *(opened, reference, labels, own, searches, journal),
                    limits=limits,
                    sets=sets,
                    draws=draws,
                    progress=tell,
                )
                said.put(None)
            except BaseException as error:
                said.put(error)

        threading.Thread(target=work, daemon=True).start()
        while (message := said.get()) is not None:
            if isinstance(message, BaseException):
                raise message
            yield message

    def judge(self, model: Model, signals: Signals, task: str, units: Sequence[Unit]) -> Iterator[Message]:
        """Answers to the units of one clip, and the batch size that they took."""
        suite, opened = self._signals(signals), self._opened(model)
        for answered in predict.judge(opened, suite, suite.task(task), [units]):
            yield [unit.key for unit, _ in answered], ([said for _, said in answered], opened.batch_size)

    def _opened(self, model: Model) -> Classifier:
        if self._model is None or self._model[0] != model:
            self._model = None  # two at a time may not fit
            source, revision = model.ref.repo_id, None if model.folder else model.ref.revision
            if model.folder is not None:
                source = str(model.folder.here())
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
            opened = classifiers.open_checkpoint(
                checkpoint, device=model.device, batch_size=model.batch_size, dtype=model.dtype
            )
            self._model = model, opened
        return self._model[1]

    def _signals(self, signals: Signals) -> Suite:
        if self._suite is None or self._suite[0] != signals:
            if signals.commit is not None:
                suite = load(f"{signals.name}@{signals.commit}")
            else:
                root = signals.folder.here()
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


class _Sent(Journal):
    """A journal whose lines are sent off; the one on disk is kept by whoever gave out the work."""

    def __init__(self, to: SimpleQueue[Any]) -> None:
        self.items = []
        self._to = to

    def append(self, *items: dict[str, Any]) -> None:
        for item in items:
            self._to.put(([item["clip_id"]], item))


def _differing(here: Build, wanted: Build) -> str:
    """What of two builds differs, in words."""
    if (here.goodenough, here.protocol) != (wanted.goodenough, wanted.protocol):
        return (
            f"goodenough {here.goodenough} with protocol {here.protocol}, and this command is"
            f" {wanted.goodenough} with protocol {wanted.protocol}"
        )
    there = dict(here.versions)
    for name, version in wanted.versions:
        if there.get(name) != version:
            return f"{name} {there.get(name)}, and this command {version}"
    return f"other source files of goodenough {here.goodenough} than this command"
