"""`goodenough extract --recipe NAME --dry-run`: what it will cost, as a table; it writes and fetches nothing.

Public: show.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.recipes.cost import Cost, ReferenceCost, Size, Spent
    from harness.recipes.reading import Recipe, RecipeCorpus, RecipeModel
    from harness.tasks import Task

_LISTENED = 32
"""Recordings of a folder whose lengths are looked at."""


def show(
    recipe: Recipe,
    task: Task,
    chosen: Sequence[RecipeModel],
    folders: Mapping[str, Path],
    over: Mapping[str, str],
    as_json: bool,
) -> None:
    """The cost of the chosen models, on stdout.

    Raises:
        BadCorpus: a folder that is no corpus.
    """
    from harness.recipes import cost

    sizes = {c.name: _size(c, recipe, task, folders) for c in recipe.corpora}
    absent = {name: over[name] for name in sizes if name in over}
    # A corpus that has yet to be fetched has its price all the same.
    found = cost.cost_of(recipe, task, sizes, {k: v for k, v in over.items() if k not in absent})
    wanted = {model.source for model in chosen}
    found = dataclasses.replace(found, references=tuple(r for r in found.references if r.model in wanted))
    if as_json:
        content = dataclasses.asdict(found) | {
            "to_be_fetched_first": absent,
            "total": {name: found.total(name) for name in _SUMMED},
            "assumed": {name: dataclasses.asdict(each) for name, each in cost.ASSUMED.items()},
        }
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    click.echo(f"{recipe.name}: {recipe.about}")
    click.echo(_aligned([_HEADS, *(_row(r) for r in found.references), _sum(found)]))
    for line in [*(f"to be fetched first: {n}: {why}" for n, why in absent.items()), *_words(found)]:
        click.echo(line)


_SUMMED = (
    *("queries", "audio_hours", "gpu_hours", "cpu_hours", "audio_bytes", "mask_bytes"),
    *("judged_queries", "judged_gpu_hours", "verdict_bytes"),
)

_HEADS = [
    "corpus",
    "reference",
    "clips",
    "s",
    "queries",
    "audio h",
    "GPU h (range)",
    "audio",
    "masks",
    "judged",
    "GPU h",
]


def _size(corpus: RecipeCorpus, recipe: Recipe, task: Task, folders: Mapping[str, Path]) -> Size | None:
    """What the recipe expects; of a folder, what is there."""
    from harness.dataset.corpora import Columns, open_corpus
    from harness.recipes.cost import Size
    from harness.recipes.reading import is_folder

    folder = folders.get(corpus.name) or (Path(corpus.source) if is_folder(corpus.source) else None)
    if folder is not None:
        columns = Columns(labels=corpus.labels)
        chosen = open_corpus(str(folder), task, split=corpus.split, limit=recipe.limit, columns=columns)
        some = open_corpus(str(folder), task, split=corpus.split, limit=_LISTENED, columns=columns)
        return Size(len(chosen), median(clip.seconds for clip in some.clips(task)))
    if corpus.clips is None or corpus.seconds is None:
        return None
    n_clips = corpus.clips if recipe.limit is None else min(corpus.clips, recipe.limit)
    return Size(n_clips, min(corpus.seconds, task.max_seconds))


# ---- how it is said ------------------------------------------------------------------------------


def _row(cost: ReferenceCost) -> list[str]:
    if cost.passed_over is not None:
        return [cost.corpus, cost.model, "passed over"]
    return [
        cost.corpus,
        cost.model,
        _number(cost.clips),
        _number(cost.seconds, 1),
        _number(cost.queries.likely if cost.queries else None),
        _number(cost.audio_hours),
        _ranged(cost.gpu_hours),
        _bytes(cost.audio_bytes),
        _bytes(cost.mask_bytes),
        _number(cost.judged_queries),
        _number(cost.judged_gpu_hours, 2),
    ]


def _sum(found: Cost) -> list[str]:
    total = {name: found.total(name) for name in _SUMMED}
    return [
        *("all", "", "", "", _number(total["queries"]), _number(total["audio_hours"])),
        _number(total["gpu_hours"], 1),
        _bytes(total["audio_bytes"]),
        _bytes(total["mask_bytes"]),
        _number(total["judged_queries"]),
        _number(total["judged_gpu_hours"], 1),
    ]


def _words(found: Cost) -> list[str]:
    from harness.recipes.cost import ASSUMED

    over = {r.model: r.passed_over for r in found.references if r.passed_over is not None}
    throughput = ASSUMED["tflops_achieved"]
    return [
        *(f"passed over {model}: {why}" for model, why in over.items()),
        "Queries: means measured on clips of 2 to 3 s of the starter suite; the range of GPU hours is from"
        " every clip at the median to every clip at what 90 % stay within. Hard models, and clips that need"
        " many bins, cost more.",
        f"GPU hours: operations at {throughput.value:g} TFLOP/s, assumed, not measured ({throughput.why}).",
        f"CPU, beside them, for signals and features: {found.total('cpu_hours'):,.0f} core hours."
        f" Verdicts: {_bytes(found.total('verdict_bytes'))}. Audio is 0 where a corpus allows masks alone.",
    ]


def _number(value: float | None, digits: int = 0) -> str:
    return "?" if value is None else f"{value:,.{digits}f}"


def _ranged(spent: Spent | None) -> str:
    return "?" if spent is None else f"{spent.likely:,.2f} ({spent.low:,.2f}-{spent.high:,.2f})"


def _bytes(value: float | None) -> str:
    if value is None:
        return "?"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value / 1e3:,.0f} kB" if value else "0"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: the first two to the left, numbers to the right."""
    n = max(map(len, rows))
    full = [[*row, *[""] * (n - len(row))] for row in rows]
    widths = [max(len(row[i]) for row in full) for i in range(n)]
    lines = (
        "  ".join(
            cell.ljust(w) if i < 2 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in full
    )
    return "\n".join(line.rstrip() for line in lines)
