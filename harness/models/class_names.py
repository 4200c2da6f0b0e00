"""The class names of a model, which config.json states twice: `id2label` and, turned around, `label2id`.

Only `id2label` decides what an index is called. `label2id` is written by hand more often than not: indices
as text, `LABEL_3` for 3, names and indices swapped, or the default names left in. All of these agree with a
sound `id2label`. Where the two give a class different indices, only the author knows which one is right.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from harness.errors import BadModel
from harness.name_matching import key as key_of
from harness.plurals import plural

_DEFAULT = re.compile(r"LABEL_\d+", re.IGNORECASE)
_INDEX = re.compile(r"(?:LABEL_)?(\d{1,9})", re.IGNORECASE)


def require_one_reading(model: str, config: dict[str, Any]) -> None:
    """Check that `id2label` and `label2id` of `config.json` agree; default names mean nothing.

    Raises:
        BadModel: they contradict each other, or are no names and no indices.
    """
    id2label, label2id = (config.get(field) for field in ("id2label", "label2id"))
    for field, value in (("id2label", id2label), ("label2id", label2id)):
        if value is not None and not isinstance(value, dict):
            raise BadModel(f"{model}: {field} in config.json must be an object; found {value!r:.60}")
    names = {}
    for key, name in (id2label or {}).items():
        if not isinstance(name, str):
            raise BadModel(
                f"{model}: id2label in config.json calls class {key:.60} {name!r:.60}; expected text"
            )
        if (index := _index(key)) is not None:
            names[index] = name
    if not names or not label2id:
        return
    names_of_index = _label2id_names(model, label2id)
    indices = defaultdict(set)
    for index, name in names.items():
        indices[key_of(name)].add(index)
    for index, others in names_of_index.items():
        own_name = names.get(index)
        if own_name is not None and (_DEFAULT.fullmatch(own_name) or key_of(own_name) in map(key_of, others)):
            # Several spellings may lead to one index; a name of another class may not.
            others = [name for name in others if key_of(name) in indices]
        for name in others:
            if index not in indices[key_of(name)]:
                contradiction = (
                    f"calls class {index} {own_name!r:.60}"
                    if own_name is not None
                    else f"has no class {index}"
                )
                raise BadModel(
                    f"{model}: id2label and label2id in config.json contradict each other: id2label"
                    f" {contradiction}, label2id calls it {name!r:.60}; these are names that cannot be"
                    " trusted: find out which is right from the author, and correct the other in a copy of"
                    " the model"
                )


def require_classes(model: str, id2label: dict[int, str]) -> None:
    """Check that every index has a name, as transformers reads them.

    Raises:
        BadModel: indices are missing, or there are too few.
    """
    if sorted(id2label) != list(range(len(id2label))):
        raise BadModel(f"{model}: the indices of id2label in config.json must run from 0 without gaps")
    if len(id2label) < 2:
        raise BadModel(
            f"{model} has {plural(len(id2label), 'class')} in config.json; a classifier needs two or more"
        )


def _label2id_names(model: str, label2id: dict[str, Any]) -> dict[int, list[str]]:
    """The names by index; default names say nothing and are left out."""
    names = defaultdict(list)
    for key, value in label2id.items():
        name, index = key, _index(value)
        if index is None and isinstance(value, str):
            name, index = value, _index(key)  # the other way round
        if index is None:
            raise BadModel(
                f"{model}: label2id in config.json gives {key!r:.60} {value!r:.60}; expected an index"
            )
        if not _DEFAULT.fullmatch(name):
            names[index].append(name)
    return names


def _index(value: Any) -> int | None:
    """3, "3" and "LABEL_3" are 3."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    match = _INDEX.fullmatch(str(value)) if isinstance(value, int | str) else None
    return int(match[1]) if match else None
