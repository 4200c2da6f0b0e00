"""A model's own class names, read in a task's canonical labels.

By name, never by index: two models of the same task rarely agree on an order. A name that is a spelling of a
canonical label is that label, however it is cased or joined; a name nobody knows is OTHER and can still win.
A name that could be misread stops everything, because a wrong map looks exactly like a bad model: names that
are only numbers, negations ("not_spoof"), two labels in one ("pop-rock"). Then a reviewed file is needed:

    {
      "model": "org/name",
      "revision": "0123456789abcdef0123456789abcdef01234567",
      "task": "emotion",
      "labels": {"LABEL_0": "angry", "LABEL_1": "happy", "LABEL_2": null},
      "reviewed_by": "who",
      "why": "the order of label_encoder.pkl in the training script"
    }
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import untrusted
from harness.disk_errors import pointer
from harness.errors import BadLabels
from harness.name_matching import apart, key, nfc, words
from harness.plurals import plural
from harness.tasks import Task
from harness.types import OTHER, LabelMap, ModelRef

_NUMBERED = re.compile(r"(label|labels|class|classes|cls|category|index|id|target|output)?\d+")
_NEGATIONS = ("not", "non", "no", "un", "anti")
_FIELDS = ("model", "revision", "task", "labels", "reviewed_by", "why")


def harmonise(class_names: Sequence[str], task: Task) -> LabelMap:
    """Map the class names of a model, by index, to canonical labels of a task, by name.

    Raises:
        BadLabels: a name that appears twice or could be misread, or fewer than two canonical labels.
    """
    duplicates = [name for name, count in Counter(class_names).items() if count > 1]
    if duplicates:
        raise _unreadable(f"the model has two classes named {duplicates[0]!r}", class_names, task)
    problems = {name: problem for name in class_names if (problem := _problem(name, task))}
    if problems:
        first, *others = problems
        others_text = (
            f" (and {_few([repr(name) for name in others])} cannot be read either)" if others else ""
        )
        raise _unreadable(problems[first] + others_text, class_names, task)
    canonical = tuple(task.label_of(name) or OTHER for name in class_names)
    label_map = LabelMap(task.name, tuple(class_names), canonical, "names")
    if len(label_map.covered) < 2:
        raise _unreadable(
            f"of the classes {_few(class_names)} {'only one' if label_map.covered else 'none'} can be read as"
            f" labels of {task.name} ({_few(task.labels)}), and two are"
            f" needed{_lookalike_hint(class_names, task)}",
            class_names,
            task,
        )
    return label_map


def nearly_fits(class_names: Sequence[str], task: Task) -> bool:
    """Whether some of the names are two labels of a task or more, whatever the others are."""
    canonical = {task.label_of(name) for name in class_names if not _problem(name, task)}
    return len(canonical - {None}) >= 2


def template(class_names: Sequence[str], task: Task, model: ModelRef) -> str:
    """A label map to review and complete, as JSON: what is known is proposed, the rest is null."""
    content = _content(class_names, task, model.repo_id, model.revision)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def from_file(path: Path, class_names: Sequence[str], task: Task, model: ModelRef) -> LabelMap:
    """Read a reviewed label map; null means OTHER.

    Raises:
        BadLabels: it is not readable, or of another model, commit or task, or leaves a class or its reviewer
            out, or names a label the task does not have, or fewer than two.
    """
    content = _read(path)
    identity = {"model": model.repo_id, "revision": model.revision, "task": task.name}
    for field, value in identity.items():
        if content[field] != value:
            raise BadLabels(f"{path} is for {field} {content[field]!r}; this is {value!r}")
    if not content["reviewed_by"].strip():
        raise BadLabels(f"{path}: reviewed_by is empty; put down who checked this map, and under why, how")
    labels = _by_class(path, content["labels"], class_names)
    if missing := [name for name in class_names if name not in labels]:
        raise BadLabels(f"{path} leaves out the class {missing[0]!r}; give it a label, or null")
    if unknown := [name for name in labels if name not in class_names]:
        difference = "".join(apart(unknown[0], name) for name in class_names)
        raise BadLabels(
            f"{path} maps {unknown[0]!r}, which is no class of {model.repo_id}{difference}; it has"
            f" {_few(class_names)}"
        )
    label_by_form = {nfc(label): label for label in task.labels}
    for name, label in labels.items():
        if isinstance(label, str) and nfc(label) in label_by_form:
            labels[name] = label_by_form[nfc(label)]
        elif label is not None:
            near = task.label_of(label) if isinstance(label, str) else None
            hint = f"did you mean {near!r}?" if near else f"expected null or one of {', '.join(task.labels)}"
            difference = "".join(apart(str(label), other) for other in task.labels)
            raise BadLabels(
                f"{path} maps {name!r} to {label!r}, which is no label of {task.name}{difference}; {hint}"
            )
    canonical = tuple(labels[name] or OTHER for name in class_names)
    label_map = LabelMap(task.name, tuple(class_names), canonical, "file")
    if len(label_map.covered) < 2:
        raise BadLabels(
            f"{path} names {plural(len(label_map.covered), 'label')} of {task.name}; two are needed"
        )
    return label_map


def _by_class(path: Path, labels: dict[str, Any], class_names: Sequence[str]) -> dict[str, Any]:
    """What a file says, by the names of the classes as the model spells them, composed or not."""
    name_by_form: dict[str, str] = {}
    for name in labels:
        first = name_by_form.setdefault(nfc(name), name)
        if first != name and not {first, name} <= set(class_names):
            raise BadLabels(f"{path} maps {name!r} twice{apart(first, name)}; expected each class once")
    of_class = {name: name if name in labels else name_by_form.get(nfc(name)) for name in class_names}
    entries = {name for name in of_class.values() if name is not None}
    by_class = {name: labels[entry] for name, entry in of_class.items() if entry is not None}
    return by_class | {name: label for name, label in labels.items() if name not in entries}


def _problem(name: str, task: Task) -> str | None:
    """Why a name cannot be mapped without a label map, or None."""
    compact = key(name)
    alphanumeric = "".join(filter(str.isalnum, compact))
    if _NUMBERED.fullmatch(alphanumeric) or (not alphanumeric and task.label_of(name) is None):
        return f"the class name {name!r} does not say what it means"
    if task.label_of(name):
        return None
    tokens = words(name)
    labels = {label for run in _runs(tokens) if (label := task.label_of(run))}
    is_negation = any(compact.startswith(word) and task.label_of(compact[len(word) :]) for word in _NEGATIONS)
    if is_negation or (labels and any(token.casefold() in _NEGATIONS for token in tokens)):
        return f"the class name {name!r} is a negation, and what is not one label need not be the other"
    # "poprock", joined without a seam
    halves = ((task.label_of(compact[:i]), task.label_of(compact[i:])) for i in range(1, len(compact)))
    pair = next(({a, b} for a, b in halves if a and b and a != b), set[str]())
    if len(labels | pair) > 1:
        return f"the class name {name!r} names {' and '.join(sorted(labels | pair))} at once"
    return None


def _runs(tokens: Sequence[str]) -> list[str]:
    """Every run of neighbouring words, joined."""
    n = len(tokens)
    return ["".join(tokens[i:j]) for i in range(n) for j in range(i + 1, n + 1)]


def _content(class_names: Sequence[str], task: Task, repo_id: str, revision: str) -> dict[str, Any]:
    labels = {name: None if _problem(name, task) else task.label_of(name) for name in class_names}
    values = (repo_id, revision, task.name, labels, "", "")
    return dict(zip(_FIELDS, values, strict=True))


def _unreadable(problem: str, class_names: Sequence[str], task: Task) -> BadLabels:
    example = _content(class_names[:3], task, "org/name", "its commit")
    rest = f" (and so on for all {len(class_names)} classes)" if len(class_names) > 3 else ""
    return BadLabels(
        f"{problem}; look its classes up and give --label-map FILE, where FILE holds"
        f" {json.dumps(example, ensure_ascii=False)}{rest}"
    )


def _read(path: Path) -> dict[str, Any]:
    """The fields of a label map, each of its type."""
    if line := pointer(path):
        raise BadLabels(line)
    try:
        content = untrusted.json_of(untrusted.content(path))
    except untrusted.Unreadable as error:
        raise BadLabels(f"{path} is not a readable label map ({error}); expected JSON") from None
    if not isinstance(content, dict) or set(content) != set(_FIELDS):
        fields = ", ".join(sorted(content)) if isinstance(content, dict) else type(content).__name__
        raise BadLabels(f"{path} must hold the fields {', '.join(_FIELDS)}; found {fields or 'none'}")
    for field in _FIELDS:
        expected_type = dict if field == "labels" else str
        if not isinstance(content[field], expected_type):
            kind = "an object of class name: label" if expected_type is dict else "text"
            raise BadLabels(f"{path}: {field} must be {kind}; found {content[field]!r}")
    return content


def _lookalike_hint(class_names: Sequence[str], task: Task) -> str:
    """How the first class that is not read differs from a label that looks the same; empty if none does."""
    unknown = [name for name in class_names if task.label_of(name) is None]
    spellings = [name for label in task.labels for name in (label, *task.aliases.get(label, ()))]
    return next(
        (difference for name in unknown for other in spellings if (difference := apart(name, other))), ""
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
