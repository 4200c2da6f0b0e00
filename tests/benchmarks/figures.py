"""Figures of benchmarks: how they are written, read, compared with those of another time, and shown.

A benchmark writes `NAME.json` with its figures and whatever else it measured. A figure that does not depend
on the machine (a ratio to a peer in the same run, a count) is comparable with one of another machine; a time
or a size in memory is not, and is compared with nothing.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

REGRESSION = 1.15
"""A figure that is worse than before by more than this factor is shown in bold."""

RESULTS = Path(__file__).parent / "results"

_TIMES = ("s", "CPU s", "ms", "min")
_SIZES = ("MiB",)


@dataclass(frozen=True)
class Figure:
    """One number of a benchmark."""

    name: str
    value: float
    unit: str = "x"
    """`x` for a ratio to a peer in the same run; `s`, `CPU s`, `ms`, `MiB`; otherwise what is counted."""
    target: float | None = None
    more_is_better: bool = False
    """Whether the target is the least and not the most."""
    n: int | None = None
    """Runs, clips or pairs behind it."""
    interval: tuple[float, float] | None = None
    """Of 95 %, where the benchmark gives one."""

    @property
    def is_comparable(self) -> bool:
        """Whether it means the same on another machine."""
        return self.unit not in (*_TIMES, *_SIZES)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.more_is_better else self.value <= self.target

    def factor(self, before: float) -> float:
        """How much worse it is than before: above 1 is worse, below 1 better."""
        if self.value == before:
            return 1.0
        worse, better = (before, self.value) if self.more_is_better else (self.value, before)
        return worse / better if better > 0 else math.inf


def write(folder: Path, name: str, figures: Iterable[Figure], **others: Any) -> None:
    """Write `NAME.json`: the machine, the figures, and whatever else was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "figures": [_without_none(asdict(f)) for f in figures], **others}
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def machine() -> str:
    """The processor, its cores and the versions that decide how fast things are."""
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "transformers", "numpy"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def read(text: str) -> list[Figure]:
    """The figures of a benchmark's JSON."""
    figures = []
    for fields in json.loads(text).get("figures", []):
        interval = fields.pop("interval", None)
        figures.append(Figure(**fields, interval=tuple(interval) if interval else None))
    return figures


def table(
    of_benchmark: Mapping[str, Sequence[Figure]],
    before: Mapping[str, Mapping[str, float]],
    committed: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """A Markdown table of the figures of all benchmarks.

    Args:
        of_benchmark: figures by benchmark.
        before: values of an older version, by benchmark and figure.
        committed: values of the last commit, by benchmark and figure; with them a column says how much worse
            each comparable figure is, in bold where by more than REGRESSION.
    """
    head = [
        "benchmark",
        "figure",
        "target",
        "before",
        "now",
        *(["now / committed"] if committed is not None else []),
    ]
    rows = [head, ["---"] * len(head)]
    for benchmark, figures in of_benchmark.items():
        for figure in figures:
            old = before.get(benchmark, {}).get(figure.name)
            row = [
                f"`{benchmark}`",
                figure.name,
                _target(figure),
                "" if old is None else _number(old, figure.unit),
                _now(figure),
            ]
            if committed is not None:
                row.append(_comparison(figure, committed.get(benchmark, {}).get(figure.name)))
            rows.append(row)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'≥' if figure.more_is_better else '≤'} {_number(figure.target, figure.unit)}"


def _now(figure: Figure) -> str:
    text = _number(figure.value, figure.unit)
    if figure.interval:
        text += f" [{', '.join(_digits(end) for end in figure.interval)}]"
    if figure.n is not None:
        text += f" (n = {figure.n:,})"
    return text if figure.is_met is not False else f"{text} **missed**"


def _comparison(figure: Figure, committed: float | None) -> str:
    if committed is None or not figure.is_comparable:
        return ""
    factor = figure.factor(committed)
    text = f"{factor:.2f} x worse" if factor > 1 else f"{1 / factor:.2f} x better" if factor < 1 else "same"
    return f"**{text}**" if factor > REGRESSION else text


def _number(value: float, unit: str) -> str:
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value is not False}
