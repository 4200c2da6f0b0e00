"""An entry held against the suite it names: was everything asked, and nothing else?

`validate` can only count what an entry brings. Who leaves out the signals it rejects, or a whole reference,
brings a sound entry of another question: that shows here.

Public: problems.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.dataset.signals import Suite
from harness.submit import store


def problems(folder: Path, suite: Suite) -> list[str]:
    """What differs between a valid entry and a suite; empty when it answers the suite.

    Args:
        folder: of an entry in which `validate.problems` found nothing.
        suite: what it should have been asked.
    """
    entry, verdicts = store.read(folder), store.verdicts(folder)
    if entry.task not in [task.name for task in suite.tasks]:
        return [f"task: {entry.task}, expected one of {suite.name}"]
    wanted = suite.ref(entry.task)
    if entry.signals.sha256 != wanted.sha256:
        return [f"signals.sha256: {entry.signals.sha256[:12]}, expected {wanted.sha256[:12]} of {suite.name}"]
    found = []
    if entry.references != suite.counts(entry.task):
        found.append("references: not those of the suite, or with other numbers of signals")
    asked = verdicts[verdicts["stimulus"] == "signal"]
    levels = asked["level"].fillna(0).astype(int)
    answered = set(zip(asked["signal_id"], levels, asked["expected"], strict=True))
    due = suite.judged(entry.task)
    found += [f"verdicts: none on {some} of the suite, as {one}" for some, one in _told(due - answered)]
    found += [
        f"verdicts: some on {some} that the suite has not, as {one}" for some, one in _told(answered - due)
    ]
    whole = verdicts[verdicts["stimulus"] == "whole"]
    heard = {
        (str(clip_id), truth if isinstance(truth, str) else None, int(n_samples))
        for clip_id, truth, n_samples in zip(
            whole["clip_id"], whole["truth"], whole["n_samples"], strict=True
        )
    }
    clips = {(line.clip_id, line.label, line.n_samples) for line in suite.clip_lines(entry.task)}
    if wrong := sorted({clip_id for clip_id, *_ in heard ^ clips}):
        found.append(f"verdicts: {len(wrong)} whole clips are not those of the suite, as {wrong[0]}")
    return found


def _told(rows: set[tuple[str, int, str]]) -> Iterator[tuple[str, str]]:
    """How many signals, and how many whose level 0 is not among the rows, each with the first of them."""
    signals = {signal_id for signal_id, level, _ in rows if level == 0}
    nested = sorted({(signal_id, level) for signal_id, level, _ in rows if signal_id not in signals})
    if signals:
        yield f"{len(signals)} signals", min(signals)
    if nested:
        n = len({signal_id for signal_id, _ in nested})
        yield f"levels of {n} signals", f"{nested[0][0]} at level {nested[0][1]}"
