"""Entries of protocol 1 are read and shown, and are neither valid nor ranked any more."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.dataset import parquet_schema
from harness.entries import protocol1, store, verification
from harness.entries.validate import strays, validate_entry
from harness.errors import BadInput
from harness.schemas import Rates, to_json
from harness.tasks import TASKS
from harness.types import STIMULI, Estimate
from tests.helpers.entries import made_verification, make_entry
from tests.helpers.repository import DATA

GOLDEN = DATA / "protocol1"
"""Two entries as protocol 1 wrote them: of a candidate, and of a reference."""
FOLDERS = store.find(GOLDEN)
LINE = (
    "protocol: 1, expected 2, that of this version: it is shown, and not ranked;"
    " evaluate again with: goodenough evaluate MODEL"
)


def content(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / store.ENTRY).read_text())
    return read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The candidate's entry among submissions of its own."""
    return store.file_into(FOLDERS[0], tmp_path / "submissions")


def test_there_is_an_entry_of_a_candidate_and_one_of_a_reference() -> None:
    assert [store.read(folder).scorecard.known_answer for folder in FOLDERS] == [None, 1.0]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.parent.name)
def test_what_was_counted_alike_keeps_its_value_and_all_else_is_unknown(folder: Path) -> None:
    old, entry = content(folder), store.read(folder)
    assert (entry.protocol, entry.path) == (1, "/".join(folder.parts[-3:]))
    assert (entry.model.repo_id, entry.n_verdicts) == (old["model"]["repo_id"], old["n_verdicts"])
    assert (entry.likeness, entry.facts.base_models) == ((), None)
    assert (entry.scorecard.ranked, entry.scorecard.unranked_because) == (False, protocol1.REASON)
    renamed = {"agreement": "ceiling"}
    same = ("coverage", "transfer", "agreeing_transfer", "largest", "silence", "agreement")
    for was, family in zip(old["scorecard"]["families"], entry.scorecard.families, strict=True):
        assert family.as_silence == {}
        pairs = [(was["rates"], family.rates), (was["visible"], family.visible)]
        pairs += [(a["rates"], b.rates) for a, b in zip(was["cells"], family.cells, strict=True)]
        for old_rates, rates in pairs:
            for name in (field.name for field in dataclasses.fields(Rates)):
                estimate: Estimate = getattr(rates, name)
                if name in same:
                    assert dataclasses.asdict(estimate) == old_rates[renamed.get(name, name)]
                else:
                    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 0)
        for cell in family.cells:
            assert cell.own == cell.same_weights
            assert cell.n_unswapped == cell.n_unmatched == cell.n_applicable


def test_old_verdicts_are_read_with_the_columns_of_today(folder: Path) -> None:
    rows = store.verdicts(folder)
    assert list(rows.columns) == parquet_schema.VERDICTS.names
    assert set(rows["stimulus"]) == {*STIMULI} - {"swap", "matched"}
    made = rows["signal_id"].notna()
    assert (rows["draw"][made] == 1).all()
    assert rows["draw"][~made].isna().all()
    assert rows["replicate"].isna().all()
    assert rows["other_clip"].isna().all()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.parent.name)
@pytest.mark.parametrize("strict", [False, True])
def test_one_line_says_what_is_wrong_with_it_and_what_to_do(folder: Path, strict: bool) -> None:
    assert validate_entry(folder, tuple(TASKS.values()), strict_files=strict) == [LINE]


def test_the_commands_say_so_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["validate"], ["verify"], ["verify", "--all"]):
        assert cli.run([*words, str(folder)]) == 1
        assert capsys.readouterr().out == f"{folder}: {LINE}\n"


def test_a_verification_of_its_time_may_lie_beside_it(folder: Path) -> None:
    old = dataclasses.replace(made_verification(folder), protocol=1)
    verification.write(folder, old)
    assert verification.read(folder) == old
    assert strays(folder.parent.parent.parent) == []
    verification.write(folder, dataclasses.replace(old, protocol=2))
    with pytest.raises(BadInput, match="protocol"):
        verification.read(folder)


def test_an_entry_of_today_that_calls_itself_old_is_refused(tmp_path: Path) -> None:
    folder = store.write(tmp_path, *make_entry(n_clips=6))
    path = folder / store.ENTRY
    path.write_text(path.read_text().replace('"protocol": 2', '"protocol": 1'))
    assert validate_entry(folder, tuple(TASKS.values()), strict_files=True) == [LINE]
    with pytest.raises(BadInput, match="fields that protocol 1 did not have"):
        store.read(folder)


Change = Callable[[dict[str, Any]], Any]
BROKEN: dict[str, Change] = {
    "no scorecard": lambda c: c.pop("scorecard"),
    "a scorecard that is a list": lambda c: c.update(scorecard=[]),
    "no families": lambda c: c["scorecard"].pop("families"),
    "families that are a number": lambda c: c["scorecard"].update(families=3),
    "families that are texts": lambda c: c["scorecard"].update(families=["x"]),
    "families that are fields": lambda c: c["scorecard"].update(families={"x": 1}),
    "no floor": lambda c: c["scorecard"]["families"][0]["rates"].pop("floor"),
    "no ceiling": lambda c: c["scorecard"]["families"][0]["visible"].pop("ceiling"),
    "rates that are a list": lambda c: c["scorecard"]["families"][0].update(rates=[1]),
    "a cell that is nothing": lambda c: c["scorecard"]["families"][0]["cells"].append(None),
    "a cell without rates": lambda c: c["scorecard"]["families"][0]["cells"][0].pop("rates"),
    "a rate of tomorrow": lambda c: c["scorecard"]["families"][0]["rates"].update(beauty=1),
    "a rate that is no number": lambda c: c["scorecard"]["families"][0]["rates"]["largest"].update(value="1"),
    "infinity": lambda c: c["run"].update(seconds=math.inf),
    "a field of tomorrow": lambda c: c.update(beauty=1),
    "half a character": lambda c: c.update(task="\ud800"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_entry_of_protocol_1_either_is_refused_in_one_line(folder: Path, name: str) -> None:
    changed = content(folder)
    BROKEN[name](changed)
    (folder / store.ENTRY).write_text(json.dumps(changed))
    with pytest.raises(BadInput) as refused:
        store.read(folder)
    assert "is not an entry of this version" in str(refused.value)
    assert "\n" not in str(refused.value)
    lines = validate_entry(folder, tuple(TASKS.values()), strict_files=True)
    assert len(lines) == 1 or name == "infinity"  # which is no JSON: nothing in it is believed
    assert all(line.startswith(("protocol: 1", "entry.json: ", "entry: ")) for line in lines)


def test_conversion_leaves_what_it_is_given_as_it_was(folder: Path) -> None:
    old = content(folder)
    before = json.dumps(old)
    current = protocol1.in_current_form(old)
    assert current == json.loads(to_json(store.read(folder))) | current
    assert json.dumps(old) == before


def test_it_is_filed_among_submissions_as_it_is(folder: Path) -> None:
    for name in (store.ENTRY, store.VERDICTS):
        assert (folder / name).read_bytes() == (FOLDERS[0] / name).read_bytes()
