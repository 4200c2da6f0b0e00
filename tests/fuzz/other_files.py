"""YAML, CSV and sound files of strangers."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from harness import audio, tasks, untrusted
from harness.dataset import corpora
from harness.schemas import to_json
from tests.fuzz import mutate
from tests.fuzz.json_files import EMOTION, differing, known, through, written_back
from tests.fuzz.model_files import plain_yaml
from tests.fuzz.target import Refused, Target
from tests.helpers import hostile_files

TASK = """name: weather
labels:
  rain: [Rain, rainy day]
  thunder: [storm]
  "no": []
  wind:
sample_rate_hz: 16000
max_seconds: 4.5
notes: "Of somebody's own, 2026."
"""
RECIPE = """name: lab
task: emotion
about: Toys.
searches: [responsibility, minimal]
repetitions: 2
limit: 40
alpha: 0.0
corpora:
- name: studio
  source: ./corpus
  licence: cc-by-4.0
  redistributable: true
  seen: docs
  checked: Made here.
  labels: {wut: angry}
- name: street
  source: org/street
  revision: main
  redistributable: false
  masks_only_because: Its licence.
  licence: null
  seen: second-hand
  checked: Its page.
models:
- {source: ./ear, architecture: wav2vec2, seen: docs, note: A toy.}
- source: org/drum
  revision: 0123456789abcdef0123456789abcdef01234567
  architecture: hubert
  seen: "no"
  note: Another toy.
  parameters_m: 94.5
  labels: {LABEL_0: angry, LABEL_1: happy, LABEL_2: null}
  labels_from: Its card.
"""
RESULTS = """- dataset: {id: org/other, task_id: asr}
  value: 0.5
  date: "2026-01-01"
- dataset:
    id: org/signals
    task_id: emotion
  value: 1
"""
DATA_CARD = """---
configs: [emotion]
licence: mit
---

# The recordings
"""
METADATA = """file_name,label,split,licence,note
a.wav,angry,test,cc-by-4.0,
b.wav,Happiness,test,cc-by-4.0,"two, words"
"sub/c.wav",sad,test,,
d.wav,,test,cc0-1.0,x
"""
_CELLS = (
    *(
        b"../a.wav",
        b"/etc/passwd",
        b"C:\\a.wav",
        b"a" * 5000,
        b"a/" * 300 + b"b.wav",
        b"",
        b".",
        b"..",
        b"a.wav",
    ),
    *(
        b'"',
        b'""',
        b'"a\nb"',
        b"\0",
        b"\xff",
        b"a;b",
        b"a\tb",
        b"=1+1",
        b"~/a.wav",
        b"a.wav/",
        b"./a.wav",
        b"\r",
    ),
    *(
        b"A.WAV",
        b"sub",
        b"sub//c.wav",
        b"nul",
        b"x" * 200_000,
        b"a\xcc\x88.wav",
        b",,,,",
        b"train",
        b"\xe2\x80\xae",
    ),
)


def csv_text(generator: random.Random, data: bytes) -> bytes:
    """A table whose cells, lines or bytes were changed, doubled, moved or left out."""
    roll = generator.random()
    if roll < 0.15:
        return mutate.damaged(generator, data)
    if roll < 0.2:
        return data.decode().encode(generator.choice(("utf-16", "utf-8-sig", "utf-32-le")))
    for _ in range(generator.choice((1, 1, 2, 4))):
        lines = [line.split(b",") for line in data.split(b"\n")]
        i = generator.randrange(len(lines))
        j = generator.randrange(len(lines[i]))
        match generator.randrange(6):
            case 0 | 1 | 2:
                lines[i][j] = generator.choice(generator.choice((_CELLS, mutate.LITERALS, _TEXTS)))
            case 3:
                lines.insert(i, lines[i])
            case 4:
                del lines[i][j]
            case _:
                lines[i].insert(j, generator.choice(_CELLS))
        data = b"\n".join(b",".join(line) for line in lines)
    return data


_TEXTS = tuple(text.encode() for text in hostile_files.TEXTS.values())


# ---- YAML ----------------------------------------------------------------------------------------


def _as_pyyaml(value: Any, data: bytes) -> str | None:
    return differing(value, plain_yaml(data.decode()))


def _as_stated(task: Any, data: bytes) -> str | None:
    stated = plain_yaml(data.decode())
    labels = tasks.task_record(task).labels
    if task.name != stated["name"] or len(labels) != len(stated["labels"]):
        return f"{task.name} with {list(labels)}"
    if not labels or task.sample_rate_hz <= 0 or not 0 < task.max_seconds <= 600:
        return f"{task.sample_rate_hz} Hz, {task.max_seconds} s"
    return None if tasks.task_of(tasks.task_record(task)) == task else "read again it is another"


def _recipe(path: Path) -> Any:
    from harness.recipes import recipe_file

    recipe, task = recipe_file.read(str(path))
    return recipe, recipe_file.content_sha256(recipe, task)


def _same_recipe(value: Any, data: bytes) -> str | None:
    recipe, stated = value[0], plain_yaml(data.decode())
    if (recipe.name, recipe.about, list(recipe.searches)) != (
        stated["name"],
        stated["about"],
        stated["searches"],
    ):
        return "another recipe"
    same = len(recipe.models) == len(stated["models"]) and len(recipe.corpora) == len(stated["corpora"])
    return None if same else "other models or corpora"


@cache
def _of_pins() -> tuple[Any, Any, str]:
    """A recipe, its task, and the hash that its pins must have."""
    import tempfile

    from harness.recipes import recipe_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(RECIPE)
        recipe, task = recipe_file.read(str(path))
    return recipe, task, recipe_file.content_sha256(recipe, task)


def _pins() -> list[bytes]:
    from harness.recipes.pinned_commits import Pins

    recipe, _, sha256 = _of_pins()
    commit = "0123456789abcdef0123456789abcdef01234567"
    return [to_json(Pins(recipe.name, sha256, {"org/ear": commit}, {"street": commit})).encode()]


def _read_pins(path: Path) -> Any:
    from harness.recipes import pinned_commits

    recipe, task, _ = _of_pins()
    return pinned_commits._read_or_create(recipe, task, path.parent)


def _same_pins(value: Any, data: bytes) -> str | None:
    from harness.recipes.pinned_commits import Pins

    return written_back(Pins)(value, data)


def _results(path: Path) -> Any:
    from harness.hub.repository import Repository
    from harness.submit import pull_request

    return pull_request._read(Repository("org/name", "model"), path)


def _data_card(path: Path) -> Any:
    from harness.cli.publish_checks import cards_by_task

    cards, lines = cards_by_task((path,), ["emotion", "deepfake"])
    if lines:
        raise Refused("\n".join(lines))
    return cards


def _named(name: str) -> Callable[[Path], Path]:
    return lambda folder: folder / name


# ---- CSV -----------------------------------------------------------------------------------------


def _corpus_place(folder: Path) -> Path:
    (folder / "sub").mkdir()
    for name in ("a", "b", "sub/c", "d"):
        (folder / f"{name}.wav").write_bytes(b"RIFF")
    return folder / "metadata.csv"


def _corpus(path: Path) -> Any:
    return corpora.open_corpus(str(path.parent), EMOTION, split="test")


def _as_csv(corpus: Any, data: bytes) -> str | None:
    lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    head, rows = lines[0], [line for line in lines[1:] if line]
    at = head.index("split") if "split" in head else None
    n = len(rows) if at is None else sum(len(row) > at and row[at] != "" for row in rows)
    ids = [row.clip_id for row in corpus._rows]
    if len(ids) > n or len(set(ids)) < len(ids):
        return f"{ids} of {n} lines"
    strange = [row.label for row in corpus._rows if row.label is not None and row.label not in EMOTION.labels]
    return f"label {strange[0]!r:.40}" if strange else None


# ---- sound ---------------------------------------------------------------------------------------


def _tone(n: int = 1200) -> Any:
    t = np.arange(n) / 16_000
    return (0.4 * np.sin(2 * np.pi * 440 * t) + 0.1 * np.random.default_rng(0).normal(size=n)).astype(
        np.float32
    )


def _encoded(*codings: tuple[str, str]) -> Callable[[], list[bytes]]:
    def originals() -> list[bytes]:
        files = []
        for container, coding in codings:
            buffer = io.BytesIO()
            soundfile.write(buffer, _tone(), 16_000, format=container, subtype=coding)
            files.append(buffer.getvalue())
        return files

    return originals


def header(generator: random.Random, data: bytes) -> bytes:
    """A sound file whose first bytes, sizes, chunks, pages or frames were changed."""
    roll = generator.randrange(6)
    if roll == 0:
        return mutate.damaged(generator, data)
    if roll == 1:
        start = generator.randrange(min(len(data), 300))
        end = start + generator.choice((4, 8, 12, 24, 44))
        return data[:start] + data[start:end] * generator.choice((0, 2, 3, 50)) + data[end:]
    if roll == 2:
        return data[: generator.randrange(len(data))]
    for _ in range(generator.choice((1, 1, 2, 3))):
        at, width = generator.randrange(min(len(data) - 8, 200)), generator.choice((1, 2, 4, 4, 8))
        order: Any = generator.choice(("little", "big"))
        old = int.from_bytes(data[at : at + width], order)
        top = 256**width
        edge = generator.choice(
            (0, 1, 2, 3, top - 1, top // 2, top // 2 - 1, old + 1, old - 1, old * 2, old // 2, len(data))
        )
        data = data[:at] + (edge % top).to_bytes(width, order) + data[at + width :]
    return data


def _sound(path: Path) -> Any:
    return audio.read_recording(path)


def _as_soundfile(value: Any, data: bytes) -> str | None:
    """Libsndfile reads the same samples, where it reads as many."""
    waveform, rate, n_channels = value
    if not len(waveform) or not np.isfinite(waveform).all() or rate <= 0:
        return f"{len(waveform)} samples at {rate} Hz"
    try:
        samples, other = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, ValueError, OSError):
        return None  # sizes that were put right
    if samples.shape[1] != n_channels:
        return f"{n_channels} channels for {samples.shape[1]}"
    if len(samples) != len(waveform):
        return None
    if other != rate:
        return f"{rate} Hz for {other}"
    mean = samples.mean(axis=1, dtype=np.float64)
    return None if np.allclose(mean, waveform, atol=1e-4) else "other samples"


def _sounds(name: str, *codings: tuple[str, str]) -> Target:
    return Target(name, _encoded(*codings), header, _sound, _as_soundfile)


TARGETS = (
    Target(
        "YAML, any",
        known(RECIPE + "extra: [&a [x, 1.5e+3], *a, 0x1F, ~, 2026-01-31]\n"),
        mutate.yaml_text,
        through(untrusted.yaml_of),
        _as_pyyaml,
    ),
    Target(
        "task file",
        known(TASK),
        mutate.yaml_text,
        lambda path: tasks.find(str(path)),
        _as_stated,
        _named("t.yaml"),
    ),
    Target("recipe", known(RECIPE), mutate.yaml_text, _recipe, _same_recipe, _named("recipe.yaml")),
    Target("pins of a recipe", _pins, mutate.json_text, _read_pins, _same_pins, _named(".recipe.json")),
    Target("results on a model's page", known(RESULTS), mutate.yaml_text, _results, _as_pyyaml),
    Target("data card", known(DATA_CARD), mutate.yaml_text, _data_card),
    Target("metadata.csv", known(METADATA), csv_text, _corpus, _as_csv, _corpus_place),
    _sounds(
        "WAV",
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("WAV", "IMA_ADPCM"),
        ("WAVEX", "PCM_24"),
        ("RF64", "PCM_16"),
    ),
    _sounds("FLAC", ("FLAC", "PCM_16"), ("FLAC", "PCM_24")),
    _sounds("Ogg", ("OGG", "VORBIS"), ("OGG", "OPUS")),
    _sounds("MP3", ("MP3", "MPEG_LAYER_III")),
    _sounds("AIFF, AU, CAF", ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("AIFF", "FLOAT")),
    _sounds("W64, NIST", ("W64", "PCM_16"), ("NIST", "PCM_16")),
)
