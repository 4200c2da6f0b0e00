"""The record of an entry's model on unpublished signals: a sidecar file next to the entry's folder.

    <org>__<model>/<revision[:12]>/<task>@<signals[:8]>/                 the entry, immutable
    <org>__<model>/<revision[:12]>/<task>@<signals[:8]>.held-back.json   its lift on held-back signals

Those who maintain the submissions make it, with the private dataset that `goodenough publish --hold-back`
made. It contains numbers, and names of models that the entry names, too, but nothing of a held-back clip. It
is bound to one entry by the sha256 of its files, and its content is not trusted.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from math import isclose
from pathlib import Path

from harness.dataset import paths
from harness.dataset.parquet_io import sha256_of
from harness.entries import store
from harness.entries.sidecar import Sidecar, differences
from harness.entries.untrusted_files import Rule, rule_problems, text_problems
from harness.entries.untrusted_text import excerpt
from harness.metrics.held_back import LiftComparison
from harness.schemas import Entry, RunSettings
from harness.types import MIN_SIGNALS, PROTOCOL, STRICT, DatasetRef, Estimate

SUFFIX = paths.HELD_BACK

MAX_BYTES = 2**16
MAX_TEXT = 200
"""Characters of a text."""
MAX_CLIPS = 10**7

_TOLERANCE = 1e-9
"""Largest difference of a number and what is counted from others."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REPO_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")


@dataclasses.dataclass(frozen=True)
class HeldBack(LiftComparison):
    """The lift of an entry's model on held-back signals: `<task>@<signals[:8]>.held-back.json`."""

    __pydantic_config__ = STRICT

    protocol: int
    """PROTOCOL at the time."""
    entry: str
    """Path of the entry below the submissions."""
    entry_sha256: str
    """Of its entry.json."""
    verdicts_sha256: str
    """Of its verdicts.parquet."""
    signals: DatasetRef
    """The held-back signals: a private dataset of the Hub, or a folder."""
    run: RunSettings
    """How the held-back signals were judged."""


def record_of(folder: Path, private: Entry, lifts: LiftComparison) -> HeldBack:
    """The record of the entry in a folder; `private` is that of the same model on the held-back signals."""
    entry = store.read(folder)
    return HeldBack(
        protocol=PROTOCOL,
        entry=entry.path,
        entry_sha256=sha256_of(folder / store.ENTRY),
        verdicts_sha256=entry.verdicts_sha256,
        signals=private.signals,
        run=private.run,
        **vars(lifts),
    )


def _shape(record: HeldBack) -> Iterator[str]:
    r, n_references = record, len(record.references)
    n_of_lifts, signals = r.lift.n + r.held_back_lift.n, r.signals
    of_clips = f"1 to {MAX_CLIPS}"
    is_commit, is_sha256 = _COMMIT.fullmatch(signals.revision), _SHA256.fullmatch(signals.sha256)
    rules: list[Rule] = [
        ("protocol", r.protocol, r.protocol == PROTOCOL, f"{PROTOCOL}, that of this version"),
        ("signals.repo_id", signals.repo_id, bool(_REPO_ID.fullmatch(signals.repo_id)), "org/name"),
        ("signals.revision", signals.revision, bool(is_commit), "40 hex digits (a commit) or 64 (a sha256)"),
        ("signals.sha256", signals.sha256, bool(is_sha256), "64 hex digits"),
        ("signals.split", signals.split, signals.split == "test", "'test'"),
        ("references", n_references, 0 < n_references == len({*r.references}), "at least 1, each once"),
        ("n_clips", r.n_clips, 0 < r.n_clips <= MAX_CLIPS, of_clips),
        ("n_held_back_clips", r.n_held_back_clips, 0 < r.n_held_back_clips <= MAX_CLIPS, of_clips),
        (
            "difference.n",
            r.difference.n,
            r.difference.n == n_of_lifts,
            f"{n_of_lifts}, those of the two lifts",
        ),
    ]
    for name, lift, n_clips in (
        ("lift", r.lift, r.n_clips),
        ("held_back_lift", r.held_back_lift, r.n_held_back_clips),
    ):
        least, most = MIN_SIGNALS * n_references, n_clips * n_references
        rules.append((f"{name}.n", lift.n, least <= lift.n <= most, f"{least} to {most}"))
        rules.append(_interval(name, lift, 1.0))
    rules.append(_interval("difference", r.difference, 2.0))
    yield from rule_problems(rules)
    a, b, c = r.lift.value, r.held_back_lift.value, r.difference.value
    if a is not None and b is not None and c is not None and not isclose(a - b, c, abs_tol=_TOLERANCE):
        yield f"difference.value: {c:.6g}, expected {a - b:.6g}, that of the two lifts"
    yield from text_problems(dataclasses.asdict(r), MAX_TEXT)


def _interval(field: str, estimate: Estimate, most: float) -> Rule:
    interval = f"{estimate.value} [{estimate.low}, {estimate.high}] at {estimate.level}"
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return field, interval, False, "a number with its interval"
    valid = -most <= estimate.low <= estimate.value <= estimate.high <= most and estimate.level == 0.95
    return field, interval, valid, f"a number in its 95 % interval, from -{most:g} to {most:g}"


def _of_entry(record: HeldBack, entry: Entry, sha256: str) -> Iterator[str]:
    """Whether it is of exactly this entry, with the same lift."""
    r = record
    yield from differences(
        (
            ("entry", r.entry, entry.path),
            ("entry_sha256", r.entry_sha256, sha256),
            ("verdicts_sha256", r.verdicts_sha256, entry.verdicts_sha256),
            ("signals.config", r.signals.config, entry.task),
            ("run.dtype", r.run.dtype, entry.run.dtype),
        )
    )
    if r.signals.sha256 == entry.signals.sha256:
        yield "signals.sha256: that of the entry's own signals, expected others, which are held back"
    yield from _same_lift(record, entry)


def _same_lift(record: HeldBack, entry: Entry) -> Iterator[str]:
    """The lift over some references is the mean of those of their cells."""
    headline = entry.scorecard.headline
    cells = {c.reference.repo_id: c for c in (headline.cells if headline else ()) if not c.own}
    lifts = [cells[name].rates.lift for name in record.references if name in cells]
    values = [lift.value for lift in lifts if lift.value is not None]
    if not len(values) == len(record.references) > 0:
        yield "references: not all of them count in the lift of the entry, expected such references alone"
        return
    mean, n = sum(values) / len(values), sum(lift.n for lift in lifts)
    if record.lift.value is None or not isclose(record.lift.value, mean, abs_tol=_TOLERANCE):
        yield f"lift.value: {excerpt(record.lift.value)}, expected {mean:.6g}, by the cells of the entry"
    if record.lift.n != n:
        yield f"lift.n: {record.lift.n}, expected {n}, by the cells of the entry"


_SIDECAR = Sidecar(
    kind=HeldBack,
    suffix=SUFFIX,
    max_bytes=MAX_BYTES,
    noun="a record of the entry beside it on held-back signals",
    command="goodenough verify {folder} --held-back PRIVATE",
    shape=_shape,
    of_entry=_of_entry,
)
sidecar_of, write, read, problems = _SIDECAR.path, _SIDECAR.write, _SIDECAR.read, _SIDECAR.problems
