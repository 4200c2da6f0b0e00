"""Asking again on a small suite: every draw, replicate and likeness is held against the entry's."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness import schemas
from harness.dataset import suites
from harness.entries import store, verification
from harness.entries.verification import Verification
from harness.metrics.likeness import copies
from harness.metrics.scorecard import summarise
from harness.schemas import Entry
from harness.submit import replay
from harness.types import Verdict
from leaderboard.board.verification_status import of as status_of
from tests.helpers.entries import frame
from tests.helpers.small_suite import LABELS, TASK, Loud, entry_on, small_suite

BASE = "0123456789" * 4
Made = tuple[Entry, list[Verdict]]


@pytest.fixture
def suite(tmp_path: Path) -> suites.Suite:
    return small_suite(tmp_path / "signals")


@pytest.fixture
def made(suite: suites.Suite, tmp_path: Path) -> Made:
    return entry_on(suite, tmp_path / "results")


def rerun(suite: suites.Suite, folder: Path, k: int = 10**6) -> Verification:
    ear: Any = Loud()
    return replay.rerun(folder, suite, ear, "Toys have none.", base=BASE, k=k)


def reproduce(suite: suites.Suite, folder: Path, out: Path) -> Verification:
    ear: Any = Loud()
    return replay.reproduce(folder, suite, ear, "Toys have none.", out=out)


def counted(entry: Entry, rows: pd.DataFrame) -> Entry:
    """The entry with the scorecard that its likeness calls for."""
    near = copies(entry.likeness)
    card = summarise(rows, TASK, entry.model, entry.references, LABELS, entry.signals.headline, near)
    return dataclasses.replace(entry, scorecard=card)


def test_all_draws_and_all_controls_come_out_the_same(
    suite: suites.Suite, made: Made, tmp_path: Path
) -> None:
    entry, verdicts = made
    assert {v.draw for v in verdicts if v.reference == "toys/b"} == {1, 2}
    assert {v.replicate for v in verdicts if v.stimulus == "swap"} == {0, 1, 2}
    folder = store.write(tmp_path / "out", entry, verdicts)
    some, drawn, everything = (
        rerun(suite, folder, 30),
        rerun(suite, folder),
        reproduce(suite, folder, tmp_path),
    )
    assert some.n_asked == 30
    assert drawn.n_asked == everything.n_asked == len(verdicts)
    assert some.holds
    assert drawn.holds
    assert everything.holds
    assert everything.n_scorecard_differences == 0


def test_an_entry_that_states_otherwise_than_its_model_does_not_hold(
    suite: suites.Suite, made: Made, tmp_path: Path
) -> None:
    folder = store.write(tmp_path / "out", *made)
    ear: Any = Loud()
    line = ("facts.licence: 'mit', expected nothing",)
    odd = ("label_map.names: '<b>', expected '<i>\u202e'",)
    v = replay.rerun(folder, suite, ear, "Toys have none.", base=BASE, model_differences=odd)
    verification.write(folder, v)
    assert verification.read(folder) == v, "a class of a model may be any text, and the record can be read"
    some = replay.rerun(folder, suite, ear, "Toys have none.", base=BASE, model_differences=line)
    everything = replay.reproduce(folder, suite, ear, "Toys have none.", out=tmp_path, model_differences=line)
    for v in (some, everything):
        assert (v.holds, v.n_same, v.differing) == (False, v.n_asked, line)
        verification.write(folder, v)
        status = status_of(folder, stale=False)
        assert (status.name, status.ranks) == ("failed", False)
        assert line[0] in status.note


@pytest.mark.parametrize("stimulus", ["matched", "swap"])
def test_a_control_too_few_or_too_many_is_found_where_its_signal_is_drawn(
    suite: suites.Suite, made: Made, tmp_path: Path, stimulus: str
) -> None:
    entry, verdicts = made
    last = max((v for v in verdicts if v.stimulus == stimulus), key=lambda v: v.replicate or 0)
    fewer = [v for v in verdicts if v is not last]
    (mismatch,) = rerun(suite, store.write(tmp_path / "fewer", entry, fewer)).mismatches
    assert (mismatch.column, mismatch.found, mismatch.stimulus) == ("row", None, stimulus)
    assert (mismatch.signal_id, mismatch.replicate) == (last.signal_id, last.replicate)
    more = [*verdicts, dataclasses.replace(last, replicate=9)]
    (mismatch,) = rerun(suite, store.write(tmp_path / "more", entry, more)).mismatches
    assert (mismatch.column, mismatch.expected, mismatch.replicate) == ("row", None, 9)


def test_a_forged_control_is_found(suite: suites.Suite, made: Made, tmp_path: Path) -> None:
    entry, verdicts = made
    i = next(i for i, v in enumerate(verdicts) if v.stimulus == "swap" and v.predicted != "other")
    flipped = {"spoof": "bonafide", "bonafide": "spoof"}[verdicts[i].predicted]
    raw = {"spoof": "fake", "bonafide": "real"}[flipped]
    forged = dataclasses.replace(verdicts[i], predicted=flipped, predicted_raw=raw, p=verdicts[i].p[::-1])
    verdicts = [*verdicts[:i], forged, *verdicts[i + 1 :]]
    (mismatch,) = reproduce(suite, store.write(tmp_path / "out", entry, verdicts), tmp_path).mismatches
    assert (mismatch.signal_id, mismatch.replicate) == (forged.signal_id, forged.replicate)


def test_a_likeness_that_does_not_come_out_again_does_not_hold(
    suite: suites.Suite, made: Made, tmp_path: Path
) -> None:
    entry, verdicts = made
    near, *others = entry.likeness
    assert near.correlation is not None
    changed = dataclasses.replace(near, correlation=near.correlation - 0.1, n_agreed=near.n_agreed + 1)
    folder = store.write(tmp_path / "out", dataclasses.replace(entry, likeness=(changed, *others)), verdicts)
    v = reproduce(suite, folder, tmp_path)
    assert (v.holds, v.n_scorecard_differences, v.n_same) == (False, 2, v.n_asked)


def test_no_number_hangs_on_the_last_digits_of_a_correlation(
    suite: suites.Suite, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, verdicts = made
    near, *others = entry.likeness
    r = near.correlation
    assert r is not None
    monkeypatch.setattr(schemas, "NEAR_COPY_PERCENT", 0)
    monkeypatch.setattr(schemas, "NEAR_COPY_CORRELATION", r + 1e-5)
    more_alike = dataclasses.replace(near, correlation=r + 2e-5)
    assert more_alike.is_copy
    assert not near.is_copy
    changed = counted(dataclasses.replace(entry, likeness=(more_alike, *others)), frame(verdicts))
    assert changed.scorecard != counted(entry, frame(verdicts)).scorecard
    v = reproduce(suite, store.write(tmp_path / "out", changed, verdicts), tmp_path)
    assert (v.holds, v.n_scorecard_differences) == (True, 0)
