"""Add a reference to a signals folder: clips, signals, and last the manifest that makes them count.

Public: existing, check_fits, add_reference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness import spectra
from harness.dataset import schema, shards
from harness.dataset.signals import MANIFEST, Suite, clips_path, signals_path, task_record
from harness.errors import BadInput, BadSignals
from harness.journal import replace_file
from harness.records import (
    PROTOCOL,
    Clip,
    Manifest,
    ReferenceRecord,
    SufficientSignal,
    to_json,
)
from harness.tasks import Task


def existing(root: Path) -> Suite | None:
    """The suite in a folder, or None where nothing was finished yet.

    Raises:
        BadInput: the folder is a file, or holds something else.
        BadSignals: a manifest that this version cannot read.
    """
    if root.exists() and not root.is_dir():
        raise BadInput(f"{root} is a file; --out names a folder")
    if (root / MANIFEST).is_file():
        return Suite(root, f"local/{root.resolve().name}")
    unfinished = any(root.glob(".*.journal"))
    if any(not path.name.startswith(".") for path in root.glob("*")) and not unfinished:
        raise BadInput(
            f"{root} holds files but no {MANIFEST}: it is no signals folder; name a new one with --out"
        )
    return None


def check_fits(suite: Suite | None, task: Task, record: ReferenceRecord, clips: Sequence[Clip]) -> None:
    """Check that a reference can join a suite, before any work is done.

    Raises:
        BadSignals: the suite has this task with other labels, this reference at another revision, or a clip
            of the same id with other samples.
    """
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
            what = "other clips" if same_model else "another revision or label map"
            raise BadSignals(
                f"{root} has signals of {record.model.repo_id} from {what}; choose another --out"
            )
    if clips_path(task.name) in suite.manifest.files:
        known = suite.clips(task.name)
        for clip in clips:
            old_clip = known.get(clip.clip_id)
            if old_clip is not None and not np.array_equal(old_clip.waveform, clip.waveform):
                raise BadSignals(f"{root} has another clip named {clip.clip_id!r}; choose another --out")


def add_reference(
    root: Path,
    task: Task,
    record: ReferenceRecord,
    clips: Sequence[Clip],
    signals: Sequence[SufficientSignal],
    *,
    masks_only: bool = False,
) -> None:
    """Write the signals of one reference; families it has from before and that are not given again stay.

    Several processes may add to one folder: they wait for each other.

    Args:
        root: the signals folder, made if need be.
        task: the task.
        record: the reference; its counts are those of `signals`.
        clips: every clip that was looked at.
        signals: of all families given.
        masks_only: store no audio of the signals; it is rebuilt from the clips.

    Raises:
        BadSignals: see `check_fits`.
        BadInput: the folder cannot be written.
    """
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".lock"):
        _add(root, task, record, clips, signals, masks_only=masks_only)


def _add(
    root: Path,
    task: Task,
    record: ReferenceRecord,
    clips: Sequence[Clip],
    signals: Sequence[SufficientSignal],
    *,
    masks_only: bool,
) -> None:
    suite = existing(root)
    check_fits(suite, task, record, clips)
    slug = record.model.slug
    old_record = next(
        (r for r in (suite.references(task.name) if suite else ()) if r.model.slug == slug), None
    )
    try:
        _write_clips(root, suite, task, clips)
        families = {s.family for s in signals} | {c.family for c in record.counts}
        rows = list(_kept_rows(suite, task, slug, families)) if old_record else []
        by_id = {clip.clip_id: clip for clip in clips}
        rows += [_row(s, None if masks_only else by_id[s.clip_id]) for s in signals]
        rows.sort(key=lambda row: (row["clip_id"], row["family"]))
        shards.write_rows(root / signals_path(task.name, slug), rows, schema.SIGNALS)
    except OSError as error:
        raise BadInput(f"cannot write {root}: {error.strerror}; choose another --out") from None
    if old_record is not None:
        record = _merged(old_record, record)
    _write_manifest(root, suite, task, record)


def _row(signal: SufficientSignal, clip: Clip | None) -> dict[str, Any]:
    if clip is None:
        return schema.signal_row(signal, None)
    X = spectra.spectrum(clip.waveform)
    return schema.signal_row(signal, spectra.keep(X, signal.mask, signal.n_samples))


def _kept_rows(suite: Suite | None, task: Task, slug: str, families: set[str]) -> Iterator[dict[str, Any]]:
    if suite is None:
        return
    path = suite.root / signals_path(task.name, slug)
    for row in shards.read_rows(path, schema.SIGNALS):
        if row["family"] not in families:
            yield row


def _write_clips(root: Path, suite: Suite | None, task: Task, clips: Sequence[Clip]) -> None:
    path = clips_path(task.name)
    known = dict(suite.clips(task.name)) if suite and path in suite.manifest.files else {}
    known.update((clip.clip_id, clip) for clip in clips)
    ordered = [known[clip_id] for clip_id in sorted(known)]
    shards.write_rows(root / path, (schema.clip_row(c) for c in ordered), schema.CLIPS)


def _merged(old: ReferenceRecord, new: ReferenceRecord) -> ReferenceRecord:
    families = {c.family for c in new.counts}
    counts = [c for c in old.counts if c.family not in families] + list(new.counts)
    names = {name.split("(")[0] for name in new.searches}
    searches = [s for s in old.searches if s.split("(")[0] not in names] + list(new.searches)
    return dataclasses.replace(
        new,
        counts=tuple(sorted(counts, key=lambda c: c.family, reverse=True)),
        searches=tuple(sorted(searches, reverse=True)),
        skipped=tuple(sorted({*old.skipped, *new.skipped}, key=lambda s: (s.clip_id, s.why))),
    )


def _write_manifest(root: Path, suite: Suite | None, task: Task, record: ReferenceRecord) -> None:
    tasks = {t.name: t for t in (suite.manifest.tasks if suite else ())}
    tasks[task.name] = task_record(task)
    references = {(r.task, r.model.repo_id): r for r in (suite.manifest.references if suite else ())}
    references[task.name, record.model.repo_id] = record
    files = dict(suite.manifest.files) if suite else {}
    for path in (clips_path(task.name), signals_path(task.name, record.model.slug)):
        files[path] = shards.sha256_of(root / path)
    manifest = Manifest(
        PROTOCOL,
        tuple(tasks[name] for name in sorted(tasks)),
        tuple(references[key] for key in sorted(references)),
        dict(sorted(files.items())),
    )
    replace_file(root / MANIFEST, to_json(manifest).encode())
