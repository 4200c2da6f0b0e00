"""A threshold that was tuned on the suite's clips is seen; one from elsewhere is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from harness.metrics import threshold
from harness.types import LabelMap
from tests.helpers.entries import DETECTOR

LABELS = ("bonafide", "spoof")
LABEL_MAP = LabelMap("deepfake", ("fake", "real"), ("spoof", "bonafide"), "names")
N = 156
IS_FAKE = np.arange(N) % 3 == 0
TRUTHS = ["spoof" if fake else "bonafide" for fake in IS_FAKE]


def scores(seed: int, spread: float = 2.0, distance: float = 2.0) -> np.ndarray:
    """Scores of clips, the same classes as TRUTHS."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, spread, N) + distance * (2 * IS_FAKE - 1)).astype(np.float32)


def probabilities(seed: int) -> np.ndarray:
    return (1 / (1 + np.exp(-scores(seed)))).astype(np.float32)


def equal_error(values: np.ndarray) -> float:
    """The score at which both kinds of error are the closest, as a curve of scikit-learn gives it."""
    order = np.sort(values)
    false_alarms = [(values[~IS_FAKE] >= t).mean() for t in order]
    misses = [(values[IS_FAKE] < t).mean() for t in order]
    return float(order[np.argmin(np.abs(np.subtract(false_alarms, misses)))])


def midway(values: np.ndarray) -> float:
    order = np.sort(values)
    i = int(np.searchsorted(order, equal_error(values)))
    return float((order[i] + order[i + 1]) / 2)


def mean_of_means(values: np.ndarray) -> float:
    return float((values[IS_FAKE].mean() + values[~IS_FAKE].mean()) / 2)


def logits(values: np.ndarray, at: float) -> np.ndarray:
    """As the two logits are made of a score: a score at the threshold is not above it."""
    margins = (values.astype(np.float64) - at).astype(np.float32)
    margins[margins == 0] = -1.4e-45
    return np.stack([margins, np.zeros_like(margins)], axis=1)


def seen(values: np.ndarray, at: float) -> str | None:
    adapter = dataclasses.replace(DETECTOR, threshold=at, above="fake")
    return threshold.of_logits(logits(values, at), TRUTHS, LABEL_MAP, adapter)


@pytest.mark.parametrize("make", [scores, probabilities])
@pytest.mark.parametrize(
    ("tune", "words"),
    [
        (equal_error, "is the score of a clip of the suite"),
        (lambda values: float(f"{equal_error(values):.7g}"), "is the score of a clip"),
        (mean_of_means, "lies midway between the mean scores of the two classes"),
        (lambda values: float(values.mean()), "is the mean score of the clips"),
    ],
)
def test_a_tuned_threshold_is_seen(
    make: Callable[[int], np.ndarray], tune: Callable[[np.ndarray], float], words: str
) -> None:
    for seed in range(10):
        values = make(seed)
        line = seen(values, tune(values))
        assert line is not None
        assert words in line


def test_a_threshold_midway_between_two_scores_is_seen_where_they_are_not_too_close() -> None:
    lines = [seen(values, midway(values)) for values in map(scores, range(20))]
    assert sum(line is not None and "midway between two neighbouring scores" in line for line in lines) > 15


@pytest.mark.parametrize("make", [scores, probabilities])
@pytest.mark.parametrize("tune", [equal_error, midway, mean_of_means, lambda values: 0.5])
def test_a_threshold_from_other_clips_is_not_refused(
    make: Callable[[int], np.ndarray], tune: Callable[[np.ndarray], float]
) -> None:
    for seed in range(40):  # one in 10,000 is refused, and none of these
        assert seen(make(seed), tune(make(2000 + seed))) is None


def test_scores_on_a_grid_and_saturated_ones_are_no_evidence() -> None:
    half = scores(0).astype(np.float16).astype(np.float32)
    brain = (scores(0).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    rounded = np.round(probabilities(0), 4)
    saturated = (1 / (1 + np.exp(-scores(0, 8, 40)))).astype(np.float32)
    for values in (half, brain, rounded, saturated):
        assert seen(values, equal_error(values)) is None
        assert seen(values, midway(values)) is None
    ends = np.where(IS_FAKE, np.float32(1), np.float32(0))
    assert seen(ends, 0.5) is None


def test_few_clips_a_round_threshold_and_no_threshold_say_nothing() -> None:
    values = scores(0)
    at = equal_error(values)
    adapter = dataclasses.replace(DETECTOR, threshold=at, above="fake")
    few = threshold.MIN_CLIPS - 1
    assert threshold.of_logits(logits(values, at)[:few], TRUTHS[:few], LABEL_MAP, adapter) is None
    assert threshold.of_logits(logits(values, at), [None] * N, LABEL_MAP, adapter) is None
    nobody = dataclasses.replace(adapter, threshold=None, above=None)
    assert threshold.of_logits(logits(values, at), TRUTHS, LABEL_MAP, nobody) is None
    values[0] = 0.25
    assert seen(values, 0.25) is None


def verdicts(values: np.ndarray, at: float) -> pd.DataFrame:
    """Whole clips with their probabilities in 13 bits, as they are stored."""
    of_classes = logits(values, at).astype(np.float64)
    p = np.exp(of_classes - of_classes.max(axis=1, keepdims=True))
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    stored = ((p.view(np.uint32) + np.uint32(1 << 10)) & np.uint32(0xFFFFF800)).view(np.float32)
    return pd.DataFrame({"stimulus": "whole", "truth": TRUTHS, "p": list(stored[:, ::-1])})


def test_verdicts_show_a_threshold_midway_between_means_of_a_detector_whose_scores_lie_far_apart() -> None:
    adapter = dataclasses.replace(DETECTOR, above="fake")
    lines = []
    for seed in range(10):
        values = scores(seed, 10, 20)
        for others in (values, scores(seed + 99, 10, 20)):
            at = mean_of_means(others)
            tuned = dataclasses.replace(adapter, threshold=at)
            line = threshold.of_verdicts(verdicts(values, at), LABELS, LABEL_MAP, tuned)
            assert line is None or others is values
            lines.append(line)
    assert sum(line is not None and "midway between the mean scores" in line for line in lines) >= 8


def test_verdicts_of_another_class_or_of_no_whole_clip_say_nothing() -> None:
    table = verdicts(scores(0), 0.1234567)
    for above, frame in (("echo", table), ("fake", table[:0]), ("fake", table.assign(stimulus="signal"))):
        adapter = dataclasses.replace(DETECTOR, threshold=0.1234567, above=above)
        assert threshold.of_verdicts(frame, LABELS, LABEL_MAP, adapter) is None


@pytest.mark.parametrize(
    ("source", "suite", "corpora", "name"),
    [
        ("EER on this suite", "local/signals", (), "this suite"),
        ("equal error rate, Starter-Suite", "embedded/starter", (), "starter suite"),
        ("ＥＥＲ ｏｎ ｔｈｅ ｓｕｉｔｅ", "local/signals", (), "the suite"),
        ("best F1 on lab/deepfake-eval", "lab/deepfake-eval", (), "lab/deepfake-eval"),
        ("best F1 on Deepfake Eval", "lab/deepfake-eval", (), "lab/deepfake-eval"),
        ("best F1 on the starter clips", "embedded/starter", (), "embedded/starter"),
        (
            "voices of asterisk core sounds",
            "embedded/starter",
            ("asterisk-core-sounds",),
            "asterisk-core-sounds",
        ),
        ("EER on ASVspoof 2019 LA dev", "lab/eval", ("org/ASVspoof-2019-LA",), None),
        ("EER on ASVspoof 2019 LA", "lab/eval", ("org/ASVspoof-2019-LA",), "org/ASVspoof-2019-LA"),
        ("a deepfake corpus of ours", "lab/deepfake", ("local/deepfake",), None),
        ("chosen by the authors of the paper", "embedded/starter", ("starter",), None),
        ("", "local/", ("", "/"), None),
    ],
)
def test_a_source_that_names_the_suites_own_clips_is_seen(
    source: str, suite: str, corpora: tuple[str, ...], name: str | None
) -> None:
    assert threshold.names_the_suite(source, suite, corpora) == name
