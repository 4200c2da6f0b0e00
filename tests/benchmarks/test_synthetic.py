from __future__ import annotations

from pathlib import Path

import pytest

from harness.dataset.suites import Suite
from harness.entries import store, suite_check, validate
from harness.metrics import scorecard
from harness.schemas import Rates, Scorecard
from leaderboard.board import ranking as table
from tests.benchmarks import synthetic

RATES = synthetic.RATES


def _values(rates: Rates) -> list[float | None]:
    return [getattr(rates, name).value for name in RATES]


def _flat(card: Scorecard) -> list[float | None]:
    cells = [cell.rates for family in card.families for cell in family.cells]
    return [v for rates in (*(f.rates for f in card.families), *cells) for v in _values(rates)]


def test_a_synthetic_entry_answers_its_suite_and_its_rates_follow_from_its_verdicts(tmp_path: Path) -> None:
    submissions, signals = synthetic.make(tmp_path, 3, 4, 24, 7)
    suite = Suite(signals, synthetic.NAME)
    for folder in store.find(submissions):
        problems = validate.validate_entry(folder, [synthetic.TASK], strict_files=True)
        assert all(line.startswith("scorecard") for line in problems)
        assert suite_check.check_against_suite(folder, suite) == []
        entry = store.read(folder)
        counted = scorecard.summarise(
            *(store.verdicts(folder), synthetic.TASK, entry.model, entry.references, entry.label_map),
            entry.signals.headline,
        )
        assert _flat(entry.scorecard) == pytest.approx(_flat(counted))
        assert counted.ranked
    (ranking,) = table.build(submissions, suite).rankings
    assert len(ranking.rows) == 3


def test_the_same_arguments_give_the_same_files(tmp_path: Path) -> None:
    first, second = (synthetic.make(tmp_path / name, 2, 2, 24, 7)[0] for name in ("a", "b"))
    for folder in store.find(first):
        for name in (store.ENTRY, store.VERDICTS):
            again = second / folder.relative_to(first) / name
            assert again.read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("n_distinct", [1, 2, 9])
def test_entries_beyond_the_distinct_ones_have_the_answers_of_another_model(
    tmp_path: Path, n_distinct: int
) -> None:
    submissions, signals = synthetic.make(tmp_path, 5, 2, 24, 7, n_distinct)
    folders = store.find(submissions)
    entries = [store.read(folder) for folder in folders]
    assert len({entry.model for entry in entries}) == 5
    assert all(folder == submissions / entry.path for folder, entry in zip(folders, entries, strict=True))
    assert len({(folder / store.VERDICTS).read_bytes() for folder in folders}) == min(n_distinct, 5)
    (ranking,) = table.build(submissions, Suite(signals, synthetic.NAME)).rankings
    assert len(ranking.rows) == 5
