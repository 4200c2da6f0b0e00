"""A model's own class names, read in a task's canonical labels.

By name, never by index: two models of the same task rarely agree on an order. A name that is a spelling of a
canonical label is that label, however it is cased or joined; a name nobody knows is OTHER and can still win.
A name that could be misread stops everything, because a wrong map looks exactly like a bad model: names that
are only numbers, negations ("not_spoof"), two labels in one ("pop-rock"). Then a reviewed file speaks:

    {
      "model": "org/name",
      "revision": "0123456789abcdef0123456789abcdef01234567",
      "task": "emotion",
      "labels": {"LABEL_0": "angry", "LABEL_1": "happy", "LABEL_2": null},
      "reviewed_by": "who",
      "why": "the order of label_encoder.pkl in the training script"
    }

Public: harmonise, template, from_file, tasks_for.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import untrusted
from harness.disk import pointer
from harness.errors import BadLabels
from harness.plurals import plural
from harness.spelling import apart, composed, key, words
from harness.tasks import TASKS, Task
from harness.types import OTHER, LabelMap, ModelRef

_NUMBERED = re.compile(r"(label|labels|class|classes|cls|category|index|id|target|output)?\d+")
_NEGATIONS = ("not", "non", "no", "un", "anti")
_FIELDS = ("model", "revision", "task", "labels", "reviewed_by", "why")


def harmonise(class_names: Sequence[str], task: Task) -> LabelMap:
    """Map class names to canonical labels by name.

    Args:
        class_names: of the model, by index.
        task: whose labels.

    Raises:
        BadLabels: a name that appears twice or could be misread, or fewer than two canonical labels.
    """
    twice = [name for name, count in Counter(class_names).items() if count > 1]
    if twice:
        raise _unread(f"the model has two classes named {twice[0]!r}", class_names, task)
    for name in class_names:
        if trouble := _trouble(name, task):
            raise _unread(trouble, class_names, task)
    canonical = tuple(task.label_of(name) or OTHER for name in class_names)
    label_map = LabelMap(task.name, tuple(class_names), canonical, "names")
    if len(label_map.covered) < 2:
        raise _unread(
            f"of the classes {_few(class_names)} {'only one' if label_map.covered else 'none'} can be read as"
            f" labels of {task.name} ({_few(task.labels)}), and two are needed{_alike(class_names, task)}",
            class_names,
            task,
        )
    return label_map


def template(class_names: Sequence[str], task: Task, model: ModelRef) -> str:
    """A label map to review and complete, as JSON: what is known is proposed, the rest is null."""
    content = _content(class_names, task, model.repo_id, model.revision)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def from_file(path: Path, class_names: Sequence[str], task: Task, model: ModelRef) -> LabelMap:
    """Read a reviewed label map; null stands for OTHER.

    Raises:
        BadLabels: it is not readable, or of another model, commit or task, or leaves a class or its reviewer
            out, or names a label the task does not have, or fewer than two.
    """
    content = _read(path)
    here = {"model": model.repo_id, "revision": model.revision, "task": task.name}
    for field, value in here.items():
        if content[field] != value:
            raise BadLabels(f"{path} is for {field} {content[field]!r}; this is {value!r}")
    if not content["reviewed_by"].strip():
        raise BadLabels(f"{path}: reviewed_by is empty; put down who checked this map, and under why, how")
    labels = _by_class(path, content["labels"], class_names)
    if missing := [name for name in class_names if name not in labels]:
        raise BadLabels(f"{path} leaves out the class {missing[0]!r}; give it a label, or null")
    if extra := [name for name in labels if name not in class_names]:
        how = "".join(apart(extra[0], name) for name in class_names)
        raise BadLabels(
            f"{path} maps {extra[0]!r}, which is no class of {model.repo_id}{how}; it has {_few(class_names)}"
        )
    spelled = {composed(label): label for label in task.labels}
    for name, label in labels.items():
        if isinstance(label, str) and composed(label) in spelled:
            labels[name] = spelled[composed(label)]
        elif label is not None:
            near = task.label_of(label) if isinstance(label, str) else None
            hint = f"did you mean {near!r}?" if near else f"expected null or one of {', '.join(task.labels)}"
            how = "".join(apart(str(label), other) for other in task.labels)
            raise BadLabels(
                f"{path} maps {name!r} to {label!r}, which is no label of {task.name}{how}; {hint}"
            )
    canonical = tuple(labels[name] or OTHER for name in class_names)
    label_map = LabelMap(task.name, tuple(class_names), canonical, "file")
    if len(label_map.covered) < 2:
        raise BadLabels(
            f"{path} names {plural(len(label_map.covered), 'label')} of {task.name}; two are needed"
        )
    return label_map


def tasks_for(class_names: Sequence[str]) -> tuple[Task, ...]:
    """The built-in tasks that can be read from these class names.

    Raises:
        BadLabels: there is none.
    """
    found = []
    for task in TASKS.values():
        try:
            harmonise(class_names, task)
        except BadLabels:
            continue
        found.append(task)
    if not found:
        raise BadLabels(
            f"the classes {_few(class_names)} belong to none of the tasks {', '.join(TASKS)}; name the task"
            " with --task, or bring your own: --task path/to/task.yaml"
        )
    return tuple(found)


def _by_class(path: Path, labels: dict[str, Any], class_names: Sequence[str]) -> dict[str, Any]:
    """What a file says, by the names of the classes as the model spells them, composed or not."""
    written: dict[str, str] = {}
    for name in labels:
        first = written.setdefault(composed(name), name)
        if first != name and not {first, name} <= set(class_names):
            raise BadLabels(f"{path} maps {name!r} twice{apart(first, name)}; expected each class once")
    of_class = {name: name if name in labels else written.get(composed(name)) for name in class_names}
    used = {name for name in of_class.values() if name is not None}
    known = {name: labels[there] for name, there in of_class.items() if there is not None}
    return known | {name: label for name, label in labels.items() if name not in used}


def _trouble(name: str, task: Task) -> str | None:
    """Why a name must not be guessed at, or None."""
    joined_up = key(name)
    bare = "".join(filter(str.isalnum, joined_up))
    if _NUMBERED.fullmatch(bare) or (not bare and task.label_of(name) is None):
        return f"the class name {name!r} does not say what it means"
    if task.label_of(name):
        return None
    tokens = words(name)
    named = {label for run in _runs(tokens) if (label := task.label_of(run))}
    negated = any(joined_up.startswith(word) and task.label_of(joined_up[len(word) :]) for word in _NEGATIONS)
    if negated or (named and any(token.casefold() in _NEGATIONS for token in tokens)):
        return f"the class name {name!r} is a negation, and what is not one label need not be the other"
    # "poprock", joined without a seam
    halves = ((task.label_of(joined_up[:i]), task.label_of(joined_up[i:])) for i in range(1, len(joined_up)))
    joined = next(({a, b} for a, b in halves if a and b and a != b), set[str]())
    if len(named | joined) > 1:
        return f"the class name {name!r} names {' and '.join(sorted(named | joined))} at once"
    return None


def _runs(tokens: Sequence[str]) -> list[str]:
    """Every run of neighbouring words, joined."""
    n = len(tokens)
    return ["".join(tokens[i:j]) for i in range(n) for j in range(i + 1, n + 1)]


def _content(class_names: Sequence[str], task: Task, repo_id: str, revision: str) -> dict[str, Any]:
    labels = {name: None if _trouble(name, task) else task.label_of(name) for name in class_names}
    values = (repo_id, revision, task.name, labels, "", "")
    return dict(zip(_FIELDS, values, strict=True))


def _unread(trouble: str, class_names: Sequence[str], task: Task) -> BadLabels:
    shown = _content(class_names[:3], task, "org/name", "its commit")
    rest = f" (and so on for all {len(class_names)} classes)" if len(class_names) > 3 else ""
    return BadLabels(
        f"{trouble}; look its classes up and give --label-map FILE, where FILE holds"
        f" {json.dumps(shown, ensure_ascii=False)}{rest}"
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
        found = ", ".join(sorted(content)) if isinstance(content, dict) else type(content).__name__
        raise BadLabels(f"{path} must hold the fields {', '.join(_FIELDS)}; found {found or 'none'}")
    for field in _FIELDS:
        wanted = dict if field == "labels" else str
        if not isinstance(content[field], wanted):
            kind = "an object of class name: label" if wanted is dict else "text"
            raise BadLabels(f"{path}: {field} must be {kind}; found {content[field]!r}")
    return content


def _alike(class_names: Sequence[str], task: Task) -> str:
    """How the first class that is not read differs from a label that looks the same; empty if none does."""
    unread = [name for name in class_names if task.label_of(name) is None]
    spelled = [name for label in task.labels for name in (label, *task.aliases.get(label, ()))]
    return next((how for name in unread for other in spelled if (how := apart(name, other))), "")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
