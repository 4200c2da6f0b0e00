"""The command line as scripts rely on it: exit codes, one line for what can be fixed, JSON and nothing else.

A command that is refused leaves the disk as it was.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from harness import cli
from harness.cli import options
from harness.cli.option_groups import GROUPS, GroupedCommand
from harness.dataset.suites import load
from tests.helpers import toy_models
from tests.helpers.corpus import make_corpus
from tests.helpers.repository import ROOT
from tests.helpers.verbs import SUBCOMMANDS

NAMES = ("neu", "hap", "ang", "sad")
MOOD = """\
name: mood
labels:
  bright: [hap, happy, ang, angry]
  dark: [neu, neutral, sad]
sample_rate_hz: 16000
"""
LOCK = ".lock"
"""Empty, and stays in a folder that was ever looked at to be written."""


def run(*arguments: object) -> int:
    return cli.run([str(a) for a in arguments])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, the same with numbers for names, a corpus, a task of the user's, signals of both tasks."""
    import torch

    root = tmp_path_factory.mktemp("cli")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = [(f"c{i}.wav", ("angry", "happy", "neutral", "sad")[i % 4]) for i in range(8)]
    make_corpus(root / "corpus", *rows)
    toy_models.save_model(root / "ear", "wav2vec2", NAMES)
    shutil.copytree(root / "ear", root / "mute")
    config = json.loads((root / "mute" / "config.json").read_text())
    config["id2label"] = {str(i): f"LABEL_{i}" for i in range(4)}
    config["label2id"] = {f"LABEL_{i}": i for i in range(4)}
    (root / "mute" / "config.json").write_text(json.dumps(config))
    (root / "mood.yaml").write_text(MOOD)
    for task, out in (("emotion", "signals"), (root / "mood.yaml", "mood_signals")):
        options = ("--corpus", root / "corpus", "--search", "minimal", "--out", root / out)
        assert run("extract", root / "ear", "--task", task, *options) == 0
    torch.set_num_threads(n_threads)
    return root


class Refusals:
    """Runs commands that must be refused: one line, and a folder that stays as it was."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def line(self, *arguments: object, code: int = 2) -> str:
        """The line of a refusal, without its `goodenough: `."""
        before = self._contents()
        self._capsys.readouterr()
        found = run(*arguments)
        said = self._capsys.readouterr()
        assert (found, said.out) == (code, ""), said.err
        assert self._contents() == before
        return one_line(said.err)

    def extract(self, model: object, **options: object) -> str:
        chosen = {"task": "emotion", "out": self.folder / "out", **options}
        return self.line("extract", model, *as_options(chosen))

    def evaluate(self, model: object, **options: object) -> str:
        return self.line("evaluate", model, *as_options({"out": self.folder / "out", **options}))

    def _contents(self) -> dict[Path, bytes | None]:
        found = (path for path in self.folder.rglob("*") if path.name != LOCK)
        return {path: path.read_bytes() if path.is_file() else None for path in found}


def as_options(options: dict[str, object]) -> list[object]:
    return [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", value)]


def one_line(err: str) -> str:
    assert err.startswith("goodenough: "), err
    assert err.endswith("\n"), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err.removeprefix("goodenough: ").removesuffix("\n")


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refusals:
    return Refusals(tmp_path, capsys)


# --- what was typed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["listen"], "no command 'listen'; there are: evaluate, check, tasks, extract"),
        (["evaluate"], "Missing argument 'MODEL...'; see: goodenough evaluate --help"),
        (["extract", "m", "--corpus", "c"], "Missing option '--task'"),
        (["extract", "m", "--task", "emotion"], "Missing option '--corpus'"),
        (["evaluate", "m", "--louder"], "No such option '--louder'"),
        (["tasks", "emotion"], "Got unexpected extra argument (emotion)"),
        (["evaluate", "m", "--batch-size", "0"], "Invalid value for '--batch-size': 0"),
        (["check", "m", "--batch-size", "many"], "Invalid value for '--batch-size': 'many'"),
        (["extract", "m", "--task", "emotion", "--corpus", "c", "--limit", "0"], "'--limit': 0"),
        (
            ["extract", "m", "--task", "emotion", "--corpus", "c", "--search", "luck"],
            "no search named 'luck'",
        ),
        *(
            (
                ["extract", "m", "--task", "emotion", "--corpus", "c", "--search", f"responsibility@{atoms}"],
                f"no resolution is called '{atoms}'; examples: bins, bands128, mel64",
            )
            for atoms in (
                "bands0",
                "bands-3",
                "bands2.5",
                "bands",
                "64",
                "bins64",
                "tiles8",
                "",
                "bands64@bins",
            )
        ),
        *(
            (["extract", "m", "--task", "emotion", "--corpus", "c", *given], line)
            for given, line in (
                (["--search", "minimal@bands99999999"], "expected numbers of at most 10,000,000"),
                (
                    ["--search", "minimal@blocks15ms"],
                    "resolution 'blocks15ms': blocks are multiples of 10 ms",
                ),
                (["--search", "minimal", "--search", "luck@bins"], "no search named 'luck'"),
                (
                    ["--search", "minimal", "--search", "gradient"],
                    "--search minimal and gradient: two find signals of one family; name one of each",
                ),
                (
                    ["--search", "responsibility@bands32", "--search", "responsibility"],
                    "--search responsibility@bands32 and responsibility: two find signals of one family",
                ),
                (
                    ["--repetitions", "3", "--search", "minimal@bands64"],
                    "--repetitions is an option of the search responsibility, not of minimal@bands64",
                ),
                (["--completion", "silence"], "no completion is called 'silence'; examples: zero, noise:-40"),
                (
                    ["--completion", "noise:40"],
                    "no completion is called 'noise:40'; examples: zero, noise:-40",
                ),
                (["--completion", "noise:-121"], "no completion is called 'noise:-121'"),
                (["--robust", "0.5"], "--robust needs a --completion of which there are draws: noise:-40"),
                (["--robust", "0.5", "--completion", "zero"], "--robust needs a --completion of which there"),
                (["--robust", "0", "--completion", "swap"], "Invalid value for '--robust': 0.0"),
                (["--robust", "1.1", "--completion", "swap"], "Invalid value for '--robust': 1.1"),
            )
        ),
        (["evaluate", "m", "--outgoing", "--search", "luck"], "no search named 'luck'"),
        (["evaluate", "m", "--outgoing", "--search", "minimal@bans64"], "no resolution is called 'bans64'"),
        (["evaluate", "m", "--search", "minimal@bands64"], "--search requires --outgoing"),
        (["extract", "m", "--task", "emotion", "--corpus", "c", "--seed", "-1"], "'--seed': -1"),
        (["extract", "m", "--task", "emotion", "--corpus", "c", "--seed", "x"], "'--seed': 'x'"),
        (["extract", "m", "--task", "emotion", "--corpus", "c", "--draws", "0"], "'--draws': 0"),
        (["extract", "m", "--task", "emotion", "--corpus", "c", "--draws", "101"], "'--draws': 101"),
        (["extract", "m", "--task", "sonar", "--corpus", "c"], "no task named 'sonar'; known: music-genre,"),
        (["extract", "m", "--task", "no.yaml", "--corpus", "c"], "no task file at no.yaml"),
        (
            ["extract", "m", "--task", "emotion", "--corpus", "c"],
            "no folder at c, and it is not a Hub dataset",
        ),
        (["evaluate", "m", "--signals", "s"], "no signals folder at s, and it is not a Hub dataset"),
        (["check", "./m"], "no folder at ./m"),
        (["check", ""], "an argument is empty"),
        (["check", "m", "--label-map", "no.json"], "File 'no.json' does not exist"),
        (["validate"], "Missing argument 'PATH...'"),
        (["validate", "nowhere"], "nowhere does not exist"),
        (["submit", "r"], "of this repository: goodenough submit r --out submissions/"),
        (["submit", "r", "--to", "name"], "expected the name of a dataset of the Hub, ORG/NAME"),
        (["submit", "r", "--to", "a/b", "--out", "."], "give one of them"),
        (["download", "--corpus", "."], "name it with --out DIR"),
        (["download", "--out", "d", "--reference", "a/b"], "give your copy of the corpus"),
        (["download", "--out", "d", "--corpus", "drums=."], "no task 'drums' is downloaded"),
    ],
)
def test_a_slip_is_one_line_and_exit_code_2(
    refused: Refusals, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(refused.folder)
    assert said in refused.line(*arguments)


def test_a_bare_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["leaderboard"]):
        assert cli.run(arguments) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(" ".join(["Usage: goodenough", *arguments]))
        assert "Commands:" in said.err


# --- corpora


def test_a_corpus_that_is_not_there_or_is_a_file_is_refused(refused: Refusals, world: Path) -> None:
    assert "no folder at" in refused.extract(world / "ear", corpus=refused.folder / "nowhere")
    assert "is a file; expected a folder" in refused.extract(world / "ear", corpus=world / "mood.yaml")
    assert "has no metadata.csv" in refused.extract(world / "ear", corpus=world / "ear")


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (b"", "has no column file_name"),
        (b"file_name,label\n", "lists no clips"),
        (b"file,label\na.wav,sad\n", "has no column file_name"),
        (b"file_name,label\na.wav,tired\n", "label 'tired' is not one of task emotion: angry,"),
        (b"file_name,label\na.wav,\xe4rger\n", "expected CSV, encoded as UTF-8"),
        (b"file_name,label\na.wav," + b"x" * 140_000, "expected CSV, encoded as UTF-8"),
        (b"file_name,label\n" + b"a" * 300 + b".wav,sad\n", "does not exist"),
        (b"file_name,label\nb.wav,sad\n", "b.wav does not exist"),
        (b"file_name,label\n../a.wav,sad\n", "must be a path inside the folder"),
        (b"file_name,label\na.wav,sad\na.wav,sad\n", "lists a twice"),
    ],
)
def test_a_broken_metadata_csv_is_refused(refused: Refusals, world: Path, metadata: bytes, said: str) -> None:
    corpus = make_corpus(refused.folder / "corpus", ("a.wav", "sad"))
    (corpus / "metadata.csv").write_bytes(metadata)
    assert said in refused.extract(world / "ear", corpus=corpus)


def test_text_and_empty_sound_in_place_of_audio_are_refused(refused: Refusals, world: Path) -> None:
    corpus = make_corpus(refused.folder / "corpus", ("a.wav", "sad"))
    header = (corpus / "a.wav").read_bytes()[:44]
    (corpus / "a.wav").write_text("a recording, honestly")
    assert "a.wav is not a readable sound file" in refused.extract(world / "ear", corpus=corpus)
    (corpus / "a.wav").write_bytes(header)
    assert "a.wav is cut off" in refused.extract(world / "ear", corpus=corpus)


def test_after_a_clip_too_short_for_the_model_is_taken_out_the_same_command_works(
    tmp_path: Path, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = make_corpus(tmp_path / "corpus", ("a.wav", "sad"), ("b.wav", "angry"))
    soundfile.write(corpus / "b.wav", np.linspace(-0.1, 0.1, 10), 16_000)
    command = ("extract", world / "ear", "--task", "emotion", "--corpus", corpus, "--out", tmp_path / "out")
    assert run(*command, "--search", "minimal") == 2
    said = one_line(capsys.readouterr().err)
    assert "too short for local/ear" in said
    assert "b (0.0006 s)" in said
    assert not (tmp_path / "out").exists()
    (corpus / "metadata.csv").write_text("file_name,label\na.wav,sad\n")
    assert run(*command, "--search", "minimal") == 0


def test_a_corrupt_clip_is_skipped_with_a_row_in_the_manifest(
    tmp_path: Path, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = make_corpus(tmp_path / "corpus", ("a.wav", "sad"), ("b.wav", "angry"))
    (corpus / "b.wav").write_bytes((corpus / "b.wav").read_bytes()[:20])
    out = tmp_path / "out"
    command = ("extract", world / "ear", "--task", "emotion", "--corpus", corpus, "--out", out)
    assert run(*command, "--search", "minimal") == 0
    assert "skipped b: " in capsys.readouterr().err
    (record,) = json.loads((out / "manifest.json").read_text())["references"]
    assert [s["clip_id"] for s in record["skipped"]] == ["b"]
    assert run(*command, "--search", "responsibility", "--repetitions", 1) == 0, "the folder can be joined"


def test_unfinished_work_is_not_continued_by_a_command_that_asks_for_other_work(
    tmp_path: Path, world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [(f"{i}.wav", label) for i, label in enumerate(("sad", "angry", "happy"))]
    corpus, other = make_corpus(tmp_path / "corpus", *names), make_corpus(tmp_path / "other", *names[:2])
    command = ["extract", world / "ear", "--task", "emotion", "--out", tmp_path / "out"]
    usual = ["--corpus", corpus, "--repetitions", 2, "--budget", 300]

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("harness.dataset.writer.add_reference", killed)
        assert run(*command, *usual) == 130
    capsys.readouterr()
    for changed, what in [
        (["--corpus", other, "--repetitions", 2, "--budget", 300], "clips"),
        (["--corpus", corpus, "--repetitions", 3, "--budget", 300], "searches"),
        (["--corpus", corpus, "--repetitions", 2, "--budget", 299], "searches"),
        ([*usual, "--alpha", 0.5], "searches"),
        ([*usual, "--limit", 2], "clips"),
        ([*usual, "--search", "gradient"], "searches"),
        ([*usual, "--seed", 1], "searches"),
        ([*usual, "--draws", 2], "searches"),
        ([*usual, "--search", "responsibility@bands64"], "searches"),
        ([*usual, "--completion", "swap"], "searches"),
        ([*usual, "--completion", "swap", "--robust", 0.5], "searches"),
    ]:
        if "gradient" in changed:
            changed = [c for c in changed if c not in ("--repetitions", 2)]
        assert run(*command, *changed) == 2
        assert f"was begun with another {what}; finish that work" in one_line(capsys.readouterr().err)
    assert run(*command, *usual) == 0


# --- models


def test_a_model_without_its_feature_extractor_is_refused(refused: Refusals, world: Path) -> None:
    model = refused.folder / "model"
    shutil.copytree(world / "ear", model)
    (model / "preprocessor_config.json").unlink()
    assert "has no preprocessor_config.json" in refused.evaluate(model, signals=world / "signals")
    assert "has no preprocessor_config.json" in refused.extract(model, corpus=world / "corpus")
    assert "has no preprocessor_config.json" in refused.line("check", model)


def test_a_model_whose_classes_are_numbers_is_refused_and_told_of_label_maps(
    refused: Refusals, world: Path
) -> None:
    lines = [
        refused.evaluate(world / "mute", signals=world / "signals"),
        refused.evaluate(world / "mute", signals=world / "signals", task="emotion"),
        refused.extract(world / "mute", corpus=world / "corpus"),
    ]
    assert all("'LABEL_0' does not say what it means" in line for line in lines)
    assert all("--label-map FILE" in line for line in lines)


def test_a_revision_of_a_folder_is_refused(refused: Refusals, world: Path) -> None:
    said = refused.evaluate(world / "ear", signals=world / "signals", revision="main")
    assert "a folder has no revision 'main'" in said


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused(refused: Refusals, world: Path, device: str) -> None:
    said = refused.evaluate(world / "ear", signals=world / "signals", device=device)
    assert said == f"no device {device!r} here; use --device cpu"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not a readable label map"),
        ("[]", "must hold the fields"),
        ('{"LABEL_0": "angry"}', "must hold the fields"),
    ],
)
def test_a_broken_label_map_is_refused(refused: Refusals, world: Path, content: str, said: str) -> None:
    path = refused.folder / "map.json"
    path.write_text(content)
    assert said in refused.evaluate(world / "mute", signals=world / "signals", label_map=path)
    assert said in refused.extract(world / "mute", corpus=world / "corpus", label_map=path)


def test_a_label_map_that_is_no_file_is_refused_by_every_verb(refused: Refusals, world: Path) -> None:
    absent = refused.folder / "none.json"
    assert "does not exist" in refused.evaluate(world / "ear", signals=world / "signals", label_map=absent)
    assert "does not exist" in refused.extract(world / "ear", corpus=world / "corpus", label_map=absent)
    assert "is a directory" in refused.line("check", world / "ear", "--label-map", refused.folder)


# --- tasks and signals


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: [", "is not readable YAML"),
        (b"\xff\xfe\x00", "is not readable YAML"),
        (b"", "needs the fields `name` and `labels`"),
        (b"name: mood\n", "needs the fields `name` and `labels`"),
        (b"name: mood\nlabels: [a]\n", "at least two labels"),
        (b"name: mood\nlabels: [[a], b]\n", "label ['a'] must be text"),
        (b"name: mood\nlabels: [yes, no]\n", "label True must be text"),
        (b"name: mood\nlabels: {a: x, b: y}\n", "label 'a' must be text with a list of spellings"),
        (b"name: mood\nlabels: {a: [b], b: []}\n", "'b' stands for 'a' and for 'b'"),
        (b"name: My Mood\nlabels: [a, b]\n", "must be lower case letters, digits and hyphens"),
        (b"name: emotion\nlabels: [a, b]\n", "is a built-in task"),
        (b"name: mood\nlabels: [a, b]\ncolour: red\n", "unknown field 'colour'"),
        (b"name: mood\nlabels: [a, b]\nmax_seconds: yes\n", "max_seconds is True"),
        (b"name: mood\nlabels: [a, b]\nsample_rate_hz: 8 kHz\n", "sample_rate_hz is '8 kHz'"),
    ],
)
def test_a_broken_task_file_is_refused(refused: Refusals, world: Path, content: bytes, said: str) -> None:
    path = refused.folder / "mood.yaml"
    path.write_bytes(content)
    assert said in refused.extract(world / "ear", corpus=world / "corpus", task=path)
    assert said in refused.evaluate(world / "ear", signals=world / "mood_signals", task=path)


def test_signals_without_the_task_or_that_are_none_are_refused(refused: Refusals, world: Path) -> None:
    said = refused.evaluate(world / "ear", signals=world / "signals", task="mood")
    assert "no signals for task 'mood'; it has: emotion" in said
    assert "has no manifest.json" in refused.evaluate(world / "ear", signals=world / "corpus")
    assert "no signals folder at" in refused.evaluate(world / "ear", signals=refused.folder / "nowhere")
    assert "is a file" in refused.evaluate(world / "ear", signals=world / "mood.yaml")


# --- where it goes


@pytest.mark.parametrize("below", [(), ("below",)])
def test_an_out_that_cannot_be_written_is_refused(
    refused: Refusals, world: Path, below: tuple[str, ...]
) -> None:
    (refused.folder / "file").write_text("here first")
    out = refused.folder.joinpath("file", *below)
    assert str(out) in refused.extract(world / "ear", corpus=world / "corpus", out=out)
    assert str(out) in refused.evaluate(world / "ear", signals=world / "signals", out=out)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="file modes do not bind root")
def test_a_read_only_out_is_refused(refused: Refusals, world: Path) -> None:
    out = refused.folder / "out"
    out.mkdir(mode=0o500)
    assert "Permission denied" in refused.extract(world / "ear", corpus=world / "corpus", out=out)
    assert "Permission denied" in refused.evaluate(world / "ear", signals=world / "signals", out=out)


def test_a_folder_that_holds_other_things_is_not_taken_for_signals(refused: Refusals, world: Path) -> None:
    (refused.folder / "out").mkdir()
    (refused.folder / "out" / "thesis.tex").write_text("ten years of work")
    assert "it is no signals folder" in refused.extract(world / "ear", corpus=world / "corpus")


# --- help


@pytest.mark.parametrize("verb", SUBCOMMANDS, ids=" ".join)
def test_every_verb_explains_itself_and_its_example_uses_options_it_has(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--help", "-h"):
        assert run(*verb, option) == 0
        said = capsys.readouterr()
        assert said.err == ""
        assert said.out.startswith(f"Usage: goodenough {' '.join(verb)} ")
    heading = rf"\n(?:{'|'.join(GROUPS)}|Options):\n"
    text, options = re.split(heading, said.out, maxsplit=1)
    promised, _, example = text.partition("Example")
    if verb not in [("tasks",), ("leaderboard",)]:
        assert f"goodenough {' '.join(verb)}" in " ".join(example.split())
    assert all(used in options for used in re.findall(r"--[a-z-]+", example))
    assert promised.strip()


@pytest.mark.parametrize("verb", SUBCOMMANDS, ids=" ".join)
def test_the_help_of_every_verb_fits_a_screen_and_is_plain(verb: tuple[str, ...]) -> None:
    lines = CliRunner().invoke(cli.goodenough, [*verb, "--help"], terminal_width=80).output.splitlines()
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 80
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert not any(re.search(r"\d<=?x|x[<>]", line) for line in lines), "ranges are for refusals"


@pytest.mark.parametrize("verb", SUBCOMMANDS, ids=" ".join)
def test_every_option_of_every_verb_is_in_one_group(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command: click.Command = cli.goodenough
    for name in verb:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    grouped = [option for options in GROUPS.values() for option in options]
    assert len(grouped) == len({*grouped})
    if isinstance(command, click.Group):
        return
    assert isinstance(command, GroupedCommand)
    assert run(*verb, "--help") == 0
    out = capsys.readouterr().out
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert len({*parameter.opts} & {*grouped}) == 1, parameter.name
            assert re.search(rf"^  {parameter.opts[0]}\b", out, re.MULTILINE)
    assert re.search(r"^  -h, --help  ", out, re.MULTILINE)


def test_help_lists_every_verb_and_version_is_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"^  {verb}  ", said, re.MULTILINE) for verb in cli.VERBS)
    assert run("--version") == 0
    assert capsys.readouterr().out == f"goodenough {version('goodenough')}\n"


# --- JSON, and exit codes of judgements


def object_of(out: str) -> dict[str, Any]:
    """Standard output, which must be one JSON object and nothing else."""
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_tasks_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tasks", "--json") == 0
    said = capsys.readouterr()
    assert list(object_of(said.out)) == ["music-genre", "emotion", "deepfake"]
    assert said.err == ""


def test_check_passes_a_model_that_speaks_a_task(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", world / "ear", "--json") == 0
    said = capsys.readouterr()
    found = object_of(said.out)
    assert found["passed"] is True
    assert found["model"]["repo_id"] == "local/ear"
    assert said.err == ""
    assert run("check", world / "ear", "--task", "emotion") == 0
    assert "pass" in capsys.readouterr().out


def test_check_fails_a_model_that_speaks_none_with_exit_code_1(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (("mute",), ("mute", "--task", "emotion"), ("ear", "--task", "deepfake")):
        assert run("check", world / arguments[0], *arguments[1:], "--json") == 1
        said = capsys.readouterr()
        assert object_of(said.out)["passed"] is False
        assert said.err == ""


def test_a_label_map_to_complete_is_proposed_and_then_taken(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", world / "mute", "--task", "emotion", "--json") == 1
    assert "--task emotion --template > labels.json" in capsys.readouterr().out
    assert run("check", world / "mute", "--task", "emotion", "--template") == 0
    proposed = json.loads(capsys.readouterr().out)
    assert proposed["labels"] == {f"LABEL_{i}": None for i in range(4)}
    proposed["labels"] |= {"LABEL_0": "neutral", "LABEL_1": "happy"}
    proposed |= {"reviewed_by": "me", "why": "the training script"}
    (tmp_path / "labels.json").write_text(json.dumps(proposed))
    assert run("check", world / "mute", "--task", "emotion", "--label-map", tmp_path / "labels.json") == 0


@pytest.mark.parametrize("tasks", [[], ["--task", "emotion", "--task", "deepfake"]])
def test_a_template_is_of_one_task(world: Path, tasks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", world / "mute", *tasks, "--template") == 2
    assert "--template requires one task" in capsys.readouterr().err


def test_a_model_of_several_classes_at_once_is_said_to_be_in_check_and_in_the_entry(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(world / "ear", tmp_path / "ear")
    config = json.loads((model / "config.json").read_text())
    config["problem_type"] = "multi_label_classification"
    (model / "config.json").write_text(json.dumps(config))
    assert run("check", model, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert "several classes at once" in {f["what"]: f["detail"] for f in report["findings"]}["note"]
    signals = ("--signals", world / "signals", "--out", tmp_path / "results")
    assert run("evaluate", model, "--task", "emotion", *signals) == 0
    [entry] = (tmp_path / "results").rglob("entry.json")
    assert json.loads(entry.read_text())["facts"]["multi_label"] is True


def test_check_says_how_long_an_evaluation_takes_and_what_is_not_read(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = toy_models.save_model(tmp_path / "ear", "hubert", ("happy", "sad", "sarcastic"))
    assert run("check", model, "--task", "emotion", "--signals", world / "signals", "--json") == 0
    found = {f["what"]: f["detail"] for f in json.loads(capsys.readouterr().out)["findings"]}
    read = found["labels of emotion"]
    assert read.startswith("happy → happy, sad → sad; not a label of the task, so never correct: sarcastic; ")
    assert "2 of 10 labels, without angry" in read
    assert re.fullmatch(r"at most \d+ s for \d+ stimuli of local/signals", found["evaluation of emotion"])


def test_extract_as_json_is_the_record_and_talk_goes_to_stderr(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = make_corpus(tmp_path / "corpus", ("a.wav", "sad"), ("b.wav", "happy"))
    shutil.copy(corpus / "a.wav", corpus / "b.wav")
    options = ("--task", "emotion", "--corpus", corpus, "--search", "minimal", "--out", tmp_path / "out")
    assert run("extract", world / "ear", *options, "--json") == 0
    said = capsys.readouterr()
    assert object_of(said.out)["corpus"]["n_duplicates"] == 1
    assert said.err == "1 of 2 clips left out: the same samples as another clip\n"
    assert run("extract", world / "ear", *options) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "minimal@bins: 1 signal, 1 of them degenerate\n" in said.err


def test_draws_a_seed_and_atoms_are_in_the_ids_and_in_the_manifest(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = make_corpus(tmp_path / "corpus", ("a.wav", "sad"), ("b.wav", "happy"))
    options = ("--task", "emotion", "--corpus", corpus, "--repetitions", 1, "--out", tmp_path / "out")
    chosen = ("--seed", 5, "--draws", 2, "--search", "responsibility@bands24", "--search", "minimal")
    assert run("extract", world / "ear", *options, *chosen, "--json") == 0
    record = object_of(capsys.readouterr().out)
    families = ("responsibility@bands24", "minimal@bins")
    for family, counts in zip(families, record["counts"], strict=True):
        assert [counts[name] for name in ("family", "seed", "n_draws", "n_signals")] == [family, 5, 2, 4]
    assert all(search.endswith(", seed 5, 2 draws") for search in record["searches"])
    suite = load(str(tmp_path / "out"))
    assert (suite.headline("emotion"), suite.families("emotion")) == (families[0], families)
    ids = {line.signal_id for line in suite.signal_lines("emotion", "local__ear")}
    assert ids == {
        f"{clip}:local__ear:{family}:5.{draw}" for clip in "ab" for family in families for draw in (1, 2)
    }


def test_a_completion_is_in_the_family_and_in_the_record(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = make_corpus(tmp_path / "corpus", ("a.wav", "sad"), ("b.wav", "happy"), ("c.wav", "angry"))
    options = (
        "--task",
        "emotion",
        "--corpus",
        corpus,
        "--search",
        "minimal@bands64",
        "--out",
        tmp_path / "out",
    )
    assert run("extract", world / "ear", *options, "--completion", "swap", "--robust", 0.5, "--json") == 0
    record = object_of(capsys.readouterr().out)
    assert [counts["family"] for counts in record["counts"]] == ["minimal@bands64+swap"]
    (search,) = record["searches"]
    assert search.endswith(" with swap robust to 0.5")
    suite = load(str(tmp_path / "out"))
    signals = [signal for signal, _ in suite.signals("emotion", "local__ear")]
    assert signals
    assert {signal.family for signal in signals} == {"minimal@bands64+swap"}
    assert all(signal.rest_clip in {"a", "b", "c"} - {signal.clip_id} for signal in signals)
    for signal in signals:
        shares = signal.survival or ()
        assert signal.degenerate == (signal.survival is None)
        assert all(0 <= share <= 1 for share in shares)
    # silence as completion, by name or by default, is the same work
    assert run("extract", world / "ear", *options, "--json") == 0
    before = object_of(capsys.readouterr().out)
    assert run("extract", world / "ear", *options, "--completion", "zero", "--json") == 0
    assert object_of(capsys.readouterr().out)["run"] == before["run"]
    assert load(str(tmp_path / "out")).families("emotion") == ("minimal@bands64+swap", "minimal@bands64")


def test_a_reference_without_signals_of_the_headline_cannot_join_a_folder(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = make_corpus(tmp_path / "corpus", ("a.wav", "sad"), ("b.wav", "happy"))
    toy_models.save_model(tmp_path / "drum", "hubert", NAMES, seed=1)
    options = ("--task", "emotion", "--corpus", corpus, "--repetitions", 1, "--out", tmp_path / "out")
    headline = ("--search", "responsibility@bands24")
    assert run("extract", world / "ear", *options, *headline) == 0
    capsys.readouterr()
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    for atoms in ("bands32", "bands128", "bins", "tiles8x16"):
        assert run("extract", tmp_path / "drum", *options, "--search", f"responsibility@{atoms}") == 2
        assert one_line(capsys.readouterr().err) == (
            f"the headline of {tmp_path / 'out'} is responsibility@bands24, these signals are"
            f" responsibility@{atoms}; give --search responsibility@bands24, too, or choose another --out"
        )
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before
    assert run("extract", tmp_path / "drum", *options, *headline, "--search", "responsibility@bands32") == 0
    assert run("extract", world / "ear", *options, "--search", "responsibility@bands32") == 0, "beside it"
    suite = load(str(tmp_path / "out"))
    assert suite.headline("emotion") == "responsibility@bands24"
    for record in suite.references("emotion"):
        assert [counts.family for counts in record.counts] == [
            "responsibility@bands24",
            "responsibility@bands32",
        ]


def test_validate_gives_exit_code_1_for_an_entry_that_was_tampered_with(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", world / "ear", "--signals", world / "signals", "--out", tmp_path, "--json") == 0
    said = capsys.readouterr()
    (result,) = object_of(said.out)["results"]
    assert (result["task"], said.err) == ("emotion", "")
    assert run("validate", tmp_path, "--json") == 0
    assert object_of(capsys.readouterr().out)["n_invalid"] == 0
    path = Path(result["folder"]) / "entry.json"
    entry = json.loads(path.read_text())
    entry["scorecard"]["whole"]["accuracy"]["value"] = 0.987
    path.write_text(json.dumps(entry))
    assert run("validate", tmp_path, "--json") == 1
    said = capsys.readouterr()
    found = object_of(said.out)
    assert found["n_invalid"] == 1
    assert any("accuracy" in line for line in found["entries"][0]["problems"])
    assert one_line(said.err) == "1 of 1 entries not valid, 0 problems beside them"
    assert run("submit", tmp_path, "--out", tmp_path) == 1
    assert "nothing was sent or copied" in capsys.readouterr().err


def test_a_task_of_the_users_own_goes_the_whole_way(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted = []
    for i, task in enumerate([(), ("--task", "mood"), ("--task", world / "mood.yaml")]):
        options = ("--signals", world / "mood_signals", "--out", tmp_path / str(i), "--json")
        assert run("evaluate", world / "ear", *task, *options) == 0
        (result,) = object_of(capsys.readouterr().out)["results"]
        assert result["task"] == "mood"
        assert result["scorecard"]["known_answer"] == 1.0
        accepted.append(result["verdicts_sha256"])
    assert len(set(accepted)) == 1
    assert run("validate", tmp_path / "0", "--json") == 1, "nobody knows the task without its file"
    assert run("validate", tmp_path / "0", "--task", world / "mood.yaml") == 0


# --- real processes


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("module", ["goodenough", "harness"])
def test_the_module_is_the_command_line(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("Usage: goodenough ")
    assert "leaderboard" in result.stdout


def test_importing_the_library_imports_no_command_line() -> None:
    code = "import sys, goodenough; print('click' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"


def test_a_process_refuses_in_one_line_before_it_opens_a_model(world: Path, tmp_path: Path) -> None:
    said = process("extract", world / "ear", "--task", "emotion", "--corpus", tmp_path / "nowhere")
    assert (said.returncode, said.stdout) == (2, "")
    assert "no folder at" in one_line(said.stderr)


def test_without_a_network_a_hub_id_is_refused_in_one_line(world: Path, tmp_path: Path) -> None:
    corpus = ("extract", world / "ear", "--task", "emotion", "--corpus", "org/name", "--out", tmp_path / "o")
    signals = ("evaluate", world / "ear", "--signals", "org/name", "--out", tmp_path / "o")
    for command in (corpus, signals):
        said = process(*command, HF_HOME=str(tmp_path / "hub"))
        assert (said.returncode, said.stdout) == (2, "")
        assert "org/name" in one_line(said.stderr)
    assert not (tmp_path / "o").exists()


@pytest.mark.slow  # test_an_out_that_cannot_be_written_is_refused gives the same command in this process
def test_a_process_refuses_in_one_line_after_it_opened_a_model(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "file"
    out.write_text("here first")
    said = process("evaluate", world / "ear", "--signals", world / "signals", "--out", out / "below")
    assert (said.returncode, said.stdout) == (2, "")
    assert one_line(said.stderr).startswith(f"cannot write {out / 'below'}")
    assert out.read_text() == "here first"


def test_a_process_prints_json_and_nothing_else(world: Path, tmp_path: Path) -> None:
    said = process("evaluate", world / "ear", "--signals", world / "signals", "--out", tmp_path, "--json")
    assert (said.returncode, said.stderr) == (0, "")
    (result,) = object_of(said.stdout)["results"]
    assert (Path(result["folder"]) / "report.html").is_file()
    assert {path.name for path in Path(result["folder"]).iterdir()} == {
        *("entry.json", "verdicts.parquet", "report.html"),
    }


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "tasks"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 0


@pytest.mark.parametrize(
    "given",
    [
        ["a folder"],
        ["here", "--loud"],
        ["--name", "it's one", "--name", "two", "here"],
        ["here", "--share", "0.25", "--json", "--loud"],
    ],
)
def test_the_command_that_comes_next_is_the_one_that_was_given(given: list[str]) -> None:
    """Parsed again it comes to the same, whatever the kinds of its parameters."""
    shown: list[tuple[dict[str, Any], str]] = []

    @click.command("verb")
    @click.argument("folder", type=click.Path(path_type=Path))
    @click.option("--loud", is_flag=True)
    @click.option("--name", "names", multiple=True)
    @click.option("--share", type=float, default=0.5)
    @click.option("--json", "as_json", is_flag=True)
    def verb(**parameters: Any) -> None:
        shown.append((parameters, options.command_line("as_json")))

    verb.main(given, prog_name="tool verb", standalone_mode=False)
    tool, name, *again = shlex.split(shown[0][1])
    verb.main(again, prog_name="tool verb", standalone_mode=False)
    assert (tool, name) == ("tool", "verb")
    assert shown[1][0] == {**shown[0][0], "as_json": False}
    assert "0.5" not in again, "what was not given is not there"
