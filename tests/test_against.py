"""An entry against the suite it names: every level of every signal was asked, and nothing else."""

import dataclasses
from functools import partial

import pytest

from harness.dataset import signals
from harness.records import ModelRef, Verdict
from harness.score.evaluation import evaluate
from harness.submit import store
from harness.submit.against import problems
from tests.dataset.test_signals import TASK, add
from tests.test_transfer import LABELS, Loud


class Candidate(Loud):
    """A listener with a name."""

    ref = ModelRef("toys/loud", "e" * 64, "f" * 64)
    device, dtype, batch_size, frontend = "cpu", "float32", 16, "none"
    settings_sha256, class_names = "d" * 64, LABELS.names


@pytest.fixture
def suite(tmp_path):
    add(tmp_path / "signals", levels=True)
    add(tmp_path / "signals", "toys/b")
    return signals.load(str(tmp_path / "signals"))


@pytest.fixture
def made(suite, tmp_path):
    """An entry and its verdicts."""
    entry, table = evaluate(
        Candidate(), LABELS, suite, TASK, tmp_path / "results", keep=lambda entry, table: (entry, table)
    )
    return entry, [Verdict(**{**row, "p": tuple(row["p"])}) for row in table.to_pylist()]


@pytest.fixture
def told(suite, made, tmp_path):
    """What is found after a change of the verdicts."""

    def told(change):
        entry, verdicts = made
        return problems(store.write(tmp_path / "out", entry, change(list(verdicts))), suite)

    return told


def of(signal_id, levels, verdict):
    return verdict.stimulus == "signal" and verdict.signal_id == signal_id and verdict.level in levels


def without(signal_id, *levels):
    return lambda verdicts: [v for v in verdicts if not of(signal_id, levels, v)]


def test_an_entry_that_answers_the_suite_has_no_problems(told):
    assert told(lambda verdicts: verdicts) == []


NESTED, PLAIN = "c1:toys__a:minimal", "c1:toys__b:minimal"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without(NESTED, 3), f"none on levels of 1 signals of the suite, as {NESTED} at level 3"),
        (without(NESTED, *range(1, 8)), f"none on levels of 1 signals of the suite, as {NESTED} at level 1"),
        (without(NESTED, *range(8)), f"none on 1 signals of the suite, as {NESTED}"),
        (without(PLAIN, 0), f"none on 1 signals of the suite, as {PLAIN}"),
        (
            lambda verdicts: [
                *verdicts,
                *(dataclasses.replace(v, level=2) for v in filter(partial(of, PLAIN, [0]), verdicts)),
            ],
            f"some on levels of 1 signals that the suite has not, as {PLAIN} at level 2",
        ),
    ],
)
def test_a_level_too_few_or_too_many_is_named(told, change, expected):
    assert told(change) == [f"verdicts: {expected}"]


def test_another_class_is_both_missing_and_foreign(told):
    def change(verdicts):
        return [dataclasses.replace(v, expected="bonafide") if of(PLAIN, [0], v) else v for v in verdicts]

    assert told(change) == [
        f"verdicts: none on 1 signals of the suite, as {PLAIN}",
        f"verdicts: some on 1 signals that the suite has not, as {PLAIN}",
    ]
