"""Near copies: how like a reference a candidate answers, by hand, and where it counts as that reference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.dataset import suites
from harness.dataset.suites import Suite
from harness.metrics.likeness import SignalCounts, copies, likeness_of, likeness_of_counts
from harness.schemas import NearCopy
from harness.types import LabelMap, ModelRef
from tests.helpers import toy_models
from tests.helpers.families import FAMILIES
from tests.helpers.toy_models import TASK

MAP = LabelMap("deepfake", ("fake", "real"), ("spoof", "bonafide"), "names")
REFERENCE = ModelRef("toys/a", "a" * 64, "b" * 64)


def near(accepted: int, agreed: int, correlation: float | None, n: int = 100) -> NearCopy:
    return NearCopy(REFERENCE, n, accepted, n, agreed, correlation)


@pytest.mark.parametrize(
    ("likeness", "is_copy"),
    [
        (near(98, 98, 0.99), True),
        (near(100, 100, 1.0), True),
        (near(97, 98, 0.99), False),
        (near(98, 97, 0.99), False),
        (near(98, 98, 0.98999), False),
        (near(98, 98, None), False),
        (near(0, 0, 1.0, n=0), False),
        (near(49, 49, 0.99, n=50), True),  # of 50 a single other answer is 2 %
        (near(48, 50, 0.99, n=50), False),
        (near(49, 49, 0.99, n=49), True),
        (near(50, 98, 0.999), True),  # rounding loses signals, which lie at the edge, and moves no clip
        (near(50, 98, 0.99899), False),
        (near(50, 97, 1.0), False),
        (near(10, 20, 1.0, n=20), True),
        (near(9, 19, 1.0, n=19), False),  # too few clips for a correlation alone
        (near(48, 49, 0.99, n=49), False),  # of 49 it is more
    ],
)
def test_a_near_copy_reaches_all_three_thresholds_or_answers_the_same(
    likeness: NearCopy, is_copy: bool
) -> None:
    assert likeness.is_copy == is_copy
    assert copies([likeness]) == ({"toys/a"} if is_copy else set())


def test_only_the_references_that_are_copied_are_named() -> None:
    other = NearCopy(ModelRef("toys/b", "a" * 64, "c" * 64), 100, 50, 100, 50, 0.2)
    assert copies([near(99, 99, 0.999), other]) == {"toys/a"}
    assert copies([]) == frozenset()


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Four clips, the even ones `spoof` at a probability of .75, the others `bonafide`."""
    toy_models.add_signals(tmp_path)
    return suites.load(str(tmp_path))


def answers(p_spoof: list[float], accepted: list[bool], label_map: LabelMap = MAP) -> pd.DataFrame:
    """Verdicts on the four whole clips and on their headline signals, and on others that do not count."""
    rows: list[dict[str, Any]] = []
    for i, (p, right) in enumerate(zip(p_spoof, accepted, strict=True)):
        expected = toy_models.CLASSES[i % 2]
        clip = {"clip_id": f"c{i}", "signal_id": None, "reference": None, "family": None, "expected": None}
        predicted = "spoof" if p > 0.5 else "bonafide"
        in_order = tuple({"spoof": p, "bonafide": 1 - p}[label] for label in TASK.labels)
        rows.append({**clip, "stimulus": "whole", "predicted": predicted, "p": in_order})
        signal = {**clip, "reference": "toys/a", "expected": expected, "p": ()}
        for family in FAMILIES:
            for stimulus in ("signal", "largest"):
                counts = family == FAMILIES[0] and stimulus == "signal"
                heard = expected if right and counts else "other"
                key = {"family": family, "stimulus": stimulus, "signal_id": f"c{i}:toys__a:{family}:0.1"}
                rows.append({**signal, **key, "predicted": heard})
    return pd.DataFrame(rows)


def test_signals_counted_a_part_at_a_time_give_the_same_likeness(suite: Suite) -> None:
    verdicts = answers([0.9, 0.2, 0.4, 0.1], [True, True, False, True])
    counts = SignalCounts(MAP.covered, suite.headline(TASK.name))
    for i in range(len(verdicts)):
        counts.add(verdicts.iloc[[i]])
    whole = verdicts[verdicts["stimulus"] == "whole"]
    assert likeness_of_counts(whole, counts, TASK, MAP, suite) == likeness_of(verdicts, TASK, MAP, suite)


def test_likeness_by_hand(suite: Suite) -> None:
    """Of four clips one is given another class, and one signal of four is rejected."""
    p = [0.9, 0.2, 0.4, 0.1]
    (found,) = likeness_of(answers(p, [True, True, False, True]), TASK, MAP, suite)
    assert found.reference == REFERENCE
    assert (found.n_signals, found.n_accepted, found.n_clips, found.n_agreed) == (4, 3, 4, 3)
    ours = [math.log(x) for each in p for x in (1 - each, each)]
    theirs = [math.log(x) for each in (0.75, 0.25) * 2 for x in (1 - each, each)]
    mean_ours, mean_theirs = sum(ours) / 8, sum(theirs) / 8
    products = sum((a - mean_ours) * (b - mean_theirs) for a, b in zip(ours, theirs, strict=True))
    squares = (sum((a - m) ** 2 for a in some) for some, m in ((ours, mean_ours), (theirs, mean_theirs)))
    assert found.correlation == pytest.approx(products / math.sqrt(math.prod(squares)), abs=1e-8)
    assert not found.is_copy


def test_the_reference_itself_is_all_like_itself(suite: Suite) -> None:
    (found,) = likeness_of(answers([0.75, 0.25] * 2, [True] * 4), TASK, MAP, suite)
    assert (found.n_accepted, found.n_agreed, found.correlation) == (4, 4, 1.0)
    assert found.is_copy


def test_a_reversed_copy_is_as_unlike_as_can_be(suite: Suite) -> None:
    (found,) = likeness_of(answers([0.25, 0.75] * 2, [False] * 4), TASK, MAP, suite)
    assert (found.n_accepted, found.n_agreed, found.correlation) == (0, 0, -1.0)


def test_a_model_that_says_the_same_of_all_clips_has_no_correlation(suite: Suite) -> None:
    (found,) = likeness_of(answers([0.5] * 4, [True] * 4), TASK, MAP, suite)
    assert found.correlation is None
    assert not found.is_copy


def test_signals_of_a_class_that_is_not_known_are_not_counted(suite: Suite) -> None:
    """The clips are: a model without the class agrees on none of them."""
    alone = LabelMap("deepfake", ("fake", "noise"), ("spoof", "other"), "names")
    verdicts = answers([0.9] * 4, [True] * 4)
    (found,) = likeness_of(verdicts, TASK, alone, suite)
    assert (found.n_signals, found.n_accepted, found.n_clips, found.n_agreed) == (2, 2, 4, 2)


def test_every_reference_is_compared_in_order_of_the_names(tmp_path: Path, suite: Suite) -> None:
    toy_models.add_signals(suite.root, "toys/0", clips=range(2, 6))
    grown = suites.load(str(suite.root))
    first, second = likeness_of(answers([0.75, 0.25] * 2, [True] * 4), TASK, MAP, grown)
    assert (first.reference.repo_id, first.n_signals, first.n_clips) == ("toys/0", 0, 2)
    assert not first.is_copy, "it was asked none of its signals"
    assert (second.reference.repo_id, second.is_copy) == ("toys/a", True)


def test_probabilities_of_nothing_have_a_logarithm(suite: Suite) -> None:
    (found,) = likeness_of(answers([1.0, 0.0, 1.0, 0.0], [True] * 4), TASK, MAP, suite)
    assert found.correlation == 1.0
