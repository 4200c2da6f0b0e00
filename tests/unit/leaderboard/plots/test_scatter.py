"""Lift against size: what is drawn, where the line rises, and that names hide nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.types import Estimate
from leaderboard.board.types import Row
from leaderboard.plots import scatter
from tests.helpers import hostile_files
from tests.helpers.board_world import World

SVG = "{http://www.w3.org/2000/svg}"


def _row(world: World, rank: int, low: int, high: int, size: int, lift: float, name: str = "a/b") -> Row:
    row = world.board.current[0].rows[0]
    card = row.entry.scorecard
    rates = replace(card.families[0].rates, lift=Estimate(lift, lift - 0.05, lift + 0.05, 0.95, "x", 40))
    families = (replace(card.families[0], rates=rates), *card.families[1:])
    entry = replace(
        row.entry,
        model=replace(row.entry.model, repo_id=name, weights_sha256=f"{rank:064x}"),
        facts=replace(row.entry.facts, n_parameters=size),
        scorecard=replace(card, families=families),
    )
    return replace(row, entry=entry, rank=rank, rank_low=low, rank_high=high, reference=rank % 2 == 0)


def test_the_line_rises_only_where_places_do_not_overlap(world: World) -> None:
    rows = [
        _row(world, 1, 1, 2, 10**9, 0.5),  # apart from the third: a step
        _row(world, 2, 1, 3, 10**8, 0.4),  # larger than the fourth, and apart from it: a step
        _row(world, 3, 3, 5, 10**7, 0.2),  # overlaps with the fourth: none
        _row(world, 4, 4, 5, 10**6, 0.1),  # the smallest: where the line begins
        _row(world, 5, 4, 5, 10**6, 0.05),
    ]
    steps = scatter.frontier(scatter.points(rows, "size"))
    assert [point.row.rank for point in steps] == [4, 2]
    apart = replace(rows[0], rank_low=1, rank_high=1)
    others = [replace(rows[1], rank_low=2), *rows[2:]]
    assert [p.row.rank for p in scatter.frontier(scatter.points([apart, *others], "size"))] == [4, 2, 1]


def test_a_model_of_the_same_size_that_is_better_beyond_doubt_takes_the_step(world: World) -> None:
    rows = [_row(world, 1, 1, 1, 10**6, 0.5), _row(world, 2, 2, 2, 10**6, 0.1)]
    assert [point.row.rank for point in scatter.frontier(scatter.points(rows, "size"))] == [1]


def test_what_has_no_size_or_no_place_is_not_drawn(world: World) -> None:
    rows = [_row(world, 1, 1, 2, 10**6, 0.3), _row(world, 2, 1, 2, 0, 0.2)]
    unranked = replace(_row(world, 3, 3, 3, 10**6, 0.1), rank=None)
    assert [point.row.rank for point in scatter.points([*rows, unranked], "size")] == [1]
    assert scatter.draw(rows, "size") is None


@pytest.mark.parametrize("n", [2, 12, 400])
def test_every_mark_is_told_and_no_name_hides_another(world: World, n: int) -> None:
    rows = [
        _row(world, i + 1, max(1, i), i + 2, 10**5 * (1 + i * 7919 % 97), 0.9 - 1.2 * i / n, f"org/model-{i}")
        for i in range(n)
    ]
    links = {row.entry.model: f"../models/{i}.html" for i, row in enumerate(rows)}
    picture = ET.fromstring(scatter.draw(rows, "size", links) or "")  # noqa: S314 - our own
    legend = picture.find(f"{SVG}g[@class='gs-legend']")
    dots = [dot for dot in picture.iter(f"{SVG}circle") if dot not in set(legend.iter())]
    found = scatter.points(rows, "size")
    beyond = [point for point in scatter.frontier(found) if point not in found[: scatter.MOST]]
    assert len(dots) == min(n, scatter.MOST) + len(beyond)
    anchors = picture.findall(f"{SVG}a")
    assert len(anchors) == len(dots)
    assert all(
        "95\u202f% interval" in (a.get("aria-label") or "") and "n = 40" in a.get("aria-label")
        for a in anchors
    )
    hollow = [a for a in anchors if "gs-hollow" in (a.find(f"{SVG}circle").get("class") or "")]
    assert len(hollow) == sum(p.row.reference for p in [*found[: scatter.MOST], *beyond])
    boxes = [
        (float(t.get("x")), float(t.get("y")), 6.9 * len(t.text))
        for t in picture.findall(f"{SVG}text")
        if t.get("class") == "ink"
    ]
    assert len(boxes) == min(n, 14)
    for i, (x, y, width) in enumerate(boxes):
        for other_x, other_y, other_width in boxes[i + 1 :]:
            assert abs(y - other_y) >= 13.9 or x + width <= other_x or other_x + other_width <= x


def test_the_names_of_models_of_one_size_do_not_vanish(world: World) -> None:
    """Eight dots in a corner, a percent of the axis apart: each keeps its name, some at the end of a line."""
    rows = [
        _row(world, i + 1, 1, 8, 131_000 + 200 * i, 0.25 - 0.004 * i, f"org/starter-deepfake-model-{i}")
        for i in range(8)
    ]
    rows.append(_row(world, 9, 9, 9, 56_000, 0.0, "org/small"))
    picture = ET.fromstring(scatter.draw(rows, "size") or "")  # noqa: S314 - our own
    names = {text.text for text in picture.iter(f"{SVG}text") if text.get("class") == "ink"}
    assert names == {"small", *(f"starter-deepfake-model-{i}" for i in range(8))}
    assert len(picture.findall(f"{SVG}line[@class='gs-lead']")) >= 4


@given(st.floats(0, 9), st.floats(0.05, 6))
def test_an_axis_of_sizes_has_ticks_all_along(low: float, width: float) -> None:
    ticks = [x for x, _ in scatter._sizes(low, low + width)]
    assert all(low <= x <= low + width for x in ticks)
    assert len(ticks) <= 12
    if low > 3:  # below a thousand there are too few whole numbers
        assert np.diff([low, *ticks, low + width]).max() < 1.001 * width / 3
        words = [text for _, text in scatter._sizes(low, low + width)]
        assert len(set(words)) == len(words)


def test_names_of_strangers_are_text(world: World) -> None:
    for text in (*hostile_files.ATTRIBUTES.values(), hostile_files.GIANT):
        rows = [_row(world, 1, 1, 1, 10**30, 0.5, text), _row(world, 2, 2, 2, 7, 0.1, f"{text}2")]
        made = scatter.draw(rows, "size", {row.entry.model: "x.html" for row in rows}) or ""
        picture = ET.fromstring(made)  # noqa: S314 - our own
        assert {e.tag.removeprefix(SVG) for e in picture.iter()} <= {
            *("svg", "style", "rect", "line", "text", "path", "circle", "a", "g", "title"),
        }
        assert not [name for e in picture.iter() for name in e.attrib if name.startswith("on")]
        assert len(made) < 40_000


def test_over_time_stand_the_models_whose_day_is_known(world: World) -> None:
    days = ("2022-03-02", "2024-11-30", None, "2024-02-30", "soon")
    rows = []
    for i, day in enumerate(days):
        row = _row(world, i + 1, i + 1, i + 1, 10**6, 0.5 - 0.1 * i, f"a/model-{i}")
        facts = replace(row.entry.facts, released=day)
        rows.append(replace(row, entry=replace(row.entry, facts=facts)))
    found = scatter.points(rows, "time")
    assert [point.row.rank for point in found] == [1, 2]
    assert [point.row.rank for point in scatter.frontier(found)] == [1]  # the older one was better already
    picture = ET.fromstring(scatter.draw(rows, "time") or "")  # noqa: S314 - our own
    titles = [title.text or "" for title in picture.iter(f"{SVG}title")]
    assert [title.startswith(f"model-{i}, of {days[i]}: lift +") for i, title in enumerate(titles)] == [
        True
    ] * 2
    words = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"2023-01", "2024-01", "released"} <= set(words)
    assert scatter.draw(rows[:1], "time") is None
