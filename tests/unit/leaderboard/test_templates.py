"""Templates ask values for attributes that they have, also where no page of a test goes that way."""

from __future__ import annotations

import ast
import re
from itertools import chain

import pytest

from harness.schemas import Entry
from leaderboard import render
from leaderboard.board.provisional_rank import ProvisionalRank
from leaderboard.board.types import Row
from tests.helpers.entries import make_entry
from tests.helpers.repository import ROOT
from tests.helpers.template_attributes import (
    asked_of_values,
    names_of_classes,
    names_of_others,
    names_of_parts,
)

TEMPLATES = {path.name: path.read_text("utf-8") for path in (ROOT / "leaderboard/templates").glob("*.j2")}


@pytest.fixture(scope="module")
def known() -> set[frozenset[str]]:
    """The attributes of each kind of value that a template can be given."""
    own = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "leaderboard").rglob("*.py")]
    texts = (path.read_text("utf-8") for path in (ROOT / "harness").rglob("*.py"))
    others = (ast.parse(text) for text in texts if re.search("@dataclass|NamedTuple|TypedDict", text))
    parts = {names_of_parts(text) for text in TEMPLATES.values()}
    return names_of_classes(chain(own, others)) | names_of_others(own) | parts


def unknown(template: str, known: set[frozenset[str]]) -> list[dict[str, int]]:
    return [asked for asked in asked_of_values(template) if not any(asked.keys() <= names for names in known)]


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_all_that_is_asked_of_one_value_is_in_one_record(name: str, known: set[frozenset[str]]) -> None:
    assert unknown(TEMPLATES[name], known) == [], "attributes, by line, that no single record has"


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("app_result.html.j2", "standing.rank", "standing.place"),
        ("app_result.html.j2", "standing.rank", "standing.tie"),  # which a row has
        ("parts.html.j2", "entry.run.device", "entry.run.machine"),
        ("parts.html.j2", "remarks.n_panel", "remarks.panel_size"),
        ("evidence.html.j2", "card.truth", "card.label"),
        ("board.html.j2", "loop.previtem", "loop.previous"),
    ],
)
def test_a_name_that_is_gone_is_found(name: str, before: str, after: str, known: set[frozenset[str]]) -> None:
    assert before in TEMPLATES[name]
    (asked,) = unknown(TEMPLATES[name].replace(before, after), known)
    assert after.rpartition(".")[2] in asked


@pytest.fixture(scope="module")
def entry() -> Entry:
    return make_entry(n_clips=6)[0]


def result_of(entry: Entry, standing: ProvisionalRank | None) -> str:
    """The page of a model that was tried, without its markup."""
    context = {"error": None, "answer": None, "entry": entry, "standing": standing, "commands": ()}
    return re.sub(r"<[^>]*>", "", render.render("app_result.html.j2", context))


@pytest.mark.parametrize(("best", "worst"), [(2, 2), (1, 4)])
@pytest.mark.parametrize("on_board", [False, True])
@pytest.mark.parametrize("rank", [None, 3])
def test_a_model_that_was_tried_is_told_its_provisional_rank(
    entry: Entry, best: int, worst: int, on_board: bool, rank: int | None
) -> None:
    same_model = Row(entry, reference=False, rank=rank) if on_board else None
    said = result_of(entry, ProvisionalRank(rank=2, best=best, worst=worst, n=7, same_model=same_model))
    assert f"Provisional place 2 of 7{', anywhere from 1 to 4' if worst == 4 else '. It is no rank'}" in said
    assert ("These weights are on the board already" in said) == on_board
    assert ("already, at rank 3; here they" in said) == (on_board and rank == 3)


def test_a_model_that_cannot_be_compared_is_told_so(entry: Entry) -> None:
    said = result_of(entry, None)
    assert "It cannot be compared with the ranking of this task" in said
    assert "Provisional place" not in said
