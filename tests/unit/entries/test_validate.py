"""Every check of `validate` fails on an entry made to break it, and no entry makes a check raise."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cli.validate import validate
from harness.dataset import parquet_schema
from harness.disk_errors import POINTED
from harness.entries import store, validate_verdicts
from harness.entries.untrusted_text import excerpt, one_line
from harness.entries.validate import MAX_PROBLEMS, strays, validate_entry
from harness.errors import BadInput, NotValid
from harness.metrics.scorecard import summarise
from harness.schemas import to_json
from harness.tasks import TASKS, Task
from harness.types import OTHER, Verdict
from tests.helpers.entries import frame, make_entry
from tests.helpers.families import HEADLINE, MINIMAL

MADE = make_entry(n_clips=6, n_degenerate=1)
FIRST, SECOND = "toys/first", "toys/second"
BUILT_IN = tuple(TASKS.values())
CLIP_ID = parquet_schema.VERDICTS.get_field_index("clip_id")
Change = Callable[[list[Verdict]], list[Verdict]]


def found(folder: Path, *, strict: bool = False, tasks: tuple[Task, ...] = BUILT_IN) -> list[str]:
    return validate_entry(folder, tasks, strict_files=strict)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return store.write(tmp_path, *MADE)


def with_json(folder: Path, path: str, value: Any) -> None:
    """Put a value into entry.json, by a path such as `references.0.family`."""
    content = json.loads((folder / store.ENTRY).read_text())
    inner = content
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        inner = inner[part]
    inner[last] = value
    (folder / store.ENTRY).write_text(json.dumps(content))


# Valid


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"repo_id": FIRST},
        {"labels": ("sad", "fear"), "silence": OTHER},
        {"task": "deepfake", "labels": ("spoof", "bonafide"), "families": (HEADLINE,)},
        {"levels": range(8), "references": (FIRST,), "n_degenerate": 0},
        {"n_degenerate": 6},
        {"n_draws": 3},
        {"n_matched": 0},
        {"n_matched": 1},
        {"n_clips": 1, "n_degenerate": 0},
        {"acceptance": 1.0, "whole_accuracy": 1.0, "correlation": 0.999},
        {"correlation": None},
    ],
)
def test_a_sound_entry_has_no_problems(tmp_path: Path, made: dict[str, Any]) -> None:
    folder = store.write(tmp_path, *make_entry(**{"n_clips": 6, "n_degenerate": 1, **made}))
    assert found(folder, strict=True) == []


def test_an_entry_of_a_users_own_task_needs_the_task(tmp_path: Path) -> None:
    labels = {"cello": ("cel",), "flute": (), "organ": ()}
    task = Task("instrument", tuple(labels), MappingProxyType(labels))
    folder = store.write(tmp_path, *make_entry(task=task, n_clips=6))
    assert found(folder, tasks=(*BUILT_IN, task)) == []
    (line,) = found(folder)
    assert line.startswith("task: 'instrument', expected one of music-genre, emotion, deepfake")
    assert "--task" in line


# The folder


def test_only_the_two_files_may_be_there_and_a_report_outside_submissions(folder: Path) -> None:
    (folder / "report.html").write_text("<html></html>")
    assert found(folder) == []
    assert found(folder, strict=True) == [
        "'report.html': not part of an entry, expected only entry.json and verdicts.parquet"
    ]
    (folder / "model.py").write_text("import os")
    (folder / "sub").mkdir()
    assert [line.split(":")[0] for line in found(folder)] == ["'model.py'", "'sub'"]


@pytest.mark.parametrize("name", [store.ENTRY, store.VERDICTS])
def test_a_missing_file_is_a_problem(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert found(folder) == [f"{name}: missing, expected beside the other"]


@pytest.mark.parametrize("name", [store.ENTRY, store.VERDICTS, "report.html"])
def test_a_symlink_is_refused_and_not_followed(folder: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"secret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(elsewhere)
    assert found(folder) == [f"{name}: a symlink, expected a file"]


@pytest.mark.parametrize("name", [store.ENTRY, store.VERDICTS])
def test_what_is_no_regular_file_is_not_opened(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert found(folder) == [f"{name}: neither file nor symlink, expected a file"]


@pytest.mark.parametrize(("name", "limit"), [(store.ENTRY, 2**20), (store.VERDICTS, 64 * 2**20)])
def test_a_file_over_its_limit_is_not_read(folder: Path, name: str, limit: int) -> None:
    with open(folder / name, "r+b") as file:
        file.truncate(limit + 1)
    assert found(folder) == [f"{name}: {limit + 1} bytes, expected at most {limit}"]


def test_an_entry_lies_where_its_content_says(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "toys__other" / folder.parent.name / folder.name
    moved.parent.mkdir(parents=True)
    folder.rename(moved)
    (line,) = found(moved)
    assert line.startswith("folder: 'toys__other/")
    assert "expected 'toys__candidate/" in line


def test_a_folder_that_is_not_there_is_a_problem_and_no_traceback(tmp_path: Path) -> None:
    assert found(tmp_path / "nowhere") == [
        "folder: cannot be listed (No such file or directory), expected a folder"
    ]


def test_strays_are_found_and_a_readme_at_the_top_is_none(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("Entries.")
    (tmp_path / ".gitkeep").write_text("")
    assert strays(tmp_path) == []
    (tmp_path / "evil.py").write_text("import os")
    (folder.parent / "README.md").write_text("not here")
    (tmp_path / "toys__candidate" / "linked").symlink_to(folder)
    assert [Path(line.split(": ")[0]).name for line in strays(tmp_path)] == ["evil.py", "README.md", "linked"]


# entry.json


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "EOF while parsing"),
        (b"null", "should be an object"),
        (b"\xef\xbb\xbf{}", "Invalid JSON"),
        (b"[" * 100_000, "recursion limit"),
        (b'{"a":' * 100_000, "recursion limit"),
        (b'{"protocol": NaN}', "protocol: Input should be a valid integer"),
        (b'{"protocol": ' + b"9" * 5000 + b"}", "out of range"),
        (b'{"protocol": 1.0}', "protocol: Input should be a valid integer"),
        (b'{"protocol": true}', "protocol: Input should be a valid integer"),
        (b'{"task": "\\ud800"}', "Invalid JSON"),
        (b'{"evil\\n::set-output": 1}', "entry.json: ::set-output: Unexpected keyword"),
        (b'{"\\u001b[31m": 1}', "[31m: Unexpected keyword"),
    ],
)
def test_what_is_no_entry_is_told_in_lines(folder: Path, content: bytes, line: str) -> None:
    (folder / store.ENTRY).write_bytes(content)
    lines = found(folder)
    assert any(line in one for one in lines), lines
    assert all(one.isprintable() for one in lines)


def test_a_field_that_stands_twice_is_refused(folder: Path) -> None:
    path = folder / store.ENTRY
    path.write_text(path.read_text().replace('"protocol": 2,', '"protocol": 1, "protocol": 2,'))
    assert found(folder) == ["entry.json: 'protocol' stands there twice; expected once"]


def test_infinity_and_numbers_too_large_for_a_float_are_refused(folder: Path) -> None:
    path = folder / store.ENTRY
    for number in ("Infinity", "NaN", "1e999"):
        path.write_text(to_json(MADE[0]).replace('"seconds": 1.5', f'"seconds": {number}'))
        (line,) = found(folder)
        assert line.startswith("entry.json: run.seconds: Input should be a finite number"), line


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("protocol", 3, "protocol: 3, expected 2"),
        ("protocol", 1, "protocol: 1, expected 2"),
        ("task", "no-such-task", "task: 'no-such-task', expected one of"),
        ("task", "deep fake", "task: 'deep fake', expected lower case"),
        ("model.repo_id", "toys", "model.repo_id: 'toys', expected org/name"),
        ("model.repo_id", "../../etc/passwd", "model.repo_id: '../../etc/passwd', expected org/name"),
        ("model.repo_id", "toys/..", "model.repo_id: 'toys/..', expected org/name"),
        ("model.repo_id", "toys/a..b", "model.repo_id: 'toys/a..b', expected org/name"),
        ("model.repo_id", "toys/<script>", "model.repo_id: 'toys/<script>', expected org/name"),
        ("model.repo_id", "toys/candidate\n", "model.repo_id: 'toys/candidate\\n', expected org/name"),
        ("model.repo_id", "toys/" + "a" * 97, "expected org/name"),
        ("model.revision", "main", "model.revision: 'main', expected 40 hex digits"),
        ("model.revision", "A" * 40, "expected 40 hex digits"),
        ("model.weights_sha256", "0" * 63, "expected 64 hex digits"),
        ("signals.revision", "v1", "signals.revision: 'v1', expected 40 hex digits"),
        ("signals.sha256", "0" * 40, "expected 64 hex digits"),
        ("signals.repo_id", "toys/<b>", "signals.repo_id: 'toys/<b>', expected plain text"),
        ("signals.config", "deepfake", "signals.config: 'deepfake', expected the task, 'emotion'"),
        ("signals.split", "train", "signals.split: 'train', expected 'test'"),
        ("references", [], "references: 0, expected 1 to 200"),
        ("references.0.model.repo_id", "x y/z", "references.0.model.repo_id: 'x y/z', expected org/name"),
        ("references.0.model.revision", "main", "references.0.model.revision: 'main', expected"),
        (
            "references.0.family",
            "maximal",
            "references.0.family: 'maximal', expected a kind and a resolution",
        ),
        ("references.0.family", MINIMAL, "stands 2 times with family 'minimal@bins', expected once"),
        (
            "references.0.family",
            "responsibility",
            "'responsibility', expected a kind and a resolution, as in",
        ),
        ("references.0.family", "responsibility@", "'responsibility@', expected a kind and a resolution"),
        ("references.0.family", "minimal@bans", "'minimal@bans', expected a kind and a resolution"),
        ("references.0.family", "minimal@bins+zero", "'minimal@bins+zero', expected a kind and a resolution"),
        (
            "references.0.family",
            f"{HEADLINE} ",
            "responsibility@bands32 ', expected a kind and a resolution",
        ),
        (
            "signals.headline",
            "responsibility",
            "signals.headline: 'responsibility', expected a family of signals",
        ),
        ("signals.headline", "", "signals.headline: '', expected a family of signals"),
        (
            "signals.headline",
            "largest@bins",
            "signals.headline: 'largest@bins', expected a family of signals",
        ),
        ("references.0.model.revision", "0" * 40, "'toys__first' stands for 2 different models"),
        ("references.0.n_signals", -1, "references.0.n_signals: -1, expected 0 to"),
        ("references.0.n_signals", 10**300, "entry.json: it holds a number beyond 1e+38"),
        ("references.0.bands", 128, "references.0.bands: Unexpected keyword argument"),
        ("references.0.seed", -1, "references.0.seed: -1, expected 0 to"),
        ("references.0.seed", 2**63, "references.0.seed: 9223372036854775808, expected 0 to"),
        ("references.0.n_draws", 0, "references.0.n_draws: 0, expected 1 to 100"),
        ("references.0.n_draws", 101, "references.0.n_draws: 101, expected 1 to 100"),
        ("likeness", [], "likeness: 0 references, expected the 2 of the entry"),
        (
            "likeness.0.reference.repo_id",
            "toys/second",
            "likeness: 2 references, expected the 2 of the entry",
        ),
        ("likeness.0.n_accepted", 6, "likeness.0.n_accepted: 6, expected 0 to n_signals"),
        ("likeness.0.n_clips", -1, "likeness.0.n_clips: -1, expected 0 to"),
        ("likeness.0.n_agreed", 7, "likeness.0.n_agreed: 7, expected 0 to n_clips"),
        ("likeness.0.correlation", 1.1, "likeness.0.correlation: 1.1, expected -1 to 1, or nothing"),
        ("facts.base_models", ["org/x"] * 21, "facts.base_models: 21, expected at most 20 names"),
        ("facts.base_models", ["<b>"], "facts.base_models.0: '<b>', expected plain text"),
        ("references.0.n_degenerate", 7, "references.0.n_degenerate: 7, expected 0 to n_signals"),
        ("label_map.task", "deepfake", "label_map.task: 'deepfake', expected 'emotion'"),
        ("label_map.names", ["Angry"], "label_map: 1 name and 5 labels, expected as many"),
        ("label_map.names.1", "Angry", "label_map.names: a class stands there twice"),
        ("label_map.source", "guess", "label_map.source: 'guess', expected 'names' or 'file'"),
        (
            "label_map.canonical.0",
            "furious",
            "'furious' for class 'Angry', expected a label of emotion or other",
        ),
        ("label_map.canonical.0", "sad", "'sad' for class 'Angry', expected 'angry', as it reads by name"),
        ("label_map.canonical", [OTHER] * 5, "label_map: 0 labels of emotion, expected at least 2"),
        ("label_map.names.4", "Clap<", "label_map.names.4: 'Clap<', expected plain text"),
        ("facts.architecture", "a\u202eb", "facts.architecture: 'a\\u202eb', expected plain text"),
        ("facts.licence", "x" * 201, "facts.licence: "),
        ("facts.n_parameters", -1, "facts.n_parameters: -1, expected"),
        ("facts.sample_rate_hz", 0, "facts.sample_rate_hz: 0, expected"),
        ("facts.window_seconds", 0.0, "facts.window_seconds: 0.0, expected"),
        ("run.versions", {"a<b": "1"}, "expected plain text without < and >"),
        ("run.batch_size", 0, "run.batch_size: 0, expected"),
        ("run.seconds", -1.0, "run.seconds: -1.0, expected"),
        ("run.created", "yesterday", "run.created: 'yesterday', expected a time such as"),
        ("run.created", "2026-02-30T00:00:00Z", "run.created: "),
    ],
)
def test_a_field_that_cannot_be_is_named(folder: Path, path: str, value: Any, expected: str) -> None:
    (folder / store.VERDICTS).unlink()
    with_json(folder, path, value)
    lines = found(folder)
    assert any(expected in line for line in lines), lines


def test_a_submission_does_not_come_from_the_future(folder: Path) -> None:
    with_json(folder, "run.created", "2999-01-01T00:00:00Z")
    assert found(folder) == []
    assert found(folder, strict=True) == [
        "run.created: '2999-01-01T00:00:00Z' lies ahead, expected the time its run ended"
    ]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("references.0.n_signals", 7, "5 signals of toys/first, family responsibility@bands32, expected 6"),
        ("n_verdicts", 3, f"n_verdicts: 3, expected {len(MADE[1])}, as in the file"),
        ("verdicts_sha256", "0" * 64, "verdicts_sha256: '0000"),
    ],
)
def test_a_field_that_the_file_contradicts_is_named(
    folder: Path, path: str, value: Any, expected: str
) -> None:
    with_json(folder, path, value)
    (line,) = found(folder)
    assert expected in line


def test_all_problems_are_reported_at_once(folder: Path) -> None:
    (folder / "extra").write_text("")
    for path, value in [("run.created", "?"), ("n_verdicts", 3), ("facts.n_parameters", -1)]:
        with_json(folder, path, value)
    with_json(folder, "scorecard.families.0.rates.lift.value", 0.99)
    assert [line.split(":")[0] for line in found(folder)] == [
        "'extra'",
        "run.created",
        "facts.n_parameters",
        "n_verdicts",
        "scorecard.families.0.rates.lift.value",
    ]


def test_the_list_of_problems_is_bounded(folder: Path) -> None:
    for i in range(MAX_PROBLEMS + 10):
        (folder / f"{i}.txt").write_text("")
    lines = found(folder)
    assert len(lines) == MAX_PROBLEMS + 1
    assert lines[-1] == "entry: 10 more problems left out"


# The scorecard


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("families.0.rates.transfer.value", 1.0, "families.0.rates.transfer.value: 1, expected 0."),
        ("families.1.rates.matched.n", 1000, "families.1.rates.matched.n: 1000, expected"),
        ("families.0.by_class", {}, "families.0.by_class: 0 parts, expected"),
        ("families.0.cells.0.same_weights", True, "same_weights: True, expected False"),
        ("families", [], "scorecard.families: 0 parts, expected 2 parts"),
        (
            "families.0.family",
            MINIMAL,
            "families.0.family: 'minimal@bins', expected 'responsibility@bands32'",
        ),
        ("families.0.robust.lift.n", 1000, "families.0.robust.lift.n: 1000, expected"),
        ("headline_family", MINIMAL, "headline_family: 'minimal@bins', expected 'responsibility@bands32'"),
        ("whole.accuracy.value", None, "whole.accuracy.value: nothing, expected"),
        ("known_answer", 1.0, "known_answer: 1.0, expected nothing"),
        ("ranked", True, "scorecard.ranked: True, expected False"),
        ("unranked_because", "<b>me</b>", "unranked_because: '<b>me</b>', expected 'No reference"),
    ],
)
def test_a_scorecard_that_the_verdicts_do_not_give_is_refused(
    folder: Path, path: str, value: Any, expected: str
) -> None:
    with_json(folder, f"scorecard.{path}", value)
    lines = found(folder)
    assert any(expected in line for line in lines), lines
    assert all("as counted from the verdicts" in line for line in lines)


@pytest.mark.parametrize(("shift", "refused"), [(5e-10, False), (5e-9, True)])
def test_scores_agree_within_a_billionth(folder: Path, shift: float, refused: bool) -> None:
    value = MADE[0].scorecard.families[0].rates.transfer.value
    assert value is not None
    with_json(folder, "scorecard.families.0.rates.transfer.value", value + shift)
    assert bool(found(folder)) is refused


@pytest.mark.parametrize(
    ("headline", "expected"),
    [
        (MINIMAL, f"scorecard.headline_family: '{HEADLINE}', expected '{MINIMAL}'"),
        ("responsibility@tiles8x16", "likeness.0.n_signals: 5, expected 0"),
    ],
)
def test_an_entry_that_states_another_headline_is_refused(folder: Path, headline: str, expected: str) -> None:
    """Its likeness and its scorecard are of the headline; of a family without signals there is neither.

    As many signals of both families are accepted here, so that the likeness fits the other one, too.
    """
    with_json(folder, "signals.headline", headline)
    lines = found(folder)
    assert lines[0] == f"{expected}, as counted from the verdicts"
    assert all(line.startswith(expected[: expected.index(".") + 1]) for line in lines[:5])


def test_of_many_differing_fields_a_few_are_shown(folder: Path, tmp_path: Path) -> None:
    other, _ = make_entry(n_clips=6, n_degenerate=1, acceptance=0.0, whole_accuracy=0.1)
    with_json(folder, "scorecard", json.loads(to_json(other))["scorecard"])
    lines = found(folder)
    assert len(lines) == 6
    assert lines[-1].startswith("scorecard: ")
    assert "more fields differ" in lines[-1]


def test_a_reference_that_rejects_its_own_signal_is_not_valid(tmp_path: Path) -> None:
    entry, verdicts = make_entry(repo_id=FIRST, n_clips=6, n_degenerate=1)
    i = next(i for i, v in enumerate(verdicts) if v.stimulus == "signal" and v.reference == FIRST)
    verdicts[i] = answered(verdicts[i], OTHER)
    counted = summarise(
        frame(verdicts), TASKS["emotion"], entry.model, entry.references, entry.label_map, HEADLINE
    )
    own, *others = entry.likeness
    likeness = (dataclasses.replace(own, n_accepted=own.n_accepted - 1), *others)
    changed = dataclasses.replace(entry, scorecard=counted, likeness=likeness)
    folder = store.write(tmp_path, changed, verdicts)
    (line,) = found(folder)
    assert line.startswith("scorecard.known_answer: 0.9000, expected 1")


# Likeness


@pytest.mark.parametrize(
    ("field", "shift", "expected"),
    [
        ("n_signals", 1, "likeness.0.n_signals: 6, expected 5, as counted from the verdicts"),
        ("n_accepted", 1, ", as counted from the verdicts"),
        ("n_accepted", -1, ", as counted from the verdicts"),
        ("n_clips", 1, "likeness.0.n_clips: 7, expected 5 to 6, as counted from the verdicts"),
        ("n_agreed", -2, ", as counted from the verdicts"),
    ],
)
def test_a_likeness_that_the_verdicts_do_not_give_is_refused(
    tmp_path: Path, field: str, shift: int, expected: str
) -> None:
    entry, verdicts = make_entry(n_clips=6, n_degenerate=1, whole_accuracy=1.0)
    near, *others = entry.likeness
    changed = dataclasses.replace(near, **{field: getattr(near, field) + shift})
    entry = dataclasses.replace(entry, likeness=(changed, *others))
    (line,) = found(store.write(tmp_path, entry, verdicts))
    assert line.startswith(f"likeness.0.{field}: ")
    assert line.endswith(expected), line


def test_a_near_copy_whose_scorecard_counts_the_reference_is_refused(tmp_path: Path) -> None:
    same = {"n_clips": 6, "n_degenerate": 1, "acceptance": 1.0, "whole_accuracy": 1.0}
    copy, verdicts = make_entry(**same, correlation=0.995)
    assert all(near.is_copy for near in copy.likeness)
    assert all(cell.near_copy for cell in copy.scorecard.families[0].cells)
    assert found(store.write(tmp_path / "copy", copy, verdicts)) == []
    other, _ = make_entry(**same, correlation=0.98)
    assert not any(near.is_copy for near in other.likeness)
    lines = found(store.write(tmp_path, dataclasses.replace(other, likeness=copy.likeness), verdicts))
    assert "scorecard.families.0.rates.coverage.n: 10, expected 0, as counted from the verdicts" in lines


# verdicts.parquet: rows


def answered(verdict: Verdict, label: str) -> Verdict:
    """The same row with another answer."""
    known = [i for i, x in enumerate(verdict.p) if x > 0]
    p = [0.075 if i in known else 0.0 for i in range(len(verdict.p))]
    if label != OTHER:
        p[TASKS["emotion"].labels.index(label)] = 0.7
    raw = MADE[0].label_map.names[MADE[0].label_map.canonical.index(label)]
    at = None if verdict.expected is None else p[TASKS["emotion"].labels.index(verdict.expected)]
    return dataclasses.replace(verdict, predicted=label, predicted_raw=raw, p=tuple(p), p_expected=at)


def first(stimulus: str, family: str | None = None) -> int:
    """The first row of a stimulus about a clip that has signals."""
    return next(
        i
        for i, v in enumerate(MADE[1])
        if v.stimulus == stimulus and v.clip_id != "clip-0000" and family in (None, v.family)
    )


NAN, INF = float("nan"), float("inf")
LABELS = len(TASKS["emotion"].labels)


@pytest.mark.parametrize(
    ("stimulus", "field", "value", "expected"),
    [
        ("signal", "task", "deepfake", "task is 'deepfake', expected 'emotion'"),
        ("signal", "stimulus", "noise", "stimulus is 'noise', expected one of whole, signal"),
        ("signal", "family", "maximal", "family is 'maximal', expected one of"),
        ("signal", "family", None, "family is nothing, expected one of"),
        (
            "signal",
            "family",
            "minimal@bands64",
            "family is 'minimal@bands64', expected one of minimal@bins, resp",
        ),
        (
            "whole",
            "family",
            MINIMAL,
            "family is 'minimal@bins', expected nothing for whole clips and silence",
        ),
        ("signal", "reference", "toys/third", "reference is 'toys/third', expected a reference"),
        ("silence", "reference", FIRST, "reference is 'toys/first', expected nothing"),
        ("largest", "level", 0, "level is 0, expected 0 to 7 for signals of families minimal@, and nothing"),
        ("whole", "clip_id", None, "clip_id is nothing, expected plain text"),
        ("whole", "clip_id", "a\x1b[2Jb", "clip_id is 'a\\x1b[2Jb', expected plain text"),
        ("whole", "clip_id", "<script>", "clip_id is '<script>', expected plain text"),
        ("whole", "clip_id", "x" * 513, "expected plain text"),
        (
            "silence",
            "clip_id",
            "clip-0001",
            "clip_id is 'clip-0001', expected plain text; nothing for silence",
        ),
        (
            "signal",
            "signal_id",
            "mine",
            "signal_id is 'mine', expected <clip_id>:<reference>:<family>:<seed>.<draw>",
        ),
        ("signal", "signal_id", None, "signal_id is nothing, expected"),
        ("whole", "signal_id", "mine", "signal_id is 'mine', expected nothing"),
        ("signal", "n_samples", 0, "n_samples is 0, expected 1 to 480000"),
        ("signal", "n_samples", 480_001, "n_samples is 480001, expected 1 to 480000"),
        ("whole", "truth", "furious", "truth is 'furious', expected a label of emotion, or nothing"),
        ("whole", "truth", "sad", "has rows with different truth"),
        ("silence", "truth", "sad", "truth is 'sad', expected a label of emotion, or nothing"),
        ("signal", "expected", "furious", "expected is 'furious', expected a label of emotion"),
        ("signal", "expected", None, "expected is nothing, expected a label of emotion"),
        ("whole", "expected", "sad", "expected is 'sad', expected nothing"),
        ("signal", "predicted_raw", "LABEL_0", "predicted_raw is 'LABEL_0', expected a class"),
        ("signal", "predicted", "surprise", "predicted is 'surprise', expected what the label map says"),
        ("signal", "predicted", "furious", "predicted is 'furious', expected a label of emotion or other"),
        ("signal", "p_expected", 0.5, "p_expected is 0.5, expected the entry of p for the label expected"),
        ("signal", "p_expected", None, "p_expected is nothing, expected the entry of p"),
        ("signal", "p_expected", NAN, "p_expected is nothing, expected the entry of p"),
        ("whole", "p_expected", 0.5, "p_expected is 0.5, expected nothing"),
        ("whole", "p", (), "p has 0 values, expected 10, one per label of emotion"),
        ("whole", "p", None, "p has nothing, expected 10, one per label of emotion"),
        ("whole", "p", (0.1,) * (LABELS - 1), "p has 9 values, expected 10, one per label of emotion"),
        ("whole", "p", (NAN,) * LABELS, "p is 'nan, nan"),
        ("whole", "p", (INF,) + (0.0,) * (LABELS - 1), "expected probabilities, 0 to 1"),
        ("whole", "p", (-0.1,) + (0.1,) * (LABELS - 1), "expected probabilities, 0 to 1"),
        ("whole", "p", (None,) * LABELS, "expected probabilities, 0 to 1"),
        ("whole", "p", (0.9,) * 4 + (0.0,) * (LABELS - 4), "expected a sum of at most 1"),
        ("whole", "p", (0.0,) * (LABELS - 1) + (0.5,), "expected 0 for labels outside the label map"),
        ("silence", "p", (0.9,) + (0.0,) * (LABELS - 1), "expected predicted to be the most probable class"),
        ("signal", "seconds_seen", -0.1, "seconds_seen is -0.1"),
        ("signal", "seconds_seen", NAN, "seconds_seen is nothing, expected 0 to the length"),
        ("signal", "seconds_seen", INF, "seconds_seen is inf, expected 0 to the length"),
        ("signal", "seconds_seen", 31.0, "seconds_seen is 31.0, expected 0 to the length"),
        ("signal", "draw", None, "draw is nothing, expected 1 to n_draws of the reference in this family"),
        ("signal", "draw", 0, "draw is 0, expected 1 to n_draws"),
        ("signal", "draw", 2, "draw is 2, expected 1 to n_draws"),
        ("swap", "draw", -(2**31), "draw is -2147483648, expected 1 to n_draws"),
        ("whole", "draw", 1, "draw is 1, expected nothing for whole clips and silence"),
        ("silence", "draw", 1, "draw is 1, expected nothing for whole clips and silence"),
        (
            "signal",
            "replicate",
            0,
            "replicate is 0, expected 0 to 2 for swap, 0 to 3 for matched, and nothing",
        ),
        ("whole", "replicate", 0, "replicate is 0, expected 0 to 2 for swap"),
        ("swap", "replicate", 3, "replicate is 3, expected 0 to 2 for swap"),
        ("swap", "replicate", -1, "replicate is -1, expected 0 to 2 for swap"),
        ("swap", "replicate", None, "replicate is nothing, expected 0 to 2 for swap"),
        ("matched", "replicate", 4, "replicate is 4, expected 0 to 2 for swap, 0 to 3 for matched"),
        (
            "signal",
            "other_clip",
            "clip-0003",
            "other_clip is 'clip-0003', expected another clip of the entry",
        ),
        ("matched", "other_clip", "clip-0003", "other_clip is 'clip-0003', expected another clip"),
        ("silence", "other_clip", "clip-0003", "other_clip is 'clip-0003', expected another clip"),
        ("swap", "other_clip", None, "other_clip is nothing, expected another clip of the entry for swap"),
        ("swap", "other_clip", "clip-0001", "other_clip is 'clip-0001', expected another clip"),
        ("swap", "other_clip", "clip-0009", "other_clip is 'clip-0009', expected another clip"),
        ("swap", "n_samples", 8_000, "n_samples is 8000, expected the length of other_clip"),
        ("signal", "energy_seen", 1.00001, "energy_seen is 1.0000"),
        ("signal", "energy_seen", -1e-9, "energy_seen is -1e-09, expected a share"),
        ("signal", "energy_seen", None, "energy_seen is nothing, expected a share"),
        (
            "signal",
            "robust",
            None,
            "robust is nothing, expected true or false, the same in all rows of a sig",
        ),
        ("swap", "robust", not MADE[1][first("swap")].robust, "expected true or false, the same in all rows"),
        ("whole", "robust", True, "robust is True, expected nothing for whole clips and silence"),
        ("silence", "robust", False, "robust is False, expected nothing for whole clips and silence"),
    ],
)
def test_a_row_that_cannot_be_is_named(
    tmp_path: Path, stimulus: str, field: str, value: Any, expected: str
) -> None:
    entry, verdicts = MADE
    i = first(stimulus)
    changed = [*verdicts]
    changed[i] = dataclasses.replace(verdicts[i], **{field: value})
    lines = found(store.write(tmp_path, entry, changed))
    assert any(expected in line and line.startswith("verdicts.parquet: ") for line in lines), lines
    if "rows with" not in expected:
        assert any(f"row {i}: " in line for line in lines), lines


@pytest.mark.parametrize("name", parquet_schema.VERDICTS.names)
def test_a_column_of_one_value_or_of_none_raises_nothing(tmp_path: Path, name: str) -> None:
    entry, verdicts = MADE
    for value in (getattr(verdicts[first("swap")], name), None):
        changed = [dataclasses.replace(verdict, **{name: value}) for verdict in verdicts]
        lines = found(store.write(tmp_path, entry, changed))
        assert all(line.startswith(("verdicts.parquet: ", "scorecard")) for line in lines)
        assert not any("cannot be counted" in line for line in lines)


def test_signals_of_several_draws_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    entry, verdicts = make_entry(n_clips=6, n_degenerate=1, n_draws=2)
    i = next(i for i, v in enumerate(verdicts) if v.draw == 2)
    changed = [*verdicts]
    changed[i] = dataclasses.replace(verdicts[i], draw=1)
    lines = found(store.write(tmp_path, entry, changed))
    assert any(f"row {i}: signal_id is " in line for line in lines), lines


@pytest.mark.parametrize("level", [None, -1, 8])
def test_a_signal_of_family_minimal_has_a_level_from_0_to_7(tmp_path: Path, level: int | None) -> None:
    entry, verdicts = MADE
    i = first("signal", MINIMAL)
    changed = [*verdicts]
    changed[i] = dataclasses.replace(verdicts[i], level=level)
    lines = found(store.write(tmp_path, entry, changed))
    assert any(f"row {i}: level is {excerpt(level)}, expected 0 to 7" in line for line in lines), lines


def test_many_rows_with_one_fault_are_one_problem(tmp_path: Path) -> None:
    entry, verdicts = MADE
    changed = [dataclasses.replace(v, energy_seen=2.0) for v in verdicts]
    (line,) = found(store.write(tmp_path, entry, changed))
    assert line.startswith(f"verdicts.parquet: row 0 and {len(verdicts) - 1} more: energy_seen is 2.0")


def without(wrong: Callable[[Verdict], bool]) -> Change:
    return lambda verdicts: [v for v in verdicts if not wrong(v)]


SIGNAL = MADE[1][first("signal", HEADLINE)].signal_id
SWAPPED = make_entry(n_clips=12, n_degenerate=1, whole_accuracy=1.0)
"""Of its clips 1, 3, 5, ..., which are of one length, every other one is of one class."""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            without(lambda v: v.signal_id == SIGNAL),
            "10 signals of toys/first, family responsibility@bands32, expected 11",
        ),
        *(
            (
                without(lambda v, s=stimulus: v.signal_id == SIGNAL and v.stimulus == s),  # type: ignore[misc]
                f"has no row of stimulus '{stimulus}', expected one",
            )
            for stimulus in ("signal", "largest", "complement")
        ),
        (
            without(lambda v: v.stimulus == "whole" and v.clip_id == "clip-0001"),
            "has no row of the whole clip",
        ),
        (without(lambda v: v.stimulus == "silence" and v.n_samples == 16_000), "16000 samples is the length"),
        (lambda v: [*v, v[first("whole")]], "'clip-0001' has two rows of the whole clip"),
        (lambda v: [*v, v[first("silence")]], "16000 samples of silence have two rows"),
        (
            lambda v: [*v, v[first("largest")]],
            "has two rows of one stimulus, level and replicate, expected one",
        ),
        (lambda v: [*v, v[first("signal", MINIMAL)]], "has two rows of one stimulus, level and replicate"),
        (lambda v: [*v, v[first("swap")]], "has two rows of one stimulus, level and replicate"),
        (lambda v: [*v, v[first("matched")]], "has two rows of one stimulus, level and replicate"),
        (
            without(lambda v: v.signal_id == SIGNAL and (v.stimulus, v.replicate) == ("matched", 1)),
            f"'{SIGNAL}' has only some replicates of matched, expected 0 and on, without a gap",
        ),
        (
            without(lambda v: v.signal_id == SIGNAL and (v.stimulus, v.replicate) == ("swap", 0)),
            f"'{SIGNAL}' has only some replicates of swap, expected 0 and on, without a gap",
        ),
        (
            without(lambda v: v.signal_id == SIGNAL and v.stimulus == "swap"),
            f"'{SIGNAL}' has too few swap controls, expected 3, or one for each clip",
        ),
        (
            without(lambda v: v.signal_id == SIGNAL and v.stimulus == "swap" and v.replicate != 0),
            f"'{SIGNAL}' has too few swap controls, expected 3, or one for each clip",
        ),
        (
            lambda v: [other_than(x, "clip-0003") if x.signal_id == SIGNAL else x for x in v],
            f"'{SIGNAL}' has two swap controls of one clip, expected different clips",
        ),
        (
            lambda v: [other_than(x, "clip-0002") if x.signal_id == SIGNAL else x for x in v],
            f"'{SIGNAL}' has a swap control of another length, expected one of its own, which there is",
        ),
        (
            lambda v: [
                other_than(x, "clip-0005") if x.signal_id == SIGNAL and x.replicate == 0 else x for x in v
            ],
            f"'{SIGNAL}' has a swap control of a clip that its reference gives the same class",
        ),
        (lambda v: [v[0]], "0 signals of toys/first, family responsibility@bands32, expected 11"),
        (
            lambda v: [answered_with_expected(x) if x.stimulus == "largest" else x for x in v],
            "has rows with different expected, expected one",
        ),
        (
            lambda v: [
                dataclasses.replace(x, n_samples=8_000, seconds_seen=0.5) if x.stimulus == "whole" else x
                for x in v
            ],
            "has rows with different n_samples, expected one",
        ),
    ],
)
def test_rows_that_are_missing_or_too_many_are_named(tmp_path: Path, change: Change, expected: str) -> None:
    entry, verdicts = SWAPPED
    lines = found(store.write(tmp_path, entry, change(verdicts)))
    assert any(expected in line for line in lines), lines


def other_than(verdict: Verdict, clip_id: str) -> Verdict:
    """The same row of a swap, of another clip; all else stays."""
    if verdict.stimulus != "swap":
        return verdict
    n_samples = 16_000 * (1 + int(clip_id[-1]) % 2)
    seconds = min(verdict.seconds_seen, n_samples / 16_000)
    return dataclasses.replace(verdict, other_clip=clip_id, n_samples=n_samples, seconds_seen=seconds)


def answered_with_expected(verdict: Verdict) -> Verdict:
    """The same row, about another class."""
    index = {label: i for i, label in enumerate(TASKS["emotion"].labels)}
    other = "boredom" if verdict.expected == "angry" else "angry"
    return dataclasses.replace(verdict, expected=other, p_expected=verdict.p[index[other]])


def test_a_level_above_0_needs_a_level_0(tmp_path: Path) -> None:
    entry, verdicts = MADE
    i = first("signal", MINIMAL)
    changed = [dataclasses.replace(v, level=3) if v is verdicts[i] else v for v in verdicts]
    lines = found(store.write(tmp_path, entry, changed))
    assert any("has no row of stimulus 'signal'" in line for line in lines), lines


NESTED = make_entry(n_clips=6, n_degenerate=1, levels=range(8))


def test_levels_change_no_number_of_an_entry() -> None:
    assert NESTED[0].scorecard == MADE[0].scorecard
    assert [v for v in NESTED[1] if not v.level] == MADE[1]
    assert len(NESTED[1]) == len(MADE[1]) + 2 * 5 * 7


LEVELLED = MADE[1][first("signal", MINIMAL)].signal_id


def of_level(*levels: int) -> Callable[[Verdict], bool]:
    return lambda v: v.signal_id == LEVELLED and v.level in levels


def relevelled(old: int, new: int) -> Change:
    return lambda verdicts: [dataclasses.replace(v, level=new) if of_level(old)(v) else v for v in verdicts]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without(of_level(7)), f"'{LEVELLED}' has only some levels, expected level 0 alone or 0 to 7"),
        (without(of_level(1)), f"'{LEVELLED}' has only some levels, expected level 0 alone or 0 to 7"),
        (without(of_level(*range(2, 8))), f"'{LEVELLED}' has only some levels"),
        (without(of_level(0)), f"'{LEVELLED}' has only some levels"),
        (without(of_level(0)), f"'{LEVELLED}' has no row of stimulus 'signal', expected one"),
        (relevelled(5, 6), f"'{LEVELLED}' has two rows of one stimulus, level and replicate, expected one"),
        (relevelled(5, 6), f"'{LEVELLED}' has only some levels"),
        (relevelled(3, 8), "level is 8, expected 0 to 7 for signals of families minimal@"),
        (
            lambda v: [*v, *filter(of_level(4), v)],
            "has two rows of one stimulus, level and replicate, expected one",
        ),
        (
            lambda v: [dataclasses.replace(x, level=2) if x.stimulus == "largest" else x for x in v],
            "level is 2, expected 0 to 7 for signals of families minimal@, and nothing for all else",
        ),
        (
            lambda v: [
                dataclasses.replace(x, level=0) if (x.stimulus, x.family) == ("signal", HEADLINE) else x
                for x in v
            ],
            "level is 0, expected 0 to 7 for signals of families minimal@, and nothing for all else",
        ),
        (
            lambda v: [answered_with_expected(x) if of_level(6)(x) else x for x in v],
            "has rows with different expected, expected one",
        ),
    ],
)
def test_levels_that_are_missing_or_too_many_are_named(tmp_path: Path, change: Change, expected: str) -> None:
    entry, verdicts = NESTED
    assert found(store.write(tmp_path / "sound", entry, verdicts)) == []
    lines = found(store.write(tmp_path / "broken", entry, change(verdicts)))
    assert any(expected in line for line in lines), lines


def test_signals_with_levels_may_stand_beside_signals_without(tmp_path: Path) -> None:
    entry, verdicts = NESTED
    some = without(of_level(*range(1, 8)))(verdicts)
    assert len(some) == len(verdicts) - 7
    assert found(store.write(tmp_path, entry, some)) == []


def test_merged_classes_need_not_hold_the_largest_probability(tmp_path: Path) -> None:
    entry, verdicts = MADE
    names = (*entry.label_map.names, "Anger")
    merged = dataclasses.replace(
        entry.label_map, names=names, canonical=(*entry.label_map.canonical, "angry")
    )
    i = next(i for i, v in enumerate(verdicts) if v.stimulus == "whole" and v.predicted == "boredom")
    for angry, sound in [(0.58, True), (0.62, False)]:
        p = (angry, 0.3, *(0.0,) * (LABELS - 2))
        changed = [dataclasses.replace(v, p=p) if v is verdicts[i] else v for v in verdicts]
        lines = found(store.write(tmp_path, dataclasses.replace(entry, label_map=merged), changed))
        assert (lines == []) is sound, lines


# verdicts.parquet: the file


def put_table(folder: Path, table: pa.Table, **options: Any) -> None:
    pq.write_table(table, folder / store.VERDICTS, **options)


def test_a_file_of_another_schema_is_refused(folder: Path) -> None:
    table = parquet_schema.verdict_table(MADE[1])
    put_table(folder, table.drop_columns(["level"]))
    assert any("columns 'task, reference, family" in line for line in found(folder))
    level = parquet_schema.VERDICTS.get_field_index("level")
    put_table(folder, table.set_column(level, "level", table["level"].cast(pa.int64())))
    assert any("column level is int64, expected int32" in line for line in found(folder))


def test_a_file_with_metadata_of_another_program_is_refused(folder: Path) -> None:
    table = parquet_schema.verdict_table(MADE[1])
    put_table(folder, table.replace_schema_metadata({"pandas": '{"index_columns": ["expected"]}'}))
    assert any("carries metadata of another program" in line for line in found(folder))


def test_an_empty_table_is_refused(folder: Path) -> None:
    put_table(folder, parquet_schema.VERDICTS.empty_table())
    assert any("0 rows, expected 1 to" in line for line in found(folder))


@pytest.mark.parametrize(
    ("limit", "most", "expected"),
    [
        ("MAX_ROWS", 10, "number of rows: "),
        ("MAX_CLIPS", 5, "references.0.n_signals: 6, expected 0 to 5"),
    ],
)
def test_a_file_beyond_a_limit_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, expected: str
) -> None:
    monkeypatch.setattr(validate_verdicts, limit, most)
    assert any(expected in line for line in found(folder)), found(folder)


def test_clips_without_signals_are_limited_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, verdicts = MADE
    another = dataclasses.replace(verdicts[first("whole")], clip_id="clip-0006")
    folder = store.write(tmp_path, entry, [*verdicts, another])
    monkeypatch.setattr(validate_verdicts, "MAX_CLIPS", 6)
    assert found(folder) == ["verdicts.parquet: 7 clips, expected at most 6"]


def test_a_dictionary_that_expands_a_thousandfold_is_refused_unexpanded(folder: Path) -> None:
    table, n = parquet_schema.verdict_table(MADE[1][:1]), 20_000
    table = pa.concat_tables([table] * n).combine_chunks()
    long = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["x" * 100_000]))
    put_table(folder, table.set_column(CLIP_ID, "clip_id", long), store_schema=False)
    assert (folder / store.VERDICTS).stat().st_size < 10**6
    assert any("bytes of data, expected at most" in line for line in found(folder)), found(folder)


def test_rows_with_far_too_many_probabilities_are_refused(folder: Path) -> None:
    many = [dataclasses.replace(v, p=(0.0,) * 1000) for v in MADE[1]]
    put_table(folder, parquet_schema.verdict_table(many))
    assert any("p has 1000 values, expected" in line for line in found(folder)), found(folder)


def test_text_that_is_not_utf8_is_refused(folder: Path) -> None:
    table = parquet_schema.verdict_table(MADE[1])
    broken = pa.array([b"\xff\xfe"] * len(table), pa.binary()).view(pa.string())
    put_table(folder, table.set_column(CLIP_ID, "clip_id", broken))
    assert any("verdicts.parquet: not readable" in line for line in found(folder)), found(folder)


def test_a_pointer_in_place_of_the_file_is_refused(folder: Path) -> None:
    (folder / store.VERDICTS).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    )
    lines = found(folder)
    assert lines == [f"verdicts.parquet {POINTED}"]


# Nothing raises


def check_lines(lines: list[str]) -> None:
    assert all(line and line.isprintable() and len(line) <= 600 for line in lines), lines


@pytest.fixture(scope="module")
def shared() -> Any:
    with tempfile.TemporaryDirectory() as root:
        yield store.write(Path(root), *MADE)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, below in inner for place in places(below, (*path, key)))]


CONTENT = json.loads(to_json(MADE[0]))
PLACES = places(CONTENT)[1:]
FUZZ = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), ANY), min_size=1, max_size=3))
def test_no_change_of_the_json_makes_a_check_raise(shared: Path, changes: list[tuple[Any, Any]]) -> None:
    before = (shared / store.ENTRY).read_bytes()
    content = copy.deepcopy(CONTENT)
    for (*parents, last), value in changes:
        inner = content
        # A change before this one may have taken the place away.
        for part in parents:
            inner = inner[part] if holds(inner, part) else None
        if holds(inner, last):
            inner[last] = value
    try:
        (shared / store.ENTRY).write_text(json.dumps(content))
        check_lines(found(shared))
    finally:
        (shared / store.ENTRY).write_bytes(before)


def holds(value: Any, part: Any) -> bool:
    return isinstance(value, list | dict) and part in (
        value if isinstance(value, dict) else range(len(value))
    )


WORDS = st.none() | st.sampled_from(["whole", "signal", "silence", MINIMAL, FIRST, "sad", OTHER]) | st.text()
FLOATS = st.none() | st.floats(width=32)
INTEGERS = st.none() | st.integers(-(2**31), 2**31 - 1)
BY_TYPE = {
    pa.string(): WORDS,
    pa.float32(): FLOATS,
    pa.int32(): INTEGERS,
    pa.bool_(): st.none() | st.booleans(),
}
VALUES = {
    name: BY_TYPE[kind]
    for name, kind in zip(parquet_schema.VERDICTS.names, parquet_schema.VERDICTS.types, strict=True)
    if name != "p"
} | {"p": st.none() | st.lists(FLOATS, min_size=LABELS, max_size=LABELS) | st.lists(FLOATS, max_size=3)}
CELLS = st.sampled_from(sorted(VALUES)).flatmap(lambda name: st.tuples(st.just(name), VALUES[name]))


@FUZZ
@given(cells=st.lists(st.tuples(st.integers(0, len(MADE[1]) - 1), CELLS), min_size=1, max_size=4))
def test_no_content_of_a_row_makes_a_check_raise(cells: list[tuple[int, tuple[str, Any]]]) -> None:
    entry, verdicts = MADE
    changed = [*verdicts]
    for i, (name, value) in cells:
        changed[i] = dataclasses.replace(changed[i], **{name: value})
    with tempfile.TemporaryDirectory() as root:
        check_lines(found(store.write(Path(root), entry, changed)))


@FUZZ
@given(data=st.data())
def test_no_damage_to_a_file_makes_a_check_raise_or_goes_unseen(shared: Path, data: st.DataObject) -> None:
    path = shared / data.draw(st.sampled_from([store.ENTRY, store.VERDICTS]))
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before) - 2))
    damaged = data.draw(
        st.sampled_from(
            [
                before[:at],
                before[at:] if at else b"",
                before[:at] + bytes([before[at] ^ 255]) + before[at + 1 :],
            ]
        )
    )
    try:
        path.write_bytes(damaged)
        lines = found(shared)
    finally:
        path.write_bytes(before)
    check_lines(lines)
    assert lines


@given(st.text())
def test_one_line_is_one_printable_line(message: str) -> None:
    line = one_line(message)
    assert line.isprintable()
    assert len(line) <= 600


@given(st.text() | st.floats() | st.integers() | st.none())
def test_a_shown_value_is_short_printable_ascii(value: Any) -> None:
    assert excerpt(value).isascii()
    assert excerpt(value).isprintable()
    assert "\n" not in excerpt(value)


# The command


def test_validate_reports_every_problem_of_every_entry(tmp_path: Path) -> None:
    sound = store.write(tmp_path, *MADE)
    broken = store.write(tmp_path, *make_entry(repo_id="toys/broken", n_clips=6))
    with_json(broken, "n_verdicts", 3)
    with_json(broken, "protocol", 9)
    result = CliRunner().invoke(validate, [str(tmp_path)])
    assert isinstance(result.exception, NotValid)
    assert str(result.exception) == "1 of 2 entries not valid, 0 problems beside them"
    assert len(result.stdout.splitlines()) == 2
    assert all(line.startswith(f"{broken}: ") for line in result.stdout.splitlines())
    as_json = json.loads(CliRunner().invoke(validate, [str(tmp_path), "--json"]).stdout)
    assert as_json["n_entries"], as_json["n_invalid"] == (2, 1)
    assert {e["path"]: len(e["problems"]) for e in as_json["entries"]} == {str(sound): 0, str(broken): 2}


def test_validate_is_content_with_sound_entries(tmp_path: Path) -> None:
    folder = store.write(tmp_path, *MADE)
    (folder / "report.html").write_text("<html></html>")
    result = CliRunner().invoke(validate, [str(folder), str(tmp_path)], catch_exceptions=False)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "1 of 1 entries valid\n")


def test_validate_is_stricter_below_submissions(tmp_path: Path) -> None:
    root = tmp_path / "submissions"
    folder = store.write(root, *MADE)
    (folder / "report.html").write_text("<html></html>")
    (root / "evil.py").write_text("import os")
    result = CliRunner().invoke(validate, [str(root)])
    assert isinstance(result.exception, NotValid)
    assert [line.removeprefix(str(root)).split(":")[0] for line in result.stdout.splitlines()] == [
        str(folder).removeprefix(str(root)),
        "/evil.py",
    ]


def test_validate_reads_a_users_own_task(tmp_path: Path) -> None:
    labels = {"cello": ("cel",), "flute": (), "organ": ()}
    task = Task("instrument", tuple(labels), MappingProxyType(labels))
    store.write(tmp_path / "results", *make_entry(task=task, n_clips=6))
    (tmp_path / "task.yaml").write_text("name: instrument\nlabels: {cello: [cel], flute: [], organ: []}\n")
    arguments = [str(tmp_path / "results"), "--task", str(tmp_path / "task.yaml")]
    assert CliRunner().invoke(validate, arguments, catch_exceptions=False).exit_code == 0
    assert isinstance(CliRunner().invoke(validate, arguments[:1]).exception, NotValid)


def test_validate_needs_an_entry_to_judge(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        result = CliRunner().invoke(validate, [str(path)])
        assert isinstance(result.exception, BadInput)
        assert "\n" not in str(result.exception)
