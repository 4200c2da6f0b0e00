"""A suite, to explore in a notebook and to evaluate models on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness import notebook
from harness.api.signals import Player, Signal
from harness.dataset import suites
from harness.errors import BadInput, likely
from harness.plurals import plural
from harness.schemas import Entry
from harness.starter.paths import open_suite


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

    def families(self, task: str) -> tuple[str, ...]:
        """The families of the signals of a task, the headline first, as `responsibility@bands32`.

        Raises:
            BadSignals: it has no such task.
        """
        return self._open.families(self._open.task(task).name)

    def family(self, task: str, name: str | None = None) -> str:
        """A family of a task by name; without one the headline.

        Raises:
            BadSignals: it has no such task.
            BadInput: it has no such family.
        """
        families = self.families(task)
        if name is not None and name not in families:
            hint = likely(name, families)
            raise BadInput(f"no such family: {name!r}; expected one of {', '.join(families)}{hint}")
        return families[0] if name is None else name

    def signals(self, task: str, reference: str, family: str | None = None) -> list[Signal]:
        """The signals of a reference, degenerate ones left out.

        Args:
            task: name of a task.
            reference: its Hub id, or the part behind the slash.
            family: one of `families`; None for the headline.

        Raises:
            BadInput: it has no such task, reference or family.

        Examples:
            >>> suite.signals("emotion", "starter-emotion-ast")[0]
            Signal(...)
        """
        name = self._open.task(task).name
        by_name = {record.model.repo_id: record.model for record in self._open.references(name)}
        by_name |= {repo_id.split("/")[-1]: model for repo_id, model in by_name.items()}
        if reference not in by_name:
            known = ", ".join(self.references(name))
            raise BadInput(f"{self._open.name} has no reference {reference!r} for {name}; it has: {known}")
        family = self.family(name, family)
        return [
            Signal(record, waveform, self._open.clip(name, record.clip_id).waveform)
            for record, waveform in self._open.signals(name, by_name[reference].slug)
            if record.family == family and not record.degenerate
        ]

    def controls(self, task: str, signal: Signal) -> dict[str, Player]:
        """The first `swap` and the first `matched` control of a signal; it may have neither.

        Args:
            task: name of a task.
            signal: one of its signals.

        Raises:
            BadInput: it has no such task, or no such clip.

        Examples:
            >>> signal = suite.signals("emotion", "starter-emotion-ast")[0]
            >>> list(suite.controls("emotion", signal))
            ['swap', 'matched']
        """
        from harness.evaluation import stimuli
        from leaderboard.reports import audio_examples

        name, record = self._open.task(task).name, signal.record
        others = [*audio_examples.other_clips(self._open, name, [record.signal_id]).values()]
        clip = self._open.clip(name, record.clip_id)
        waveforms = {kind: stimuli.control(record, clip, others, kind) for kind in audio_examples.CONTROLS}
        return {
            kind: Player(waveform, record.sample_rate_hz)
            for kind, waveform in waveforms.items()
            if waveform is not None
        }

    def verdicts(self, task: str) -> pd.DataFrame:
        """What its references answered: `model`, then the columns of `verdicts.parquet`.

        Args:
            task: name of a task.

        Raises:
            BadInput: it has no such task, or no verdicts of its references that can be read.

        Examples:
            >>> verdicts = suite.verdicts("emotion")
            >>> is_minimal = verdicts["family"] == "minimal@bins"
            >>> signals = verdicts[(verdicts["stimulus"] == "signal") & is_minimal]
            >>> (signals["predicted"] == signals["expected"]).groupby(signals["model"]).mean()
            model
            ...
        """
        frames = [
            rows.assign(model=entry.model.repo_id)[["model", *rows]] for entry, rows in self._answered(task)
        ]
        return pd.concat(frames, ignore_index=True)

    def _answered(self, task: str) -> list[tuple[Entry, pd.DataFrame]]:
        """The entries of its references with their verdicts; at least one."""
        from harness.entries import store
        from leaderboard.board import entries

        name = self._open.task(task).name
        answered = [(e, store.verdicts(folder)) for folder, e in entries.references_of(self._open, name)]
        if not answered:
            raise BadInput(
                f"{self._open.name} holds no verdicts of its references on {name}; make them with:"
                " goodenough study SUITE"
            )
        return answered

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
            embedded starter suite.

    Raises:
        BadSignals: neither, or not a finished suite.

    Examples:
        >>> import goodenough as ge
        >>> suite = ge.load_suite()
        >>> suite.tasks
        ('deepfake', 'emotion', 'music-genre')
    """
    return Suite(open_suite(None if source is None else str(source)))
