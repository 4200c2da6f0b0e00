from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness.errors import BadModel, NotValid
from harness.evaluation import runner
from harness.evaluation.predict import Answers
from harness.evaluation.threshold_check import require_other_source, require_untuned
from harness.types import LabelMap
from tests.helpers.entries import ADAPTER, DETECTOR
from tests.helpers.small_suite import LABELS, TASK, Loud, small_suite

LABEL_MAP = LabelMap("deepfake", ("fake", "real"), ("spoof", "bonafide"), "names")


def test_a_source_that_names_the_suite_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    suite = small_suite(tmp_path / "signals")
    require_other_source(None, suite, TASK)
    require_other_source(ADAPTER, suite, TASK)
    require_other_source(DETECTOR, suite, TASK)
    tuned = replace(DETECTOR, threshold_source="equal error rate on the clips of this suite")
    model = Loud()
    model.facts = replace(model.facts, kind="adapter", adapter=tuned)
    model.logits = None  # type: ignore[assignment,method-assign]
    with pytest.raises(BadModel, match="which names this suite: its clips are those that it is evaluated on"):
        runner.evaluate(model, LABELS, suite, TASK, tmp_path / "out")  # type: ignore[arg-type]


def test_a_threshold_that_is_the_score_of_a_clip_is_refused_after_all_is_answered() -> None:
    rng = np.random.default_rng(0)
    is_fake = np.arange(60) % 3 == 0
    scores = (rng.normal(0, 2, 60) + 2 * is_fake).astype(np.float32)
    units = [
        SimpleNamespace(
            signal_id=None, clip_id=f"c{i}", content=str(i), truth="spoof" if fake else "bonafide"
        )
        for i, fake in enumerate(is_fake)
    ]
    units += [SimpleNamespace(signal_id=None, clip_id=None, content="silence", truth=None)]
    for at, refused in ((float(scores[7]), True), (float(scores[7]) + 1e-3, False), (0.5, False)):
        margins = (scores - at).astype(np.float32)
        answers = {
            str(i): Answers(
                (("whole", None, None),), np.array([[m, 0]], np.float32), np.ones((1, 2), np.float32)
            )
            for i, m in enumerate(margins)
        }
        adapter = replace(DETECTOR, threshold=at, above="fake")
        if refused:
            with pytest.raises(
                NotValid, match=r"^aasist\.py:Aasist: the threshold .* is the score of a clip"
            ):
                require_untuned(adapter, units, answers, LABEL_MAP)  # type: ignore[arg-type]
        else:
            require_untuned(adapter, units, answers, LABEL_MAP)  # type: ignore[arg-type]
        require_untuned(None, units, {}, LABEL_MAP)  # type: ignore[arg-type]
        require_untuned(adapter, units[-1:], {}, LABEL_MAP)  # type: ignore[arg-type]
