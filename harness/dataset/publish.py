"""A signals folder in the form in which it is published, in `.published/`.

What is stored as masks gets its audio, or what has audio loses it (masks only); the references' verdicts
become tables that `datasets` can load, a card is written, and last a manifest with the sha256 of every file.
A file whose source has not changed is not made again: a run that was cut off continues, and the same folder
gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness import audio, untrusted
from harness.dataset import card, croissant, licences, parquet_io, parquet_schema
from harness.dataset.hold_back import shared_clips
from harness.dataset.paths import (
    CROISSANT,
    ENTRY,
    EVAL,
    MANIFEST,
    PUBLISHED,
    README,
    VERDICTS,
    VERDICTS_FILE,
    candidate_verdicts_path,
    clips_path,
    sets_path,
    signals_path,
)
from harness.dataset.suites import Suite, from_hub
from harness.disk_errors import whole
from harness.errors import BadInput, BadSignals
from harness.hub import fetching
from harness.hub.repository import Repository
from harness.journal import replace_file
from harness.manifest import Manifest
from harness.schemas import Entry, from_json, to_json
from harness.tasks import Task

FOLDER = ".published"
"""Folder of the published form, below the signals folder."""

_VERSION = "1"
"""Raised when the published form of the same source changes."""

MAX_FILE_BYTES = 50_000_000_000
"""The most the Hub takes as one file."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A folder that can be pushed, or loaded as it is."""

    root: Path
    """The folder."""
    files: dict[str, Path]
    """What belongs to it, by path below the root, the manifest last."""
    n_bytes: int
    """Of all of them."""


def problems(suite: Suite, licence: str | None, masks_only: bool) -> list[str]:
    """Why a suite may not be published in this form, a line each; `licence`: of corpora that state none."""
    if masks_only:
        return []
    licence_of_corpus = {r.corpus.name: r.corpus.licence or licence for r in suite.manifest.references}
    lines = [
        line
        for corpus in sorted(licence_of_corpus)
        if (line := licences.problem(corpus, licence_of_corpus[corpus]))
    ]
    for task in suite.tasks:
        paths = [clips_path(task.name)]
        paths += [signals_path(task.name, record.model.slug) for record in suite.references(task.name)]
        lines += [_too_large(path) for path in paths if _least_bytes(suite, path) > MAX_FILE_BYTES]
    return lines


def _least_bytes(suite: Suite, path: str) -> int:
    """How large a table will be with its audio, at least.

    Clips are stored with theirs. The samples of a signal fill their mantissas: no compression halves them;
    what is degenerate may be silence, and does not count.
    """
    size = suite.file(path).stat().st_size
    if path.split("/")[0].endswith("_clips"):
        return size
    rows = parquet_io.read_rows(suite.file(path), parquet_schema.SIGNALS, ["n_samples", "degenerate"])
    audio_bytes: int = sum(2 * row["n_samples"] for row in rows if not row["degenerate"])
    return max(size, audio_bytes)


def _too_large(path: str) -> str:
    return (
        f"{path} has more than {MAX_FILE_BYTES:,} bytes with its audio, the most the Hub takes: publish"
        " without, by --masks-only, or extract fewer clips into each folder"
    )


def published_before(repository: Repository) -> frozenset[str]:
    """The files of the suite that a repository holds; none where there is no repository, or no suite."""
    try:
        head = fetching.commit_of(repository, None)
        if MANIFEST not in fetching.files_of(repository, head):
            return frozenset()
        manifest = from_json(Manifest, fetching.fetch(repository, head, MANIFEST).read_bytes())
    except (BadInput, ValueError):
        return frozenset()
    return frozenset({*manifest.files, MANIFEST})


def public_clip_ids(repository: Repository, held_back: Suite, public: Suite) -> list[str]:
    """Clips that are to be held back, and that the repository of the public suite holds now.

    What has the clips of the public suite's published form is not fetched.
    """
    try:
        remote = from_hub(repository.repo_id, None)
    except BadSignals:
        return []
    clip_ids = []
    for task in filter(remote.has_task, held_back.task_names):
        path = clips_path(task)
        if remote.manifest.files.get(path) != _prepared_before(public, path):
            clip_ids += shared_clips(held_back, remote, task)
    return clip_ids


def _prepared_before(suite: Suite, path: str) -> str | None:
    """sha256 of a file of the published form that was made of the suite as it is; None for no such file."""
    builder = _Builder(suite.root / FOLDER)
    source, target = builder.old_sources.get(path, ""), builder.folder / path
    is_current = source.startswith(suite.manifest.files[path]) and target.is_file()
    return parquet_io.sha256_of(target) if is_current else None


def prepare(
    suite: Suite,
    entries: Sequence[Path],
    *,
    repo_id: str,
    cards: Mapping[str, str],
    licence: str | None = None,
    masks_only: bool = False,
    note: str = "",
    stability: Mapping[str, str] = MappingProxyType({}),
    paired_evidence: Mapping[str, str] = MappingProxyType({}),
    progress: Callable[[int], None] = lambda n: None,
) -> Prepared:
    """Write the published form of a local suite without `problems` below its folder.

    The entries are folders of the references' valid entries on it; `licence` is of the corpora that state
    none; `note` is a section of Markdown for the end of the card; for `cards`, `stability` and
    `paired_evidence` see `card.render`. Progress is told the files done since it was last called.

    Raises:
        BadSignals: a signal is not what was certified, or a file is too large for the Hub.
        BadInput: the folder cannot be written.
    """
    builder = _Builder(suite.root / FOLDER)
    (builder.folder / MANIFEST).unlink(missing_ok=True)
    references = []
    for record in suite.manifest.references:
        corpus = dataclasses.replace(record.corpus, licence=record.corpus.licence or licence)
        references.append(dataclasses.replace(record, corpus=corpus))
    suite.manifest = dataclasses.replace(suite.manifest, references=tuple(references))
    for part in _parts(suite, entries, masks_only):
        builder.make(part)
        progress(1)
        if (builder.folder / part.path).stat().st_size > MAX_FILE_BYTES:
            raise BadSignals(_too_large(part.path))
    builder.remove_others()
    tables = [
        path for path in builder.sources if path.endswith(".parquet") and not path.startswith(f"{VERDICTS}/")
    ]
    facts = {path: _facts(builder.folder / path) for path in tables}
    records = [from_json(Entry, (folder / ENTRY).read_bytes()) for folder in entries]
    text = card.render(suite, facts, records, cards, repo_id, masks_only, stability, paired_evidence)
    replace_file(builder.folder / README, (f"{text.rstrip()}\n\n{note}\n" if note else text).encode())
    replace_file(builder.folder / EVAL, card.eval_yaml(suite, repo_id).encode())
    table_hashes = {path: parquet_io.sha256_of(builder.folder / path) for path in tables}
    metadata = partial(
        croissant.render, suite, facts, table_hashes, records, cards, repo_id, masks_only, text
    )
    _write_croissant(builder.folder / CROISSANT, metadata)
    names = sorted([*builder.sources, README, EVAL, CROISSANT])
    hashes = {name: parquet_io.sha256_of(builder.folder / name) for name in names}
    manifest: Manifest = dataclasses.replace(suite.manifest, files=hashes)
    replace_file(builder.folder / MANIFEST, to_json(manifest).encode())
    files = {name: builder.folder / name for name in (*names, MANIFEST)}
    return Prepared(builder.folder, files, sum(path.stat().st_size for path in files.values()))


def _write_croissant(path: Path, metadata: Callable[[str], dict[str, Any]]) -> None:
    """Write the metadata of a day; where nothing else has changed since an earlier one, that day stays."""
    try:
        old = untrusted.json_of(untrusted.content(path))
    except untrusted.Unreadable:
        old = None
    day = old.get("datePublished") if isinstance(old, dict) else None
    document = metadata(day) if isinstance(day, str) else None
    if document is None or document != old:
        document = metadata(datetime.datetime.now(datetime.UTC).date().isoformat())
    replace_file(path, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def _facts(path: Path) -> card.FileFacts:
    metadata = pq.read_metadata(path)
    n_expanded = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    names = tuple(metadata.schema.to_arrow_schema().names)
    return card.FileFacts(metadata.num_rows, path.stat().st_size, n_expanded, names)


@dataclasses.dataclass(frozen=True)
class _Part:
    """A file of the published form."""

    path: str
    """Below the root."""
    of: str
    """What decides its content."""
    write: Callable[[Path], None]
    """Makes it, at a path that is not there yet."""


class _Builder:
    """Writes the files of the published form, and records the source of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources: dict[str, str] = {}
        """Path -> what it was made of."""
        try:
            old_sources = untrusted.json_of(untrusted.content(folder / PUBLISHED))
        except untrusted.Unreadable:
            old_sources = None
        self.old_sources: dict[str, str] = old_sources if isinstance(old_sources, dict) else {}
        """The same of an earlier run."""

    def make(self, part: _Part) -> None:
        """Make a file, unless it was made of the same before."""
        key, target = f"{part.of} {_VERSION}", self.folder / part.path
        if not (self.old_sources.get(part.path) == key and target.is_file()):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            part.write(target)
            self.old_sources[part.path] = key
            replace_file(self.folder / PUBLISHED, json.dumps(self.old_sources, indent=1).encode())
        self.sources[part.path] = key

    def remove_others(self) -> None:
        """Remove the files of an earlier form."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            name = path.relative_to(self.folder).as_posix()
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif name not in (*self.sources, PUBLISHED, CROISSANT):
                path.unlink()
        replace_file(self.folder / PUBLISHED, json.dumps(self.sources, indent=1).encode())


def _parts(suite: Suite, entries: Sequence[Path], masks_only: bool) -> Iterator[_Part]:
    """Every file but card and manifest."""
    files, form = suite.manifest.files, "masks" if masks_only else "audio"
    for task in suite.tasks:
        clips = clips_path(task.name)
        yield _Part(clips, f"{files[clips]} {form}", partial(_clips, suite, task, masks_only))
        for record in suite.references(task.name):
            slug = record.model.slug
            path, sets = signals_path(task.name, slug), sets_path(task.name, slug)
            # The audio of signals that are stored as masks is made of their clips.
            of = f"{files[path]} {files[clips]} {form}"
            yield _Part(path, of, partial(_signals, suite, task, slug, masks_only))
            if sets in files:
                yield _Part(sets, files[sets], partial(_sets, suite, task, slug))
    for folder in entries:
        entry = from_json(Entry, (folder / ENTRY).read_bytes())
        table_path = candidate_verdicts_path(entry.task, entry.model.slug)
        write = partial(_write_verdict_table, suite.task(entry.task), entry, folder)
        yield _Part(table_path, entry.verdicts_sha256, write)
        for name in (VERDICTS_FILE, ENTRY):
            path, source = f"{VERDICTS}/{entry.path}/{name}", folder / name
            yield _Part(path, parquet_io.sha256_of(source), partial(_copy, source))


def _clips(suite: Suite, task: Task, masks_only: bool, to: Path) -> None:
    source = suite.root / clips_path(task.name)
    if masks_only:
        rows = ({**row, "audio": None} for row in parquet_io.read_rows(source, parquet_schema.CLIPS))
    else:
        rows = (
            parquet_schema.clip_row(suite.clip(task.name, line.clip_id))
            for line in suite.clip_lines(task.name)
        )
    columns = parquet_schema.clips_schema(line.pair for line in suite.clip_lines(task.name))
    parquet_io.write_rows(to, rows, columns, task.sample_rate_hz)


def _signals(suite: Suite, task: Task, slug: str, masks_only: bool, to: Path) -> None:
    columns, rate = parquet_schema.SIGNALS, task.sample_rate_hz
    if masks_only:
        source = suite.root / signals_path(task.name, slug)
        rows = ({**row, "audio": None} for row in parquet_io.read_rows(source, columns))
        parquet_io.write_rows(to, rows, columns, rate)
        return

    def signal_rows() -> Iterator[dict[str, Any]]:
        for signal, waveform in suite.signals(task.name, slug):
            if audio.sha256(waveform) != signal.sha256:
                raise BadSignals(
                    f"{signal.signal_id}, rebuilt from its mask, is not what was certified: this machine"
                    " computes something else; publish from the one that extracted it, or extract again"
                )
            yield parquet_schema.signal_row(signal, waveform)

    parquet_io.write_rows(to, signal_rows(), columns, rate)


def _sets(suite: Suite, task: Task, slug: str, to: Path) -> None:
    rows = map(parquet_schema.set_row, suite.causal_sets(task.name, slug))
    parquet_io.write_rows(to, rows, parquet_schema.SETS, task.sample_rate_hz)


def _write_verdict_table(task: Task, entry: Entry, folder: Path, to: Path) -> None:
    """Write the verdicts of an entry with the candidate in each row: tables can be read as one."""
    verdicts = parquet_io.verdicts(folder / VERDICTS_FILE)
    names = pa.array([entry.model.repo_id] * verdicts.num_rows, pa.string())
    columns = parquet_schema.with_features(parquet_schema.CANDIDATE_VERDICTS, task.sample_rate_hz)
    table = verdicts.add_column(0, "candidate", names).cast(columns)
    with whole(to) as part:
        pq.write_table(table, part, compression="zstd")


def _copy(source: Path, to: Path) -> None:
    with whole(to) as part:
        shutil.copyfile(source, part)
