"""Work that is killed at any moment and begun again ends as if nothing had happened, to the last byte."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from harness import cli
from harness.evaluation import predict
from harness.journal import Journal
from harness.models.external import isolated
from tests.helpers import forking, toy_adapters, toy_models
from tests.helpers.kills import left_behind, n_finished, wait_for
from tests.helpers.repository import ROOT

N_CLIPS = 24
SAMPLES_AT_ONCE = 1 << 16
"""Evaluation keeps what it has judged after so many samples: few, for many moments to be killed at."""


def given(command: list[str]) -> tuple[int, str, str]:
    """What a command ends with, and says, in a process of its own."""
    predict._SAMPLES_AT_ONCE = SAMPLES_AT_ONCE
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(command)
    return code, out.getvalue(), err.getvalue()


ADAPTER = "evaluate an adapter"
VERBS = ("extract", "evaluate", ADAPTER)


class World:
    """A model, a corpus, and what both commands leave behind when nobody disturbs them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "requirements.txt").touch()
        self._make_corpus(root / "corpus")
        toy_models.save_model(root / "ear", "wav2vec2", ("neu", "hap", "ang", "sad"))
        self.adapter = toy_adapters.write_logits(root / "adapter")
        self.undisturbed: dict[str, dict[str, Any]] = {}
        self.n_items: dict[str, int] = {}
        for verb in VERBS:
            self.n_items[verb] = self.finish(verb, root / verb)
            self.undisturbed[verb] = left_behind(verb, root / verb)

    def command(self, verb: str, out: Path) -> list[str]:
        weights = f"weights={self.root / 'adapter' / 'weights.npy'}"
        words = {
            "extract": ("extract", self.root / "ear", "--task", "emotion", "--corpus", self.root / "corpus"),
            "evaluate": ("evaluate", self.root / "ear", "--signals", self.root / "extract"),
            ADAPTER: (
                *("evaluate", self.adapter, "--adapter-arg", weights),
                *("--env", self.root / "requirements.txt", "--signals", self.root / "extract"),
            ),
        }
        rest = ("--repetitions", 2) if verb == "extract" else ()
        return [str(a) for a in (*words[verb], *rest, "--out", out)]

    def finish(self, verb: str, out: Path) -> int:
        """Run the command to its end; returns how many items it still had to do."""
        n_items = 0
        append = Journal.append

        def counted(journal: Journal, *items: dict[str, Any]) -> None:
            nonlocal n_items
            n_items += len(items)
            append(journal, *items)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Journal, "append", counted)
            assert cli.run(self.command(verb, out)) == 0
        return n_items

    @contextlib.contextmanager
    def running(self, verb: str, out: Path) -> Iterator[tuple[BaseProcess, Connection]]:
        """The command as a process of its own, which is gone at the end in any case; and what it says."""
        process, said = forking.start(given, self.command(verb, out))
        try:
            yield process, said
        finally:
            process.kill()
            process.join()
            said.close()

    @staticmethod
    def _make_corpus(folder: Path) -> None:
        folder.mkdir()
        rng = np.random.default_rng(0)
        with open(folder / "metadata.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file_name", "label"])
            for i in range(N_CLIPS):
                t = np.arange(4000 + 100 * (i % 2)) / 16_000
                tones = zip(rng.uniform(0.02, 0.2, 4), rng.uniform(80, 6000, 4), strict=True)
                x = sum(a * np.sin(2 * np.pi * hz * t) for a, hz in tones) + 0.01 * rng.normal(size=len(t))
                soundfile.write(folder / f"c{i:02}.wav", x, 16_000)
                writer.writerow([f"c{i:02}.wav", ("angry", "happy", "neutral", "sad")[i % 4]])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "_SAMPLES_AT_ONCE", SAMPLES_AT_ONCE)
        # Its process is real, and its environment that of the tests.
        patch.setattr(isolated, "open_isolated", partial(isolated.open_isolated, command=[sys.executable]))
        yield World(tmp_path_factory.mktemp("kill"))
    torch.set_num_threads(n_threads)


def moment(n_items: int, seed: int) -> tuple[int, float]:
    """Where to strike: after so many items of the journal, and so many seconds more.

    Every third moment comes after the last item, while the result is written.
    """
    chance = random.Random(f"{n_items} {seed}")
    return n_items if seed % 3 == 2 else chance.randrange(n_items), chance.uniform(0, 0.1)


def strike(world: World, verb: str, out: Path, n_items: int, seconds: float) -> int:
    """Kill the command at a moment; returns how the process ended."""
    with world.running(verb, out) as (process, said):
        wait_for(process.is_alive, out, n_items, seconds)
        process.kill()
        process.join(60)
        assert process.exitcode in (-signal.SIGKILL, 0)
        if process.exitcode == 0:
            assert said.recv()[0] == 0
    return process.exitcode


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_killed_at_work_is_continued_and_ends_the_same(
    world: World, tmp_path: Path, verb: str
) -> None:
    n_items, seconds = moment(world.n_items[verb] // 2, 0)
    assert strike(world, verb, tmp_path, n_items, seconds) == -signal.SIGKILL
    kept = n_finished(tmp_path)
    assert kept is not None
    assert kept >= n_items
    assert not list(tmp_path.rglob("manifest.json")) + list(tmp_path.rglob("entry.json"))
    assert world.finish(verb, tmp_path) == world.n_items[verb] - kept
    assert left_behind(verb, tmp_path) == world.undisturbed[verb]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
@pytest.mark.parametrize("verb", VERBS)
def test_whatever_the_moment_of_the_kill_the_end_is_the_same(
    world: World, tmp_path: Path, verb: str, seed: int
) -> None:
    strike(world, verb, tmp_path, *moment(world.n_items[verb], seed))
    world.finish(verb, tmp_path)
    assert left_behind(verb, tmp_path) == world.undisturbed[verb]


def test_ctrl_c_says_in_one_line_that_nothing_is_lost_and_nothing_is(world: World, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "harness", *world.command("extract", tmp_path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: process.poll() is None, tmp_path, 3, 0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    # Click puts an empty line before it, for the ^C that a terminal shows.
    assert err == "\ngoodenough: interrupted; finished work is kept, and the same command continues\n"
    kept = n_finished(tmp_path)
    assert kept is not None
    assert kept >= 3
    assert world.finish("extract", tmp_path) == N_CLIPS - kept
    assert left_behind("extract", tmp_path) == world.undisturbed["extract"]


def test_a_journal_left_by_a_kill_after_the_manifest_stands_in_nobodys_way(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [*world.command("extract", tmp_path), "--limit", "2"]
    one = [*both, "--search", "responsibility"]
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", Journal.close)
        assert cli.run(one) == 0
    assert n_finished(tmp_path) == 2
    assert cli.run(one) == 0
    assert n_finished(tmp_path) is None
    assert cli.run(both) == 0
