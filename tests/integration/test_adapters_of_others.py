"""An adapter is run by who names it on a command line: named anywhere else, nothing runs it.

Each test puts the name of an adapter that leaves a mark into something that a stranger sends, and lets
everything read it that would: the mark must not be there at the end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import cli, labels
from harness.cli.common import source_of
from harness.cli.verification import VerificationSession
from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite
from harness.entries import held_back, store, verification
from harness.entries.validate import strays, validate_entry
from harness.errors import BadInput, GoodenoughError
from harness.models import checkpoints, heads
from harness.recipes import recipe_file
from harness.schemas import to_json
from harness.tasks import TASKS
from harness.types import ModelRef
from leaderboard.app import commands
from leaderboard.board import ranking, verification_status
from leaderboard.site import builder
from tests.helpers import board_world, hostile_files, toy_models
from tests.helpers.canary_adapter import Canary
from tests.helpers.entries import ADAPTER, by_adapter, made_verification, make_entry

MADE = make_entry(n_clips=6, n_degenerate=1)
ENTRY = by_adapter(MADE[0], dataclasses.replace(ADAPTER, name="evil.py:Evil", code={"evil.py": "0" * 64}))
SHOWN = {name: value for name, value in json.loads(to_json(ENTRY)).items() if name != "scorecard"}
TONE = board_world.TASK
PLACES = [place for place, _ in hostile_files.in_every_place(SHOWN, "")]


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    """In the folder in which everything works; it was run by nothing when a test ends."""
    made = Canary(tmp_path / "work")
    monkeypatch.chdir(made.file.parent)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    yield made
    assert not made.was_run


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


def test_who_names_it_on_a_command_line_runs_it(canary: Canary) -> None:
    for name in ("evil.py:Evil", f"{canary.file}:Evil"):
        run("check", name, "--task", "emotion")
        assert canary.was_run
        canary.mark.unlink()


def test_what_opens_the_models_of_others_runs_none(canary: Canary, tmp_path: Path) -> None:
    suite = board_world.make_suite(tmp_path / "suite")
    session = VerificationSession((), (), None)
    for name in canary.names():
        with pytest.raises(BadInput):
            checkpoints.resolve(name)
        model = ModelRef(name, "e" * 64, "f" * 64)
        for ref in (model, dataclasses.replace(model, repo_id=f"local/{name}")):
            with pytest.raises(BadInput):
                source_of(ref, (), suite, "--reference")
            with pytest.raises(BadInput):
                session.source_of(dataclasses.replace(MADE[0], model=ref))
        for verb in (
            ("download", "--task", "tone", "--out", tmp_path / "out", "--reference", name),
            ("opt-out", name, "--task", "emotion", "--author", "Ada", "--reason", "Mine."),
            ("verify", tmp_path, "--model", name),
            ("verify", tmp_path, "--reference", name),
        ):
            assert run(*verb) != 0


# Submissions


def _read_by_all(folder: Path, submissions: Path) -> None:
    """An entry, as the workflow for pull requests and the board read it."""
    validate_entry(folder, tuple(TASKS.values()), strict_files=True)
    strays(submissions)
    run("validate", submissions)
    run("verify", folder, "--if-possible", "--no-write")


@pytest.mark.parametrize("place", random.Random(0).sample(PLACES, 12))
def test_an_entry_that_names_it_is_read_and_nothing_is_run(
    canary: Canary, tmp_path: Path, place: str
) -> None:
    _in_place(canary, tmp_path, place, random.Random(place).sample(canary.names(), 2))


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_no_entry_that_names_it_in_any_place_runs_it(canary: Canary, tmp_path: Path, place: str) -> None:
    _in_place(canary, tmp_path, place, random.Random(place).sample(canary.names(), 5))


def _in_place(canary: Canary, tmp_path: Path, place: str, names: Any) -> None:
    for i, name in enumerate(names):
        content = {**json.loads(to_json(ENTRY)), **dict(hostile_files.in_every_place(SHOWN, name))[place]}
        submissions = tmp_path / f"submissions{i}"
        folder = store.write(submissions, ENTRY, MADE[1])
        (folder / store.ENTRY).write_text(json.dumps(content))
        for beside in (folder, folder.parent, submissions):
            canary.copy_to(beside)
        _read_by_all(folder, submissions)


def test_a_sound_entry_by_it_is_passed_over_and_stays_self_reported(canary: Canary, tmp_path: Path) -> None:
    submissions = tmp_path / "submissions"
    folder = store.write(submissions, ENTRY, MADE[1])
    assert run("validate", submissions) == 0
    assert run("verify", folder, "--if-possible", "--base", "0" * 40) == 0
    assert run("verify", folder, "--base", "0" * 40) == 2
    assert run("verify", folder, "--model", canary.file.parent / "evil.py:Evil") == 2
    assert verification.read(folder) is None
    assert verification_status.of(folder, stale=False).name == "self-reported"
    for adapter_sha256 in (None, "0" * 64):
        record = dataclasses.replace(made_verification(folder), adapter_sha256=adapter_sha256)
        assert verification.problems(verification.write(folder, record), folder)
        assert verification_status.of(folder, stale=False).name == "self-reported"
        assert run("validate", submissions) == 1
    by_hand = dataclasses.replace(made_verification(folder), adapter_sha256=ENTRY.model.weights_sha256)
    verification.write(folder, by_hand)
    status = verification_status.of(folder, stale=False)
    assert (status.name, "through its adapter, run by hand" in status.note) == ("replayed", True)


def test_records_beside_an_entry_that_name_it_run_nothing(canary: Canary, tmp_path: Path) -> None:
    submissions = tmp_path / "submissions"
    folder = store.write(submissions, *MADE)
    sound = json.loads(to_json(made_verification(folder)))
    for name in canary.names():
        for _, content in random.Random(name).sample(list(hostile_files.in_every_place(sound, name)), 6):
            verification.sidecar_of(folder).write_text(json.dumps(content))
            verification_status.of(folder, stale=False)
        for suffix in (held_back.SUFFIX, ".invalidated.json"):
            text = {"author": name, "reason": name, "date": "2026-02-01", "entry_sha256": name}
            folder.with_name(folder.name + suffix).write_text(json.dumps({"invalidations": [text]}))
        declined = {"repo_id": name, "revision": name, "task": name, "author": name, "reason": name}
        (folder.parent / "emotion.declined.json").write_text(json.dumps({**declined, "date": "2026-02-01"}))
        strays(submissions)
        verification_status.of(folder, stale=False)
    run("validate", submissions)


def test_a_board_of_such_entries_is_built_and_nothing_is_run(canary: Canary, tmp_path: Path) -> None:
    suite, submissions = board_world.make_suite(tmp_path / "suite"), tmp_path / "submissions"
    for repo_id in board_world.REFERENCES:
        board_world.add_entry(suite.root / "verdicts", suite, repo_id, board_world.Manner(0.6, 0.3))
    sound = board_world.add_entry(tmp_path / "sound", suite, "acme/echo", board_world.Manner(0.9, 0.1))
    entry = by_adapter(store.read(sound), ENTRY.facts.adapter, "adapter", "evil.py")  # type: ignore[arg-type]
    folder = submissions / entry.path
    folder.mkdir(parents=True)
    (folder / store.VERDICTS).write_bytes((sound / store.VERDICTS).read_bytes())
    (folder / store.ENTRY).write_text(to_json(entry))
    canary.copy_to(folder.parent)
    board = ranking.build(submissions, suite)
    row = next(row for row in board.current[0].all_rows if row.entry.facts.kind == "adapter")
    assert row.status.name == "self-reported"
    builder.write(tmp_path / "site", board, suite)


# Forms


def test_a_visitor_of_the_app_cannot_name_it(canary: Canary) -> None:
    names = (*canary.names(), str(canary.file.parent / "evil.py:Evil"), "evil.py:Evil/", "evil.py:Evil/.")
    for folders in (True, False):
        for name in names:
            try:
                request = commands.read(name, "tone", ("tone",), folders=folders)
            except BadInput:
                continue
            assert name in ("evil", "evil.py"), name
            command = commands.evaluate(request, None, Path("out"), None)
            assert (command[-2], checkpoints.is_adapter(command[-1])) == ("--", False)
            assert not any(word.startswith(("--adapter", "--env")) for word in command)
            with pytest.raises(GoodenoughError):
                checkpoints.resolve(command[-1])


def test_a_folder_that_holds_it_is_no_model(canary: Canary) -> None:
    request = commands.read(".", "tone", ("tone",), folders=True)
    assert request.model == str(canary.file.parent)
    assert run("check", request.model) == 2


# Files of the Hub


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", {"architectures": ["evil.py:Evil"], "_name_or_path": "evil.py:Evil"}),
        ("config.json", {"model_type": "evil.py:Evil"}),
        ("config.json", {"auto_map": {"AutoModelForAudioClassification": "evil.Evil"}}),
        ("config.json", {"auto_map": {"AutoModelForAudioClassification": "evil.py:Evil"}}),
        ("config.json", {"adapter": "evil.py:Evil", "kind": "adapter", "adapter_model": "evil.py:Evil"}),
        ("preprocessor_config.json", {"feature_extractor_type": "evil.py:Evil"}),
        ("preprocessor_config.json", {"auto_map": {"AutoFeatureExtractor": "evil.Evil"}}),
        ("README.md", "---\nbase_model: evil.py:Evil\nlicense: adapter:clap\nadapter: evil.py:Evil\n---\n"),
    ],
)
def test_a_folder_of_weights_that_names_it_is_opened_or_refused_without_it(
    canary: Canary, tmp_path: Path, file: str, content: Any
) -> None:
    folder = toy_models.save_model(tmp_path / "toy", "wav2vec2", ("angry", "happy", "neutral", "sad"))
    canary.copy_to(folder)
    path = folder / file
    if isinstance(content, dict):
        content = json.dumps({**json.loads(path.read_text()), **content})
    path.write_text(content)
    try:
        classifier = heads.open_checkpoint(checkpoints.resolve(str(folder)), device="cpu")
    except BadInput:
        return
    assert (classifier.facts.kind, classifier.facts.adapter) == ("head", None)


def test_a_suite_that_names_it_among_its_references_is_refused_or_read_without_it(
    canary: Canary, tmp_path: Path
) -> None:
    suite = board_world.make_suite(tmp_path / "suite")
    canary.copy_to(suite.root)
    sound = json.loads((suite.root / MANIFEST).read_text())
    adapter = json.loads(to_json(ENTRY))["facts"]["adapter"]
    model = {"repo_id": "local/evil.py:Evil", "revision": "0" * 64, "weights_sha256": "0" * 64}
    for change in (
        {"model": model},
        {"model": {**model, "repo_id": "local/evil.py"}},
        {"facts": {**sound["references"][0]["facts"], "kind": "adapter", "adapter": adapter}},
        {"searches": ["evil.py:Evil"]},
        {"corpus": {**sound["references"][0]["corpus"], "name": "evil.py:Evil"}},
    ):
        content = {**sound, "references": [{**sound["references"][0], **change}, *sound["references"][1:]]}
        (suite.root / MANIFEST).write_text(json.dumps(content))
        try:
            found = Suite(suite.root, "local/tones")
        except BadInput:
            continue
        reference = found.references("tone")[0].model
        with pytest.raises(BadInput):
            source_of(reference, (), found, "--reference")
        candidate = checkpoints.Checkpoint(reference, suite.root, None)
        with contextlib.suppress(BadInput):
            assert isinstance(VerificationSession((), (), found).machine(found, TONE, candidate), str)
    assert run("evaluate", "evil", "--signals", suite.root, "--task", "tone", "--out", tmp_path / "out") == 2


def test_a_recipe_and_a_label_map_that_name_it_run_nothing(canary: Canary, tmp_path: Path) -> None:
    recipe = Path(recipe_file.__file__).with_name("emotion.yaml").read_text()
    for name in canary.names():
        changed = re.sub(
            r"(?m)^(\s*- source:).*$", lambda match, n=name: f"{match[1]} {json.dumps(n)}", recipe
        )
        assert changed != recipe
        (tmp_path / "recipe.yaml").write_text(changed)
        try:
            recipe_file.read(str(tmp_path / "recipe.yaml"))
        except BadInput:
            pass
        else:
            assert run("recipe", "build", tmp_path / "recipe.yaml", "--out", tmp_path / "built") != 0
    (tmp_path / "map.json").write_text(json.dumps({"model": "evil.py:Evil", "labels": {"a": "sad"}}))
    with pytest.raises(BadInput):
        labels.from_file(tmp_path / "map.json", ("a",), TASKS["emotion"], ModelRef("a/b", "0" * 40, "0" * 64))
