"""Answers that the entries of this repository record, as a cache: evaluations that take seconds."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from harness import labels
from harness.entries import store
from harness.evaluation import runner
from harness.evaluation.predict import Answers
from harness.evaluation.units import units_of
from harness.models import loading
from harness.starter import paths
from harness.starter.paths import open_suite
from tests.helpers.repository import SUBMISSIONS

ONE_IN = 20
"""Of this many units the answers of one are left out, so that the model is asked something."""


def put_candidate(task: str, out: Path) -> None:
    """Write what the submissions say of the candidate of a task into the cache below `out`."""
    (model,) = (model for model in paths.models("candidate") if task in model.name)
    (entry,) = (path.parent for path in (SUBMISSIONS / f"local__{model.name}").rglob(store.ENTRY))
    put(entry, model, out)


def put(entry: Path, model: Path, out: Path) -> None:
    """Write what an entry says of the starter suite into the cache below `out`.

    Args:
        entry: folder of the entry of a model of the starter suite.
        model: its folder.
        out: a results folder.
    """
    suite, classifier = open_suite(None), loading.load(str(model), device="cpu")
    task = suite.task(store.read(entry).task)
    mapping = labels.harmonise(classifier.class_names, task)
    columns = [task.labels.index(label) for label in mapping.canonical]
    rows = defaultdict(list)
    for row in pq.read_table(entry / store.VERDICTS).to_pylist():
        rows[row["signal_id"] or row["clip_id"] or row["n_samples"]].append(row)
    recorded = []
    for i, unit in enumerate(units_of(suite, task)):
        of_unit = rows[unit.signal_id or unit.clip_id or unit.n_samples]
        keys = tuple((row["stimulus"], row["level"], row["replicate"]) for row in of_unit)
        p = np.array([row["p"] for row in of_unit])[:, columns]
        seen = np.array([[row["seconds_seen"], row["energy_seen"]] for row in of_unit], dtype=np.float32)
        if i % ONE_IN:
            recorded.append((unit, Answers(keys, np.log(np.maximum(p, 1e-30)).astype(np.float32), seen)))
    cache = runner._open_cache(classifier, task, out)
    cache.append(recorded)
    cache.close()
