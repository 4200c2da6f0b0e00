"""A suite, to explore in a notebook and to evaluate models on.

Public: Suite, load_suite.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness import notebook
from harness.api.signals import Signal
from harness.dataset import suites
from harness.errors import BadInput
from harness.plurals import plural
from harness.starter.paths import open_suite
from harness.types import FAMILIES


class Suite:
    """Clips, signals and references that models are evaluated on. Made by `load_suite`."""

    def __init__(self, suite: suites.Suite) -> None:
        """Take an open suite."""
        self._open = suite

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of its tasks."""
        return self._open.task_names

    def references(self, task: str) -> list[str]:
        """Hub ids of the reference models of a task, sorted.

        Raises:
            BadSignals: it has no such task.
        """
        return [record.model.repo_id for record in self._open.references(self._open.task(task).name)]

    def signals(self, task: str, reference: str, family: str = FAMILIES[0]) -> list[Signal]:
        """The signals of a reference, degenerate ones left out.

        Args:
            task: name of a task.
            reference: its Hub id, or the part behind the slash.
            family: `responsibility` or `minimal`.

        Raises:
            BadInput: it has no such task, reference or family.

        Example:
            >>> suite.signals("emotion", "starter-emotion-ast")[0]
            Signal(...)
        """
        name = self._open.task(task).name
        by_name = {record.model.repo_id: record.model for record in self._open.references(name)}
        by_name |= {repo_id.split("/")[-1]: model for repo_id, model in by_name.items()}
        if reference not in by_name:
            known = ", ".join(self.references(name))
            raise BadInput(f"{self._open.name} has no reference {reference!r} for {name}; it has: {known}")
        if family not in FAMILIES:
            raise BadInput(f"no such family: {family!r}; expected one of {', '.join(FAMILIES)}")
        return [
            Signal(record, waveform, self._open.clip(name, record.clip_id).waveform)
            for record, waveform in self._open.signals(name, by_name[reference].slug)
            if record.family == family and not record.degenerate
        ]

    def to_frame(self) -> pd.DataFrame:
        """A row for each reference and family: task, reference, family, signals, degenerate ones."""
        rows = [
            (task, count.model.repo_id, count.family, count.n_signals, count.n_degenerate)
            for task in self.tasks
            for count in self._open.counts(task)
        ]
        return pd.DataFrame(rows, columns=["task", "reference", "family", "signals", "degenerate"])

    def __repr__(self) -> str:
        sizes = ", ".join(f"{task}: {plural(len(self.references(task)), 'reference')}" for task in self.tasks)
        return f"Suite({self._open.name}; {sizes})"

    def _repr_html_(self) -> str:
        return f"{notebook.line(repr(self))}{self.to_frame().to_html(index=False)}"


def load_suite(source: str | Path | None = None) -> Suite:
    """Open a suite.

    Args:
        source: a signals folder, or a Hub dataset as `org/name` or `org/name@revision`; without it the
            embedded starter suite, which is synthetic.

    Raises:
        BadSignals: neither, or not a finished suite.

    Example:
        >>> import goodenough as ge
        >>> suite = ge.load_suite()
        >>> suite.tasks
        ('deepfake', 'emotion', 'music-genre')
    """
    return Suite(open_suite(None if source is None else str(source)))
