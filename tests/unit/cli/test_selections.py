"""What selects: a wrong, an empty and an almost right value of every option is refused, and selects nothing.

Each option of each verb is either in SELECTORS or in SETTINGS: one that is new has to be put in one of them.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

from harness import cli
from harness.dataset import publish
from harness.dataset.corpora import open_corpus
from harness.entries import store
from harness.errors import BadCorpus, likely
from harness.evaluation.runner import evaluate
from harness.starter import __main__ as starter
from harness.starter import paths
from harness.tasks import TASKS
from tests.helpers import small_suite

EMOTION = TASKS["emotion"]


def every_option() -> set[tuple[str, str]]:
    """(verb, option or argument) of all that take a value."""

    def walk(command: click.Command, path: tuple[str, ...]) -> None:
        if isinstance(command, click.Group):
            for name in command.list_commands(click.Context(command)):
                below = command.get_command(click.Context(command), name)
                assert below is not None
                walk(below, (*path, name))
            return
        for each in command.params:
            if isinstance(each, click.Argument):
                options.add((" ".join(path), str(each.name).upper()))
            elif isinstance(each, click.Option) and not each.is_flag:
                options.add((" ".join(path), each.opts[0]))

    options: set[tuple[str, str]] = set()
    walk(cli.goodenough, ())
    walk(starter.main, ("harness.starter",))
    return options


SETTINGS = {
    *("--adapter-arg", "--env"),
    *("--out", "--to", "--ci-width", "--ray-address", "--workers", "--gpus-per-worker"),
    *("--cpus-per-worker", "--batch-size", "--robust", "--repetitions", "--seed", "--draws", "--budget"),
    *("--alpha", "--max-signals", "--licence", "--private-to", "--hold-back", "--hold-back-seed", "--tag"),
    *(
        "-k",
        "--source-name",
        "--source-url",
        "--framework",
        "--author",
        "--reason",
        "--port",
        "--entries-url",
        "--cards",
        "--results",
    ),
}
"""Options that say how, or where to, and choose nothing among what there is."""

ONE = ("extract", "MODEL", "--task", "emotion", "--corpus", "CORPUS")
SELECTORS: dict[tuple[str, str], tuple[tuple[str, ...], tuple[str, ...], str]] = {
    ("evaluate", "MODELS"): (("evaluate", "@", "--signals", "SUITE"), ("./gone", "models/gone/"), ""),
    ("evaluate", "--task"): (("evaluate", "ABSENT", "--signals", "SUITE"), ("sonar", "deepfak"), "deepfake"),
    ("evaluate", "--signals"): (("evaluate", "ABSENT"), ("gone", "SUITE2"), ""),
    ("evaluate", "--limit"): (("evaluate", "ABSENT", "--signals", "SUITE"), ("0", "-1", "ten", "1o"), ""),
    ("evaluate", "--shard"): (("evaluate", "ABSENT", "--signals", "SUITE"), ("3/2", "1-2", "0/2"), ""),
    ("evaluate", "--held-back"): (("evaluate", "ABSENT", "--signals", "SUITE"), ("gone", "SUITE2"), ""),
    ("evaluate", "--search"): (
        ("evaluate", "ABSENT", "--outgoing"),
        ("luck", "minimla", "minimal@luck"),
        "minimal",
    ),
    ("evaluate", "--reference"): (("evaluate", "MODEL", "--signals", "SUITE"), ("OTHER",), ""),
    ("evaluate", "--engine"): (("evaluate", "ABSENT"), ("slurm", "Ray"), "ray"),
    ("evaluate", "--revision"): (("evaluate", "MODEL", "--signals", "SUITE"), ("main", "mian"), ""),
    ("evaluate", "--dtype"): (("evaluate", "ABSENT"), ("int8", "float23"), "float32"),
    ("evaluate", "--label-map"): (("evaluate", "ABSENT"), ("gone.json", "SUITE"), ""),
    ("evaluate", "--device"): (("evaluate", "MODEL", "--task", "emotion"), ("warp", "cpuu"), ""),
    ("check", "MODEL"): (("check", "@"), ("./gone",), ""),
    ("check", "--task"): (("check", "ABSENT"), ("sonar", "emotoin", "gone.yaml"), "emotion"),
    ("check", "--signals"): (("check", "ABSENT"), ("gone", "SUITE2"), ""),
    ("check", "--revision"): (("check", "MODEL"), ("main",), ""),
    ("check", "--dtype"): (("check", "ABSENT"), ("int8", "float23"), ""),
    ("check", "--label-map"): (("check", "ABSENT"), ("gone.json",), ""),
    ("check", "--device"): (("check", "MODEL"), ("warp", "cpuu"), ""),
    ("extract", "MODEL"): (("extract", "@", *ONE[2:]), ("./gone",), ""),
    ("extract", "--task"): (("extract", "ABSENT", "--corpus", "CORPUS"), ("sonar", "emotoin"), "emotion"),
    ("extract", "--corpus"): (("extract", "ABSENT", "--task", "emotion"), ("gone", "CORPUS2"), ""),
    ("extract", "--recipe"): (("extract",), ("weather", "emotoin", "gone.yaml"), "emotion"),
    ("extract", "--only"): (
        ("extract", "--recipe", "emotion", "--dry-run"),
        ("org/none", "superb/hubert-large-superb-err"),
        "superb/hubert-large-superb-er",
    ),
    ("extract", "--corpus-folder"): (
        ("extract", "--recipe", "emotion", "--dry-run"),
        ("none=CORPUS", "camoe=CORPUS", "ravdess=gone", "CORPUS"),
        "",
    ),
    ("extract", "--search"): (ONE, ("luck", "minimla@bands64", "minimla"), "minimal"),
    ("extract", "--completion"): (ONE, ("silence", "swpa", "noise:40"), "swap"),
    ("extract", "--limit"): (ONE, ("0", "-1", "ten", "1o"), ""),
    ("extract", "--split"): (ONE, ("none", "Test", "test "), "test"),
    ("extract", "--engine"): (ONE, ("slurm",), ""),
    ("extract", "--revision"): (ONE, ("main",), ""),
    ("extract", "--dtype"): (ONE, ("int8",), ""),
    ("extract", "--label-map"): (ONE, ("gone.json",), ""),
    ("extract", "--device"): (ONE, ("cpuu",), ""),
    ("study", "SOURCE"): (("study", "@"), ("gone", "SUITE2"), ""),
    ("study", "--task"): (("study", "SUITE"), ("sonar", "deepfak"), "deepfake"),
    ("study", "--model"): (("study", "SUITE"), ("./gone",), ""),
    ("study", "--revision"): (("study", "SUITE", "--model", "MODEL"), ("main",), ""),
    ("study", "--dtype"): (("study", "SUITE"), ("int8",), ""),
    ("study", "--label-map"): (("study", "SUITE"), ("gone.json",), ""),
    ("study", "--device"): (("study", "--model", "MODEL", "--recompute"), ("cpuu",), ""),
    ("download", "SOURCE"): (("download", "@"), ("gone", "SUITE2"), ""),
    ("download", "--task"): (("download", "SUITE"), ("sonar", "deepfak"), "deepfake"),
    ("download", "--corpus"): (("download", "SUITE", "--out", "OUT"), ("deepfak=CORPUS", "gone"), ""),
    ("download", "--reference"): (
        ("download", "SUITE", "--out", "OUT", "--corpus", "CORPUS"),
        ("./gone", "OTHER"),
        "",
    ),
    ("publish", "FOLDER"): (("publish", "@"), ("gone", "CORPUS"), ""),
    ("publish", "--card"): (("publish", "SUITE"), ("gone.md", "CORPUS"), ""),
    ("validate", "PATHS"): (("validate", "@"), ("gone", "CORPUS"), ""),
    ("validate", "--task"): (("validate", "ENTRIES"), ("sonar", "emotoin", "gone.yaml"), "emotion"),
    ("validate", "--signals"): (("validate", "ENTRIES"), ("gone", "CORPUS"), ""),
    ("verify", "PATHS"): (("verify", "@"), ("gone", "CORPUS"), ""),
    ("verify", "--signals"): (("verify", "ENTRIES"), ("gone", "CORPUS"), ""),
    ("verify", "--model"): (("verify", "ENTRIES"), ("./gone", "OTHER"), ""),
    ("verify", "--adapter"): (("verify", "ENTRIES"), ("gone.py:Detector", "adapter:calp"), "clap"),
    ("verify", "--reference"): (("verify", "ENTRIES", "--signals", "SUITE"), ("./gone", "OTHER"), ""),
    ("verify", "--base"): (("verify", "ENTRIES"), ("HEAD", "0123abc"), ""),
    ("verify", "--held-back"): (("verify", "ENTRIES", "--signals", "SUITE"), ("gone", "CORPUS"), ""),
    ("submit", "RESULT_DIR"): (("submit", "@", "--out", "OUT"), ("gone", "CORPUS"), ""),
    ("submit", "--task"): (("submit", "ENTRIES", "--out", "OUT"), ("sonar", "emotoin"), "emotion"),
    ("export", "ENTRY"): (("export", "@", "--as", "model-index"), ("gone", "CORPUS"), ""),
    ("export", "--as"): (("export", "ENTRIES"), ("card", "model_index"), "model-index"),
    ("export", "--task"): (("export", "ENTRIES", "--as", "model-index"), ("sonar", "emotoin"), "emotion"),
    ("invalidate", "ENTRY"): (("invalidate", "@", "--author", "A", "--reason", "R"), ("gone",), ""),
    ("opt-out", "MODEL"): (
        ("opt-out", "@", "--task", "emotion", "--author", "A", "--reason", "R", "--out", "OUT"),
        ("./gone",),
        "",
    ),
    ("opt-out", "--task"): (
        ("opt-out", "ABSENT", "--author", "A", "--reason", "R", "--out", "OUT"),
        ("sonar", "emotoin"),
        "emotion",
    ),
    ("opt-out", "--revision"): (
        ("opt-out", "MODEL", "--task", "emotion", "--author", "A", "--reason", "R", "--out", "OUT"),
        ("main",),
        "",
    ),
    ("leaderboard build", "--submissions"): (("leaderboard", "build", "--out", "OUT"), ("gone",), ""),
    ("leaderboard build", "--signals"): (("leaderboard", "build", "--out", "OUT"), ("gone", "CORPUS"), ""),
    ("leaderboard serve", "--submissions"): (("leaderboard", "serve", "--port", "0"), ("gone",), ""),
    ("leaderboard serve", "--signals"): (("leaderboard", "serve", "--port", "0"), ("gone", "CORPUS"), ""),
    ("leaderboard app", "--submissions"): (("leaderboard", "app"), ("gone",), ""),
    ("leaderboard app", "--signals"): (("leaderboard", "app"), ("gone", "CORPUS"), ""),
    ("leaderboard export", "--submissions"): (("leaderboard", "export", "--as", "csv"), ("gone",), ""),
    ("leaderboard export", "--signals"): (("leaderboard", "export", "--as", "csv"), ("gone",), ""),
    ("leaderboard export", "--as"): (("leaderboard", "export"), ("xls", "cvs"), "csv"),
    ("leaderboard export", "--task"): (
        ("leaderboard", "export", "--as", "csv", "--submissions", "ENTRIES", "--signals", "SUITE"),
        ("sonar", "deepfak"),
        "deepfake",
    ),
    ("harness.starter", "--only"): (
        ("harness.starter",),
        ("none", "mdoel/starter-emotion-ast"),
        "model/starter-emotion-ast",
    ),
    ("harness.starter", "--recordings"): (("harness.starter", "--list"), ("gone", "CORPUS"), ""),
    ("harness.starter", "--where"): (("harness.starter",), ("signal", "nowhere"), ""),
}
"""(verb, option) -> the rest of the command (`@`: where an argument goes), wrong values, a name suggested.

ABSENT is a model that is not there: what is refused with it is refused before any model is looked for.
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("selections")
    suite = small_suite.small_suite(folder / "suite")
    about = (small_suite.LABELS, suite, small_suite.TASK, folder / "results")
    result = evaluate(small_suite.Loud(), *about)  # type: ignore[arg-type]
    store.write(folder / "results", result.entry, result.verdicts)
    make_corpus(folder / "corpus", "train", "test", "dev")
    (folder / "out").mkdir()
    models = paths.models("reference")
    names = {"SUITE": "suite", "CORPUS": "corpus", "ENTRIES": "results", "OUT": "out"}
    places = {name: str(folder / each) for name, each in names.items()}
    emotion = next(str(model) for model in models if "emotion" in model.name)
    return places | {"MODEL": emotion, "OTHER": str(models[0]), "ABSENT": str(folder / "no-model")}


def make_corpus(folder: Path, *splits: str) -> str:
    """Six clips of two classes, in the splits in turn."""
    folder.mkdir(parents=True)
    rows = [("file_name", "label", "split")]
    for i in range(6):
        rows.append((f"{i}.wav", ("sad", "happy")[i % 2], splits[i % len(splits)]))
        soundfile.write(folder / f"{i}.wav", 0.1 * np.random.default_rng(i).normal(size=800), 16_000)
    with open(folder / "metadata.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(folder)


def filled(words: tuple[str, ...], places: dict[str, str]) -> list[str]:
    for name in sorted(places, key=len, reverse=True):
        words = tuple(word.replace(name, places[name]) for word in words)
    return list(words)


def contents(places: dict[str, str]) -> set[Path]:
    return set(Path(places["OUT"]).parent.rglob("*"))


def test_every_option_selects_or_is_a_setting() -> None:
    every = every_option()
    selecting = {(verb, name) for verb, name in every if name not in SETTINGS}
    assert selecting == set(SELECTORS)
    assert {name for _, name in every} >= SETTINGS


CASES = [
    pytest.param(key, wrong, id=f"{key[0]} {key[1]} {wrong!r}")
    for key, (_, values, _) in SELECTORS.items()
    for wrong in (*values, "", " ")
]


@pytest.mark.parametrize(("key", "wrong"), CASES)
def test_what_is_not_there_is_refused_in_a_line_and_nothing_is_selected(
    key: tuple[str, str],
    wrong: str,
    places: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, values, meant = SELECTORS[key]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("harness.models.heads.open_checkpoint", opened)
    option = key[1]
    given = [wrong if word == "@" else word for word in words]
    if option.startswith("-"):
        given += [option, wrong]
    arguments = filled(tuple(given), places)
    before = contents(places)
    if key[0] == "harness.starter":
        monkeypatch.setattr("sys.argv", arguments)
        code = starter.run()
    else:
        code = cli.run(arguments)
    output = capsys.readouterr()
    lines = [line for line in output.err.splitlines() if not line.startswith(("No --signals", "No commit"))]
    assert code == 2, output
    assert len(lines) == 1, output.err
    assert lines[0].startswith(("goodenough: ", "harness.starter: "))
    assert output.out == ""
    assert contents(places) == before
    assert list(tmp_path.iterdir()) == []
    assert "no-model" not in lines[0], "the model was looked for first"
    if meant and wrong == values[1]:
        assert f"did you mean '{meant}'?" in lines[0]


@pytest.mark.parametrize("wrong", ["gone", "CORPUS"])
def test_held_back_signals_are_looked_for_before_any_entry_is_verified(
    places: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    def verified(*_: object) -> None:
        raise AssertionError("an entry was verified")

    monkeypatch.setattr("harness.cli.verify._outcome", verified)
    words = ("verify", "ENTRIES", "--signals", "SUITE", "--held-back", wrong)
    assert cli.run(filled(words, places)) == 2
    assert capsys.readouterr().err.startswith("goodenough: ")


def test_a_reference_that_is_none_is_refused_before_a_model_is_loaded(
    places: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.models.heads.open_checkpoint", opened)
    command = [
        "evaluate",
        "MODEL",
        "--task",
        "emotion",
        "--outgoing",
        "--reference",
        "OTHER",
        "--out",
        "OUT",
    ]
    assert cli.run(filled(tuple(command), places)) == 2
    assert (
        "does not have the weights of any reference of embedded/starter; the references are: local/"
        in capsys.readouterr().err
    )


def opened(checkpoint: object, *, device: str | None = None, **how: object) -> None:
    """In the place of loading a model: a device is looked at, and nothing is loaded."""
    from harness.models.devices import find

    find(device)
    raise AssertionError("a model was loaded")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("evalute",), "evaluate"),
        (("Evaluate",), "evaluate"),
        (("leader-board",), "leaderboard"),
        (("leaderboard", "biuld"), "build"),
        (("evaluate", "m", "--taks", "x"), "--task"),
        (("leaderboard", "build", "--submisions", "x"), "--submissions"),
        (("tasks", "--jsno"), "--json"),
    ],
)
def test_a_mistyped_command_or_option_is_answered_with_the_one_that_was_meant(
    typed: tuple[str, ...], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(list(typed)) == 2
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1
    assert "did you mean" in stderr.lower()
    assert meant in stderr


def test_only_what_is_close_is_suggested() -> None:
    assert likely("emotoin", TASKS) == "; did you mean 'emotion'?"
    assert likely("EMOTION", TASKS) == "; did you mean 'emotion'?"
    assert likely("weather", TASKS) == ""
    assert likely("", TASKS) == ""


TAKEN = [
    ((), None, 6),
    (("",), None, 6),
    (("test", "train"), None, 3),
    (("test", "train", ""), None, 2),
    (("Test", "train"), "'Test' is taken, read as its test split", 3),
    (("TEST", "TRAIN", "DEV"), "'TEST' is taken, read as its test split", 2),
    (("testing", "training"), "'testing' is taken", 3),
    (("test set", "train set"), "'test set' is taken", 3),
    (("test_split", "train_split"), "'test_split' is taken", 3),
    ((" test", "train"), "' test' is taken", 3),
    (("train",), "'train' is taken, the only one", 6),
    (("eval",), "'eval' is taken, the only one", 6),
]
"""Splits of a corpus, the line on the one that is taken (None: it needs none), and its clips."""


@pytest.mark.parametrize(("splits", "line", "n"), TAKEN)
def test_the_split_for_tests_is_found_however_it_is_spelled_and_that_is_said(
    tmp_path: Path, splits: tuple[str, ...], line: str | None, n: int
) -> None:
    corpus = open_corpus(make_corpus(tmp_path / "c", *(splits or ("",))), EMOTION)
    assert len(corpus) == n
    assert (corpus.choice is None) == (line is None)
    assert line is None or line in str(corpus.choice)


UNCLEAR = [
    ("train", "eval"),
    ("train", "evaluation"),
    ("train", "val"),
    ("train", "valid"),
    ("train", "validation"),
    ("train", "dev"),
    ("train", "heldout"),
    ("train", "held-out"),
    ("train", "test.clean", "test.other"),
    ("test", "Test"),
    ("train", "tset"),
    ("train", "prüfung"),
    ("fold1", "fold2"),
    ("train", ""),
]


@pytest.mark.parametrize("splits", UNCLEAR, ids="-".join)
def test_splits_of_which_none_is_clearly_for_tests_are_refused_and_listed(
    tmp_path: Path, splits: tuple[str, ...]
) -> None:
    source = make_corpus(tmp_path / "c", *splits)
    with pytest.raises(BadCorpus) as refusal:
        open_corpus(source, EMOTION)
    assert all(name in str(refusal.value) for name in splits)
    assert "choose one with --split NAME" in str(refusal.value)
    assert len(open_corpus(source, EMOTION, split=splits[0])) == 6 // len(splits)
    assert len(open_corpus(source, EMOTION, every_split=True)) == 6


def test_masks_alone_are_refused_before_a_model_is_looked_for(
    tmp_path: Path, places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    suite = small_suite.small_suite(tmp_path / "suite")
    masks = publish.prepare(
        suite, [], repo_id="org/name", cards={}, licence="cc-by-4.0", masks_only=True
    ).root
    for more in ((), ("--task", "deepfake")):
        command = ("evaluate", places["ABSENT"], "--signals", masks, "--out", tmp_path / "out")
        assert cli.run([str(word) for word in (*command, *more)]) == 2
        stderr = capsys.readouterr().err
        assert stderr.count("\n") == 1
        assert "has masks only for deepfake" in stderr
        assert "--corpus deepfake=FOLDER" in stderr
    assert not (tmp_path / "out").exists()
