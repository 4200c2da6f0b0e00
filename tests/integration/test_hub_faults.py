"""What goes wrong between here and the Hub: the same content in the end, nothing lost or doubled."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import forking
from tests.helpers.hub import Fault
from tests.helpers.lab import GUEST, SIGNALS, SUBMISSIONS, VISITOR, Lab, a_published_suite_and_a_result

PARQUET = r"/resolve/.*emotion/.*\.parquet"

PUSHING = [
    Fault("status", "POST", "/repos/create", status=503),
    Fault("status", "GET", "/revision/|/api/datasets/lab/emotion-signals", status=429, retry_after=0),
    Fault("status", "POST", "/preupload/", status=500),
    Fault("status", "POST", "/info/lfs", status=429, retry_after=0),
    Fault("status", "PUT", "/lfs", status=500),
    Fault("drop", "PUT", "/lfs"),
    Fault("status", "POST", "/commit/", status=500),
    Fault("drop", "POST", "/commit/"),
    Fault("drop", "POST", "/commit/", after=True),
    Fault("status", "POST", "/commit/", status=502, after=True),
    Fault("slow", "POST", "/commit/", seconds=0.2),
    Fault("status", "POST", "/tag/", status=500),
    Fault("drop", "POST", "/tag/", after=True),
]
"""Of `publish`; those with `after` happened, and only the answer was lost."""

PULLING = [
    Fault("status", "GET", f"/api/datasets/{SIGNALS}", status=429, retry_after=0),
    Fault("status", "HEAD", PARQUET, status=500),
    Fault("status", "GET", PARQUET, status=503),
    Fault("drop", "GET", PARQUET, keep=1000),
    Fault("truncate", "GET", PARQUET, keep=1000),
    Fault("corrupt", "GET", PARQUET),
    Fault("etag", "HEAD", PARQUET),
    Fault("slow", "GET", PARQUET, seconds=0.2),
    Fault("corrupt", "GET", "/resolve/.*/clips.parquet"),
    Fault("drop", "GET", "/resolve/.*/manifest.json", keep=100),
]
"""Of `download`."""

OFFERING = [
    Fault("status", "GET", "/discussions", status=500),
    Fault("status", "POST", "/commit/", status=429, retry_after=0),
    Fault("drop", "POST", "/commit/", after=True),
    Fault("status", "POST", "/commit/", status=503, after=True),
    Fault("drop", "PUT", "/lfs"),
]
"""Of `submit`."""

REFUSALS = [
    (Fault("status", ".*", "", status=401, times=99), "log in again"),
    (Fault("status", "POST", "/commit/|/repos/create", status=403, times=99), "may not write"),
    (Fault("status", ".*", "", status=404, times=99), "check the spelling"),
    (Fault("status", ".*", "", status=503, times=99), "the same command again"),
    (Fault("drop", ".*", "", times=99), "the same command again"),
]
"""What does not pass; and what is said."""


def named(fault: Fault) -> str:
    what = f"{fault.kind}-{fault.status}" if fault.kind == "status" else fault.kind
    return f"{what}{'-answer' if fault.after else ''}-{fault.method}-{fault.path.strip('/').split('/')[-1]}"


def sampled(faults: Sequence[Fault], always: int) -> list[Any]:
    """All of them, the first few of a seeded order in every run, the others where slow checks are made."""
    order = random.Random(7).sample(range(len(faults)), len(faults))
    marks: dict[int, Any] = {i: () if place < always else pytest.mark.slow for place, i in enumerate(order)}
    return [pytest.param(fault, id=named(fault), marks=marks[i]) for i, fault in enumerate(faults)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with a_published_suite_and_a_result(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.mark.parametrize("fault", sampled(PUSHING, 3))
def test_publishing_ends_in_one_commit_and_one_tag_whatever_stumbles(lab, tmp_path, fault):
    repository = f"datasets/{SIGNALS}"
    wanted = lab.hub.files(repository)
    with lab.elsewhere(tmp_path) as hub:
        hub.fail(fault)
        command = ("publish", lab.signals, "--to", SIGNALS)
        done, again = lab.run(command, command)
        assert [one for one, _ in hub.fired] == [fault]
        assert done.code == 0, done
        assert again.out == done.out
        assert hub.files(repository) == wanted
        assert len(hub.titles(repository)) == 2
        assert done.out.strip() == f"{SIGNALS}@{hub.commit(repository)}"
        assert hub.tags(repository) == {"v1": hub.commit(repository)}


@pytest.mark.parametrize("fault", sampled(PULLING, 3))
def test_downloading_ends_in_the_same_files_whatever_stumbles(lab, tmp_path, fault):
    with lab.elsewhere(tmp_path) as hub:
        lab.put_signals_on(hub)
        hub.fail(fault)
        done, _, offline = lab.run(
            ("download", SIGNALS, "--out", tmp_path / "here"),
            ("download", SIGNALS, "--out", tmp_path / "here"),
            ("download", SIGNALS, "--out", tmp_path / "there"),
        )
        assert [one for one, _ in hub.fired] == [fault]
    assert (done.code, offline.code) == (0, 0), (done, offline)
    assert lab.published(tmp_path / "here")
    assert lab.published(tmp_path / "there")


def test_a_file_that_breaks_off_is_continued_where_it_broke(lab, tmp_path):
    path = max((lab.signals / ".published/emotion").iterdir(), key=lambda p: p.stat().st_size)
    with lab.elsewhere(tmp_path) as hub:
        lab.put_signals_on(hub)
        hub.fail(Fault("drop", "GET", f"/resolve/.*{path.name}", keep=path.stat().st_size // 2))
        [done] = lab.run(("download", SIGNALS, "--out", tmp_path / "here"))
        assert hub.ranges, "the rest was asked for, not the whole"
    assert done.code == 0, done
    assert lab.published(tmp_path / "here")


def test_a_file_that_is_wrong_for_good_is_refused_and_nothing_is_half_there(lab, tmp_path):
    with lab.elsewhere(tmp_path) as hub:
        lab.put_signals_on(hub)
        hub.fail(Fault("corrupt", "GET", "/resolve/.*/clips.parquet", times=9))
        wrong, right = lab.run(
            ("download", SIGNALS, "--out", tmp_path / "here"), ("evaluate", VISITOR, "--signals", SIGNALS)
        )
        assert wrong.code == right.code == 2
        assert "differs from its manifest.json (sha256), fetched twice" in wrong.err
        assert not (tmp_path / "here/manifest.json").exists()
        hub.heal()
        [done] = lab.run(("download", SIGNALS, "--out", tmp_path / "here"))
    assert done.code == 0, done
    assert lab.published(tmp_path / "here")


@pytest.mark.parametrize("fault", sampled(OFFERING, 2))
def test_submitting_opens_one_pull_request_whatever_stumbles(lab, tmp_path, fault):
    repository = f"datasets/{SUBMISSIONS}"
    with lab.elsewhere(tmp_path) as hub:
        hub.fail(fault)
        command = ("submit", lab.root / "results", "--to", SUBMISSIONS, "--yes", "--json")
        done, again = lab.run(command, command, token=GUEST)
        assert [one for one, _ in hub.fired] == [fault]
        assert (done.code, again.code) == (0, 0), (done, again)
        [opened] = hub.discussions(repository)
        numbers = [json.loads(one.out)["offered"][0]["number"] for one in (done, again)]
        assert numbers == [opened.number, opened.number]
        offered = hub.files(repository, f"refs/pr/{opened.number}")
    for path in (lab.root / "results").rglob("*.parquet"):
        below = path.relative_to(lab.root / "results").as_posix()
        assert offered[f"submissions/{below}"] == path.read_bytes()


@pytest.mark.parametrize(("fault", "told"), REFUSALS, ids=[named(fault) for fault, _ in REFUSALS])
def test_what_does_not_pass_is_said_in_one_line_and_changes_nothing(lab, tmp_path, fault, told):
    with lab.elsewhere(tmp_path) as hub:
        hub.fail(fault)
        [refused] = lab.run(("publish", lab.signals, "--to", SIGNALS))
        assert hub.fired
        assert refused.code == 2
        assert refused.out == ""
        assert told in refused.err.splitlines()[-1]
        assert "Traceback" not in refused.err
        hub.heal()
        [done] = lab.run(("publish", lab.signals, "--to", SIGNALS))
        assert done.code == 0, done
        assert hub.files(f"datasets/{SIGNALS}") == lab.hub.files(f"datasets/{SIGNALS}")


def test_what_the_hub_refuses_is_known_before_anything_is_made(lab, tmp_path):
    signals, repository = tmp_path / "signals", f"datasets/{SIGNALS}"
    shutil.copytree(lab.signals, signals, ignore=shutil.ignore_patterns(".published"))
    command = ("publish", signals, "--to", SIGNALS)
    with lab.elsewhere(tmp_path) as hub:
        lab.put_signals_on(hub)
        hub.commit(repository)
        hub.store.open(repository).tags["v1"] = "0" * 40
        [taken] = lab.run((*command, "--tag", "v1"))
        hub.readonly.add("owner")
        [refused] = lab.run(command)
        hub.readonly.clear()
        assert (taken.code, taken.out) == (refused.code, refused.out) == (2, "")
        assert "has a tag v1 for another commit, 000000000000, and tags do not move" in taken.err
        assert f"the token may not write to dataset {SIGNALS}" in refused.err
        assert not (signals / ".published").exists()
        assert not [request for request in hub.requests if request.startswith("POST")]
        [done] = lab.run(command)
        assert done.code == 0, done


def test_without_a_token_it_is_said_how_to_log_in_or_to_go_by_git(lab, tmp_path):
    results = lab.root / "results"
    with lab.elsewhere(tmp_path) as hub:
        commands = (
            ("publish", lab.signals, "--to", SIGNALS),
            ("submit", results, "--to", SUBMISSIONS, "--yes"),
        )
        for token in (None, "hf_unknown"):
            publish, submit = lab.run(*commands, token=token)
            assert publish.code == submit.code == 2
            assert "hf auth login" in publish.err
            assert "hf auth login" in submit.err
        assert not hub.discussions(f"datasets/{SUBMISSIONS}")
        *_, submit = lab.run(*commands, token=None)
        assert f"goodenough submit {results} --out submissions/" in submit.err


DOWN = "the same command again goes on"
OUTAGES = {
    "stale": (
        Fault("status", ".*", "", status=401, times=999),
        {},
        "the Hub does not know the token",
        "hf auth login",
    ),
    "403": (Fault("status", ".*", "", status=403, times=999), {}, "the token may not", "hf auth login"),
    "503": (Fault("status", ".*", "", status=503, times=999), {}, "the Hub has trouble with", DOWN),
    "429": (Fault("status", ".*", "", status=429, times=999), {}, "the Hub has trouble with", DOWN),
    "dropped": (Fault("drop", ".*", "", times=999), {}, "the Hub did not answer for", DOWN),
    "refused": (None, {"HF_ENDPOINT": "http://127.0.0.1:9"}, "the Hub did not answer for", DOWN),
    "offline": (
        None,
        {"HF_HUB_OFFLINE": "1"},
        "the Hub cannot be reached while HF_HUB_OFFLINE is set",
        "give the same command once with a network",
    ),
}
"""What a Hub cannot do, in its environment, and the beginning and the end of what is said, at every verb."""


def everything(lab: Lab, out: Path) -> dict[str, tuple[Any, ...]]:
    """Every verb, with each of its arguments that may be of the Hub."""
    model, results = lab.root / "hub/models" / VISITOR, lab.root / "results"
    (entry,) = (path.parent for path in (lab.root / "of-the-hub").rglob("entry.json"))
    board, extracted = ("--submissions", SUBMISSIONS), ("--out", out / "signals")
    here = ("--signals", lab.signals)
    return {
        "check": ("check", VISITOR),
        "check --signals": ("check", model, "--signals", SIGNALS),
        "evaluate": ("evaluate", VISITOR, *here, "--out", out / "results"),
        "evaluate --signals": ("evaluate", model, "--signals", SIGNALS, "--out", out / "results"),
        "evaluate --held-back": ("evaluate", model, *here, "--held-back", SIGNALS, "--out", out / "results"),
        "extract": ("extract", VISITOR, "--task", "emotion", "--corpus", lab.corpus, *extracted),
        "extract --corpus": ("extract", model, "--task", "emotion", "--corpus", "lab/corpus", *extracted),
        "study": ("study", SIGNALS, "--out", out / "study"),
        "study --model": ("study", lab.signals, "--model", VISITOR, "--out", out / "study"),
        "download": ("download", SIGNALS, "--out", out / "signals"),
        "download --list": ("download", SIGNALS, "--list"),
        "validate --signals": ("validate", results, "--signals", SIGNALS),
        "verify": ("verify", entry, "--no-write"),
        "verify --signals": ("verify", results, "--signals", SIGNALS, "--no-write"),
        "verify --all": ("verify", "--all", entry, "--no-write", "--out", out / "again"),
        "publish": ("publish", lab.signals, "--to", SIGNALS),
        "submit": ("submit", results, "--to", SUBMISSIONS, "--yes"),
        "opt-out": (
            *("opt-out", VISITOR, "--task", "emotion", "--author", "Ada", "--reason", "It is known."),
            *("--out", out),
        ),
        "leaderboard build": ("leaderboard", "build", *board, "--out", out / "site"),
        "leaderboard build --signals": (
            *("leaderboard", "build", "--submissions", results, "--signals", SIGNALS),
            *("--out", out / "site"),
        ),
        "leaderboard export": ("leaderboard", "export", *board, "--as", "csv"),
        "leaderboard app": ("leaderboard", "app", *board, "--port", 0),
    }


def impatient(commands: list[list[str]], environment: dict[str, str]) -> list[forking.Said]:
    """Give commands without the pauses that the client of the Hub makes between its tries."""
    time.sleep = lambda seconds: None
    return forking.said(commands, environment)


@pytest.mark.parametrize(
    ("outage", "n"), [("stale", 5), *(pytest.param(name, None, marks=pytest.mark.slow) for name in OUTAGES)]
)
def test_an_outage_is_told_alike_by_every_verb(lab, tmp_path, outage, n):
    """By n of them, drawn at random; by all where there is no n."""
    fault, environment, begins, ends = OUTAGES[outage]
    pinned = f"{SIGNALS}@{lab.hub.commit(f'datasets/{SIGNALS}')}"
    if not (lab.root / "of-the-hub").exists():
        [done] = lab.run(("evaluate", VISITOR, "--signals", pinned, "--out", lab.root / "of-the-hub"))
        assert done.code == 0, done
    (tmp_path / "out").mkdir()
    with lab.elsewhere(tmp_path) as hub:
        if fault is not None:
            hub.fail(fault)
        commands = everything(lab, tmp_path / "out")
        if n is not None:
            commands = {verb: commands[verb] for verb in random.Random(n).sample([*commands], n)}
        words = [[str(word) for word in command] for command in commands.values()]
        results = forking.call(impatient, words, {**lab.environment(), **environment})
    for verb, (code, out, err) in zip(commands, results, strict=True):
        last = err.splitlines()[-1]
        assert (code, "Traceback" in err) == (2, False), (verb, err)
        assert out == "" or verb.startswith("verify"), (verb, out)
        assert begins in last, (verb, last)
        assert ends in last, (verb, last)
    assert [
        path.name for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name[0] != "."
    ] == []
