"""Numbers of the starter suite, as they were before every file got its room and its name.

The files in `tests/data/before_the_move/` were written by the last version before it (commit 6a53f93):

    goodenough leaderboard export --as csv --submissions submissions > export.csv
    goodenough study --out study && xz study/study.json

Who changes what is counted makes them anew, and says so. Those of deepfake detection are of the suite with
recorded voices; of music genre and emotion, by comparison, only the note about the suite was changed, and the
column `kind` was added to all.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from tests.helpers.repository import DATA, ROOT

BEFORE = DATA / "before_the_move"


@pytest.mark.slow
def test_the_board_is_the_same_to_the_last_letter(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["leaderboard", "export", "--as", "csv", "--submissions", str(ROOT / "submissions")]
    assert cli.run(words) == 0
    assert capsys.readouterr().out == (BEFORE / "export.csv").read_text("utf-8")


def differing(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two JSON values differ; numbers may by the rounding of another processor."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [line for key in keys for line in differing(one.get(key), other.get(key), f"{where}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for i, (a, b) in pairs for line in differing(a, b, f"{where}.{i}")]
    same = pytest.approx(one, rel=1e-6, abs=1e-9) == other if isinstance(one, float) else one == other
    return [] if same else [f"{where}: {other!r:.40}, was {one!r:.40}"]


@pytest.mark.slow
def test_every_number_of_the_study_is_the_same(tmp_path: Path) -> None:
    assert cli.run(["study", "--out", str(tmp_path)]) == 0
    before = json.loads(lzma.decompress((BEFORE / "study.json.xz").read_bytes()))
    after = json.loads((tmp_path / "study.json").read_text("utf-8"))
    # By which versions it was made is no number of the study.
    assert differing(before | {"made with": after["made with"]}, after) == []


def test_a_number_that_changed_is_seen() -> None:
    assert differing({"a": [1.0, {"b": 2}]}, {"a": [1.0, {"b": 3}]}) == [".a.1.b: 3, was 2"]
    assert differing({"a": 1.0}, {"a": 1.0 + 1e-12}) == []
    assert differing([0.5], [0.6]) == [".0: 0.6, was 0.5"]
