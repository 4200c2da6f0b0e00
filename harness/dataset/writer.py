"""Add a reference to a signals folder: clips, signals, sets, and last the manifest that makes them count.

A kill at any moment leaves the folder as it was or as it will be; several processes may add to one folder.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from harness.dataset import atomic_folder, parquet_io, parquet_schema
from harness.dataset.clip_sequence import ClipSequence, lines_of
from harness.dataset.completed import sound_of
from harness.dataset.paths import MANIFEST, clips_path, sets_path, signals_path
from harness.dataset.suites import Suite
from harness.disk_errors import unwritable
from harness.errors import BadInput, BadSignals
from harness.families import headline_of, in_order, kind_of
from harness.journal import replace_file
from harness.manifest import Manifest, ReferenceRecord
from harness.schemas import to_json
from harness.tasks import Task, task_record
from harness.types import PROTOCOL, CausalSet, Clip, SufficientSignal


def open_for(root: Path, task: Task, record: ReferenceRecord, clips: Sequence[Clip]) -> Suite | None:
    """The suite in a folder that a reference is about to join, or None where nothing was finished yet.

    Raises:
        BadInput: the folder is a file, or holds something else, or cannot be written.
        BadSignals: a manifest that this version cannot read, or one that the reference does not fit.
    """
    with atomic_folder.lock_folder(root, "--out"):
        suite = _open_existing(root)
        _check_fits(suite, task, record, clips)
    return suite


def _open_existing(root: Path) -> Suite | None:
    if (root / MANIFEST).is_file():
        return Suite(root, f"local/{root.resolve().name}")
    return None


def _check_fits(suite: Suite | None, task: Task, record: ReferenceRecord, clips: Sequence[Clip]) -> None:
    if suite is None:
        return
    root = suite.root
    if any(t.name == task.name and task_record(t) != task_record(task) for t in suite.tasks):
        raise BadSignals(
            f"{root} has task {task.name!r} with other labels or preparation; choose another --out"
        )
    for old in suite.references(task.name):
        same_model = old.model == record.model and old.label_map == record.label_map
        if old.model.repo_id == record.model.repo_id and not (same_model and old.corpus == record.corpus):
            difference = "other clips" if same_model else "another revision or label map"
            raise BadSignals(
                f"{root} has signals of {record.model.repo_id} from {difference}; choose another --out"
            )
    _check_has_headline(suite, task, record)
    old_clips = {clip.clip_id: clip for clip in _old_clips(suite, task)}
    if old_clips:
        suite.require_clips(task.name)
    for clip in lines_of(clips):
        old_clip = old_clips.get(clip.clip_id, clip)
        if old_clip.sha256 != clip.sha256:
            raise BadSignals(f"{root} has another clip named {clip.clip_id!r}; choose another --out")
        if old_clip.label != clip.label:
            raise BadSignals(
                f"{root} has clip {clip.clip_id!r} as {old_clip.label!r}, the corpus says {clip.label!r}; "
                "choose another --out"
            )
        if old_clip.pair not in (None, clip.pair):
            raise BadSignals(
                f"{root} has clip {clip.clip_id!r} in pair {old_clip.pair!r}, the corpus says {clip.pair!r}; "
                "choose another --out"
            )


def _check_has_headline(suite: Suite, task: Task, record: ReferenceRecord) -> None:
    """Signals of the kind of the headline, at another resolution alone, would never be counted with it."""
    if task.name not in suite.manifest.headlines:
        return
    headline = suite.headline(task.name)
    families = [counts.family for counts in record.counts]
    alike = [family for family in families if kind_of(family) == kind_of(headline)]
    has_it = any(
        counts.family == headline
        for old in suite.references(task.name)
        if old.model.slug == record.model.slug
        for counts in old.counts
    )
    if alike and headline not in families and not has_it:
        raise BadSignals(
            f"the headline of {suite.root} is {headline}, these signals are {alike[0]}; give --search"
            f" {headline}, too, or choose another --out"
        )


def add_reference(
    root: Path,
    task: Task,
    record: ReferenceRecord,
    clips: Sequence[Clip],
    signals: Iterable[SufficientSignal],
    *,
    sets: Iterable[CausalSet] = (),
    masks_only: bool = False,
    in_order: bool = False,
) -> None:
    """Write the signals of one reference; families it has from before and that are not given again stay.

    The counts of the record are those of `signals`; `clips` are all that were looked at. Further sets replace
    those of the same families. With `masks_only` no audio of the signals is stored: it is rebuilt from the
    clips. Signals that come `in_order` of clip_id, family and draw, and sets in that of clip_id, family, kind
    and ordinal, are in memory one at a time.

    Raises:
        BadSignals: see `open_for`.
        BadInput: the folder cannot be written.
    """
    with atomic_folder.lock_folder(root, "--out"):
        suite = _open_existing(root)
        _check_fits(suite, task, record, clips)
        old_records = suite.references(task.name) if suite is not None else ()
        old = next((r for r in old_records if r.model.slug == record.model.slug), None)
        try:
            _write_clips(root, suite, task, clips)
            if not in_order:
                signals = sorted(signals, key=lambda s: (s.clip_id, s.family, s.draw))
                sets = sorted(sets, key=_set_order)
            _write_signals(root, old, task, record, clips, signals, masks_only)
            _write_sets(root, suite, task, record, sets)
        except OSError as error:
            raise BadInput(unwritable(root, error, "choose another --out")) from None
        headline = _headline(suite, task, record)
        merged = record if old is None else _merge(old, record, headline)
        _write_manifest(root, suite, task, merged, headline)
        atomic_folder.commit_pending(root)


def _write_signals(
    root: Path,
    old: ReferenceRecord | None,
    task: Task,
    record: ReferenceRecord,
    clips: Sequence[Clip],
    signals: Iterable[SufficientSignal],
    masks_only: bool,
) -> None:
    """All rows in order of clip and family, one at a time in memory: the old ones that stay, and the new."""
    path = root / signals_path(task.name, record.model.slug)
    clip_of = _by_id(clips)
    families = {c.family for c in record.counts}
    new_rows = (_row(signal, None if masks_only else clip_of) for signal in signals)
    old_rows = parquet_io.read_rows(path, parquet_schema.SIGNALS) if old is not None else iter(())
    kept_rows = (row for row in old_rows if row["family"] not in families)
    rows = heapq.merge(kept_rows, new_rows, key=itemgetter("clip_id", "family", "draw"))
    parquet_io.write_rows(atomic_folder.new(path), rows, parquet_schema.SIGNALS, task.sample_rate_hz)


def _write_sets(
    root: Path, suite: Suite | None, task: Task, record: ReferenceRecord, sets: Iterable[CausalSet]
) -> None:
    """Write the old sets of other families, and the new ones, in order; no file where there are none."""
    families = {c.family for c in record.counts}
    old = suite.causal_sets(task.name, record.model.slug) if suite is not None else iter(())
    all_sets = heapq.merge((s for s in old if s.family not in families), sets, key=_set_order)
    path = sets_path(task.name, record.model.slug)
    first = next(all_sets, None)
    if first is not None or (suite is not None and path in suite.manifest.files):
        present = chain(() if first is None else (first,), all_sets)
        rows, new = map(parquet_schema.set_row, present), atomic_folder.new(root / path)
        parquet_io.write_rows(new, rows, parquet_schema.SETS, task.sample_rate_hz)


def _set_order(causal_set: CausalSet) -> tuple[str, str, str, int]:
    return causal_set.clip_id, causal_set.family, causal_set.kind, causal_set.ordinal


def _row(signal: SufficientSignal, clip_of: Callable[[str], Clip] | None) -> dict[str, Any]:
    sound = None if clip_of is None else sound_of(signal, clip_of(signal.clip_id), clip_of)
    return parquet_schema.signal_row(signal, sound)


def _write_clips(root: Path, suite: Suite | None, task: Task, clips: Sequence[Clip]) -> None:
    """All rows in order of their ids, one clip at a time in memory."""
    path, new_clip = clips_path(task.name), _by_id(clips)
    old = {line.clip_id: line for line in _old_clips(suite, task)}
    new = {line.clip_id: line for line in lines_of(clips)}
    all_lines = old | new

    def row(clip_id: str) -> dict[str, Any]:
        if suite is None or clip_id in new:
            return parquet_schema.clip_row(new_clip(clip_id))
        return parquet_schema.clip_row(suite.clip(task.name, clip_id))

    columns = parquet_schema.clips_schema(line.pair for line in all_lines.values())
    rows = map(row, sorted(all_lines))
    parquet_io.write_rows(atomic_folder.new(root / path), rows, columns, task.sample_rate_hz)


def _old_clips(suite: Suite | None, task: Task) -> Iterator[parquet_schema.ClipLine]:
    if suite is not None and clips_path(task.name) in suite.manifest.files:
        yield from suite.clip_lines(task.name)


def _by_id(clips: Sequence[Clip]) -> Callable[[str], Clip]:
    if isinstance(clips, ClipSequence):
        return clips.by_id
    return {clip.clip_id: clip for clip in clips}.__getitem__


def _merge(old: ReferenceRecord, new: ReferenceRecord, headline: str) -> ReferenceRecord:
    """Merge two records: a family that was searched again is taken from the new one."""
    by_family = {
        count.family: (count, search)
        for record in (old, new)
        for count, search in zip(record.counts, record.searches, strict=True)
    }
    pairs = [by_family[family] for family in in_order(by_family, headline)]
    families = {count.family for count in new.counts}
    return dataclasses.replace(
        new,
        counts=tuple(count for count, _ in pairs),
        searches=tuple(search for _, search in pairs),
        sets=(*(s for s in old.sets if s.family not in families), *new.sets),
        skipped=tuple(sorted({*old.skipped, *new.skipped}, key=lambda s: (s.clip_id, s.why))),
    )


def _headline(suite: Suite | None, task: Task, record: ReferenceRecord) -> str:
    """The family that ranks: that of the task from before, or the first one by responsibility."""
    families = [counts.family for counts in record.counts]
    if suite is not None and task.name in suite.manifest.headlines:
        families.insert(0, suite.headline(task.name))
    return headline_of(families)


def _write_manifest(
    root: Path, suite: Suite | None, task: Task, record: ReferenceRecord, headline: str
) -> None:
    tasks = {t.name: t for t in (suite.manifest.tasks if suite else ())}
    tasks[task.name] = task_record(task)
    references = {(r.task, r.model.repo_id): r for r in (suite.manifest.references if suite else ())}
    references[task.name, record.model.repo_id] = record
    files = dict(suite.manifest.files) if suite else {}
    slug = record.model.slug
    for path in (clips_path(task.name), signals_path(task.name, slug), sets_path(task.name, slug)):
        if atomic_folder.new(root / path).is_file():
            files[path] = parquet_io.sha256_of(atomic_folder.new(root / path))
    manifest = Manifest(
        PROTOCOL,
        tuple(tasks[name] for name in sorted(tasks)),
        tuple(references[key] for key in sorted(references)),
        {**(suite.manifest.headlines if suite else {}), task.name: headline},
        dict(sorted(files.items())),
    )
    replace_file(root / atomic_folder.NEW_MANIFEST, to_json(manifest).encode())
