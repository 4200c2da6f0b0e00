"""Constructs an adapter in this process, and asks it here."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BadInput, BadModel, likely
from harness.models.external import answers, arguments, imports
from harness.types import Waveform


@dataclass(frozen=True)
class OpenedAdapter:
    """An adapter that was constructed, and what its code imports."""

    instance: Any
    """The object, whose attributes are read; or what stands for it in this process."""
    modules: Sequence[Path]
    """The modules beside it."""
    packages: Mapping[str, str]
    """Installed packages, with their versions."""
    takes_device: bool


def open_in_process(file: Path, class_name: str, values: Mapping[str, str], device: str) -> OpenedAdapter:
    """Import the file of an adapter, and construct the class.

    Raises:
        BadModel: the file or the class fails; the line names the error and where in the file it happened.
        BadInput: an argument that it does not take.
    """
    name = f"{file.name}:{class_name}"
    with _failures(f"{file.name} cannot be imported", file):
        module = imports.import_file(file)
    adapter = getattr(module, class_name, None)
    if not inspect.isclass(adapter):
        classes = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__
        ]
        raise BadModel(
            f"{file.name} has no class {class_name}{likely(class_name, classes)}; its classes:"
            f" {', '.join(classes) or 'none'}"
        )
    signature = arguments.signature_of(adapter)
    try:
        converted = arguments.convert(values, signature, device)
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from None
    with _failures(f"{name} cannot be constructed", file):
        instance = adapter(**converted)
    return OpenedAdapter(
        InProcessAdapter(name, file, instance), *imports.imported_packages(file), "device" in converted
    )


class InProcessAdapter:
    """The object of an adapter, whose failures are lines."""

    def __init__(self, name: str, file: Path, instance: Any) -> None:
        self._name, self._file, self._instance = name, file, instance

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._instance, attribute)
        return self._asking(attribute, value) if attribute in ("logits", "scores") else value

    def _asking(self, form: str, method: Any) -> Any:
        def ask(waveforms: list[Waveform]) -> Any:
            with _failures(f"{self._name} fails in {form}()", self._file):
                # Copies: they are the adapter's own to change.
                return answers.ask(method, [waveform.copy() for waveform in waveforms])

        return ask if callable(method) else method


@contextlib.contextmanager
def _failures(what: str, file: Path) -> Iterator[None]:
    """Turn what the code of an adapter raises into one line, and keep what it prints off stdout.

    Raises:
        BadModel: with the type of the error, its message and the line of the file.
        MemoryError: memory ran out, on the processor or on a card.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        if answers.is_full(error):
            raise MemoryError(str(error)) from error
        raise BadModel(f"{what}: {answers.describe(error, file.parent)}") from error
