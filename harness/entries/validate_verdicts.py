"""What must hold of the verdicts of an entry: the file, every row, and the rows together.

The file may be made to hurt: it is opened where it can do none (`dataset.parquet`), and its texts stay
dictionaries until all is known to be sound.

A problem is one line, `verdicts.parquet: what was found, what was expected`; rows count from 0.

Public: load, validate_verdicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.dataset import parquet, parquet_io, parquet_schema
from harness.entries import text, validate_controls
from harness.entries.checks import MADE, Checks, of_names, where
from harness.metrics.acceptance import at_level_zero
from harness.plurals import plural
from harness.schemas import Entry
from harness.tasks import Task
from harness.types import FAMILIES, N_LEVELS, OTHER, STIMULI, signal_id

MAX_ROWS = 1_000_000
MAX_CLIPS = 10_000
MAX_TEXT = 512
"""Characters of a clip's or signal's id."""
TOLERANCE = 1e-3
"""Of probabilities, which are stored as float32."""

_ONCE = ("signal", "largest", "complement")
"""Those that each signal has once, levels apart."""


def load(path: Path) -> tuple[pa.Table | None, list[str]]:
    """Read a verdicts file that nothing is known about.

    Returns:
        The table, or None, and the problems, of which there are some when it is None.
    """
    try:
        table = parquet.table(
            path, [parquet_schema.VERDICTS], coded=parquet_io.TEXTS, most_rows=MAX_ROWS, own=True
        )
    except parquet.OtherColumns as error:
        return None, [_schema_problem(error.columns)]
    except (parquet.Unreadable, OSError) as error:
        reason = text.shown(str(error))
        return None, [
            f"verdicts.parquet: not readable ({reason}), expected a Parquet file written by goodenough"
        ]
    if not table.num_rows:
        return None, [f"verdicts.parquet: 0 rows, expected 1 to {MAX_ROWS}"]
    return table, []


def validate_verdicts(table: pa.Table, entry: Entry, task: Task) -> list[str]:
    """What does not hold in a table of VERDICTS.

    Args:
        table: as `load` gave it, its texts dictionaries.
        entry: whose label map and references are sound.
        task: of the entry.
    """
    rows = table.drop_columns(["p", *parquet_io.TEXTS]).to_pandas(ignore_metadata=True)
    rows = rows.assign(**{name: _texts(table[name]) for name in parquet_io.TEXTS})
    for name in ("level", "draw", "replicate"):
        rows[name] = rows[name].astype("Int64")
    checks = Checks(rows)
    _identity(checks, entry, task)
    _answers(checks, entry, task)
    _probabilities(checks, table["p"], entry, task)
    return [*checks.found, *_together(rows, entry)]


def _schema_problem(columns: Sequence[tuple[str, str, bool]]) -> str:
    names = [name for name, _, _ in columns]
    if names != parquet_schema.VERDICTS.names:
        shown = text.shown(", ".join(names))
        return f"verdicts.parquet: columns {shown}, expected {', '.join(parquet_schema.VERDICTS.names)}"
    for name, kind, same in columns:
        if not same:
            ours = parquet_schema.VERDICTS.field(name).type
            return f"verdicts.parquet: column {name} is {kind}, expected {ours}"
    return "verdicts.parquet: its schema differs, expected that of this version"


def _texts(column: Any) -> Any:
    """(n_rows,) series of objects: each text made once, however many rows hold it; None for no text."""
    encoded = column.combine_chunks()
    values = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return pd.Series(values[encoded.indices.fill_null(-1).to_numpy()], dtype=object)


def _identity(checks: Checks, entry: Entry, task: Task) -> None:
    """Which stimulus a row is about."""
    rows = checks.rows
    offered = {(r.model.repo_id, r.family): r for r in entry.references}
    checks.require(rows["task"] == entry.task, "task", f"{entry.task!r}")
    checks.require(rows["stimulus"].isin(STIMULI), "stimulus", f"one of {', '.join(STIMULI)}")
    checks.require_only_of_signals("family", rows["family"].isin(FAMILIES), f"one of {', '.join(FAMILIES)}")
    asked = [offered.get(pair) for pair in zip(rows["reference"], rows["family"], strict=True)]
    checks.require_only_of_signals(
        "reference", [r is not None for r in asked], "a reference the entry lists with this family"
    )
    most = np.array([0 if r is None else r.n_draws for r in asked])
    drawn = rows["draw"].fillna(0).to_numpy(dtype=np.int64)
    checks.require_only_of_signals(
        "draw", (drawn >= 1) & (drawn <= most), "1 to n_draws of the reference in this family"
    )
    levelled = ((rows["stimulus"] == "signal") & (rows["family"] == "minimal")).to_numpy(dtype=bool)
    in_range = rows["level"].between(0, N_LEVELS - 1).fillna(False).to_numpy(dtype=bool)
    checks.require(
        np.where(levelled, in_range, rows["level"].isna()),
        "level",
        f"0 to {N_LEVELS - 1} for signals of family minimal, and nothing for all else",
    )
    silence = (rows["stimulus"] == "silence").to_numpy(dtype=bool)
    plain = {c for c in rows["clip_id"].dropna().unique() if c != "" and text.is_plain(c, MAX_TEXT)}
    named = rows["clip_id"].isin(plain)
    checks.require(
        np.where(silence, rows["clip_id"].isna(), named), "clip_id", "plain text; nothing for silence"
    )
    ids = [
        None if r is None else signal_id(str(clip), r.model.slug, r.family, r.seed, int(draw))
        for clip, r, draw in zip(rows["clip_id"], asked, drawn, strict=True)
    ]
    checks.require_only_of_signals(
        "signal_id", rows["signal_id"] == ids, "<clip_id>:<reference>:<family>:<seed>.<draw>"
    )
    validate_controls.check(checks)
    longest = int(task.max_seconds * task.sample_rate_hz)
    checks.require(
        rows["n_samples"].between(1, longest), "n_samples", f"1 to {longest}, the most {task.name} allows"
    )
    told = rows["truth"].isna() | (rows["truth"].isin(task.labels) & ~silence)
    checks.require(told, "truth", f"a label of {task.name}, or nothing")
    checks.require_only_of_signals("expected", rows["expected"].isin(task.labels), f"a label of {task.name}")


def _answers(checks: Checks, entry: Entry, task: Task) -> None:
    """What the model said, and what it saw."""
    rows = checks.rows
    read = dict(zip(entry.label_map.names, entry.label_map.canonical, strict=True))
    raw, predicted = rows["predicted_raw"], rows["predicted"]
    checks.require(raw.isin(list(read)), "predicted_raw", "a class of the entry's label map")
    agrees = [read.get(r, p) == p for r, p in zip(raw, predicted, strict=True)]
    checks.require(agrees, "predicted", "what the label map says of predicted_raw")
    checks.require(predicted.isin([*task.labels, OTHER]), "predicted", f"a label of {task.name} or {OTHER}")
    seconds = rows["n_samples"] / task.sample_rate_hz
    checks.require(
        rows["seconds_seen"].between(0, seconds + TOLERANCE),
        "seconds_seen",
        "0 to the length of the stimulus",
    )
    checks.require(rows["energy_seen"].between(0, 1 + 1e-6), "energy_seen", "a share, 0 to 1")


def _probabilities(checks: Checks, column: Any, entry: Entry, task: Task) -> None:
    """`p` and `p_expected`; the argmax is taken before merging, so `predicted` need not be the largest."""
    rows, n_labels = checks.rows, len(task.labels)
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
    if wrong := np.flatnonzero(lengths != n_labels).tolist():
        found = "nothing" if lengths[wrong[0]] < 0 else f"{lengths[wrong[0]]} values"
        checks.found.append(
            f"{where(np.array(wrong))}: p has {found}, expected {n_labels}, one per label of {task.name}"
        )
        return
    flat = pc.fill_null(pc.list_flatten(column), np.nan).to_numpy()
    p = np.asarray(flat, dtype=np.float64).reshape(-1, n_labels)
    sound = ((p >= 0) & (p <= 1 + TOLERANCE)).all(axis=1)

    def require(holds: Any, expected: str) -> None:
        wrong = np.flatnonzero(~np.asarray(holds, dtype=bool))
        if len(wrong):
            found = ", ".join(f"{value:.4g}" for value in p[wrong[0]])
            checks.found.append(f"{where(wrong)}: p is {text.shown(found)}, expected {expected}")

    require(sound, "probabilities, 0 to 1")
    total = p.sum(axis=1)
    require(~sound | (total <= 1 + TOLERANCE), "a sum of at most 1")
    index = {label: i for i, label in enumerate(task.labels)}
    merged = Counter(entry.label_map.canonical)
    n_classes = np.array([merged[label] for label in task.labels])
    require(~sound | (p[:, n_classes == 0] == 0).all(axis=1), "0 for labels outside the label map")
    # The top class is at least as probable as any other, hence as the mean of those merged into a label.
    with_rest = np.column_stack([p, 1 - total])
    at = rows["predicted"].map({**index, OTHER: n_labels}).to_numpy(dtype=float, na_value=np.nan)
    here = np.where(np.isnan(at), 0, at).astype(np.intp)
    given = with_rest[np.arange(len(p)), here]
    largest = (p / np.maximum(n_classes, 1)).max(axis=1)
    require(~sound | np.isnan(at) | (given >= largest - TOLERANCE), "predicted to be the most probable class")
    at = rows["expected"].map(index).to_numpy(dtype=float, na_value=np.nan)
    here = np.where(np.isnan(at), 0, at).astype(np.intp)
    apart = np.abs(rows["p_expected"].to_numpy(dtype=np.float64) - p[np.arange(len(p)), here])
    checks.require_only_of_signals(
        "p_expected", ~sound | np.isnan(at) | (apart <= TOLERANCE), "the entry of p for the label expected"
    )


def _together(rows: pd.DataFrame, entry: Entry) -> list[str]:
    """Whether the rows are all there, once, and tell one story."""
    found: list[str] = []

    def report(names: Sequence[Any], what: str) -> None:
        found.extend(of_names(names, what))

    def twice(some: pd.DataFrame, key: list[str], what: str) -> None:
        report(some[key[0]][some.duplicated(key)].tolist(), what)

    whole, silence = (rows[rows["stimulus"] == s] for s in ("whole", "silence"))
    made = rows[rows["stimulus"].isin(MADE)]
    twice(
        made,
        ["signal_id", "stimulus", "level", "replicate"],
        "has two rows of one stimulus, level and replicate, expected one",
    )
    twice(whole, ["clip_id"], "has two rows of the whole clip, expected one")
    twice(silence, ["n_samples"], "samples of silence have two rows, expected one")
    first = made[at_level_zero(made)]
    signals = set(first["signal_id"].dropna())
    for stimulus in _ONCE:
        there = set(first["signal_id"][first["stimulus"] == stimulus].dropna())
        missing = signals - there
        report(sorted(missing), f"has no row of stimulus {stimulus!r}, expected one")
    report(sorted(set(made["signal_id"].dropna()) - signals), "has no row of level 0, expected one")
    asked = made[made["level"].notna()].drop_duplicates(["signal_id", "level"]).groupby("signal_id")["level"]
    lowest, highest, n_levels = asked.min(), asked.max(), asked.count()
    sound = (lowest == 0) & ((highest == 0) | ((highest == N_LEVELS - 1) & (n_levels == N_LEVELS)))
    report(
        list(n_levels.index[~sound]), f"has only some levels, expected level 0 alone or 0 to {N_LEVELS - 1}"
    )
    report(sorted(set(made["clip_id"].dropna()) - set(whole["clip_id"])), "has no row of the whole clip")
    heard = rows[rows["stimulus"] != "silence"]
    lengths = set(heard["n_samples"].dropna()) - set(silence["n_samples"])
    report(sorted(lengths), "samples is the length of a clip, and there is no row of silence of that length")
    swapped = heard["stimulus"] == "swap"
    for column, some in (("truth", heard), ("n_samples", heard[~swapped])):
        kinds = some.groupby("clip_id")[column].nunique(dropna=False)
        report(list(kinds.index[kinds > 1]), f"has rows with different {column}, expected one")
    kinds = made.groupby("signal_id")["expected"].nunique(dropna=False)
    report(list(kinds.index[kinds > 1]), "has rows with different expected, expected one")
    kinds = made.groupby(["reference", "clip_id"])["expected"].nunique(dropna=False)
    report(
        [clip for _, clip in kinds.index[kinds > 1]],
        "is given different classes by one reference, expected one: that of the whole clip",
    )
    found += validate_controls.validate_controls(made, whole)
    n_clips = heard["clip_id"].nunique()
    if n_clips > MAX_CLIPS:
        found.append(f"verdicts.parquet: {n_clips} clips, expected at most {MAX_CLIPS}")
    judged = Counter(
        made.drop_duplicates("signal_id")[["reference", "family"]].itertuples(index=False, name=None)
    )
    for offered in entry.references:
        n, due = judged[offered.model.repo_id, offered.family], offered.n_signals - offered.n_degenerate
        if n != due:
            found.append(
                f"verdicts.parquet: {plural(n, 'signal')} of {offered.model.repo_id}, family"
                f" {offered.family}, expected {due}: published and not degenerate"
            )
    return found
