"""A disk that is full at any moment of a verb: one line, no part of a file; the same command completes it.

Every call that can meet a full disk is counted, and some fail. By RLIMIT_FSIZE the kernel refuses, and so do
libraries of C.
"""

from __future__ import annotations

import errno
import os
import random
import re
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
import pytest

from harness import cache_folder, cli
from harness.entries import store
from tests.helpers import forking, toy_models
from tests.helpers.corpus import make_corpus

NAMES = ("neu", "hap", "ang", "sad")
CALLS = (
    (os, "fsync"),
    (os, "mkdir"),
    (os, "replace"),
    (pq.ParquetWriter, "write_table"),
    (shutil, "copyfile"),
)
CALLS += ((Path, "write_text"), (Path, "write_bytes"))
"""What asks a disk for room."""


IN_CACHE = " in the cache"
"""What cannot be kept there is made again next time, without a word."""


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, a corpus, signals of one model with its verdicts, the entries of both."""
    root = tmp_path_factory.mktemp("full") / "world"
    root.mkdir()
    toy_models.save_model(root / "ear", "wav2vec2", NAMES)
    toy_models.save_model(root / "nose", "hubert", NAMES, seed=3)
    make_corpus(root / "corpus", *((f"{i}.wav", ("angry", "sad")[i % 2]) for i in range(3)))
    (root / "submissions").mkdir()
    assert run(*COMMANDS["extract"](root)[:-2], "--out", root / "signals") == 0
    for name in ("ear", "nose"):
        assert run("evaluate", root / name, "--signals", root / "signals", "--out", root / "results") == 0
    assert run("submit", root / "results", "--out", root / "submissions") == 0
    return root


def entry(root: Path) -> Path:
    (folder,) = (root / "submissions").glob("local__nose/*/*@*[!n]")
    return folder


Command = Callable[[Path], tuple[object, ...]]
COMMANDS: dict[str, Command] = {
    "extract": lambda r: (
        *("extract", r / "ear", "--task", "emotion", "--corpus", r / "corpus", "--budget", 20),
        *("--out", r / "out"),
    ),
    "evaluate": lambda r: ("evaluate", r / "nose", "--signals", r / "signals", "--out", r / "out"),
    "submit": lambda r: ("submit", r / "results", "--out", r / "into"),
    "download": lambda r: ("download", r / "signals", "--out", r / "out"),
    "invalidate": lambda r: ("invalidate", entry(r), "--author", "Ada", "--reason", "It is wrong."),
    "opt-out": lambda r: (
        *("opt-out", r / "nose", "--task", "emotion", "--author", "Ada", "--reason", "It is wrong."),
        *("--out", r / "into"),
    ),
}


@contextmanager
def full_at(k: int | None, error: int = errno.ENOSPC) -> Iterator[list[str]]:
    """Let the k-th call fail, and all that come after it; yields the calls as they are made."""
    calls: list[str] = []
    cache = cache_folder.cache()

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            is_cached = any(isinstance(one, str | Path) and cache in Path(one).parents for one in given)
            calls.append(name + IN_CACHE * is_cached)
            if k is not None and len(calls) >= k:
                raise OSError(error, os.strerror(error))
            return real(*given, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in CALLS:
            patch.setattr(owner, name, counting(name, getattr(owner, name)))
        yield calls


def copy_of(world: Path, to: Path) -> Path:
    shutil.copytree(world, to)
    (to / "into").mkdir()
    (to / "out").mkdir()
    return to


def contents(root: Path) -> Mapping[str, bytes | None]:
    """What a verb left, without what differs from run to run: times, durations, answers that are kept."""
    files = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
    stable = {
        name: path for name, path in files.items() if not re.search(r"(^|/)\.(?!published)|\.lock$", name)
    }
    return {
        name: path.read_bytes() if name.endswith((".parquet", ".csv")) else None
        for name, path in stable.items()
    }


@pytest.fixture(scope="module")
def undisturbed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[int, Any]]:
    """Of a verb: the number of its calls, and what it leaves; found out once."""
    known: dict[str, tuple[int, Any]] = {}

    def of(verb: str) -> tuple[int, Any]:
        if verb not in known:
            root = copy_of(world, tmp_path_factory.mktemp("whole") / "world")
            with full_at(None) as calls:
                assert run(*COMMANDS[verb](root)) == 0
            known[verb] = len(calls), contents(root)
        return known[verb]

    return of


def places(n: int, verb: str) -> list[int]:
    """Which calls fail: the first, the last and a few between them."""
    between = random.Random(verb).sample(range(2, max(n, 3)), min(3, max(n - 2, 1)))
    return sorted({1, n, *between})


def is_in_every_run(verb: str) -> bool:
    return verb == "opt-out"


VERBS = [pytest.param(verb, marks=() if is_in_every_run(verb) else (pytest.mark.slow,)) for verb in COMMANDS]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT], ids=["full", "quota"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_disk_that_is_full_at_any_call_is_one_line(world, tmp_path, undisturbed, capsys, verb, error):
    n, whole = undisturbed(verb)
    assert n, "it writes"
    capsys.readouterr()
    for k in places(n, verb):
        root = copy_of(world, tmp_path / f"{k}")
        with full_at(k, error) as calls:
            code = run(*COMMANDS[verb](root))
        err = capsys.readouterr().err
        assert len(calls) >= k
        if all(call.endswith(IN_CACHE) for call in calls[k - 1 :]):
            assert code == 0, (k, calls[k - 1], err)
            assert contents(root) == whole, (k, calls[k - 1])
            continue
        assert code == 2, (k, calls[k - 1], err)
        [line] = [line for line in err.splitlines() if line.startswith("goodenough: ")]
        assert "no room left on the disk" in line, (k, calls[k - 1], err)
        assert "make some, then give the same command again" in line
        parts = [
            p for p in root.rglob("*") if p.name.endswith((".part", ".tmp")) and ".reproduced" not in p.parts
        ]
        assert parts == [], (k, calls[k - 1])
        assert run(*COMMANDS[verb](root)) == 0, (k, calls[k - 1], capsys.readouterr().err)
        assert contents(root) == whole, (k, calls[k - 1])
        shutil.rmtree(root)


def limited(commands: list[list[str]], environment: dict[str, str], n_bytes: int) -> list[forking.Said]:
    """Give commands where no file may become larger."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))
    return forking.said(commands, environment)


@pytest.mark.slow  # every verb is limited in test_disturbed
@pytest.mark.parametrize("n_bytes", [0, 1000, 20_000])
@pytest.mark.parametrize("verb", ["submit", "download", "invalidate", "opt-out"])
def test_a_file_that_may_get_no_larger_is_one_line(world, tmp_path, undisturbed, verb, n_bytes):
    root = copy_of(world, tmp_path / "world")
    words = [str(word) for word in COMMANDS[verb](root)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    [(code, _, err)] = forking.call(limited, [words], environment, n_bytes)
    _, whole = undisturbed(verb)
    if code == 0:
        written = [p for p in root.rglob("*") if p.is_file() and not (world / p.relative_to(root)).exists()]
        sizes = [p.stat().st_size for p in written if p.stat().st_nlink == 1]
        assert max(sizes, default=0) <= n_bytes
    else:
        assert code == 2, err
        [line] = [line for line in err.splitlines() if line.startswith("goodenough: ")]
        assert "no file may get so large here" in line
        assert "raise the limit (ulimit -f)" in line
        assert [p for p in root.rglob("*") if p.name.endswith((".part", ".tmp"))] == []
        assert run(*words) == 0
    assert contents(root) == whole


def test_stdout_on_a_full_disk_is_one_line(world):
    folder = entry(world)
    assert store.read(folder)
    with open("/dev/full", "w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", full)
        failure = mock.Mock()
        patch.setattr("harness.cli._fail", lambda line, code: (failure(line), code)[1])
        assert run("export", folder, "--as", "every-eval-ever") == 2
        full.write = lambda _: 0  # what is left in its buffer
    assert "no room left on the disk" in failure.call_args[0][0]
