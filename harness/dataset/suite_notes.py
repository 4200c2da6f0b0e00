"""What every page, scorecard and export says of the suite it is about: the limits of the starter suite.

Conventions: a note is about one task of a suite; None is for clips and models that need none. A page about
several tasks has each note once, with the tasks it is of (`joined`).
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.types import DatasetRef

if TYPE_CHECKING:
    from harness.dataset.suites import Suite

SYNTHETIC = "Synthetic clips: they say nothing about real recordings or about models of these architectures."
"""Of a task with synthetic clips, and models that were trained on such."""

SMALL_MODELS = (
    "Real voices, small models: trained for this suite, they say nothing about full-size models of these"
    " architectures or about current deepfakes."
)
"""Of a task with recordings of voices, and small models that were trained for it."""

EMBEDDED = "embedded/starter"
"""Name of the suite that comes with the package."""

_NOTES = MappingProxyType({"starter": SYNTHETIC, "asterisk-core-sounds": SMALL_MODELS})
"""By name of a corpus that `harness.starter` makes."""

_RECORDED_TASK = "deepfake"
"""The task of the embedded suite that has recordings, but for the signals below."""

_SYNTHETIC_SIGNALS = frozenset(
    {
        "f6409bf6b5a9f1c37bac3c448e841ff7aeb52a539ca4ad81f26c222b97898f4a",
        "d468367259b26cc2d96146f505bb5d1101bad9854af06fc35c1a069b9b9f0150",
        "a3957c5da5c768c446092f568f6d15e0bd3c76538f2a1e8514c7bcab7aa32e30",
    }
)
"""Of that task, as long as its clips were synthetic, too: sha256 of the signals."""


def note_of_task(suite: Suite, task: str) -> str | None:
    """The note of a task, by the corpora of its references; in doubt the embedded suite is synthetic."""
    notes = {_NOTES.get(reference.corpus.name) for reference in suite.references(task)}
    if len(notes) == 1 and None not in notes:
        return notes.pop()
    return SYNTHETIC if suite.name == EMBEDDED else None


def note_of_signals(signals: DatasetRef, suite: Suite | None = None) -> str | None:
    """The note of the signals that an entry answered.

    Those of the suite are known by their sha256. Of others of its name it is not known where the clips come
    from, except in the embedded suite, every version of which is known by task and sha256.
    """
    task = signals.config
    is_named = suite is not None and signals.repo_id == suite.name and suite.has_task(task)
    if suite is not None and is_named and signals.sha256 == suite.ref(task).sha256:
        return note_of_task(suite, task)
    if signals.repo_id != EMBEDDED:
        return None
    is_recorded = task == _RECORDED_TASK and signals.sha256 not in _SYNTHETIC_SIGNALS
    return SMALL_MODELS if is_recorded else SYNTHETIC


def joined(notes: Iterable[tuple[str, str | None]]) -> str | None:
    """The notes of several tasks as one text: `a, b: Synthetic ... c: Real voices ...`.

    Args:
        notes: task and note, the current one of a task before those of its other signals.
    """
    current: dict[str, str | None] = {}
    labels: dict[str | None, dict[str, None]] = {}
    for task, note in notes:
        is_current = current.setdefault(task, note) == note
        labels.setdefault(note, {})[task if is_current else f"{task} on other signals"] = None
    if len(labels) == 1:
        return next(iter(labels))
    texts = [f"{', '.join(of_note)}: {note}" for note, of_note in labels.items() if note is not None]
    return " ".join(texts) or None


def heading(note: str) -> str:
    """The first words of a note, where there is no room for more."""
    first = note.partition(":")[0]
    return first[0].lower() + first[1:]
