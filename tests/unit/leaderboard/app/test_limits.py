"""What a command of the app may take, how many rooms there are, and what is downloaded: limits that hold."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.hub import download_limit
from leaderboard.app import resource_limits, sessions
from leaderboard.app.resource_limits import GIB, Allowance
from leaderboard.app.sessions import SessionStore, Subprocess
from tests.helpers.hub import LoopbackHub, reads
from tests.helpers.hub.store import Entry

MIB = 2**20
LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the kernel is asked in /proc")
SMALL = Allowance(memory_bytes=150 * MIB, disk_bytes=20 * MIB, download_bytes=8 * MIB)

SPEND = {
    "memory": "x = bytearray(400_000_000); time.sleep(60)",
    "memory of a child": """
subprocess.run([sys.executable, "-c", "import time; x = bytearray(400_000_000); time.sleep(60)"])
""",
    "memory in small pieces": "x = [bytearray(1_000_000) for _ in range(400)]; time.sleep(60)",
    "disk": """
for i in range(12):
    open(f"part-{i}", "wb").write(bytes(4_000_000))
time.sleep(60)
""",
    "disk, hidden and deep": """
os.makedirs(".a/.b/.c")
for i in range(12):
    open(f".a/.b/.c/{i}", "wb").write(bytes(4_000_000))
time.sleep(60)
""",
    "disk, with names alone": """
for i in range(6000):
    os.mkdir(f"folder-{i}")
time.sleep(60)
""",
}
"""What takes too much, by how; the first word is the end it comes to."""


@LINUX
@pytest.mark.parametrize("how", SPEND)
def test_a_command_that_takes_too_much_is_ended_whether_or_not_anybody_reads(
    how: str, tmp_path: Path
) -> None:
    code = f"import os, subprocess, sys, time{chr(10)}{SPEND[how]}"
    errand = Subprocess([sys.executable, "-S", "-c", code], tmp_path, os.environ, 60, SMALL)
    _wait_for(lambda: errand.code is not None)
    assert errand.end == how.split()[0].rstrip(",")
    assert errand.code is not None
    assert errand.code < 0


@LINUX
def test_the_kernel_bounds_memory_asked_for_cpu_time_and_the_size_of_a_file(tmp_path: Path) -> None:
    code = f"""
import resource
kinds = resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_CORE
print([resource.getrlimit(kind) for kind in kinds])
try:
    bytearray({6 * GIB})
except MemoryError:
    print("no memory")
try:
    open("large", "wb").write(bytes({9 * MIB}))
except OSError as error:
    print(error.strerror)
"""
    command = [sys.executable, "-S", "-c", f"import time; time.sleep(0.3){chr(10)}{code}"]
    errand = Subprocess(command, tmp_path, os.environ, 10, SMALL)
    assert list(filter(None, errand.lines())) == []
    limits, *lines = errand.answer.splitlines()
    most, seconds = SMALL.memory_bytes + 4 * GIB, 11 * (os.cpu_count() or 1)
    assert limits == str([(most, most), (seconds, seconds), (0, 0)])
    assert lines == ["no memory", "File too large"]
    assert (tmp_path / "large").stat().st_size <= SMALL.download_bytes


def test_one_that_says_more_than_anybody_reads_waits_and_is_ended_in_time(tmp_path: Path) -> None:
    code = (
        "import sys; say = sys.stderr.write; say('x' * 50_000_000)\nwhile True: say('more' * 1000 + chr(10))"
    )
    errand = Subprocess([sys.executable, "-S", "-c", code], tmp_path, os.environ, 1.0, Allowance())
    first = next(line for line in errand.lines() if line)
    assert first == "x" * 300
    _wait_for(lambda: errand.code is not None)
    assert errand.end == "late"


def test_links_out_of_a_folder_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(5 * MIB))
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "link").symlink_to(tmp_path / "large")
    (tmp_path / "room" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert resource_limits.size_of(tmp_path / "room") < MIB
    assert 5 * MIB <= resource_limits.size_of(tmp_path) < 6 * MIB


# Rooms


def test_however_many_visitors_there_are_there_are_so_many_rooms_and_that_of_a_command_stays(
    rooms: SessionStore,
) -> None:
    busy = rooms.enter("busy")
    lines = busy.run([sys.executable, "-S", "-c", "import time; time.sleep(60)"], os.environ, 60)
    next(lines)
    for i in range(3 * sessions.MOST_SESSIONS):
        rooms.of(f"visitor-{i}")
        assert len(list(rooms.root.iterdir())) <= sessions.MOST_SESSIONS
    assert busy.folder.is_dir()
    assert rooms.of("busy") is busy
    rooms.leave("busy")
    assert not busy.folder.exists()


def test_who_asks_cancels_or_leaves_gets_no_room_by_that_and_little_is_remembered_of_it(
    rooms: SessionStore,
) -> None:
    for i in range(3000):
        rooms.ask(f"visitor-{i}")
        rooms.cancel(f"visitor-{i}")
        rooms.leave(f"visitor-{i}")
    assert list(rooms.root.iterdir()) == []
    assert len(rooms._cancellations) == sessions._MOST_CANCELLATIONS


def test_what_was_cancelled_while_it_waited_is_not_wanted_when_its_turn_comes(rooms: SessionStore) -> None:
    rooms.ask("a")
    rooms.cancel("a")
    assert not rooms.enter("a").is_active
    rooms.cancel("b")
    rooms.ask("b")
    assert rooms.enter("b").is_active


def test_an_old_room_goes_though_it_is_used_and_nobody_comes(
    rooms: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_SWEEP_S", 0.05)
    (rooms.root.parent / "others").mkdir()
    others = SessionStore(rooms.root.parent / "others")
    room = others.of("a")
    room.start -= sessions.MOST_S + 1
    _wait_for(lambda: not room.folder.exists())
    others.close()


def test_what_a_trial_left_to_be_used_again_goes_with_the_next_one_and_its_results_stay(
    rooms: SessionStore,
) -> None:
    first = rooms.enter("a")
    for name in (*sessions.TRIAL_FOLDERS, "results"):
        (first.folder / name).mkdir()
        (first.folder / name / "file").write_text("x")
    first.is_active = False
    rooms.enter("a").is_active = False
    assert len(list(first.folder.iterdir())) == 4
    rooms.enter("b")
    assert [path.name for path in first.folder.iterdir()] == ["results"]


# Downloads

RESOLVE = """
import sys
from harness import errors
from harness.models import checkpoints
try:
    checkpoints.resolve("org/large")
except errors.GoodenoughError as error:
    sys.exit(f"goodenough: {error}")
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    folder = tmp_path / "hub/models/org/large"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        '{"architectures": ["Wav2Vec2ForSequenceClassification"], "model_type": "wav2vec2"}'
    )
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(12 * MIB))
    (folder / "more.bin").write_bytes(bytes(30 * MIB))
    with LoopbackHub(tmp_path / "hub") as hub:
        yield hub


def _check(hub: LoopbackHub, folder: Path, allowance: Allowance) -> tuple[Subprocess, list[str]]:
    (folder / "room").mkdir()
    variables = hub.environment(folder / "room/hub") | {
        download_limit.VARIABLE: str(allowance.download_bytes),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    errand = Subprocess([sys.executable, "-c", RESOLVE], folder / "room", variables, 120, allowance)
    return errand, [line for line in errand.lines() if line]


def test_a_model_that_is_too_large_by_the_sizes_that_the_hub_states_is_not_downloaded(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    errand, lines = _check(hub, tmp_path, SMALL)
    assert errand.code == 1
    (line,) = lines
    assert "org/large has files of 12,582,9" in line
    assert "model.safetensors alone 12,582,912; at most 8,388,608 are downloaded here" in line
    assert [one for one in hub.requests if "/resolve/" in one] == []


@LINUX
def test_a_hub_that_states_wrong_sizes_is_cut_off_while_it_sends(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truly = reads._sibling

    def wrong(path: str, entry: Entry, *, blobs: bool) -> dict[str, Any]:
        return truly(path, replace(entry, size=1000), blobs=blobs)

    monkeypatch.setattr(reads, "_sibling", wrong)
    errand, lines = _check(hub, tmp_path, SMALL)
    assert errand.code == 1, lines
    assert "Traceback" not in " ".join(lines)
    assert "no file may get so large here" in lines[-1]
    assert resource_limits.size_of(tmp_path / "room") < SMALL.download_bytes + MIB


@pytest.mark.parametrize(
    ("sizes", "line"),
    [
        ({}, None),
        ({"a": 10}, None),
        ({"a": 4, "b": 7}, "files of 11 bytes, b alone 7; at most 10 are"),
        ({"a": None}, "does not state the size of a"),
        ({"a": -(10**9), "b": 20}, "does not state the size of a"),
    ],
)
def test_sizes_that_are_too_large_or_unknown_are_refused(
    sizes: dict[str, int | None], line: str | None
) -> None:
    from harness.errors import BadInput

    if line is None:
        return download_limit.require_within("org/name", sizes, 10)
    with pytest.raises(BadInput, match=line):
        download_limit.require_within("org/name", sizes, 10)
    return None


@pytest.mark.parametrize("stated", ["-1", "4 GB", "1e9", "٣"])
def test_a_limit_that_is_no_number_is_refused(stated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.errors import BadInput

    monkeypatch.setenv(download_limit.VARIABLE, stated)
    with pytest.raises(BadInput, match="expected a number of bytes"):
        download_limit.limit()


def _wait_for(met: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not met():
        assert time.monotonic() < until
        time.sleep(0.02)
