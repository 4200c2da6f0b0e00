"""How far work is, where stderr is no terminal: a plain line now and then."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from harness import cli, progress
from harness.evaluation import predict
from tests.helpers.corpus import make_corpus
from tests.helpers.small_suite import small_suite
from tests.helpers.toy_models import save_model


class Lines(list[str]):
    """What is said, and a wait for more of it: no test depends on how fast this machine is."""

    def wait(self, n: int = 1) -> None:
        wanted, deadline = len(self) + n, time.monotonic() + 60
        while len(self) < wanted:
            assert time.monotonic() < deadline, "no line in a minute"
            time.sleep(0.005)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Lines, every hundredth of a second."""
    lines = Lines()
    monkeypatch.setattr(progress, "SECONDS", 0.01)
    monkeypatch.setattr(progress, "_write", lines.append)
    return lines


def bar(step: Callable[..., Any], n: int) -> None:
    step(n, 7 * n)


def bars(step: Callable[..., Any], n: int) -> None:
    step("Reading", n, 4)


def live(step: Callable[..., Any], n: int) -> None:
    step(n, 4, None)


WORK: dict[str, tuple[Callable[[], AbstractContextManager[Any]], Callable[..., Any], str, str]] = {
    "progress_bar": (lambda: progress.progress_bar("Work", 4, "queries"), bar, "Work", "queries/s"),
    "progress_bars": (progress.progress_bars, bars, "Reading", "steps/s"),
    "live_table": (lambda: progress.live_table("Work"), live, "Work", "units/s"),
}


@pytest.mark.parametrize("name", WORK)
def test_long_work_says_how_far_it_is_how_fast_and_for_how_long_yet(name: str, said: Lines) -> None:
    start, advance, title, unit = WORK[name]
    with start() as step:
        for _ in range(3):
            advance(step, 1)
            said.wait(2)
        advance(step, 1)
    matches = [re.match(rf"{title}: (\d) of 4\b", line) for line in said]
    numbers = [int(match[1]) for match in matches if match]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 4, "the end is said, too"
    assert " left" not in said[-1]
    between = [line for line in said if f"{title}: 3 of 4" in line][1:]
    assert between
    for line in between:
        assert re.search(rf", [\d.,]+ {unit}, \d+ s left$", line), line


@pytest.mark.parametrize("name", WORK)
def test_short_work_says_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    start, advance, _, _ = WORK[name]
    with start() as step:
        advance(step, 4)
    assert capsys.readouterr().err == ""


def test_one_step_that_takes_long_is_no_silence(said: Lines) -> None:
    with progress.progress_bar("Work", 4, "queries"):
        said.wait()
    assert said[0] == "Work: 0 of 4"


def test_what_an_earlier_run_did_is_no_speed_of_this_one(said: Lines) -> None:
    with progress.progress_bar("Work", 1000, "queries") as step:
        step(900, 0)
        said.wait()
    assert set(said) == {"Work: 900 of 1,000"}


def test_work_of_unknown_length_says_how_long_it_has_taken(said: Lines) -> None:
    with progress.waiting("Counting"):
        said.wait()
    assert said[0] == "Counting: 0 s so far"


def test_the_lines_end_with_the_work_even_if_it_fails(said: Lines) -> None:
    with pytest.raises(ValueError, match="broken"), progress.progress_bar("Work", 4, "queries"):  # noqa: PT012
        said.wait()
        raise ValueError("broken")
    n = len(said)
    time.sleep(0.05)
    assert len(said) == n


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (40, "40 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h")]
)
def test_times_are_told_in_seconds_minutes_or_hours(seconds: float, words: str) -> None:
    assert progress.duration(seconds) == words


def test_evaluate_tells_a_pipe_how_far_it_is(
    said: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = predict.judge

    def slow(*given: Any) -> Iterator[Any]:
        said.wait()
        yield from judge(*given)

    monkeypatch.setattr(predict, "judge", slow)
    suite = small_suite(tmp_path / "signals")
    model = save_model(tmp_path / "ear", "wav2vec2", ("spoof", "bonafide"))
    command = ["evaluate", model, "--signals", suite.root, "--out", tmp_path / "results"]
    assert cli.run([str(word) for word in command]) == 0
    assert said[0].startswith("deepfake: ")
    assert re.match(r"deepfake: ([\d,]+) of \1 units", said[-1])


def test_extract_counts_recordings_that_cannot_be_used(
    said: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is no sound, one has the samples of another: the end is all of them, and they are no speed."""
    names = ("neu", "hap", "ang", "sad")
    model = save_model(tmp_path / "ear", "wav2vec2", names)
    rows = [(f"{i}.wav", ("angry", "sad")[i % 2]) for i in range(4)]
    corpus = make_corpus(tmp_path / "corpus", *rows)
    (corpus / "1.wav").write_bytes(b"no sound")
    (corpus / "3.wav").write_bytes((corpus / "2.wav").read_bytes())
    reports: list[tuple[int, int]] = []
    step = progress._Pace.step

    def noted(pace: progress._Pace, n_done: int, n_extra: int, total: int | None = None) -> None:
        reports.append((n_done, n_extra))
        step(pace, n_done, n_extra, total)
        if n_done and not pace.is_done:
            said.wait()

    monkeypatch.setattr(progress._Pace, "step", noted)
    command = ["extract", model, "--task", "emotion", "--corpus", corpus, "--budget", 40]
    assert cli.run([str(word) for word in [*command, "--out", tmp_path / "signals"]]) == 0
    assert reports[0] == (2, 0)
    assert sum(n_done for n_done, _ in reports) == 4
    assert re.search(r": 4 of 4\b", said[-1])
