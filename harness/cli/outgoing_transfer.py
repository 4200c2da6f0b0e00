"""The other direction of `goodenough evaluate`: the candidate's own signals, judged by the references.

Public: outgoing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.cached_evaluation import evaluate_cached
from harness.cli.common import info
from harness.dataset.paths import OUTGOING
from harness.plurals import plural
from harness.progress import progress_bar

if TYPE_CHECKING:
    from harness.cli.backends import Backend
    from harness.cli.common import ModelOptions
    from harness.dataset.corpora import Corpus
    from harness.dataset.suites import Suite
    from harness.models.checkpoints import Checkpoint
    from harness.models.classifiers import Classifier
    from harness.schemas import Cell
    from harness.tasks import Task
    from harness.types import Clip, LabelMap

_QUERIES = {"minimal": 250, "gradient": 250, "responsibility": 1420}
"""Queries a clip, about: the mean over the starter suite, of `responsibility` at its usual settings."""

_PILOT = 8
"""Clips whose time is measured for the estimate."""


def outgoing(
    classifier: Classifier,
    labels: LabelMap,
    suite: Suite,
    task: Task,
    judges: Sequence[Checkpoint],
    search: str,
    folder: Path,
    opening: ModelOptions,
    backend: Backend,
) -> dict[str, Cell]:
    """Extract the candidate's signals from the clips of a suite and let the references judge them.

    Everything is written below `folder`, a signals folder; a run that was cut off continues there.

    Args:
        classifier: the candidate.
        labels: how its classes are read.
        suite: whose clips, and whose references.
        task: the task.
        judges: the references.
        search: name of the search.
        folder: the signals folder.
        opening: how models are opened.
        backend: opens and runs models.

    Returns:
        By repo_id of a reference: its rates on the candidate's signals.
    """
    from harness.dataset.suites import load
    from harness.entries import store
    from harness.extract import SEARCHES, build_reference

    clips = list(suite.clips(task.name).values())
    info(_estimate(classifier, clips, search))
    with progress_bar(f"{task.name}: own signals", len(clips), "queries") as step:
        corpus, searches = _corpus(suite, clips), [SEARCHES[search]]
        build_reference.add(
            *(classifier, labels, task, corpus, searches, folder),
            masks_only=True,
            engine=backend.extract,
            progress=step,
        )
    own_suite = load(str(folder))
    entry_folders = [
        evaluate_cached(judge, own_suite, task, folder / "verdicts", None, opening, backend)
        for judge in judges
    ]
    entries = [store.read(entry_folder) for entry_folder in entry_folders]
    cells = {entry.model.repo_id: entry.scorecard.families[0].cells[0] for entry in entries}
    _write(folder / OUTGOING, cells)
    return cells


def _estimate(classifier: Classifier, clips: Sequence[Clip], search: str) -> str:
    pilot = clips[:_PILOT]
    classifier.logits([pilot[0].waveform], pilot[0].sample_rate_hz)
    start_time = time.monotonic()
    classifier.logits([clip.waveform for clip in pilot], pilot[0].sample_rate_hz)
    seconds = (time.monotonic() - start_time) / len(pilot) * _QUERIES[search] * len(clips)
    duration = f"{seconds / 60:.0f} min" if seconds > 120 else f"{seconds:.0f} s"
    return (
        f"Own signals: {plural(len(clips), 'clip')} at about {_QUERIES[search]} queries each, about"
        f" {duration} on this device; models differ."
    )


def _corpus(suite: Suite, clips: Sequence[Clip]) -> Corpus:
    from harness.dataset.corpora import Corpus, Row

    def row(clip: Clip) -> Row:
        return Row(clip.clip_id, clip.label, lambda: (clip.waveform, clip.sample_rate_hz, 1))

    return Corpus(suite.name, suite.commit, None, [row(clip) for clip in clips])


def _write(path: Path, cells: dict[str, Cell]) -> None:
    from harness.journal import replace_file
    from harness.schemas import to_json

    content = {name: json.loads(to_json(cell)) for name, cell in cells.items()}
    replace_file(path, (json.dumps(content, indent=2) + "\n").encode())
