"""Tasks: the built-in table says what it must, a user's file says no less."""

import pytest

from harness.errors import BadTask
from harness.name_matching import key
from harness.tasks import TASKS, find


def write(folder, text):
    path = folder / "task.yaml"
    path.write_text(text)
    return str(path)


def test_the_canonical_labels_are_those_of_the_definitions():
    assert TASKS["deepfake"].labels == ("bonafide", "spoof")
    assert len(TASKS["emotion"].labels) == 10
    genres = TASKS["music-genre"].labels
    assert " ".join(genres[:10]) == "blues classical country disco hiphop jazz metal pop reggae rock"
    assert len(genres) == 22


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda t: t.name)
def test_no_spelling_stands_for_two_labels(task):
    owner = {}
    for label in task.labels:
        for spelling in (label, *task.aliases[label]):
            assert owner.setdefault(key(spelling), label) == label
            assert task.label_of(spelling.upper()) == label
    assert task.label_of("no such thing") is None


def test_a_task_file_is_read_with_its_defaults(tmp_path):
    task = find(write(tmp_path, "name: my-task\nlabels:\n  cat: [kitty]\n  dog:\n"))
    assert (task.name, task.labels, task.sample_rate_hz, task.max_seconds) == (
        *("my-task", ("cat", "dog")),
        *(16_000, 30.0),
    )
    assert task.label_of("Kitty") == "cat"
    listed = find(write(tmp_path, "name: t\nlabels: [cat, dog]\nsample_rate_hz: 48000\nmax_seconds: 2.5\n"))
    assert (listed.labels, listed.sample_rate_hz, listed.max_seconds) == (("cat", "dog"), 48_000, 2.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "not readable YAML"),
        ("just text", "needs the fields `name` and `labels`"),
        ("name: t", "needs the fields `name` and `labels`"),
        ("name: t\nlabels: [a, b]\ncolour: red", "unknown field 'colour'"),
        ("name: My Task\nlabels: [a, b]", "lower case letters, digits and hyphens"),
        ("name: ../t\nlabels: [a, b]", "lower case letters, digits and hyphens"),
        ("name: emotion\nlabels: [a, b]", "is a built-in task"),
        ("name: verdicts\nlabels: [a, b]", "cannot be a folder of signals"),
        (f"name: {'t' * 65}\nlabels: [a, b]", "64 letters at most"),
        ("name: t\nlabels: [a]", "at least two labels"),
        ("name: t\nlabels: [yes, no]", "quote yes, no and numbers"),
        ("name: t\nlabels: {a: [x], b: [X]}", "'X' stands for 'a' and for 'b'"),
        ("name: t\nlabels: [a, other]", "'other' cannot be a label"),
        ("name: t\nlabels: [a, b]\nsample_rate_hz: 10", "expected a whole number, 1000 to 384000"),
        ("name: t\nlabels: [a, b]\nmax_seconds: -1", "expected a number, up to 600"),
    ],
)
def test_a_task_file_that_says_too_little_is_refused(tmp_path, text, says):
    with pytest.raises(BadTask, match=r"task\.yaml") as caught:
        find(write(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_that_is_nowhere_is_refused_with_those_there_are():
    with pytest.raises(BadTask, match="known: music-genre, emotion, deepfake"):
        find("speech")
    with pytest.raises(BadTask, match=r"no task file at gone\.yaml"):
        find("gone.yaml")
