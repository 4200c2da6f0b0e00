"""An entry against the suite it names: every stimulus of every signal was asked, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from harness.dataset import suites
from harness.entries import store
from harness.entries.suite_check import check_against_suite
from harness.schemas import Entry
from harness.types import PROTOCOL, Verdict
from tests.helpers.families import HEADLINE, MINIMAL
from tests.helpers.repository import DATA
from tests.helpers.small_suite import CLASSES, entry_on, small_suite

Change = Callable[[list[Verdict]], list[Verdict]]


@pytest.fixture
def suite(tmp_path: Path) -> suites.Suite:
    return small_suite(tmp_path / "signals")


@pytest.fixture
def made(suite: suites.Suite, tmp_path: Path) -> tuple[Entry, list[Verdict]]:
    """An entry and its verdicts."""
    return entry_on(suite, tmp_path / "results")


@pytest.fixture
def against(
    suite: suites.Suite, made: tuple[Entry, list[Verdict]], tmp_path: Path
) -> Callable[[Change], list[str]]:
    """What is found after a change of the verdicts."""

    def against(change: Change) -> list[str]:
        entry, verdicts = made
        return check_against_suite(store.write(tmp_path / "out", entry, change(list(verdicts))), suite)

    return against


def of(name: str, levels: Sequence[int], verdict: Verdict) -> bool:
    return verdict.stimulus == "signal" and verdict.signal_id == name and verdict.level in levels


def without(name: str, *levels: int) -> Change:
    return lambda verdicts: [v for v in verdicts if not of(name, levels, v)]


def without_signals(*names: str) -> Change:
    return lambda verdicts: [v for v in verdicts if v.signal_id not in names]


def test_an_entry_that_answers_the_suite_has_no_problems(against: Callable[[Change], list[str]]) -> None:
    assert against(lambda verdicts: verdicts) == []


NESTED, PLAIN = f"c1:toys__a:{MINIMAL}:0.1", f"c1:toys__b:{MINIMAL}:0.1"
SECOND = f"c1:toys__b:{HEADLINE}:0.2"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without(NESTED, 3), f"none on levels of 1 signal of the suite, as {NESTED} at level 3"),
        (without(NESTED, *range(1, 8)), f"none on levels of 1 signal of the suite, as {NESTED} at level 1"),
        (without(NESTED, *range(8)), f"none on 1 signal of the suite, as {NESTED}"),
        (without(PLAIN, 0), f"none on 1 signal of the suite, as {PLAIN}"),
        (
            lambda verdicts: [
                *verdicts,
                *(dataclasses.replace(v, level=2) for v in filter(partial(of, PLAIN, [0]), verdicts)),
            ],
            f"some on levels of 1 signal that the suite has not, as {PLAIN} at level 2",
        ),
    ],
)
def test_a_level_too_few_or_too_many_is_named(
    against: Callable[[Change], list[str]], change: Change, expected: str
) -> None:
    assert against(change) == [f"verdicts: {expected}"]


def test_every_draw_must_be_there(against: Callable[[Change], list[str]]) -> None:
    lines = against(without_signals(SECOND))
    assert f"verdicts: none on 1 signal of the suite, as {SECOND}" in lines


def test_another_class_is_both_missing_and_foreign(against: Callable[[Change], list[str]]) -> None:
    def change(verdicts: list[Verdict]) -> list[Verdict]:
        return [dataclasses.replace(v, expected="spoof") if of(PLAIN, [0], v) else v for v in verdicts]

    assert against(change) == [
        f"verdicts: none on 1 signal of the suite, as {PLAIN}",
        f"verdicts: some on 1 signal that the suite has not, as {PLAIN}",
    ]


def others_of(verdicts: Sequence[Verdict], name: str) -> list[str]:
    return [str(v.other_clip) for v in verdicts if v.signal_id == name and v.stimulus == "swap"]


def test_swaps_of_clips_of_the_same_class_in_another_order_or_too_few_are_named(
    against: Callable[[Change], list[str]], made: tuple[Entry, list[Verdict]]
) -> None:
    _, verdicts = made
    name = f"c0:toys__a:{HEADLINE}:0.1"
    due = others_of(verdicts, name)
    assert len(due) == 3
    assert {CLASSES[int(clip[1:])] for clip in due} == {"bonafide"}
    (left,) = {"c1", "c3", "c4", "c5"} - {*due}
    expected = ", ".join(due)

    def swapped(others: Sequence[str]) -> Change:
        def change(verdicts: list[Verdict]) -> list[Verdict]:
            return [
                dataclasses.replace(v, other_clip=others[v.replicate or 0])
                if v.signal_id == name and v.stimulus == "swap"
                else v
                for v in verdicts
                if not (v.signal_id == name and v.stimulus == "swap" and (v.replicate or 0) >= len(others))
            ]

        return change

    for others in ([left, *due[1:]], [*due[1:], due[0]], due[:2], []):
        (line,) = against(swapped(others))
        assert line == (
            f"verdicts: swap controls of 1 signal are not those of the suite, as of {name}:"
            f" {', '.join(others) or 'no clip'}, expected {expected}"
        )


def test_another_headline_than_that_of_the_suite_is_named(
    suite: suites.Suite, made: tuple[Entry, list[Verdict]], tmp_path: Path
) -> None:
    """Nothing else tells it: a scorecard can be counted for any family that was asked."""
    entry, verdicts = made
    changed = dataclasses.replace(entry, signals=dataclasses.replace(entry.signals, headline=MINIMAL))
    assert check_against_suite(store.write(tmp_path / "out", changed, verdicts), suite) == [
        f"signals.headline: {MINIMAL}, expected {HEADLINE}, which ranks in {suite.name}"
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_signals", 3), ("n_accepted", 0), ("n_clips", 3), ("n_agreed", 0), ("correlation", 0.123)],
)
def test_a_likeness_other_than_the_verdicts_and_the_suite_give_is_named(
    suite: suites.Suite, made: tuple[Entry, list[Verdict]], tmp_path: Path, field: str, value: float
) -> None:
    entry, verdicts = made
    near, *others = entry.likeness
    assert getattr(near, field) != value
    near = dataclasses.replace(near, **{field: value})
    changed = dataclasses.replace(entry, likeness=(near, *others))
    (line,) = check_against_suite(store.write(tmp_path / "out", changed, verdicts), suite)
    assert line.startswith(f"likeness.0.{field}: {value}, expected ")
    assert line.endswith(", as counted from the verdicts and the suite")


@pytest.mark.parametrize(("shift", "n_problems"), [(9e-7, 0), (1.1e-6, 1)])
def test_a_correlation_may_differ_by_rounding(
    suite: suites.Suite, made: tuple[Entry, list[Verdict]], tmp_path: Path, shift: float, n_problems: int
) -> None:
    entry, verdicts = made
    near, *others = entry.likeness
    assert near.correlation is not None
    near = dataclasses.replace(near, correlation=near.correlation - shift)
    changed = dataclasses.replace(entry, likeness=(near, *others))
    assert len(check_against_suite(store.write(tmp_path / "out", changed, verdicts), suite)) == n_problems


def test_a_likeness_that_lacks_a_reference_is_named(
    suite: suites.Suite, made: tuple[Entry, list[Verdict]], tmp_path: Path
) -> None:
    entry, verdicts = made
    changed = dataclasses.replace(entry, likeness=entry.likeness[:1])
    (line,) = check_against_suite(store.write(tmp_path / "out", changed, verdicts), suite)
    assert line.startswith("likeness: 1 parts, expected 2, one per reference")


def test_an_entry_of_another_protocol_is_not_held_against_a_suite(suite: suites.Suite) -> None:
    (folder, *_) = store.find(DATA / "protocol1")
    (line,) = check_against_suite(folder, suite)
    assert line == f"protocol: 1, expected {PROTOCOL}; evaluate again with: goodenough evaluate MODEL"
