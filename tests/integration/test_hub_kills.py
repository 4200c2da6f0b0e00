"""Verbs that talk to the Hub, killed at any moment and given again: the same content as if nobody had."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.helpers import forking
from tests.helpers.hub import LoopbackHub
from tests.helpers.lab import GUEST, SIGNALS, SUBMISSIONS, TOKEN, Lab, a_published_suite_and_a_result

N_REQUESTS = {"publish": 28, "download": 25, "submit": 8}
"""That an undisturbed run makes: the latest moment of a kill."""

MOMENTS = [pytest.param(i, marks=() if i < 1 else pytest.mark.slow) for i in range(20)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with a_published_suite_and_a_result(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def killed(lab: Lab, command: Sequence[Any], token: str, passed: Callable[[], bool], delay: float) -> bool:
    """Give a command and kill it some time after a moment has passed; False where it ended before."""
    words = [str(word) for word in command]
    process, here = forking.start(forking.said, [words], lab.environment(token))
    while process.is_alive() and not passed():
        time.sleep(0.0005)
    time.sleep(delay)
    process.kill()
    process.join()
    here.close()
    return process.exitcode != 0


def disturbed(lab: Lab, hub: LoopbackHub, command: Sequence[Any], token: str, seed: str, most: int) -> None:
    """Kill a command until it got through once, each time after another number of requests."""
    rng = random.Random(seed)
    for _ in range(3):
        before, n = len(hub.requests), rng.randint(0, most)
        delay = rng.uniform(0, 0.03)
        if not killed(lab, command, token, lambda n=n, b=before: len(hub.requests) - b >= n, delay):
            return


@pytest.mark.parametrize("moment", MOMENTS)
def test_publish_killed_at_any_moment_ends_in_one_whole_commit(lab, tmp_path, moment):
    repository = f"datasets/{SIGNALS}"
    command = ("publish", lab.signals, "--to", SIGNALS)
    with lab.elsewhere(tmp_path) as hub:
        disturbed(lab, hub, command, TOKEN, f"publish {moment}", N_REQUESTS["publish"])
        [done] = lab.run(command)
        assert done.code == 0, done
        assert hub.tags(repository) == {"v1": hub.commit(repository)}
        assert len(hub.titles(repository)) == 2
        found = hub.files(repository)
    assert found == lab.hub.files(repository)


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_published_form_is_whole_whenever_its_making_was_killed(lab, tmp_path, moment):
    signals = tmp_path / "signals"
    shutil.copytree(lab.signals, signals, ignore=shutil.ignore_patterns(".published"))
    rng = random.Random(f"form {moment}")
    n = rng.randint(0, 12)

    def passed() -> bool:
        return sum(1 for path in signals.glob(".published/**/*") if path.is_file()) >= n

    killed(lab, ("publish", signals), TOKEN, passed, rng.uniform(0, 0.02))
    with lab.elsewhere(tmp_path) as hub:
        [done] = lab.run(("publish", signals, "--to", SIGNALS))
        assert done.code == 0, done
        assert hub.files(f"datasets/{SIGNALS}") == lab.hub.files(f"datasets/{SIGNALS}")


@pytest.mark.parametrize("moment", MOMENTS)
def test_download_killed_at_any_moment_ends_in_the_same_files(lab, tmp_path, moment):
    command = ("download", SIGNALS, "--out", tmp_path / "here")
    with lab.elsewhere(tmp_path) as hub:
        lab.put_signals_on(hub)
        disturbed(lab, hub, command, TOKEN, f"download {moment}", N_REQUESTS["download"])
        [done] = lab.run(command)
        assert done.code == 0, done
    assert lab.published(tmp_path / "here")


@pytest.mark.parametrize("moment", MOMENTS)
def test_submit_killed_at_any_moment_opens_one_pull_request(lab, tmp_path, moment):
    repository = f"datasets/{SUBMISSIONS}"
    results = lab.root / "results"
    command = ("submit", results, "--to", SUBMISSIONS, "--yes", "--json")
    with lab.elsewhere(tmp_path) as hub:
        disturbed(lab, hub, command, GUEST, f"submit {moment}", N_REQUESTS["submit"])
        [done] = lab.run(command, token=GUEST)
        assert done.code == 0, done
        [opened] = hub.discussions(repository)
        assert json.loads(done.out)["offered"][0]["number"] == opened.number
        offered = hub.files(repository, f"refs/pr/{opened.number}")
    entry = next(results.glob("*/*/*"))
    place = f"submissions/{entry.relative_to(results).as_posix()}"
    wanted = {f"{place}/{name}": (entry / name).read_bytes() for name in ("entry.json", "verdicts.parquet")}
    assert {path: data for path, data in offered.items() if path != "README.md"} == wanted


def test_the_moments_are_spread_over_the_whole_of_a_run(lab, tmp_path):
    with lab.elsewhere(tmp_path) as hub:
        lab.run(("publish", lab.signals, "--to", SIGNALS))
        n_publish = len(hub.requests)
        lab.run(("download", SIGNALS, "--out", tmp_path / "here"))
        n_download = len(hub.requests) - n_publish
        lab.run(("submit", lab.root / "results", "--to", SUBMISSIONS, "--yes"), token=GUEST)
        n_submit = len(hub.requests) - n_publish - n_download
    found = {"publish": n_publish, "download": n_download, "submit": n_submit}
    assert found == pytest.approx(N_REQUESTS, abs=3)
