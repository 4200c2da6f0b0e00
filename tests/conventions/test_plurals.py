"""Counts are said as English says them, everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from harness.plurals import plural
from tests.helpers.repository import ROOT


@pytest.mark.parametrize(
    ("n", "noun", "words"),
    [
        (0, "clip", "0 clips"),
        (1, "clip", "1 clip"),
        (2034, "clip", "2,034 clips"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
        (2, "entry", "2 entries"),
        (1, "query", "1 query"),
        (2, "query", "2 queries"),
        (2, "day", "2 days"),
        (2, "whole clip", "2 whole clips"),
        (2, "batch", "2 batches"),
        (3, "corpus", "3 corpuses"),
    ],
)
def test_a_count_and_its_noun_agree(n: int, noun: str, words: str) -> None:
    assert plural(n, noun) == words


def test_a_noun_may_bring_its_own_plural() -> None:
    assert plural(2, "corpus", "corpora") == "2 corpora"
    assert plural(1, "corpus", "corpora") == "1 corpus"


NOUNS = (
    *("class", "clip", "signal", "model", "reference", "unit", "verdict", "file", "entry", "problem", "set"),
    *("worker", "query", "row", "sample", "judge", "candidate", "label", "name", "version", "task", "number"),
    *("requirement", "thing"),
)
COUNTED = re.compile(
    rf"\{{([^{{}}]*)\}} (?:[a-z-]+ )?(?:{'|'.join(plural(2, noun)[2:] for noun in NOUNS)})\b"
)
NEVER_ONE = re.compile(
    r"""^(?:
        (?:[a-z_]+\.)?[A-Z_]+(?:\[.*\])?     # a constant
      | .*:[,.0-9]*[gfe]                     # no count
      | name | noun | many | digits | suite\.name | each | kind | which | what | one | theirs? | found
    )$""",
    re.VERBOSE,
)


def texts() -> Iterator[tuple[str, str]]:
    """Every f-string of the package and where it stands, with `{expression}` for each value."""
    for path in sorted([*(ROOT / "harness").rglob("*.py"), *(ROOT / "leaderboard").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else part.value  # type: ignore[attr-defined]
                    for part in node.values
                )
                yield f"{path.relative_to(ROOT)}:{node.lineno}", "".join(map(str, parts))


NO_COUNT = {
    *("ref.repo_id", "score.family", "root", "counts.family", "to", "option", "task", "path"),
    *("first['stimulus']", "task.name", "N_LEVELS - 1", "subject"),
}
"""Values that are names, before words that only look like what is counted."""

TWO_OR_MORE = {
    *(
        "len(others) + 1",
        "item.deaths",
        "limits.budget",
        "len(class_names)",
        "kinds",
        "n_train",
        "max_clips",
    ),
    *("overtaken_at()", "_n(_queries())", "MAX_ROWS // (N_MODELS * stimuli + 1)", "len(names)"),
}
"""Counts that are more than one by what stands before them, or that name a search whose name is stored."""

ELSEWHERE = {
    "harness/cli/check.py": {"flips"},
    "harness/evaluation/runner.py": {"proof.n_flips"},
    "harness/metrics/scorecard.py": {"n", "silence_classes.count(label)"},
    "harness/entries/validate_adapter.py": {"excerpt(source, 120)"},
    "harness/models/adapters/audio_lm.py": {"type(self._model).__name__"},
    "harness/entries/validate_facts.py": {"n"},
    "harness/entries/validate_verdicts.py": {"claimed.num_rows", "n_clips", "group.num_rows"},
    "leaderboard/board/remarks.py": {"likeness.n_signals"},
}
"""What an entry stores and is compared to letter by letter, counts beyond a limit, `n of its n signals`."""


def test_every_count_in_a_text_agrees_with_its_noun() -> None:
    """`{n} clips` is `1 clips` some day: `plural` writes counts, or they cannot be one, or are `n of m`."""
    wrong = [
        f"{where}: {found[0]}"
        for where, text in texts()
        for found in COUNTED.finditer(text)
        if not text[: found.start()].endswith(" of ")
        and not NEVER_ONE.match(found[1])
        and found[1] not in NO_COUNT | TWO_OR_MORE | ELSEWHERE.get(where.split(":")[0], set())
    ]
    assert wrong == []
