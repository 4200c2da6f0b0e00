"""Asking again: sound entries hold, forged ones are found out, and a machine at fault accuses nobody.

The embedded suite is a small one here (`tests.helpers.small_starter`), except where a test says so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import cli
from harness.cli.verification import base_of
from harness.entries import store, verification
from harness.entries.validate import strays
from harness.errors import NotValid
from harness.models.classifiers import Classifier
from harness.schemas import Entry
from harness.starter import paths
from harness.starter.paths import SUITE, embedded
from harness.submit import replay, verdict_sample
from tests.helpers import forgeries
from tests.helpers.repository import ROOT
from tests.helpers.small_starter import small_entry, small_suite

(SUBMITTED,) = store.find(ROOT / "submissions" / "local__starter-emotion-wav2vec2")
MODEL = SUITE / "models" / "starter-emotion-wav2vec2"
BASE = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def base_temp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture(autouse=True)
def small(base_temp: Path) -> Iterator[Path]:
    """A small suite in place of the embedded one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "SUITE", small_suite(base_temp))
        yield paths.SUITE


@pytest.fixture
def folder(base_temp: Path, tmp_path: Path) -> Path:
    """A sound entry among submissions of its own."""
    return store.file_into(small_entry(base_temp), tmp_path / "submissions")


@pytest.fixture
def submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One on the whole of the embedded suite."""
    monkeypatch.setattr(paths, "SUITE", SUITE)
    return store.file_into(SUBMITTED, tmp_path / "whole" / "submissions")


def run(*arguments: object) -> int:
    return cli.run([str(a) for a in arguments])


def verified(folder: Path, *options: object) -> int:
    return run("verify", folder, "--base", BASE, "-k", 8, *options)


# The base


def test_the_base_is_the_commit_checked_out_and_none_where_there_is_none(tmp_path: Path) -> None:
    assert base_of(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert base_of(tmp_path) is None, "no commit yet"
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert base_of(tmp_path) == head.stdout.strip()
    (tmp_path / "below").mkdir()
    assert base_of(tmp_path / "below") == head.stdout.strip()


# Entries that hold


def test_outside_of_git_the_draw_says_that_it_is_random_and_can_be_repeated(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    assert run("verify", folder, "-k", 8) == 0
    first = verification.read(folder)
    err = capsys.readouterr().err
    assert first is not None
    assert re.fullmatch(r"random:[0-9a-f]{40}", first.base or "")
    lines = [line for line in err.splitlines() if line.startswith("No commit is checked out, so the sample")]
    assert len(lines) == 1
    assert lines[0].endswith(f"is random; to repeat it: --base {first.base}")
    assert run("validate", folder) == 0
    verification.sidecar_of(folder).unlink()
    assert run("verify", folder, "-k", 8, "--base", first.base) == 0
    again = verification.read(folder)
    assert again is not None
    assert (again.base, again.n_asked, again.max_difference) == (
        first.base,
        first.n_asked,
        first.max_difference,
    )
    assert run("verify", folder, "-k", 8) == 0
    other = verification.read(folder)
    assert other is not None
    assert other.base != first.base


def test_a_sound_entry_holds_and_the_record_says_how_it_was_asked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    assert verified(folder) == 0
    said = capsys.readouterr()
    assert said.err == "1 of 1 entries hold\n"
    v = verification.read(folder)
    assert v is not None
    head, stated = said.out.splitlines()
    assert head == (
        f"{folder}: holds: replayed, 8 of 8 verdicts the same, largest difference "
        f"{v.max_difference:.2g}; known answer: 16 of 16 by local/starter-emotion-ast"
    )
    assert stated.startswith(f"{folder}: stated by the submitter: run.goodenough ")
    assert "; run.device cpu; " in stated
    assert (v.kind, v.base, v.holds, v.mismatches, v.n_scorecard_differences) == (
        "replayed",
        BASE,
        True,
        (),
        None,
    )
    assert (v.n_asked, v.n_same, v.differing) == (8, 8, ())
    assert v.max_difference <= v.tolerance
    entry = store.read(folder)
    assert (v.run.device, v.run.dtype, v.run.batch_size) == ("cpu", entry.run.dtype, entry.run.batch_size)
    assert v.known_answer is not None
    assert v.known_answer.reference in [r.model for r in entry.references]
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before
    assert strays(tmp_path / "submissions") == []
    assert run("validate", tmp_path / "submissions") == 0


def test_an_entry_of_this_repository_holds(submitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(submitted) == 0
    assert "known answer: 16 of 16 by local/starter-emotion-ast" in capsys.readouterr().out


def test_an_entry_whose_record_is_of_the_same_base_is_not_asked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(folder) == 0
    record = verification.sidecar_of(folder).read_bytes()
    said = capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "logits", None)
        assert verified(folder) == 0
        assert capsys.readouterr().out == said
    assert verification.sidecar_of(folder).read_bytes() == record
    assert run("verify", folder, "--base", BASE[::-1], "-k", 8) == 0
    again = verification.read(folder)
    assert again is not None
    assert again.base == BASE[::-1]


def test_without_writing_every_entry_is_asked_and_nothing_is_left(folder: Path) -> None:
    before = sorted(folder.parent.rglob("*"))
    assert verified(folder, "--no-write") == 0
    assert sorted(folder.parent.rglob("*")) == before


def test_a_reference_that_was_submitted_is_its_own_known_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "SUITE", SUITE)
    (own,) = [f for f in store.find(embedded() / "verdicts") if "emotion-whisper" in str(f)]
    folder = store.file_into(own, tmp_path / "submissions")
    assert verified(folder) == 0
    assert "known answer: 16 of 16 by local/starter-emotion-whisper" in capsys.readouterr().out


def test_everything_is_the_same_and_so_is_the_scorecard(folder: Path, tmp_path: Path) -> None:
    check_that_everything_is_the_same(folder, tmp_path)


@pytest.mark.slow
def test_everything_is_the_same_in_an_entry_of_this_repository(submitted: Path, tmp_path: Path) -> None:
    check_that_everything_is_the_same(submitted, tmp_path)


def check_that_everything_is_the_same(folder: Path, tmp_path: Path) -> None:
    assert verified(folder) == 0
    arguments = ("verify", "--all", folder.parent, "--out", tmp_path / "results")
    assert run(*arguments) == 0
    v = verification.read(folder)
    assert v is not None
    n = store.read(folder).n_verdicts
    assert (v.kind, v.base, v.holds) == ("reproduced", None, True)
    assert (v.n_asked, v.n_same, v.n_ties, v.n_scorecard_differences) == (n, n, 0, 0)
    assert list((tmp_path / "results").iterdir()) == []
    record = verification.sidecar_of(folder).read_bytes()
    assert run(*arguments) == 0
    assert verified(folder) == 0
    assert verification.sidecar_of(folder).read_bytes() == record


# Entries that do not


def holding(folder: Path, signal_id: str) -> str:
    """A base by which the signal itself is drawn first."""
    entry, rows = store.read(folder), store.verdicts(folder)
    worths, keys = verdict_sample.worth(entry, rows), verdict_sample.keys_of(rows)
    raising = np.flatnonzero(worths)
    (wanted,) = (n for n, i in enumerate(raising) if keys[i][:2] == (f"signal:{signal_id}", "signal"))
    sha256 = hashlib.sha256((folder / store.ENTRY).read_bytes()).hexdigest()

    def first(base: str) -> int:
        return int(
            np.argmin([verdict_sample._exponential_time(sha256, base, keys[i]) / worths[i] for i in raising])
        )

    return next(base for base in (f"{i:040x}" for i in range(100_000)) if first(base) == wanted)


def test_one_forged_verdict_is_found_when_it_is_drawn_and_not_before(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, signal_id = forgeries.one_verdict(folder, tmp_path / "forged" / "submissions")
    sound, forged = (store.read(f).scorecard.headline for f in (folder, place))
    assert sound is not None
    assert forged is not None
    assert (forged.rates.lift.value or 0) > (sound.rates.lift.value or 0)
    base = holding(place, signal_id)
    assert run("verify", place, "--base", base, "-k", 1) == 1
    said = capsys.readouterr()
    assert said.err == f"goodenough: 1 of 1 entries do not hold: {place}\n"
    head, line, _ = said.out.splitlines()
    v = verification.read(place)
    assert v is not None
    assert head.startswith(f"{place}: does not hold: replayed, 0 of 1 verdicts the same")
    assert line.startswith(f"{place}: signal of {signal_id}: predicted is ")
    assert (v.holds, v.n_asked - v.n_same, v.mismatches[0].signal_id) == (False, 1, signal_id)
    # A luckier draw does not make up for it.
    assert run("verify", place, "--base", "f" * 40, "-k", 1) == 1
    assert verification.read(place) == v


def test_one_forged_verdict_is_always_found_when_everything_is_asked(folder: Path, tmp_path: Path) -> None:
    check_that_one_forged_verdict_is_found(folder, tmp_path)


@pytest.mark.slow
def test_one_forged_verdict_is_found_among_those_of_an_entry_of_this_repository(
    submitted: Path, tmp_path: Path
) -> None:
    check_that_one_forged_verdict_is_found(submitted, tmp_path)


def check_that_one_forged_verdict_is_found(folder: Path, tmp_path: Path) -> None:
    place, signal_id = forgeries.one_verdict(folder, tmp_path / "forged" / "submissions")
    assert run("verify", "--all", place, "--out", tmp_path / "results") == 1
    v = verification.read(place)
    assert v is not None
    assert (v.holds, v.n_asked - v.n_same) == (False, 1)
    assert [m.signal_id for m in v.mismatches] == [signal_id]
    assert v.n_scorecard_differences is not None
    assert v.n_scorecard_differences > 0
    assert strays(tmp_path / "forged" / "submissions") == []


def test_classes_under_each_others_names_are_found_by_any_draw(folder: Path, tmp_path: Path) -> None:
    place = forgeries.classes_renamed(folder, tmp_path / "forged")
    assert verified(place) == 1
    v = verification.read(place)
    assert v is not None
    assert v.n_same < v.n_asked


def test_an_entry_that_is_not_valid_is_not_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / store.ENTRY
    path.write_text(path.read_text().replace('"protocol": 2', '"protocol": 9'))
    monkeypatch.setattr(Classifier, "logits", None)
    for options in ((), ("--all",)):
        assert run("verify", folder, *options) == 1
        said = capsys.readouterr()
        assert said.out == f"{folder}: protocol: 9, expected 2, that of this version\n"
        assert said.err.count("\n") == 1
    assert not verification.sidecar_of(folder).exists()


@pytest.mark.parametrize(("name", "options"), [("rerun", ("-k", 8)), ("reproduce", ("--all",))])
def test_a_model_whose_answers_depend_on_the_batch_costs_its_entry_alone(
    base_temp: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    options: tuple[object, ...],
) -> None:
    one, other = (store.file_into(small_entry(base_temp), tmp_path / place) for place in ("a", "b"))
    original = getattr(replay, name)

    def of_the_first(folder: Path, *arguments: object, **named: object) -> object:
        if folder == one:
            raise NotValid("the batch size moves its logits")
        return original(folder, *arguments, **named)

    monkeypatch.setattr(replay, name, of_the_first)
    monkeypatch.chdir(tmp_path)
    assert run("verify", one, other, *options) == 1
    assert f"{one}: the batch size moves its logits" in capsys.readouterr().out.splitlines()
    assert verification.read(one) is None
    assert (record := verification.read(other)) is not None
    assert record.holds


def test_an_entry_that_leaves_signals_out_is_not_asked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry, rows = store.read(folder), store.verdicts(folder)
    first = rows[rows["stimulus"] == "signal"].iloc[0]
    counts = tuple(
        dataclasses.replace(r, n_signals=r.n_signals - 1)
        if (r.model.repo_id, r.family) == (first["reference"], first["family"])
        else r
        for r in entry.references
    )
    fewer = forgeries.entry_changed(
        folder, tmp_path / "x", lambda e: dataclasses.replace(e, references=counts)
    )
    left_out = np.flatnonzero(rows["signal_id"] == first["signal_id"])
    place = forgeries.forged(fewer, tmp_path / "y", lambda rows: rows.drop(index=list(left_out)))
    assert verified(place) == 1
    said = capsys.readouterr().out
    assert "references: not those of the suite" in said
    assert "verdicts: none on 1 signal of the suite" in said


# Models and signals that are not what they should be


def test_a_changed_model_is_refused_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, what in (("config.json", "config or preprocessor"), ("model.safetensors", "weights")):
        changed = tmp_path / part / MODEL.name
        shutil.copytree(MODEL, changed)
        with open(changed / part, "r+b") as file:
            data = file.read()
            file.seek(0)
            file.write(data[:-1] + bytes([data[-1] ^ 1]) if part != "config.json" else data + b"\n")
        assert verified(folder, "--model", changed) == 2
        said = capsys.readouterr()
        assert said.err.startswith("goodenough: 1 of 1 entries could not be verified: ")
        assert f"local/starter-emotion-wav2vec2 is not the model of this entry: other {what}" in said.err
        assert said.err.count("\n") == 1
    assert not verification.sidecar_of(folder).exists()


def moved(folder: Path, root: Path, repo_id: str) -> Path:
    def rename(entry: Entry) -> Entry:
        return dataclasses.replace(entry, model=dataclasses.replace(entry.model, repo_id=repo_id))

    return forgeries.entry_changed(folder, root, rename)


def test_a_local_model_is_asked_where_it_is_given_and_else_passed_over(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = moved(folder, tmp_path / "submissions", "local/mine")
    assert verified(place) == 2
    assert "its model is a local folder; give it with --model path/to/mine" in capsys.readouterr().err
    assert verified(place, "--if-possible") == 0
    said = capsys.readouterr()
    assert said.err == "0 of 1 entries hold, 1 cannot be verified here\n"
    assert said.out.startswith(f"{place}: not verified: its model is a local folder")
    assert not verification.sidecar_of(place).exists()
    assert verified(tmp_path / "submissions", "--if-possible", "--json") == 0
    found = {one["path"]: one for one in json.loads(capsys.readouterr().out)["entries"]}
    assert (found[str(place)]["holds"], found[str(place)]["possible"]) == (None, False)
    assert (found[str(folder)]["holds"], found[str(folder)]["refusal"]) == (True, None)
    shutil.copytree(MODEL, tmp_path / "mine")
    assert verified(place, "--model", tmp_path / "mine") == 0


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
HOSTILE_FILES = {
    "a deep config": ("config.json", DEEP),
    "a config of a wrong type": ("config.json", b'{"architectures": 1, "model_type": ["wav2vec2"]}'),
    "a deep preprocessor": ("preprocessor_config.json", DEEP),
    "a deep index": ("model.safetensors.index.json", DEEP),
    "a shard of a long name": (
        "model.safetensors.index.json",
        b'{"weight_map": {"a": "' + b"x" * 5000 + b'.safetensors"}}',
    ),
    "a card of an impossible date": ("README.md", b"---\nrelease_date: 2023-02-31\n---\n"),
    "a card with a tag": ("README.md", b"---\nlicense: !!python/object:os.system x\n---\n"),
    "a card of a wrong type": ("README.md", b"---\n- 1\n- 2\n---\n"),
    "weights that are none": ("model.safetensors", b"\xff" * 8),
}
"""File of a model, and its content."""


@pytest.mark.parametrize("kind", HOSTILE_FILES)
def test_one_model_that_cannot_be_read_costs_its_own_entry(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    name, data = HOSTILE_FILES[kind]
    place = moved(folder, tmp_path / "submissions", "local/mine")
    shutil.copytree(MODEL, tmp_path / "mine")
    if name.endswith("index.json"):
        (tmp_path / "mine" / "model.safetensors").unlink()
    (tmp_path / "mine" / name).write_bytes(data)
    code = verified(tmp_path / "submissions", "--model", tmp_path / "mine", "--json")
    out, err = capsys.readouterr()
    outcomes = {one["path"]: one for one in json.loads(out)["entries"]}
    assert outcomes[str(folder)]["holds"] is True
    if name == "README.md" and outcomes[str(place)]["refusal"] is None:  # a card without facts
        assert code == (0 if outcomes[str(place)]["holds"] else 1)
        return
    assert code == 2
    assert outcomes[str(place)]["refusal"].isprintable()
    assert err.startswith("goodenough: 1 of 2 entries could not be verified: ")
    assert err.count("\n") == 1
    assert verification.sidecar_of(folder).exists()
    assert not verification.sidecar_of(place).exists()


def test_a_model_that_is_not_there_is_refused_before_any_entry_is_asked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(folder, "--model", tmp_path / "gone") == 2
    assert capsys.readouterr().err.startswith("goodenough: no folder at ")
    assert not verification.sidecar_of(folder).exists()


def test_a_model_with_code_of_its_own_is_never_asked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its code a folder is another revision."""

    def with_code(entry: Entry) -> Entry:
        model = dataclasses.replace(entry.model, revision="0" * 64)
        return dataclasses.replace(
            entry, model=model, facts=dataclasses.replace(entry.facts, remote_code=True)
        )

    place = forgeries.entry_changed(folder, tmp_path / "x", with_code)
    assert verified(place) == 2
    assert "its model comes with code of its own, which is not run here" in capsys.readouterr().err
    assert verified(place, "--if-possible") == 0


def test_code_that_a_model_does_not_have_does_not_save_an_entry_from_being_asked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_code(entry: Entry) -> Entry:
        return dataclasses.replace(entry, facts=dataclasses.replace(entry.facts, remote_code=True))

    place = forgeries.entry_changed(folder, tmp_path / "x", with_code)
    assert verified(place) == 1
    assert "facts.remote_code: True, expected False" in capsys.readouterr().out


def test_other_signals_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def asked(repo_id: str, sha256: str | None = None) -> Path:
        def change(entry: Entry) -> Entry:
            sha = sha256 or entry.signals.sha256
            signals = dataclasses.replace(entry.signals, repo_id=repo_id, revision=sha, sha256=sha)
            return dataclasses.replace(entry, signals=signals)

        return forgeries.entry_changed(folder, tmp_path / repo_id.replace("/", "-"), change)

    assert verified(asked("embedded/starter", "0" * 64)) == 2
    assert "embedded/starter holds other signals of emotion" in capsys.readouterr().err
    local = asked("local/recordings")
    assert verified(local) == 2
    assert (
        "its signals are a local folder; give it with --signals path/to/recordings" in capsys.readouterr().err
    )
    assert verified(local, "--if-possible") == 0
    assert verified(local, "--signals", embedded()) == 0
    capsys.readouterr()
    other = asked("local/others", "0" * 64)
    assert verified(other, "--signals", embedded(), "--if-possible") == 2
    assert (
        "local/signals does not hold the signals of this entry, which are of local/others"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("base", ["main", "0123", "Z" * 40, "0" * 41, "random:", "random:" + "0" * 64])
def test_a_base_must_be_a_whole_commit(folder: Path, base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", folder, "--base", base) == 2
    assert "expected all 40 hex digits of a commit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--all", "-k", 8), "-k cannot be combined with --all; leave one of them out"),
        (("--all", "--base", BASE), "--base cannot be combined with --all; leave one of them out"),
        (("--out", "results"), "--out requires --all; add it, or leave --out out"),
    ],
)
def test_options_of_a_sample_and_of_all_verdicts_do_not_mix(
    folder: Path, options: tuple[object, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", folder, *options) == 2
    assert capsys.readouterr().err == f"goodenough: {line}\n"


def test_a_file_that_is_no_record_is_not_replaced_unasked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = verification.sidecar_of(folder)
    path.write_text("{}")
    assert verified(folder) == 2
    assert "is not a verification of the entry beside it" in capsys.readouterr().err
    assert path.read_text() == "{}"


# The machine


@pytest.mark.parametrize("everything", [False, True])
def test_a_machine_that_computes_something_else_accuses_nobody(
    folder: Path,
    tmp_path: Path,
    everything: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = Classifier.logits

    def shifted(self: Classifier, *arguments: Any) -> Any:
        logits = right(self, *arguments)
        logits[:, 0] += 5
        return logits

    monkeypatch.setattr(Classifier, "logits", shifted)
    options = ("--all", "--out", tmp_path / "results") if everything else ("-k", 8)
    assert run("verify", folder, *options) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        "goodenough: the machine is at fault, not an entry: the reference local/starter-"
    )
    assert said.err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["entry.json", "verdicts.parquet"]


def test_where_no_reference_can_be_had_the_record_and_the_command_say_so(
    folder: Path,
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--signals", shutil.copytree(small / "signals", tmp_path / "signals"), "--model", MODEL)
    monkeypatch.setattr(paths, "SUITE", tmp_path / "nowhere")
    assert verified(folder, *options) == 0
    said = capsys.readouterr()
    assert (
        "emotion: this machine is not tested: Of 2 references of the suite none could be loaded" in said.err
    )
    assert "--reference FOLDER" in said.err
    assert said.out.splitlines()[0].endswith("; known answer: none")
    v = verification.read(folder)
    assert v is not None
    assert v.no_known_answer_because == "Of 2 references of the suite none could be loaded here."
    verification.sidecar_of(folder).unlink()
    reference = SUITE / "models" / "starter-emotion-whisper"
    assert verified(folder, *options, "--reference", reference) == 0
    assert "known answer: 16 of 16 by local/starter-emotion-whisper" in capsys.readouterr().out
