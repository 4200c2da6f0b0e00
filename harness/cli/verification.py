"""The parts of `goodenough verify`: finding the suite and model of an entry, and testing the machine.

Only weights are loaded: models are opened without code of their own, on the CPU.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import info, print_json, source_of, starter_checkpoint
from harness.entries.untrusted_text import excerpt, one_line
from harness.errors import BadInput, BadModel, BadSignals, NotValid
from harness.plurals import plural
from harness.progress import waiting
from harness.starter.paths import open_suite

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.entries.held_back import HeldBack
    from harness.entries.verification import KnownAnswer, Mismatch, Verification
    from harness.manifest import ReferenceRecord
    from harness.models.checkpoints import Checkpoint
    from harness.models.classifiers import Classifier
    from harness.models.external.pinned import PinnedAdapter
    from harness.models.loading import ModelSource
    from harness.schemas import Entry
    from harness.tasks import Task
    from harness.types import ModelRef

_MAX_BATCH = 64
"""Largest batch size taken from an entry, so that an entry cannot exhaust the memory."""


class Unavailable(BadInput):
    """A model or signals that only the submitter has, or code that is not run here."""


@dataclass(frozen=True)
class Outcome:
    """The result of verifying one entry."""

    path: str
    """Its folder, as on the command line."""
    verification: Verification | None = None
    """The record, if the model was run."""
    problems: tuple[str, ...] = ()
    """What is wrong with the entry; empty if it is valid."""
    refusal: str | None = None
    """Why it could not be verified, in a line."""
    possible: bool = True
    """False if only its submitter has the model or the signals."""
    held_back: HeldBack | None = None
    """Its lift on held-back signals, if they were given."""
    stated: Mapping[str, str] = field(default_factory=dict)
    """What only the submitter states, by field."""

    @property
    def holds(self) -> bool | None:
        """Whether the verdicts do; None where the model was not run."""
        return None if self.verification is None else self.verification.holds


@dataclass
class VerificationSession:
    """The models and signals of a run of `verify`, opened once for all entries."""

    models: tuple[Checkpoint, ...]
    """Candidates that are local folders."""
    references: tuple[Checkpoint, ...]
    """References that are local folders."""
    signals: Suite | None
    """A suite that was named."""
    adapter: PinnedAdapter | None = None
    """The candidate, if it is an adapter; its code runs because its user named it."""
    unreadable: tuple[str, ...] = ()
    """Why some named candidates cannot be read; it affects only their entries."""
    _suites: dict[str | None, Suite] = field(default_factory=dict)
    _machines: dict[str, KnownAnswer | str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        models: Sequence[str],
        references: Sequence[str],
        signals: str | None,
        adapter: PinnedAdapter | None = None,
    ) -> VerificationSession:
        """Open what the user named.

        Raises:
            BadInput: there is nothing of a name; or a reference or the signals cannot be read.
        """
        from harness.models import checkpoints

        readable, unreadable = [], []
        for folder in models:
            try:
                readable.append(checkpoints.resolve(folder))
            except BadModel as error:
                if not Path(folder).is_dir():
                    raise
                unreadable.append(str(error))
        reference_checkpoints = tuple(map(checkpoints.resolve, references))
        suite = None if signals is None else open_suite(signals)
        return cls(tuple(readable), reference_checkpoints, suite, adapter, tuple(unreadable))

    def problems(self, folder: Path) -> tuple[str, ...]:
        """What is wrong with an entry before any model is asked."""
        from harness.entries import store, validate_facts
        from harness.entries.validate import validate_entry
        from harness.tasks import TASKS

        suite_tasks = self.signals.tasks if self.signals else ()
        tasks = {task.name: task for task in (*suite_tasks, *TASKS.values())}
        lines = validate_entry(folder, list(tasks.values()), strict_files=False)
        return tuple(lines or validate_facts.ahead(store.read(folder)))

    def suite_of(self, entry: Entry) -> Suite:
        """The suite of an entry.

        Raises:
            Unavailable: a local folder that was not named.
            BadSignals: it cannot be loaded, or holds other signals now.
        """
        repo_id, suite_option = entry.signals.repo_id, self.signals
        if suite_option is not None and _has_signals(suite_option, entry):
            return suite_option
        if repo_id.startswith("local/"):
            if suite_option is not None:
                raise BadSignals(
                    f"{suite_option.name} does not hold the signals of this entry, which are of {repo_id}"
                )
            raise Unavailable(f"its signals are a local folder; give it with --signals path/to/{repo_id[6:]}")
        source = None if repo_id.startswith("embedded/") else f"{repo_id}@{entry.signals.revision}"
        suite = self._suites[source] = self._suites.get(source) or open_suite(source)
        if not _has_signals(suite, entry):
            raise BadSignals(
                f"{suite.name} holds other signals of {entry.task} than those of this entry"
                f" ({entry.signals.sha256[:12]}); verify it with the version of goodenough that made it, or"
                " with --signals SOURCE"
            )
        return suite

    def source_of(self, entry: Entry) -> ModelSource:
        """The model of an entry.

        Raises:
            Unavailable: a local folder or adapter that was not named, or a model with code of its own.
            BadModel: it cannot be loaded, or is another one.
        """
        from harness.models.checkpoints import brings_code

        if entry.facts.adapter is not None:
            return self._adapter_of(entry, entry.facts.adapter.name)
        code = Unavailable("its model comes with code of its own, which is not run here")
        try:
            checkpoint = self._checkpoint_of(entry)
        except BadModel:
            # With its code a folder is another revision than without.
            if entry.facts.remote_code and entry.model.repo_id.startswith("local/"):
                raise code from None
            raise
        if entry.facts.remote_code and brings_code(checkpoint):
            raise code
        return checkpoint

    def _adapter_of(self, entry: Entry, name: str) -> PinnedAdapter:
        adapter = self.adapter
        if adapter is None:
            raise Unavailable(
                f"its model is an adapter, {excerpt(name, 60)}: code that is run only where its user names"
                " it; read it, then give it with --adapter path/to/file.py:Class"
            )
        if adapter.ref.revision != entry.model.revision:
            raise BadModel(
                f"{adapter.name} is not the adapter of this entry: revision {adapter.ref.revision[:12]},"
                f" expected {entry.model.revision[:12]}; what differs: {_adapter_differences(adapter, entry)}"
            )
        return adapter

    def _checkpoint_of(self, entry: Entry) -> Checkpoint:
        from harness.models import checkpoints

        model = entry.model
        if not model.repo_id.startswith("local/"):
            return _require_same(checkpoints.resolve(model.repo_id, model.revision), entry)
        name = model.repo_id.removeprefix("local/")
        starter = starter_checkpoint(name)
        matches = [c for c in self.models if _is_source(c, model)]
        namesakes = [c for c in self.models if c.ref.repo_id == model.repo_id]
        if exact := [c for c in namesakes if c in matches]:
            return exact[0]
        if starter and not namesakes and _is_source(starter, model):
            return starter
        single = self.models if len(self.models) + len(self.unreadable) == 1 else ()
        for checkpoint in (*matches, *namesakes, *single, *([starter] if starter else [])):
            return _require_same(checkpoint, entry)
        if self.unreadable:
            raise BadModel(self.unreadable[0])
        raise Unavailable(f"its model is a local folder; give it with --model path/to/{name}")

    def open(self, source: ModelSource, entry: Entry) -> Classifier:
        """The model of an entry, on the CPU, in the arithmetic and batch size of the entry."""
        from harness.models import loading

        batch_size = min(entry.run.batch_size, _MAX_BATCH)
        return loading.open_model(source, device="cpu", batch_size=batch_size, dtype=entry.run.dtype)

    def machine(self, suite: Suite, task: Task, candidate: ModelSource) -> KnownAnswer | str:
        """The known answer of this machine, once for each task; or why there is none.

        Raises:
            NotValid: it is wrong.
        """
        key = suite.ref(task.name).sha256
        if key not in self._machines:
            answer = self._machines[key] = self._test_machine(suite, task, candidate)
            if isinstance(answer, str):
                info(f"{task.name}: this machine is not tested: {answer} Name one with --reference FOLDER.")
        return self._machines[key]

    def _test_machine(self, suite: Suite, task: Task, candidate: ModelSource) -> KnownAnswer | str:
        from harness.models import loading
        from harness.submit.replay import known_answer

        def is_candidate(reference: ReferenceRecord) -> bool:
            return _is_source(candidate, reference.model)

        def rank(reference: ReferenceRecord) -> tuple[bool, bool, float]:
            is_remote = not reference.model.repo_id.startswith("local/")
            size = reference.facts.n_parameters
            return not is_candidate(reference), is_remote, math.inf if size is None else size

        references = suite.references(task.name)
        for reference in sorted(references, key=rank):
            model = reference.model
            try:
                source = candidate
                if not is_candidate(reference):
                    source = source_of(model, self.references, suite, "--reference")
                if not _is_source(source, model):
                    continue
                classifier = loading.open_model(source, device="cpu")
            except BadInput:
                continue
            with waiting(f"{task.name}: testing this machine with {model.repo_id}"):
                answer = known_answer(suite, task, reference, classifier)
            if answer:
                return answer
        return f"Of {plural(len(references), 'reference')} of the suite none could be loaded here."


def base_of(folder: Path) -> str | None:
    """The commit checked out in the work tree around a folder; None outside of one or before the first."""
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit) else None


def finish(outcomes: Sequence[Outcome], *, if_possible: bool, as_json: bool) -> None:
    """Print the outcomes, and raise for the exit code.

    Raises:
        NotValid: some do not hold, or are not valid.
        BadInput: some could not be verified.
    """
    if as_json:
        print_json({"entries": [{**vars(outcome), "holds": outcome.holds} for outcome in outcomes]})
    else:
        for outcome in outcomes:
            for line in _lines(outcome):
                click.echo(line)
    n = len(outcomes)
    failures = [o for o in outcomes if o.problems or o.holds is False]
    refusals = [o for o in outcomes if o.refusal and not (if_possible and not o.possible)]
    n_left = sum(o.refusal is not None for o in outcomes)
    if failures:
        raise NotValid(f"{len(failures)} of {n} entries do not hold: {failures[0].path}")
    if refusals:
        raise BadInput(
            f"{len(refusals)} of {n} entries could not be verified: {refusals[0].path}: {refusals[0].refusal}"
        )
    rest = f", {n_left} cannot be verified here" if n_left else ""
    info(f"{n - n_left} of {n} entries hold{rest}")


def _lines(outcome: Outcome) -> list[str]:
    """An outcome in lines that are fit for a terminal, whatever an entry says."""
    from harness.submit.field_checks import STATED
    from leaderboard import formatting

    if outcome.refusal is not None:
        return [one_line(f"{outcome.path}: not verified: {outcome.refusal}")]
    if outcome.verification is None:
        return [one_line(f"{outcome.path}: {problem}") for problem in outcome.problems]
    v = outcome.verification
    ties = f", {v.n_ties} of them ties" if v.n_ties else ""
    if v.n_ties_for + v.n_ties_against:
        ties += f" ({v.n_ties_for} raise the lift, {v.n_ties_against} lower it)"
    n = v.n_scorecard_differences
    numbers = f"; {plural(n, 'differing number')}" if n else ""
    answer = v.known_answer
    answer_text = f"{answer.n_accepted} of {answer.n} by {answer.reference.repo_id}" if answer else "none"
    head = (
        f"{'holds' if v.holds else 'does not hold'}: {v.kind}, {v.n_same} of {v.n_asked} verdicts the same"
        f"{ties}, largest difference {v.max_difference:.2g}{numbers}; known answer: {answer_text}"
    )
    lines = [head, *v.differing, *map(_mismatch, v.mismatches)]
    if (held_back := outcome.held_back) is not None:
        rates = (held_back.lift, held_back.held_back_lift, held_back.difference)
        lift, private_lift, difference = (formatting.format_estimate(rate, "difference") for rate in rates)
        lines.append(f"held-back lift {private_lift}; public lift {lift}; difference {difference}")
    if outcome.stated:
        lines.append(f"{STATED}: {'; '.join(f'{name} {value}' for name, value in outcome.stated.items())}")
    return [one_line(f"{outcome.path}: {line}") for line in lines]


def _mismatch(mismatch: Mismatch) -> str:
    subject = mismatch.signal_id or mismatch.clip_id or plural(mismatch.n_samples, "sample")
    level = "" if mismatch.level is None else f", level {mismatch.level}"
    replicate = "" if mismatch.replicate is None else f" {mismatch.replicate}"
    values = (mismatch.found, mismatch.expected)
    actual, expected = ("no verdict" if value is None else repr(value) for value in values)
    stimulus = f"{mismatch.stimulus}{replicate} of {subject}{level}"
    return f"{stimulus}: {mismatch.column} is {actual}, expected {expected}"


def _has_signals(suite: Suite, entry: Entry) -> bool:
    return suite.has_task(entry.task) and suite.ref(entry.task).sha256 == entry.signals.sha256


def _is_source(source: ModelSource, model: ModelRef) -> bool:
    ref = source.ref
    return (ref.revision, ref.weights_sha256) == (model.revision, model.weights_sha256)


def _require_same(checkpoint: Checkpoint, entry: Entry) -> Checkpoint:
    """The checkpoint, if it is the model of the entry."""
    ref, model = checkpoint.ref, entry.model
    if _is_source(checkpoint, model):
        return checkpoint
    part = "weights" if ref.weights_sha256 != model.weights_sha256 else "config or preprocessor"
    raise BadModel(
        f"{ref.repo_id} is not the model of this entry: other {part} (revision {ref.revision[:12]},"
        f" expected {model.revision[:12]}); was it trained or saved again since?"
    )


def _adapter_differences(adapter: PinnedAdapter, entry: Entry) -> str:
    """The fields of two adapters that differ."""
    expected = entry.facts.adapter
    names = [field.name for field in fields(adapter.facts)]
    return ", ".join(n for n in names if getattr(adapter.facts, n) != getattr(expected, n, None))
