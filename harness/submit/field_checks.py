"""How each field of an entry is checked: looked up, counted, or only stated by the submitter.

`FIELDS` has the origin of every field of `Entry`. What is in the checkpoint is compared with the model;
what nobody can look up is always shown as stated by the submitter.

Conventions: as in `entries.validate_facts`, a difference is one line, `where: what was found, what was
expected`.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.entries.record_differences import differences
from harness.entries.untrusted_text import excerpt, one_line
from harness.errors import BadLabels
from harness.labels import harmonise
from harness.model_facts import ModelFacts
from harness.schemas import Entry
from harness.tasks import Task
from harness.types import N_PROVEN, LabelMap

if TYPE_CHECKING:
    from harness.models.checkpoints import Checkpoint
    from harness.models.classifiers import Classifier

CHECKPOINT = "looked up in the checkpoint, and on the Hub"
SUITE = "looked up in the suite"
ROWS = "follows from the verdicts"
RULE = "has one value, whoever states it"
STATED = "stated by the submitter"

_CHECKED_FIELDS = {
    CHECKPOINT: (
        *("model.repo_id", "model.revision", "model.weights_sha256", "run.frontend"),
        *(f"facts.{field.name}" for field in dataclasses.fields(ModelFacts)),
        *("label_map.names", "label_map.canonical"),
    ),
    SUITE: (
        *("task", "signals.repo_id", "signals.revision", "signals.config", "signals.sha256"),
        *("signals.headline", "references", "label_map.task", "run.n_known"),
    ),
    ROWS: ("scorecard", "likeness", "n_verdicts", "verdicts_sha256"),
    RULE: ("protocol", "signals.split", "proof.n", "proof.batch_size", "proof.n_flips", "complete"),
    STATED: (
        *("label_map.source", "run.goodenough", "run.versions", "run.platform", "run.device", "run.dtype"),
        *("run.batch_size", "run.seconds", "run.created", "run.n_asked", "proof.max_logit_difference"),
    ),
}

FIELDS = MappingProxyType({name: origin for origin, names in _CHECKED_FIELDS.items() for name in names})
"""Every field of an entry, and where it is checked. Of `run.n_asked` and `run.n_known` the sum is looked up:
all units of the suite. `run.created` lies between the commit of the model and now. `label_map.canonical` is
read from the names of the model, unless the source is a file: then the map is its maker's word."""

_OF_THE_CARD = ("licence", "trained_on", "base_models")


def model_differences(
    entry: Entry,
    classifier: Classifier,
    checkpoint: Checkpoint | None,
    task: Task,
    commit_time: datetime.datetime | None,
) -> list[str]:
    """Where a valid entry differs from its checkpoint, of which the classifier was opened without its code.

    There is no checkpoint of an adapter, whose facts are all its own. The commit of the model was made at
    `commit_time`, by the Hub; None where it is not known.
    """
    lines = (
        *_facts(entry, classifier.facts, checkpoint),
        *(() if checkpoint is None else _names(entry, checkpoint)),
        *_label_map(entry.label_map, classifier.class_names, task),
        *_run(entry, classifier.frontend),
        *_dates(entry, commit_time),
    )
    return [one_line(line, 300) for line in lines]


def submitter_statements(entry: Entry) -> dict[str, str]:
    """The values that only the submitter states, by field."""
    values: dict[str, str] = {}
    for path in _CHECKED_FIELDS[STATED]:
        value = attrgetter(path)(entry)
        if isinstance(value, dict):
            value = ", ".join(f"{name} {version}" for name, version in value.items())
        values[path] = f"{value:g}" if isinstance(value, float) else str(value)
    if entry.label_map.source == "file":
        pairs = zip(entry.label_map.names, entry.label_map.canonical, strict=True)
        values["label_map.canonical"] = ", ".join(f"{name} = {label}" for name, label in pairs)
    else:
        del values["label_map.source"]
    return values


def _facts(entry: Entry, model_facts: ModelFacts, checkpoint: Checkpoint | None) -> Iterator[str]:
    """The facts; those of a missing model card, or of a Hub that did not answer, are left out."""
    from harness.models.checkpoints import CARD

    expected = model_facts
    if checkpoint is None:
        yield from differences(entry.facts, expected, "facts")
        return
    if not (checkpoint.folder / CARD).is_file():
        expected = dataclasses.replace(expected, **{n: getattr(entry.facts, n) for n in _OF_THE_CARD})
    if model_facts.released is None and not checkpoint.ref.repo_id.startswith("local/"):
        expected = dataclasses.replace(expected, released=entry.facts.released)  # the Hub did not answer
    yield from differences(entry.facts, expected, "facts")


def _names(entry: Entry, checkpoint: Checkpoint) -> Iterator[str]:
    """Compare the names of Hub models; a local folder may have any name."""
    if not entry.model.repo_id.startswith("local/"):
        yield from differences(entry.model.repo_id, checkpoint.ref.repo_id, "model.repo_id")


def _label_map(entry_map: LabelMap, class_names: tuple[str, ...], task: Task) -> Iterator[str]:
    if entry_map.names != class_names:
        texts = (excerpt(", ".join(names), 120) for names in (entry_map.names, class_names))
        yield f"label_map.names: {', expected '.join(texts)}, the classes of the model in their order"
    elif entry_map.source == "names":
        try:
            harmonise(class_names, task)
        except BadLabels as error:
            yield f"label_map.source: 'names', expected a reviewed map: {error}"


def _run(entry: Entry, frontend: str) -> Iterator[str]:
    # The library in brackets may differ between machines, the extractor may not.
    names = [name.partition(" (")[0] for name in (entry.run.frontend, frontend)]
    yield from differences(names[0], names[1], "run.frontend")
    if entry.proof.n != N_PROVEN:
        yield f"proof.n: {entry.proof.n}, expected {N_PROVEN}, as many as are scored both ways"


def _dates(entry: Entry, commit_time: datetime.datetime | None) -> Iterator[str]:
    """A model is asked after its commit was made."""
    if commit_time is None:
        return
    earliest = f"{commit_time.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    if entry.run.created < earliest:
        yield (
            f"run.created: {entry.run.created}, expected {earliest} or later,"
            " when the model's commit was made"
        )
