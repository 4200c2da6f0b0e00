"""An adapter that runs in an environment of its own, as a process that is handed arrays over a pipe.

Its answers are those of the same adapter in this process, to the last bit, where the packages are the same.
What it does cannot harm this process: a crash, a hang, an exception, prints, too large an answer. Each ends
it with one line. It is no sandbox: the adapter may do with files and network what the user may.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadModel
from harness.models.external import environments
from harness.models.external.connection import PATIENCE, Connection
from harness.models.external.worker import ATTRIBUTES, HELLO, MAX_HEADER, METHODS, n_classes, n_numbers
from harness.plurals import plural
from harness.types import Waveform

WORKER = Path(__file__).with_name("worker.py")

_PHASES = {
    "import": "cannot be imported",
    "arguments": "cannot be constructed",
    "init": "cannot be constructed",
    "attributes": "cannot be used",
}


def open_isolated(
    file: Path,
    class_name: str,
    arguments: Mapping[str, str],
    *,
    requirements: Path | None = None,
    device: str = "cpu",
    timeout_s: float = 600.0,
    start_timeout_s: float = 1800.0,
    command: Sequence[str] | None = None,
) -> IsolatedAdapter:
    """Construct an adapter in an environment of its own.

    Args:
        file: where its class is.
        class_name: which.
        arguments: of its `__init__`, as text.
        requirements: packages that it needs; None: as it says in its head.
        device: where it runs.
        timeout_s: for one call, unless the adapter states `timeout_seconds`.
        start_timeout_s: for import and `__init__`.
        command: another Python than one of an environment of its own, and options of it.

    Raises:
        BadModel: no environment can be made, or no instance; one line.
    """
    if command is None:
        try:
            environment = environments.environment_of(file, requirements)
            environment.make()
        except BadModel as error:
            raise BadModel(f"{file.name}:{class_name}: {error}") from None
        command = [str(environment.python)]
    return IsolatedAdapter(
        file,
        class_name,
        arguments,
        device,
        timeout_s=timeout_s,
        start_timeout_s=start_timeout_s,
        command=command,
    )


class IsolatedAdapter:
    """Satisfies `interface.Adapter`; attributes and methods are those of the instance, and no others.

    After a failure it is closed, and every further call says why. An exception that says that memory ran out
    is no failure: `MemoryError`, after which fewer waveforms can be asked about.
    """

    packages: dict[str, str]
    """Versions of the distributions that its code imports."""
    modules: list[Path]
    """Files beside it that it imports."""
    takes_device: bool
    """Whether it was given a device."""

    def __init__(
        self,
        file: Path,
        class_name: str,
        arguments: Mapping[str, str],
        device: str,
        *,
        timeout_s: float,
        start_timeout_s: float,
        command: Sequence[str],
    ):
        """Start it; see `open_isolated`."""
        self._name, self._timeout_s = f"{file.name}:{class_name}", timeout_s
        self._attributes: dict[str, Any] = {}
        self._methods: tuple[str, ...] = ()
        self._ended, self._lock, self._n_classes = "", threading.Lock(), 0
        try:
            self._connection = Connection([*command, "-I", str(WORKER)])
        except OSError as error:
            raise BadModel(f"{self._name} cannot be started: {command[0]}: {error.strerror}") from None
        self._finalizer = weakref.finalize(self, self._connection.end, PATIENCE)
        torch: Any = sys.modules.get("torch")
        request = {
            "file": os.path.abspath(file),
            "class": class_name,
            "arguments": dict(arguments),
            "device": device,
            "threads": torch.get_num_threads() if hasattr(torch, "get_num_threads") else None,
        }
        hello, _ = self._exchange("at its start", None, (), start_timeout_s)
        if hello.get("hello") != HELLO:
            raise self._fail(f"{self._name} cannot be started: its process does not answer as ours does")
        answer, _ = self._exchange("while it was constructed", request, (), start_timeout_s)
        self._accept(answer)

    def __repr__(self) -> str:
        return f"IsolatedAdapter({self._name}, {self._ended or f'process {self._connection.pid}'})"

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            if name in self._attributes:
                return self._attributes[name]
            if name in self._methods:
                return partial(self._call, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, and all processes that it started."""
        self._ended = self._ended or f"{self._name} is closed"
        self._finalizer()

    def _call(self, method: str, waveforms: Sequence[Waveform]) -> NDArray[np.floating[Any]]:
        """Answer to waveforms, float32 (n_samples,): of any shape, float32 or float64.

        Raises:
            BadModel: it failed, or had failed before.
            MemoryError: there are too many of them for the memory.
        """
        arrays = [np.ascontiguousarray(waveform, dtype=np.float32) for waveform in waveforms]
        if not arrays or any(array.ndim != 1 for array in arrays):
            raise ValueError("expected one waveform or more, each (n_samples,)")
        request = {"call": method, "lengths": [len(array) for array in arrays]}
        answer, array = self._exchange(f"in {method}", request, arrays, self._timeout_s)
        if array is not None:
            return array
        if answer.get("is_full") is True and isinstance(answer.get("error"), str):
            raise MemoryError(
                f"{self._name} runs out of memory with {plural(len(arrays), 'waveform')}: {answer['error']}"
            )
        raise self._fail(f"{self._name} failed in {method}: {_text(answer.get('error'))}")

    def _accept(self, answer: dict[str, Any]) -> None:
        """Take over what it is."""
        if "error" in answer:
            phase = _PHASES.get(str(answer.get("phase")), "cannot be used")
            error = _text(answer["error"])
            needs = "; do the requirements name that package?" if "ModuleNotFoundError" in error else ""
            raise self._fail(f"{self._name} {phase}: {error}{needs}")
        attributes, methods = answer.get("attributes"), answer.get("methods")
        packages, modules = answer.get("packages"), answer.get("modules")
        if not (
            isinstance(attributes, dict)
            and set(attributes) <= set(ATTRIBUTES)
            and all(_is_plain(value) for value in attributes.values())
            and isinstance(methods, list)
            and isinstance(packages, dict)
            and all(isinstance(version, str) for version in packages.values())
            and isinstance(modules, list)
            and all(isinstance(path, str) for path in modules)
        ):
            raise self._fail(f"{self._name} cannot be used: its process sent attributes of a wrong form")
        self._n_classes = n_classes(attributes)
        weights = attributes.get("weights")
        if isinstance(weights, list):
            attributes["weights"] = [Path(path) if isinstance(path, str) else path for path in weights]
        self._attributes = {
            name: tuple(value) if isinstance(value, list) else value for name, value in attributes.items()
        }
        seconds = self._attributes.pop("timeout_seconds", None)
        if isinstance(seconds, int | float) and seconds > 0:
            self._timeout_s = float(seconds)
        self._methods = tuple(name for name in METHODS if name in methods)
        self.packages, self.modules = packages, [Path(path) for path in modules]
        self.takes_device = answer.get("takes_device") is True

    # ---- the pipe --------------------------------------------------------------------------------------

    def _exchange(
        self,
        when: str,
        request: dict[str, Any] | None,
        arrays: Sequence[NDArray[np.float32]],
        seconds: float,
    ) -> tuple[dict[str, Any], NDArray[np.floating[Any]] | None]:
        """Header of the answer to a request, and its array where it has one."""
        with self._lock:
            if self._ended:
                raise BadModel(self._ended)
            if not self._connection.is_ours:
                raise RuntimeError(f"{self._name} belongs to the process that opened it")
            deadline = time.monotonic() + seconds
            try:
                if request is not None:
                    header = json.dumps({**request, "seconds": seconds}).encode()
                    self._connection.write(struct.pack(">I", len(header)) + header, deadline)
                    for array in arrays:
                        if len(array):
                            self._connection.write(array.data.cast("B"), deadline)
                return self._receive(len(arrays), deadline)
            except TimeoutError:
                line = (
                    f"{self._name} did not answer within {seconds:g} s {when}; is it slow, or does it hang?"
                )
                raise self._fail(line) from None
            except (EOFError, OSError):
                raise self._fail(f"{self._name} {self._connection.how_it_ended(when)}") from None
            except (ValueError, OverflowError, RecursionError):
                raise self._fail(f"{self._name} sent something that is no answer {when}") from None
            except BaseException:
                # Ctrl-C: what it answers next would be taken for the answer to another call.
                self._fail(f"{self._name} was interrupted")
                raise

    def _receive(self, n: int, deadline: float) -> tuple[dict[str, Any], NDArray[np.floating[Any]] | None]:
        """Header and array of an answer about `n` waveforms; nothing larger than that takes is read."""
        (length,) = struct.unpack(">I", self._connection.read(4, deadline))
        if length > MAX_HEADER:
            raise ValueError
        header = json.loads(self._connection.read(length, deadline))
        if not isinstance(header, dict):
            raise ValueError
        if "shape" not in header:
            return header, None
        shape, kind = header["shape"], header.get("dtype")
        is_shape = (
            isinstance(shape, list) and len(shape) <= 8 and all(type(k) is int and k >= 0 for k in shape)
        )
        if not n or not is_shape or kind not in ("float32", "float64"):
            raise ValueError
        if (size := math.prod(shape)) > n_numbers(n, self._n_classes):
            raise self._fail(
                f"{self._name} gave an array of shape {tuple(shape)} for {plural(n, 'waveform')} and"
                f" {plural(self._n_classes, 'class')}"
            )
        array = np.empty(size, dtype=kind)
        if size:
            self._connection.read_into(array.data.cast("B"), deadline)
        return header, array.reshape(shape)

    def _fail(self, line: str) -> BadModel:
        """End it for good; the error to raise."""
        self._ended = self._ended or line
        self._connection.end(0)
        return BadModel(line)


def _is_plain(value: Any) -> bool:
    scalar = str | int | float | None
    return isinstance(value, scalar) or (
        isinstance(value, list) and all(isinstance(item, scalar) for item in value)
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else "an error without a message"
