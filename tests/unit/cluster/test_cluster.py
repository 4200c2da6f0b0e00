"""Work spread over a Ray cluster ends as if it had been done here, whoever is killed on the way."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from harness import cli, labels, tasks
from harness.cluster import ray_client, worker, worker_pool
from harness.cluster.ray_client import RayCluster
from harness.cluster.ray_engine import RayEngine, ray_engine
from harness.cluster.resources import Node, ResourceRequest, WorkerSpec, shape_of
from harness.cluster.worker import Model, Signals, Worker, own_build, portable
from harness.cluster.worker_pool import WorkerPool, WorkItem
from harness.dataset.corpora import open_corpus
from harness.dataset.parquet_io import sha256_of
from harness.dataset.paths import MANIFEST
from harness.entries import store
from harness.errors import BadCluster, BadModel, BadSignals
from harness.evaluation.answer_cache import AnswerCache
from harness.extract import SEARCHES, build_reference
from harness.journal import Journal
from harness.models import checkpoints
from tests.helpers import forking, rounding, toy_models
from tests.helpers.kills import left_behind, n_finished, wait_for
from tests.helpers.repository import ROOT

N_CLIPS = 8
EMOTIONS = ("neu", "hap", "ang", "sad")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of this machine; commands in this process find it open, others join it."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        # Ray has its workers give way to everything else on the machine: other tests would hold them up.
        patch.setenv("RAY_worker_niceness", "0")
        patch.setattr(ray_client, "_STORE_BYTES", 80 << 20)
        opened = RayCluster(None)
        yield ray.get_runtime_context().gcs_address
        opened.close()
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a model, and what extraction and evaluation make of them here, with one thread."""
    import torch

    root = tmp_path_factory.mktemp("cluster")
    (root / "corpus").mkdir()
    rng = np.random.default_rng(0)
    with open(root / "corpus" / "metadata.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label"])
        for i in range(N_CLIPS):
            t = np.arange(4000 + 100 * (i % 2)) / 16_000
            tones = zip(rng.uniform(0.02, 0.2, 4), rng.uniform(80, 6000, 4), strict=True)
            x = sum(a * np.sin(2 * np.pi * hz * t) for a, hz in tones) + 0.01 * rng.normal(size=len(t))
            soundfile.write(root / "corpus" / f"c{i}.wav", x, 16_000)
            writer.writerow([f"c{i}.wav", ("angry", "happy", "neutral", "sad")[i % 4]])
    toy_models.save_model(root / "ear", "wav2vec2", EMOTIONS)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert cli.run(extracting(root, root / "extract")) == 0
    # Apart: the verdicts of a reference are put beside the signals that it judges.
    shutil.copytree(root / "extract", root / "signals")
    assert cli.run(evaluating(root, root / "evaluate")) == 0
    torch.set_num_threads(n_threads)
    return root


def extracting(world: Path, out: Path, *further: str, model: str = "ear") -> list[str]:
    given = ("--task", "emotion", "--corpus", world / "corpus", "--repetitions", 2, "--out", out)
    return [str(a) for a in ("extract", world / model, *given, *further)]


def evaluating(world: Path, out: Path, *further: str) -> list[str]:
    return [
        str(a) for a in ("evaluate", world / "ear", "--signals", world / "signals", "--out", out, *further)
    ]


def spent(address: str, workers: int = 1) -> tuple[str, ...]:
    """The options of a command that joins the cluster; each worker computes with one thread."""
    given = ("--engine", "ray", "--workers", workers, "--cpus-per-worker", 0.5, "--ray-address", address)
    return tuple(map(str, given))


def pids(pool: WorkerPool) -> set[int]:
    """Of the workers that have greeted."""
    return {int(slot.name.split()[1]) for slot in pool._slots if slot.name}


def verdicts(out: Path) -> list[dict[Hashable, Any]]:
    (path,) = out.glob("*/*/*/entry.json")
    return store.verdicts(path.parent).to_dict("records")


def assert_same_signals(out: Path, wanted: Path) -> None:
    """All is the same but the last bits of probabilities, which depend on who was killed over what."""
    found, here = left_behind("extract", out), left_behind("extract", wanted)
    for content in (found, here):
        assert content["manifest.json"].pop("files")
        del content["emotion/local__ear.parquet"]
    assert found == here
    both = (pq.read_table(root / "emotion" / "local__ear.parquet").to_pylist() for root in (out, wanted))
    for far, near in zip(*both, strict=True):
        for name in ("p_whole", "p_signal"):
            assert far.pop(name) == pytest.approx(near.pop(name), abs=rounding.PROBABILITY)
        assert far.pop("margin") == pytest.approx(near.pop("margin"), abs=rounding.MARGIN)
        assert far == near


# On the cluster


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_signals_from_a_cluster_are_those_from_here_to_the_last_byte(
    address: str, world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], workers: int
) -> None:
    assert cli.run(extracting(world, tmp_path / "out", *spent(address, workers=workers))) == 0
    assert left_behind("extract", tmp_path / "out") == left_behind("extract", world / "extract")
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_verdicts_from_a_cluster_are_those_from_here_even_if_all_its_workers_are_killed(
    address: str,
    world: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin, append = WorkerPool.__init__, AnswerCache.append
    at_work: list[WorkerPool] = []
    n_appended = 0

    def known(crew: WorkerPool, *given: Any) -> None:
        at_work.append(crew)
        begin(crew, *given)

    def striking(book: AnswerCache, answered: Any) -> None:
        nonlocal n_appended
        append(book, answered)
        n_appended += 1
        for pid in pids(at_work[0]) if n_appended == 2 else ():
            os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(WorkerPool, "__init__", known)
    monkeypatch.setattr(AnswerCache, "append", striking)
    code = cli.run(evaluating(world, tmp_path, "--json", *spent(address, workers=2)))
    out, err = capfd.readouterr()
    assert code == 0, err
    # Nothing else is on stdout: ray would put the death of a worker there.
    (result,) = json.loads(out)["results"]
    deaths = [line for line in err.splitlines() if line]
    assert deaths
    assert all(line.startswith("worker process ") and " died; " in line for line in deaths)
    here = json.loads(next((world / "evaluate").glob("*/*/*/entry.json")).read_text())
    assert result["scorecard"] == here["scorecard"]
    assert result["run"]["device"] == here["run"]["device"] == "cpu"
    for far, near in zip(verdicts(tmp_path), verdicts(world / "evaluate"), strict=True):
        bound = rounding.STORED_PROBABILITY
        np.testing.assert_allclose(far.pop("p"), near.pop("p"), rtol=0, atol=bound)
        assert far.pop("p_expected") == pytest.approx(near.pop("p_expected"), abs=bound, nan_ok=True)
        assert far.pop("energy_seen") == pytest.approx(near.pop("energy_seen"))
        assert str(far) == str(near)


@pytest.mark.slow
def test_workers_that_are_killed_are_replaced_and_the_end_is_the_same(
    address: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with ray_engine(
        ResourceRequest(address, 2, cpus_per_worker=0.5),
        device=None,
        batch_size=16,
        dtype="float32",
        notify=said.append,
    ) as team:
        append, killed = Journal.append, set()

        def striking(journal: Journal, *items: dict[str, Any]) -> None:
            append(journal, *items)
            if not killed:
                killed.update(pids(team.pool))
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)

        monkeypatch.setattr(Journal, "append", striking)
        add(team, world, tmp_path / "out")
        assert killed
        assert not killed & pids(team.pool)
    assert_same_signals(tmp_path / "out", world / "extract")
    assert said
    assert all(" died; c" in line or line.endswith(" died; it had done its work") for line in said)


def add(team: RayEngine, world: Path, out: Path) -> None:
    task = tasks.find("emotion")
    corpus = open_corpus(str(world / "corpus"), task)
    searches = [dataclasses.replace(SEARCHES["responsibility"], repetitions=2), SEARCHES["minimal"]]
    classifier = team.open(checkpoints.resolve(str(world / "ear")))
    label_map = labels.harmonise(classifier.class_names, task)
    build_reference.add(classifier, label_map, task, corpus, searches, out, engine=team.extract)


def slowly(command: list[str]) -> int:
    """What a command ends with that takes its time after every item of its journal."""
    append = Journal.append

    def appended(journal: Journal, *items: dict[str, Any]) -> None:
        append(journal, *items)
        time.sleep(0.3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", appended)
        return cli.run(command)


@pytest.mark.slow
def test_a_command_that_is_killed_continues_where_it_was_and_leaves_nobody_at_work(
    address: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    process, end = forking.start(slowly, extracting(world, tmp_path, *spent(address)))
    wait_for(process.is_alive, tmp_path, 3, 0)
    process.kill()
    process.join(60)
    end.close()
    assert process.exitcode == -signal.SIGKILL
    kept = n_finished(tmp_path)
    assert kept is not None
    assert 3 <= kept < N_CLIPS
    deadline = time.monotonic() + 60
    while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"]:
        assert time.monotonic() < deadline, "its workers went with it"
        time.sleep(0.1)
    appended: list[dict[str, Any]] = []
    append = Journal.append

    def counted(journal: Journal, *items: dict[str, Any]) -> None:
        appended.extend(items)
        append(journal, *items)

    monkeypatch.setattr(Journal, "append", counted)
    assert cli.run(extracting(world, tmp_path)) == 0, "here: it needs no cluster to continue"
    assert len(appended) == N_CLIPS - kept
    assert_same_signals(tmp_path, world / "extract")


@pytest.mark.slow  # below, a worker without a model raises
def test_what_a_worker_raises_on_purpose_is_one_line(
    address: str, world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from safetensors.numpy import load_file, save_file

    deaf = toy_models.save_model(tmp_path / "deaf", "wav2vec2", EMOTIONS)
    weights = load_file(deaf / "model.safetensors")
    weights["classifier.bias"][:] = np.nan
    save_file(weights, deaf / "model.safetensors", {"format": "pt"})
    assert cli.run(extracting(world, tmp_path / "out", *spent(address), model=str(deaf))) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err == (
        "goodenough: local/deaf gave logits that are not finite; are its weights damaged, or were they"
        " trained in a precision that overflowed?\n"
    )
    assert not (tmp_path / "out").exists()


# A crew of workers that have no model


ANY = Model(None, None, False, "cpu", 1, "float32")  # type: ignore[arg-type]


class Toy:
    """A worker for what a crew can do with any; each test says what `work` does."""

    def greet(self, wanted: Any, model: Any) -> Iterator[Any]:
        yield [], (os.getpid(), "here")


def crew_of(toy: type, monkeypatch: pytest.MonkeyPatch, said: list[str], workers: int = 2) -> WorkerPool:
    import ray

    monkeypatch.setattr(ray_client, "Worker", toy)
    # Nodes need not have the tests: what comes from here goes with the work.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return WorkerPool(ResourceRequest(workers=workers, cpus_per_worker=0.5), None, said.append)


def pieces(*names: str) -> Iterator[WorkItem]:
    return iter([WorkItem({letter: letter for letter in name}) for name in names])


@pytest.mark.slow
def test_a_piece_over_which_workers_keep_dying_is_named_and_what_came_before_is_kept(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fragile(Toy):
        def work(self, model: Any, letters: list[str]) -> Iterator[Any]:
            for letter in letters:
                if letter == "x":
                    time.sleep(0.6)  # until what was said before is out
                    os.kill(os.getpid(), signal.SIGKILL)
                yield [letter], letter.upper()

    said: list[str] = []
    crew = crew_of(Fragile, monkeypatch, said, workers=1)
    came: list[str] = []
    with pytest.raises(BadCluster) as error:
        came.extend(letter for _, letter in crew.run("work", ANY, (), pieces("ab", "cxd", "ef")))
    crew.close()
    assert came == ["A", "B", "C"]
    assert str(error.value).startswith("3 workers died one after the other over x, d, most likely")
    assert [line.split(" died; ")[1] for line in said] == ["x, d will be given out again"] * 2


@pytest.mark.slow
def test_what_nobody_took_before_all_had_died_is_done_by_those_who_come(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mortal(Toy):
        def work(self, model: Any, letters: list[str]) -> Iterator[Any]:
            yield letters, os.getpid()
            time.sleep(0.3)
            if letters == ["a"]:
                os.kill(os.getpid(), signal.SIGKILL)

    said: list[str] = []
    crew = crew_of(Mortal, monkeypatch, said, workers=1)
    by = {keys[0]: pid for keys, pid in crew.run("work", ANY, (), pieces("a", "b", "c"))}
    crew.close()
    assert list(by) == ["a", "b", "c"]
    assert by["a"] != by["b"] == by["c"]
    assert [line.split(" died; ")[1] for line in said] == ["it had done its work"]


def test_a_slow_worker_holds_nobody_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Uneven(Toy):
        def work(self, model: Any, letters: list[str]) -> Iterator[Any]:
            for letter in letters:
                time.sleep(1.5 if letter == "s" else 0.01)
                yield [letter], os.getpid()

    crew = crew_of(Uneven, monkeypatch, [])
    while len(pids(crew)) < 2:  # both have to be there before it begins
        list(crew.run("work", ANY, (), pieces("ab")))
    by = {keys[0]: pid for keys, pid in crew.run("work", ANY, (), pieces(*"sabcdefgh"))}
    crew.close()
    assert list(by)[-1] == "s"
    assert len({by[letter] for letter in "abcdefgh"}) == 1
    assert by["s"] != by["a"]


def test_workers_that_cannot_begin_end_the_run_with_their_reason(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Homeless(Toy):
        def __init__(self) -> None:
            raise ModuleNotFoundError("No module named 'harness'")

    crew = crew_of(Homeless, monkeypatch, [], workers=1)
    with pytest.raises(
        BadCluster, match=r"cannot begin on this cluster: .*No module named 'harness'; each node"
    ):
        list(crew.run("work", ANY, (), pieces("a")))
    crew.close()


def test_what_a_worker_raises_on_purpose_comes_here_as_it_is(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(Toy):
        def work(self, model: Any, letters: list[str]) -> Iterator[Any]:
            yield letters[:1], "one"
            raise BadModel("it gave logits that are not finite")

    crew = crew_of(Deaf, monkeypatch, [], workers=1)
    came: list[str] = []
    with pytest.raises(BadModel, match=r"^it gave logits that are not finite$"):
        came.extend(answer for _, answer in crew.run("work", ANY, (), pieces("ab")))
    crew.close()
    assert came == ["one"]


def test_nobody_is_hired_where_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "RayCluster", None)
    assert list(WorkerPool(ResourceRequest(), None, print).run("work", ANY, (), pieces())) == []


# Without a cluster


def one_line(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    assert cli.run(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


def test_without_ray_one_line_says_how_to_get_it(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for command in (extracting, evaluating):
        line = one_line(capsys, command(world, tmp_path, "--engine", "ray"))
        assert line.endswith("needs ray, which is not installed: pip install 'goodenough[ray]'")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--workers", "2"], "--workers requires --engine ray; add it, or leave --workers out"),
        (["--gpus-per-worker", "0"], "--gpus-per-worker requires --engine ray"),
        (["--ray-address", "auto"], "--ray-address requires --engine ray"),
        (["--engine", "ray", "--compile"], "--compile cannot be combined with --engine ray"),
        (["--engine", "ray", "--ray-address", "ray://h:1"], "Ray Client, which cannot carry this"),
        (["--engine", "ray", "--ray-address", "nonsense"], "'nonsense' is no address of a Ray cluster"),
        (["--engine", "ray", "--ray-address", "127.0.0.1:9"], "no Ray cluster answers at 127.0.0.1:9"),
    ],
)
def test_what_a_cluster_cannot_be_asked_is_one_line(
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    found: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    assert found in one_line(capsys, extracting(world, tmp_path, *options))


def test_a_shard_needs_no_cluster(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = one_line(capsys, evaluating(world, tmp_path, "--engine", "ray", "--shard", "1/2"))
    assert line.endswith("leave out --shard, or --engine ray")


@pytest.mark.parametrize(
    ("wishes", "nodes", "device", "shape"),
    [
        ({}, [(2, 0)], None, (1, 2, 0, "cpu")),
        ({"workers": 2}, [(2, 0)], None, (2, 1, 0, "cpu")),
        ({"cpus_per_worker": 0.5}, [(2, 0)], None, (4, 0.5, 0, "cpu")),
        ({"workers": 4}, [(8, 0), (4, 0)], None, (4, 2, 0, "cpu")),
        ({}, [(16, 2), (8, 1)], None, (3, 8, 1, "cuda")),
        ({"gpus_per_worker": 0.6}, [(16, 2)], None, (2, 8, 0.6, "cuda")),
        ({"gpus_per_worker": 0.1}, [(4, 1)], "cuda", (10, 0, 0.1, "cuda")),
        ({}, [(16, 2)], "cpu", (8, 2, 0, "cpu")),
        ({"workers": 1}, [(16, 2)], None, (1, 16, 1, "cuda")),
    ],
)
def test_a_cluster_is_shared_out(
    wishes: dict[str, Any], nodes: list[tuple[int, int]], device: str | None, shape: tuple[Any, ...]
) -> None:
    found = shape_of(ResourceRequest(**wishes), [Node(*node) for node in nodes], device)
    assert found == WorkerSpec(*shape)
    assert found.threads == max(1, int(shape[1]))


@pytest.mark.parametrize(
    ("wishes", "node", "device", "found"),
    [
        (
            {"workers": 3},
            (2, 0),
            None,
            "no room for 3 workers of 1 CPUs each: the cluster has 2 CPUs and 0 GPUs",
        ),
        ({"workers": 1, "cpus_per_worker": 4}, (2, 0), None, "for 0 of them"),
        ({"workers": 3}, (8, 2), None, "no room for 3 workers of 0 CPUs and 1 GPUs each"),
        ({"gpus_per_worker": 1}, (8, 0), None, "no room for 1 worker "),
        ({}, (8, 0), "cuda", "--device cuda needs workers that have a GPU"),
        ({"gpus_per_worker": 0.5}, (8, 1), "cpu", "leave out --gpus-per-worker"),
        ({}, (8, 2), "cuda:1", "--device is cuda or cpu, not cuda:1"),
    ],
)
def test_more_than_there_is_is_refused(
    wishes: dict[str, Any], node: tuple[int, int], device: str | None, found: str
) -> None:
    with pytest.raises(BadCluster) as error:
        shape_of(ResourceRequest(**wishes), [Node(*node)], device)
    assert found in str(error.value)


# One worker, by itself


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"goodenough": "0.0.9"}, "and this command is 0.0.9 with protocol 2"),
        ({"protocol": 3}, "with protocol 2, and this command is"),
        ({"versions": (("torch", "1.0"),)}, "and this command 1.0"),
        ({"code": "0"}, "other source files of goodenough"),
    ],
)
def test_a_worker_that_would_compute_something_else_takes_no_part(change: dict[str, Any], found: str) -> None:
    with pytest.raises(BadCluster) as error:
        next(Worker().greet(dataclasses.replace(own_build(), **change), ANY))
    assert found in str(error.value)


def test_a_worker_refuses_a_model_that_is_not_that_of_the_command(world: Path, tmp_path: Path) -> None:
    ref = checkpoints.resolve(str(world / "ear")).ref
    there = Model(ref, portable(tmp_path / "ear"), False, "cpu", 16, "float32")
    with pytest.raises(
        BadModel, match=r"no folder .* on .*; with --engine ray every worker must find it there"
    ):
        next(Worker().describe(there, ["ear"]))
    toy_models.save_model(tmp_path / "ear", "wav2vec2", EMOTIONS, seed=1)
    with pytest.raises(BadModel, match="is not the local/ear of this command"):
        next(Worker().describe(there, ["ear"]))


def test_a_worker_refuses_signals_that_are_not_those_of_the_command(world: Path, tmp_path: Path) -> None:
    root = world / "signals"
    wanted = Signals("local/signals", None, portable(root), sha256_of(root / MANIFEST))
    for changed, found in (
        ({"folder": tmp_path / "none"}, "no signals folder"),
        ({"sha256": "0" * 64}, "is not the local/signals of this command"),
    ):
        with pytest.raises(BadSignals, match=found):
            next(Worker().judge(ANY, dataclasses.replace(wanted, **changed), "emotion", []))


def test_what_comes_with_the_package_is_found_in_the_package_of_each_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = portable(ROOT / "harness" / "starter" / "suite")
    assert folder == Path("starter/suite")
    monkeypatch.setattr(worker, "_PACKAGE", Path("/elsewhere/harness"))
    with pytest.raises(BadSignals, match="no signals folder /elsewhere/harness/starter/suite"):
        next(Worker().judge(ANY, Signals("suite", None, folder, "0" * 64), "emotion", []))
