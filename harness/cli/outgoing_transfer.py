"""The other direction of `goodenough evaluate`: the candidate's own signals, judged by the references."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.backends import PinnedModel
from harness.cli.cached_evaluation import evaluate_cached
from harness.cli.common import info, source_of
from harness.cli.options import ModelOptions
from harness.cli.selection import require_references
from harness.dataset.paths import OUTGOING, VERDICTS
from harness.plurals import plural
from harness.progress import duration, progress_bar

if TYPE_CHECKING:
    from harness.dataset.corpora import Corpus
    from harness.dataset.suites import Suite
    from harness.models.classifiers import Classifier
    from harness.models.loading import ModelSource
    from harness.schemas import Cell
    from harness.tasks import Task
    from harness.types import LabelMap, Waveform

_OF_MINIMAL = 250
"""Queries a clip of a minimal search, about: the mean over the starter suite is 236 (1,458 signals)."""

_PILOT = 8
"""Clips whose time is measured for the estimate."""


def judges_of(
    suite: Suite, tasks: Sequence[Task], given: Sequence[str], opening: ModelOptions
) -> dict[str, list[ModelSource]]:
    """The references of each task, resolved before anything is computed; local ones are among those given."""
    sources = [opening.resolve(name) for name in given]
    models = {task.name: [record.model for record in suite.references(task.name)] for task in tasks}
    require_references(sources, [ref for refs in models.values() for ref in refs], suite.name)
    return {
        task: [source_of(ref, sources, suite, "--reference") for ref in refs] for task, refs in models.items()
    }


def outgoing(
    candidate: PinnedModel,
    labels: LabelMap,
    suite: Suite,
    task: Task,
    judges: Sequence[ModelSource],
    search: str,
    out: Path,
) -> dict[str, Cell]:
    """Extract the candidate's signals from the clips of a suite and let the other references judge them.

    Everything is written to a signals folder below `out`; a run that was cut off continues there.

    Returns:
        By repo_id of a reference: its rates on the candidate's signals.
    """
    from harness.dataset.suites import load
    from harness.entries import store
    from harness.extract import build_reference, named
    from harness.journal import replace_file
    from harness.schemas import entry_path

    ref = candidate.source.ref
    folder = out / ".own" / f"{entry_path(ref, task.name, suite.ref(task.name).sha256)}-{search}"
    corpus, searches = _corpus(suite, task), [named(search)]
    info(_estimate(candidate.classifier, corpus, task, search))
    with progress_bar(f"{task.name}: own signals", len(corpus), "queries") as step:
        build_reference.add(
            *(candidate.classifier, labels, task, corpus, searches, folder),
            masks_only=True,
            engine=candidate.backend.extract,
            progress=step,
        )
    own_suite, cells = load(str(folder)), {}
    for judge in judges:
        if judge.ref.weights_sha256 != ref.weights_sha256:
            model = PinnedModel(judge, candidate.opening, candidate.backend)
            entry = store.read(evaluate_cached(model, own_suite, task, folder / VERDICTS, None))
            cells[entry.model.repo_id] = entry.scorecard.families[0].cells[0]
    content = json.dumps(cells, default=asdict, indent=2) + "\n"
    replace_file(folder / OUTGOING, content.encode())
    info(f"its own signals and the verdicts on them: {folder}")
    return cells


def _estimate(classifier: Classifier, corpus: Corpus, task: Task, search: str) -> str:
    from harness.families import MINIMAL, family_of_search, kind_of
    from harness.recipes.cost import queries_of

    pilot = list(islice(corpus.clips(task), _PILOT))
    classifier.logits([pilot[0].waveform], pilot[0].sample_rate_hz)
    start_time = time.monotonic()
    classifier.logits([clip.waveform for clip in pilot], pilot[0].sample_rate_hz)
    is_minimal = kind_of(family_of_search(search)) == MINIMAL
    n_queries = _OF_MINIMAL if is_minimal else round(queries_of(search).likely)
    seconds = (time.monotonic() - start_time) / len(pilot) * n_queries * len(corpus)
    return (
        f"Own signals: {plural(len(corpus), 'clip')} at about {plural(n_queries, 'query')} each,"
        f" about {duration(seconds)} on this device; models differ."
    )


def _corpus(suite: Suite, task: Task) -> Corpus:
    """The clips of a suite, each read when it is asked for."""
    from harness.dataset.corpora import Corpus, Row

    def decode(clip_id: str) -> tuple[Waveform, int, int]:
        clip = suite.clip(task.name, clip_id)
        return clip.waveform, clip.sample_rate_hz, 1

    rows = [Row(c.clip_id, c.label, partial(decode, c.clip_id)) for c in suite.clip_lines(task.name)]
    return Corpus(suite.name, suite.commit, None, rows)
