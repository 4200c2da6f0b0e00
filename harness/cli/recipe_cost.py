"""`goodenough extract --recipe NAME --dry-run`: what a recipe will cost, as a table or as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.cli.common import print_json

if TYPE_CHECKING:
    from harness.recipes.cost import Cost, ReferenceCost, Size
    from harness.recipes.recipe_file import Recipe, RecipeCorpus
    from harness.tasks import Task

_N_SAMPLE = 16
"""Recordings of a folder whose lengths are measured, where the recipe does not say."""


def show(
    recipe: Recipe,
    task: Task,
    sources: Sequence[str],
    folders: Mapping[str, str],
    reasons: Mapping[str, str],
    as_json: bool,
) -> None:
    """Print the cost of a recipe; nothing is asked of a network, nothing is written.

    The models of `sources` will be run. By name, `folders` are those of corpora that lie here, and `reasons`
    say why some models and corpora are not run; the cost of such a corpus is shown.

    Raises:
        BadCorpus: a folder of recordings that cannot be read.
    """
    from harness.cli.tables import show_text
    from harness.recipes import cost

    sizes = {corpus.name: _size(recipe, corpus, folders.get(corpus.name), task) for corpus in recipe.corpora}
    names = {corpus.name for corpus in recipe.corpora}
    models = {name: "passed over" for name in reasons if name not in names}
    costs = cost.cost_of(recipe, task, sizes, models)
    costs = dataclasses.replace(costs, references=tuple(r for r in costs.references if r.model in sources))
    if as_json:
        content = {**vars(costs), "totals": _totals(costs), "assumed": cost.ASSUMPTIONS}
        print_json(content, indent=2)
        return
    _table(costs)
    if any(r.passed_over is None and None in (r.clips, r.gpu_hours) for r in costs.references):
        show_text("-: not known and not in any sum: a corpus of unknown length, or a model of unknown size.")
    show_text(
        "Queries and GPU hours: the mean, in brackets as if every clip cost the median, and what 90 % of"
        " clips stay within; measured on models and clips far smaller than these."
    )
    for name in ("tflops_achieved", "inverse_fft_ms", "features_ms"):
        show_text(f"Assumed, {name}: {cost.ASSUMPTIONS[name].value:g}: {cost.ASSUMPTIONS[name].why}.")


def _size(recipe: Recipe, corpus: RecipeCorpus, folder: str | None, task: Task) -> Size | None:
    """The size of a folder of recordings, or else what the recipe expects."""
    from harness.dataset.corpora import Columns, open_corpus
    from harness.recipes.cost import Size
    from harness.recipes.recipe_file import is_folder

    folder = folder or (corpus.source if is_folder(corpus.source) else None)
    clips, seconds = corpus.clips, corpus.seconds
    if folder is not None:
        columns = Columns(labels=corpus.labels)
        recordings = open_corpus(folder, task, split=corpus.split, limit=recipe.limit, columns=columns)
        clips = len(recordings)
        if seconds is None:
            sample = zip(range(_N_SAMPLE), recordings.clips(task), strict=False)
            seconds = statistics.median(clip.seconds for _, clip in sample)
    if clips is None or seconds is None:
        return None
    return Size(min(clips, recipe.limit or clips), min(seconds, task.max_seconds))


_TOTAL_FIELDS = (
    *("queries", "audio_hours", "gpu_hours", "cpu_hours", "audio_bytes", "mask_bytes"),
    *("judged_queries", "judged_gpu_hours", "verdict_bytes"),
)


def _totals(costs: Cost) -> dict[str, float]:
    return {field: costs.total(field) for field in _TOTAL_FIELDS}


def _table(costs: Cost) -> None:
    from harness.cli.tables import Column, Row, section, show_table

    columns = (
        *(Column("reference", folds=True), Column("clips", 4), Column("queries", 1), Column("audio", 6)),
        *(Column("GPU h"), Column("CPU h", 5), Column("judged", 7), Column("its GPU h", 8)),
        *(Column("signals", 2), Column("as masks", 3), Column("verdicts", 9)),
    )
    rows = []
    for corpus in dict.fromkeys(r.corpus for r in costs.references):
        references = [r for r in costs.references if r.corpus == corpus]
        rows += section(corpus, [Row((f"  {r.model}", *_cells(r))) for r in references])
    sums = _totals(costs)
    cells = (
        *("all", "", _count(sums["queries"]), f"{_hours(sums['audio_hours'])} h", _hours(sums["gpu_hours"])),
        *(_hours(sums["cpu_hours"]), _count(sums["judged_queries"]), _hours(sums["judged_gpu_hours"])),
        *(_bytes(sums["audio_bytes"]), _bytes(sums["mask_bytes"]), _bytes(sums["verdict_bytes"])),
    )
    show_table(f"{costs.recipe}: what it will cost", columns, [*rows, Row(cells)])


def _cells(r: ReferenceCost) -> list[str]:
    if r.passed_over is not None:
        return ["", "", "", r.passed_over]
    if r.queries is None:
        return ["-"] * 10
    q, g = r.queries, r.gpu_hours
    return [
        f"{r.clips:,} x {r.seconds:.3g} s",
        f"{_count(q.likely)} [{_count(q.low)}, {_count(q.high)}]",
        f"{_hours(r.audio_hours)} h",
        "-" if g is None else f"{_hours(g.likely)} [{_hours(g.low)}, {_hours(g.high)}]",
        _hours(r.cpu_hours),
        _count(r.judged_queries or 0),
        _hours(r.judged_gpu_hours),
        _bytes(r.audio_bytes or 0) if r.audio_bytes else "none",
        _bytes(r.mask_bytes or 0),
        _bytes(r.verdict_bytes or 0),
    ]


def _count(n: float) -> str:
    return _scaled(n, {1e9: " G", 1e6: " M", 1e3: " k", 1: ""})


def _hours(n: float | None) -> str:
    return "-" if n is None else "< 0.01" if 0 < n < 0.01 else f"{n:,.2f}" if n < 10 else f"{n:,.0f}"


def _bytes(n: float) -> str:
    return _scaled(n, {1e12: " TB", 1e9: " GB", 1e6: " MB", 1e3: " kB"})


def _scaled(n: float, units: dict[float, str]) -> str:
    size = next((size for size in units if n >= size), min(units))
    return f"{n / size:,.3g}{units[size]}"
