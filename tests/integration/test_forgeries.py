"""Every forgery is caught where the table says, and what nobody can look up is shown as stated."""

from __future__ import annotations

import dataclasses
import random
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.entries import store, verification
from harness.models.checkpoints import Checkpoint
from harness.schemas import Entry
from harness.submit import field_checks
from harness.submit.field_checks import FIELDS, STATED
from tests.helpers import forgery_table as table
from tests.helpers.entries import make_entry
from tests.helpers.forgery_table import ENTRIES, VALIDATE, VERIFICATIONS, Ear, Forgery
from tests.helpers.repository import DOCS

PAGE = DOCS / "forgeries.md"
OF_VALIDATE = [forgery for forgery in ENTRIES if forgery.caught_by == VALIDATE]
FURTHER = [forgery for forgery in ENTRIES if forgery.caught_by != VALIDATE]


def named(forgeries: list[Forgery]) -> Any:
    return pytest.mark.parametrize("forgery", forgeries, ids=lambda forgery: forgery.name)


@pytest.fixture
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def test_the_entry_that_is_forged_is_sound(base: Path, tmp_path: Path) -> None:
    untouched = Forgery("nothing", table.NOBODY, lambda entry, verdicts: (entry, verdicts))
    assert table.catcher(untouched, base, tmp_path) == table.NOBODY


@named(random.Random(0).sample(OF_VALIDATE, 20))
def test_validate_refuses_a_sample(forgery: Forgery, base: Path, tmp_path: Path) -> None:
    assert table.validated(forgery, base, tmp_path)


@named(random.Random(0).sample(FURTHER, 5))
def test_the_others_are_caught_where_the_table_says_on_a_sample(
    forgery: Forgery, base: Path, tmp_path: Path
) -> None:
    assert table.catcher(forgery, base, tmp_path) == forgery.caught_by


@pytest.mark.slow
@named(list(ENTRIES))
def test_every_forgery_is_caught_where_the_table_says(forgery: Forgery, base: Path, tmp_path: Path) -> None:
    assert table.catcher(forgery, base, tmp_path) == forgery.caught_by


@pytest.mark.parametrize(("words", "fields"), VERIFICATIONS, ids=[words for words, _ in VERIFICATIONS])
def test_every_forged_verification_is_refused(words: str, fields: dict[str, Any], tmp_path: Path) -> None:
    folder = store.write(tmp_path, *make_entry(n_clips=6, n_degenerate=1))
    assert table.forged_verification(folder, fields)


def test_the_page_is_the_table() -> None:
    page = PAGE.read_text()
    assert "\n".join(table.table()) in page
    assert len(ENTRIES) + len(VERIFICATIONS) > 130


def leaves(kind: Any, path: str = "") -> Iterator[str]:
    """Every field of a record; lists of records, and the scorecard, count as one."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner, where = hints[field.name], f"{path}{field.name}"
        if dataclasses.is_dataclass(inner) and field.name != "scorecard":
            yield from leaves(inner, f"{where}.")
        else:
            yield where


def test_every_field_of_an_entry_is_looked_up_or_counted_or_stated() -> None:
    assert set(leaves(Entry)) == set(FIELDS)


def test_the_table_has_a_forgery_of_every_field_that_is_stated_and_nobody_catches_it() -> None:
    uncaught = " ".join(forgery.name for forgery in ENTRIES if forgery.caught_by == table.NOBODY)
    of_maps = {"label_map.source": "a map from a file", "run.dtype": "", "run.n_known": "", "run.n_asked": ""}
    for path, how in FIELDS.items():
        if how == STATED:
            assert of_maps.get(path, path) in uncaught, path


def test_what_is_stated_is_shown_with_its_value() -> None:
    entry, _ = make_entry(n_clips=6, n_degenerate=1)
    shown = field_checks.submitter_statements(entry)
    assert shown["run.device"] == "cpu"
    assert shown["run.versions"] == "python 3.11.0, torch 2.10.0"
    assert "label_map.source" not in shown
    by_hand = dataclasses.replace(entry, label_map=dataclasses.replace(entry.label_map, source="file"))
    assert field_checks.submitter_statements(by_hand)["label_map.canonical"].startswith("Angry = angry, ")


def test_what_is_not_at_hand_accuses_nobody(base: Path, tmp_path: Path) -> None:
    """A folder without its card, a Hub that does not answer."""
    _, entry, _ = table.sound(base)
    ear: Any = Ear()
    silent = dataclasses.replace(Ear.facts, released=None, licence=None, trained_on=None, base_models=None)
    ear.facts = silent
    checkpoint = Checkpoint(Ear.ref, tmp_path, None)
    assert field_checks.model_differences(entry, ear, checkpoint, table.TASK, None) == []
    (tmp_path / "README.md").write_text(table.CARD)
    lines = field_checks.model_differences(entry, ear, checkpoint, table.TASK, None)
    assert [line.split(":")[0] for line in lines] == [
        "facts.licence",
        "facts.base_models",
        "facts.trained_on",
    ]


@pytest.mark.parametrize(
    ("n_for", "n_against", "sound"), [(0, 0, 1), (13, 0, 1), (14, 0, 0), (0, 50, 1), (30, 8, 1), (40, 8, 0)]
)
def test_ties_that_all_raise_the_lift_were_chosen(n_for: int, n_against: int, sound: int) -> None:
    assert (verification.chance_of_ties(n_for, n_against) >= verification.MIN_CHANCE_OF_TIES) == bool(sound)
