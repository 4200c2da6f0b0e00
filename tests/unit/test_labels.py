"""Class names met on the Hub, and the ones that must never be guessed at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BadLabels
from harness.labels import from_file, harmonise, nearly_fits, template
from harness.tasks import TASKS, Task
from harness.types import OTHER, ModelRef

DEEPFAKE, EMOTION, GENRE = TASKS["deepfake"], TASKS["emotion"], TASKS["music-genre"]
MODEL = ModelRef("org/name", "0" * 40, "1" * 64)


@pytest.mark.parametrize(
    ("task", "names", "canonical"),
    [
        (DEEPFAKE, ("fake", "real"), ("spoof", "bonafide")),
        (DEEPFAKE, ("real", "fake"), ("bonafide", "spoof")),
        (DEEPFAKE, ("spoof", "bonafide"), ("spoof", "bonafide")),
        (DEEPFAKE, ("Bona-Fide", "SPOOFED"), ("bonafide", "spoof")),
        (DEEPFAKE, ("AIVoice", "HumanVoice"), ("spoof", "bonafide")),
        (EMOTION, ("neu", "hap", "ang", "sad"), ("neutral", "happy", "angry", "sad")),
        (
            EMOTION,
            ("fear", "fearful", "surprise", "surprised", "anger", "angry", "joy", "happy"),
            ("fear", "fear", "surprise", "surprise", "angry", "angry", "happy", "happy"),
        ),
        (GENRE, ("hiphop", "Hip-Hop", "Hiphop", "Rock"), ("hiphop", "hiphop", "hiphop", "rock")),
        (
            GENRE,
            ("Chiptune / Glitch", "Old-Time / Historic", "Soul-RnB", "Spoken"),
            ("chiptune", "old-time-historic", "soul-rnb", "spoken"),
        ),
    ],
)
def test_a_spelling_met_on_the_hub_is_read(
    task: Task, names: tuple[str, ...], canonical: tuple[str, ...]
) -> None:
    label_map = harmonise(names, task)
    assert label_map.canonical == canonical
    assert (label_map.names, label_map.task, label_map.source) == (names, task.name, "names")


def test_a_name_nobody_knows_is_other_and_keeps_its_place() -> None:
    label_map = harmonise(["sad", "sarcastic", "happy"], EMOTION)
    assert label_map.canonical == ("sad", OTHER, "happy")
    assert label_map.covered == {"sad", "happy"}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_spelling_of_a_task_is_read_as_its_label(task: Task) -> None:
    for label, spellings in task.aliases.items():
        other = next(other for other in task.labels if other != label)
        for spelling in (label, *spellings):
            assert harmonise([spelling.upper(), other], task).canonical == (label, other)


@pytest.mark.parametrize("name", ["LABEL_0", "label 12", "class_1", "Class-3", "0", "7", "id4", "", "?"])
def test_a_name_that_is_only_a_number_is_refused_even_among_good_ones(name: str) -> None:
    with pytest.raises(BadLabels, match="does not say what it means") as caught:
        harmonise(["happy", "sad", name], EMOTION)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "not_spoof",
        "nonspoof",
        "Non-Fake",
        "no deepfake",
        "unreal",
        "anti-spoof",
        "NotFake",
        "it is not a fake",
    ],
)
def test_a_negation_is_refused(name: str) -> None:
    with pytest.raises(BadLabels, match="is a negation"):
        harmonise(["real", "fake", name], DEEPFAKE)


@pytest.mark.parametrize("name", ["noise", "unknown", "nonsense", "anticipation", "Nordic"])
def test_a_word_that_only_begins_like_a_negation_is_other(name: str) -> None:
    assert harmonise(["happy", "sad", name], EMOTION).canonical[2] == OTHER


@pytest.mark.parametrize("name", ["happy_sad", "HappySad", "happysad", "angry or happy", "fear/surprise"])
def test_two_labels_in_one_name_are_refused(name: str) -> None:
    with pytest.raises(BadLabels, match="at once"):
        harmonise(["happy", "sad", name], EMOTION)


@pytest.mark.parametrize("name", ["pop-rock", "Pop / Rock", "poprock", "Folk Pop", "electropop"])
def test_two_genres_in_one_name_are_refused(name: str) -> None:
    with pytest.raises(BadLabels, match="at once"):
        harmonise(["jazz", "blues", name], GENRE)


def test_two_words_that_are_one_spelling_are_one_label() -> None:
    assert harmonise(["Punk Rock", "Heavy Metal", "pop music"], GENRE).canonical == ("punk", "metal", "pop")


def test_one_label_and_another_word_is_other_not_a_guess() -> None:
    assert harmonise(["female_happy", "happy", "sad"], EMOTION).canonical == (OTHER, "happy", "sad")


def test_two_classes_of_the_same_name_are_refused() -> None:
    with pytest.raises(BadLabels, match="two classes named 'sad'"):
        harmonise(["sad", "happy", "sad"], EMOTION)


@pytest.mark.parametrize("names", [["cat", "dog"], ["happy", "dog"], ["happy", "joy"]])
def test_fewer_than_two_canonical_labels_are_refused(names: list[str]) -> None:
    with pytest.raises(BadLabels, match="two are needed"):
        harmonise(names, EMOTION)


def test_a_refusal_is_one_line_with_the_file_to_write() -> None:
    with pytest.raises(BadLabels) as caught:
        harmonise(["LABEL_0", "happy", "LABEL_2", "LABEL_3"], EMOTION)
    line = str(caught.value)
    assert "\n" not in line
    assert "--label-map FILE" in line
    shown = json.loads(line[line.index("{") : line.rindex("}") + 1])
    assert shown["labels"] == {"LABEL_0": None, "happy": "happy", "LABEL_2": None}
    assert "all 4 classes" in line


def test_a_refusal_lists_every_name_that_is_in_the_way() -> None:
    with pytest.raises(BadLabels) as caught:
        harmonise(["rock", "classic rock", "not_jazz", "guitar", "pop", "poprock"], GENRE)
    cause = str(caught.value).split("; ")[0]
    assert cause.startswith("the class name 'classic rock' names classical and rock at once")
    assert cause.endswith(" (and 'not_jazz', 'poprock' cannot be read either)")


@pytest.mark.parametrize(
    ("names", "fits"),
    [
        (["rock", "pop", "classic rock"], True),
        (["rock", "pop"], True),
        (["rock", "classic rock"], False),
        (["rock", "rock music", "classic rock"], False),
        (["LABEL_0", "LABEL_1"], False),
        (["cat", "dog", "7"], False),
    ],
)
def test_classes_that_nearly_fit_are_told_from_those_of_another_task(names: list[str], fits: bool) -> None:
    assert nearly_fits(names, GENRE) == fits


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
@settings(deadline=None)
def test_any_names_are_either_mapped_whole_or_refused_in_one_line(names: list[str]) -> None:
    try:
        label_map = harmonise(names, EMOTION)
    except BadLabels:
        return
    assert label_map.names == tuple(names)
    assert set(label_map.canonical) <= {*EMOTION.labels, OTHER}
    assert len(label_map.covered) >= 2


# --- the reviewed file


def write(path: Path, **changes: Any) -> Path:
    content = json.loads(template(["LABEL_0", "happy"], EMOTION, MODEL))
    content |= {"labels": {"LABEL_0": "angry", "happy": "happy"}, "reviewed_by": "me", "why": "the card"}
    path.write_text(json.dumps(content | changes))
    return path


def read(path: Path) -> Any:
    return from_file(path, ["LABEL_0", "happy"], EMOTION, MODEL)


def test_the_template_proposes_what_is_known_and_leaves_the_rest_open() -> None:
    assert json.loads(template(["LABEL_0", "Joy", "pop-rock", "cat"], EMOTION, MODEL)) == {
        "model": "org/name",
        "revision": "0" * 40,
        "task": "emotion",
        "labels": {"LABEL_0": None, "Joy": "happy", "pop-rock": None, "cat": None},
        "reviewed_by": "",
        "why": "",
    }


def test_a_reviewed_file_is_followed(tmp_path: Path) -> None:
    label_map = read(write(tmp_path / "map.json"))
    assert label_map.canonical == ("angry", "happy")
    assert label_map.source == "file"


def test_null_in_a_file_is_other(tmp_path: Path) -> None:
    labels = {"a": "angry", "b": None, "c": "sad"}
    path = write(tmp_path / "map.json", labels=labels)
    assert from_file(path, ["c", "b", "a"], EMOTION, MODEL).canonical == ("sad", OTHER, "angry")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"model": "org/else"}, "is for model 'org/else'; this is 'org/name'"),
        ({"revision": "1" * 40}, "is for revision"),
        ({"task": "deepfake"}, "is for task 'deepfake'"),
        ({"reviewed_by": " "}, "reviewed_by is empty"),
        ({"why": 3}, "why must be text"),
        ({"labels": []}, "labels must be an object"),
        ({"labels": {"happy": "happy"}}, "leaves out the class 'LABEL_0'"),
        ({"labels": {"LABEL_0": "sad", "happy": "happy", "x": None}}, "maps 'x', which is no class"),
        ({"labels": {"LABEL_0": "sadness", "happy": "happy"}}, "did you mean 'sad'"),
        ({"labels": {"LABEL_0": "cat", "happy": "happy"}}, "expected null or one of angry, boredom"),
        ({"labels": {"LABEL_0": 3, "happy": "happy"}}, "maps 'LABEL_0' to 3"),
        ({"labels": {"LABEL_0": None, "happy": "happy"}}, "names 1 label of"),
        ({"note": "x"}, "must hold the fields"),
    ],
)
def test_a_file_with_a_fault_is_refused(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(BadLabels) as caught:
        read(write(tmp_path / "map.json", **changes))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "not a readable label map"),
        ("[]", "found list"),
        ("{}", "found none"),
        ('{"model": "a", "model": "b"}', "'model' stands there twice"),
    ],
)
def test_a_file_that_is_no_label_map_is_refused(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(BadLabels, match=line):
        read(tmp_path / "map.json")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadLabels, match="No such file"):
        read(tmp_path / "map.json")
