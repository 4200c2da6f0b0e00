"""The tasks: canonical labels, their spellings, and how a clip is prepared.

A task is data. The built-in ones are in TASKS; a user's own is a YAML file with the same fields:

    name: instrument
    labels:
      cello: [cel]            # canonical label: other spellings
      guitar: [gac, "acoustic guitar"]
    sample_rate_hz: 16000     # optional
    max_seconds: 30           # optional
    notes: one line           # optional

Labels and spellings are compared without case, spaces and hyphens (`name_matching`). Labels are a superset: a
model or corpus that knows fewer is normal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness import name_matching, untrusted
from harness.disk_errors import pointer
from harness.errors import BadTask, likely
from harness.manifest import TaskRecord


@dataclass(frozen=True)
class Task:
    """A classification task: its labels, and how clips are prepared for it."""

    name: str
    """Lower case letters, digits and hyphens."""
    labels: tuple[str, ...]
    """Canonical labels, in the order used everywhere."""
    aliases: MappingProxyType[str, tuple[str, ...]] = field(repr=False)
    """Other spellings of each label."""
    sample_rate_hz: int = 16_000
    """Every clip is brought to this rate; all bins refer to it."""
    max_seconds: float = 30.0
    """Longer clips are cut to a centred excerpt of this length."""
    notes: str = ""
    """One line on sources and licences."""

    def label_of(self, name: str) -> str | None:
        """The canonical label with this spelling, or None."""
        for key in dict.fromkeys(
            (name_matching.key(name), name_matching.key(name_matching.without_joints(name)))
        ):
            for label in self.labels:
                if any(key == name_matching.key(s) for s in (label, *self.aliases.get(label, ()))):
                    return label
        return None


def _task(name: str, labels: dict[str, tuple[str, ...]], notes: str) -> Task:
    return Task(name, tuple(labels), MappingProxyType(labels), notes=notes)


_BUILT_IN = (
    _task(
        "music-genre",
        {
            # the ten of GTZAN
            "blues": (),
            "classical": ("classic",),
            "country": (),
            "disco": (),
            "hiphop": ("hip hop", "rap", "hip hop rap"),
            "jazz": (),
            "metal": ("heavy metal",),
            "pop": ("pop music",),
            "reggae": (),
            "rock": ("rock music",),
            # the further top genres of FMA
            "electronic": ("electronica", "electro"),
            "experimental": (),
            "folk": (),
            "instrumental": (),
            "international": ("world", "world music"),
            "soul-rnb": ("soul", "rnb", "r&b", "soul r&b", "soul and r&b", "rhythm and blues"),
            "spoken": ("spoken word", "speech"),
            "easy-listening": (),
            "old-time-historic": ("old time", "historic"),
            "chiptune": ("chiptune glitch", "chip music"),
            "punk": ("punk rock",),
            "ambient": (),
        },
        "GTZAN: licence not stated, 986 unique of 1000; FMA: a licence per track.",
    ),
    _task(
        "emotion",
        {
            "angry": ("anger", "ang", "angr"),
            "boredom": ("bored", "bor"),
            "calm": ("cal",),
            "contempt": ("con", "contemptuous"),
            "disgust": ("disgusted", "dis"),
            "fear": ("fearful", "fea", "afraid", "scared"),
            "happy": ("happiness", "hap", "joy", "joyful"),
            "neutral": ("neu", "neutrality"),
            "sad": ("sadness",),
            "surprise": ("surprised", "sur", "pleasant surprise", "pleasant surprised"),
        },
        "RAVDESS: CC BY-NC-SA 4.0; CAMEO collects corpora under their own licences.",
    ),
    _task(
        "deepfake",
        {
            "bonafide": (
                *("bona fide", "real", "genuine", "human", "human voice", "authentic"),
                *("original", "natural", "real audio", "real voice"),
            ),
            "spoof": (
                *("spoofed", "spoofing", "fake", "deepfake", "ai", "ai voice", "ai generated"),
                *("synthetic", "synthesized", "generated", "fake audio", "fake voice"),
            ),
        },
        "In-The-Wild: CC BY-SA 4.0; MLAAD: CC BY-NC 4.0.",
    ),
)
TASKS: MappingProxyType[str, Task] = MappingProxyType({task.name: task for task in _BUILT_IN})
"""The built-in tasks by name."""


def find(name: str) -> Task:
    """A built-in task by name, or a user's own from a YAML file.

    Raises:
        BadTask: no such task or file, or a file that does not say what it must.
    """
    if name in TASKS:
        return TASKS[name]
    if not name.endswith((".yaml", ".yml")):
        raise BadTask(
            f"no task named {name!r}; known: {', '.join(TASKS)}; "
            f"a task of your own is a file: --task path/to/task.yaml{likely(name, TASKS)}"
        )
    path = Path(name)
    if not path.is_file():
        raise BadTask(f"no task file at {name}; expected a YAML file with `name` and `labels`")
    return _read(path)


def task_of(record: TaskRecord) -> Task:
    """A task as it stood when the signals of a suite were made."""
    labels = MappingProxyType(record.labels)
    return Task(record.name, tuple(labels), labels, record.sample_rate_hz, record.max_seconds, record.notes)


def task_record(task: Task) -> TaskRecord:
    """Inverse of `task_of`."""
    labels = {label: tuple(task.aliases.get(label, ())) for label in task.labels}
    return TaskRecord(task.name, labels, task.sample_rate_hz, task.max_seconds, task.notes)


def _read(path: Path) -> Task:
    if line := pointer(path):
        raise BadTask(line)
    try:
        raw = untrusted.yaml_of(untrusted.content(path))
    except untrusted.Unreadable as error:
        raise BadTask(f"{path} is not readable YAML: {error}") from None
    field_names = {"name", "labels", "sample_rate_hz", "max_seconds", "notes"}
    if not isinstance(raw, dict) or not {"name", "labels"} <= set(raw):
        raise BadTask(f"{path} needs the fields `name` and `labels`")
    if unknown := sorted(map(str, set(raw) - field_names)):
        raise BadTask(f"{path}: unknown field {unknown[0]!r}; known: {', '.join(sorted(field_names))}")
    name, labels, notes = raw["name"], _labels(path, raw["labels"]), raw.get("notes", "")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise BadTask(f"{path}: name {name!r} must be lower case letters, digits and hyphens")
    if len(name) > 64 or name == "verdicts":
        raise BadTask(
            f"{path}: name {name!r} cannot be a folder of signals; choose another, of 64 letters at most"
        )
    if name in TASKS:
        raise BadTask(f"{path}: {name!r} is a built-in task; give yours another name")
    rate, seconds = raw.get("sample_rate_hz", 16_000), raw.get("max_seconds", 30.0)
    if not isinstance(rate, int) or not 1_000 <= rate <= 384_000:
        raise BadTask(f"{path}: sample_rate_hz is {rate!r}; expected a whole number, 1000 to 384000")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 600:
        raise BadTask(f"{path}: max_seconds is {seconds!r}; expected a number, up to 600")
    if not isinstance(notes, str | None):
        raise BadTask(f"{path}: notes is {notes!r:.60}; expected text")
    return Task(name, tuple(labels), MappingProxyType(labels), rate, float(seconds), notes or "")


def _labels(path: Path, raw: Any) -> dict[str, tuple[str, ...]]:
    if isinstance(raw, list):
        if not_text := [label for label in raw if not isinstance(label, str)]:
            raise BadTask(f"{path}: label {not_text[0]!r} must be text (quote yes, no and numbers)")
        raw = dict.fromkeys(raw)
    if not isinstance(raw, dict) or len(raw) < 2:
        raise BadTask(f"{path}: `labels` needs at least two labels")
    labels: dict[str, tuple[str, ...]] = {}
    owner: dict[str, tuple[str, str]] = {}
    for raw_label, spellings in raw.items():
        spellings = [] if spellings is None else spellings
        label = name_matching.nfc(raw_label) if isinstance(raw_label, str) else raw_label
        if not isinstance(label, str) or not isinstance(spellings, list):
            raise BadTask(
                f"{path}: label {label!r} must be text with a list of spellings (quote yes, no and numbers)"
            )
        if not all(isinstance(s, str) for s in spellings):
            raise BadTask(f"{path}: the spellings of {label!r} must be text (quote yes, no and numbers)")
        if name_matching.key(label) in ("", "other"):
            raise BadTask(f"{path}: {label!r} cannot be a label")
        for name in (raw_label, *spellings):
            first, owner_label = owner.setdefault(name_matching.key(name), (name, raw_label))
            if owner_label != raw_label:
                difference = name_matching.apart(first, name)
                raise BadTask(
                    f"{path}: {name!r} stands for {owner_label!r} and for {raw_label!r}{difference}"
                )
        labels[label] = tuple(map(name_matching.nfc, spellings))
    return labels
