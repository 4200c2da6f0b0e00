"""Studies: every number counted again from the verdicts by pandas alone; the command; the pages."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness import cli
from harness.dataset.paths import VERDICTS
from harness.dataset.suite_notes import SMALL_MODELS, SYNTHETIC
from harness.dataset.suites import load
from harness.entries import store
from harness.metrics.study import Answered, FamilyStudy, Study, family_study
from harness.schemas import from_json
from harness.starter import paths
from harness.tasks import TASKS
from harness.types import MIN_SIGNALS, N_LEVELS, Estimate
from leaderboard.reports import study_findings, study_report
from tests.helpers import board_world, noted_suite, toy_models
from tests.helpers.corpus import make_corpus
from tests.helpers.entries import make_entry
from tests.helpers.families import FAMILIES, MINIMAL, STARTER_FAMILIES
from tests.helpers.repository import SUBMISSIONS

TASK = "emotion"
pytestmark = pytest.mark.slow  # each builds a whole study; so do README.md and the docstrings of the API


def run(*arguments: object) -> int:
    return cli.run([str(a) for a in arguments])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of a task of the starter suite, with its candidate, whose verdicts are those submitted."""
    place = tmp_path_factory.mktemp("study")
    (candidate,) = (m for m in paths.models("candidate") if TASK in m.name)
    shutil.copytree(SUBMISSIONS / f"local__{candidate.name}", place / "entries" / f"local__{candidate.name}")
    (folder,) = store.find(place / "entries")
    versions = store.read(folder).run.versions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.provenance.versions", lambda: versions)  # on whatever this runs
        patch.setattr("harness.models.heads.open_checkpoint", None)
        assert run("study", "--task", TASK, "--model", candidate, "--out", place) == 0
    return place


@pytest.fixture(scope="module")
def study(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "study.json").read_text())["tasks"][TASK]
    return found


@pytest.fixture(scope="module")
def studied(out: Path, study: dict[str, Any]) -> Study:
    return from_json(Study, json.dumps(study))


@pytest.fixture(scope="module")
def rows(out: Path) -> pd.DataFrame:
    """All verdicts of the panel, with a column for the judge."""
    parts = []
    for folder in [*store.find(paths.embedded() / VERDICTS), *store.find(out / "entries")]:
        entry = json.loads((folder / "entry.json").read_text())
        if entry["task"] == TASK:
            frame = pd.read_parquet(folder / "verdicts.parquet")
            parts.append(frame.assign(judge=entry["model"]["repo_id"]))
    return pd.concat(parts, ignore_index=True)


def wide(rows: pd.DataFrame, family: str, draw: int | None = None) -> pd.DataFrame:
    """A row per judge, reference and clip, those of others: mean acceptance of each stimulus."""
    some = rows[(rows["family"] == family) & ~(rows["level"] > 0) & (rows["judge"] != rows["reference"])]
    if draw is not None:
        some = some[some["draw"] == draw]
    some = some.assign(accepted=(some["predicted"] == some["expected"]).astype(float))
    keys = ["judge", "reference", "clip_id"]
    by_signal = some.groupby([*keys, "signal_id", "stimulus"])["accepted"].mean().unstack()
    found = by_signal.groupby(keys).mean().reset_index()
    answers = rows[rows["stimulus"] == "whole"].set_index(["judge", "clip_id"])["predicted"]
    expected = some.drop_duplicates(["reference", "clip_id"]).set_index(["reference", "clip_id"])["expected"]
    whole = [
        answers[judge, clip] == expected[reference, clip] for judge, reference, clip in found[keys].to_numpy()
    ]
    return found.assign(whole=np.array(whole, dtype=float))


def mean_of_pairs(values: pd.Series, table: pd.DataFrame, least: int = 0) -> float:
    """Unweighted mean over pairs with enough values."""
    by_pair = values.groupby([table["reference"], table["judge"]])
    return float(by_pair.mean()[by_pair.count() >= least].mean())


@pytest.mark.parametrize("i", range(len(STARTER_FAMILIES)))
def test_the_means_over_pairs_are_those_of_the_verdicts(
    study: dict[str, Any], rows: pd.DataFrame, i: int
) -> None:
    family = study["families"][i]
    table = wide(rows, family["family"])
    among = table[table["judge"].isin(table["reference"].unique())]
    assert family["transfer"]["n"] == len(among)
    for field, stimulus in (
        ("transfer", "signal"),
        ("swap", "swap"),
        ("matched", "matched"),
        ("largest", "largest"),
        ("agreement", "whole"),
    ):
        assert family[field]["value"] == pytest.approx(mean_of_pairs(among[stimulus], among)), field
    for field, control in (("lift", "swap"), ("placement", "matched"), ("beyond_largest", "largest")):
        wanted = mean_of_pairs(among["signal"] - among[control], among, MIN_SIGNALS)
        assert family[field]["value"] == pytest.approx(wanted), field
    agreeing = among[among["whole"] == 1]
    assert family["agreeing_transfer"]["value"] == pytest.approx(mean_of_pairs(agreeing["signal"], agreeing))
    for judge, estimate in family["incoming"].items():
        mean = table[table["judge"] == judge].groupby("reference")["signal"].mean().mean()
        assert estimate["value"] == pytest.approx(mean)
    for reference, estimate in family["outgoing"].items():
        mean = among[among["reference"] == reference].groupby("judge")["signal"].mean().mean()
        assert estimate["value"] == pytest.approx(mean)
    both_ways = among.groupby(["reference", "judge"])["signal"].mean()
    for a, b, estimate in family["asymmetry"]:
        wanted = both_ways[a["repo_id"], b["repo_id"]] - both_ways[b["repo_id"], a["repo_id"]]
        assert estimate["value"] == pytest.approx(wanted)
        assert estimate["n"] >= MIN_SIGNALS
        assert -1 <= estimate["low"] <= estimate["high"] <= 1
    n_references = study["n_references"]
    pairs = n_references * (n_references - 1) // 2
    assert len(family["asymmetry"]) + family["n_asymmetry_left_out"] == pairs


def test_a_rate_has_the_interval_that_its_scorecard_gives_it(study: dict[str, Any], out: Path) -> None:
    """One set of resampled clips: the same rate over the same clips has one interval everywhere."""
    (folder,) = store.find(out / "entries")
    entry = store.read(folder)
    for family, score in zip(study["families"], entry.scorecard.families, strict=True):
        assert family["incoming"][entry.model.repo_id] == dataclasses.asdict(score.rates.transfer)


@pytest.mark.parametrize("i", range(len(STARTER_FAMILIES)))
def test_judges_are_compared_over_the_references_of_both(
    study: dict[str, Any], rows: pd.DataFrame, i: int
) -> None:
    family = study["families"][i]
    some = wide(rows, family["family"])
    some = some.assign(lift=some["signal"] - some["swap"])
    tables = {
        field: some.pivot(index=["reference", "clip_id"], columns="judge", values=column)
        for field, column in (("transfer", "signal"), ("lift", "lift"))
    }
    for pair in family["compared"]:
        for field, table in tables.items():
            both = table[[pair["first"]["repo_id"], pair["second"]["repo_id"]]].dropna()
            by_reference = both.groupby("reference")
            means = by_reference.mean()[by_reference.size() >= MIN_SIGNALS]
            wanted = means.mean().iloc[0] - means.mean().iloc[1]
            assert pair[field]["value"] == pytest.approx(wanted)
            assert pair[field]["low"] <= pair[field]["value"] <= pair[field]["high"]
            if field == "transfer":
                assert pair["n_references"] == len(means) > 0


def test_the_summary_comes_first_and_names_the_model_that_was_given(out: Path, study: dict[str, Any]) -> None:
    text = (out / "study.md").read_text()
    summary = text[text.index("## Summary") : text.index("## Words")]
    lines = [line.removeprefix("- ") for line in summary.splitlines() if line.startswith("- ")]
    assert lines[0] == "No flat-earther; 5 of 5 models could be assessed."
    (given,) = (line for line in lines if "the model given" in line)
    name = "starter-emotion-wav2vec2"
    family = study["families"][0]
    assert given.startswith(f"{name}, the model given, accepts")
    assert f"n = {family['incoming']['local/' + name]['n']}]" in given
    higher = lower = 0
    for pair in family["compared"]:
        names = [pair[key]["repo_id"].removeprefix("local/") for key in ("first", "second")]
        if name in names:
            low, high = pair["lift"]["low"], pair["lift"]["high"]
            low, high = (low, high) if names[0] == name else (-high, -low)
            higher, lower = higher + (low > 0), lower + (high < 0)
    models = "model" if higher == 1 else "models"
    assert f"higher than that of {higher} other {models} and lower than that of {lower};" in given
    page = (out / "study.html").read_text()
    assert page.index('id="summary"') < page.index('id="emotion"')
    assert lines[0] in page


def test_families_that_disagree_about_a_model_are_named(studied: Study) -> None:
    """The same model: flagged by what it rejects in one family alone, then in all."""
    model = studied.models[0]
    first, *others = studied.families
    shown = next(each for each in first.flat_earth if each.model == model)
    excess = Estimate(0.9, 0.8, 1.0, 0.95, "x", 60)
    share = dataclasses.replace(shown.rejects_alone, p_adjusted=0.001, excess=excess, beyond_matched=excess)
    flagged = dataclasses.replace(shown, rejects_alone=share)

    def verdict(family: FamilyStudy) -> str:
        return next(each for each in family.flat_earth if each.model == model).verdict

    def flag(family: FamilyStudy) -> FamilyStudy:
        models = (flagged if each.model == model else each for each in family.flat_earth)
        return dataclasses.replace(family, flat_earth=tuple(models))

    name = model.repo_id.removeprefix("local/")
    one = study_findings.summary(dataclasses.replace(studied, families=(flag(first), *others)))
    verdicts = ", ".join(f"{verdict(family)} by family {family.family}" for family in others)
    assert one[0] == (
        f"The families disagree about {name}: a flat-earther by family {first.family}, {verdicts}."
    )
    every = study_findings.summary(dataclasses.replace(studied, families=(*map(flag, studied.families),)))
    assert every[0] == f"{name}: a flat-earther (families {', '.join(STARTER_FAMILIES)})."


@pytest.mark.parametrize("i", range(len(STARTER_FAMILIES)))
def test_shares_of_flat_earthers_are_those_of_the_verdicts(
    study: dict[str, Any], rows: pd.DataFrame, i: int
) -> None:
    family = study["families"][i]
    everyone = wide(rows, family["family"], draw=1)
    references = everyone["reference"].unique()
    for each in family["flat_earth"]:
        name = each["model"]["repo_id"]
        table = everyone[everyone["judge"].isin([*references, name])]
        no = table.assign(no=table["signal"] == 0).groupby(["reference", "clip_id"])["no"]
        rejects, judges = no.sum(), no.size()
        mine = table[table["judge"] == name].set_index(["reference", "clip_id"])
        others = rejects[mine.index] - (mine["signal"] == 0)
        qualifying = mine[(others == 0) & (judges[mine.index] > 1)]
        share = each["rejects_alone"]
        assert (share["k"], share["n"]) == ((qualifying["signal"] == 0).sum(), len(qualifying))
        own = table[table["reference"] == name].groupby("clip_id")["signal"].sum()
        share = each["rejected_by_all"]
        assert (share["k"], share["n"]) == ((own == 0).sum(), len(own))


def test_curves_and_prices_are_those_of_the_verdicts(study: dict[str, Any], rows: pd.DataFrame) -> None:
    *others, minimal = study["families"]
    assert minimal["family"] == MINIMAL
    assert all(pair["curve"] is None for family in others for pair in family["pairs"])
    some = rows[(rows["family"] == MINIMAL) & (rows["stimulus"] == "signal")]
    some = some.assign(accepted=some["predicted"] == some["expected"])
    suite = load(str(paths.embedded()))
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
            if accepted[N_LEVELS - 1]:
                stable = max((j + 1 for j in range(N_LEVELS) if not accepted[j]), default=0)
                prices.append(np.log2(round(k * (n_bins / k) ** (stable / (N_LEVELS - 1))) / k))
        curve = pair["curve"]
        assert curve["price_bits"]["n"] == len(prices)
        assert curve["n_disagreeing"] == len(at) - len(prices)
        assert curve["disagreeing"]["value"] == pytest.approx(1 - len(prices) / len(at))
        if prices:
            assert curve["price_bits"]["value"] == pytest.approx(sorted(prices)[(len(prices) - 1) // 2])


@pytest.mark.parametrize("n_draws", [1, 2])
def test_a_made_up_panel_has_the_rates_of_its_scorecards(n_draws: int) -> None:
    """Fractional answers, too: draws of a clip and controls of a kind are averaged."""
    answered = _made_up(("toys/candidate",), n_draws=n_draws)
    counts = answered[0][0].references
    found = family_study(TASKS[TASK], counts, answered, FAMILIES[0], {})
    for entry, _ in answered:
        rates = entry.scorecard.families[0].rates
        assert found.incoming[entry.model.repo_id] == rates.transfer
    references = [entry for entry, _ in answered if entry.model.repo_id != "toys/candidate"]
    for name in ("swap", "lift", "placement", "agreement"):
        cells = [
            getattr(cell.rates, name).value
            for entry in references
            for cell in entry.scorecard.families[0].cells
            if not cell.own
        ]
        known = [value for value in cells if value is not None]
        assert len(known) == len(cells)
        assert getattr(found, name).value == pytest.approx(np.mean(known))
    for pair in found.compared:
        assert pair.n_references == (3 if "toys/candidate" in repr(pair) else 2), "those of neither"


def test_a_bad_judge_changes_no_finding_about_references() -> None:
    """What is shown of the references is the same, byte for byte, with and without it."""
    without = _made_up(())
    counts = without[0][0].references
    bad = _made_up(("toys/bad",), acceptance=0.0)
    one, other = (family_study(TASKS[TASK], counts, each, FAMILIES[0], {}) for each in (without, bad))
    assert len(other.flat_earth) == len(one.flat_earth) + 1
    assert other.flat_earth[-1].rejects_alone.p is not None, "assessed"
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("flat_earth", "pairs", "compared"):
            b = tuple(each for each in b if "toys/bad" not in repr(each))
        if field.name == "incoming":
            b = {name: each for name, each in b.items() if name != "toys/bad"}
        assert repr(a) == repr(b), field.name


def _made_up(candidates: Sequence[str], acceptance: float = 0.7, n_draws: int = 1) -> list[Answered]:
    """Four references, and candidates, with the verdicts of each."""
    names = tuple(f"toys/{name}" for name in ("first", "fourth", "second", "third"))
    made = []
    for repo_id in (*names, *candidates):
        entry, verdicts = make_entry(
            repo_id=repo_id,
            references=names,
            n_clips=30,
            acceptance=acceptance if repo_id in candidates else 0.8,
            n_draws=n_draws,
        )
        made.append((entry, pd.DataFrame([vars(v) for v in verdicts])))
    return made


def test_every_sentence_of_the_report_has_its_n_or_counts(out: Path) -> None:
    text = (out / "study.md").read_text()
    sentences = [line for line in text.split("## Methods")[0].splitlines() if line.startswith("- ")]
    assert len(sentences) > 20
    for sentence in sentences:
        assert re.search(r"n = \d|\d+ of \d+|\(\d+ signals qualify|\(it offers none", sentence), sentence


def test_the_report_holds_tables_figures_and_sounds(out: Path) -> None:
    page = (out / "study.html").read_text()
    assert page.count("<svg") >= 21, "three families, seven matrices"
    assert page.count("data:image/svg+xml;base64") == 7
    assert page.count("<audio") >= 6
    assert "Accepted by all" in page
    assert "Accepted by nobody else" in page
    assert "<script src" not in page
    for text in (page, (out / "study.md").read_text()):
        assert SYNTHETIC in text
        assert text.index("Degenerate") < text.index("Means over references, for this panel of")
        assert "0.00 bits [0.00 to 0.00" not in text
        assert "floor" not in text.lower()
        assert "ceiling" not in text.lower()
        assert "not measured" in text or "Jaccard" in text
    names = {path.name for path in (out / "figures").iterdir()}
    assert len(names) == 14
    assert {"emotion-flat-earth.svg", "emotion-transfer-curves.png", "emotion-families.svg"} <= names


def test_a_differing_way_is_told_in_the_direction_that_is_larger(out: Path) -> None:
    found = re.findall(r"minus the way back, (.)", (out / "study.md").read_text())
    assert found
    assert set(found) == {"+"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signals of two local references that nobody judged."""
    place = tmp_path_factory.mktemp("own")
    make_corpus(place / "corpus", *((f"c{i}.wav", ("angry", "happy")[i % 2]) for i in range(6)))
    for seed, name in enumerate(("one", "two")):
        toy_models.save_model(place / name, "wav2vec2", ("neu", "hap", "ang", "sad"), seed=seed)
        command = ("extract", place / name, "--task", TASK, "--corpus", place / "corpus")
        assert run(*command, "--search", "minimal", "--out", place / "signals") == 0
    return place


def of_own(own: Path) -> tuple[object, ...]:
    return ("study", own / "signals", "--model", own / "one", "--model", own / "two", "--out", own / "study")


@pytest.fixture(scope="module")
def own_text(own: Path) -> bytes:
    """Their study, of which the models were asked."""
    assert run(*of_own(own)) == 0
    return (own / "study" / "study.md").read_bytes()


def test_a_reference_that_nobody_judged_is_asked_for_and_then_judged(
    own: Path, own_text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("study", own / "signals", "--out", tmp_path) == 2
    assert "give it with --model path/to/one" in capsys.readouterr().err
    assert b"2 references, 0 other models" in own_text
    assert b"not assessed" in own_text
    shutil.rmtree(own / "study" / "entries")
    assert run(*of_own(own), "--recompute") == 0
    assert (own / "study" / "study.md").read_bytes() == own_text


def test_a_second_run_judges_nothing_and_says_the_same(
    own: Path, own_text: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.models.heads.open_checkpoint", None)
    assert run(*of_own(own)) == 0
    assert (own / "study" / "study.md").read_bytes() == own_text
    assert f"emotion, family {MINIMAL}\n  A model accepts" in capsys.readouterr().out


def test_what_is_unknown_is_called_so() -> None:
    assert study_findings.bits(Estimate(None, None, None, 0.95, "m", 9)) == "unknown [n = 9]"
    assert study_findings.bits(Estimate(1.0, None, None, 0.95, "m", 4)) == "1.00 bits [n = 4]"
    assert study_findings.bits(Estimate(1.0, 0.5, 1.5, 0.95, "m", 9)) == "1.00 bits [0.50 to 1.50, n = 9]"
    assert study_findings.fmt(Estimate(None, None, None, 0.95, "m", 0), "difference") == "unknown [n = 0]"


def test_a_candidate_is_judged_by_the_references_too(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = toy_models.save_model(tmp_path / "candidate", "hubert", ("neu", "hap", "ang", "sad"), seed=2)
    command = ["evaluate", candidate, "--signals", own / "signals", "--out", tmp_path / "out", "--outgoing"]
    assert run(*command) == 2
    assert "give it with --reference path/to/one" in capsys.readouterr().err
    assert not (tmp_path / "out").exists(), "refused before anything is judged"
    command += ["--reference", own / "one", "--reference", own / "two"]
    assert run(*command) == 0
    told = capsys.readouterr()
    assert re.search(r"Own signals: 6 clips at about 250 queries each, about \d+ s on this device", told.err)
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
    monkeypatch.setattr("harness.models.heads.Head.input_gradients", None)
    assert run(*command, "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["outgoing"] == found
    assert path.read_bytes() == before


def test_a_report_of_several_tasks_has_the_note_of_each(
    studied: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_report, "_examples", lambda *_: [])
    monkeypatch.setattr(study_report, "HEAT_MAPS", ())
    suite = noted_suite.make(board_world.make_suite(tmp_path / "tones"), tmp_path / "noted")
    first, second = (dataclasses.replace(studied, task=task) for task in noted_suite.CORPORA)
    for studies, note in (
        ([first], SYNTHETIC),
        ([second], SMALL_MODELS),
        ([first, second], f"{first.task}: {SYNTHETIC} {second.task}: {SMALL_MODELS}"),
    ):
        study_report.write(tmp_path / "report", suite, [(study, ()) for study in studies])
        assert json.loads((tmp_path / "report/study.json").read_text())["note"] == note
        assert f"\n> **{note}**\n" in (tmp_path / "report/study.md").read_text()
        assert f'role="note">{note}</p>' in (tmp_path / "report/study.html").read_text()
