"""Asking the model of an entry again: some verdicts, drawn so that nobody could foresee them, or all.

First the machine is tested: a reference must accept its own signals here, as it did where they were
certified; where it does not, nothing is said about any entry. Then the candidate is asked on the processor,
in the arithmetic and batch size of its entry, through the same path as in an evaluation.

What is drawn are units (`score.units`): a whole clip, a silence, or a signal with its controls and levels, in
the order of the sha256 of the entry, of a base that its maker could not foresee (a commit made after the
entry, a random number), and of the unit. All that the entry has of a unit is compared, so that a control too
many shows as well. A draw deters and does not prove. To lift 400 signals of one family by .05, where 120
clips and 4 references of both families make 920 units, 20 units must be forged: 64 verdicts find that in 13
draws of 100, 256 in 38, 512 in 62 (4,000 simulated draws), and `reproduce` always.

The class names are read off the model itself: an entry that has them in another order is found out.

Public: known_answer, rerun, reproduce, draw, label_map_of, N_DRAWN, N_KNOWN.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.dataset.shards import sha256_of
from harness.dataset.signals import Suite
from harness.documents import Entry
from harness.errors import NotValid
from harness.manifest import ReferenceRecord
from harness.provenance import run_settings
from harness.records import OTHER, PROTOCOL, LabelMap
from harness.score import evaluation, transfer
from harness.score.likeness import copies
from harness.score.scorecard import summarise
from harness.score.units import Unit, units_of
from harness.seeds import generator
from harness.submit import store
from harness.submit.compare import Compared, compare
from harness.submit.differences import differences, likeness_differences
from harness.submit.verification import TOLERANCE, KnownAnswer, Verification, holds
from harness.tasks import Task

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from harness.models import Classifier

N_DRAWN = 64
"""Verdicts that are asked again, at least."""

N_KNOWN = 16
"""Signals that a reference must accept first, at most."""


def known_answer(
    suite: Suite, task: Task, reference: ReferenceRecord, classifier: Classifier
) -> KnownAnswer | None:
    """Ask a reference some of its own signals, as they were published.

    Args:
        suite: whose reference it is.
        task: the task.
        reference: as the suite describes it.
        classifier: the same, loaded.

    Returns:
        That it accepted all of them; None where it has no signal that is not degenerate.

    Raises:
        NotValid: it did not: this machine computes something else than the one they were certified on.
    """
    slug = reference.model.slug
    lines = [line for line in suite.signal_lines(task.name, slug) if not line.degenerate]
    if not lines:
        return None
    order = generator("known answer", task.name, reference.model.weights_sha256).permutation(len(lines))
    asked = [lines[i] for i in order[:N_KNOWN]]
    sounds = [suite.signal(task.name, slug, line.signal_id)[1] for line in asked]
    logits = classifier.logits(sounds, task.sample_rate_hz)
    said = [reference.label_map.canonical[i] for i in logits.argmax(axis=1)]
    n = sum(label == line.expected for label, line in zip(said, asked, strict=True))
    if n < len(asked):
        raise NotValid(
            f"the machine is at fault, not an entry: the reference {reference.model.repo_id} accepts {n} of"
            f" {len(asked)} of its own {task.name} signals here and must accept all; compare the versions of"
            " torch, transformers, numpy, scipy and soxr with those of constraints.txt; nothing was verified"
        )
    return KnownAnswer(reference.model, len(asked), n)


def draw(units: Sequence[Unit], entry_sha256: str, base: str, k: int) -> list[Unit]:
    """Units that hold at least k verdicts, or all where there are fewer.

    Args:
        units: of the suite; their order does not matter.
        entry_sha256: of entry.json.
        base: a commit, or `random:` and a number.
        k: verdicts.

    Returns:
        The units in the order in which they were drawn.
    """

    def lot(unit: Unit) -> str:
        return hashlib.sha256("\0".join((entry_sha256, base, unit.key)).encode()).hexdigest()

    drawn: list[Unit] = []
    n = 0
    for unit in sorted(units, key=lot):
        if n >= k:
            break
        drawn.append(unit)
        n += unit.n_stimuli
    return drawn


def rerun(
    folder: Path,
    suite: Suite,
    classifier: Classifier,
    machine: KnownAnswer | str,
    *,
    base: str,
    k: int = N_DRAWN,
    progress: evaluation.Progress = lambda n, total, live: None,
) -> Verification:
    """Ask the model of an entry some of its verdicts again.

    Args:
        folder: of an entry in which neither `validate` nor `against` finds a problem.
        suite: what it was asked.
        classifier: its model, on the processor, in the arithmetic and batch size of the entry.
        machine: what `known_answer` said, or why it could not be asked, in a sentence.
        base: what the draw depends on beside the entry.
        k: verdicts to ask, at least.
        progress: as of `evaluation.evaluate`.
    """
    started = time.monotonic()
    entry = store.read(folder)
    task = suite.task(entry.task)
    drawn = draw(units_of(suite, task), sha256_of(folder / store.ENTRY), base, k)
    blocks: dict[str | None, list[Unit]] = defaultdict(list)
    for unit in drawn:
        blocks[unit.clip_id].append(unit)
    answers: dict[str, transfer.Answers] = {}
    for answered in transfer.judge(classifier, suite, task, blocks.values()):
        answers.update((unit.content, said) for unit, said in answered)
        progress(len(answered), len(drawn), None)
    table = transfer.verdict_table(drawn, answers, label_map_of(entry, classifier), task)
    # All that the entry has of these units, so that a row too many shows as well as one too few.
    verdicts = store.verdicts(folder)
    keys = {unit.key for unit in drawn}
    theirs = verdicts[[key in keys for key in _unit_keys(verdicts)]].reset_index(drop=True)
    compared = compare(theirs, _frame(table), task, TOLERANCE[entry.run.dtype], whole=True)
    return _verification(folder, entry, classifier, machine, compared, base, None, started)


def reproduce(
    folder: Path,
    suite: Suite,
    classifier: Classifier,
    machine: KnownAnswer | str,
    *,
    out: Path,
    progress: evaluation.Progress = lambda n, total, live: None,
) -> Verification:
    """Ask the model of an entry everything again, and count its scorecard and likeness from the answers.

    Args:
        folder: as for `rerun`.
        suite: as for `rerun`.
        classifier: as for `rerun`.
        machine: as for `rerun`.
        out: folder for the answers, of this entry alone; a run that was cut off continues there.
        progress: as for `rerun`.

    Raises:
        NotValid: the batch size moves the logits of this model.
    """
    started = time.monotonic()
    entry = store.read(folder)
    task = suite.task(entry.task)

    def both(again: Entry, table: pa.Table) -> tuple[Entry, pa.Table]:
        return again, table

    labels = label_map_of(entry, classifier)
    again, table = evaluation.evaluate(classifier, labels, suite, task, out, keep=both, progress=progress)
    tolerance = TOLERANCE[entry.run.dtype]
    compared = compare(store.verdicts(folder), _frame(table), task, tolerance, whole=True)
    unlike = list(likeness_differences(entry.likeness, again.likeness, tolerance))
    card = again.scorecard
    if not unlike and copies(entry.likeness) != copies(again.likeness):
        # A correlation on either side of the bound, and as good as the same: no number is to hang on it.
        references, as_said = entry.references, copies(entry.likeness)
        card = summarise(_frame(table), task, entry.model, references, labels, as_said)
    n_different = len(unlike) + len(list(differences(entry.scorecard, card, "scorecard")))
    return _verification(folder, entry, classifier, machine, compared, None, n_different, started)


def label_map_of(entry: Entry, classifier: Classifier) -> LabelMap:
    """How the entry reads the classes of the model, which are named by the model."""
    read = dict(zip(entry.label_map.names, entry.label_map.canonical, strict=True))
    names = classifier.class_names
    return LabelMap(entry.task, names, tuple(read.get(name, OTHER) for name in names), entry.label_map.source)


def _unit_keys(verdicts: pd.DataFrame) -> list[str]:
    """`Unit.key` of the unit that each verdict belongs to."""
    columns = (verdicts[name] for name in ("stimulus", "signal_id", "clip_id", "n_samples"))
    return [
        f"{stimulus}:{n_samples if stimulus == 'silence' else clip_id}"
        if stimulus in ("silence", "whole")
        else f"signal:{signal_id}"
        for stimulus, signal_id, clip_id, n_samples in zip(*columns, strict=True)
    ]


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def _verification(
    folder: Path,
    entry: Entry,
    classifier: Classifier,
    machine: KnownAnswer | str,
    compared: Compared,
    base: str | None,
    n_scorecard_differences: int | None,
    started: float,
) -> Verification:
    seconds = time.monotonic() - started
    counts = (compared.n_asked, compared.n_same, compared.n_ties)
    return Verification(
        protocol=PROTOCOL,
        kind="reproduced" if base is None else "replayed",
        entry=entry.path,
        entry_sha256=sha256_of(folder / store.ENTRY),
        verdicts_sha256=entry.verdicts_sha256,
        base=base,
        n_asked=compared.n_asked,
        n_same=compared.n_same,
        n_ties=compared.n_ties,
        max_difference=compared.max_difference,
        tolerance=TOLERANCE[entry.run.dtype],
        mismatches=compared.mismatches,
        n_scorecard_differences=n_scorecard_differences,
        known_answer=None if isinstance(machine, str) else machine,
        no_known_answer_because=machine if isinstance(machine, str) else None,
        holds=holds(*counts, n_scorecard_differences),
        run=run_settings(
            classifier.device, classifier.dtype, classifier.batch_size, classifier.frontend, seconds
        ),
    )
