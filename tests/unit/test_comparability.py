from __future__ import annotations

from dataclasses import replace

import pytest

from harness.comparability import caveats
from harness.model_facts import Kind, ModelFacts
from tests.helpers.entries import ADAPTER, DETECTOR

LABELS = ("angry", "happy", "sad")
HEAD = ModelFacts("ToyForAudioClassification", 1234, 16_000, None, "mit")
ADAPTED = replace(HEAD, kind="adapter", adapter=ADAPTER)


def test_a_head_is_compared_as_it_is_and_one_of_several_classes_with_a_word() -> None:
    assert caveats(HEAD, 7, LABELS) == []
    (line,) = caveats(replace(HEAD, multi_label=True), 527, LABELS)
    assert "several classes or none" in line


@pytest.mark.parametrize(
    ("kind", "words"),
    [("zero-shot", "the nearest of the 3 texts"), ("language model", "the order of the options")],
)
def test_what_chooses_from_texts_is_compared_with_the_same_texts(kind: Kind, words: str) -> None:
    facts = replace(ADAPTED, kind=kind)
    lines = caveats(facts, 3, LABELS)
    assert words in lines[0]
    assert "labels of the task alone" in lines[1]
    assert "names no prompts" in lines[2]
    prompted = replace(facts, adapter=replace(ADAPTER, prompts_sha256="e" * 64))
    assert "the sha256 eeeeeeeeeeee" in caveats(prompted, 4, LABELS)[1]
    assert not any("labels of the task alone" in line for line in caveats(prompted, 4, LABELS))


def test_a_score_says_which_threshold_it_has_and_where_from() -> None:
    lines = caveats(replace(ADAPTED, adapter=DETECTOR), 2, ("bonafide", "spoof"))
    assert "answers Bonafide above 0.517389, a threshold from: equal error rate on ASVspoof" in lines[0]
    assert "one number" in lines[1]
    assert caveats(ADAPTED, 2, LABELS) == lines[-1:]
    assert "stays self-reported" in lines[-1]


def test_each_is_one_line_without_an_end() -> None:
    for facts in (replace(ADAPTED, kind="zero-shot", multi_label=True, adapter=DETECTOR), ADAPTED):
        for line in caveats(facts, 2, LABELS):
            assert line.isprintable()
            assert not line.endswith(".")
