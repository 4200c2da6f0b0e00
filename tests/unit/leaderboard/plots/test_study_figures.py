"""Figures of a study: which of them there is something to draw for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine

from harness.metrics.signal_measures import N_MEL
from harness.types import Estimate, ModelRef
from leaderboard.board.content_cache import ContentCache
from leaderboard.plots.study_figures import draw
from leaderboard.reports import study_report

MODEL = ModelRef("toys/a", "a" * 64, "b" * 64)


def _study(family: str) -> Any:
    portrait = SimpleNamespace(model=MODEL, family=family, n=1, mel=[1 / N_MEL] * N_MEL)
    return SimpleNamespace(
        task="tone", models=(MODEL,), families=(SimpleNamespace(family=family),), portraits=(portrait,)
    )


@pytest.mark.parametrize(
    ("family", "has_figure"),
    [("minimal@bins", True), ("responsibility@tiles8x16", True), ("responsibility@blocks20ms", False)],
)
def test_blocks_keep_all_frequencies_and_have_no_figure_of_them(family: str, has_figure: bool) -> None:
    assert (draw(_study(family), "band-use") is not None) == has_figure


def _family(name: str, value: float) -> Any:
    estimate = Estimate(value, value - 0.1, value + 0.1, 0.95, "by hand", 40)
    return SimpleNamespace(family=name, n_signals=40, transfer=estimate, lift=estimate, placement=estimate)


def test_families_are_compared_in_a_figure_where_there_are_two() -> None:
    names = ("responsibility@bands32", "minimal@bins", "responsibility@tiles8x16")
    study = SimpleNamespace(
        task="tone",
        models=(MODEL,),
        n_references=3,
        families=tuple(_family(name, 0.3) for name in names),
        portraits=tuple(SimpleNamespace(family=name, sizes=[0.1, 0.2, 0.4]) for name in names),
        stability=(SimpleNamespace(family=names[0], jaccard=Estimate(0.2, 0.1, 0.3, 0.95, "by hand", 9)),),
    )
    picture = draw(study, "families")  # type: ignore[arg-type]
    assert picture is not None
    assert picture.startswith("<svg")
    study.families = study.families[:1]
    assert draw(study, "families") is None  # type: ignore[arg-type]


def test_both_files_of_a_figure_have_one_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is computed once, and the SVG is the same with a PNG beside it as without."""
    layouts = []
    execute = ConstrainedLayoutEngine.execute
    monkeypatch.setattr(
        ConstrainedLayoutEngine, "execute", lambda self, fig: (layouts.append(fig), execute(self, fig))
    )
    with open(tmp_path / "figure.png", "wb") as png:
        svg = draw(_study("minimal@bins"), "band-use", png)
    assert len(layouts) == 1
    assert draw(_study("minimal@bins"), "band-use") == svg
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_of_an_unchanged_study_is_not_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        study_report, "draw", lambda study, name, png: (drawn.append(name), draw(study, name, png))[1]
    )
    study, cache = _study("minimal@bins"), ContentCache(tmp_path, "code")
    first, again, changed, other_code = (
        study_report._pictures(study, "band-use", content, results)
        for content, results in [
            ("a", cache),
            ("a", ContentCache(tmp_path, "code")),
            ("b", cache),
            ("a", ContentCache(tmp_path, "other code")),
        ]
    )
    assert first == again == changed == other_code
    assert first is not None
    assert set(first) == {"svg", "png"}
    assert len(drawn) == 3
    assert study_report._pictures(study, "families", "a", cache) is None
