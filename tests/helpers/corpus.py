"""A corpus of short sounds."""

from __future__ import annotations

import csv
from pathlib import Path

import soundfile

from tests.helpers import toy_models


def make_corpus(folder: Path, *rows: tuple[str, str], head: str = "file_name,label") -> Path:
    """A corpus of short sounds; `head` is the first line of its metadata.csv."""
    folder.mkdir(parents=True)
    sounds = toy_models.sounds(*(4000 + 100 * (i % 2) for i in range(len(rows))))
    with open(folder / "metadata.csv", "w", newline="") as file:
        file.write(f"{head}\n")
        csv.writer(file).writerows(rows)
    for (name, _), sound in zip(rows, sounds, strict=True):
        soundfile.write(folder / name, sound, 16_000)
    return folder
