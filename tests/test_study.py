"""Studies: every number counted again from the verdicts by pandas alone; the command; the pages."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness import cli
from harness.dataset.layout import VERDICTS
from harness.dataset.signals import load
from harness.records import N_LEVELS
from harness.starter import root
from harness.submit import store
from leaderboard import findings
from tests import toys
from tests.test_cli import make_corpus

TASK = "emotion"


def run(*arguments: object) -> int:
    return cli.run([str(a) for a in arguments])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of a task of the starter suite, with its candidate."""
    place = tmp_path_factory.mktemp("study")
    (candidate,) = (m for m in root.models("candidate") if TASK in m.name)
    assert run("study", "--task", TASK, "--model", candidate, "--out", place) == 0
    return place


@pytest.fixture(scope="module")
def study(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "study.json").read_text())["tasks"][TASK]
    return found


@pytest.fixture(scope="module")
def rows(out: Path) -> pd.DataFrame:
    """All verdicts of the panel, with a column for the judge."""
    parts = []
    for folder in [*store.find(root.embedded() / VERDICTS), *store.find(out / "entries")]:
        entry = json.loads((folder / "entry.json").read_text())
        if entry["task"] == TASK:
            frame = pd.read_parquet(folder / "verdicts.parquet")
            parts.append(frame.assign(judge=entry["model"]["repo_id"]))
    return pd.concat(parts, ignore_index=True)


def wide(rows: pd.DataFrame, family: str) -> pd.DataFrame:
    """One row per judge and signal of another: acceptance of signal, permuted and whole clip."""
    some = rows[(rows["family"] == family) & ~(rows["level"] > 0) & (rows["judge"] != rows["reference"])]
    some = some.assign(accepted=(some["predicted"] == some["expected"]).astype(float))
    keys = ["judge", "reference", "clip_id", "signal_id"]
    found = some.pivot_table(index=keys, columns="stimulus", values="accepted").reset_index()
    said = rows[rows["stimulus"] == "whole"].set_index(["judge", "clip_id"])["predicted"]
    expected = some.drop_duplicates("signal_id").set_index("signal_id")["expected"]
    whole = [said[j, c] == expected[s] for j, c, s in found[["judge", "clip_id", "signal_id"]].to_numpy()]
    return found.assign(whole=np.array(whole, dtype=float))


@pytest.mark.parametrize("i", [0, 1])
def test_the_means_over_pairs_are_those_of_the_verdicts(
    study: dict[str, Any], rows: pd.DataFrame, i: int
) -> None:
    family = study["families"][i]
    table = wide(rows, family["family"])
    references = table["reference"].unique()
    among = table[table["judge"].isin(references)]
    pairs = among.groupby(["reference", "judge"])
    assert family["transfer"]["n"] == len(among)
    assert family["transfer"]["value"] == pytest.approx(pairs["signal"].mean().mean())
    assert family["floor"]["value"] == pytest.approx(pairs["permuted"].mean().mean())
    lift = (among["signal"] - among["permuted"]).groupby([among["reference"], among["judge"]]).mean()
    assert family["lift"]["value"] == pytest.approx(lift.mean())
    assert family["ceiling"]["value"] == pytest.approx(pairs["whole"].mean().mean())
    agreeing = among[among["whole"] == 1].groupby(["reference", "judge"])["signal"].mean()
    assert family["agreeing_transfer"]["value"] == pytest.approx(agreeing.mean())
    for judge, estimate in family["incoming"].items():
        mean = table[table["judge"] == judge].groupby("reference")["signal"].mean().mean()
        assert estimate["value"] == pytest.approx(mean)
    for reference, estimate in family["outgoing"].items():
        mean = among[among["reference"] == reference].groupby("judge")["signal"].mean().mean()
        assert estimate["value"] == pytest.approx(mean)
    both_ways = pairs["signal"].mean()
    for a, b, estimate in family["asymmetry"]:
        wanted = both_ways[a["repo_id"], b["repo_id"]] - both_ways[b["repo_id"], a["repo_id"]]
        assert estimate["value"] == pytest.approx(wanted)


@pytest.mark.parametrize("i", [0, 1])
def test_judges_are_compared_on_the_signals_of_neither(
    study: dict[str, Any], rows: pd.DataFrame, i: int
) -> None:
    family = study["families"][i]
    table = wide(rows, family["family"]).pivot(
        index=["reference", "signal_id"], columns="judge", values="signal"
    )
    assert len(family["compared"]) == 10, "five models"
    for pair in family["compared"]:
        both = table[[pair["first"]["repo_id"], pair["second"]["repo_id"]]].dropna()
        one, other = (both.iloc[:, k] for k in (0, 1))
        assert pair["only_first"] == ((one == 1) & (other == 0)).sum()
        assert pair["only_second"] == ((one == 0) & (other == 1)).sum()
        means = both.groupby("reference").mean().mean()
        assert pair["transfer"]["value"] == pytest.approx(means.iloc[0] - means.iloc[1])
        assert pair["p"] <= pair["p_adjusted"] <= 1
        assert pair["transfer"]["low"] <= pair["transfer"]["value"] <= pair["transfer"]["high"]


@pytest.mark.parametrize("i", [0, 1])
def test_p_values_are_those_of_statsmodels(study: dict[str, Any], i: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests

    pairs = study["families"][i]["compared"]
    for pair in pairs:
        table = [[0, pair["only_first"]], [pair["only_second"], 0]]
        assert pair["p"] == pytest.approx(mcnemar(table, exact=True).pvalue)
    adjusted = multipletests([pair["p"] for pair in pairs], method="fdr_bh")[1]
    assert [pair["p_adjusted"] for pair in pairs] == pytest.approx(adjusted.tolist())


@pytest.mark.parametrize("i", [0, 1])
def test_shares_of_flat_earthers_are_those_of_the_verdicts(
    study: dict[str, Any], rows: pd.DataFrame, i: int
) -> None:
    family = study["families"][i]
    table = wide(rows, family["family"])
    rejects = table.assign(no=table["signal"] == 0).groupby("signal_id")["no"].sum()
    judges = table.groupby("signal_id")["no" if "no" in table else "signal"].size()
    for each in family["flat_earth"]:
        name = each["model"]["repo_id"]
        mine = table[table["judge"] == name].set_index("signal_id")
        others = rejects[mine.index] - (mine["signal"] == 0)
        qualifying = mine[(others == 0) & (judges[mine.index] > 1)]
        share = each["rejects_alone"]
        assert (share["k"], share["n"]) == ((qualifying["signal"] == 0).sum(), len(qualifying))
        own = table[table["reference"] == name].groupby("signal_id")["signal"].sum()
        share = each["rejected_by_all"]
        assert (share["k"], share["n"]) == ((own == 0).sum(), len(own))


def test_curves_and_prices_are_those_of_the_verdicts(study: dict[str, Any], rows: pd.DataFrame) -> None:
    minimal = study["families"][1]
    some = rows[(rows["family"] == "minimal") & (rows["stimulus"] == "signal")]
    some = some.assign(accepted=some["predicted"] == some["expected"])
    suite = load(str(root.embedded()))
    n_kept = {
        line.signal_id: line.n_kept
        for reference in suite.references(TASK)
        for line in suite.signal_lines(TASK, reference.model.slug)
    }
    for pair in minimal["pairs"]:
        mine = some[
            (some["reference"] == pair["reference"]["repo_id"]) & (some["judge"] == pair["judge"]["repo_id"])
        ]
        at = mine.pivot(index="signal_id", columns="level", values="accepted").dropna()
        assert [e["value"] for e in pair["curve"]["transfer"]] == pytest.approx(at.mean().tolist())
        prices = []
        for signal_id, accepted in at.iterrows():
            k, n_bins = n_kept[str(signal_id)], mine["n_samples"].iloc[0] // 2 + 1
            first = next((j for j in range(N_LEVELS) if accepted[j]), None)
            size = None if first is None else round(k * (n_bins / k) ** (first / (N_LEVELS - 1)))
            prices.append(np.inf if size is None else np.log2(size / k))
        median = sorted(prices)[(len(prices) - 1) // 2]
        assert pair["curve"]["censored"]["value"] == pytest.approx(np.mean(np.isinf(prices)))
        found = pair["curve"]["price_bits"]["value"]
        assert found is None if np.isinf(median) else found == pytest.approx(median)


def test_every_sentence_of_the_report_has_its_n_or_counts(out: Path) -> None:
    text = (out / "study.md").read_text()
    sentences = [line for line in text.split("## Methods")[0].splitlines() if line.startswith("- ")]
    assert len(sentences) > 20
    for sentence in sentences:
        assert re.search(r"n = \d|\d+ of \d+|\(\d+ and \d+ signals qualify|among \d+ assessed", sentence), (
            sentence
        )


def test_the_report_holds_tables_figures_and_sounds(out: Path) -> None:
    page = (out / "study.html").read_text()
    assert page.count("<svg") >= 10, "two families, five matrices"
    assert page.count("data:image/svg+xml;base64") == 6
    assert page.count("<audio") >= 6
    assert "Accepted by all" in page
    assert "Accepted by nobody else" in page
    assert "<script src" not in page
    names = {path.name for path in (out / "figures").iterdir()}
    assert len(names) == 12
    assert {"emotion-flat-earth.svg", "emotion-transfer-curves.png"} <= names


def test_a_second_run_judges_nothing_and_says_the_same(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (candidate,) = (m for m in root.models("candidate") if TASK in m.name)
    before = (out / "study.md").read_bytes()
    monkeypatch.setattr("harness.models.open_checkpoint", None)
    assert run("study", "--task", TASK, "--model", candidate, "--out", out) == 0
    assert (out / "study.md").read_bytes() == before
    assert "emotion, family responsibility\n  A model accepts" in capsys.readouterr().out


def test_a_differing_way_is_told_in_the_direction_that_is_larger(out: Path) -> None:
    found = re.findall(r"against the way back, (.)", (out / "study.md").read_text())
    assert found
    assert set(found) == {"+"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signals of two local references that nobody judged."""
    place = tmp_path_factory.mktemp("own")
    make_corpus(place / "corpus", *((f"c{i}.wav", ("angry", "happy")[i % 2]) for i in range(6)))
    for seed, name in enumerate(("one", "two")):
        toys.save_model(place / name, "wav2vec2", ("neu", "hap", "ang", "sad"), seed=seed)
        command = ("extract", place / name, "--task", TASK, "--corpus", place / "corpus")
        assert run(*command, "--search", "minimal", "--out", place / "signals") == 0
    return place


def test_a_reference_that_nobody_judged_is_asked_for_and_then_judged(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("study", own / "signals", "--out", tmp_path) == 2
    assert "give it with --model path/to/one" in capsys.readouterr().err
    command = ("study", own / "signals", "--model", own / "one", "--model", own / "two", "--out", tmp_path)
    assert run(*command) == 0
    text = (tmp_path / "study.md").read_text()
    assert "2 references, 0 other models" in text
    assert "not assessed" in text
    shutil.rmtree(tmp_path / "entries")
    assert run(*command, "--recompute") == 0


def test_what_is_unknown_or_infinite_is_said_so() -> None:
    from harness.records import Estimate

    assert findings.bits(Estimate(None, 1.0, None, 0.95, "m", 9)) == "no finite number of bits [n = 9]"
    assert findings.bits(Estimate(1.0, 0.5, None, 0.95, "m", 9)) == "1.00 bits [0.50 to infinity, n = 9]"


def test_a_candidate_is_judged_by_the_references_too(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = toys.save_model(tmp_path / "candidate", "hubert", ("neu", "hap", "ang", "sad"), seed=2)
    command = ["evaluate", candidate, "--signals", own / "signals", "--out", tmp_path / "out", "--both-ways"]
    assert run(*command) == 2
    assert "give it with --reference path/to/one" in capsys.readouterr().err
    assert not (tmp_path / "out").exists(), "refused before anything is judged"
    command += ["--reference", own / "one", "--reference", own / "two"]
    assert run(*command) == 0
    told = capsys.readouterr()
    assert re.search(r"Own signals: 6 clips at about 250 queries each, some \d+ s on this device", told.err)
    assert "its own signals" in told.out
    (path,) = (tmp_path / "out").rglob("outgoing.json")
    found = json.loads(path.read_text())
    assert sorted(found) == ["local/one", "local/two"]
    signals = load(str(path.parent))
    lines = [s for s in signals.signal_lines(TASK, "local__candidate") if not s.degenerate]
    for judge, cell in found.items():
        assert cell["n_applicable"] == len(lines) > 0
        (folder,) = (path.parent / "verdicts" / judge.replace("/", "__")).rglob("verdicts.parquet")
        rows = pd.read_parquet(folder)
        rows = rows[(rows["stimulus"] == "signal") & ~(rows["level"] > 0)]
        assert cell["rates"]["transfer"]["value"] == pytest.approx(
            (rows["predicted"] == rows["expected"]).mean()
        )
    before = path.read_bytes()
    monkeypatch.setattr("harness.models.Classifier.slopes", None)
    assert run(*command, "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["outgoing"] == found
    assert path.read_bytes() == before
