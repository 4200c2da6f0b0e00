"""Download of a suite: files are copied, verified and updated; clips are rebuilt where only masks exist.

    <to>/.source.json     where the files came from, and which clips were rebuilt
    <to>/...              a signals folder

Every file has the sha256 of the manifest before it counts; one that is there already is not fetched. The
references' own entries come too, listed in the manifest or not. Where only masks were published, clips are
found in the user's own copy of the corpus by the sha256 of their samples.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from harness import audio, disk_errors, untrusted
from harness.dataset import atomic_folder, parquet_io, parquet_schema
from harness.dataset import download_source as sources
from harness.dataset.corpora import Corpus, open_corpus, sounds_below
from harness.dataset.paths import ENTRY, MANIFEST, SOURCE, VERDICTS, VERDICTS_FILE, clips_path
from harness.dataset.suites import Suite, load
from harness.disk_errors import pointer, unwritable
from harness.errors import BadCorpus, BadInput, BadSignals
from harness.hub import fetching
from harness.hub.repository import Repository
from harness.journal import replace_file
from harness.manifest import Manifest
from harness.schemas import Entry, from_json, to_json
from harness.tasks import Task
from harness.types import Clip

Progress = Callable[[int, int], None]
"""Told the files done and the bytes fetched or copied, since it was last called."""


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """The result of rebuilding the clips of a task."""

    n_clips: int
    """Clips, each with the samples it was published with."""
    n_signals: int
    """Signals made of them by their masks."""
    n_differing: int
    """Of these, not to the last bit what was certified: this machine rounds otherwise."""


def files_for(suite: Suite, tasks: Sequence[str]) -> dict[str, str]:
    """The files of some tasks, their references' entries among them, and those of none: sha256 by path.

    Raises:
        BadSignals: an entry cannot be read, or does not have the verdicts whose sha256 it states.
    """
    task_names = list(suite.task_names)
    items = suite.manifest.files.items()
    files = {path: sha256 for path, sha256 in items if _task_of(path, task_names) in (None, *tasks)}
    return _entries(suite, tasks) | files


def path_of(suite: Suite, path: str) -> Path:
    """The path of a file that `files_for` lists.

    Raises:
        BadSignals: it is missing, or differs from the manifest.
    """
    return suite.file(path) if path in suite.manifest.files else suite.root / path


def into(suite: Suite, tasks: Sequence[str], to: Path, progress: Progress = lambda n, n_bytes: None) -> Suite:
    """Copy some tasks of a suite into a folder; what came there before, from the same source, stays current.

    The folder is made if need be.

    Returns:
        The suite in the folder.

    Raises:
        BadInput: the folder holds something else, or cannot be written.
        BadSignals: a file cannot be fetched, or is not what the manifest says.
    """
    with atomic_folder.lock_folder(to, "--out"):
        source = _source(to, suite.name)
        old = _read_manifest(to)
        old_tasks = old.tasks if old else ()
        names = sorted({*tasks, *(task.name for task in old_tasks if suite.has_task(task.name))})
        files, replacements = files_for(suite, names), source["rebuilt"]
        for path in replacements:
            if replacements[path]["from"] == files.get(path):
                files[path] = replacements[path]["to"]
        manifest = dataclasses.replace(
            suite.manifest,
            tasks=tuple(t for t in suite.manifest.tasks if t.name in names),
            references=tuple(r for r in suite.manifest.references if r.task in names),
            files={path: files[path] for path in suite.manifest.files if path in files},
        )
        try:
            data = to_json(manifest).encode()
            source |= {"commit": suite.commit, "manifest": hashlib.sha256(data).hexdigest()}
            replace_file(to / SOURCE, json.dumps(source, indent=1).encode())
            for path, sha256 in files.items():
                progress(1, _fetch_or_copy(suite, path, sha256, to))
            replace_file(to / atomic_folder.NEW_MANIFEST, data)
            atomic_folder.commit_pending(to)
            _remove_others(to, manifest)
        except OSError as error:
            raise BadInput(unwritable(to, error, "choose another --out")) from None
    return load(str(to))


def rebuild(suite: Suite, task: Task, sources: Sequence[str], progress: Progress) -> None:
    """Put the clips of a task, of which only masks are there, into a folder that `into` made.

    The `sources` are folders of sound files, or Hub datasets; a clip is known by its samples, not by its
    name. Progress is told of clips.

    Raises:
        BadCorpus: a clip is in none of them.
    """
    path = clips_path(task.name)
    rows = {r["sha256"]: r for r in parquet_io.read_rows(suite.file(path), parquet_schema.CLIPS)}
    missing = dict(rows)

    def clip_rows() -> Iterator[dict[str, Any]]:
        for clip in _clips(sources, task):
            row = missing.pop(audio.sha256(clip.waveform), None)
            if row is not None:
                progress(1, len(clip.waveform))
                names = {name: row[name] for name in ("clip_id", "corpus", "label", "pair")}
                yield parquet_schema.clip_row(dataclasses.replace(clip, **names))
            if not missing:
                return

    with atomic_folder.lock_folder(suite.root, "--out"):
        part = atomic_folder.new(suite.root / path)
        columns = parquet_schema.clips_schema(row["pair"] for row in rows.values())
        parquet_io.write_rows(part, clip_rows(), columns, task.sample_rate_hz)
        if missing:
            part.unlink()
            raise BadCorpus(_not_found(suite, task, missing.values(), len(rows), sources))
        sha256 = parquet_io.sha256_of(part)
        source = _source(suite.root, suite.name)
        source["rebuilt"][path] = {"from": suite.manifest.files[path], "to": sha256}
        manifest = dataclasses.replace(suite.manifest, files={**suite.manifest.files, path: sha256})
        data = to_json(manifest).encode()
        source["manifest"] = hashlib.sha256(data).hexdigest()
        replace_file(suite.root / SOURCE, json.dumps(source, indent=1).encode())
        replace_file(suite.root / atomic_folder.NEW_MANIFEST, data)
        atomic_folder.commit_pending(suite.root)


def was_rebuilt(suite: Suite, task: Task) -> bool:
    """Whether the clips of a task came from the user's own copy."""
    fields = sources.read(suite.root)
    return fields is not None and clips_path(task.name) in fields["rebuilt"]


def compare_rebuilt(suite: Suite, task: Task) -> Rebuilt:
    """Whether the masks give, on the clips that were rebuilt, the signals that were certified."""
    n_clips = sum(1 for _ in suite.clip_lines(task.name))
    matches = [
        audio.sha256(waveform) == signal.sha256
        for record in suite.references(task.name)
        for signal, waveform in suite.signals(task.name, record.model.slug)
    ]
    return Rebuilt(n_clips, len(matches), matches.count(False))


def _clips(sources: Sequence[str], task: Task) -> Iterator[Clip]:
    for source in sources:
        if Path(source).is_dir():
            corpus = Corpus(source, None, None, sounds_below(Path(source)))
        else:
            # A clip is known by its samples: whichever split it was taken from, it is found.
            corpus = open_corpus(source, task, every_split=True)
        yield from corpus.clips(task)


def _not_found(
    suite: Suite, task: Task, missing: Iterable[dict[str, Any]], n: int, sources: Sequence[str]
) -> str:
    clip_ids = sorted(row["clip_id"] for row in missing)
    corpora = sorted({f"{r.corpus.name} at {r.corpus.revision[:12]}" for r in suite.references(task.name)})
    return (
        f"{len(clip_ids)} of {n} clips of {task.name} are not in {', '.join(sources)}, sample for sample, as"
        f" {clip_ids[0]}; expected {' and '.join(corpora)}: is it another version, or was it converted?"
    )


def _task_of(path: str, tasks: Sequence[str]) -> str | None:
    """The task a file is of; None for the card and its like."""
    top, *rest = path.split("/")
    if top == VERDICTS and rest:
        return next((task for task in tasks if rest[-2].startswith(f"{task}@")), None)
    return next(
        (t for t in tasks if top in (t, *(f"{t}_{kind}" for kind in ("clips", "sets", VERDICTS)))), None
    )


def _entries(suite: Suite, tasks: Sequence[str]) -> dict[str, str]:
    """Files of the references' entries on the current signals; a manifest lists them once published."""
    if suite.is_remote:
        return {}
    records = [record for record in suite.manifest.references if record.task in tasks]
    keys = {(record.task, record.model, suite.ref(record.task).sha256) for record in records}
    files = {}
    for folder in suite.verdicts():
        try:
            data = (folder / ENTRY).read_bytes()
            entry = from_json(Entry, data)
            if (entry.task, entry.model, entry.signals.sha256) not in keys:
                continue
            is_whole = parquet_io.sha256_of(folder / VERDICTS_FILE) == entry.verdicts_sha256
        except (OSError, ValueError):
            is_whole = False
        if not is_whole:
            message = pointer(folder / ENTRY) or pointer(folder / VERDICTS_FILE)
            raise BadSignals(
                message
                or f"{folder} holds no entry of this version with the verdicts it tells of (sha256);"
                f" let its model judge again: goodenough evaluate MODEL --signals {quote(str(suite.root))}"
                " --update-suite"
            )
        path = folder.relative_to(suite.root).as_posix()
        files[f"{path}/{VERDICTS_FILE}"] = entry.verdicts_sha256
        files[f"{path}/{ENTRY}"] = hashlib.sha256(data).hexdigest()
    return files


def _read_manifest(to: Path) -> Manifest | None:
    path = to / MANIFEST
    try:
        return from_json(Manifest, untrusted.content(path)) if path.is_file() else None
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise BadSignals(
            f"{path} is not a manifest of this version ({reason}); choose another --out"
        ) from None


def _source(to: Path, name: str) -> dict[str, Any]:
    """Where the folder's files came from.

    Raises:
        BadInput: from elsewhere.
    """
    if (fields := sources.read(to)) is not None:
        if fields["source"] == name:
            return fields
        raise BadInput(f"{to} holds signals of {fields['source']}, not of {name}; choose another --out")
    if (to / MANIFEST).is_file():
        raise BadInput(f"{to} holds signals that were not downloaded; choose another --out")
    return {"source": name, "commit": None, "manifest": None, "rebuilt": {}}


def _fetch_or_copy(suite: Suite, path: str, sha256: str, to: Path) -> int:
    """Fetch or copy a file into the folder; returns the bytes that were transferred."""
    target = to / path
    for candidate in (target, atomic_folder.new(target)):
        if candidate.is_file() and parquet_io.sha256_of(candidate) == sha256:
            return 0
    source = path_of(suite, path).resolve()
    with disk_errors.whole(atomic_folder.new(target)) as part:
        try:
            # The cache and the folder share what lies on one disk. A user's folder, or the package, shares
            # nothing: what changed a file here would change it there.
            (os.link if suite.is_remote else shutil.copyfile)(source, part)
        except OSError:
            shutil.copyfile(source, part)
        if parquet_io.sha256_of(part) != sha256:
            raise BadSignals(f"{path} changed while it was copied; give the same command again")
    return source.stat().st_size


def _remove_others(to: Path, manifest: Manifest) -> None:
    """Remove files of an earlier version; verdicts that were made here stay."""
    for task in manifest.tasks:
        for path in to.glob(f"{task.name}*/*.parquet"):
            name = path.relative_to(to).as_posix()
            if name not in manifest.files and _task_of(name, [task.name]):
                path.unlink()


def sizes(suite: Suite, paths: Iterable[str]) -> dict[str, int]:
    """Bytes of files of a suite of the Hub, or of a local one, by path."""
    if suite.commit is None or not suite.is_remote:
        return {path: (suite.root / path).stat().st_size for path in paths}
    remote_files = fetching.files_of(Repository(suite.name), suite.commit)
    return {path: remote_files[path].n_bytes for path in paths if path in remote_files}
