"""What there is nothing of is a sentence, not a table with a head; a count beside a gap is an integer."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness import cli
from harness.cli.tables import Column, show_table
from harness.dataset.card import markdown_table
from leaderboard import exports
from leaderboard.board import columns
from leaderboard.board import ranking as table
from leaderboard.board.types import Board, Row
from tests.helpers.corpus import make_corpus
from tests.helpers.toy_models import save_model

TASK, NAMES = "emotion", ("neu", "hap", "ang", "sad")

HEADS_ALONE = (
    re.compile(r"<thead>.*?</thead>\s*(<tbody>\s*</tbody>)?\s*</table>", re.DOTALL),
    re.compile(r"^\|[-| ]+\|\n(?!\|)", re.MULTILINE),
    re.compile(r"\\midrule\s*\\bottomrule"),
    re.compile(r"^─[─ ]*\n\s*(\n|\Z)", re.MULTILINE),
)
"""A table without a body, of a page, in Markdown, in LaTeX, on a terminal."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The least there can be: one reference with one extraction of each clip, and its entry."""
    root = tmp_path_factory.mktemp("least")
    model = save_model(root / "ear", "wav2vec2", NAMES)
    corpus = make_corpus(root / "corpus", *((f"{i}.wav", ("angry", "sad")[i % 2]) for i in range(4)))
    signals = ("--signals", root / "signals")
    for command in (
        ("extract", model, "--task", TASK, "--corpus", corpus, "--budget", 40, "--out", root / "signals"),
        ("evaluate", model, *signals, "--out", root / "results", "--update-suite"),
    ):
        assert cli.run([str(word) for word in command]) == 0
    (root / "none").mkdir()
    return root


def commands(root: Path, out: Path) -> dict[str, tuple[object, ...]]:
    """Every verb that writes tables, where there is nothing or next to nothing."""
    signals, none = ("--signals", root / "signals"), ("--submissions", root / "none")
    board = ("leaderboard", "build", *signals, "--out", out)
    return {
        "study": ("study", root / "signals", "--out", out),
        "evaluate": ("evaluate", root / "ear", *signals, "--out", root / "results"),
        "download --list": ("download", root / "signals", "--list"),
        "publish": ("publish", root / "signals", "--licence", "cc0-1.0"),
        "build": (*board, *none),
        "build, one entry": (*board, "--submissions", root / "results"),
        **{f"export {kind}": ("leaderboard", "export", *none, "--as", kind) for kind in exports.FORMATS},
    }


@pytest.mark.parametrize("verb", commands(Path(), Path()))
def test_no_verb_writes_a_head_without_a_body(
    world: Path, tmp_path: Path, verb: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if verb.startswith("export"):  # a board on which nothing stands, not even a reference
        monkeypatch.setattr("harness.dataset.suites.Suite.verdicts", lambda _: [])
    out = tmp_path / "out"
    words = [str(word) for word in commands(world, out)[verb]]
    if verb == "export parquet":
        words += ["--out", str(tmp_path / "board.parquet")]
    assert cli.run(words) == 0
    stdout, stderr = capfd.readouterr()
    texts = {"stdout": stdout, "stderr": stderr}
    places = (out, world / "results", world / "signals" / ".published")
    for path in (
        p for place in places for ending in ("html", "md", "tex") for p in place.rglob(f"*.{ending}")
    ):
        texts[str(path)] = path.read_text("utf-8")
    for where, text in texts.items():
        assert [m[0] for pattern in HEADS_ALONE for m in pattern.finditer(text)] == [], where
    if verb.startswith("export"):
        assert "No entries yet: the export has no rows." in stderr


def test_a_table_without_rows_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("emotion: cost", (Column("model"), Column("hours")), [])
    assert capsys.readouterr().out == "emotion: cost: nothing to show.\n"
    assert markdown_table(["model", "hours"], []) == "Nothing to show."


COUNTS = [column.key for column in columns.COLUMNS if column.kind == "count"]


def _without(row: Row, key: str) -> Row:
    """The row with one count unknown, where a row can lack it."""
    if key in ("rank", "rank_low", "rank_high", "panel_low", "panel_high", "tie"):
        return replace(row, **{key: None})
    run = replace(row.entry.run, n_asked=None)
    facts = replace(row.entry.facts, n_parameters=2**63)  # what no column of integers holds is unknown
    return replace(row, entry=replace(row.entry, run=run, facts=facts, protocol=2**63))


@pytest.mark.parametrize("key", COUNTS)
@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_a_count_stays_an_integer_where_another_row_has_none(world: Path, kind: str, key: str) -> None:
    board = table.build(world / "results", None)
    [ranking] = board.rankings
    [row] = ranking.all_rows
    counts = dict.fromkeys(("rank", "rank_low", "rank_high", "panel_low", "panel_high", "tie"), 194)
    run = replace(row.entry.run, n_asked=194, n_known=0, seconds=1.0)
    facts = replace(row.entry.facts, n_parameters=194)
    entry = replace(row.entry, run=run, facts=facts, protocol=194)
    whole = replace(row, entry=entry, **counts)
    ranking = replace(ranking, protocol=194, rows=(whole, _without(whole, key)), unranked=())
    data = exports.export(Board((ranking,)), kind)
    first, second = (_cells(data, kind, name) for name in (key, "transfer_n"))
    assert first[0] == "194"
    assert first[1] in ("", "194")  # the protocol of a ranking is that of all of its rows
    assert all(re.fullmatch(r"\d+", cell) for cell in second)


def _cells(data: bytes, kind: str, name: str) -> list[str]:
    """A column as it is written: no reader may make integers of it first."""
    if kind == "csv":
        return list(pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)[name])
    if kind == "json":
        rows: list[dict[str, Any]] = json.loads(data, parse_float=lambda text: f"float {text}")
        return ["" if row[name] is None else str(row[name]) for row in rows]
    column = pd.read_parquet(io.BytesIO(data))[name]
    assert str(column.dtype) == "Int64"
    return ["" if value is pd.NA else str(value) for value in column]
