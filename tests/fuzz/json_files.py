"""JSON files of strangers: entries, what lies beside them, suites and what a command continues."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json as other_reader

from harness import labels, untrusted
from harness.dataset import download_source as sources
from harness.dataset import hold_back, parquet_io, suites
from harness.entries import held_back, notices, store, validate, verification
from harness.entries.untrusted_text import one_line
from harness.manifest import CorpusRef, Manifest, ReferenceRecord, SetCounts, TaskRecord
from harness.model_facts import ModelFacts
from harness.schemas import BatchProof, Entry, ReferenceCounts, RunSettings, from_json, to_json
from harness.tasks import TASKS
from harness.types import PROTOCOL, DatasetRef, Estimate, ModelRef
from tests.fuzz import mutate
from tests.fuzz.target import Refused, Target
from tests.helpers.families import FAMILIES, HEADLINE, MINIMAL
from tests.helpers.repository import DATA

OLD = DATA / "protocol1"
EMOTION = TASKS["emotion"]
HEX = {n: "0123456789abcdef" * (n // 16) + "0" * (n % 16) for n in (40, 64)}
CLASSES = ("angry", "happy", "LABEL_2")


# ---- second readers ------------------------------------------------------------------------------


def written_back(kind: type[Any], *, same_fields: bool = True) -> Callable[[Any, bytes], str | None]:
    """What is wrong with a record: written and read again it is another, or says what the file does not."""

    def invalid(record: Any, data: bytes) -> str | None:
        again = to_json(record)
        if from_json(kind, again) != record:
            return "read again it is another"
        return differing(json.loads(again), json.loads(data)) if same_fields else None

    return invalid


def differing(written: Any, stated: Any, where: str = "") -> str | None:
    """Where a record, as JSON, says what the file does not; fields that have defaults may be added."""
    if isinstance(written, dict) and isinstance(stated, dict):
        if lost := stated.keys() - written.keys():
            return f"{where}: {min(lost)!r:.60} is lost"
        inner = [(f"{where}.{key}", written[key], stated[key]) for key in stated]
    elif isinstance(written, list) and isinstance(stated, list) and len(written) == len(stated):
        inner = [(f"{where}.{i}", a, b) for i, (a, b) in enumerate(zip(written, stated, strict=True))]
    else:
        same = _rounded(written, stated) and isinstance(written, bool) == isinstance(stated, bool)
        return None if same else f"{where}: {written!r:.60} for {stated!r:.60}"
    return next((line for each in inner if (line := differing(each[1], each[2], each[0]))), None)


def _rounded(written: Any, stated: Any) -> bool:
    """Whether they are equal, a whole number in the place of a float being rounded to one."""
    return written == (float(stated) if isinstance(written, float) and isinstance(stated, int) else stated)


def _as_pydantic(value: Any, data: bytes) -> str | None:
    return differing(value, other_reader(data, allow_inf_nan=False))


# ---- entries -------------------------------------------------------------------------------------


@cache
def _made(n_clips: int = 4, families: tuple[str, ...] = FAMILIES[:1]) -> tuple[Any, Any]:
    from tests.helpers.entries import make_entry

    return make_entry(
        n_clips=n_clips, n_degenerate=1, references=("toys/first",), n_matched=1, families=families
    )


def _entry_place(folder: Path) -> Path:
    return store.write(folder, *_made()) / store.ENTRY


def _entries() -> list[bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return [_entry_place(Path(folder)).read_bytes()]


def _raise(lines: Sequence[str]) -> None:
    if lines:
        raise Refused("\n".join(lines))


def _validated(path: Path) -> Entry:
    """As `validate` and everybody else reads an entry."""
    lines = validate.validate_entry(path.parent, tuple(TASKS.values()), strict_files=True)
    entry: Entry | None = None
    try:
        entry = store.read(path.parent)
    finally:
        _raise(lines)
    assert entry is not None
    return entry


def _on_board(path: Path) -> Any:
    """Packed and unpacked, as from a process that reads, or from the cache."""
    from leaderboard.board import loading
    from leaderboard.board.packing import SharedTuples, pack, unpack

    content, shared = pack(loading._read(path.parent))
    return unpack(content, SharedTuples(shared.get))


def _other_than_validated(read: Any, data: bytes) -> str | None:
    """What the board shows of an entry and `store` does not read."""
    entry = store.parse(data)
    differs = read.entry.facts != entry.facts or read.entry.model != entry.model
    return "the board shows another entry" if differs else None


def _old_place(folder: Path) -> Path:
    (here,) = (OLD / "local__starter-emotion-whisper").glob("*/*")
    shutil.copytree(here, folder / "entry")
    return folder / "entry" / store.ENTRY


def _old() -> list[bytes]:
    return [path.read_bytes() for path in OLD.glob("local__starter-emotion-whisper/*/*/entry.json")]


# ---- beside an entry -----------------------------------------------------------------------------


def _beside(suffix: str) -> Callable[[Path], Path]:
    def place(folder: Path) -> Path:
        entry = store.write(folder, *_made(64 if suffix == held_back.SUFFIX else 4))
        return entry.with_name(entry.name + suffix)

    return place


def _entry_of(path: Path, suffix: str) -> Path:
    return path.with_name(path.name.removesuffix(suffix))


def _sidecar(module: Any) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        folder = _entry_of(path, module.SUFFIX)
        lines = [one_line(line) for line in module.problems(path, folder)]
        _raise(lines)
        return module.read(folder)

    return read


def _in_a_folder(make: Callable[[Path], Any]) -> Callable[[], list[bytes]]:
    """What is made of an entry, as the content of a file."""

    def originals() -> list[bytes]:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            return [to_json(make(Path(folder))).encode()]

    return originals


def _verification(folder: Path) -> Any:
    from tests.helpers.entries import made_verification

    return made_verification(store.write(folder, *_made()))


def _held_back(folder: Path) -> Any:
    path = store.write(folder, *_made(64))
    entry = store.read(path)
    assert entry.scorecard.headline is not None
    cells = [
        cell for cell in entry.scorecard.headline.cells if not cell.own and cell.rates.lift.value is not None
    ]
    mean = sum(cell.rates.lift.value or 0.0 for cell in cells) / len(cells)
    lift = Estimate(mean, mean - 0.1, mean + 0.1, 0.95, "made", sum(cell.rates.lift.n for cell in cells))
    return held_back.HeldBack(
        protocol=PROTOCOL,
        entry=entry.path,
        entry_sha256=parquet_io.sha256_of(path / store.ENTRY),
        verdicts_sha256=entry.verdicts_sha256,
        signals=DatasetRef("org/private", HEX[40], entry.task, "test", HEX[64], HEADLINE),
        references=tuple(sorted(cell.reference.repo_id for cell in cells)),
        n_clips=64,
        n_held_back_clips=64,
        lift=lift,
        held_back_lift=lift,
        difference=Estimate(0.0, -0.1, 0.1, 0.95, "made", 2 * lift.n),
        run=entry.run,
    )


def _invalidations(folder: Path) -> Any:
    path = store.write(folder, *_made())
    sha256 = parquet_io.sha256_of(path / store.ENTRY)
    one = notices.Invalidation("A. Maintainer", "Its weights are gone.", "2026-01-02", sha256)
    return notices.Invalidations((one, dataclasses.replace(one, reason="Twice.")))


def _read_invalidations(path: Path) -> Any:
    folder = _entry_of(path, notices.INVALIDATED)
    _raise([one_line(line) for line in notices.problems(path, folder)])
    return notices.Invalidations(notices.invalidations_of(folder))


OPT_OUT = notices.OptOut(
    "org/name", HEX[40], "emotion", "An Author", "It was trained on the corpus.", "2026-01-02"
)


def _read_opt_out(path: Path) -> Any:
    _raise([one_line(line) for line in notices.opt_out_problems(path, path.parents[2])])
    return from_json(notices.OptOut, path.read_bytes())


def _nested(relative: str) -> Callable[[Path], Path]:
    def place(folder: Path) -> Path:
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    return place


# ---- suites and work that is continued -----------------------------------------------------------


def _manifests() -> list[bytes]:
    from tests.helpers.small_suite import LABELS, TASK

    model = ModelRef("toys/a", HEX[40], HEX[64])
    task = TaskRecord(TASK.name, {"bonafide": ("real",), "spoof": ("fake",)}, 16_000, 4.0, "Notes.")
    reference = ReferenceRecord(
        task=TASK.name,
        model=model,
        facts=ModelFacts("Toy", 10, 16_000, None, None),
        label_map=LABELS,
        corpus=CorpusRef("local/toys", HEX[64], None, 7, 0, 0, 0, 0),
        searches=("minimal() with noise:-40", "minimal()"),
        counts=(
            ReferenceCounts(model, "minimal@blocks10ms+noise:-40", 7, 0, "other"),
            ReferenceCounts(model, MINIMAL, 7, 0, "other"),
        ),
        skipped=(),
        run=RunSettings("0", {"python": "3"}, "toy", "cpu", "float32", 1, "toy", 0.0, "2026-01-01T00:00:00Z"),
        sets=(SetCounts(MINIMAL, "disjoint", 3, "minimal()", 4),),
    )
    manifest = Manifest(
        PROTOCOL, (task,), (reference,), {TASK.name: MINIMAL}, {"deepfake/toys__a.parquet": HEX[64]}
    )
    return [to_json(manifest).encode()]


def _suite(path: Path) -> Any:
    suite = suites.load(str(path.parent))
    for task in suite.tasks:
        suite.references(task.name)
        suite.counts(task.name)
        suite.families(task.name)
    return suite


def _invalid_suite(suite: Any, data: bytes) -> str | None:
    return written_back(Manifest)(suite.manifest, data)


SOURCE = {
    "source": "org/name",
    "commit": HEX[40],
    "manifest": HEX[64],
    "rebuilt": {"emotion_clips/clips.parquet": {"from": HEX[64], "to": HEX[64]}},
}
SPLIT = hold_back.Split(0.2, 1, HEX[64], (HEX[64], HEX[64]), {"emotion": ("a", "b")}, {"emotion": ("c",)})
WORK = {
    "model": "toys/a",
    "revision": HEX[40],
    "versions": {"torch": "2"},
    "n": 3,
    "share": 0.5,
    "none": None,
    "classes": ["a", "b", "c"],
}
LABEL_MAP = {
    "model": "org/name",
    "revision": HEX[40],
    "task": "emotion",
    "labels": {"angry": "angry", "happy": "happy", "LABEL_2": None},
    "reviewed_by": "A. Reader",
    "why": "The training script.",
}


def _journals() -> list[bytes]:
    items = [{"clip": f"c{i}", "p": [0.5, i / 7], "expected": None} for i in range(3)]
    return ["".join(json.dumps(item, sort_keys=True) + "\n" for item in (WORK, *items)).encode()]


def _journal(path: Path) -> Any:
    from harness.journal import Journal, finished_items

    items = list(finished_items(path, WORK))
    journal = Journal(path, dict(WORK), "delete that file")
    try:
        return items, list(journal.items)
    finally:
        _end(journal)


def _end(journal: Any) -> None:
    """Close it, and leave nothing but its file."""
    journal.close()
    for path in journal.path.parent.glob("*.damaged"):
        path.unlink()


def _invalid_journal(value: Any, data: bytes) -> str | None:
    items, continued = value
    if items != continued:
        return "another process reads other items"
    return _not_in(items, data)


def _not_in(items: Sequence[Any], data: bytes) -> str | None:
    """What of some items no line of a journal says, with a checksum before it or without."""
    written: list[Any] = []
    for line in data.split(b"\n"):
        with suppress(ValueError, RecursionError):
            written.append(json.loads(line if line.startswith(b"{") else line[9:]))
    strange = [item for item in items if item not in written]
    return f"{strange[0]!r:.80} stands nowhere" if strange else None


def _answer_place(folder: Path) -> Path:
    from harness.evaluation.answer_cache import AnswerCache

    book = AnswerCache(folder, "toys__a", WORK, "emotion")
    book.close()
    return book._journal.path


def _answers() -> list[bytes]:
    import tempfile

    from harness.evaluation.answer_cache import AnswerCache
    from harness.evaluation.predict import Answers
    from harness.evaluation.units import Unit

    rows = np.linspace(-1, 1, 10, dtype=np.float32).reshape(2, 5)
    unit_answers = Answers((("signal", 0, None), ("swap", 0, 1)), rows[:, :-2], rows[:, -2:])
    with tempfile.TemporaryDirectory() as folder:
        book = AnswerCache(Path(folder), "toys__a", WORK, "emotion")
        book.append([(Unit(digit * 32, 400), unit_answers) for digit in "ab"])
        book.prove(BatchProof(8, 4, 1e-6, 0))
        book.close()
        sealed = book._journal.path.read_bytes()
    return [sealed, b"".join(line[9:] for line in sealed.splitlines(keepends=True))]


def _book(path: Path) -> Any:
    from harness.evaluation.answer_cache import AnswerCache

    book = AnswerCache(path.parents[3], "toys__a", WORK, "emotion")
    _end(book._journal)
    return book


def _invalid_book(book: Any, data: bytes) -> str | None:
    for content, answers in book.answers.items():
        n = len(answers.stimuli)
        if answers.logits.shape[0] != n or answers.seen.shape != (n, 2):
            return f"{content!r:.20}: {answers.logits.shape} logits for {n} stimuli"
    return None


def _label_map(path: Path) -> Any:
    return labels.from_file(path, CLASSES, EMOTION, ModelRef("org/name", HEX[40], HEX[64]))


def _invalid_label_map(value: Any, data: bytes) -> str | None:
    stated = json.loads(data)["labels"]
    mapped = {
        name: None if label == "other" else label
        for name, label in zip(value.names, value.canonical, strict=True)
    }
    return None if mapped == stated else f"{mapped} for {stated}"


def _split(path: Path) -> Any:
    return hold_back.split_of(path.parents[1])


def through(door: Callable[[bytes], Any]) -> Callable[[Path], Any]:
    """The door itself, whose refusals everybody puts behind the name of a file."""

    def read(path: Path) -> Any:
        try:
            return door(untrusted.content(path))
        except untrusted.Unreadable as error:
            raise Refused(str(error)) from None

    return read


def known(value: str | dict[str, Any]) -> Callable[[], list[bytes]]:
    """One original: a text, or the JSON of an object."""
    content = value if isinstance(value, str) else json.dumps(value, indent=1)
    return lambda: [content.encode()]


def _json(name: str, originals: Any, read: Any, invalid: Any, place: Any = None) -> Target:
    more = {} if place is None else {"place": place}
    return Target(name, originals, mutate.json_text, read, invalid, **more)


TARGETS = (
    _json(
        "JSON, any",
        known({"a": [1, -2.5e3, True, None, "x\u00e9"], "b": {"c": {}, "d": [[]]}, "e": 10**20}),
        through(untrusted.json_of),
        _as_pydantic,
    ),
    _json("entry.json", _entries, _validated, written_back(Entry), _entry_place),
    _json("entry.json, on the board", _entries, _on_board, _other_than_validated, _entry_place),
    _json(
        "entry.json of protocol 1",
        _old,
        lambda path: store.read(path.parent),
        written_back(Entry, same_fields=False),
        _old_place,
    ),
    _json(
        "verification",
        _in_a_folder(_verification),
        _sidecar(verification),
        written_back(verification.Verification),
        _beside(verification.SUFFIX),
    ),
    _json(
        "record of held-back signals",
        _in_a_folder(_held_back),
        _sidecar(held_back),
        written_back(held_back.HeldBack),
        _beside(held_back.SUFFIX),
    ),
    _json(
        "invalidation",
        _in_a_folder(_invalidations),
        _read_invalidations,
        written_back(notices.Invalidations),
        _beside(notices.INVALIDATED),
    ),
    _json(
        "opt-out",
        known(to_json(OPT_OUT)),
        _read_opt_out,
        written_back(notices.OptOut),
        _nested(OPT_OUT.path),
    ),
    _json("manifest.json", _manifests, _suite, _invalid_suite, _nested("suite/manifest.json")),
    _json(
        ".source.json",
        known(SOURCE),
        lambda path: sources.read(path.parent),
        _as_pydantic,
        _nested("a/.source.json"),
    ),
    _json(
        "split.json",
        known(to_json(SPLIT)),
        _split,
        written_back(hold_back.Split),
        _nested(".hold-back/split.json"),
    ),
    _json("journal", _journals, _journal, _invalid_journal, _nested("journal")),
    _json("answers", _answers, _book, _invalid_book, _answer_place),
    _json("label map", known(LABEL_MAP), _label_map, _invalid_label_map),
)
