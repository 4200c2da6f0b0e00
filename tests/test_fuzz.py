"""Files that strangers might send, made of sound ones by a seeded generator: refused, or read right."""

from __future__ import annotations

import pytest

from tests.fuzz.child import Outcome, make
from tests.fuzz.run import BAD, run
from tests.fuzz.targets import ALL


def faults(names: list[str], n: int, seed: int = 0) -> list[str]:
    tallies = run(names, n, seed=seed)
    assert [tally.counts.total() for tally in tallies] == [n] * len(names)
    # Of files that are made of what is accepted, some are accepted and most are not.
    assert all(tally.counts[Outcome.REFUSED] > n // 20 for tally in tallies), tallies
    assert BAD
    return [
        f"{fault.name}, {fault.i}: {fault.outcome}: {fault.text}"
        for tally in tallies
        for fault in tally.faults.values()
    ]


def test_no_parser_fails_at_two_hundred_files_of_strangers() -> None:
    assert faults(list(ALL), 200) == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ALL)
def test_no_parser_fails_at_a_hundred_thousand_files_of_strangers(name: str) -> None:
    assert faults([name], 100_000, seed=1) == []


@pytest.mark.parametrize("name", ALL)
def test_a_file_is_made_by_its_index_alone(name: str) -> None:
    originals = ALL[name].originals()
    made = [make(ALL[name], originals, 0, i) for i in range(30)]
    assert made == [make(ALL[name], originals, 0, i) for i in range(30)]
    assert len({*made} - {*originals}) > 20
