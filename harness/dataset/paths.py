"""Where things lie in a signals folder, built here or downloaded.

    <root>/<task>/<org>__<model>.parquet    signals of one reference, both families
    <root>/<task>_clips/clips.parquet       the clips they are parts of
    <root>/<task>_sets/<org>__<model>.parquet   further sets of bins, where they were asked for
    <root>/verdicts/<entry path>/           every reference on every signal, by `evaluate --update-suite`
    <root>/anchors/<name>/<entry path>/     models that others are read against, where the suite brings some
    <root>/manifest.json                    tasks, references, sha256 of every file; written last

A published one has README.md, eval.yaml and `<task>_verdicts/` beside, all of them in the manifest, and is
read file by file as it is needed: see `publish` and `download`.
"""

from __future__ import annotations

MANIFEST = "manifest.json"
VERDICTS = "verdicts"
ANCHORS = "anchors"
SOURCE = ".source.json"
"""In a folder that was downloaded: where from, at which commit, and the manifest it came with."""


def clips_path(task: str) -> str:
    """Path of the clips of a task below the root."""
    return f"{task}_clips/clips.parquet"


def signals_path(task: str, slug: str) -> str:
    """Path of the signals of a reference below the root."""
    return f"{task}/{slug}.parquet"


def sets_path(task: str, slug: str) -> str:
    """Path of the further sets of a reference below the root."""
    return f"{task}_sets/{slug}.parquet"
