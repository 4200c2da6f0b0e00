"""The verdicts of an evaluation as tables, one at a time in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from harness.evaluation import predict
from harness.evaluation.predict import Answers
from harness.evaluation.units import Unit
from harness.tasks import Task
from harness.types import LabelMap

_ROWS_AT_ONCE = 1 << 12
"""Verdicts in a table, give or take those of a unit: 1.5 MB."""


@dataclass(frozen=True, eq=False)
class LazyVerdicts:
    """Verdicts made of answers, anew whenever they are gone through."""

    units: Sequence[Unit]
    """Those judged, in the order in which their verdicts stand: whole clips and silences first."""
    answers: Mapping[str, Answers]
    """By content of the unit."""
    label_map: LabelMap
    """How the classes of the model are read."""
    task: Task

    def __len__(self) -> int:
        return sum(len(self.answers[unit.content].stimuli) for unit in self.units)

    def of_clips(self) -> pa.Table:
        """Those on whole clips and silences, as a table of `parquet_schema.VERDICTS`."""
        return self._table(self.units[: self._n_clip_units])

    def tables(self) -> Iterator[pa.Table]:
        """Tables of `parquet_schema.VERDICTS`: `of_clips`, then of some signals each."""
        yield self.of_clips()
        start, n_rows = self._n_clip_units, 0
        for end, unit in enumerate(self.units[start:], start + 1):
            n_rows += len(self.answers[unit.content].stimuli)
            if n_rows >= _ROWS_AT_ONCE or end == len(self.units):
                yield self._table(self.units[start:end])
                start, n_rows = end, 0

    def table(self) -> pa.Table:
        """All of them in one table of `parquet_schema.VERDICTS`."""
        return pa.concat_tables(self.tables()).combine_chunks()

    @property
    def _n_clip_units(self) -> int:
        return next((i for i, unit in enumerate(self.units) if unit.signal_id is not None), len(self.units))

    def _table(self, units: Sequence[Unit]) -> pa.Table:
        return predict.verdict_table(units, self.answers, self.label_map, self.task)
