"""The manifest of a signals folder: its tasks, its references and how their signals were made.

Conventions: as in `types`; `schemas` reads and writes it.
"""

from __future__ import annotations

import dataclasses
import re

from harness.model_facts import ModelFacts
from harness.schemas import ReferenceCounts, RunSettings
from harness.types import STRICT, LabelMap, ModelRef, Skipped


@dataclasses.dataclass(frozen=True)
class CorpusRef:
    """Where a reference's clips came from, and what was done to them."""

    __pydantic_config__ = STRICT

    name: str
    """Hub id, or `local/<folder name>`."""
    revision: str
    """40-hex commit on the Hub; for a folder the sha256 over the waveforms of the clips used."""
    licence: str | None
    """As the corpus states it."""
    n_clips: int
    """Clips used."""
    n_resampled: int
    """Of these, brought to the task's rate."""
    n_mixed: int
    """Of these, averaged to mono."""
    n_cut: int
    """Of these, cut to a centred excerpt of the task's `max_seconds`."""
    n_duplicates: int
    """Clips left out because another one has the same samples."""


@dataclasses.dataclass(frozen=True)
class SetCounts:
    """How many further sets of one kind a search found."""

    __pydantic_config__ = STRICT

    family: str
    """Family of the search."""
    kind: str
    """One of SET_KINDS."""
    most: int
    """Sets of this kind that were looked for in a clip."""
    search: str
    """The search, with its settings."""
    n_sets: int
    """Sets found in all clips."""


@dataclasses.dataclass(frozen=True)
class ReferenceRecord:
    """One reference of a signals folder: who it is and how its signals were made."""

    __pydantic_config__ = STRICT

    task: str
    """Name of the task."""
    model: ModelRef
    """The reference."""
    facts: ModelFacts
    """What it is."""
    label_map: LabelMap
    """How its classes were read."""
    corpus: CorpusRef
    """Where the clips came from."""
    searches: tuple[str, ...]
    """The searches, with their settings."""
    counts: tuple[ReferenceCounts, ...]
    """Signals per family."""
    skipped: tuple[Skipped, ...]
    """Clips without signals."""
    run: RunSettings
    """How it was made."""
    sets: tuple[SetCounts, ...] = ()
    """Further sets that were looked for."""


@dataclasses.dataclass(frozen=True)
class TaskRecord:
    """A task as it stood when the signals were made, so that a user's own travels with them."""

    __pydantic_config__ = STRICT

    name: str
    """Name of the task."""
    labels: dict[str, tuple[str, ...]]
    """Canonical labels and their other spellings."""
    sample_rate_hz: int
    """Rate of every clip."""
    max_seconds: float
    """Longest clip."""
    notes: str
    """Sources and licences."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """`manifest.json` of a signals folder, written last: what is not in it is not there."""

    __pydantic_config__ = STRICT

    protocol: int
    """PROTOCOL at the time."""
    tasks: tuple[TaskRecord, ...]
    """The tasks."""
    references: tuple[ReferenceRecord, ...]
    """One per task and reference."""
    headlines: dict[str, str]
    """The family that ranks, by task (definitions: Lift)."""
    files: dict[str, str]
    """sha256 of every file of clips and signals, by path below the folder."""


def invalid_name(manifest: Manifest) -> str | None:
    """A task, reference or file whose name is no plain path below the folder."""
    tasks = [*(t.name for t in manifest.tasks), *(r.task for r in manifest.references)]
    slugs = [r.model.slug for r in manifest.references]
    plain = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
    invalid = next((name for name in (*tasks, *slugs) if not plain.fullmatch(name)), None)
    plain = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]*(/[A-Za-z0-9_][A-Za-z0-9._@-]*){0,4}")
    return invalid or next((path for path in manifest.files if not plain.fullmatch(path)), None)
