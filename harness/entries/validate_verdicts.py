"""Checks the verdicts of an entry: the file, every row, and the rows together.

The file may be malicious: `dataset.untrusted_parquet` opens it safely, and its texts stay dictionary-encoded
until all checks have passed.

A problem is one line, `verdicts.parquet: what was found, what was expected`; rows count from 0.
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

from harness.dataset import parquet_io, parquet_schema, untrusted_parquet
from harness.entries import validate_controls
from harness.entries.checks import (
    SIGNAL_STIMULI,
    Checks,
    distinct,
    known,
    mapped,
    name_problems,
    row_location,
    texts,
)
from harness.entries.untrusted_text import excerpt, is_plain
from harness.families import MINIMAL, kind_of
from harness.metrics.acceptance import at_level_zero
from harness.plurals import plural
from harness.schemas import Entry
from harness.tasks import Task
from harness.types import N_LEVELS, OTHER, STIMULI, signal_id

MAX_ROWS = 1_000_000
MAX_CLIPS = 10_000
MAX_TEXT = 512
"""Characters of a clip's or signal's id."""
ROUNDING = 1e-3
"""Of probabilities, which are stored as float32."""

_COMPARED = ["stimulus", "reference", "family", "clip_id", "other_clip", "signal_id", "level", "replicate"]
_COMPARED += ["n_samples", "truth", "expected"]
"""Columns in which rows are held against each other."""
_SHARED = (("clip_id", "other_clip"), ("truth", "expected", "predicted"))
"""Columns of texts that are compared with each other."""
_ONCE = ("signal", "largest", "complement")
"""Those that each signal has once, levels apart."""


def load(path: Path) -> tuple[pa.Table | None, list[str]]:
    """Read a verdicts file that nothing is known about: the table, or None and at least one problem."""
    try:
        table = untrusted_parquet.table(
            path, [parquet_schema.VERDICTS], coded=parquet_io.TEXTS, most_rows=MAX_ROWS, own=True
        )
    except untrusted_parquet.OtherColumns as error:
        return None, [_schema_problem(error.columns)]
    except (untrusted_parquet.Unreadable, OSError) as error:
        reason = excerpt(str(error))
        return None, [
            f"verdicts.parquet: not readable ({reason}), expected a Parquet file written by goodenough"
        ]
    if not table.num_rows:
        return None, [f"verdicts.parquet: 0 rows, expected 1 to {MAX_ROWS}"]
    return table, []


def validate_verdicts(table: pa.Table, rows: pd.DataFrame, entry: Entry, task: Task) -> list[str]:
    """What does not hold in a table as of `load`; label map and references of the entry are sound.

    The rows are those of `rows_of`.
    """
    rows = rows.assign(**{name: rows[name].astype("Int64") for name in ("level", "draw", "replicate")})
    checks = Checks(rows)
    _identity(checks, entry, task)
    _answers(checks, entry, task)
    _probabilities(checks, table["p"], entry, task)
    return [*checks.problems, *_completeness(rows, entry)]


def _schema_problem(columns: Sequence[tuple[str, str, bool]]) -> str:
    names = [name for name, _, _ in columns]
    schema_names = parquet_schema.VERDICTS.names
    if names != schema_names:
        columns_text = excerpt(", ".join(names))
        return f"verdicts.parquet: columns {columns_text}, expected {', '.join(schema_names)}"
    for name, kind, same in columns:
        if not same:
            expected_type = parquet_schema.VERDICTS.field(name).type
            return f"verdicts.parquet: column {name} is {kind}, expected {expected_type}"
    return "verdicts.parquet: its schema differs, expected that of this version"


def rows_of(table: pa.Table) -> pd.DataFrame:
    """A table as of `load` without `p`; texts are categorical, in order, those of `_SHARED` by the same."""
    rows: pd.DataFrame = table.drop_columns(["p", *parquet_io.TEXTS]).to_pandas(ignore_metadata=True)
    alone = set(parquet_io.TEXTS).difference(*_SHARED)
    categorical: dict[str, pd.Categorical] = {}
    for names in (*_SHARED, *((name,) for name in alone)):
        columns = [table[name].combine_chunks() for name in names]
        texts_of = [column.dictionary.to_pylist() for column in columns]
        categories = sorted(set().union(*texts_of) - {None})
        kind = pd.CategoricalDtype(pd.Index(categories, dtype=object))
        code_of = {text: code for code, text in enumerate(categories)}
        for name, column, of_column in zip(names, columns, texts_of, strict=True):
            codes = np.array([*(code_of.get(text, -1) for text in of_column), -1])
            indices = column.indices.fill_null(-1).to_numpy()
            categorical[name] = pd.Categorical.from_codes(codes[indices], dtype=kind)
    return rows.assign(**categorical)


def _identity(checks: Checks, entry: Entry, task: Task) -> None:
    """Which stimulus a row is about."""
    rows = checks.rows
    references = {(r.model.repo_id, r.family): r for r in entry.references}
    checks.require(rows["task"] == entry.task, "task", f"{entry.task!r}")
    checks.require(rows["stimulus"].isin(STIMULI), "stimulus", f"one of {', '.join(STIMULI)}")
    families = sorted({r.family for r in entry.references})
    checks.require_only_of_signals("family", rows["family"].isin(families), f"one of {', '.join(families)}")
    pair_of, pairs = distinct(rows, ["reference", "family"])
    of_pairs = [references.get(pair) for pair in pairs]
    is_listed = np.array([r is not None for r in of_pairs], dtype=bool)[pair_of]
    checks.require_only_of_signals("reference", is_listed, "a reference the entry lists with this family")
    max_draws = np.array([0 if r is None else r.n_draws for r in of_pairs])[pair_of]
    draws = rows["draw"].fillna(0).to_numpy(dtype=np.int64)
    checks.require_only_of_signals(
        "draw", (draws >= 1) & (draws <= max_draws), "1 to n_draws of the reference in this family"
    )
    minimal = [family for family in families if kind_of(family) == MINIMAL]
    has_level = ((rows["stimulus"] == "signal") & rows["family"].isin(minimal)).to_numpy(dtype=bool)
    in_range = rows["level"].between(0, N_LEVELS - 1).fillna(False).to_numpy(dtype=bool)
    checks.require(
        np.where(has_level, in_range, rows["level"].isna()),
        "level",
        f"0 to {N_LEVELS - 1} for signals of families minimal@, and nothing for all else",
    )
    silence = (rows["stimulus"] == "silence").to_numpy(dtype=bool)
    plain_ids = {c for c in rows["clip_id"].dropna().unique() if c != "" and is_plain(c, MAX_TEXT)}
    has_plain_id = rows["clip_id"].isin(plain_ids)
    checks.require(
        np.where(silence, rows["clip_id"].isna(), has_plain_id), "clip_id", "plain text; nothing for silence"
    )
    signal_of, signals = distinct(rows.assign(draw=draws), ["clip_id", "reference", "family", "draw"])
    ids = []
    for clip, reference, family, draw in signals:
        r = references.get((reference, family))
        ids.append(None if r is None else signal_id(str(clip), r.model.slug, r.family, r.seed, draw))
    found = rows["signal_id"].cat
    expected_codes = found.categories.get_indexer(pd.Index(ids, dtype=object))[signal_of]
    has_id = (expected_codes >= 0) & (found.codes.to_numpy() == expected_codes)
    checks.require_only_of_signals("signal_id", has_id, "<clip_id>:<reference>:<family>:<seed>.<draw>")
    validate_controls.check(checks)
    longest = int(task.max_seconds * task.sample_rate_hz)
    checks.require(
        rows["n_samples"].between(1, longest), "n_samples", f"1 to {longest}, the most {task.name} allows"
    )
    is_valid_truth = rows["truth"].isna() | (rows["truth"].isin(task.labels) & ~silence)
    checks.require(is_valid_truth, "truth", f"a label of {task.name}, or nothing")
    checks.require_only_of_signals("expected", rows["expected"].isin(task.labels), f"a label of {task.name}")
    of_signal = rows.groupby("signal_id", observed=True)["robust"].transform("first")
    is_same = rows["robust"].notna() & (rows["robust"] == of_signal)
    checks.require_only_of_signals("robust", is_same, "true or false, the same in all rows of a signal")


def _answers(checks: Checks, entry: Entry, task: Task) -> None:
    """The answers of the model, and how much of each stimulus it received."""
    rows = checks.rows
    canonical = dict(zip(entry.label_map.names, entry.label_map.canonical, strict=True))
    raw, predicted = rows["predicted_raw"], rows["predicted"]
    checks.require(raw.isin(list(canonical)), "predicted_raw", "a class of the entry's label map")
    pair_of, pairs = distinct(rows, ["predicted_raw", "predicted"])
    agreements = np.array([canonical.get(r, p) == p for r, p in pairs], dtype=bool)[pair_of]
    checks.require(agreements, "predicted", "what the label map says of predicted_raw")
    checks.require(predicted.isin([*task.labels, OTHER]), "predicted", f"a label of {task.name} or {OTHER}")
    is_within = rows["seconds_seen"].between(0, rows["n_samples"] / task.sample_rate_hz + ROUNDING)
    checks.require(is_within, "seconds_seen", "0 to the length of the stimulus")
    checks.require(rows["energy_seen"].between(0, 1 + 1e-6), "energy_seen", "a share, 0 to 1")


def _probabilities(checks: Checks, column: Any, entry: Entry, task: Task) -> None:
    """`p` and `p_expected`; the argmax is taken before merging, so `predicted` need not be the largest."""
    rows, n_labels = checks.rows, len(task.labels)
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
    if bad_rows := np.flatnonzero(lengths != n_labels).tolist():
        values_text = "nothing" if lengths[bad_rows[0]] < 0 else f"{lengths[bad_rows[0]]} values"
        checks.problems.append(
            f"{row_location(np.array(bad_rows))}: p has {values_text}, expected {n_labels}, one per label of"
            f" {task.name}"
        )
        return
    flat = pc.fill_null(pc.list_flatten(column), np.nan).to_numpy()
    p = np.asarray(flat, dtype=np.float64).reshape(-1, n_labels)
    valid = ((p >= 0) & (p <= 1 + ROUNDING)).all(axis=1)

    def require(holds: Any, expected: str) -> None:
        bad_rows = np.flatnonzero(~np.asarray(holds, dtype=bool))
        if len(bad_rows):
            values_text = ", ".join(f"{value:.4g}" for value in p[bad_rows[0]])
            checks.problems.append(
                f"{row_location(bad_rows)}: p is {excerpt(values_text)}, expected {expected}"
            )

    require(valid, "probabilities, 0 to 1")
    total = p.sum(axis=1)
    require(~valid | (total <= 1 + ROUNDING), "a sum of at most 1")
    index = {label: i for i, label in enumerate(task.labels)}
    merged = Counter(entry.label_map.canonical)
    n_classes = np.array([merged[label] for label in task.labels])
    require(~valid | (p[:, n_classes == 0] == 0).all(axis=1), "0 for labels outside the label map")
    # The top class is at least as probable as any other, hence as the mean of those merged into a label.
    with_rest = np.column_stack([p, 1 - total])
    index_or_nan = mapped(rows["predicted"], {**index, OTHER: n_labels}, np.nan)
    indices = np.where(np.isnan(index_or_nan), 0, index_or_nan).astype(np.intp)
    p_predicted = with_rest[np.arange(len(p)), indices]
    p_largest = (p / np.maximum(n_classes, 1)).max(axis=1)
    require(
        ~valid | np.isnan(index_or_nan) | (p_predicted >= p_largest - ROUNDING),
        "predicted to be the most probable class",
    )
    index_or_nan = mapped(rows["expected"], index, np.nan)
    indices = np.where(np.isnan(index_or_nan), 0, index_or_nan).astype(np.intp)
    differences = np.abs(rows["p_expected"].to_numpy(dtype=np.float64) - p[np.arange(len(p)), indices])
    checks.require_only_of_signals(
        "p_expected",
        ~valid | np.isnan(index_or_nan) | (differences <= ROUNDING),
        "the entry of p for the label expected",
    )


def _completeness(rows: pd.DataFrame, entry: Entry) -> list[str]:
    """Whether all rows are present, each once, and consistent with each other."""
    rows = rows[_COMPARED]
    problems: list[str] = []

    def report(names: Sequence[Any], what: str) -> None:
        problems.extend(name_problems(names, what))

    def report_duplicates(subset: pd.DataFrame, key: list[str], what: str) -> None:
        report(subset[key[0]][subset.duplicated(key)].tolist(), what)

    whole, silence = (rows[rows["stimulus"] == s] for s in ("whole", "silence"))
    signal_rows = rows[rows["stimulus"].isin(SIGNAL_STIMULI)]
    report_duplicates(
        signal_rows,
        ["signal_id", "stimulus", "level", "replicate"],
        "has two rows of one stimulus, level and replicate, expected one",
    )
    report_duplicates(whole, ["clip_id"], "has two rows of the whole clip, expected one")
    report_duplicates(silence, ["n_samples"], "samples of silence have two rows, expected one")
    level_zero = signal_rows[at_level_zero(signal_rows)]
    signals = known(level_zero["signal_id"])
    for stimulus in _ONCE:
        missing = signals - known(level_zero["signal_id"][level_zero["stimulus"] == stimulus])
        report(sorted(missing), f"has no row of stimulus {stimulus!r}, expected one")
    report(sorted(known(signal_rows["signal_id"]) - signals), "has no row of level 0, expected one")
    with_level = signal_rows[signal_rows["level"].notna()].drop_duplicates(["signal_id", "level"])
    levels = with_level.groupby("signal_id", observed=True)["level"]
    lowest, highest, n_levels = levels.min(), levels.max(), levels.count()
    complete = (lowest == 0) & ((highest == 0) | ((highest == N_LEVELS - 1) & (n_levels == N_LEVELS)))
    some_levels = list(n_levels.index[~complete])
    report(some_levels, f"has only some levels, expected level 0 alone or 0 to {N_LEVELS - 1}")
    clips_without = known(signal_rows["clip_id"]) - known(whole["clip_id"])
    report(sorted(clips_without), "has no row of the whole clip")
    clip_rows = rows[rows["stimulus"] != "silence"]
    lengths = known(clip_rows["n_samples"]) - known(silence["n_samples"])
    report(sorted(lengths), "samples is the length of a clip, and there is no row of silence of that length")
    is_swap = clip_rows["stimulus"] == "swap"
    for column, subset in (("truth", clip_rows), ("n_samples", clip_rows[~is_swap])):
        report(_differing(subset, ["clip_id"], column), f"has rows with different {column}, expected one")
    differing = _differing(signal_rows, ["signal_id"], "expected")
    report(differing, "has rows with different expected, expected one")
    report(
        _differing(signal_rows, ["reference", "clip_id"], "expected"),
        "is given different classes by one reference, expected one: that of the whole clip",
    )
    problems += validate_controls.validate_controls(signal_rows, whole)
    n_clips = clip_rows["clip_id"].nunique()
    if n_clips > MAX_CLIPS:
        problems.append(f"verdicts.parquet: {n_clips} clips, expected at most {MAX_CLIPS}")
    signals_once = signal_rows.drop_duplicates("signal_id")
    signal_counts = Counter(zip(texts(signals_once["reference"]), texts(signals_once["family"]), strict=True))
    for reference in entry.references:
        n = signal_counts[reference.model.repo_id, reference.family]
        n_expected = reference.n_signals - reference.n_degenerate
        if n != n_expected:
            problems.append(
                f"verdicts.parquet: {plural(n, 'signal')} of {reference.model.repo_id}, family"
                f" {reference.family}, expected {n_expected}: published and not degenerate"
            )
    return problems


def _differing(rows: pd.DataFrame, key: list[str], column: str) -> list[Any]:
    """What the last column of a key says, in order, where rows of one key have several values of a column."""
    different = rows[[*key, column]].dropna(subset=key).drop_duplicates()
    keys = different[different.duplicated(key)].drop_duplicates(key).sort_values(key)
    return keys[key[-1]].tolist()
