"""Names of the files and folders that this package writes and reads, and where they lie.

A signals folder, built here or downloaded:

    <root>/<task>/<org>__<model>.parquet    signals of one reference, both families
    <root>/<task>_clips/clips.parquet       the clips they are parts of
    <root>/<task>_sets/<org>__<model>.parquet   further sets of bins, where they were asked for
    <root>/verdicts/<entry path>/           every reference on every signal, by `evaluate --update-suite`
    <root>/anchors/<name>/<entry path>/     models that others are read against, where the suite brings some
    <root>/manifest.json                    tasks, references, sha256 of every file; written last
    <root>/.hold-back/split.json            which clips are held back

A published one has README.md, eval.yaml, croissant.json and `<task>_verdicts/` as well, all of them in the
manifest, and is read file by file as it is needed: see `publish` and `download`. Entries are described in
`entries.store`, the pages of the leaderboard are named in `leaderboard.urls`, the files of a model in
`models.checkpoints`.
"""

from __future__ import annotations

MANIFEST = "manifest.json"
VERDICTS = "verdicts"
ANCHORS = "anchors"
README, EVAL, CROISSANT = "README.md", "eval.yaml", "croissant.json"
PUBLISHED = ".made.json"
"""In a folder that is prepared for publication: what each of its files was made from."""
SPLIT = "split.json"
RECIPE = ".recipe.json"
"""In a folder that a recipe builds: the revisions that it is built of."""
METADATA = "metadata.csv"
"""In a folder of sounds: their labels."""
SOURCE = ".source.json"
"""In a folder that was downloaded: where from, at which commit, and the manifest it came with."""


ENTRY = "entry.json"
VERDICTS_FILE = "verdicts.parquet"
REPORT = "report.html"
OUTGOING = "outgoing.json"
PARTIAL = ".partial"
"""In a results folder: entries that are not complete."""
INVALIDATED, OPTED_OUT = ".invalidated.json", ".declined.json"
VERIFIED, HELD_BACK = ".verified.json", ".held-back.json"
"""Suffixes of the records next to an entry."""

STUDY, STUDY_PAGE, STUDY_TEXT = "study.json", "study.html", "study.md"
SAMPLES = "_samples.jsonl"
"""Suffix of the answers beside an exported record."""
ANSWER = "answer.json"
"""What a command of the app prints."""


def clips_path(task: str) -> str:
    """Path of the clips of a task below the root."""
    return f"{task}_clips/clips.parquet"


def signals_path(task: str, slug: str) -> str:
    """Path of the signals of a reference below the root."""
    return f"{task}/{slug}.parquet"


def sets_path(task: str, slug: str) -> str:
    """Path of the further sets of a reference below the root."""
    return f"{task}_sets/{slug}.parquet"


def candidate_verdicts_path(task: str, slug: str) -> str:
    """Path of the verdicts of a model as a table of a published suite, below the root."""
    return f"{task}_verdicts/{slug}.parquet"
