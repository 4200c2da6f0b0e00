"""The cache of answers: whatever becomes of it, results are equal, and only what is lost is asked again."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.dataset import suites
from harness.entries import store
from harness.evaluation import runner
from tests.helpers import toy_models
from tests.helpers.small_suite import LABELS, TASK, Loud, small_suite

Result = tuple[Any, list[dict[str, Any]], int]
"""Entry, rows, and the sounds that were heard for them."""


class Counted(Loud):
    """The model, which counts what it is asked."""

    def __init__(self) -> None:
        self.n_heard = 0

    def logits(self, waveforms: Any, sample_rate_hz: int) -> Any:
        self.n_heard += len(waveforms)
        return super().logits(waveforms, sample_rate_hz)


def evaluated(suite: suites.Suite, out: Path) -> Result:
    model: Any = Counted()
    result = runner.evaluate(model, LABELS, suite, TASK, out)
    return dataclasses.replace(result.entry, run=None), result.verdicts.to_pylist(), model.n_heard


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> suites.Suite:
    return small_suite(tmp_path_factory.mktemp("suite"))


@pytest.fixture
def whole(suite: suites.Suite, tmp_path: Path) -> tuple[Result, Path, bytes]:
    """The result, and the file of answers with its bytes."""
    result = evaluated(suite, tmp_path / "out")
    [path] = (tmp_path / "out").rglob("*.jsonl")
    return result, path, path.read_bytes()


MANY = 60
"""Bits that flip, in full."""


@pytest.mark.parametrize("n", [2, pytest.param(MANY, marks=pytest.mark.slow)])
def test_a_flipped_bit_costs_its_line_and_the_result_is_equal(
    suite: suites.Suite, tmp_path: Path, whole: tuple[Result, Path, bytes], n: int
) -> None:
    (entry, rows, n_heard), path, data = whole
    rng = random.Random(n)
    for _ in range(n):
        at, bit = rng.randrange(len(data)), rng.randrange(8)
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
        again = evaluated(suite, tmp_path / "out")
        assert again[:2] == (entry, rows), (at, bit)
        assert again[2] < n_heard / 2
        assert evaluated(suite, tmp_path / "out")[2] == 0


def changes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What can have become of the file."""
    lines = data.splitlines(keepends=True)
    yield "empty", b""
    yield "torn in its first line", lines[0][:20]
    yield "cut", data[: len(data) // 2]
    yield "without its first line", b"".join(lines[1:])
    yield "the first line twice", lines[0] + data
    yield "lines in another order", b"".join([lines[0], *lines[:0:-1]])
    yield "lines twice", b"".join([lines[0], *lines[1:], *lines[1:]])
    yield "zeros at its end", data + bytes(4096)
    yield "a block of zeros", data[:1000] + bytes(512) + data[1512:]
    yield "a block of another place", data[:1000] + data[3000:3512] + data[1512:]
    yield "of an earlier version", b"".join(line[9:] for line in lines)
    yield "of an earlier version, torn", b"".join(line[9:] for line in lines)[:-9]
    yield "text", b"These are my notes.\nNothing else.\n"
    yield "noise", random.Random(3).randbytes(20_000)
    yield "deeply nested", b"[" * 100_000 + b"\n"


KINDS = [kind for kind, _ in changes(b"".join(b"%d\n" % i for i in range(10_000)))]
SOME = {*random.Random(0).sample(KINDS, 3), "of an earlier version"}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in SOME else pytest.mark.slow, id=k) for k in KINDS]
)
def test_whatever_became_of_the_file_the_result_is_equal(
    suite: suites.Suite, tmp_path: Path, whole: tuple[Result, Path, bytes], kind: str
) -> None:
    (entry, rows, _), path, data = whole
    path.write_bytes(dict(changes(data))[kind])
    again = evaluated(suite, tmp_path / "out")
    assert again[:2] == (entry, rows)
    if kind in ("of an earlier version", "lines twice", "lines in another order"):
        assert again[2] == 0, "nothing was lost"
    assert evaluated(suite, tmp_path / "out")[2] == 0


def test_a_line_of_an_earlier_version_that_holds_no_answers_is_asked_again(
    suite: suites.Suite, tmp_path: Path, whole: tuple[Result, Path, bytes]
) -> None:
    (entry, rows, _), path, data = whole
    lines = [line[9:] for line in data.splitlines(keepends=True)]
    wrong = (
        *(b'"x"\n', b"{}\n", b'{"of": 1, "stimuli": 2, "answers": 3}\n', b'{"proof": {"n": 1}}\n'),
        *(b'{"of": "a", "stimuli": [["clip", null, null]], "answers": "AAAA"}\n', b'{"proof": []}\n'),
    )
    path.write_bytes(b"".join([lines[0], *wrong, *lines[3:]]))
    assert evaluated(suite, tmp_path / "out")[:2] == (entry, rows)


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_damaged_shard_costs_what_was_damaged(suite: suites.Suite, tmp_path: Path, is_whole: bool) -> None:
    entry, rows, n_heard = evaluated(suite, tmp_path / "whole")
    for i in (1, 2):
        model: Any = Counted()
        runner.judge_shard(model, suite, TASK, tmp_path / "out", (i, 2))
    path = next((tmp_path / "out").rglob("*.1-of-2.jsonl"))
    data = path.read_bytes()
    at = len(data) // 2
    path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :] if is_whole else b"\0" * 100 + b"\n")
    again = evaluated(suite, tmp_path / "out")
    assert again[:2] == (entry, rows)
    assert 0 < again[2] < n_heard


# --- the disk takes no more


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    for i, name in enumerate(("toys/a", "toys/b")):
        toy_models.add_signals(root / "signals", name, seed=i)
    toy_models.save_model(root / "ear", "wav2vec2", ("fake", "real"))
    assert cli.run(command(root, root / "out")) == 0
    return root


def command(root: Path, out: Path) -> list[str]:
    return [str(word) for word in ("evaluate", root / "ear", "--signals", root / "signals", "--out", out)]


def content(out: Path) -> list[Any]:
    """The entry without its times, and every byte of the verdicts."""
    [folder] = store.find(out)
    entry = dataclasses.replace(store.read(folder), run=None)
    return [entry, (folder / store.VERDICTS).read_bytes()]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert cli.run(words) == 2
    [line] = [each for each in capsys.readouterr().err.splitlines() if each.startswith("goodenough: ")]
    assert "Traceback" not in line
    return line


@pytest.mark.parametrize(
    "n_bytes", [6000, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1000, 20_000))]
)
def test_a_limit_on_the_size_of_a_file_is_one_line_and_the_same_command_completes(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], n_bytes: int
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        line = refused(command(world, tmp_path), capsys)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "no file may get so large here" in line
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith((".part", ".lock"))]
    assert cli.run(command(world, tmp_path)) == 0
    assert content(tmp_path) == content(world / "out")


@pytest.mark.parametrize(
    ("nth", "code"),
    [
        pytest.param(nth, code, marks=() if (nth, code) == (3, errno.ENOSPC) else pytest.mark.slow)
        for nth in (1, 3, 5)
        for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
    ],
)
def test_a_disk_that_fails_at_any_write_is_one_line_and_the_same_command_completes(
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    nth: int,
) -> None:
    sync, n_calls = os.fsync, 0

    def failing(file: int) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls >= nth:
            raise OSError(code, os.strerror(code))
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        line = refused(command(world, tmp_path), capsys)
    assert str(tmp_path) in line
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith((".part", ".lock"))]
    assert cli.run(command(world, tmp_path)) == 0
    assert content(tmp_path) == content(world / "out")
