"""What `validate` would refuse stands on no board: every forgery is left out by name, the others stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.dataset import parquet_io, parquet_schema
from harness.dataset.suite_notes import EMBEDDED
from harness.dataset.suites import Suite
from harness.entries import store, validate
from harness.schemas import to_json
from harness.starter import paths as starter
from leaderboard.board import ranking as table
from leaderboard.board import valid_entries
from leaderboard.board.file_hashes import FileHashes
from tests.helpers.board_world import Manner, World, add_entry

Forging = Callable[[Path], None]


def _edited(*path: str | int, value: Any) -> Forging:
    """entry.json with another value in one place."""

    def forge(folder: Path) -> None:
        data = json.loads((folder / store.ENTRY).read_bytes())
        inner = data
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        (folder / store.ENTRY).write_text(json.dumps(data))

    return forge


def _rows(change: Callable[[Any], Any]) -> Forging:
    """Other verdicts, with the hash and the count that they need, and the scorecard as it was."""

    def forge(folder: Path) -> None:
        frame = change(store.verdicts(folder))
        rows = pa.Table.from_pandas(frame, schema=parquet_schema.VERDICTS, preserve_index=False)
        pq.write_table(rows.replace_schema_metadata(), folder / store.VERDICTS)
        sha256 = parquet_io.sha256_of(folder / store.VERDICTS)
        entry = replace(store.read(folder), verdicts_sha256=sha256, n_verdicts=len(frame))
        (folder / store.ENTRY).write_text(to_json(entry))

    return forge


def _accepting(frame: Any) -> Any:
    asked = (frame["stimulus"] == "signal") & (frame["predicted"] != frame["expected"])
    first = frame.index[asked][:5]
    frame.loc[first, "predicted"] = frame.loc[first, "expected"]
    return frame


def _protocol_1(folder: Path) -> None:
    _edited("protocol", value=1)(folder)
    LIFT(folder)


RATES = ("scorecard", "families", 0, "rates")
LIFT = _edited(*RATES, "lift", "value", value=1e30)
FORGERIES: dict[str, Forging] = {
    "a lift of 1e300": _edited(*RATES, "lift", "value", value=1e300),
    "a lift of 1e30": LIFT,
    "a lift of 1e300 with its interval": _edited(
        *RATES,
        "lift",
        value={**dict.fromkeys(("value", "low", "high"), 1e300), "level": 0.95, "method": "x", "n": 9},
    ),
    "a lift that is 0.01 higher": _edited(*RATES, "lift", "value", value=0.8123),
    "a narrower interval": _edited(*RATES, "lift", "low", value=0.7),
    "more signals": _edited(*RATES, "lift", "n", value=10**9),
    "another transfer": _edited(*RATES, "transfer", "value", value=0.99),
    "another accuracy": _edited("scorecard", "whole", "accuracy", "value", value=1.0),
    "a cell of a heat map": _edited(
        "scorecard", "families", 0, "cells", 0, "rates", "lift", "value", value=1e300
    ),
    "ranked where it is not": _edited("scorecard", "unranked_because", value="no reason"),
    "rows turned to its favour": _rows(_accepting),
    "rows left out": _rows(lambda frame: frame[frame.index % 7 != 3]),
    "rows twice": _rows(lambda frame: frame.iloc[[*range(len(frame)), 5]]),
    "another hash of its rows": _edited("verdicts_sha256", value="0" * 64),
    "a time ahead": _edited("run", "created", value="2999-01-01T00:00:00Z"),
    "no time": _edited("run", "created", value="yesterday"),
    "another model than its folder": _edited("model", "repo_id", value="acme/other"),
    "markup for a name": _edited("model", "repo_id", value="acme/<img src=x onerror=alert(1)>"),
    "no JSON": lambda folder: (folder / store.ENTRY).write_text("{") and None,
    "deep JSON": lambda folder: (folder / store.ENTRY).write_text("[" * 200_000) and None,
    "no Parquet": lambda folder: (folder / store.VERDICTS).write_bytes(b"PAR1PAR1") and None,
    "no rows": lambda folder: (folder / store.VERDICTS).unlink(),
    "a file beside": lambda folder: (folder / "more.bin").write_bytes(b"x") and None,
    "protocol 1 with a lift of 1e30": _protocol_1,
    "a task that nobody defines, with a lift of 1e30": lambda folder: (
        _edited("task", value="hum")(folder),
        LIFT(folder),
    )[-1],
}


@pytest.fixture(scope="module")
def honest(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two valid entries."""
    root = tmp_path_factory.mktemp("honest")
    add_entry(root, world.suite, "acme/honest", Manner(0.8, 0.2))
    add_entry(root, world.suite, "acme/forged", Manner(0.9, 0.1))
    return root


@pytest.fixture
def submissions(honest: Path, tmp_path: Path) -> Path:
    """The same, to be spoiled."""
    shutil.copytree(honest, tmp_path / "in")
    return tmp_path / "in"


def _forged(submissions: Path) -> Path:
    (folder,) = (f for f in store.find(submissions) if "acme__forged" in str(f))
    return folder


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_entry_is_named_with_the_reason(world: World, submissions: Path, forgery: str) -> None:
    folder = _forged(submissions)
    FORGERIES[forgery](folder)
    line = valid_entries.look([folder], world.suite)[folder]
    assert line.isprintable()
    assert len(line) < 400


def test_a_forged_entry_is_left_out_and_the_others_stand(world: World, submissions: Path) -> None:
    def standing() -> tuple[set[str], list[str]]:
        folders = [*store.find(submissions), *world.suite.verdicts()]
        problems = valid_entries.look(folders, world.suite)
        board = table.build(submissions, world.suite, problems=problems)
        (ranking,) = board.rankings
        names = {row.name for row in ranking.all_rows if not row.reference}
        return names, list(board.messages)

    folder = _forged(submissions)
    before = (folder / store.ENTRY).read_bytes()
    assert standing() == ({"acme/honest", "acme/forged"}, [])
    LIFT(folder)
    names, (line,) = standing()
    assert names == {"acme/honest"}
    assert line.startswith(f"left out: {folder}: scorecard.families.0.rates.lift.value: 1e+30, expected 0.")
    (folder / store.ENTRY).write_bytes(before)
    assert standing() == ({"acme/honest", "acme/forged"}, [])


def test_an_entry_that_does_not_answer_the_suite_is_left_out(world: World, submissions: Path) -> None:
    folder, suite = _forged(submissions), Suite(world.suite.root, "local/tones")
    first, *others = suite.manifest.references
    counts = tuple(replace(count, n_signals=count.n_signals + 1) for count in first.counts)
    suite.manifest = replace(suite.manifest, references=(replace(first, counts=counts), *others))
    assert valid_entries._line(folder, world.suite, (True, True)) is None
    assert "references: not those of the suite" in str(valid_entries._line(folder, suite, (False, True)))


def test_what_was_valid_is_not_looked_at_again_until_a_byte_or_the_suite_is_another(
    world: World, submissions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    folders, asked = store.find(submissions), []
    truly = validate.validate_entry

    def counted(folder: Path, *words: Any, **more: Any) -> list[str]:
        asked.append(folder)
        return truly(folder, *words, **more)

    monkeypatch.setattr(validate, "validate_entry", counted)
    for _ in range(2):
        assert valid_entries.look(folders, world.suite, cache=cache) == {}
    assert asked == folders
    (memory,) = (cache / "valid").iterdir()
    memory.write_text("garbage\n" + memory.read_text()[1:])
    assert valid_entries.look(folders, world.suite, cache=cache) == {}
    assert asked == [*folders, folders[0]]
    moved = submissions / "elsewhere"
    folders[0].rename(moved)
    assert "elsewhere', expected" in valid_entries.look([moved], world.suite, cache=cache)[moved]


def test_a_cache_that_cannot_be_written_costs_time_alone(
    world: World, submissions: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert valid_entries.look(store.find(submissions)[:1], world.suite, cache=tmp_path / "file") == {}


def test_the_entries_of_this_package_are_listed_as_valid() -> None:
    suite = Suite(starter.embedded(), EMBEDDED)
    hashes = FileHashes(None)
    names = ("logistic-regression", "random-weights")
    folders = [*suite.verdicts(), *(folder for name in names for folder in suite.anchors(name))]
    marks = {mark for folder in folders for mark in valid_entries._marks(folder, suite, hashes)}
    listed = set(valid_entries.LISTED.read_text().splitlines())
    assert marks == listed, (
        "again: python -m leaderboard.board.valid_entries $(python -m harness.starter --where signals)"
    )


def test_an_entry_of_the_package_in_which_a_byte_is_changed_is_looked_at(tmp_path: Path) -> None:
    suite = Suite(starter.embedded(), EMBEDDED)
    first = suite.verdicts()[0]
    folder = tmp_path / "verdicts" / first.relative_to(suite.root / "verdicts")
    shutil.copytree(first, folder)
    assert valid_entries.look([folder], suite) == {}
    LIFT(folder)
    assert "scorecard.families.0.rates.lift" in valid_entries.look([folder], suite)[folder]
