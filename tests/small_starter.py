"""The embedded suite with a few of its clips, and what a model of it says of them; made once in a session."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

from harness import cli
from harness.cli.terminal import open_suite
from harness.dataset import build
from harness.starter import root
from harness.submit import store

TASK = "emotion"
MODELS = root.SUITE / "models"
MODEL = "starter-emotion-wav2vec2"
REFERENCES = ("local/starter-emotion-ast", "local/starter-emotion-whisper")
N_CLIPS = 5
"""Of each class: enough for a lift."""


@cache
def small_suite(base: Path) -> Path:
    """What can stand for `harness.starter.root.SUITE`: two references of one task.

    Args:
        base: folder for temporary files, of all tests of this process.
    """
    suite, place = open_suite(None), base / "small-suite"
    by_label = defaultdict(list)
    for clip in suite.clips(TASK).values():
        by_label[clip.label].append(clip)
    clips = [clip for label in sorted(by_label, key=str) for clip in by_label[label][:N_CLIPS]]
    chosen = {clip.clip_id for clip in clips}
    for record in (r for r in suite.references(TASK) if r.model.repo_id in REFERENCES):
        every = (signal for signal, _ in suite.signals(TASK, record.model.slug))
        some = [signal for signal in every if signal.clip_id in chosen]
        n_signals = Counter(signal.family for signal in some)
        n_degenerate = Counter(signal.family for signal in some if signal.degenerate)
        counts = tuple(
            dataclasses.replace(c, n_signals=n_signals[c.family], n_degenerate=n_degenerate[c.family])
            for c in record.counts
        )
        skipped = tuple(s for s in record.skipped if s.clip_id in chosen)
        part = dataclasses.replace(record, counts=counts, skipped=skipped)
        build.add_reference(place / "signals", suite.task(TASK), part, clips, some, masks_only=True)
    (place / "models").symlink_to(MODELS)
    return place


@cache
def small_entry(base: Path) -> Path:
    """Folder of the entry of one of its models, no reference, on its signals."""
    results = base / "small-results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "SUITE", small_suite(base))
        assert cli.run(["evaluate", str(MODELS / MODEL), "--task", TASK, "--out", str(results)]) == 0
    (folder,) = store.find(results)
    return folder
