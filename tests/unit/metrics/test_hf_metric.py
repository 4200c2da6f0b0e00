"""The metric, loaded by path as a user of `evaluate` does, without a network."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.dataset.paths import VERDICTS
from harness.dataset.suites import load
from harness.entries import store
from harness.errors import BadInput
from harness.metrics import estimates
from harness.metrics.estimates import wilson
from harness.starter import paths
from tests.helpers.families import MINIMAL

PATH = Path(estimates.__file__).with_name("hf_metric.py")


@pytest.fixture
def metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import evaluate

    def refuse(*args: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield evaluate.load(str(PATH), cache_dir=str(tmp_path / "data"))
    for name in set(sys.modules) - before:
        if name.startswith("evaluate_modules"):
            del sys.modules[name]


def test_the_metric_loads_by_path_and_equals_the_rate_of_one_reference(metric: Any) -> None:
    found = metric.compute(
        predictions=["jazz", "other", "rock", "rock"],
        references=["jazz", "jazz", "rock", "pop"],
        clip_ids=["a", "b", "c", "d"],
    )
    expected = wilson(2, 4)
    assert found == {
        "transfer": expected.value,
        "low": expected.low,
        "high": expected.high,
        "n": 4,
        "method": "wilson",
    }
    without_clips = metric.compute(
        predictions=["jazz", "other", "rock", "rock"], references=["jazz", "jazz", "rock", "pop"]
    )
    assert without_clips == found


def test_signals_of_one_clip_widen_the_interval(metric: Any) -> None:
    accepted = np.repeat(np.arange(30) % 2, 4)  # 30 clips, 4 signals each, all four alike
    said = ["jazz" if a else "rock" for a in accepted]
    clips = [str(i // 4) for i in range(120)]
    alone = metric.compute(predictions=said, references=["jazz"] * 120)
    found = metric.compute(predictions=said, references=["jazz"] * 120, clip_ids=clips)
    assert found["transfer"] == alone["transfer"] == 0.5
    assert found["n"] == 120
    assert found["method"] == estimates.BOOTSTRAP
    assert found["high"] - found["low"] > 1.7 * (alone["high"] - alone["low"])


def test_swap_and_lift_by_hand(metric: Any) -> None:
    found = metric.compute(
        predictions=["jazz", "rock", "rock", "pop"],
        references=["jazz", "jazz", "rock", "pop"],
        controls=[["jazz", "rock", "rock"], ["jazz", "jazz", "rock"], ["pop"], []],
    )
    assert found["transfer"] == pytest.approx(3 / 4)
    assert found["swap"] == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)
    assert found["lift"] == pytest.approx((2 / 3 - 2 / 3 + 1) / 3)
    assert (found["n"], found["lift_n"]) == (4, 3)
    one = metric.compute(predictions=["a", "b"], references=["a", "a"], controls=["b", "a"])
    listed = metric.compute(predictions=["a", "b"], references=["a", "a"], controls=[["b"], ["a"]])
    assert one == listed
    assert (one["swap"], one["lift"]) == (0.5, 0.0)
    none = metric.compute(predictions=["a", "b"], references=["a", "a"], controls=[[], []])
    assert (none["swap"], none["lift"], none["lift_n"]) == (None, None, 0)


def test_the_example_of_its_page_is_right(metric: Any) -> None:
    import doctest

    example = doctest.DocTestParser().get_doctest(
        metric.inputs_description, {"metric": metric, "evaluate": Loads(metric)}, "metric", None, 0
    )
    assert len(example.examples) == 3
    assert doctest.DocTestRunner().run(example).failed == 0


class Loads:
    """`evaluate` with the metric loaded already."""

    def __init__(self, metric: Any) -> None:
        self.metric = metric

    def load(self, path: str) -> Any:
        """The metric."""
        return self.metric


@pytest.mark.parametrize("task", ["emotion", "music-genre"])
def test_the_metric_gives_the_numbers_of_the_scorecard(metric: Any, task: str) -> None:
    """Transfer and lift of every pair of a reference and another one of the starter suite."""
    suite = load(str(paths.embedded()))
    n_compared = 0
    for folder in store.find(suite.root / VERDICTS):
        entry, rows = store.read(folder), store.verdicts(folder)
        if entry.task != task:
            continue
        for cell in entry.scorecard.families[-1].cells:  # `minimal`: one draw of each clip
            mine = rows[(rows["reference"] == cell.reference.repo_id) & (rows["family"] == MINIMAL)]
            signals = mine[(mine["stimulus"] == "signal") & (mine["level"] == 0)].sort_values("signal_id")
            if cell.n_applicable < len(signals):
                continue
            swaps = mine[mine["stimulus"] == "swap"].groupby("signal_id")["predicted"].agg(list)
            found = metric.compute(
                predictions=signals["predicted"].tolist(),
                references=signals["expected"].tolist(),
                controls=[swaps.get(signal_id, []) for signal_id in signals["signal_id"]],
                clip_ids=signals["clip_id"].tolist(),
            )
            rates = cell.rates
            assert (found["transfer"], found["low"], found["high"]) == pytest.approx(
                (rates.transfer.value, rates.transfer.low, rates.transfer.high)
            )
            assert found["swap"] == pytest.approx(rates.swap.value)
            if rates.lift.value is not None:
                assert (found["lift"], found["lift_low"], found["lift_high"]) == pytest.approx(
                    (rates.lift.value, rates.lift.low, rates.lift.high)
                )
            n_compared += 1
    assert n_compared > 0


def test_no_signals_give_none(metric: Any) -> None:
    assert metric.compute(predictions=[], references=[])["transfer"] is None


def test_clip_ids_of_another_number_are_refused(metric: Any) -> None:
    with pytest.raises(BadInput, match="1 clip_ids for 2 predictions"):
        metric.compute(predictions=["a", "b"], references=["a", "b"], clip_ids=["x"])


def test_controls_of_another_number_are_refused(metric: Any) -> None:
    with pytest.raises(BadInput, match="1 controls for 2 predictions"):
        metric.compute(predictions=["a", "b"], references=["a", "b"], controls=[["x", "y"]])
