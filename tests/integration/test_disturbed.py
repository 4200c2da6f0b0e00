"""Every verb that writes, disturbed in every way and given again, ends as if nothing had happened."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import disturbances, verbs
from tests.helpers.disturbances import Disturbance
from tests.helpers.repository import ROOT

VERBS = (
    *("evaluate", "evaluate --update-suite", "extract", "study", "leaderboard build", "leaderboard export"),
    *("publish", "download", "verify", "verify --all", "submit", "invalidate", "opt-out"),
)
QUICK = ("evaluate", "publish", "download", "submit")
"""Of which the sample is drawn."""
N_KILLS = 20
N_FULL = 8
YEARS = 365 * 24 * 3600.0


class Lab:
    """The world, and what each verb leaves behind when nobody disturbs it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        verbs.make(place / "world")
        self._undisturbed: dict[str, tuple[dict[str, Any], int]] = {}

    def copy(self, name: str) -> Path:
        """A copy of the world, with a home beside."""
        here = self.place / name
        shutil.copytree(self.place / "world", here / "world")
        (here / "home").mkdir()
        return here

    def undisturbed(self, verb: str) -> tuple[dict[str, Any], int]:
        """What lies there afterwards, and the writes that it took."""
        if verb not in self._undisturbed:
            here = self.copy(f"undisturbed-{verb}".replace(" ", "-"))
            code, err, n = run(verb, here, Disturbance())
            assert code == 0, err
            self._undisturbed[verb] = left_behind(here), n
        return self._undisturbed[verb]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    place = Path(tempfile.mkdtemp(prefix="goodenough-disturbed-"))
    yield Lab(place)
    shutil.rmtree(place)


@pytest.fixture
def here(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Path]:
    here = lab.copy(re.sub(r"\W+", "-", request.node.name))
    yield here
    shutil.rmtree(here)


def words_of(verb: str, here: Path) -> list[str]:
    return [str(word) for word in verbs.COMMANDS[verb][0](here / "world", here / "out")]


def run(verb: str, here: Path, disturbance: Disturbance) -> tuple[int, str, int]:
    return disturbances.run(words_of(verb, here), here, here / "home", disturbance)


TIMES = re.compile(r"<dt>Run</dt>.*|\d{4}-\d\d-\d\d(T[\d:]+Z)?|\d+(\.\d+)? (s|seconds|min|minutes)\b")


def plain(value: Any) -> Any:
    """JSON without what differs from run to run: when it was, and how much was known before."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    skipped = ("seconds", "created", "date", "n_asked", "n_known", "max_difference", "entry_sha256")
    return {name: plain(each) for name, each in value.items() if name not in skipped}


def left_behind(here: Path) -> dict[str, Any]:
    """Every file of the world and of what was made, by path; the caches of answers by their names alone."""
    content: dict[str, Any] = {}
    for path in sorted(p for root in ("world", "out") for p in (here / root, *(here / root).rglob("*"))):
        if not path.is_file():
            continue
        key = path.relative_to(here).as_posix()
        if ".answers" in path.parts:
            content[key] = sorted(line[9:] for line in path.read_bytes().splitlines())
        elif path.suffix == ".json" and path.name != "manifest.json":
            content[key] = plain(json.loads(path.read_bytes()))
        elif path.name == "manifest.json":
            manifest = json.loads(path.read_bytes())
            # Cards and entries hold times.
            files = {f: s for f, s in manifest["files"].items() if f.endswith(".parquet")}
            content[key] = plain({**manifest, "files": files})
        elif path.suffix in (".html", ".md", ".yaml", ".csv"):
            content[key] = TIMES.sub("", path.read_text("utf-8").replace(str(here), ""))
        elif path.name != ".goodenough-site":
            content[key] = path.read_bytes()
    return content


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(key for key in {*one, *other} if one.get(key) != other.get(key))


def check_that_it_ends_as_ever(lab: Lab, here: Path, verb: str) -> None:
    code, err, _ = run(verb, here, Disturbance())
    assert code == 0, err
    assert differing(left_behind(here), lab.undisturbed(verb)[0]) == []


def moments(lab: Lab, verb: str, i: int, what: int) -> Disturbance:
    """The i-th of 20 moments, spread over all writes; every other one comes within a write or after it."""
    n = lab.undisturbed(verb)[1]
    rng = random.Random(f"{verb} {i} {what}")
    moment = min(n - 1, int((i + rng.random()) * n / N_KILLS))
    return Disturbance(signal=what, moment=moment, delay=rng.choice([0.0, rng.uniform(0, 0.02)]))


def sampled(*lists: Any, always: int, seed: int) -> list[Any]:
    """All cases, of which some of quick verbs are not slow."""
    cases = list(itertools.product(*lists))
    some = random.Random(seed).sample([case for case in cases if case[0] in QUICK], always)
    return [pytest.param(*case, marks=() if case in some else pytest.mark.slow) for case in cases]


@pytest.mark.parametrize(("verb", "i"), sampled(VERBS, range(N_KILLS), always=2, seed=1))
def test_a_kill_at_any_moment_changes_nothing(lab: Lab, here: Path, verb: str, i: int) -> None:
    code, _, _ = run(verb, here, moments(lab, verb, i, signal.SIGKILL))
    assert code in (-signal.SIGKILL, 0)
    check_that_it_ends_as_ever(lab, here, verb)


@pytest.mark.parametrize(("verb", "i"), sampled(VERBS, range(0, N_KILLS, 4), always=1, seed=2))
def test_an_interruption_is_one_line_and_changes_nothing(lab: Lab, here: Path, verb: str, i: int) -> None:
    code, err, _ = run(verb, here, moments(lab, verb, i, signal.SIGINT))
    assert code in (130, 0), err
    if code:
        assert err.splitlines()[-1] == (
            "goodenough: interrupted; finished work is kept, and the same command continues"
        )
    assert "Traceback" not in err
    # A lock that stays locks nothing, and the next run takes it away.
    unfinished = list(here.rglob("*.part"))
    assert unfinished == []
    check_that_it_ends_as_ever(lab, here, verb)


@pytest.mark.parametrize("verb", sampled(VERBS, always=1, seed=9))
def test_a_verb_given_twice_ends_as_one_given_once(lab: Lab, here: Path, verb: str) -> None:
    code, err, _ = run(verb, here, Disturbance())
    assert code == 0, err
    check_that_it_ends_as_ever(lab, here, verb)


FULL = {
    errno.ENOSPC: ("no room left on the disk", "make some, then give the same command again"),
    errno.EDQUOT: ("no room left on the disk", "make some, then give the same command again"),
    errno.EFBIG: ("no file may get so large here", "raise the limit (ulimit -f)"),
}
"""What a line says of each error."""


def check_that_it_is_one_line(here: Path, code: int, err: str, error: int) -> None:
    assert code == 2, err
    [line] = [line for line in err.splitlines() if line.startswith("goodenough: ")]
    assert all(text in line for text in FULL[error]), line
    assert "Traceback" not in err
    assert [*here.rglob("*.part"), *here.rglob("*.tmp")] == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT], ids=["full", "quota"])
@pytest.mark.parametrize(("verb", "i"), sampled(VERBS, range(N_FULL), always=2, seed=7))
def test_a_disk_that_is_full_from_any_moment_on_is_one_line(
    lab: Lab, here: Path, verb: str, i: int, error: int
) -> None:
    n = lab.undisturbed(verb)[1]
    moment = i * (n - 1) // (N_FULL - 1)
    code, err, _ = run(verb, here, Disturbance(error=error, moment=moment))
    if code:
        check_that_it_is_one_line(here, code, err, error)
        check_that_it_ends_as_ever(lab, here, verb)
    else:  # it needed nothing of what failed: a lock, a cache
        assert differing(left_behind(here), lab.undisturbed(verb)[0]) == []


@pytest.mark.parametrize(("verb", "n_bytes"), sampled(VERBS, [0, 1000, 20_000], always=1, seed=8))
def test_a_file_that_may_get_no_larger_is_one_line(lab: Lab, here: Path, verb: str, n_bytes: int) -> None:
    before = {path: path.stat().st_size for path in here.rglob("*") if path.is_file()}
    code, err, _ = run(verb, here, Disturbance(file_bytes=n_bytes))
    sizes = [p.stat().st_size for p in here.rglob("*") if p.is_file() and p not in before]
    assert max(sizes, default=0) <= n_bytes
    if code:
        check_that_it_is_one_line(here, code, err, errno.EFBIG)
        check_that_it_ends_as_ever(lab, here, verb)
    else:
        assert differing(left_behind(here), lab.undisturbed(verb)[0]) == []


@pytest.mark.parametrize("verb", sampled(VERBS, always=1, seed=3))
def test_files_that_only_their_owner_may_read_are_the_same_files(lab: Lab, here: Path, verb: str) -> None:
    code, err, _ = run(verb, here, Disturbance(umask=0o077))
    assert code == 0, err
    assert differing(left_behind(here), lab.undisturbed(verb)[0]) == []
    if (here / "out").is_dir():
        assert [p for p in here.joinpath("out").rglob("*") if p.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("verb", sampled(VERBS, always=1, seed=4))
def test_a_clock_that_is_set_back_in_the_middle_changes_nothing(lab: Lab, here: Path, verb: str) -> None:
    n = lab.undisturbed(verb)[1]
    run(verb, here, Disturbance(signal=signal.SIGKILL, moment=2 * n // 3, seconds=9 * YEARS))
    for path in here.rglob("*"):
        os.utime(path, (2_000_000_000, 2_000_000_000), follow_symlinks=False)
    code, err, _ = run(verb, here, Disturbance(seconds=-9 * YEARS))
    assert code == 0, err
    check_that_it_ends_as_ever(lab, here, verb)


# --- a user who is not root


def forbid(root: Path) -> None:
    """Nobody but root may write below."""
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)


def allow(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)


@pytest.mark.parametrize("verb", sampled(VERBS, always=1, seed=5))
def test_who_may_only_read_the_inputs_needs_no_more(lab: Lab, here: Path, verb: str) -> None:
    """But for the folders that a verb says that it writes to, and its own."""
    words = words_of(verb, here)
    forbid(here / "world")
    for below in verbs.COMMANDS[verb][1](here / "world"):
        place = here / "world" / below
        allow(place if place.exists() else place.parent)
    code, err, _ = disturbances.run(words, here, here / "home", Disturbance(is_root=False))
    allow(here)
    assert code == 0, err
    assert differing(left_behind(here), lab.undisturbed(verb)[0]) == []


@pytest.mark.parametrize("verb", sampled([v for v in VERBS if v != "submit"], always=1, seed=6))
def test_who_may_not_write_is_told_so_in_a_line(lab: Lab, here: Path, verb: str) -> None:
    words = words_of(verb, here)
    forbid(here / "world")  # submit would find its entry there already
    here.chmod(0o555)
    before = verbs.tree(here)
    code, err, _ = disturbances.run(words, here, here / "home", Disturbance(is_root=False))
    assert code == 2, err
    lines = [line for line in err.splitlines() if line.startswith("goodenough: ")]
    assert len(lines) == 1, err
    assert "Permission denied" in lines[0]
    changed = [path for path in verbs.differing(before, verbs.tree(here)) if not path.startswith("home")]
    allow(here)
    assert changed == []
    check_that_it_ends_as_ever(lab, here, verb)


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "4242"])
@pytest.mark.parametrize("verb", VERBS)
def test_no_result_depends_on_the_order_of_a_set(lab: Lab, here: Path, verb: str, seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "HOME": str(here / "home"), "OMP_NUM_THREADS": "1"}
    environment |= {"GOODENOUGH_CACHE": str(here / "home/.cache"), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "harness", *words_of(verb, here)]
    done = subprocess.run(words, env=environment, cwd=here / "home", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert differing(left_behind(here), lab.undisturbed(verb)[0]) == []
