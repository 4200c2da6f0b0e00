"""The sentence after a scorecard and on a report: a rank with the references of the suite, and 0."""

from __future__ import annotations

import dataclasses

import pytest

from harness.dataset.suites import Suite
from harness.schemas import Entry
from harness.starter.paths import open_suite
from leaderboard.board import provisional_rank
from leaderboard.board.entries import references_of

TASK = "emotion"


@pytest.fixture(scope="module")
def suite() -> Suite:
    return open_suite()


@pytest.fixture(scope="module")
def references(suite: Suite) -> list[Entry]:
    """Best lift first."""
    found = [entry for _, entry in references_of(suite, TASK)]
    return sorted(found, key=lambda entry: -(entry.scorecard.lift.value if entry.scorecard.lift else 0.0))


def stranger(entry: Entry, value: float | None, low: float | None, high: float | None) -> Entry:
    """The same entry of other weights and with another lift."""
    card, headline = entry.scorecard, entry.scorecard.headline
    assert headline is not None
    lift = dataclasses.replace(headline.rates.lift, value=value, low=low, high=high)
    family = dataclasses.replace(headline, rates=dataclasses.replace(headline.rates, lift=lift))
    families = (family, *(each for each in card.families if each.family != family.family))
    return dataclasses.replace(
        entry,
        model=dataclasses.replace(entry.model, repo_id="org/new", weights_sha256="0" * 64),
        scorecard=dataclasses.replace(card, families=families),
    )


def test_a_reference_ranks_with_the_other_references_as_on_the_board(
    suite: Suite, references: list[Entry]
) -> None:
    n = len(references)
    for place, entry in enumerate(references, start=1):
        sentence = provisional_rank.sentence(entry, suite)
        assert sentence is not None
        assert sentence.startswith(f"Ranks {place} of {n} by lift with the references of the suite")


@pytest.mark.parametrize(
    ("value", "low", "high", "end"),
    [
        (0.9, 0.8, 1.0, "Ranks 1 of 5 by lift with the references of the suite; its lift is above 0."),
        (-0.9, -1.0, -0.8, "Ranks 5 of 5 by lift with the references of the suite; its lift is below 0."),
        (
            0.6,
            -1.0,
            1.0,
            "Ranks 1 of 5 by lift with the references of the suite, anywhere from 1 to 5 by intervals; "
            "the interval of its lift includes 0.",
        ),
    ],
)
def test_a_candidate_is_counted_with_the_references(
    suite: Suite, references: list[Entry], value: float, low: float, high: float, end: str
) -> None:
    assert provisional_rank.sentence(stranger(references[0], value, low, high), suite) == end


def test_without_verdicts_of_references_only_the_lift_is_told(
    suite: Suite, references: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaderboard.board.entries.references_of", lambda *_: [])
    sentence = provisional_rank.sentence(stranger(references[0], 0.5, 0.4, 0.6), suite)
    assert sentence == "Its lift is above 0."


def test_what_is_in_no_ranking_has_no_rank(suite: Suite, references: list[Entry]) -> None:
    entry = stranger(references[0], 0.5, 0.4, 0.6)
    unranked = dataclasses.replace(entry.scorecard, ranked=False, unranked_because="Because.")
    for other in (
        dataclasses.replace(entry, complete=False),
        dataclasses.replace(entry, scorecard=unranked),
        stranger(references[0], None, None, None),
        stranger(references[0], 0.5, None, None),
    ):
        assert provisional_rank.sentence(other, suite) is None
