"""What an adapter says of itself: its attributes, read once and checked."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from harness.errors import BadModel
from harness.model_facts import Kind
from harness.plurals import plural
from harness.types import MAX_DATASETS

_MAX_CLASSES = 10_000
_MAX_RATE_HZ = 768_000
_MAX_TEXT = 200
_KINDS = tuple(kind for kind in get_args(Kind) if kind != "head")


@dataclass(frozen=True)
class AdapterSettings:
    """The attributes of an adapter; see `interface`."""

    name: str
    """What the model is called, in letters that an id may have."""
    class_names: tuple[str, ...]
    """Its classes, by index."""
    sample_rate_hz: int
    """What it expects."""
    min_samples: int
    """Shortest waveform that it takes."""
    window_seconds: float | None
    """What it takes of a clip, from the start; None for any length, and where it does not say."""
    has_window: bool
    """Whether it states `window_seconds`."""
    fixed_length: bool
    """Whether it brings waveforms of all lengths to one."""
    weights: tuple[Path, ...]
    """Existing files, absolute."""
    prompts_sha256: str | None
    """Of its prompts as JSON; None where it has none."""
    kind: Kind
    """Any but `head`."""
    n_parameters: int | None
    """Number of weights; None where it does not say."""
    licence: str | None
    """Of the model; None where it does not say."""
    trained_on: tuple[str, ...] | None
    """Datasets; None where it names none."""
    threshold: float | None
    """Of an adapter with scores; None for one with logits, as are the next two."""
    above: str | None
    """The class of a score above it."""
    threshold_source: str | None
    """Where it comes from, in its author's words."""


def read(name: str, instance: Any, file: Path) -> AdapterSettings:
    """Read the attributes of an adapter.

    Args:
        name: what it is called in messages.
        instance: the object.
        file: its file; relative names of weights lie beside it.

    Raises:
        BadModel: one is missing, or not what it must be.
    """
    reader = _Reader(name, instance)
    class_names = reader.texts("class_names", required=True)
    if not 2 <= len(class_names) <= _MAX_CLASSES:
        raise reader.wrong("class_names", "two class names or more")
    if duplicates := [text for text, count in Counter(class_names).items() if count > 1]:
        raise reader.wrong("class_names", f"each name once; {duplicates[0]!r} appears twice")
    kind = reader.value("kind", "adapter")
    if kind not in _KINDS:
        raise reader.wrong("kind", f"one of {', '.join(map(repr, _KINDS))}")
    prompts = reader.texts("prompts")
    own_name = reader.line("name") or file.stem
    threshold, above, source = _threshold(reader, class_names)
    return AdapterSettings(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", own_name).strip("-.")[:90] or "adapter",
        class_names=class_names,
        sample_rate_hz=reader.integer("sample_rate_hz", None, 1_000, _MAX_RATE_HZ),
        min_samples=reader.integer("min_samples", 1, 1, 10**9),
        window_seconds=reader.seconds("window_seconds"),
        has_window=reader.has("window_seconds"),
        fixed_length=reader.boolean("fixed_length"),
        weights=reader.files("weights", file.parent),
        prompts_sha256=hashlib.sha256(json.dumps(prompts).encode()).hexdigest() if prompts else None,
        kind=kind,
        n_parameters=reader.integer("n_parameters", None, 0, 10**15) if reader.has("n_parameters") else None,
        licence=reader.line("licence"),
        trained_on=reader.texts("trained_on")[:MAX_DATASETS] or None,
        threshold=threshold,
        above=above,
        threshold_source=source,
    )


def _threshold(
    reader: _Reader, class_names: tuple[str, ...]
) -> tuple[float, str, str] | tuple[None, None, None]:
    """Threshold, the class above it and where it comes from; None of a model with one number per class."""
    forms = [form for form in ("logits", "scores") if callable(getattr(reader.instance, form, None))]
    if len(forms) != 1:
        raise BadModel(
            f"{reader.name} has {'both logits and scores' if forms else 'neither logits nor scores'};"
            " expected one of the methods: logits(waveforms) -> (n, n_classes), or scores(waveforms) -> (n,)"
        )
    if forms == ["logits"]:
        return None, None, None
    if len(class_names) != 2:
        raise reader.wrong("class_names", f"two, for one score; found {plural(len(class_names), 'name')}")
    threshold = reader.number("threshold")
    above = reader.line("above")
    if above not in class_names:
        raise reader.wrong(
            "above", f"the class that score > threshold means, one of {', '.join(map(repr, class_names))}"
        )
    source = reader.line("threshold_source")
    if not source:
        raise reader.wrong(
            "threshold_source",
            'a line on where the threshold comes from, as in "equal error rate on ASVspoof 2019 LA dev"',
        )
    return threshold, above, source


class _Reader:
    """Reads attributes of one object; what is wrong is raised as one line."""

    def __init__(self, name: str, instance: Any) -> None:
        self.name, self.instance = name, instance

    def wrong(self, attribute: str, expected: str) -> BadModel:
        """The error for an attribute."""
        if not self.has(attribute):
            return BadModel(f"{self.name} has no {attribute}; expected {expected}")
        value = getattr(self.instance, attribute)
        return BadModel(f"{self.name}: {attribute} is {value!r:.80}; expected {expected}")

    def has(self, attribute: str) -> bool:
        """Whether the object has it."""
        return hasattr(self.instance, attribute)

    def value(self, attribute: str, default: Any) -> Any:
        """The attribute as it is."""
        return getattr(self.instance, attribute, default)

    def texts(self, attribute: str, *, required: bool = False) -> tuple[str, ...]:
        """Several texts; none where there is no such attribute."""
        value = self.value(attribute, None if required else ())
        is_sequence = isinstance(value, list | tuple)
        if not is_sequence or not all(isinstance(text, str) and text.strip() for text in value):
            raise self.wrong(attribute, "a list of texts")
        return tuple(value)

    def line(self, attribute: str) -> str | None:
        """One printable line; None where there is none."""
        value = self.value(attribute, None)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
            raise self.wrong(attribute, f"one line of at most {_MAX_TEXT} characters")
        return value.strip() or None

    def integer(self, attribute: str, default: int | None, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self.value(attribute, default)
        if hasattr(value, "__index__") and not isinstance(value, bool):
            value = value.__index__()  # also one of numpy
            if low <= value <= high:
                return int(value)
        raise self.wrong(attribute, f"a whole number from {low:,} to {high:,}")

    def number(self, attribute: str) -> float:
        """A finite number."""
        value = self.value(attribute, None)
        if hasattr(value, "__float__") and not isinstance(value, bool | str) and math.isfinite(value):
            return float(value)
        raise self.wrong(attribute, "a number")

    def seconds(self, attribute: str) -> float | None:
        """A length of time; None for any."""
        if self.value(attribute, None) is None:
            return None
        value = self.number(attribute)
        if value <= 0:
            raise self.wrong(attribute, "seconds, more than 0, or None for clips of any length")
        return value

    def boolean(self, attribute: str) -> bool:
        """True or False; False where there is no such attribute."""
        value = self.value(attribute, False)
        if not isinstance(value, bool):
            raise self.wrong(attribute, "True or False")
        return value

    def files(self, attribute: str, folder: Path) -> tuple[Path, ...]:
        """Existing files, whose relative names start in a folder."""
        value = self.value(attribute, ())
        if not isinstance(value, list | tuple) or not all(isinstance(path, str | Path) for path in value):
            raise self.wrong(attribute, "a list of files")
        files = tuple((folder / Path(path).expanduser()).resolve() for path in value)
        if missing := [file for file in files if not file.is_file()]:
            raise BadModel(f"{self.name}: weights names {missing[0]}, where there is no file")
        return files
