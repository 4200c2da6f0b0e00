"""Signals of several families in one folder: each is judged, reported and shown by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import cli
from harness.cli import outgoing_transfer
from harness.dataset.suites import load
from harness.entries import store
from harness.models import loading
from harness.tasks import TASKS
from tests.helpers import toy_models
from tests.helpers.corpus import make_corpus

NAMES = ("neu", "hap", "ang", "sad")
LABELS = ("angry", "happy", "neutral", "sad")
SEARCHES = ("responsibility@bands64", "minimal", "responsibility@tiles8x16")
FAMILIES = ("responsibility@bands64", "responsibility@tiles8x16", "minimal@bins")
"""Of these searches, the headline first."""


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, two models, and signals of one of them in three families."""
    root = tmp_path_factory.mktemp("families")
    make_corpus(root / "corpus", *((f"c{i}.wav", LABELS[i % 4]) for i in range(4)))
    for i, (name, architecture) in enumerate((("ear", "wav2vec2"), ("drum", "hubert"))):
        toy_models.save_model(root / name, architecture, NAMES, seed=i)
    searches = [word for search in SEARCHES for word in ("--search", search)]
    options = ("--task", "emotion", "--corpus", root / "corpus", "--out", root / "signals")
    assert run("extract", root / "ear", *options, "--repetitions", 1, "--budget", 300, *searches) == 0
    return root


@pytest.fixture(scope="module")
def entry(world: Path) -> Path:
    """Folder of the entry of the other model."""
    assert run("evaluate", world / "drum", "--signals", world / "signals", "--out", world / "results") == 0
    (folder,) = store.find(world / "results")
    return folder


def test_a_folder_has_the_families_that_were_asked_for_and_the_first_by_responsibility_ranks(
    world: Path,
) -> None:
    suite = load(str(world / "signals"))
    assert suite.headline("emotion") == FAMILIES[0]
    assert suite.families("emotion") == FAMILIES
    signals = [signal for signal, _ in suite.signals("emotion", "local__ear")]
    assert {signal.family for signal in signals} == {*FAMILIES}
    lengths = {family: {len(s.mask) for s in signals if s.family == family} for family in FAMILIES}
    assert lengths[FAMILIES[0]] == lengths[FAMILIES[2]]
    assert not lengths[FAMILIES[0]] & lengths[FAMILIES[1]], "tiles are of another domain"


def test_rates_of_families_are_never_mixed(world: Path, entry: Path) -> None:
    scorecard, rows = store.read(entry).scorecard, store.verdicts(entry)
    assert (scorecard.headline_family, [score.family for score in scorecard.families]) == (
        FAMILIES[0],
        [*FAMILIES],
    )
    n_of = {counts.family: counts for counts in load(str(world / "signals")).counts("emotion")}
    signals = rows[(rows["stimulus"] == "signal") & (rows["level"].fillna(0) == 0)]
    for score in scorecard.families:
        own = signals[signals["family"] == score.family]
        assert len(own) == n_of[score.family].n_signals - n_of[score.family].n_degenerate > 0
        assert score.rates.transfer.n == len(own)
        assert score.rates.transfer.value == pytest.approx((own["predicted"] == own["expected"]).mean())
    assert run("validate", entry, "--signals", world / "signals") == 0


def test_report_and_board_show_every_family(world: Path, entry: Path) -> None:
    report = (entry / "report.html").read_text()
    assert [family for family in FAMILIES if family not in report] == []
    (world / "submissions").mkdir()
    assert run("submit", entry, "--out", world / "submissions") == 0
    arguments = ("--submissions", world / "submissions", "--signals", world / "signals")
    assert run("leaderboard", "build", *arguments, "--out", world / "site") == 0
    page = (world / "site" / "tasks" / "emotion.html").read_text()
    assert [family for family in FAMILIES if family not in page] == []


def test_an_evaluation_as_json_has_each_family_and_the_headline(
    world: Path, entry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert (
        run("evaluate", world / "drum", "--signals", world / "signals", "--out", entry.parents[2], "--json")
        == 0
    )
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert [score["family"] for score in result["scorecard"]["families"]] == [*FAMILIES]
    assert result["signals"]["headline"] == FAMILIES[0]


def test_own_signals_of_other_atoms_are_judged_by_the_references(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--signals", world / "signals", "--out", tmp_path, "--reference", world / "ear")
    assert run("evaluate", world / "drum", *options, "--outgoing", "--search", "minimal@bands64") == 0
    assert "own signals" in capsys.readouterr().err
    (folder,) = [path.parent for path in (tmp_path / ".own").rglob("manifest.json")]
    suite = load(str(folder))
    assert suite.families("emotion") == ("minimal@bands64",)
    (cells,) = [json.loads(path.read_text()) for path in folder.rglob("outgoing.json")]
    assert list(cells) == ["local/ear"]
    assert cells["local/ear"]["rates"]["transfer"]["n"] == cells["local/ear"]["n_applicable"] > 0


def test_another_clip_cannot_stand_in_where_there_is_only_one(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--task", "emotion", "--corpus", world / "corpus", "--limit", 1, "--out", tmp_path / "signals")
    assert run("extract", world / "ear", *options, "--completion", "swap") == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "has only one; take more clips, or --completion noise:-40" in line
    assert not (tmp_path / "signals").exists()


@pytest.mark.parametrize(
    ("search", "about"), [("minimal@bands64", 250), ("responsibility", 247), ("responsibility@bins", 1417)]
)
def test_the_expected_queries_are_those_of_the_search_and_its_atoms(
    world: Path, search: str, about: int
) -> None:
    suite, task = load(str(world / "signals")), TASKS["emotion"]
    corpus = outgoing_transfer._corpus(suite, task)
    classifier = loading.load(str(world / "ear"), device="cpu")
    assert f"about {about:,} queries each" in outgoing_transfer._estimate(classifier, corpus, task, search)
