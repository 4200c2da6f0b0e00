"""Tables on terminals of several widths: names stay whole, numbers stay, what is left out is said to be."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from harness import cli
from harness.cli.common import show_outgoing
from harness.cli.held_back import show_lifts
from harness.cli.tables import Column, Row, fold, show_table
from harness.metrics.held_back import LiftComparison
from harness.types import Estimate
from tests.helpers.small_suite import small_suite
from tests.helpers.terminal_calls import printed
from tests.helpers.terminal_widths import TERMINALS, require_readable, shown
from tests.helpers.toy_models import save_model

NAME = "some-organisation/wav2vec2-large-of-a-long-name"
WORDS = re.compile("[^ /_@-]+")


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05, 1_234, "clip bootstrap", 0.95)


# ---- folding ---------------------------------------------------------------------------------------


@given(st.text("ab /-_@\u202f", max_size=60), st.integers(4, 40))
def test_a_folded_text_fits_and_loses_no_letter(text: str, width: int) -> None:
    lines = fold(text, width).split("\n")
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=12), st.sampled_from(" /-_@"))
def test_no_word_is_broken_where_there_is_room_for_it(words: list[str], joint: str) -> None:
    lines = fold(joint.join(words), 10).split("\n")
    assert [word for line in lines for word in WORDS.findall(line)] == words


def test_a_number_and_its_unit_stay_together_and_an_indent_is_kept() -> None:
    assert fold("accepts 64.2\u202f% of all", 10).split("\n") == ["accepts", "64.2\u202f% of", "all"]
    assert fold("  near-copy of it", 8).split("\n") == ["  near-", "  copy", "  of it"]


# ---- one table -------------------------------------------------------------------------------------

COLUMNS = (
    Column("model", folds=True),
    Column("lift"),
    Column("interval", 1),
    Column("swap", 3),
    Column("n", 2),
)
ROWS = [Row((NAME, "+12.3 pp", "+10.1 to +14.5 pp", "64.2 %", "1,234")), Row(("ear", "–"))]


@pytest.mark.parametrize(
    ("width", "left_out"), [(30, "interval, swap, n"), (50, "swap"), (80, None), (200, None)]
)
def test_the_least_important_columns_are_left_out_and_named(width: int, left_out: str | None) -> None:
    out = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": str(width)}), contextlib.redirect_stdout(out):
        show_table("A title of some length, which is folded", COLUMNS, ROWS)
    lines = out.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in lines), lines
    text = " ".join(out.getvalue().split())
    if left_out is None:
        assert "Left out" not in text
    else:
        assert f"Columns that do not fit: {left_out}." in text
    assert any("+12.3 pp" in line for line in lines)
    names = "".join(re.split(" {2,}", line)[0] for line in lines).replace(" ", "")
    assert f"{NAME}ear" in names, "folded, not cut"


# ---- every verb that prints one --------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    root = tmp_path_factory.mktemp("tables")
    suite = small_suite(root / "signals")
    model = save_model(root / "a-model-whose-name-is-of-some-length", "wav2vec2", ("spoof", "bonafide"))
    command: list[object] = ["evaluate", model, "--signals", suite.root, "--out", root / "results"]
    assert cli.run([str(word) for word in command]) == 0
    return command


@pytest.mark.parametrize("terminal", TERMINALS)
def test_the_scorecard_keeps_its_numbers(terminal: str, evaluated: list[object]) -> None:
    code, out, _ = shown(terminal, *evaluated)
    assert code == 0
    require_readable(terminal, out, ["value"], may_wrap=["a-model-whose-name-is-of-some-length on deepfake"])
    labels = ("transfer", "swap", "matched", "lift", "placement", "accuracy")
    for label in labels:
        assert re.search(rf"(?m)^  {label}.* (\d|–|unknown)", out, re.IGNORECASE), (label, out)
    assert "Left out" not in out


@pytest.mark.parametrize("terminal", TERMINALS)
def test_the_list_of_a_dataset_keeps_tasks_and_references(terminal: str, evaluated: list[object]) -> None:
    code, out, _ = shown(terminal, "download", evaluated[3], "--list")
    assert code == 0
    require_readable(terminal, out, ["task", "reference", "deepfake", "toys/a", "toys/b"])


@pytest.mark.parametrize("terminal", TERMINALS)
def test_the_cost_of_a_recipe_keeps_models_and_hours(terminal: str, tmp_path: Path) -> None:
    code, out, _ = shown(terminal, "extract", "--recipe", "emotion", "--dry-run", "--out", tmp_path / "out")
    assert code == 0
    require_readable(terminal, out, ["reference", "GPU h"])
    if terminal == "pipe":
        assert "verdicts" in out.splitlines()[1], "nothing is left out of what a pipe is given"


@pytest.mark.parametrize("terminal", TERMINALS)
def test_own_signals_keep_judges_and_lifts(terminal: str) -> None:
    rates = SimpleNamespace(
        transfer=estimate(0.6), swap=estimate(0.2), lift=estimate(0.4), placement=estimate(0.3)
    )
    cells: dict[str, Any] = {NAME: SimpleNamespace(rates=rates), "org/ear": SimpleNamespace(rates=rates)}
    out, _ = printed(terminal, lambda: show_outgoing(NAME, "emotion", cells))
    require_readable(terminal, out, ["judged by", "org/ear", "60.0\u202f%", "+40.0\u202fpp"])


@pytest.mark.parametrize("terminal", TERMINALS)
def test_held_back_lifts_keep_their_numbers(terminal: str) -> None:
    lifts = LiftComparison(
        lift=estimate(0.4),
        held_back_lift=estimate(0.2),
        difference=estimate(-0.2),
        n_clips=40,
        n_held_back_clips=20,
        references=(NAME, "org/ear"),
    )
    out, _ = printed(terminal, lambda: show_lifts(NAME, "emotion", lifts))
    require_readable(terminal, out, ["public", "held back", "difference", "+40.0\u202fpp"])
