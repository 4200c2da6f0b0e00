"""Constructs an adapter in this process, and asks it here."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import BadInput, BadModel, likely
from harness.models.external import answers, arguments, imports
from harness.models.feature_extractors import quiet
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
    """Whether it was given a device."""


def open_in_process(file: Path, class_name: str, values: Mapping[str, str], device: str) -> OpenedAdapter:
    """Import the file of an adapter, and construct the class.

    Raises:
        BadModel: the file or the class fails; the line names the error and where in the file it happened.
        BadInput: an argument that it does not take.
    """
    name, scope = f"{file.name}:{class_name}", ImportScope(file.parent)
    with scope.failures(f"{file.name} cannot be imported"):
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
    with scope.failures(f"{name} cannot be constructed"):
        instance = adapter(**converted)
    modules, packages = imports.imported_packages(file)
    return OpenedAdapter(InProcessAdapter(name, scope, instance), modules, packages, "device" in converted)


class InProcessAdapter:
    """The object of an adapter, whose failures are lines."""

    def __init__(self, name: str, scope: ImportScope, instance: Any) -> None:
        self._name, self._scope, self._instance = name, scope, instance

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._instance, attribute)
        return self._asking(attribute, value) if attribute in ("logits", "scores") else value

    def _asking(self, form: str, method: Any) -> Any:
        def ask(waveforms: list[Waveform]) -> Any:
            with self._scope.failures(f"{self._name} fails in {form}()"):
                # Copies: they are the adapter's own to change.
                return answers.ask(method, [waveform.copy() for waveform in waveforms])

        return ask if callable(method) else method


class ImportScope:
    """What lies beside an adapter, and can be imported while its code runs: two adapters do not meet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules: dict[str, ModuleType] = {}

    @contextlib.contextmanager
    def failures(self, what: str) -> Iterator[None]:
        """Turn what the code of the adapter raises into one line, and keep what it prints off stdout.

        Raises:
            BadModel: with the type of the error, its message and the line of the file.
            MemoryError: memory ran out, on the processor or on a card.
        """
        try:
            with contextlib.redirect_stdout(sys.stderr), quiet(), self._importing():
                yield
        except BadInput:
            raise
        except (Exception, SystemExit) as error:
            if answers.is_full(error):
                raise MemoryError(str(error)) from error
            raise BadModel(f"{what}: {answers.describe(error, self._folder)}") from error

    @contextlib.contextmanager
    def _importing(self) -> Iterator[None]:
        folder, before = str(self._folder), set(sys.modules)
        sys.modules.update(self._modules)
        sys.path.append(folder)  # last: an adapter may have the name of the package that it imports
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(folder)
            for name in [name for name in set(sys.modules) - before if self._is_beside(name)]:
                self._modules[name] = sys.modules.pop(name)

    def _is_beside(self, name: str) -> bool:
        """Whether a module, or the package that it is part of, lies in the folder itself."""
        module = sys.modules[name.partition(".")[0]]
        places = getattr(module, "__path__", None) or [getattr(module, "__file__", None) or "/"]
        return any(Path(place).parent == self._folder for place in places)
