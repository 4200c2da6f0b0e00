"""The result of evaluating a model: numbers, tables, the transfer matrix, an entry to save.

Conventions: rates are fractions in [0, 1], differences lie in [-1, 1].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness import notebook
from harness.api.models import load_model
from harness.api.signals import Picture
from harness.api.suite import Suite, load_suite
from harness.errors import BadInput
from harness.schemas import Entry, Rates
from harness.types import Estimate

if TYPE_CHECKING:
    from harness.evaluation import runner
    from harness.models.classifiers import Classifier
    from leaderboard.board.types import Matrix


class Difference(Estimate):
    """An estimate of a difference of two rates, in [-1, 1]; shown in percentage points."""

    def __repr__(self) -> str:
        from leaderboard.formatting import TOO_FEW

        if self.value is None:
            return TOO_FEW
        return notebook.estimate(self.value, self.low, self.high, self.n, points=True)


class Result:
    """What came of evaluating a model on a task. Made by `evaluate`."""

    def __init__(self, result: runner.Result, suite: Suite) -> None:
        """Take what the evaluation gave."""
        self.entry: Entry = result.entry
        """Who, what, how, and the scorecard: what `submissions/` holds."""
        self.suite = suite
        """What it was evaluated on."""
        self._result = result

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """A row for each stimulus that the model was asked, with the columns of `verdicts.parquet`."""
        return self._result.frame()

    @property
    def lift(self) -> Difference:
        """Transfer beyond the swap control, which ranks; unknown where too few signals count."""
        lift = self.entry.scorecard.lift or Estimate(None, None, None, 0.95, "none", 0)
        return Difference(**vars(lift))

    def to_frame(self) -> pd.DataFrame:
        """A row for each family and reference: n, and value, low and high of each rate, as fractions."""
        rows = []
        for score in self.entry.scorecard.families:
            for cell in score.cells:
                row = {"family": score.family, "reference": cell.reference.repo_id, "own": cell.own}
                for field in dataclasses.fields(cell.rates):
                    rate: Estimate = getattr(cell.rates, field.name)
                    row |= {field.name: rate.value, f"{field.name}_low": rate.low}
                    row |= {f"{field.name}_high": rate.high, f"{field.name}_n": rate.n}
                rows.append(row)
        return pd.DataFrame(rows)

    def save(self, folder: str | Path) -> Path:
        """Write entry.json, verdicts.parquet and report.html, as `goodenough evaluate` does.

        Args:
            folder: of results; the entry gets a separate folder below it.

        Returns:
            The folder of the entry, which `goodenough validate` and `goodenough submit` take. That of a
            result of some clips only lies below `.partial`, and they do not.

        Raises:
            BadInput: it cannot be written.
        """
        from harness.dataset.paths import PARTIAL, REPORT
        from harness.entries import store
        from leaderboard.reports import entry_report

        root = Path(folder) if self.entry.complete else Path(folder, PARTIAL)
        path = store.write(root, self.entry, self._result.lazy_verdicts)
        entry_report.write(path / REPORT, self.entry, self.verdicts, self.suite._open)
        return path

    def __repr__(self) -> str:
        partial = "" if self.entry.complete else ", partial"
        return f"Result({self.entry.model.repo_id} on {self.entry.task}: lift {self.lift!r}{partial})"

    def _repr_html_(self) -> str:
        matrix = plot_matrix(self.suite, self.entry.task, extra=[self])
        return f"{notebook.line(repr(self))}{matrix.svg}"


def evaluate(
    model: Classifier | str | Path,
    suite: Suite | None = None,
    *,
    task: str,
    label_map: str | Path | None = None,
    ci_width: float | None = None,
    limit: int | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> Result:
    """Score how often a model accepts the sufficient signals of the references of a task.

    What was asked once is not asked again.

    Args:
        model: a loaded model, a Hub id or a folder.
        suite: what it is evaluated on; without it the starter suite.
        task: name of a task of the suite.
        label_map: file that says how its classes are read, where their names do not.
        ci_width: stop when the interval of the lift is at most that to either side, in (0, 1]; then only the
            headline family is judged, and the result cannot be submitted.
        limit: only so many clips, to try it out; such a result cannot be submitted.
        out: folder in which answers are kept, as that of `goodenough evaluate --out`; without it the cache
            (`$GOODENOUGH_CACHE`).
        progress: show a bar.

    Raises:
        BadInput: no such task, model, label or width; the line says which.
        NotValid: its answers depend on the batch.
    """
    from harness import labels
    from harness.evaluation import runner
    from harness.progress import live_table
    from harness.starter import paths

    if ci_width is not None and not 0 < ci_width <= 1:
        raise BadInput(f"ci_width of {ci_width:g}; expected one above 0 and at most 1")
    if limit is not None and limit < 1:
        raise BadInput(f"limit is {limit}; expected 1 or more clips, or None for all")
    opened = load_suite() if suite is None else suite
    classifier = load_model(model) if isinstance(model, str | Path) else model
    spec = opened._open.task(task)
    if label_map is None:
        mapping = labels.harmonise(classifier.class_names, spec)
    else:
        mapping = labels.from_file(Path(label_map), classifier.class_names, spec, classifier.ref)
    folder = paths.cache() / "library" if out is None else Path(out)
    with live_table(task) if progress else nullcontext(lambda *_: None) as step:
        result = runner.evaluate(
            classifier, mapping, opened._open, spec, folder, ci_width=ci_width, limit=limit, progress=step
        )
    return Result(result, opened)


def transfer_matrix(
    suite: Suite,
    task: str,
    *,
    extra: Iterable[Result] = (),
    family: str | None = None,
    rate: str = "transfer",
) -> pd.DataFrame:
    """Which model accepts the signals of which reference.

    Args:
        suite: whose references, with the verdicts that came with it.
        task: name of a task.
        extra: further models, as columns behind the references.
        family: `responsibility` or `minimal`.
        rate: a field of `Rates`: `transfer`, `lift`, `swap`, ...

    Returns:
        References as rows, models as columns; NaN where a pair was not evaluated.

    Raises:
        BadInput: no such task, family or rate.

    Examples:
        >>> ge.transfer_matrix(suite, "emotion").shape
        (4, 4)
    """
    from leaderboard.board.matrix import short_names

    matrix = _matrix(suite, task, extra, family, rate)
    names = short_names(list(dict.fromkeys([*matrix.references, *matrix.models])))
    table = pd.DataFrame(
        np.nan,
        index=pd.Index([names[m] for m in matrix.references], name="reference"),
        columns=pd.Index([names[m] for m in matrix.models], name="model"),
    )
    for (reference, model), cell in matrix.cells.items():
        value = getattr(cell.rates, rate).value
        table.loc[names[reference], names[model]] = np.nan if value is None else value
    return table


def plot_matrix(
    suite: Suite,
    task: str,
    *,
    extra: Iterable[Result] = (),
    family: str | None = None,
    rate: str = "transfer",
) -> Picture:
    """The same as a heat map, as the pages draw it. For arguments and errors see `transfer_matrix`."""
    from leaderboard.plots import heatmap

    return Picture(heatmap.picture(_matrix(suite, task, extra, family, rate), rate))


def _matrix(suite: Suite, task: str, extra: Iterable[Result], family: str | None, rate: str) -> Matrix:
    from leaderboard.board import entries
    from leaderboard.board.matrix import matrix_of

    known = [field.name for field in dataclasses.fields(Rates)]
    if rate not in known:
        raise BadInput(f"no rate {rate!r}; expected one of {', '.join(known)}")
    chosen = suite.family(task, family)
    references = [entry for _, entry in entries.references_of(suite._open, suite._open.task(task).name)]
    return matrix_of([*references, *(result.entry for result in extra)], chosen)
