"""Clips of the starter suite: music and moods made by code from seeds, and recorded voices with their copies.

Music and moods stand in for recordings where none may be shipped: what a model does on them says nothing
about real music or speech. How clips sound is the business of `music`, `emotion` and `deepfake`; this is
their door.

Conventions: 16 kHz, mono, rounded to 16 bit before anything is done with it. Clip i of a split depends on its
task, its split and i alone, and has class i modulo the number of classes: any prefix is as balanced as it can
be. Splits: `train`, `held-out` (models are examined on it), `test` (signals are made of it), and of a
recorded task those of `unseen_splits`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from harness.errors import BadTask
from harness.seeds import generator
from harness.starter import paths as root  # the name is part of the key of every step
from harness.starter.build import keys, recordings
from harness.tasks import Task
from harness.types import Clip, FloatArray

if TYPE_CHECKING:
    from harness.starter.build.deepfake import Pair

CORPUS = "starter"
SAMPLE_RATE_HZ = 16_000

_BLOCK = 40
"""Clips in a file of the cache."""


class _Sound(NamedTuple):
    """How the clips of a task are made."""

    module: str
    """Module of this package with `LABELS`, `SECONDS` and `make(rng, label)`; of recordings it has
    `UNSEEN`, `clip(split, index)` and `pairs(split)` instead of `make`."""
    code: tuple[str, ...]
    """Every module that decides how they sound."""
    corpus: str = CORPUS
    """Name of the corpus; clips of another one than CORPUS are recordings."""
    licence: str = "apache-2.0"
    """Of the clips, and of what is trained on them or computed from them."""


class _Maker(Protocol):
    LABELS: tuple[str, ...]
    SECONDS: float
    make: Callable[[np.random.Generator, str], FloatArray]
    UNSEEN: tuple[str, ...]
    clip: Callable[[str, int], FloatArray]
    pairs: Callable[[str], tuple[Pair, ...]]


_SOUNDS: MappingProxyType[str, _Sound] = MappingProxyType(
    {
        "music-genre": _Sound(
            "music", ("starter.build.music", "starter.build.genres", "starter.build.instruments")
        ),
        "emotion": _Sound("emotion", ("starter.build.emotion", "starter.build.speech")),
        "deepfake": _Sound(
            "deepfake",
            tuple(f"starter.build.{name}" for name in ("deepfake", "copies", "recordings", "codecs")),
            corpus="asterisk-core-sounds",
            licence="cc-by-sa-3.0",
        ),
    }
)


def labels_of(task: Task) -> tuple[str, ...]:
    """The canonical labels that occur, in the order in which clips take them."""
    return _maker(task.name).LABELS


def n_samples_of(task: Task) -> int:
    """Samples of a clip."""
    return round(_maker(task.name).SECONDS * SAMPLE_RATE_HZ)


def corpus_of(task: Task) -> tuple[str, str]:
    """Name of the corpus of a task, and the licence of all that is made of its clips."""
    sound = _sound(task.name)
    return sound.corpus, sound.licence


def is_recorded(task: Task) -> bool:
    """Whether the clips of a task are recordings and copies of them."""
    return _sound(task.name).corpus != CORPUS


def unseen_splits(task: Task) -> dict[str, int]:
    """Number of clips in each split that has what no clip to learn from has.

    Raises:
        BadInput: a recording is not installed.
    """
    maker = _maker(task.name)
    return {split: 2 * len(maker.pairs(split)) for split in maker.UNSEEN} if is_recorded(task) else {}


def made_by(task: Task) -> str:
    """Key of the code that makes the clips of a task."""
    return _code(task.name)


def clips(task: Task, split: str, n: int) -> list[Clip]:
    """The first `n` clips of a split; another split name is another draw of the same kind.

    They are kept in the cache, in blocks, and made by all cores.

    Raises:
        BadTask: a task that the starter suite does not play.
        BadInput: a recording, or a program or package that makes sound, is not installed.
    """
    firsts = range(0, n, _BLOCK)
    block = partial(_block, task.name, split, n)
    if len(firsts) > 1 and not all(_path(task.name, split, n, first).is_file() for first in firsts):
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), threadpool_limits, (1,)) as pool:
            blocks = list(pool.map(block, firsts))
    else:
        blocks = [block(first) for first in firsts]
    labels = labels_of(task)
    pairs = _maker(task.name).pairs(split) if is_recorded(task) else ()
    return [
        Clip(
            f"{task.name}-{split}-{index:03d}",
            corpus_of(task)[0],
            labels[index % len(labels)],
            samples.astype(np.float32) / 32768,
            SAMPLE_RATE_HZ,
            pair=pairs[index // 2].cut.name if pairs else None,
        )
        for index, samples in enumerate(samples for block in blocks for samples in block)
    ]


def _block(task: str, split: str, n: int, first: int) -> NDArray[np.int16]:
    """(up to _BLOCK, n_samples) clips from number `first` on."""
    path = _path(task, split, n, first)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = np.stack([_samples(task, split, i) for i in range(first, min(n, first + _BLOCK))])
        unfinished = path.with_suffix(f".{os.getpid()}.npy")
        np.save(unfinished, made)
        unfinished.replace(path)
    return cast(NDArray[np.int16], np.load(path))


def _path(task: str, split: str, n: int, first: int) -> Path:
    block = f"{first}-{min(n, first + _BLOCK)}.npy"
    return root.cache() / "starter" / f"clips-{task}-{split}-{_code(task)}" / block


def _samples(task: str, split: str, index: int) -> NDArray[np.int16]:
    maker = _maker(task)
    if _sound(task).corpus != CORPUS:
        waveform = maker.clip(split, index)
    else:
        label = maker.LABELS[index % len(maker.LABELS)]
        waveform = maker.make(generator(CORPUS, task, split, str(index)), label)
    return np.round(waveform * 32768).astype(np.int16)


def _code(task: str) -> str:
    code = keys.code("starter.build.clips", *_sound(task).code)
    is_made = _sound(task).corpus == CORPUS
    return code if is_made else keys.key(code, recordings.RECORDINGS_LIST.read_text("utf-8"))


def _sound(task: str) -> _Sound:
    if task not in _SOUNDS:
        raise BadTask(f"the starter suite has no task {task!r}; it has: {', '.join(_SOUNDS)}")
    return _SOUNDS[task]


def _maker(task: str) -> _Maker:
    return cast(_Maker, importlib.import_module(f"harness.starter.build.{_sound(task).module}"))
