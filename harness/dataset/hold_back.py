"""Clips that stay unpublished, with all of their signals: a signals folder split into two suites.

    <root>/.hold-back/<name>.public/       a suite of the clips that are published
    <root>/.hold-back/<name>.held-back/    one of the clips that are not, of the same form
    <root>/.hold-back/split.json           which clips are held back; written last

A clip takes everything of it along: every reference, family and draw, and its further sets. The same clip in
two tasks, by its id or its samples, is on one side in both, and so are all clips of a pair. Classes of truth
are split alike: of each class the share is held back, and at least one clip stays on either side where it has
two; pairs are split as a class of their own. Within a class clips go in the order of a hash of seed and id.
What was once held back or published stays so when clips join.

The controls of a suite are made of its own clips alone, so verdicts on the whole are verdicts on neither
half: the references are evaluated on each. Who has the corpus sees which clips are missing, and no more.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa
from scipy.cluster.hierarchy import DisjointSet

from harness.dataset import atomic_folder, parquet_io, parquet_schema
from harness.dataset.paths import MANIFEST, SOURCE, SPLIT, VERDICTS, clips_path, sets_path, signals_path
from harness.dataset.suites import Suite
from harness.disk_errors import unwritable
from harness.errors import BadInput, BadSignals
from harness.families import parse_family
from harness.journal import replace_file
from harness.manifest import CorpusRef, ReferenceRecord
from harness.plurals import plural
from harness.schemas import from_json, to_json
from harness.seeds import seed_of
from harness.tasks import Task
from harness.types import MIN_SIGNALS, STRICT

FOLDER = ".hold-back"
"""Folder of the two suites, below the signals folder."""


@dataclasses.dataclass(frozen=True)
class Split:
    """`split.json`: which clips are held back."""

    __pydantic_config__ = STRICT

    share: float
    """Share of the clips of each class, in (0, 1)."""
    seed: int
    """What the choice was drawn from."""
    source_sha256: str
    """Of the manifest that was split."""
    manifests: tuple[str, str]
    """sha256 of the manifests of the two suites, the public one first."""
    public: dict[str, tuple[str, ...]]
    """By task, the ids of the clips that are published, sorted."""
    held_back: dict[str, tuple[str, ...]]
    """By task, the ids of those that are not, sorted."""


@dataclasses.dataclass(frozen=True)
class Halves:
    """The two suites of a split."""

    public: Path
    """Folder of the suite that is published."""
    held_back: Path
    """Folder of the suite that is not."""
    split: Split
    """Which clips are where."""


def split_of(root: Path) -> Split | None:
    """How a signals folder was split; None where it never was.

    Raises:
        BadInput: the record of it cannot be read.
    """
    path = root / FOLDER / SPLIT
    if not path.is_file():
        return None
    try:
        return from_json(Split, path.read_bytes())
    except ValueError:
        raise BadInput(
            f"{path} does not say which clips are held back; restore it: without it clips that were held back"
            " could be published"
        ) from None


def split(
    suite: Suite, share: float, seed: int, *, progress: Callable[[int], None] = lambda n: None
) -> Halves:
    """Write the two suites of a signals folder, or find them as they were written before.

    A kill at any moment leaves the record of the last whole split, or none; the same call then makes anew
    what the record does not speak of, with the same bytes. Progress is told the files written since it was
    last called.

    Raises:
        BadInput: the share is none, or the folder was split otherwise before, or cannot be written.
        BadSignals: the suite was published already, or has no audio, or is too small.
    """
    if not 0 < share < 1:
        raise BadInput(f"--hold-back is {share:g}; expected a share of the clips between 0 and 1, as 0.2")
    _require_splittable(suite)
    root = suite.root
    old_split = split_of(root)
    if old_split is not None and (old_split.share, old_split.seed) != (share, seed):
        raise BadInput(
            f"{root} was split with --hold-back {old_split.share:g} --hold-back-seed {old_split.seed}, and"
            " another split would publish clips that were held back; give the same again"
        )
    with atomic_folder.lock_folder(root, "DIR"):
        name = root.resolve().name
        folders = (root / FOLDER / f"{name}.public", root / FOLDER / f"{name}.held-back")
        halves = Halves(*folders, old_split) if old_split is not None else None
        source = parquet_io.sha256_of(root / MANIFEST)
        if halves is not None and halves.split.source_sha256 == source and _are_whole(halves):
            return halves
        clips = {name: list(suite.clip_lines(name)) for name in suite.task_names}
        held_back = choose(clips, share, seed, old_split)
        _require_large_enough(suite, held_back)
        try:
            return _write_halves(suite, share, seed, source, held_back, folders, progress)
        except OSError as error:
            raise BadInput(unwritable(root / FOLDER, error)) from None


def choose(
    clips: Mapping[str, Sequence[parquet_schema.ClipLine]],
    share: float,
    seed: int,
    old_split: Split | None = None,
) -> dict[str, frozenset[str]]:
    """By task, the ids of the clips to hold back: a share, in (0, 1), of each class; an old split is kept."""
    lines = [(task, line) for task in sorted(clips) for line in clips[task]]
    group_of = _groups(lines)
    members: dict[str, list[tuple[str, parquet_schema.ClipLine]]] = defaultdict(list)
    for group, (task, line) in zip(group_of, lines, strict=True):
        members[group].append((task, line))
    strata: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for group, lines_of_group in members.items():
        strata[tuple(sorted({(task, line.label or "") for task, line in lines_of_group}))].append(group)
    public_pairs = _pairs(old_split.public) if old_split else set()
    private_pairs = _pairs(old_split.held_back) if old_split else set()
    held_back: dict[str, set[str]] = {task: set() for task in clips}
    for groups in strata.values():
        pairs = {g: {(task, line.clip_id) for task, line in members[g]} for g in groups}
        public = {g for g in groups if pairs[g] & public_pairs}
        private = {g for g in groups if pairs[g] & private_pairs} - public
        n = len(groups)
        n_private = min(max(int(share * n + 0.5), 1), n - 1)
        new = sorted({*groups} - public - private, key=lambda g: (seed_of("hold back", str(seed), g), g))
        for group in (*private, *new[: max(0, n_private - len(private))]):
            for task, line in members[group]:
                held_back[task].add(line.clip_id)
    return {task: frozenset(ids) for task, ids in held_back.items()}


def shared_clips(one: Suite, other: Suite, task: str) -> list[str]:
    """Clips of a task in one suite that are in the other, too, by their ids or their samples, sorted."""
    keys = {value for line in other.clip_lines(task) for value in (line.clip_id, line.sha256)}
    return sorted(line.clip_id for line in one.clip_lines(task) if {line.clip_id, line.sha256} & keys)


def _pairs(ids: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
    return {(task, clip_id) for task, clip_ids in ids.items() for clip_id in clip_ids}


def _groups(lines: Sequence[tuple[str, parquet_schema.ClipLine]]) -> list[str]:
    """For each (task, clip) the least id of its group: by id, samples, pair within a task, or through others.

    Pairs are in no group's name, whose hash decides where it goes: a name with `id` is less than others.
    """
    names = []
    for task, line in lines:
        pair = [] if line.pair is None else [f"pair {task} {line.pair}"]
        names.append([f"id {line.clip_id}", f"samples {line.sha256}", *pair])
    groups = DisjointSet(chain.from_iterable(names))
    for clip, *others in names:
        for other in others:
            groups.merge(clip, other)
    return [min(groups.subset(clip)) for clip, *_ in names]


def _require_splittable(suite: Suite) -> None:
    """The suite must not be public already, and must have its clips."""
    if suite.commit is not None or (suite.root / SOURCE).is_file():
        raise BadSignals(f"{suite.root} was downloaded: its signals are known, and none can be held back")
    for task in suite.tasks:
        if not suite.has_clips(task.name):
            raise BadSignals(
                f"{suite.root} has masks only for {task.name}: its references cannot be evaluated on the two"
                " halves; hold back from the folder that was extracted, which has its clips"
            )
        for family in suite.families(task.name):
            if parse_family(family).completion.kind == "swap":
                raise BadSignals(
                    f"{suite.root}: other clips stand in for the rest of every {family} signal, and"
                    " each half would need some of the other; extract a folder without them"
                )


def _require_large_enough(suite: Suite, held_back: Mapping[str, Collection[str]]) -> None:
    """Both halves must have MIN_SIGNALS signals of a reference: a lift needs them."""
    for task in suite.tasks:
        headline = suite.headline(task.name)
        least: dict[str, tuple[int, int]] = {}
        for record in suite.references(task.name):
            lines = suite.signal_lines(task.name, record.model.slug)
            clips = {line.clip_id for line in lines if line.family == headline and not line.degenerate}
            n = len(clips & {*held_back[task.name]})
            least[record.model.repo_id] = (n, len(clips) - n)
        if not any(min(counts) >= MIN_SIGNALS for counts in least.values()):
            name, (n, others) = max(least.items(), key=lambda item: (min(item[1]), item[0]))
            raise BadSignals(
                f"{task.name} is too small to split: {plural(n, 'clip')} with a {headline} signal of"
                f" {name} would be held back and {others} published, and a lift needs {MIN_SIGNALS} of each;"
                " extract more clips, or choose a share nearer to 0.5"
            )


def _are_whole(halves: Halves) -> bool:
    paths = (halves.public / MANIFEST, halves.held_back / MANIFEST)
    return all(
        path.is_file() and parquet_io.sha256_of(path) == sha256
        for path, sha256 in zip(paths, halves.split.manifests, strict=True)
    )


def _write_halves(
    suite: Suite,
    share: float,
    seed: int,
    source: str,
    held_back: Mapping[str, frozenset[str]],
    folders: tuple[Path, Path],
    progress: Callable[[int], None],
) -> Halves:
    """Write each suite to a temporary folder and rename it; the record of both is written last."""
    clip_ids = {task.name: {line.clip_id for line in suite.clip_lines(task.name)} for task in suite.tasks}
    public = {task: frozenset(ids - held_back[task]) for task, ids in clip_ids.items()}
    for folder, clips in zip(folders, (public, held_back), strict=True):
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write_half(suite, clips, part, with_unreadable=clips is public, progress=progress)
        # Entries on a task that did not change stay good; `old` is there where a kill came between two lines.
        old = folder.with_name(folder.name + ".old")
        for source_folder in (old, folder):
            if (source_folder / VERDICTS).is_dir():
                shutil.copytree(source_folder / VERDICTS, part / VERDICTS, dirs_exist_ok=True)
        if folder.is_dir():
            shutil.rmtree(old, ignore_errors=True)
            folder.replace(old)
        part.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    manifests = (parquet_io.sha256_of(folders[0] / MANIFEST), parquet_io.sha256_of(folders[1] / MANIFEST))
    record = Split(share, seed, source, manifests, _in_order(public), _in_order(held_back))
    replace_file(folders[0].parent / SPLIT, to_json(record).encode())
    return Halves(folders[0], folders[1], record)


def _in_order(ids: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    return {task: tuple(sorted(clip_ids)) for task, clip_ids in sorted(ids.items())}


def _write_half(
    suite: Suite,
    clips: Mapping[str, frozenset[str]],
    root: Path,
    *,
    with_unreadable: bool,
    progress: Callable[[int], None],
) -> None:
    """Write a suite of some clips, ids by task, into an empty folder: the same rows, with new counts."""
    files: dict[str, str] = {}
    records = []
    for task in suite.tasks:

        def write_subset(
            path: str, columns: pa.Schema, to_columns: pa.Schema | None = None, task: Task = task
        ) -> None:
            rows = parquet_io.read_rows(suite.file(path), columns)
            subset = (row for row in rows if row["clip_id"] in clips[task.name])
            parquet_io.write_rows(root / path, subset, to_columns or columns, task.sample_rate_hz)
            files[path] = parquet_io.sha256_of(root / path)
            progress(1)

        pairs = (line.pair for line in suite.clip_lines(task.name) if line.clip_id in clips[task.name])
        write_subset(clips_path(task.name), parquet_schema.CLIPS, parquet_schema.clips_schema(pairs))
        for record in suite.references(task.name):
            slug = record.model.slug
            write_subset(signals_path(task.name, slug), parquet_schema.SIGNALS)
            if sets_path(task.name, slug) in suite.manifest.files:
                write_subset(sets_path(task.name, slug), parquet_schema.SETS)
            records.append(_record_of_half(suite, record, clips[task.name], root, with_unreadable))
    files = dict(sorted(files.items()))
    manifest = dataclasses.replace(suite.manifest, references=tuple(records), files=files)
    replace_file(root / MANIFEST, to_json(manifest).encode())


def _record_of_half(
    suite: Suite, record: ReferenceRecord, clips: frozenset[str], root: Path, with_unreadable: bool
) -> ReferenceRecord:
    """A reference with the counts of some clips."""
    task, slug = record.task, record.model.slug
    sha256_of_clip = {line.clip_id: line.sha256 for line in suite.clip_lines(task)}
    columns, set_columns = ("clip_id", "family", "degenerate"), ("family", "kind")
    path = root / signals_path(task, slug)
    rows = [*parquet_io.read_rows(path, parquet_schema.SIGNALS, columns)]
    n_signals = Counter(row["family"] for row in rows)
    n_degenerate = Counter(row["family"] for row in rows if row["degenerate"])
    path = root / sets_path(task, slug)
    sets = parquet_io.read_rows(path, parquet_schema.SETS, set_columns) if path.is_file() else ()
    n_sets = Counter((row["family"], row["kind"]) for row in sets)
    others = {s.clip_id for s in record.skipped if with_unreadable} - {*sha256_of_clip}
    skipped = tuple(s for s in record.skipped if s.clip_id in clips | others)
    clip_ids = {row["clip_id"] for row in rows} | {s.clip_id for s in skipped if s.clip_id in clips}
    hashes = {clip_id: sha256_of_clip[clip_id] for clip_id in sorted(clip_ids)}
    return dataclasses.replace(
        record,
        corpus=_corpus_of_half(record.corpus, hashes),
        counts=tuple(
            dataclasses.replace(c, n_signals=n_signals[c.family], n_degenerate=n_degenerate[c.family])
            for c in record.counts
        ),
        sets=tuple(dataclasses.replace(s, n_sets=n_sets[s.family, s.kind]) for s in record.sets),
        skipped=skipped,
    )


def _corpus_of_half(corpus: CorpusRef, sha256_of_clip: Mapping[str, str]) -> CorpusRef:
    """The corpus of some clips; counts of changed clips are known for all together, so these are bounds."""
    n = len(sha256_of_clip)
    digests = "".join(f"{clip_id}\0{sha256}\n" for clip_id, sha256 in sha256_of_clip.items())
    is_folder = len(corpus.revision) == 64
    return dataclasses.replace(
        corpus,
        revision=hashlib.sha256(digests.encode()).hexdigest() if is_folder else corpus.revision,
        n_clips=n,
        n_resampled=min(n, corpus.n_resampled),
        n_mixed=min(n, corpus.n_mixed),
        n_cut=min(n, corpus.n_cut),
    )
