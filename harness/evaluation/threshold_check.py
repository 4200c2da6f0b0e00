"""Refuses a detector whose threshold was tuned on the clips of the suite, where that can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.dataset.suites import Suite
from harness.errors import BadModel, NotValid
from harness.evaluation.predict import Answers
from harness.evaluation.units import Unit
from harness.metrics import threshold
from harness.model_facts import AdapterFacts
from harness.tasks import Task
from harness.types import LabelMap


def require_other_source(adapter: AdapterFacts | None, suite: Suite, task: Task) -> None:
    """Before anything is asked: its author names other clips than those of the suite.

    Raises:
        BadModel: they name the suite, or a corpus of it.
    """
    if adapter is None or adapter.threshold_source is None:
        return
    corpora = sorted({reference.corpus.name for reference in suite.references(task.name)})
    if name := threshold.names_the_suite(adapter.threshold_source, suite.name, corpora):
        raise BadModel(
            f"{adapter.name}: threshold_source is {adapter.threshold_source!r:.120}, which names {name}: its"
            " clips are those that it is evaluated on; tune the threshold on others, of a development set"
        )


def require_untuned(
    adapter: AdapterFacts | None,
    units: Sequence[Unit],
    answers: Mapping[str, Answers],
    label_map: LabelMap,
) -> None:
    """After all is answered: its threshold is not made of the scores of the suite's clips.

    Args:
        adapter: None for a model without one.
        units: those that were judged.
        answers: by content of the unit.
        label_map: of the model.

    Raises:
        NotValid: it is; see `metrics.threshold.of_logits`.
    """
    whole = [unit for unit in units if unit.signal_id is None and unit.clip_id is not None]
    if adapter is None or adapter.threshold is None or not whole:
        return
    logits = np.stack([answers[unit.content].logits[0] for unit in whole])
    if line := threshold.of_logits(logits, [unit.truth for unit in whole], label_map, adapter):
        raise NotValid(f"{adapter.name}: {line}")
