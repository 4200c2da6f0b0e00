from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.leaderboard import _print_rankings, leaderboard
from harness.errors import BadInput
from tests.helpers.board_world import World
from tests.helpers.terminal_calls import printed
from tests.helpers.terminal_widths import TERMINALS, require_readable


def _options(world: World, out: Path) -> list[str]:
    return ["--submissions", str(world.submissions), "--signals", str(world.suite.root), "--out", str(out)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the board of the world is built, by the first test in full."""
    return tmp_path_factory.mktemp("board") / "site"


def test_build_prints_the_path_of_the_site_and_talks_on_stderr(world: World, site: Path) -> None:
    result = CliRunner().invoke(leaderboard, ["build", *_options(world, site)])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{site / 'index.html'}\n"
    assert "echo" in result.stderr
    assert "beta *" in result.stderr
    assert "means over the others" in " ".join(result.stderr.split())


def test_a_row_that_is_not_ranked_has_its_reason_below_the_table(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    ranking = world.board.current[0]
    reason = "It covers 1 of 4 labels."
    row = ranking.rows[0]
    card = replace(row.entry.scorecard, ranked=False, unranked_because=reason)
    unranked = replace(row, entry=replace(row.entry, scorecard=card), rank=None)
    ranking = replace(ranking, rows=ranking.rows[1:], unranked=(unranked,))
    _print_rankings(replace(world.board, rankings=(ranking,)))
    assert f"Not ranked: echo: {reason}\n" in capsys.readouterr().err


def test_build_as_json_gives_every_row_with_its_place(world: World, site: Path) -> None:
    result = CliRunner().invoke(leaderboard, ["build", *_options(world, site), "--json"])
    current, stale = json.loads(result.stdout)["rankings"]
    assert (current["task"], current["stale"], stale["stale"]) == ("tone", False, True)
    rows = [row for row in current["rows"] if row["role"] != "anchor"]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(row["rank"] is None for row in current["rows"] if row["role"] == "anchor")
    assert current["rows"][0]["model"]["repo_id"] == "acme/echo"
    assert current["rows"][0]["rates"]["lift"]["n"] == 105
    roles = {row["model"]["repo_id"]: row["role"] for row in current["rows"]}
    assert [name for name, role in roles.items() if role == "reference"] == [
        "lab/alpha",
        "lab/beta",
        "lab/gamma",
    ]
    assert set(roles.values()) == {"reference", "anchor", ""}


def test_without_signals_the_embedded_suite_is_the_current_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.starter.paths.embedded", lambda: world.suite.root)
    options = _options(world, tmp_path / "site")
    result = CliRunner().invoke(leaderboard, ["build", *options[:2], *options[4:], "--json"])
    current, _ = json.loads(result.stdout)["rankings"]
    assert current["signals"]["repo_id"] == "embedded/starter"
    assert len([row for row in current["rows"] if row["role"] != "anchor"]) == 6
    assert current["suite_note"].startswith("Synthetic clips")


def test_what_is_not_valid_is_left_out_by_name_with_the_reason(world: World, tmp_path: Path) -> None:
    result = CliRunner().invoke(leaderboard, ["build", *_options(world, tmp_path / "site")])
    (line,) = (line for line in result.stderr.splitlines() if "left out" in line)
    assert "someone__half-deaf" in line
    assert line.endswith("label_map: 1 label of tone, expected at least 2")


def test_a_missing_folder_is_bad_input(world: World, tmp_path: Path) -> None:
    options = _options(world, tmp_path / "site")
    options[1] = str(tmp_path / "nowhere")
    result = CliRunner().invoke(leaderboard, ["build", *options])
    assert isinstance(result.exception, BadInput)


def test_a_port_in_use_is_bad_input_that_names_the_option(world: World, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(leaderboard, ["serve", *_options(world, tmp_path / "s"), "--port", port])
    assert isinstance(result.exception, BadInput)
    assert "--port" in str(result.exception)


def test_importing_the_verb_opens_no_heavy_package() -> None:
    code = (
        "import sys, harness.cli.leaderboard\n"
        "heavy = {'torch', 'pandas', 'numpy', 'jinja2', 'rich', 'scipy', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_serve_answers_and_ends_cleanly_on_an_interrupt(world: World, tmp_path: Path) -> None:
    code = "from harness.cli.leaderboard import leaderboard; leaderboard()"
    options = [*_options(world, tmp_path / "site"), "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-c", code, "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - on this machine
            page = answer.read().decode()
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=20)
    assert "acme/echo" in page
    assert server.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "address",
    ["http://here.org/x", "https://a.org/?q=1", 'https://a.org/"><b>', "https://", "javascript:1", ""],
)
def test_an_address_of_entries_that_is_none_is_refused(world: World, tmp_path: Path, address: str) -> None:
    options = [*_options(world, tmp_path / "site"), "--entries-url", address]
    result = CliRunner().invoke(leaderboard, ["build", *options])
    assert isinstance(result.exception, BadInput)
    assert "https" in str(result.exception)
    assert not (tmp_path / "site").exists()


def test_a_terminal_is_shown_the_best_of_many(world: World, site: Path, monkeypatch) -> None:
    monkeypatch.setattr("harness.cli.leaderboard._MAX_ROWS", 2)
    result = CliRunner().invoke(leaderboard, ["build", *_options(world, site)])
    assert "and 4 more" in result.stderr
    assert "constant" not in result.stderr


@pytest.mark.parametrize("terminal", TERMINALS)
def test_the_board_keeps_ranks_models_and_lifts(terminal: str, world: World) -> None:
    _, err = printed(terminal, lambda: _print_rankings(world.board))
    last = "below the line: not ranked."
    require_readable(terminal, err, ["Rank", "Model", "Lift", "beta *"], may_wrap=[last])
    assert re.search(r"(?m)^ *1 +echo +\+\d", re.sub(r"\x1b\[\d*m", "", err)), err
    assert ("Columns that do not fit: " in err) == (terminal == "50 columns")
