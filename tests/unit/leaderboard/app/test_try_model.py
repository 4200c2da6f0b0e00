"""What the app asks for its visitors: checked words, commands that end, answers read, places by hand."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import fastapi
import gradio as gr
import pytest

from harness import cli
from harness.entries import store
from harness.errors import BadInput
from harness.schemas import Entry, to_json
from harness.starter import paths as starter
from harness.types import Estimate
from leaderboard.app import app, commands, sessions, theme
from leaderboard.app.resource_limits import Allowance
from leaderboard.app.sessions import Session, SessionStore, Subprocess
from leaderboard.app.try_model import AppState, Limits, View, trial, zip_entry
from leaderboard.board.types import Ranking, Row
from leaderboard.reports import audio_examples
from tests.helpers import suite_parts, toy_models
from tests.helpers.board_world import World
from tests.helpers.families import FAMILIES
from tests.helpers.small_suite import small_suite

TASKS = ("tone",)
HERE = commands.TryRequest("org/name", "emotion", is_folder=False)


def shelf(world: World, *, on_space: bool = False) -> AppState:
    return AppState(world.board, world.suite, None, on_space)


# What a visitor typed


@pytest.mark.parametrize("name", ["org/name", "superb/hubert-large-superb-er", "wav2vec2", " a/b.c_d-1 "])
def test_a_hub_id_is_taken_as_it_is(name: str) -> None:
    assert commands.read(name, "tone", TASKS, folders=False) == commands.TryRequest(
        name.strip(), "tone", False
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "--trust-remote-code",
        "-h",
        "--out=/tmp",
        "a/b; rm -rf /",
        "a/b && id",
        "$(id)",
        "`id`",
        "a/b\n--trust-remote-code",
        "a/b\x00",
        "../../nowhere",
        "a/../b",
        "/etc/passwd",
        "~nobody-here",
        "https://huggingface.co/a/b",
        "a/b/c",
        "a/-b",
        "a--b/c",
        "ä/b",
        "a/b@main",
        "<script>alert(1)</script>",
        "x" * 5000,
        "/" + "x" * 5000,
    ],
)
@pytest.mark.parametrize("folders", [True, False])
def test_what_is_neither_a_hub_id_nor_a_folder_is_refused_in_a_line(name: str, folders: bool) -> None:
    with pytest.raises(BadInput) as refused:
        commands.read(name, "tone", TASKS, folders=folders)
    said = str(refused.value)
    assert "as in org/name" in said
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 200


def test_a_folder_is_named_by_its_absolute_path_and_on_a_space_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "--out").mkdir()
    monkeypatch.chdir(tmp_path)
    assert commands.read("--out", "tone", TASKS, folders=True).model == str(tmp_path / "--out")
    for name in ("--out", str(tmp_path), "."):
        with pytest.raises(BadInput):
            commands.read(name, "tone", TASKS, folders=False)


def test_a_task_the_suite_has_not_is_refused_whatever_a_browser_sends() -> None:
    with pytest.raises(BadInput, match="choose one of tone"):
        commands.read("a/b", "--label-map", TASKS, folders=False)


# Commands


def test_the_model_is_the_last_word_behind_the_end_of_the_options() -> None:
    check = commands.check(HERE, None)
    assert check[:4] == [sys.executable, "-P", "-m", "harness"]
    assert check[4:] == ["check", "--json", "--task", "emotion", "--", "org/name"]
    quick = commands.evaluate(HERE, "org/signals@main", Path("/r"), 0.1)
    assert quick[4:] == [
        *("evaluate", "--json", "--task", "emotion", "--signals", "org/signals@main"),
        *("--ci-width", "0.1", "--out", "/r", "--", "org/name"),
    ]
    assert "--ci-width" not in commands.evaluate(HERE, None, Path("/r"), None)
    assert "--trust-remote-code" not in [*check, *quick]
    own = commands.check(commands.TryRequest("org/name", "tone", is_folder=False), None)
    assert own[4:] == ["check", "--json", "--", "org/name"]


def test_the_same_at_home_can_be_pasted_whatever_the_folder_is_called() -> None:
    asked = commands.TryRequest("/a b/$(id)", "emotion", is_folder=True)
    assert commands.local_commands(asked, None, None, "f" * 40) == [
        "goodenough check '/a b/$(id)' --task emotion",
        "goodenough evaluate '/a b/$(id)' --task emotion --out results",
        "goodenough submit results/ --out submissions/",
    ]
    hub = commands.local_commands(HERE, None, "org/entries", "f" * 40)
    assert hub[1] == f"goodenough evaluate org/name --revision {'f' * 40} --task emotion --out results"
    assert hub[2] == "goodenough submit results/ --to org/entries"


def test_on_a_space_a_command_gets_none_of_its_secrets() -> None:
    around = {"PATH": "/bin", "HF_TOKEN": "t", "MY_SECRET": "s", "AWS_ACCESS_KEY_ID": "k", "db_password": "p"}
    there = commands.environment(around, on_space=True)
    assert there["PATH"] == "/bin"
    assert there.get("HF_HUB_DISABLE_IMPLICIT_TOKEN") == "1"
    assert not {"t", "s", "k", "p"} & set(there.values())
    local_commands = commands.environment(around, on_space=False)
    assert set(around.items()) <= set(local_commands.items())
    assert local_commands["PYTHONPATH"].split(os.pathsep)[0] == str(Path(commands.__file__).parents[2])


# Answers


def test_what_the_check_printed_is_read_and_what_it_did_not_is_refused() -> None:
    said = {"passed": False, "findings": [{"what": "labels", "passed": False, "detail": "none"}]}
    answer = commands.findings_of(json.dumps(said))
    assert answer == commands.CheckResult(False, (commands.Finding("labels", False, "none"),))
    for text in ("", "[]", "{", '{"passed": true}', '{"passed": true, "findings": [1]}'):
        with pytest.raises(BadInput, match="cannot read"):
            commands.findings_of(text)


def test_an_entry_is_read_strictly_and_only_from_the_folder_it_was_to_be_written_to(
    world: World, tmp_path: Path
) -> None:
    entry = world.board.current[0].rows[0].entry

    def printed(folder: Path) -> str:
        return json.dumps({"results": [{**json.loads(to_json(entry)), "folder": str(folder)}]})

    inside = tmp_path / "results" / "x"
    assert commands.entry_of(printed(inside), tmp_path / "results") == (entry, inside)
    with pytest.raises(BadInput, match="another folder"):
        commands.entry_of(printed(tmp_path / "results" / ".." / "y"), tmp_path / "results")
    for text in ("", '{"results": []}', '{"results": [{"folder": "x"}]}', '{"results": [1]}'):
        with pytest.raises(BadInput, match="cannot read"):
            commands.entry_of(text, tmp_path)


def _with_lift(entry: Entry, weights: str, value: float, low: float | None, high: float | None) -> Entry:
    card = entry.scorecard
    assert card.headline is not None
    lift = Estimate(value, low, high, 0.95, "made up", 30)
    rates = dataclasses.replace(card.headline.rates, lift=lift)
    family = dataclasses.replace(card.headline, rates=rates)
    model = dataclasses.replace(entry.model, weights_sha256=weights)
    score = dataclasses.replace(card, families=(family, *card.families[1:]))
    return dataclasses.replace(entry, model=model, scorecard=score)


def _ranking(world: World, *lifts: tuple[float, float, float]) -> Ranking:
    now = world.board.current[0]
    first = now.rows[0].entry
    rows = tuple(
        Row(_with_lift(first, f"{i}", *lift), reference=False, rank=i + 1) for i, lift in enumerate(lifts)
    )
    return dataclasses.replace(now, rows=rows, unranked=())


def test_a_provisional_place_is_that_of_the_lift_and_its_ends_those_of_disjoint_intervals(
    world: World,
) -> None:
    ranking = _ranking(world, (0.5, 0.4, 0.6), (0.3, 0.2, 0.4), (0.1, 0.0, 0.2), (-0.2, -0.3, -0.1))
    entry = world.board.current[0].rows[0].entry

    def place(value: float, low: float, high: float) -> tuple[int, int, int, int]:
        found = commands.provisional_rank(_with_lift(entry, "new", value, low, high), ranking)
        assert found is not None
        assert found.same_model is None
        return found.rank, found.best, found.worst, found.n

    assert place(0.25, 0.15, 0.35) == (3, 2, 4, 5)  # surely behind the first, surely ahead of the last
    assert place(0.9, 0.8, 1.0) == (1, 1, 1, 5)
    assert place(-0.9, -1.0, -0.8) == (5, 5, 5, 5)
    assert place(0.2, -1.0, 1.0) == (3, 1, 5, 5)
    assert place(0.5, 0.39, 0.61) == (1, 1, 3, 5)  # equal values share the better place


def test_weights_that_are_on_the_board_are_compared_with_the_others_and_other_signals_with_nothing(
    world: World,
) -> None:
    ranking = _ranking(world, (0.5, 0.4, 0.6), (0.3, 0.2, 0.4))
    entry = world.board.current[0].rows[0].entry
    again = commands.provisional_rank(_with_lift(entry, "1", 0.3, 0.2, 0.4), ranking)
    assert again is not None
    assert (again.rank, again.n, again.same_model) == (2, 2, ranking.rows[1])
    signals = dataclasses.replace(entry.signals, sha256="0" * 64)
    assert commands.provisional_rank(dataclasses.replace(entry, signals=signals), ranking) is None
    assert commands.provisional_rank(entry, None) is None
    assert commands.provisional_rank(_with_lift(entry, "new", 0.3, None, None), ranking) is None


# Processes

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)"])
print(child.pid, file=sys.stderr, flush=True)
time.sleep(600)
"""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_cancelled_command_ends_with_all_that_it_started(
    rooms: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "GRACE_S", 0.2)
    room = rooms.of("a")
    room.is_active = True
    lines = room.run([sys.executable, "-c", STUBBORN], os.environ, 600)
    child = int(next(line for line in lines if line is not None))
    assert room.process is not None
    parent = room.process._process.pid
    assert _alive(child)
    rooms.cancel("a")
    assert [line for line in lines if line is not None] == []
    assert (room.process.end, room.process.code) == ("cancelled", -signal.SIGKILL)
    assert not _alive(parent)
    until = time.monotonic() + 20
    while _alive(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _alive(child)
    assert not room.is_active


def test_a_command_that_takes_too_long_is_ended_and_one_that_nobody_reads_any_more_too(
    rooms: SessionStore,
) -> None:
    room = rooms.of("a")
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert list(filter(None, room.run(sleep, os.environ, 0.1))) == []
    assert room.process is not None
    assert (room.process.end, room.process.code) == ("late", -signal.SIGTERM)
    lines = room.run(sleep, os.environ, 600)
    next(lines)
    lines.close()  # type: ignore[attr-defined]
    assert room.process.code is not None


def test_what_a_command_says_comes_as_plain_lines_of_bounded_length(rooms: SessionStore) -> None:
    code = "import sys; print('{}'); sys.stderr.write('a\\x1b[31m\\rb\\n' + 'x' * 9999 + '\\n'); sys.exit(3)"
    room = rooms.of("a")
    errand = Subprocess([sys.executable, "-c", code], room.folder, os.environ, 60)
    said = [line for line in errand.lines() if line is not None]
    assert said == ["a [31m", "b", "x" * 300]
    assert (errand.code, errand.end, errand.answer) == (3, "done", "{}\n")


def test_a_room_is_removed_when_its_visitor_leaves_when_it_was_left_alone_and_at_the_end(
    tmp_path: Path,
) -> None:
    (tmp_path / "rooms").mkdir()
    rooms = SessionStore(tmp_path / "rooms")
    first, second, third = (rooms.of(name) for name in "abc")
    assert rooms.of("a") is first
    assert len({first.folder, second.folder, third.folder}) == 3
    (first.folder / "answer.json").write_text("{}")
    rooms.leave("a")
    rooms.leave("nobody")
    assert not first.folder.exists()
    second.last_use -= sessions.IDLE_S + 1
    third.last_use -= sessions.IDLE_S + 1
    third.is_active = True
    rooms.of("d")
    assert not second.folder.exists()
    assert third.folder.exists()
    rooms.close()
    assert not rooms.root.exists()


# Trials

STUB = """
import json, pathlib, shutil, sys, time
words = sys.argv[1:]
made = pathlib.Path({made!r})
print("on the way", file=sys.stderr, flush=True)
if words[0] == "check":
    print(json.dumps({{"passed": words[-1] != "bad/labels", "findings": []}}))
    sys.exit(words[-1] == "bad/labels")
if words[-1] == "no/memory":
    print("goodenough: out of memory; try --batch-size 1", file=sys.stderr)
    sys.exit(2)
entry = json.loads((made / "entry.json").read_text())
entry["complete"] = "--ci-width" not in words
out = pathlib.Path(words[words.index("--out") + 1]) / "there"
shutil.copytree(made, out, dirs_exist_ok=True)
print(json.dumps({{"model": words[-1], "results": [{{**entry, "folder": str(out)}}]}}))
"""


@pytest.fixture
def stub(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of `goodenough`: any model passes, and has the entry of acme/echo."""
    made = world.board.current[0].rows[0].folder
    assert made is not None
    script = tmp_path / "stub.py"
    script.write_text(STUB.format(made=str(made)))
    monkeypatch.setattr(commands, "_COMMAND", (sys.executable, "-P", str(script)))
    return made


def _views(room: Session, model: str, where: AppState, *, fully: bool = False) -> list[View]:
    room.is_active = True
    return list(trial(room, model, "tone", where, Limits(), fully=fully))


def test_a_quick_trial_ends_with_a_provisional_place_and_no_package(
    world: World, rooms: SessionStore, stub: Path
) -> None:
    room = rooms.of("a")
    *_, last = _views(room, "acme/echo", shelf(world))
    assert (last.status, last.error, last.package) == ("Done", None, None)
    assert last.entry is not None
    assert not last.entry.complete
    assert last.provisional_rank is not None
    assert last.provisional_rank.rank == 1
    assert last.commands[1].startswith(
        f"goodenough evaluate acme/echo --revision {last.entry.model.revision}"
    )
    assert last.lines.count("on the way") == 2
    assert not room.is_active


def test_a_full_trial_offers_the_two_files_of_the_entry_at_their_place(
    world: World, rooms: SessionStore, stub: Path
) -> None:
    *_, last = _views(rooms.of("a"), "acme/echo", shelf(world), fully=True)
    assert last.entry is not None
    assert last.package is not None
    with zipfile.ZipFile(last.package) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {f"{last.entry.path}/{n}": (stub / n).read_bytes() for n in (store.ENTRY, store.VERDICTS)}


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("bad/labels", "it does not pass the check"),
        ("no/memory", "out of memory; try --batch-size 1"),
        ("--help", "no model '--help'; expected a Hub id, as in org/name, or an existing folder"),
    ],
)
def test_what_goes_wrong_is_told_in_the_command_s_own_line(
    world: World, rooms: SessionStore, stub: Path, model: str, line: str
) -> None:
    *_, last = _views(rooms.of("a"), model, shelf(world))
    assert (last.status, last.error, last.entry) == ("Ended", line, None)


def test_a_trial_that_was_cancelled_while_it_waited_starts_no_command(
    world: World, rooms: SessionStore, stub: Path
) -> None:
    room = rooms.of("a")
    rooms.ask("a")
    rooms.cancel("a")
    room = rooms.enter("a")
    (view,) = trial(room, "acme/echo", "tone", shelf(world), Limits(), fully=False)
    assert view.error == "cancelled"
    assert room.process is None


def test_on_a_space_what_is_written_lies_in_the_room_and_a_folder_cannot_be_named(
    world: World, rooms: SessionStore, stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("HF_HUB_CACHE", "HF_HOME", "HOME", "TMPDIR", "HF_TOKEN_PATH", "XDG_CACHE_HOME")
    code = f"import os, sys{chr(10)}for name in {names}: print(name, os.environ.get(name), file=sys.stderr)"
    (tmp_path / "stub.py").write_text(code)
    room = rooms.of("a")
    monkeypatch.setenv("HF_TOKEN_PATH", "/somewhere/token")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    *_, last = _views(room, "acme/echo", shelf(world, on_space=True))
    folders = [room.folder / name for name in ("hub", "home", "home", "tmp")]
    stated = [f"{name} {place}" for name, place in zip(names, [*folders, None, None], strict=True)]
    assert [line for line in last.lines if line.startswith(names)] == stated
    *_, last = _views(room, str(tmp_path), shelf(world, on_space=True))
    assert last.error is not None
    assert last.error.endswith("expected a Hub id, as in org/name")


SPENDING = {
    "memory": ("x = bytearray(400_000_000); time.sleep(60)", "more than 0.146 GiB of memory"),
    "disk": ("open('x', 'wb').write(bytes(9_000_000)); time.sleep(60)", "wrote more than 0.00781 GiB"),
}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is looked up in /proc")
@pytest.mark.parametrize("what", SPENDING)
def test_a_trial_that_takes_too_much_ends_with_a_line_that_says_so_and_leaves_nothing(
    world: World, rooms: SessionStore, stub: Path, tmp_path: Path, what: str
) -> None:
    code, line = SPENDING[what]
    (tmp_path / "stub.py").write_text(f"import time; {code}")
    room = rooms.of("a")
    room.is_active = True
    limits = Limits(allowance=Allowance(150 * 2**20, 8 * 2**20, 10 * 2**20))
    *_, last = trial(room, "acme/echo", "tone", shelf(world), limits, fully=False)
    assert last.error is not None
    assert line in last.error
    assert last.error.endswith("the limit of this page; at home there is none")
    assert what == "memory" or list(room.folder.iterdir()) == []


def test_a_model_that_is_not_there_is_the_real_command_s_line(
    world: World, rooms: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    *_, last = _views(rooms.of("a"), "nobody/has-this", shelf(world))
    assert last.error is not None
    assert "nobody/has-this" in last.error
    assert "\n" not in last.error
    assert "Traceback" not in " ".join(last.lines)


def test_the_commands_of_a_trial_give_answers_that_it_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = commands.environment({}, on_space=False)
    monkeypatch.setenv("GOODENOUGH_PROGRESS", told["GOODENOUGH_PROGRESS"])
    suite = small_suite(tmp_path / "signals")
    model = toy_models.save_model(tmp_path / "ear", "wav2vec2", ("spoof", "bonafide"))
    asked = commands.TryRequest(str(model), "deepfake", is_folder=True)
    assert cli.run(commands.check(asked, str(suite.root))[4:]) == 0
    assert commands.findings_of(capsys.readouterr().out).passed
    for width in (0.3, None):
        assert cli.run(commands.evaluate(asked, str(suite.root), tmp_path / "results", width)[4:]) == 0
        said = capsys.readouterr()
        entry, folder = commands.entry_of(said.out, tmp_path / "results")
        assert (entry.model.repo_id, entry.complete) == ("local/ear", width is None)
        assert any(line.startswith("deepfake: ") and " units" in line for line in said.err.splitlines())
    assert store.read(folder) == entry


@pytest.mark.slow  # the test above gives its commands in this process
def test_a_real_model_is_checked_and_evaluated_with_progress(
    rooms: SessionStore, world: World, tmp_path: Path
) -> None:
    from harness.dataset.suites import Suite

    model = next(folder for folder in starter.models("candidate") if "emotion" in folder.name)
    suite = Suite(starter.embedded(), "embedded/starter")
    clip_ids = [line.clip_id for line in suite.clip_lines("emotion")][:24]
    part = suite_parts.of_clips(suite, "emotion", clip_ids, tmp_path / "part")
    where = AppState(world.board, part, None, on_space=False)
    room = rooms.of("a")
    room.is_active = True
    views = list(trial(room, str(model), "emotion", where, Limits(width=0.3), fully=False))
    last = views[-1]
    assert (last.status, last.error) == ("Done", None)
    assert last.answer is not None
    assert last.answer.passed
    assert last.entry is not None
    assert last.entry.model.repo_id == f"local/{model.name}"
    assert last.provisional_rank is None  # this board has no such task
    assert any(line.startswith("emotion: ") and " units" in line for line in last.lines)
    assert len({view.status for view in views}) > 2


# The page


def _request(**headers: str) -> gr.Request:
    """One made on this machine."""
    scope = {
        "type": "http",
        "headers": [(n.encode(), v.encode()) for n, v in {"host": "localhost", **headers}.items()],
        "client": ("127.0.0.1", 1),
        "query_string": b"",
        "path": "/",
        "server": ("127.0.0.1", 7860),
    }
    return gr.Request(fastapi.Request(scope), session_hash="a")


def test_importing_the_app_opens_neither_torch_nor_transformers() -> None:
    code = "import sys, leaderboard.app.app; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_colours_are_those_of_the_site_in_light_and_dark() -> None:
    light, dark = theme.palette(dark=False), theme.palette(dark=True)
    assert set(light) == set(dark) >= {"paper", "panel", "ink", "mute", "rule", "strong", "accent", "tint"}
    assert light != dark
    rules = theme.rules()
    assert "prefers-color-scheme" not in rules
    assert ":root" not in rules
    assert "http" not in rules


def test_evidence_is_drawn_by_one_model_and_judged_by_all_of_the_ranking(world: World) -> None:
    ranking = world.board.current[0]
    rows = [ranking.rows[1], *(row for row in ranking.all_rows if row is not ranking.rows[1])]
    judges = [(row.entry.model, store.verdicts(row.folder)) for row in rows if row.folder]
    by = judges[0][0]
    found = audio_examples.draw(world.suite, ranking.task, FAMILIES[0], judges, n=4)
    assert 0 < len(found) <= 4
    for example in found:
        assert example.signal.reference != by.repo_id
        assert 3 <= len(example.players) <= 4  # clip, signal, swap, and matched where there is one
        assert example.judges[0][0] == by.repo_id.split("/")[1]
        assert len(example.judges) == len(ranking.all_rows)


@pytest.mark.parametrize("licence", ["CC0-1.0", "all rights reserved"])
@pytest.mark.parametrize("on_space", [False, True])
def test_strangers_hear_nothing_whose_licence_does_not_allow_it(
    rooms: SessionStore, world: World, licence: str, on_space: bool
) -> None:
    from harness.dataset.suites import Suite

    suite = Suite(world.suite.root, "local/tones")
    stated = [
        dataclasses.replace(r, corpus=dataclasses.replace(r.corpus, licence=licence))
        for r in suite.manifest.references
    ]
    suite.manifest = dataclasses.replace(suite.manifest, references=tuple(stated))
    desk = app._Handlers(AppState(world.board, suite, None, on_space), rooms, Limits())
    task = world.board.current[0].task
    assert desk.models(task) == [row.name for row in world.board.current[0].all_rows]
    page = desk.listen(task, desk.models(task)[0], _request())
    silent = on_space and licence != "CC0-1.0"
    assert ("<audio" in page) != silent
    strangers = desk.listen(task, desk.models(task)[0], _request(**{"x-forwarded-for": "127.0.0.1"}))
    assert ("<audio" in strangers) == (licence == "CC0-1.0")
    assert ("does not allow that parts of it are passed on" in page) == silent


def test_a_package_is_named_after_its_entry(world: World, tmp_path: Path, stub: Path) -> None:
    entry = store.read(stub)
    assert zip_entry(entry, stub, tmp_path).name == f"{entry.path.replace('/', '-')}.zip"
