"""`import goodenough as ge`: what a notebook does, on a small suite with models of the starter suite."""

from __future__ import annotations

import ast
import copy
import dataclasses
import doctest
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import scipy.fft

import goodenough as ge
from harness import cli
from harness.api import models as api_models
from harness.api import results as api_results
from harness.api import signals as api_signals
from harness.api import study as api_study
from harness.api import suite as api_suite
from harness.dataset import suites
from harness.dataset.paths import ENTRY, REPORT, VERDICTS, VERDICTS_FILE
from harness.entries import store
from harness.entries.validate import validate_entry
from harness.evaluation import runner
from harness.starter import paths
from harness.tasks import TASKS
from harness.types import Estimate
from tests.helpers.families import FAMILIES
from tests.helpers.small_starter import MODEL, MODELS, REFERENCES, TASK, small_suite

SIGNALS = paths.SUITE / "signals"


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small suite in place of the embedded one, and a cache of its own."""
    folder = small_suite(tmp_path_factory.getbasetemp())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "SUITE", folder)
        patch.setenv("GOODENOUGH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield folder


@pytest.fixture(scope="module")
def suite(small: Path) -> ge.Suite:
    return ge.load_suite()


@pytest.fixture(scope="module")
def whole() -> ge.Suite:
    """The embedded suite, with the verdicts of its references."""
    return ge.load_suite(SIGNALS)


@pytest.fixture(scope="module")
def whole_study(whole: ge.Suite) -> ge.StudyResult:
    return ge.study(whole, TASK)


@pytest.fixture(scope="module")
def model() -> ge.Classifier:
    return ge.load_model(MODELS / MODEL, device="cpu")


@pytest.fixture(scope="module")
def result(suite: ge.Suite, model: ge.Classifier) -> ge.Result:
    return ge.evaluate(model, suite, task=TASK, progress=False)


def test_answers_are_kept_in_the_folder_that_is_named(
    suite: ge.Suite, model: ge.Classifier, tmp_path: Path
) -> None:
    first, second = (
        ge.evaluate(model, suite, task=TASK, limit=1, out=tmp_path, progress=False) for _ in range(2)
    )
    assert (first.entry.run.n_known, second.entry.run.n_asked) == (0, 0)
    assert second.entry.run.n_known == first.entry.run.n_asked
    assert second.entry.verdicts_sha256 == first.entry.verdicts_sha256


def test_importing_it_is_light_and_all_its_names_are_there() -> None:
    heavy = "'torch', 'pandas', 'numpy', 'click'"
    program = f"import goodenough, sys; print(*[m for m in ({heavy}) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert dir(ge) == list(ge.__all__)
    assert all(getattr(ge, name) is not None for name in ge.__all__)
    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        ge.evaluat  # type: ignore[attr-defined]  # noqa: B018


def test_every_name_says_what_it_is_what_it_takes_and_what_it_raises() -> None:
    for name in set(ge.__all__) - {"__version__"}:
        value = getattr(ge, name)
        assert inspect.getdoc(value), name
        if inspect.isfunction(value):
            named = set(inspect.signature(value).parameters)
            text = inspect.getdoc(value) or ""
            assert "Raises:" in text or "see `transfer_matrix`" in text, name
            assert "see `transfer_matrix`" in text or all(f"{each}: " in text for each in named), name


def test_a_suite_tells_its_tasks_references_and_signals(suite: ge.Suite) -> None:
    assert suite.tasks == (TASK,)
    assert suite.references(TASK) == sorted(REFERENCES)
    assert repr(suite) == f"Suite(embedded/starter; {TASK}: 2 references)"
    assert "<table" in suite._repr_html_()
    name = REFERENCES[0].split("/")[1]
    signals = suite.signals(TASK, name)
    assert signals
    assert {s.record.reference for s in signals} == {REFERENCES[0]}
    signal = signals[0]
    assert signal.waveform.shape == signal.clip.shape == (signal.record.n_samples,)
    assert "audio/wav;base64," in signal.play()._repr_html_()
    assert "audio/wav;base64," in signal.play_clip()._repr_html_()
    assert signal.plot().svg.startswith("<svg")
    assert signal.record.clip_id in repr(signal)
    assert "<svg" in signal._repr_html_()


def test_a_result_reads_in_a_notebook_and_is_saved_as_the_command_saves_it(
    result: ge.Result, tmp_path: Path
) -> None:
    lift = result.entry.scorecard.lift
    assert lift is not None
    assert dataclasses.asdict(result.lift) == dataclasses.asdict(lift)
    if lift.value is None:
        assert repr(result.lift).startswith("unknown")
    else:
        assert repr(result.lift).endswith(f"n = {lift.n}")
        assert "pp [" in repr(result.lift)
    assert repr(result).startswith(f"Result(local/{MODEL} on {TASK}: lift ")
    assert "<svg" in result._repr_html_()
    frame = result.to_frame()
    assert set(frame["reference"]) == set(REFERENCES)
    assert frame["transfer"].between(0, 1).all()
    folder = result.save(tmp_path)
    assert validate_entry(folder, list(TASKS.values()), strict_files=False) == []
    assert store.read(folder) == result.entry
    pd.testing.assert_frame_equal(store.verdicts(folder), result.verdicts)
    assert (folder / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_what_was_asked_once_is_not_asked_again(
    suite: ge.Suite, model: ge.Classifier, result: ge.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("the model was asked")

    monkeypatch.setattr(type(model), "logits", asked)
    again = ge.evaluate(model, suite, task=TASK, progress=False)
    assert again.entry.scorecard == result.entry.scorecard


def test_a_few_clips_give_a_result_that_is_called_partial(
    suite: ge.Suite, model: ge.Classifier, tmp_path: Path
) -> None:
    few = ge.evaluate(model, suite, task=TASK, limit=1, progress=False)
    assert few.verdicts.loc[few.verdicts["stimulus"] == "whole", "clip_id"].nunique() == 1
    assert repr(few).endswith(", partial)")
    assert few.save(tmp_path).is_relative_to(tmp_path / ".partial")
    assert store.find(tmp_path) == []
    with pytest.raises(ge.GoodenoughError, match="limit is 0; expected 1 or more clips"):
        ge.evaluate(model, suite, task=TASK, limit=0, progress=False)


def test_the_matrix_holds_what_the_scorecards_say(whole: ge.Suite, result: ge.Result) -> None:
    references = [name.split("/")[1] for name in whole.references(TASK)]
    table = ge.transfer_matrix(whole, TASK, extra=[result])
    assert list(table.index) == references
    assert list(table.columns) == [*references, MODEL]
    headline = result.entry.scorecard.headline
    assert headline is not None
    for cell in headline.cells:
        assert table.loc[cell.reference.repo_id.split("/")[1], MODEL] == cell.rates.transfer.value
    picture = ge.plot_matrix(whole, TASK, extra=[result])
    assert picture._repr_svg_() == picture.svg
    assert MODEL in picture.svg


def test_the_verdicts_and_controls_of_a_suite_are_those_that_were_judged(whole: ge.Suite) -> None:
    verdicts = whole.verdicts(TASK)
    assert sorted(verdicts["model"].unique()) == whole.references(TASK)
    matrix = ge.transfer_matrix(whole, TASK)
    rows = verdicts[(verdicts["stimulus"] == "signal") & (verdicts["family"] == FAMILIES[0])]
    accepted = (rows["predicted"] == rows["expected"]).groupby([rows["reference"], rows["model"]]).mean()
    assert np.allclose(accepted.unstack(), matrix)
    signal = whole.signals(TASK, REFERENCES[0].split("/")[1])[0]
    controls = whole.controls(TASK, signal)
    kept = {name: np.abs(scipy.fft.rfft(player.waveform)) > 1e-3 for name, player in controls.items()}
    energy = {name: np.square(player.waveform, dtype=np.float64).sum() for name, player in controls.items()}
    assert list(controls) == ["swap", "matched"]
    assert np.allclose([*energy.values()], np.square(signal.waveform, dtype=np.float64).sum(), rtol=1e-3)
    assert not (kept["swap"] & ~signal.record.mask).any()
    assert (kept["matched"] & signal.record.mask).sum() <= 0.1 * signal.record.n_kept


def test_a_width_is_that_of_the_early_stop(
    suite: ge.Suite, model: ge.Classifier, result: ge.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def evaluate(*_: Any, **options: Any) -> runner.Result:
        asked.update(options)
        return result._result

    monkeypatch.setattr(runner, "evaluate", evaluate)
    ge.evaluate(model, suite, task=TASK, ci_width=0.06, progress=False)
    assert asked["ci_width"] == 0.06


def test_sounds_are_compared_on_one_scale(suite: ge.Suite) -> None:
    signal = suite.signals(TASK, REFERENCES[0])[0]
    clip, alone = signal.play_clip(), signal.play()
    assert alone.plot().svg != alone.plot(loudest=clip).svg
    assert clip.plot().svg == clip.plot(loudest=clip).svg
    for picture in (alone.plot(), signal.plot()):
        root = ElementTree.fromstring(picture.svg)  # noqa: S314 - our own
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "light-dark(" in picture.svg


def test_one_clip_gives_the_signal_that_alone_keeps_its_class(suite: ge.Suite, model: ge.Classifier) -> None:
    clip = suite.signals(TASK, REFERENCES[0])[0]
    signal = ge.extract(model, clip.clip, sample_rate_hz=clip.record.sample_rate_hz)
    rate = signal.record.sample_rate_hz
    whole, alone = model.logits([signal.clip, signal.waveform], rate).argmax(axis=1)
    assert model.class_names[whole] == model.class_names[alone] == signal.record.expected
    assert 0 < signal.record.n_kept < len(signal.record.mask)
    again = ge.extract(model, clip.clip, sample_rate_hz=rate)
    assert np.array_equal(again.record.mask, signal.record.mask)


@pytest.mark.slow
def test_a_study_has_its_parts_as_tables(whole: ge.Suite, whole_study: ge.StudyResult) -> None:
    study = whole_study
    references = whole.references(TASK)
    assert sorted(study.to_frame("flat_earthers")["model"]) == references
    pairs = study.to_frame("pairs")
    assert list(pairs.columns) == ["reference", "judge", "information_bits", "low", "high", "n_clips"]
    assert (pairs["n_clips"] > 0).all()
    shares = study.to_frame("flat_earthers")
    assert shares["rejects_alone"].between(0, 1).all()
    assert (shares["rejects_alone_n"] > 0).all()
    assert len(pairs) == len(references) * (len(references) - 1)
    assert repr(study).startswith(f"StudyResult({TASK}: {len(references)} references")
    assert "<table" in study._repr_html_()
    with pytest.raises(ge.GoodenoughError, match="expected flat_earthers or pairs"):
        study.to_frame("flat")


WRONG: dict[str, Any] = {
    "a task that the suite lacks": lambda s, m: s.references("emotoin"),
    "a task to evaluate on that it lacks": lambda s, m: ge.evaluate(m, s, task="sonar", progress=False),
    "a reference that it lacks": lambda s, m: s.signals(TASK, "ast"),
    "a family that there is not": lambda s, m: s.signals(TASK, REFERENCES[0], "largest"),
    "a rate that there is not": lambda s, m: ge.transfer_matrix(s, TASK, rate="lifts"),
    "a rate that there is not, to plot": lambda s, m: ge.plot_matrix(s, TASK, rate="lifts"),
    "a family that there is not, to plot": lambda s, m: ge.plot_matrix(s, TASK, family="largest"),
    "a clip of two channels": lambda s, m: ge.extract(
        m, np.zeros((16_000, 2), np.float32), sample_rate_hz=16_000
    ),
    "a clip of integers": lambda s, m: ge.extract(m, np.ones(16_000, np.int16), sample_rate_hz=16_000),
    "a clip with NaN": lambda s, m: ge.extract(m, np.full(16_000, np.nan, np.float32), sample_rate_hz=16_000),
    "a clip of nothing": lambda s, m: ge.extract(m, np.zeros(0, np.float32), sample_rate_hz=16_000),
    "a search that there is not": lambda s, m: ge.extract(
        m, np.zeros(16_000, np.float32), sample_rate_hz=16_000, search="x"
    ),
    "a study without verdicts": lambda s, m: ge.study(s, TASK),
    "verdicts where there are none": lambda s, m: s.verdicts(TASK),
    "a width of nothing": lambda s, m: ge.evaluate(m, s, task=TASK, ci_width=0.0, progress=False),
    "a role that there is not": lambda s, m: ge.starter_models("judge"),
    "pictures of two rates": lambda s, m: ge.Player(np.zeros(9, np.float32), 8_000).plot(
        ge.Player(np.zeros(9, np.float32), 16_000)
    ),
    "a suite that is not there": lambda s, m: ge.load_suite("gone/for/ever"),
    "a model that is not there": lambda s, m: ge.load_model("./gone"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_user_can_mend_is_one_line(suite: ge.Suite, model: ge.Classifier, wrong: str) -> None:
    with pytest.raises(ge.GoodenoughError) as raised:
        WRONG[wrong](suite, model)
    assert str(raised.value).isprintable()


def test_the_examples_in_the_docstrings_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "SUITE", SIGNALS.parent)
    modules = (api_suite, api_signals, api_models, api_results, api_study)
    tests = [test for module in modules for test in doctest.DocTestFinder().find(module) if test.examples]
    names = {"ge": ge, "suite": ge.load_suite()}
    assert len(tests) > 3
    for test in tests:
        test.globs.update(names)
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0, test.name


def test_the_notebook_at_the_head_of_the_module_runs(
    suite: ge.Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a folder in place of the Hub id; each line that is an expression gives something to look at."""
    shutil.copytree(suite._open.root, tmp_path / "signals")
    monkeypatch.setattr(paths, "SUITE", tmp_path)
    reference = MODELS / REFERENCES[0].removeprefix("local/")
    ge.evaluate(reference, task=TASK, progress=False).save(tmp_path / "signals" / VERDICTS)
    monkeypatch.chdir(tmp_path)
    page = (ge.__doc__ or "").replace("superb/hubert-large-superb-er", str(MODELS / MODEL))
    lines = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    assert len(lines) == 13
    names: dict[str, Any] = {"sound": suite.signals(TASK, REFERENCES[0])[0].clip}
    shown: dict[str, Any] = {}
    for line in lines:
        try:
            code = compile(line, "notebook", "eval")
        except SyntaxError:
            exec(line, names)  # noqa: S102 - the lines of our own page
        else:
            shown[line.split("#")[0].strip()] = eval(code, names)  # noqa: S307
    assert [type(value).__name__ for value in shown.values()] == [
        *("Difference", "tuple", "PosixPath", "DataFrame", "Picture", "tuple", "Signal", "DataFrame"),
    ]
    lift, (rates, verdicts), folder, matrix, picture, (player, spectrum), signal, study = shown.values()
    assert re.fullmatch(r"[+−][\d.]+\u202fpp \[[+−][\d.]+, [+−][\d.]+\], n = \d+", repr(lift))
    assert len(verdicts) == names["result"].entry.n_verdicts
    assert set(rates["reference"]) == set(REFERENCES)
    assert list(study["model"]) == [REFERENCES[0]]
    assert {path.name for path in folder.iterdir()} == {ENTRY, VERDICTS_FILE, REPORT}
    assert matrix.loc["starter-emotion-ast", "starter-emotion-ast"] == 1
    for html in (picture._repr_svg_(), spectrum._repr_svg_(), signal._repr_html_(), player._repr_html_()):
        assert html.count("<svg") + html.count("<audio") > 0
    assert "<svg" in picture.svg
    assert "<svg" in spectrum.svg


def test_a_saved_result_is_byte_for_byte_what_the_command_writes(
    result: ge.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = result.save(tmp_path / "saved")
    done = result._result  # another run has another time of day
    monkeypatch.setattr(runner, "evaluate", lambda *_, **__: done)
    command = ["evaluate", str(MODELS / MODEL), "--task", TASK, "--out", str(tmp_path / "written")]
    assert cli.run(command) == 0
    written = tmp_path / "written" / saved.relative_to(tmp_path / "saved")
    for name in (ENTRY, VERDICTS_FILE, REPORT):
        assert (saved / name).read_bytes() == (written / name).read_bytes()


ESTIMATES = {
    "0.122 [0.006, 0.234], n = 1,550": Estimate(0.1216, 0.0061, 0.2338, 0.95, "bootstrap", 1550),
    "−0.500 [−1.000, 0.000], n = 2": Estimate(-0.5, -1.0, -0.0001, 0.95, "bootstrap", 2),
    "0.000, n = 20": Estimate(-0.0001, None, None, 0.95, "none", 20),
    "unknown, n = 0": Estimate(None, None, None, 0.95, "none", 0),
    "+12.2\u202fpp [+0.6, +23.4], n = 155": api_results.Difference(0.1216, 0.0061, 0.2338, 0.95, "x", 155),
    "−3.0\u202fpp [−4.0, 0.0], n = 21": api_results.Difference(-0.03, -0.04, 0.0004, 0.95, "x", 21),
    "unknown: fewer than 20 signals": api_results.Difference(None, None, None, 0.95, "none", 3),
}


@pytest.mark.parametrize("text", ESTIMATES)
def test_an_estimate_reads_as_value_interval_and_n(text: str) -> None:
    assert repr(ESTIMATES[text]) == text
    assert ESTIMATES[text]._repr_html_().endswith(f">{text}</p>")


def _hostile(
    result: ge.Result, suite: ge.Suite, model: ge.Classifier, whole_study: ge.StudyResult
) -> dict[str, Any]:
    """A record of each kind in which a name is a tag."""
    bad = "<script>x"
    entry = dataclasses.replace(result.entry, model=dataclasses.replace(result.entry.model, repo_id=bad))
    record = dataclasses.replace(suite.signals(TASK, REFERENCES[0])[0].record, clip_id=bad)
    classifier = copy.copy(model)
    classifier.class_names = (bad, "b")
    return {
        "Estimate": Estimate(0.5, 0.4, 0.6, 0.95, bad, 3),
        "Entry": entry,
        "SufficientSignal": record,
        "Signal": dataclasses.replace(suite.signals(TASK, REFERENCES[0])[0], record=record),
        "Classifier": classifier,
        "Suite": ge.Suite(suites.Suite(suite._open.root, bad)),
        "Result": api_results.Result(dataclasses.replace(result._result, entry=entry), suite),
        "StudyResult": ge.StudyResult(dataclasses.replace(whole_study.study, task=bad)),
    }


@pytest.mark.slow
def test_every_record_has_a_line_and_a_page_in_which_names_are_escaped(
    result: ge.Result, suite: ge.Suite, model: ge.Classifier, whole_study: ge.StudyResult
) -> None:
    for name, record in _hostile(result, suite, model, whole_study).items():
        assert "\n" not in repr(record)
        assert len(repr(record)) < 160, name
        assert repr(record).startswith(name) or name == "Estimate"
        assert "&lt;script&gt;x" in record._repr_html_(), name
        assert "<script" not in record._repr_html_(), name
    assert repr(model) == f"Classifier(local/{MODEL}: 5 classes, {model.facts.architecture}, float32 on cpu)"
    assert "<th>sample rate hz</th><td>16,000</td>" in model._repr_html_()
    signal = suite.signals(TASK, REFERENCES[0])[0].record
    size = f"{signal.n_kept:,} of {len(signal.mask):,} coefficients"
    assert repr(signal).endswith(f", {size}, {signal.family})")
    assert repr(result.entry) == repr(result).replace("Result(", "Entry(")
    assert repr(result.entry).endswith(f"lift {result.lift!r})")


@pytest.mark.slow
def test_completion_offers_what_is_public(
    result: ge.Result, suite: ge.Suite, model: ge.Classifier, whole_study: ge.StudyResult
) -> None:
    signal = suite.signals(TASK, REFERENCES[0])[0]
    offered = {
        type(each).__name__: [name for name in dir(each) if not name.startswith("_")]
        for each in (suite, result, signal, signal.play(), signal.plot(), whole_study)
    }
    assert offered == {
        "Suite": ["controls", "families", "family", "references", "signals", "tasks", "to_frame", "verdicts"],
        "Result": ["entry", "lift", "save", "suite", "to_frame", "verdicts"],
        "Signal": ["clip", "play", "play_clip", "plot", "record", "waveform"],
        "Player": ["plot", "sample_rate_hz", "waveform"],
        "Picture": ["save", "svg"],
        "StudyResult": ["study", "to_frame"],
    }
    public = {name for name in dir(model) if not name.startswith("_")}
    assert {"logits", "class_names", "device", "dtype", "facts", "notes", "ref"} <= public


def test_the_table_of_names_is_what_type_checkers_read() -> None:
    block = next(n for n in ast.parse(Path(ge.__file__).read_text()).body if isinstance(n, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {a.asname: node.module for node in imports for a in node.names} == ge._MODULE_OF


def test_the_head_of_the_module_names_what_there_is() -> None:
    names = {*re.findall(r"\bge\.(\w+)", ge.__doc__ or "")}
    assert {"load_suite", "evaluate", "transfer_matrix", "extract", "study"} <= names <= set(ge.__all__)
