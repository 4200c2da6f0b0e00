"""The whole path: from a folder of recordings to a leaderboard page, as a user walks it."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from harness import cli
from harness.extract import DEFAULT, named
from harness.extract.search_task import family_of
from tests.helpers import rounding, toy_models

SPELLINGS = {
    "ear": ("neu", "hap", "ang", "sad"),
    "nose": ("Angry", "Happy", "Neutral", "Sad"),
    "eye": ("sadness", "joy", "anger", "neutrality"),
}
HEADLINE, MINIMAL = (str(family_of(named(name))) for name in DEFAULT)
TRUTH = ("angry", "happy", "neutral", "sad")


def goodenough(*arguments):
    """Run a command; returns its exit code."""
    return cli.run([str(a) for a in arguments])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A corpus of 32 tones, three listening models, a constant one, and signals of two references."""
    root = tmp_path_factory.mktemp("world")
    (root / "corpus").mkdir()
    rng = np.random.default_rng(0)
    with open(root / "corpus" / "metadata.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label"])
        for i in range(32):
            t = np.arange(8000 + 100 * (i % 2)) / 16_000
            x = sum(rng.uniform(0.02, 0.2) * np.sin(2 * np.pi * hz * t) for hz in rng.uniform(80, 6000, 4))
            x += 0.01 * rng.normal(size=len(t))
            soundfile.write(root / "corpus" / f"clip{i:02}.wav", x, 16_000)
            writer.writerow([f"clip{i:02}.wav", TRUTH[i % 4]])
    architectures = ("wav2vec2", "hubert", "whisper")
    for i, (name, architecture) in enumerate(zip(SPELLINGS, architectures, strict=True)):
        toy_models.save_model(root / "models" / name, architecture, SPELLINGS[name], seed=i)
    toy_models.save_model(root / "models" / "wall", "wav2vec2", TRUTH, bias=(0.0, 1.0, 0.0, 0.0))
    for name in ("ear", "nose"):
        code = goodenough(
            *("extract", root / "models" / name, "--task", "emotion", "--corpus", root / "corpus"),
            *("--repetitions", 2, "--out", root / "signals", "--batch-size", 64),
        )
        assert code == 0
    return root


def evaluated(world, name, capsys, *more):
    code = goodenough(
        *("evaluate", world / "models" / name, "--signals", world / "signals", *more),
        *("--out", world / "results", "--json"),
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    (result,) = json.loads(said.out)["results"]
    return result


def rates(result, family=HEADLINE):
    (score,) = [f for f in result["scorecard"]["families"] if f["family"] == family]
    return score["rates"]


def test_a_reference_accepts_all_of_its_own_signals(world, capsys):
    for name in ("ear", "nose"):
        card = evaluated(world, name, capsys, "--update-suite")["scorecard"]
        assert card["known_answer"] == 1.0
        own = [c for f in card["families"] for c in f["cells"] if c["same_weights"]]
        assert len(own) == 2
        assert all(c["rates"]["transfer"]["value"] == 1.0 and c["n_applicable"] > 0 for c in own)
    assert len(list((world / "signals" / "verdicts").rglob("entry.json"))) == 2


def test_a_constant_class_model_has_a_lift_of_exactly_zero(world, capsys):
    result = evaluated(world, "wall", capsys)
    for family in (HEADLINE, MINIMAL):
        wall = rates(result, family)
        assert wall["lift"]["value"] == 0.0
        assert wall["lift"]["low"] < 0 < wall["lift"]["high"]
        assert wall["placement"]["value"] == 0.0
        # `matched` is left out: a signal may have no such control.
        assert len({wall[k]["value"] for k in ("transfer", "swap", "largest", "silence", "agreement")}) == 1


def test_another_model_is_scored_with_intervals_and_its_entry_is_whole(world, capsys):
    result = evaluated(world, "eye", capsys)
    for estimate in rates(result).values():
        assert estimate["n"] > 0
        assert estimate["value"] is None or estimate["low"] <= estimate["value"] <= estimate["high"]
    assert result["scorecard"]["known_answer"] is None
    assert result["n_verdicts"] > 300
    assert result["run"]["versions"]["torch"]
    assert (world / "results" / "local__eye").is_dir()


def test_evaluating_again_gives_the_same_numbers(world, capsys):
    one, other = (evaluated(world, "eye", capsys) for _ in range(2))
    assert one["scorecard"] == other["scorecard"]
    assert one["verdicts_sha256"] == other["verdicts_sha256"]


def test_results_become_submissions_and_submissions_a_leaderboard(world, capsys):
    for name in ("eye", "wall"):
        evaluated(world, name, capsys)
    (world / "submissions").mkdir()
    assert goodenough("submit", world / "results" / "local__eye", "--out", world / "submissions") == 0
    assert goodenough("submit", world / "results" / "local__wall", "--out", world / "submissions") == 0
    capsys.readouterr()
    assert goodenough("validate", world / "submissions", "--signals", world / "signals") == 0
    assert not list((world / "submissions").rglob("report.html"))
    code = goodenough(
        *("leaderboard", "build", "--submissions", world / "submissions"),
        *("--signals", world / "signals", "--out", world / "site"),
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    page = (world / "site" / "tasks" / "emotion.html").read_text()
    for name in ("eye", "wall", "ear", "nose"):
        assert f"local/{name}" in page


def test_extracting_again_does_nothing_and_says_the_same(world, capsys):
    arguments = [
        *("extract", world / "models" / "ear", "--task", "emotion", "--corpus", world / "corpus"),
        *("--repetitions", 2, "--out", world / "signals", "--json"),
    ]
    before = (world / "signals" / "manifest.json").read_bytes()
    assert goodenough(*arguments) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["model"]["repo_id"] == "local/ear"
    assert {c["family"] for c in record["counts"]} == {HEADLINE, MINIMAL}
    assert (world / "signals" / "manifest.json").read_bytes() == before


def test_signals_change_neither_with_the_batch_size_nor_with_the_order_of_work(world, capsys, tmp_path):
    with rounding.leads() as nearest:
        for size in (1, 7):
            assert (
                goodenough(
                    *("extract", world / "models" / "nose", "--task", "emotion", "--corpus"),
                    *(world / "corpus", "--search", "minimal", "--limit", 8),
                    *("--out", tmp_path / str(size), "--batch-size", size),
                )
                == 0
            )
    assert nearest
    from harness.dataset import suites

    one, seven = (
        {s.signal_id: s for s, _ in suites.load(str(tmp_path / d)).signals("emotion", "local__nose")}
        for d in ("1", "7")
    )
    assert one.keys() == seven.keys()
    for key, signal in one.items():
        assert signal.expected == seven[key].expected
        if np.array_equal(signal.mask, seven[key].mask):
            assert signal.margin == pytest.approx(seven[key].margin, abs=rounding.MARGIN)
        else:
            assert min(nearest) < rounding.MARGIN


def test_an_entry_that_answers_less_than_the_suite_asks_is_found(world, capsys, tmp_path):
    from harness.dataset import suites
    from harness.dataset.parquet_schema import verdict_table
    from harness.entries import store, suite_check, validate
    from harness.metrics.scorecard import summarise
    from harness.tasks import TASKS
    from harness.types import Verdict

    result = evaluated(world, "eye", capsys)
    suite = suites.load(str(world / "signals"))
    entry, rows = store.read(Path(result["folder"])), store.verdicts(Path(result["folder"]))
    assert suite_check.check_against_suite(Path(result["folder"]), suite) == []
    # The rejected signals of one reference and family are left out, and all counts made to fit.
    signal = rows[(rows["stimulus"] == "signal") & (rows["reference"] == "local/ear")]
    signal = signal[signal["family"] == HEADLINE]
    rejected = set(signal.loc[signal["predicted"] != signal["expected"], "signal_id"])
    assert rejected
    kept = rows[~rows["signal_id"].isin(rejected)]
    references = tuple(
        dataclasses.replace(r, n_signals=r.n_signals - len(rejected))
        if (r.model.repo_id, r.family) == ("local/ear", HEADLINE)
        else r
        for r in entry.references
    )
    verdicts = [
        Verdict(
            **{k: None if v is None or v != v else v for k, v in row.items() if k != "p"}, p=tuple(row["p"])
        )
        for row in kept.astype(object).to_dict("records")
    ]
    frame = verdict_table(verdicts).to_pandas()
    card = summarise(
        frame, TASKS["emotion"], entry.model, references, entry.label_map, entry.signals.headline
    )
    likeness = tuple(
        dataclasses.replace(each, n_signals=each.n_signals - len(rejected))
        if each.reference.repo_id == "local/ear"
        else each
        for each in entry.likeness
    )
    cherry = dataclasses.replace(entry, references=references, scorecard=card, likeness=likeness)
    folder = store.write(tmp_path, cherry, verdicts)
    assert validate.validate_entry(folder, list(TASKS.values()), strict_files=True) == []
    found = suite_check.check_against_suite(folder, suite)
    assert any(line.startswith("references: not those of the suite") for line in found)
    assert any(line.startswith(f"verdicts: none on {len(rejected)} signals") for line in found)
