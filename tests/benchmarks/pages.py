"""The page of a task with 10,000 models, in a browser: when it is painted, how long a sort and a filter take.

    python -m tests.benchmarks.pages [--out FOLDER]     (from the root of the repository)

Medians over fresh visits; a sort and a filter are timed with the layout of the page that follows them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from harness.types import ModelRef
from leaderboard import render, urls
from leaderboard.board import ranking as table
from leaderboard.board.matrix import matrix_of
from leaderboard.board.types import Board, Ranking, Row
from leaderboard.site import task_page
from tests.benchmarks.figures import RESULTS, Figure, write
from tests.helpers.chromium import CHROMIUM, OPTIONS
from tests.helpers.entries import make_entry
from tests.helpers.families import FAMILIES

N_ROWS = 10_000
N_VISITS = 9
TARGETS = {"first paint": 1000.0, "sort by transfer": 100.0, "sort by model": 100.0}
"""Milliseconds, by what is measured."""

_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"
_SORT = """(key) => {
    const button = document.querySelector(`table.board th.${key} button`);
    const start = performance.now();
    button.click();
    document.body.offsetHeight;
    return performance.now() - start;
}"""
_FILTER = """(text) => {
    const field = document.querySelector("input[type=search]");
    const start = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input"));
    document.body.offsetHeight;
    return performance.now() - start;
}"""


def made_up(n: int, n_references: int = 60) -> Board:
    """A board of n candidates with the numbers of one, and references without entries of their own."""
    names = [f"toys/reference-{j:02}" for j in range(n_references)]
    entry, _ = make_entry(references=names, n_clips=24)
    rows = []
    for i in range(n):
        model = ModelRef(f"org-{i % 97}/model-{i:05}", f"{i:040x}", f"{i + 1:064x}")
        facts = replace(entry.facts, n_parameters=10**6 + i)
        candidate = replace(entry, model=model, facts=facts)
        rows.append(Row(candidate, False, i + 1, max(1, i - 3), i + 5, 1 + i // 9))
    shown = [row.entry for row in rows[: table.MAX_CANDIDATES]]
    matrices = tuple(matrix_of(shown, family) for family in FAMILIES)
    return Board((Ranking(entry.task, entry.signals, entry.protocol, False, tuple(rows), (), matrices),))


def write_page(path: Path, board: Board) -> None:
    """The page of the first task of a board, alone."""
    task = board.tasks[0]
    models = [row.entry.model for ranking in board.rankings for row in ranking.all_rows]
    links = {model: f"../models/{urls.page_of(model)}" for model in models}
    context = task_page.context(board, task, None, links, None)
    path.write_text(render.render("task.html.j2", context), encoding="utf-8")


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description="The page of a task with 10,000 models, in a browser.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    measures: dict[str, Callable[[Page], float]] = {
        "first paint": lambda page: page.evaluate(_PAINTED),
        "loaded, table and heat map shown": lambda page: page.evaluate(_LOADED),
        "sort by transfer": lambda page: page.evaluate(_SORT, "transfer"),
        "sort by model": lambda page: page.evaluate(_SORT, "model"),
        "filter, first letter": lambda page: page.evaluate(_FILTER, "m"),
        "filter, whole name": lambda page: page.evaluate(_FILTER, "model-09999"),
    }
    times: dict[str, list[float]] = {name: [] for name in measures}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "task.html"
        write_page(path, made_up(N_ROWS))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS])
        for _ in range(N_VISITS):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(path.as_uri())
            page.wait_for_function(f"{_LOADED} > 0")
            for name, measure in measures.items():
                times[name].append(measure(page))
            n_elements = page.evaluate("document.querySelectorAll('*').length")
            page.close()
        size = path.stat().st_size / 1e6
        browser.close()
    figures = [
        Figure(name, statistics.median(values), "ms", target=TARGETS.get(name), n=N_VISITS)
        for name, values in times.items()
    ]
    largest = {name: max(values) for name, values in times.items()}
    write(args.out, "pages", figures, largest=largest, megabytes=size, elements=n_elements)


if __name__ == "__main__":
    main()
