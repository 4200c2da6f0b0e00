"""Entries on the starter suite that `validate` believes and that are not true, made of one that is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from harness.dataset import parquet_schema
from harness.entries import store
from harness.entries.validate import validate_entry
from harness.metrics.likeness import copies, likeness_of
from harness.metrics.scorecard import summarise
from harness.schemas import Entry
from harness.starter.paths import open_suite
from harness.tasks import TASKS
from harness.types import LabelMap
from tests.helpers.families import HEADLINE

Change = Callable[[pd.DataFrame], pd.DataFrame]


def forged(folder: Path, root: Path, change: Change, label_map: LabelMap | None = None) -> Path:
    """An entry with other verdicts, its scorecard counted from them, so that nothing shows."""
    entry, rows = store.read(folder), store.verdicts(folder)
    rows["p"] = [np.array(p) for p in rows["p"]]
    rows = change(rows)
    label_map = label_map or entry.label_map
    task = TASKS[entry.task]
    likeness = likeness_of(rows, task, label_map, open_suite(None))
    card = summarise(
        rows, task, entry.model, entry.references, label_map, entry.signals.headline, copies(likeness)
    )
    changed = dataclasses.replace(entry, scorecard=card, label_map=label_map, likeness=likeness)
    place = store.write(root, changed, _table(rows))
    assert validate_entry(place, tuple(TASKS.values()), strict_files=True) == []
    return place


def accept(rows: pd.DataFrame, i: int, label_map: LabelMap, labels: tuple[str, ...]) -> pd.DataFrame:
    """Make a rejected stimulus an accepted one: its two most probable labels change places."""
    p: Any = rows.at[i, "p"]
    expected = rows["expected"][i]
    other, ours = labels.index(rows["predicted"][i]), labels.index(expected)
    p[[other, ours]] = p[[ours, other]]
    rows.loc[i, "p_expected"] = p[ours]
    rows.loc[i, ["predicted", "predicted_raw"]] = [
        expected,
        label_map.names[label_map.canonical.index(expected)],
    ]
    return rows


def one_verdict(folder: Path, root: Path) -> tuple[Path, str]:
    """One rejected signal of the headline family is said to be accepted; also returns its id."""
    entry, rows = store.read(folder), store.verdicts(folder)
    of_family = (rows["stimulus"] == "signal") & (rows["family"] == HEADLINE)
    rejected = np.flatnonzero(of_family & (rows["predicted"] != rows["expected"]))
    i = int(rejected[0])
    labels = TASKS[entry.task].labels
    place = forged(folder, root, lambda rows: accept(rows, i, entry.label_map, labels))
    return place, str(rows["signal_id"][i])


def classes_renamed(folder: Path, root: Path) -> Path:
    """The first two classes change their names, in the label map and in every verdict."""
    entry = store.read(folder)
    one, other, *rest = entry.label_map.names
    a, b, *further = entry.label_map.canonical
    label_map = dataclasses.replace(entry.label_map, names=(other, one, *rest), canonical=(b, a, *further))
    places = [TASKS[entry.task].labels.index(label) for label in (a, b)]

    def swap(rows: pd.DataFrame) -> pd.DataFrame:
        for p in rows["p"]:
            p[places] = p[places[::-1]]
        rows["predicted_raw"] = rows["predicted_raw"].replace({one: other, other: one})
        rows["predicted"] = rows["predicted"].replace({a: b, b: a})
        asked = rows["expected"].notna()
        labels = TASKS[entry.task].labels
        ours = [
            p[labels.index(expected)]
            for p, expected in zip(rows["p"][asked], rows["expected"][asked], strict=True)
        ]
        rows.loc[asked, "p_expected"] = np.array(ours, dtype=np.float32)
        return rows

    return forged(folder, root, swap, label_map)


def entry_changed(folder: Path, root: Path, change: Callable[[Entry], Entry]) -> Path:
    """An entry that says something else of itself, with the same verdicts."""
    return store.write(root, change(store.read(folder)), _table(store.verdicts(folder)))


def _table(rows: pd.DataFrame) -> pa.Table:
    for name in ("draw", "level", "replicate"):
        rows[name] = rows[name].astype("Int32")
    return pa.Table.from_pandas(rows, parquet_schema.VERDICTS, preserve_index=False).replace_schema_metadata(
        None
    )
