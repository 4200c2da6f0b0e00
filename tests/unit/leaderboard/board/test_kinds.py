"""What kind of model each row is of: in the table, in the exports and on the page of a model."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from leaderboard import exports
from leaderboard.board.types import Board, Ranking, Row
from leaderboard.plots import scatter
from leaderboard.site import builder, model_page, task_page
from tests.helpers.board_world import World
from tests.helpers.entries import DETECTOR, by_adapter

KINDS = ("zero-shot", "language model", "adapter", "head")


def of_kind(row: Row, kind: str, name: str) -> Row:
    adapter = replace(DETECTOR, arguments={"template": f"the sound of {name}"})
    entry = row.entry if kind == "head" else by_adapter(row.entry, adapter, kind, name)  # type: ignore[arg-type]
    return replace(row, entry=entry)


@pytest.fixture(scope="module")
def ranking(world: World) -> Ranking:
    """The current ranking, the first rows of which are of one kind each."""
    current = world.board.current[0]
    kinds = (*KINDS, *["head"] * len(current.rows))
    rows = (
        of_kind(row, kind, f"model-{i}")
        for i, (row, kind) in enumerate(zip(current.rows, kinds, strict=False))
    )
    return replace(current, rows=tuple(rows))


def test_a_row_has_its_kind_and_a_size_only_where_it_is_stated(ranking: Ranking) -> None:
    data = task_page.table_data(ranking.all_rows, {})
    at = {key: len(data["rows"][0]) - len(data["columns"]) + i for i, (key, *_) in enumerate(data["columns"])}
    assert [row[at["kind"]] for row in data["rows"][:4]] == list(KINDS)
    assert [row[at["parameters"]] is None for row in data["rows"][:4]] == [True, True, True, False]
    assert (
        len(scatter.points(ranking.rows, "size"))
        == len(scatter.points(ranking.rows, "time") or ranking.rows) - 3
    )


def test_exports_have_the_kind(ranking: Ranking) -> None:
    board = Board((ranking,))
    lines = list(csv.DictReader(io.StringIO(exports.export(board, "csv").decode())))
    assert [line["kind"] for line in lines[:4]] == list(KINDS)
    assert [line["parameters"] for line in lines[:3]] == ["", "", ""]
    records = json.loads(exports.export(board, "json"))
    assert [(r["kind"], r["parameters"]) for r in records[:2]] == [
        ("zero-shot", None),
        ("language model", None),
    ]


def test_the_pages_say_what_an_adapter_is_made_of(ranking: Ranking, tmp_path: Path) -> None:
    index = builder.write(tmp_path / "site", Board((ranking,)), None)
    table = (index.parent / "tasks" / "tone.html").read_text()
    assert [f'<span class="badge">{kind}</span>' in table for kind in KINDS] == [True, True, True, False]
    pages = {path.name: path.read_text() for path in (index.parent / "models").glob("*.html")}
    (page,) = (text for name, text in pages.items() if "model-0" in name)
    words = re.sub(r"<[^>]+>", "", page)
    for text in (
        "number of parameters not stated",
        "aasist.py:Aasist, code of its user",
        "Bonafide above 0.5173892; from: equal error rate on ASVspoof 2019 LA dev",
        "template=the sound of model-0",
        "torch 2.13.0+cpu",
        DETECTOR.prompts_sha256 or "",
    ):
        assert text in words, text
    assert "from transformers import" not in page
    (head,) = (text for name, text in pages.items() if ranking.rows[3].name.split("/")[1] in name)
    assert "aasist" not in head


def test_the_command_that_makes_it_again_names_the_adapter_and_its_arguments(ranking: Ranking) -> None:
    assert model_page.command(ranking.rows[0].entry).startswith(
        "goodenough evaluate aasist.py:Aasist --adapter-arg 'template=the sound of model-0' --task tone"
    )
