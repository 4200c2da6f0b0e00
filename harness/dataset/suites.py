"""A signals folder, built here or downloaded: the suite that models are evaluated on."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from harness import audio, disk_errors, untrusted
from harness.dataset import download_source, parquet_io, parquet_schema, signal_lines
from harness.dataset.completed import sound_of
from harness.dataset.paths import ANCHORS, ENTRY, MANIFEST, VERDICTS, clips_path, sets_path, signals_path
from harness.dataset.recent_items import RecentItems
from harness.errors import BadInput, BadSignals, likely
from harness.families import in_order, is_family
from harness.hub import fetching
from harness.hub.repository import Repository, split
from harness.manifest import Manifest, ReferenceRecord, invalid_name
from harness.schemas import ReferenceCounts, from_json
from harness.tasks import Task, task_of
from harness.types import PROTOCOL, CausalSet, Clip, DatasetRef, Mask, SufficientSignal, Waveform

_MAX_CACHED_LINES = 1 << 16
"""Lines of signals that are kept, of half a kilobyte each."""

_MAX_CACHED_SAMPLES = 1 << 23
"""Samples of decoded clips that are kept: 32 MiB."""

_MASK_COLUMNS = ("signal_id", "family", "n_samples", "sample_rate_hz", "mask")
"""Columns of SIGNALS that a mask is made of."""

T = TypeVar("T")


class Suite:
    """Clips, signals and references of one or more tasks, read on demand."""

    def __init__(
        self,
        root: Path,
        name: str,
        commit: str | None = None,
        fetch: Callable[[str, str], None] | None = None,
    ) -> None:
        """Open a folder; in entries it has the name, e.g. `org/name`, and the 40-hex commit of the Hub.

        A file that is not there yet is brought by `fetch`, by path and sha256.

        Raises:
            BadSignals: no manifest, or one of another protocol, or files that differ from it.
        """
        self.root = root
        self.name = name
        self.commit = commit
        self._fetch = fetch
        path = root / MANIFEST
        if not path.is_file():
            raise BadSignals(
                f"{root} has no {MANIFEST}: it is no finished signals folder; "
                "build one with: goodenough extract MODEL --task T --corpus SOURCE --out DIR"
            )
        try:
            self.manifest = from_json(Manifest, untrusted.content(path))
        except ValueError as error:
            message = f"{path} is not a manifest of this version: {str(error).splitlines()[0]}"
            raise BadSignals(disk_errors.pointer(path) or message) from None
        if self.manifest.protocol != PROTOCOL:
            raise BadSignals(
                f"{path} was made under protocol {self.manifest.protocol}, this version has {PROTOCOL}; "
                "extract again or install the version that made it"
            )
        if invalid := invalid_name(self.manifest):
            raise BadSignals(f"{path} holds the name {invalid!r}, which could lead out of the folder")
        for task in self.task_names:
            if not is_family(self.manifest.headlines.get(task, "")):
                raise BadSignals(f"{path} has no family that ranks for {task}; extract again")
        self._valid_files: set[str] = set()
        self._digests: dict[str, str] = {}
        self._open: dict[tuple[str, tuple[str, ...] | None], parquet_io.Rows] = {}
        self._recent_clips = RecentItems[tuple[str, str], Clip](
            _MAX_CACHED_SAMPLES, lambda clip: len(clip.waveform)
        )
        self._signal_lines: dict[tuple[str, str], list[parquet_schema.SignalLine]] = {}
        self._clip_lines: dict[str, list[parquet_schema.ClipLine]] = {}
        self._clips: dict[str, dict[str, Clip]] = {}

    @property
    def is_remote(self) -> bool:
        """Whether its files are fetched as they are needed."""
        return self._fetch is not None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of this suite."""
        return tuple(task_of(t) for t in self.manifest.tasks)

    @property
    def task_names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(task.name for task in self.manifest.tasks)

    def has_task(self, name: str) -> bool:
        """Whether it has signals for a task."""
        return name in self.task_names

    def task(self, name: str) -> Task:
        """A task of this suite by name.

        Raises:
            BadSignals: it has no such task.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        names = ", ".join(self.task_names) + likely(name, self.task_names)
        raise BadSignals(f"{self.name} has no signals for task {name!r}; it has: {names}")

    def references(self, task: str) -> tuple[ReferenceRecord, ...]:
        """The references of a task, by name."""
        records = [r for r in self.manifest.references if r.task == task]
        return tuple(sorted(records, key=lambda r: r.model.repo_id))

    def headline(self, task: str) -> str:
        """The family of a task that ranks."""
        return self.manifest.headlines[task]

    def families(self, task: str) -> tuple[str, ...]:
        """The families of a task, the headline first."""
        return in_order((count.family for count in self.counts(task)), self.headline(task))

    def counts(self, task: str) -> tuple[ReferenceCounts, ...]:
        """What each reference offers in each family."""
        return tuple(c for r in self.references(task) for c in r.counts)

    def ref(self, task: str) -> DatasetRef:
        """What an entry says it was evaluated on.

        Its sha256 is over clips and signals, not over the files that hold them: the same signals stored with
        audio or as masks, or by another version of Parquet, are the same suite.
        """
        if task not in self._digests:
            digest = hashlib.sha256(f"protocol {PROTOCOL}\n".encode())
            for line in sorted(self._lines(task)):
                digest.update(line.encode())
            self._digests[task] = digest.hexdigest()
        content = self._digests[task]
        return DatasetRef(self.name, self.commit or content, task, "test", content, self.headline(task))

    def _lines(self, task: str) -> Iterator[str]:
        """What identifies each clip and each signal."""
        clip_fields: tuple[str, ...] = ("clip_id", "label", "sha256")
        yield f"headline\0{self.headline(task)}\n"
        content = ("sha256", "survival", "levels")
        signal_fields = ("signal_id", "expected", "n_atoms", "degenerate", "n_kept", *content)
        paths = [(clips_path(task), parquet_schema.CLIPS, clip_fields)]
        for reference in self.references(task):
            paths.append((signals_path(task, reference.model.slug), parquet_schema.SIGNALS, signal_fields))
        for path, columns, fields in paths:
            for row in parquet_io.read_rows(self.file(path), columns, fields):
                if row.get("levels") is not None:
                    row["levels"] = hashlib.sha256(row["levels"]).hexdigest()
                yield "\0".join(str(row[name]) for name in fields) + "\n"

    def clip_lines(self, task: str) -> Iterator[parquet_schema.ClipLine]:
        """What is known of each clip of a task without its sound."""
        if task not in self._clip_lines:
            names = [f.name for f in dataclasses.fields(parquet_schema.ClipLine)]
            rows = parquet_io.read_rows(self.file(clips_path(task)), parquet_schema.CLIPS, names)
            self._clip_lines[task] = [parquet_schema.ClipLine(**row) for row in rows]
        yield from self._clip_lines[task]

    def signal_lines(self, task: str, slug: str) -> Iterator[parquet_schema.SignalLine]:
        """What is known of each signal of a reference without its sound, degenerate ones included.

        Those of the first references are kept, up to _MAX_CACHED_LINES: every entry is held against them.
        """
        path, key = self.file(signals_path(task, slug)), (task, slug)
        if key in self._signal_lines:
            yield from self._signal_lines[key]
            return
        lines = []
        for line in signal_lines.read(path):
            lines.append(line)
            yield line
        if sum(map(len, self._signal_lines.values())) + len(lines) <= _MAX_CACHED_LINES:
            self._signal_lines[key] = lines

    def clip(self, task: str, clip_id: str) -> Clip:
        """One clip; the last ones asked for are kept, the same objects.

        Raises:
            BadSignals: there is none.
        """
        return self._recent_clips.get((task, clip_id), lambda: self._read_clip(task, clip_id))

    def _read_clip(self, task: str, clip_id: str) -> Clip:
        row = self._rows(clips_path(task), parquet_schema.CLIPS, "clip_id").find(clip_id)
        if row is None:
            raise BadSignals(f"{self.name}: task {task} has signals of a clip {clip_id}, but no such clip")
        return self._clip_of(row, task)

    def signal(self, task: str, slug: str, signal_id: str) -> tuple[SufficientSignal, Waveform]:
        """One signal of a reference with its waveform, as `signals` gives it.

        Raises:
            BadSignals: there is none.
        """
        row = self._signal_row(path := signals_path(task, slug), signal_id)
        signal = self._parse(parquet_schema.signal_of, self.root / path, row)
        return signal, self._waveform(task, signal, row["audio"])

    def mask(self, task: str, slug: str, signal_id: str) -> Mask:
        """(N,) the mask of one signal of a reference; no more of it is read. Raises as `signal`."""
        row = self._signal_row(path := signals_path(task, slug), signal_id, _MASK_COLUMNS)
        return self._parse(parquet_schema.mask_of, self.root / path, row)

    def _signal_row(self, path: str, signal_id: str, names: tuple[str, ...] | None = None) -> dict[str, Any]:
        row = self._rows(path, parquet_schema.SIGNALS, "signal_id", names).find(signal_id)
        if row is None:
            raise BadSignals(f"{self.name} has no signal {signal_id} in {path}")
        return row

    def clear_recent(self) -> None:
        """Keep none of the clips and signals that were read last; what is asked for again is read again."""
        self._recent_clips.clear()
        for rows in list(self._open.values()):
            rows.clear()

    def clips(self, task: str) -> dict[str, Clip]:
        """Clips of a task by id."""
        if task not in self._clips:
            rows = parquet_io.read_rows(self.file(clips_path(task)), parquet_schema.CLIPS)
            self._clips[task] = {row["clip_id"]: self._clip_of(row, task) for row in rows}
        return self._clips[task]

    def has_clips(self, task: str) -> bool:
        """Whether the clips of a task can be heard: where only masks are published they cannot."""
        path = self.file(clips_path(task))
        rows = parquet_io.read_rows(path, parquet_schema.CLIPS, ["audio.path"])
        return all(row["audio"] is not None for row in rows)

    def require_clips(self, task: str) -> None:
        """Check that they can.

        Raises:
            BadSignals: they cannot.
        """
        if not self.has_clips(task):
            raise self._without_clips(task)

    def verdicts(self) -> list[Path]:
        """Folders of the entries that came with the suite: of its references, in `verdicts/`."""
        if self._fetch is not None:
            for path in self.manifest.files:
                if path.startswith(f"{VERDICTS}/"):
                    self.file(path)
        return sorted(path.parent for path in (self.root / VERDICTS).glob(f"*/*/*/{ENTRY}"))

    def anchors(self, name: str) -> list[Path]:
        """Folders of the entries of an anchor; none where the suite brings none of that name.

        They are neither references nor candidates, and are not published.
        """
        return sorted(path.parent for path in (self.root / ANCHORS / name).glob(f"*/*/*/{ENTRY}"))

    def signals(self, task: str, slug: str) -> Iterator[tuple[SufficientSignal, Waveform]]:
        """Signals of a reference with their waveforms, degenerate ones included.

        Waveforms are decoded from the published bytes; where only masks are stored, made from the clip.
        """
        path = self.file(signals_path(task, slug))
        for row in parquet_io.read_rows(path, parquet_schema.SIGNALS):
            signal = self._parse(parquet_schema.signal_of, path, row)
            yield signal, self._waveform(task, signal, row["audio"])

    def causal_sets(self, task: str, slug: str) -> Iterator[CausalSet]:
        """Further sets of a reference, by clip, family and kind; none where none were looked for."""
        path = sets_path(task, slug)
        if path not in self.manifest.files:
            return
        for row in parquet_io.read_rows(self.file(path), parquet_schema.SETS):
            try:
                yield parquet_schema.set_of(row)
            except ValueError as error:
                raise BadSignals(f"{self.root / path}: {row['set_id']}: {error}") from None

    def expected_verdicts(self, task: str) -> set[tuple[str, int, str]]:
        """(signal_id, level, class c) of every signal that is not degenerate: what a candidate is asked.

        The level is 0 where there are no others, in families by responsibility, too.
        """
        files = (self.file(signals_path(task, r.model.slug)) for r in self.references(task))
        return {verdict for path in files for verdict in signal_lines.expected_verdicts(path)}

    def _clip_of(self, row: dict[str, Any], task: str) -> Clip:
        if row["audio"] is None or row["audio"]["bytes"] is None:
            raise self._without_clips(task)
        return parquet_schema.clip_of(row)

    def _without_clips(self, task: str) -> BadSignals:
        corpus = next((r.corpus.name for r in self.references(task)), "its corpus")
        location = str(self.root) if self.commit is None else self.name
        return BadSignals(
            f"{self.name} has masks only for {task}: its clips may not be passed on; with {corpus} at"
            f" hand, goodenough download {quote(location)} --corpus {task}=FOLDER --out DIR rebuilds them"
        )

    def _rows(self, relative: str, schema: Any, key: str, names: Any = None) -> parquet_io.Rows:
        if (relative, names) not in self._open:
            self._open[relative, names] = parquet_io.Rows(self.file(relative), schema, key, names)
        return self._open[relative, names]

    def _parse(self, parse: Callable[[dict[str, Any]], T], path: Path, row: dict[str, Any]) -> T:
        try:
            return parse(row)
        except ValueError as error:
            raise BadSignals(f"{path}: {row['signal_id']}: {error}") from None

    def _waveform(self, task: str, signal: SufficientSignal, cell: dict[str, bytes] | None) -> Waveform:
        if cell is not None and cell["bytes"] is not None:
            waveform = audio.read(cell["bytes"], signal.signal_id)[0]
            if audio.sha256(waveform) != signal.sha256:
                raise BadSignals(f"{self.name}: the audio of {signal.signal_id} is not what was certified")
            return waveform
        return sound_of(signal, self.clip(task, signal.clip_id), partial(self.clip, task))

    def file(self, relative: str) -> Path:
        """The path of a file of the manifest: it is there, fetched if need be, and has its sha256.

        Raises:
            BadSignals: it is missing or differs.
        """
        path = self.root / relative
        if relative not in self._valid_files:
            sha256 = self.manifest.files.get(relative)
            if sha256 is not None and self._fetch is not None:
                self._fetch(relative, sha256)
            elif sha256 is None or not path.is_file():
                raise BadSignals(f"{self.name} has no file {relative}; build or download it again")
            elif parquet_io.sha256_of(path) != sha256:
                line = f"{path} differs from {MANIFEST} (sha256); build or download it again"
                raise BadSignals(disk_errors.pointer(path) or line)
            self._valid_files.add(relative)
        return path


def load(name: str) -> Suite:
    """Open a signals folder, or a dataset of the Hub as `ORG/NAME` or `ORG/NAME@REVISION`.

    Raises:
        BadSignals: neither, or not a finished signals folder.
    """
    path = Path(name)
    if path.is_dir():
        return Suite(path, *_origin(path))
    if path.exists():
        raise BadSignals(f"{name} is a file; expected a signals folder or a Hub dataset ORG/NAME")
    repository_id = split(name)
    if repository_id is None:
        raise BadSignals(f"no signals folder at {name}, and it is not a Hub dataset ORG/NAME")
    return from_hub(*repository_id)


def _origin(root: Path) -> tuple[str, str | None]:
    """Name and commit of a folder's suite; an unchanged downloaded one keeps those of the Hub."""
    fields = download_source.read(root)
    manifest = root / MANIFEST
    if fields and manifest.is_file() and fields["manifest"] == parquet_io.sha256_of(manifest):
        return fields["source"], fields["commit"]
    return f"local/{root.resolve().name}", None


def from_hub(repo_id: str, revision: str | None) -> Suite:
    """A published suite; its files are fetched when they are first needed, and never twice.

    Raises:
        BadSignals: it cannot be reached, or is none.
    """
    repository = Repository(repo_id)
    try:
        commit = fetching.commit_of(repository, revision)
        root = fetching.fetch(repository, commit, MANIFEST).parent
    except BadInput as error:
        hint = "; expected a suite as goodenough publish makes it" if MANIFEST in str(error) else ""
        raise BadSignals(f"{error}{hint}") from None

    def fetch(path: str, sha256: str) -> None:
        for again in (False, True):
            target = fetching.fetch(repository, commit, path, again=again)
            if parquet_io.sha256_of(target) == sha256:
                return
        file_name = f"{path} of {repo_id}@{commit}"
        raise BadSignals(f"{file_name} differs from its {MANIFEST} (sha256), fetched twice: tell its authors")

    return Suite(root, repo_id, commit, fetch)
