from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.types import Estimate, ModelRef
from leaderboard import formatting
from leaderboard.plots import heatmap, inline
from tests.helpers.board_world import World, model

SVG = "{http://www.w3.org/2000/svg}"


def _squares(svg: str) -> list[tuple[str, list[str]]]:
    """Title and texts of each cell."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    return [
        (g.findtext(f"{SVG}title") or "", [t.text or "" for t in g.iter(f"{SVG}text")])
        for g in root.iter(f"{SVG}g")
        if g.find(f"{SVG}rect") is not None
    ]


@pytest.mark.parametrize("measure", ["transfer", "lift", "placement", "swap", "agreement"])
def test_the_heat_map_holds_every_value_with_its_interval_and_n(world: World, measure: str) -> None:
    matrix = world.board.current[0].matrices[0]
    squares = _squares(heatmap.picture(matrix, measure))
    assert len(squares) == len(matrix.references) * len(matrix.models)
    kind = inline.MEASURES[measure].kind
    pairs = [(f, g) for f in matrix.references for g in matrix.models]
    for (reference, judge), (title, texts) in zip(pairs, squares, strict=True):
        cell = matrix.cells[reference, judge]
        estimate = getattr(cell.rates, measure)
        assert texts == [formatting.text(estimate, kind), "own" if cell.same_weights else f"n {estimate.n}"]
        assert formatting.format_estimate(estimate, kind) in title


def _across(svg: str) -> list[float]:
    """Where the columns begin, from the first row of cells."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    squares = [g.find(f"{SVG}rect") for g in root.iter(f"{SVG}g")]
    placed = [(float(r.get("y")), float(r.get("x"))) for r in squares if r is not None]
    return [x for y, x in placed if y == placed[0][0]]


def test_references_and_candidates_stand_apart_and_own_signals_on_the_diagonal(world: World) -> None:
    matrix = world.board.current[0].matrices[0]
    svg = heatmap.picture(matrix)
    steps = [b - a for a, b in pairwise(_across(svg))]
    assert len({*steps[:2], *steps[3:]}) == 1
    assert steps[2] > steps[0]
    assert svg.count(">references</text>") == svg.count(">candidates</text>") == 1
    own = [i for i, (_, texts) in enumerate(_squares(svg)) if texts[1] == "own"]
    assert own == [0, 8, 16]  # 3 rows of 7 columns


def test_a_group_without_columns_is_not_named(world: World) -> None:
    matrix = world.board.current[0].matrices[0]
    alone = heatmap.picture(replace(matrix, models=matrix.models[:3]))
    candidates = heatmap.picture(replace(matrix, models=matrix.models[3:]))
    assert ("references</text>" in alone, "candidate" in alone) == (True, False)
    assert ("references</text>" in candidates, "candidates</text>" in candidates) == (False, True)
    assert "candidate</text>" in heatmap.picture(replace(matrix, models=matrix.models[:4]))


def test_a_pair_nobody_evaluated_is_a_dash(world: World) -> None:
    matrix = world.board.current[0].matrices[0]
    pair = (model("lab/alpha"), model("acme/echo"))
    without = replace(matrix, cells={k: v for k, v in matrix.cells.items() if k != pair})
    (square,) = [s for s in _squares(heatmap.picture(without)) if "not evaluated" in s[0]]
    assert square[1] == ["–", ""]
    assert "alpha, judged by echo" in square[0]


def test_hostile_names_leave_the_heat_map_well_formed(world: World) -> None:
    matrix = world.board.current[0].matrices[0]
    evil = ModelRef("x/</text><script>alert('1')</script>&\"", "a" * 40, "a" * 64)
    cells = {(f, evil if g == matrix.models[-1] else g): c for (f, g), c in matrix.cells.items()}
    spoiled = replace(matrix, models=(*matrix.models[:-1], evil), cells=cells)
    svg = heatmap.picture(spoiled)
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    assert not list(root.iter(f"{SVG}script"))


def test_two_figures_share_no_id(world: World) -> None:
    ids = [
        element.get("id")
        for matrix in world.board.current[0].matrices
        for measure in ("transfer", "lift")
        for element in ElementTree.fromstring(heatmap.picture(matrix, measure)).iter()  # noqa: S314
        if element.get("id")
    ]
    assert len(ids) == len(set(ids)) == 4


@pytest.mark.parametrize("kind", ["rate", "difference"])
def test_text_on_every_colour_can_be_read(kind: str) -> None:
    values = np.linspace(-1 if kind == "difference" else 0, 1, 401)
    for value, dark in product(values, (False, True)):
        background = inline.colour(float(value), kind, dark=dark)
        assert inline.contrast(inline.ink_on(background), background) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_scales_are_ordered_in_lightness_away_from_the_background(dark: bool) -> None:
    """More is darker on a light page, and brighter on a dark one."""

    def lightness(values: np.ndarray, kind: str) -> list[float]:
        shades = [inline.contrast(inline.colour(float(v), kind, dark=dark), "#000000") for v in values]
        return [-shade for shade in shades] if dark else shades

    rising = np.linspace(0, 1, 101)
    for shades in (
        lightness(rising, "rate"),
        lightness(rising, "difference"),
        lightness(-rising, "difference"),
    ):
        assert all(a > b for a, b in pairwise(shades))


def test_a_shape_has_a_colour_for_both_pages_and_one_for_who_knows_only_one() -> None:
    light, dark = inline.colour(0.3, "rate"), inline.colour(0.3, "rate", dark=True)
    assert inline.fill(0.3, "rate") == f'fill="{light}" style="fill:light-dark({light},{dark})"'
    assert inline.ramp("difference").count("light-dark(") == 9


@given(st.floats(-5, 5), st.sampled_from(["rate", "difference"]))
def test_values_off_the_scale_take_its_end(value: float, kind: str) -> None:
    low = -1.0 if kind == "difference" else 0.0
    assert inline.colour(value, kind) == inline.colour(min(max(value, low), 1.0), kind)


def test_black_on_white_has_the_largest_contrast() -> None:
    assert inline.contrast("#000000", "#ffffff") == inline.contrast("#ffffff", "#000000") == 21


def test_an_interval_bar_puts_its_dot_between_its_ends() -> None:
    bar = ElementTree.fromstring(inline.interval_bar(Estimate(0.5, 0.25, 1.0, 0.95, "m", 9), -1.0))  # noqa: S314
    line = next(e for e in bar.iter("line") if e.get("class") == "ib-bar")
    dot = next(bar.iter("circle"))
    assert [float(line.get("x1")), float(dot.get("cx")), float(line.get("x2"))] == [54.0, 64.0, 84.0]


def test_an_interval_bar_of_nothing_is_empty() -> None:
    assert inline.interval_bar(None) == ""
    assert inline.interval_bar(Estimate(None, None, None, 0.95, "m", 0)) == ""


@pytest.mark.parametrize("n", [4000, 4001, 7])
def test_the_spectrum_shows_one_bar_per_band_with_kept_bins(n: int) -> None:
    wave = np.sin(np.arange(n) * 0.7).astype(np.float32)
    mask = np.zeros(n // 2 + 1, dtype=bool)
    empty = ElementTree.fromstring(inline.spectrum_picture(wave, mask, 8000))  # noqa: S314
    mask[2] = True
    one = ElementTree.fromstring(inline.spectrum_picture(wave, mask, 8000))  # noqa: S314
    drawn = [
        next(p for p in svg.iter("path") if p.get("class") == "sp-kept").get("d") for svg in (empty, one)
    ]
    assert [path.count("M") for path in drawn] == [0, 1]


def test_silence_has_a_spectrum_picture_too() -> None:
    picture = inline.spectrum_picture(np.zeros(800, np.float32), np.ones(401, dtype=bool), 8000)
    assert "nan" not in picture
    ElementTree.fromstring(picture)  # noqa: S314 - our own
