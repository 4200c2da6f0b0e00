"""Corpora: a folder of recordings or a Hub dataset, one prepared clip at a time.

A folder has the AudioFolder form: `metadata.csv` with the columns `file_name,label` and, if it likes,
`split` and `pair`. A Hub dataset has one Audio column and a `label` column, unless Columns name others, and
it may have a column `pair` of text or whole numbers. Preparation (definitions: Signals): channels averaged,
brought to the task's rate by soxr, cut to a centred excerpt of `max_seconds`.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

from harness import audio
from harness.dataset.clip_sequence import ClipSequence, lines_of
from harness.dataset.parquet_schema import ClipLine
from harness.dataset.paths import METADATA
from harness.disk_errors import pointer
from harness.errors import BadCorpus, BadInput, likely
from harness.hub import repository
from harness.manifest import CorpusRef
from harness.name_matching import apart, key, nfc, same_file
from harness.plurals import plural
from harness.seeds import seed_of
from harness.tasks import Task
from harness.types import Clip, Skipped, Waveform

_SOUNDS = (
    *(".wav", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2"),
    *(".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist"),
)

_NAME_TYPES = frozenset({"string", "large_string", "int8", "int16", "int32", "int64"})
"""Types of a column `pair` on the Hub, signed or not; one of another type means something else."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a corpus hold recordings and class names, where that differs from the default."""

    audio: str | None = None
    """Column of a Hub dataset that holds the recordings; None for the only one. A folder has files."""
    label: str = "label"
    """Column of a Hub dataset that holds the class names; that of a folder is `label`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Class names that the task does not understand -> canonical label."""

    @cached_property
    def label_by_name(self) -> dict[str, str]:
        """`labels` by composed (NFC) names: a name is looked up in either form."""
        return {nfc(name): label for name, label in self.labels.items()}


DEFAULT_COLUMNS = Columns()
"""What `open_corpus` expects by default."""


@dataclass(frozen=True)
class Row:
    """A recording that is listed and not yet decoded."""

    clip_id: str
    label: str | None
    decode: Callable[[], tuple[Waveform, int, int]]
    pair: str | None = None
    """As of a clip."""


class Corpus:
    """The recordings chosen for one task."""

    def __init__(
        self,
        name: str,
        commit: str | None,
        licence: str | None,
        rows: Sequence[Row],
        choice: str | None = None,
    ) -> None:
        """See `open_corpus`."""
        self.name = name
        self._commit = commit
        self.licence = licence
        """As the corpus states it; None where it does not."""
        self._rows = rows
        self.choice = choice
        """A line on which split was taken, where that was not asked for by its name."""
        self._counts = {"n_resampled": 0, "n_mixed": 0, "n_cut": 0, "n_duplicates": 0}
        self.skipped: tuple[Skipped, ...] = ()
        """Recordings that could not be used when the clips were read last, each with the reason."""

    def __len__(self) -> int:
        return len(self._rows)

    def clips(self, task: Task) -> Iterator[Clip]:
        """The clips, prepared; one whose samples came before is left out, and one that cannot be used.

        A recording cannot be used where it is not whole, silent, or not at full scale 1: see `skipped`.

        Raises:
            BadCorpus: not one recording can be used.
        """
        for clip, _ in self._clips(task):
            yield clip

    def clip_sequence(self, task: Task) -> ClipSequence:
        """The same clips, a bounded number of them in memory; all are read once, and again when asked for.

        Raises:
            BadCorpus: see `clips`; and as a clip is asked for whose recording is another one by then.
        """
        rows = {row.clip_id: row for row in self._rows}

        def read(line: ClipLine) -> Clip:
            raw, rate, _ = rows[line.clip_id].decode()
            excerpt, _ = audio.excerpt(raw, rate, task.sample_rate_hz, task.max_seconds)
            if audio.sha256(excerpt) != line.sha256:
                raise BadCorpus(f"{self.name}: {line.clip_id} has changed while it was in use; start again")
            return Clip(line.clip_id, self.name, line.label, excerpt, task.sample_rate_hz, line.pair)

        return ClipSequence(self._clips(task), read)

    def _clips(self, task: Task) -> Iterator[tuple[Clip, str]]:
        """See `clips`; each with its sha256."""
        self._counts = dict.fromkeys(self._counts, 0)
        self.skipped = ()
        digests: set[str] = set()
        for row in self._rows:
            try:
                raw, rate, n_channels = row.decode()
            except BadCorpus as error:
                self.skipped += (Skipped(row.clip_id, str(error)),)
                continue
            excerpt, is_cut = audio.excerpt(raw, rate, task.sample_rate_hz, task.max_seconds)
            sha256 = audio.sha256(excerpt)
            if sha256 in digests:
                self._counts["n_duplicates"] += 1
                continue
            digests.add(sha256)
            self._counts["n_resampled"] += rate != task.sample_rate_hz
            self._counts["n_mixed"] += n_channels > 1
            self._counts["n_cut"] += is_cut
            yield Clip(row.clip_id, self.name, row.label, excerpt, task.sample_rate_hz, row.pair), sha256
        if self.skipped and not digests:
            raise BadCorpus(
                f"{self.name} has {plural(len(self.skipped), 'clip')}, and none that can be used; the first:"
                f" {self.skipped[0].why}"
            )

    def ref(self, clips: Sequence[Clip]) -> CorpusRef:
        """The record of the corpus, after `clips` was read to its end."""
        digests = "".join(f"{line.clip_id}\0{line.sha256}\n" for line in lines_of(clips))
        revision = self._commit or hashlib.sha256(digests.encode()).hexdigest()
        return CorpusRef(self.name, revision, self.licence, len(clips), **self._counts)

    def notes(self) -> list[str]:
        """What was done to the clips, in a line each; empty when nothing was."""
        phrases = {
            "n_resampled": "brought to the task's rate",
            "n_mixed": "averaged to mono",
            "n_cut": "cut to a centred excerpt",
            "n_duplicates": "left out: the same samples as another clip",
        }
        counts = [(n, phrases[k]) for k, n in self._counts.items()]
        counts.append((len(self.skipped), "skipped: they cannot be used, for the reasons given by name"))
        return [f"{n} of {len(self)} clips {phrase}" for n, phrase in counts if n]


def open_corpus(
    source: str,
    task: Task,
    *,
    split: str | None = None,
    limit: int | None = None,
    columns: Columns = DEFAULT_COLUMNS,
    every_split: bool = False,
) -> Corpus:
    """Open a folder or a Hub dataset.

    Args:
        source: folder with metadata.csv, or `ORG/NAME` or `ORG/NAME@REVISION`.
        task: the task whose labels the corpus uses.
        split: which split; None takes `test`, however it is spelled, or the only split, or all of a corpus
            without splits.
        limit: at most this many clips: the classes in turn, within a class by a hash of the clip's id, or of
            the name of its pair, so that the classes have the same pairs.
        columns: where recordings and class names are, and how the latter are spelled.
        every_split: all splits, whatever they are called.

    Raises:
        BadCorpus: no such corpus or split, several splits of which none is `test`, no clips, a label unknown
            to the task, a file that is not there.
    """
    path, choose = Path(source), partial(_split_of, split=split, every_split=every_split)
    if path.is_dir():
        return _folder(path, task, choose, columns, limit)
    if path.exists():
        raise BadCorpus(f"{source} is a file; expected a folder with metadata.csv, or a Hub dataset ORG/NAME")
    if repository.split(source):
        return _hub(source, task, choose, columns, limit)
    raise BadCorpus(f"no folder at {source}, and it is not a Hub dataset ORG/NAME")


def sounds_below(folder: Path) -> list[Row]:
    """Every sound file in or below a folder, without labels, by path; there need be no metadata.csv."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SOUNDS and path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    return [Row(name, None, partial(_read_file, path, name)) for path, name in zip(files, names, strict=True)]


Chooser = Callable[[Iterable[str], str], tuple[set[str], str | None]]


def _folder(folder: Path, task: Task, choose: Chooser, columns: Columns, limit: int | None) -> Corpus:
    path = folder / METADATA
    if not path.is_file():
        raise BadCorpus(f"{folder} has no metadata.csv; expected one with the columns file_name,label")
    if line := pointer(path):
        raise BadCorpus(line)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"file_name", "label"} - set(reader.fieldnames or ())
            table = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadCorpus(f"{path} is not readable ({error}); expected CSV, encoded as UTF-8") from None
    if missing:
        raise BadCorpus(
            f"{path} has no column {min(missing)}; its first line must name the columns file_name,label"
        )
    if not table:
        raise BadCorpus(f"{path} lists no clips; expected a line per recording: file_name,label")
    splits, choice = choose({row.get("split") or "" for row in table}, str(path))
    table = [row for row in table if (row.get("split") or "") in splits]
    licences = {row["licence"] for row in table if row.get("licence")}
    rows: list[Row] = []
    stem_of_clip: dict[str, str] = {}
    for row in table:
        relative = PurePosixPath(row["file_name"] or "")
        if not relative.name or relative.is_absolute() or ".." in relative.parts:
            raise BadCorpus(f"{path}: file_name {row['file_name']!r} must be a path inside the folder")
        stem = str(relative.with_suffix(""))
        clip_id = nfc(stem)
        if clip_id in stem_of_clip:
            hint = apart(stem_of_clip[clip_id], stem)
            raise BadCorpus(
                f"{path} lists {clip_id} twice{hint}; clip ids are file names without their ending"
            )
        stem_of_clip[clip_id] = stem
        audio_path = same_file(folder, relative)
        if audio_path is None:
            hint = _lookalike_hint(folder, relative)
            raise BadCorpus(f"{folder / relative} does not exist, but {path.name} lists it{hint}")
        label = _canonical(row["label"], task, columns, f"{path}: {relative}")
        pair = nfc(row.get("pair") or "") or None
        rows.append(Row(clip_id, label, partial(_read_file, audio_path, str(relative)), pair))
    name, licence = f"local/{folder.resolve().name}", "; ".join(sorted(licences)) or None
    return Corpus(name, None, licence, _sample(rows, limit), choice)


def _lookalike_hint(folder: Path, relative: PurePosixPath) -> str:
    """A hint at a file whose name looks like that of a missing one; empty if there is none."""
    parent = (folder / relative).parent
    names = sorted(os.listdir(parent)) if os.path.isdir(parent) else []
    if len(matches := [name for name in names if nfc(name) == nfc(relative.name)]) > 1:
        return f"; {plural(len(matches), 'file')} have that name, decomposed in different ways; keep one"
    return next((f": there is {name!r}{hint}" for name in names if (hint := apart(relative.name, name))), "")


def _read_file(path: Path, name: str) -> tuple[Waveform, int, int]:
    if line := pointer(path):
        raise BadCorpus(line)
    return audio.read_recording(path, name)


def _hub(source: str, task: Task, choose: Chooser, columns: Columns, limit: int | None) -> Corpus:
    import datasets
    from datasets.exceptions import DatasetsError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    repo_id, _, revision = source.partition("@")
    try:
        with repository.hub_errors(repository.Repository(repo_id), revision or None):
            info = HfApi().dataset_info(repo_id, revision=revision or None)
        dataset = datasets.load_dataset(repo_id, revision=info.sha)
    except BadInput as error:
        raise BadCorpus(str(error)) from None
    except (DatasetsError, HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        message = f"cannot load dataset {source}: {str(error).strip().splitlines()[0]}"
        raise BadCorpus(repository.fault(error, f"dataset {repo_id}") or message) from None
    selection, choice = choose(dataset, repo_id)
    splits = [name for name in dataset if name in selection]
    table = datasets.concatenate_datasets([dataset[name] for name in splits])
    audio_columns = [n for n, f in table.features.items() if isinstance(f, datasets.Audio)]
    column = next((n for n in audio_columns if columns.audio in (None, n)), None)
    if column is None or columns.label not in table.features:
        names, column_hint = ", ".join(table.features), f" `{columns.audio}`" if columns.audio else ""
        raise BadCorpus(
            f"{repo_id} needs an Audio column{column_hint} and a column `{columns.label}`; found: {names}"
        )
    table = table.cast_column(column, datasets.Audio(decode=False))
    feature = table.features[columns.label]
    row_ids = [f"{name}-{i:06d}" for name in splits for i in range(len(dataset[name]))]
    rows = []
    pairs: Sequence[str | int | None] = [None] * len(table)
    if getattr(table.features.get("pair"), "dtype", "").removeprefix("u") in _NAME_TYPES:
        pairs = table["pair"]
    for i, (clip_id, raw, pair) in enumerate(zip(row_ids, table[columns.label], pairs, strict=True)):
        where = f"{repo_id}: {clip_id}"
        text = raw
        if isinstance(feature, datasets.ClassLabel) and raw is not None:
            text = feature.int2str(raw) if raw >= 0 else None  # -1: not known
        if text is not None and not isinstance(text, str):
            raise BadCorpus(
                f"{where}: label {text!r} is no text; expected class names in the column `{columns.label}`"
            )
        label = _canonical(text, task, columns, where)
        name = None if pair is None else nfc(str(pair)) or None
        rows.append(Row(clip_id, label, partial(_read_row, table, i, column, where), name))
    licence = getattr(info.card_data, "license", None)
    licence = licence if isinstance(licence, str) else None
    return Corpus(repo_id, info.sha, licence, _sample(rows, limit), choice)


def _read_row(table: Any, i: int, column: str, name: str) -> tuple[Waveform, int, int]:
    cell = table[i][column]
    if cell is None:
        raise BadCorpus(f"{name} has no audio; remove its row")
    source = cell["bytes"] if cell["bytes"] is not None else Path(cell["path"])
    return audio.read_recording(source, name)


def _split_of(
    names: Iterable[str], where: str, *, split: str | None, every_split: bool
) -> tuple[set[str], str | None]:
    """The splits to use, and a note where the split for tests is not called `test`.

    Raises:
        BadCorpus: the one wanted is not there; or none was named and it cannot be told which is meant.
    """
    splits = sorted(names)
    listing = ", ".join(name or "(rows without a split)" for name in splits) or "none"
    if every_split or (split is None and splits in ([], [""])):
        return set(splits), None
    if split is not None:
        if not split or split not in splits:
            raise BadCorpus(f"{where} has no split {split!r}; it has: {listing}{likely(split, splits)}")
        return {split}, None
    candidates = [name for name in splits if key(name) in _TEST]
    if candidates == ["test"]:
        return {"test"}, None
    if len(candidates) == 1 or len(splits) == 1:
        (split_name,) = candidates or splits
        reason = "read as its test split" if candidates else "the only one"
        return {split_name}, f"{where}: split {split_name!r} is taken, {reason}; --split takes another"
    raise BadCorpus(
        f"{where} has {len(splits)} splits and it cannot be told which is for tests; it has: {listing};"
        " choose one with --split NAME (in a recipe: `split`)"
    )


_TEST = ("test", "tests", "testing", "testset", "testsplit", "testdata")
"""How people spell the split for tests, normalised; `eval`, `dev` and `val` mean different things."""


def _canonical(text: str | None, task: Task, columns: Columns, where: str) -> str | None:
    if not text:
        return None
    label = task.label_of(columns.label_by_name.get(nfc(text), text))
    if label is None:
        labels, hint = ", ".join(task.labels), "".join(apart(text, label) for label in task.labels)
        raise BadCorpus(f"{where}: label {text!r} is not one of task {task.name}{hint}: {labels}")
    return label


def _sample(rows: list[Row], limit: int | None) -> list[Row]:
    if limit is None or limit >= len(rows):
        return rows
    if limit < 1:
        raise BadCorpus(f"--limit is {limit}; expected at least 1")
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: (seed_of("limit", r.pair or r.clip_id), r.clip_id)):
        by_label[row.label or ""].append(row)
    ranks = [(rank, label, row) for label, group in by_label.items() for rank, row in enumerate(group)]
    in_turn = [row for _, _, row in sorted(ranks, key=lambda item: item[:2])]
    clip_ids = {row.clip_id for row in in_turn[:limit]}
    return [row for row in rows if row.clip_id in clip_ids]
