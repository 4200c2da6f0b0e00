"""An adapter that is found, constructed and hashed: what a folder of weights is for heads of transformers.

The revision of an adapter is the sha256 of its code and of the modules beside it that it imports, of the
files that it names as weights or was given as arguments, of its arguments, its prompts and threshold, and of
the versions of the packages that it imports. Nothing of it is cached between commands: every one constructs
and hashes it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BadModel, likely
from harness.model_facts import AdapterFacts
from harness.models import checkpoints, devices
from harness.models.external import settings as adapter_settings
from harness.models.external.in_process import OpenedAdapter, open_in_process
from harness.models.external.options import AdapterOptions
from harness.models.external.settings import AdapterSettings
from harness.types import ModelRef

_MAX_TEXT = 200
"""Characters of an argument that is published as it is."""
_SHIPPED_FOLDER = Path(__file__).parents[1] / "adapters"
SHIPPED = {
    "audio-lm": "audio_lm.py:AudioLM",
    "clap": "clap.py:Clap",
    "deepfense": "deepfense.py:DeepFense",
    "multilabel": "multilabel.py:MultiLabel",
    "onnx": "onnx.py:Onnx",
}
"""The adapters that come with goodenough, by the name that `adapter:NAME` has."""


@dataclass(frozen=True)
class PinnedAdapter:
    """An adapter at one moment, ready to be asked."""

    ref: ModelRef
    """`local/<its name>`, and the hashes of its facts."""
    name: str
    """File and class, as in `aasist.py:Aasist`."""
    file: Path
    """Where its class is."""
    instance: Any
    """The object that answers; see `interface`."""
    settings: AdapterSettings
    """Its attributes."""
    facts: AdapterFacts
    """What it is made of, as in an entry."""
    device: str
    """Where it runs."""


def pin(model: str, options: AdapterOptions, *, device: str | None = None) -> PinnedAdapter:
    """Find an adapter, construct it and hash it.

    Args:
        model: `path/to/file.py:Class`, or `adapter:NAME`.
        options: its arguments and environment.
        device: for an adapter that takes one; a CUDA card if there is one, else the processor, when None.

    Raises:
        BadModel: there is no such file or class, or it fails, or lacks something; the line says what.
        BadInput: an argument that it does not take.
    """
    file, class_name = locate(model)
    name = f"{file.name}:{class_name}"
    values, place = options.by_name(), devices.find(device)
    opened = _open(file, class_name, values, options, place)
    settings = adapter_settings.read(name, opened.instance, file)
    weights = _weights(name, settings, values)
    facts = AdapterFacts(
        name=name,
        code=_hashes(name, (file, *opened.modules)),
        weights=_hashes(name, weights),
        arguments={key: _portable(value) for key, value in sorted(values.items())},
        packages=dict(sorted(opened.packages.items())),
        prompts_sha256=settings.prompts_sha256,
        threshold=settings.threshold,
        above=settings.above,
        threshold_source=settings.threshold_source,
    )
    ref = ModelRef(f"local/{settings.name}", facts.revision, facts.weights_sha256)
    # One that takes no device is taken to run on the processor.
    runs_on = place if opened.takes_device else "cpu"
    return PinnedAdapter(ref, name, file, opened.instance, settings, facts, runs_on)


def locate(model: str) -> tuple[Path, str]:
    """The file of an adapter, and its class.

    Raises:
        BadModel: there is no such file, or none of this name is shipped.
    """
    if model.startswith(checkpoints.SHIPPED_PREFIX):
        name = model.removeprefix(checkpoints.SHIPPED_PREFIX)
        if name not in SHIPPED:
            raise BadModel(
                f"no adapter {name!r:.60} comes with goodenough{likely(name, SHIPPED)}; there are"
                f" {', '.join(SHIPPED)}; your own is given as path/to/file.py:Class"
            )
        file_name, class_name = SHIPPED[name].split(":")
        return _SHIPPED_FOLDER / file_name, class_name
    path, _, class_name = model.rpartition(":")
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        near = [other.name for other in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise BadModel(f"no adapter at {path}{likely(file.name, near)}; expected a Python file")
    return file, class_name


def _open(
    file: Path, class_name: str, arguments: Mapping[str, str], options: AdapterOptions, device: str
) -> OpenedAdapter:
    """Construct it, in this process or in an environment of its own."""
    from harness.models.external import environments, isolated

    if options.env is None and environments.head(file) is None:
        return open_in_process(file, class_name, arguments, device)
    instance = isolated.open_isolated(
        *(file, class_name, arguments),
        requirements=options.env,
        device=device,
    )
    return OpenedAdapter(instance, instance.modules, instance.packages, instance.takes_device)


def _weights(name: str, settings: AdapterSettings, arguments: Mapping[str, str]) -> list[Path]:
    """The files that it names as weights, and those that it was given; of a given folder it names some."""
    files = list(settings.weights)
    for key, value in arguments.items():
        path = _path(value)
        if path is not None and path.is_file():
            files.append(path.resolve())
        elif path is not None and not any(file.is_relative_to(path.resolve()) for file in files):
            raise BadModel(
                f"{name} was given the folder {value} as {key}, and names no file in it as weights, so that"
                " its revision would not change with them; set self.weights to the files that it reads"
            )
    return sorted(set(files))


def _path(value: str) -> Path | None:
    """A file or folder that an argument names; None where it names none."""
    try:
        path = Path(value).expanduser()
        return path if value and path.exists() else None
    except (OSError, ValueError):  # too long, or with a zero in it
        return None


def _portable(value: str) -> str:
    """An argument as it is published: of a file or folder the name alone, of a long text its hash."""
    path = _path(value)
    if path is not None:
        return path.resolve().name
    return value if len(value) <= _MAX_TEXT else f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def _hashes(name: str, files: Iterable[Path]) -> dict[str, str]:
    """sha256 of files, by their names; those of one name are numbered in the order of their hashes."""
    hashes: dict[str, list[str]] = {}
    for file in dict.fromkeys(files):
        try:
            hashes.setdefault(file.name, []).append(checkpoints.sha256([file]))
        except OSError as error:
            raise BadModel(f"{name}: {file} cannot be read: {error.strerror}") from None
    by_name = {}
    for file_name, values in sorted(hashes.items()):
        for i, value in enumerate(sorted(set(values))):
            by_name[file_name if i == 0 else f"{file_name} ({i + 1})"] = value
    return by_name
