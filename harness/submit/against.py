"""An entry held against the suite it names: was everything asked, and nothing else?

`validate` can only count what an entry brings. Who leaves out the signals it rejects, or a whole reference,
brings a sound entry of another question: that shows here.

Public: problems.
"""

from __future__ import annotations

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
    answered = set(zip(asked["signal_id"], asked["expected"], strict=True))
    if missing := suite.judged(entry.task) - answered:
        found.append(f"verdicts: none on {len(missing)} signals of the suite, as {min(missing)[0]}")
    if foreign := answered - suite.judged(entry.task):
        found.append(f"verdicts: {len(foreign)} on signals that the suite has not, as {min(foreign)[0]}")
    whole = verdicts[verdicts["stimulus"] == "whole"]
    heard = {
        (str(clip_id), truth if isinstance(truth, str) else None, int(n_samples))
        for clip_id, truth, n_samples in zip(
            whole["clip_id"], whole["truth"], whole["n_samples"], strict=True
        )
    }
    clips = {(c.clip_id, c.label, len(c.waveform)) for c in suite.clips(entry.task).values()}
    if wrong := sorted({clip_id for clip_id, *_ in heard ^ clips}):
        found.append(f"verdicts: {len(wrong)} whole clips are not those of the suite, as {wrong[0]}")
    return found
