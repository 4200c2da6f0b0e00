"""Every value of a model's settings replaced by wrong ones: one line, or the logits that transformers gives.

Never a traceback, never hours, never gigabytes. The default run takes a seeded sample of every architecture.
"""

from __future__ import annotations

import json
import math
import random
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import BadInput
from harness.models.loading import load
from tests.helpers import toy_models

NAMES = ("happy", "sad", "neu")
FILES = ("config.json", "preprocessor_config.json", "processor_config.json")
N_SAMPLED = 5
"""Of each architecture, in the default run."""
MOST_MEMORY = 2 * 2**30
"""Bytes by which the memory of the tests may grow; one of the sizes that are tried takes 10^12."""

WRONG: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 128, 10**6, 10**18, 0.5, -2.5, 1e300, math.nan, math.inf),
    *("", "16000", "text", [], [0, -1, 10**9], [[[1]]], {}, {"a": {"b": [None]}}, "a" * 10_000),
)

Path_ = tuple[str | int, ...]


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Where a value may be replaced: every field, and what is in it."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield from places(each, (*path, key))


def replaced(value: Any, path: Path_, new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of each architecture, with all three files of settings."""
    root = tmp_path_factory.mktemp("wrong")

    def folder(architecture: str) -> Path:
        path: Path = root / architecture
        if not path.exists():
            toy_models.save_model(path, architecture, NAMES)
            settings = json.loads((path / FILES[1]).read_text())
            (path / FILES[2]).write_text(json.dumps({"feature_extractor": settings, "processor_class": "X"}))
        return path

    return folder


def cases(folder: Path) -> list[tuple[str, Path_, Any]]:
    return [
        (file, path, wrong)
        for file in FILES
        for path in places(json.loads((folder / file).read_text()))
        for wrong in WRONG
    ]


def problem(folder: Path, file: str, path: Path_, wrong: Any) -> str | None:
    """What is wrong with how a value is taken; the folder is left as it was."""
    before, before_config = (folder / file).read_text(), (folder / FILES[0]).read_text()
    clips = toy_models.sounds(4_000, 5_555)
    try:
        (folder / file).write_text(json.dumps(replaced(json.loads(before), path, wrong)))
        try:
            model = load(str(folder), device="cpu")
            logits = model.logits(clips, model.facts.sample_rate_hz)
        except BadInput as error:
            line = str(error)
            return None if "\n" not in line and len(line) < 1_000 else f"not one line: {line}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        if wrong is None and path[-1] == "feature_extractor_type" and "wav2vec2-bert" in before_config:
            return None  # transformers guesses the extractor of another architecture
        if path[-1] == "dither":
            return None  # noise of the extractor, which is switched off here
        try:
            wanted = toy_models.as_transformers(folder, clips)
        except Exception as error:
            return f"is scored, and transformers says {type(error).__name__}: {error}"
        apart = float(np.abs(logits - wanted).max() / max(1.0, float(np.abs(wanted).max())))
        return None if apart <= 1e-5 else f"logits differ by {apart:.1e}"
    finally:
        (folder / file).write_text(before)


def problems(folder: Path, tried: list[tuple[str, Path_, Any]]) -> list[str]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cases = []
    for file, path, wrong in tried:
        if why := problem(folder, file, path, wrong):
            cases.append(f"{file}: {path} = {wrong!r:.60}: {why:.200}")
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < MOST_MEMORY, grown
    return cases


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "n", [N_SAMPLED, pytest.param(None, id="all", marks=(pytest.mark.slow, pytest.mark.timeout(3_600)))]
)
@pytest.mark.parametrize("architecture", toy_models.ARCHITECTURES)
def test_a_wrong_value_is_refused_in_one_line_or_changes_nothing(
    tmp_path: Path, shelf: Any, architecture: str, n: int | None
) -> None:
    folder = shutil.copytree(shelf(architecture), tmp_path / "model")
    every = cases(folder)
    assert len(every) > 1_000
    some = every if n is None else random.Random(architecture).sample(every, n)
    assert problems(folder, some) == []
