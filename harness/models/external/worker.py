"""The other end of `isolated`: runs an adapter in an environment of its own, and answers calls by two pipes.

A script of its own, on numpy and Python 3.8: it is started by path, where nothing of this package is known. A
frame is four bytes, the length of a header, big-endian; the header, JSON; and the floats that the header
announces, as the machine stores them. Nothing is unpickled on either side.

    <- {"hello": 1}
    -> {"file", "class", "arguments", "device", "threads", "seconds"}
    <- {"attributes", "methods", "modules", "packages"}
    -> {"call": "logits", "lengths": [n, ...], "seconds"}, and float32 of all waveforms, one after the other
    <- {"shape": [n, c], "dtype": "float32"}, and the array; where it is larger than `n_numbers`, without it

In place of an answer there may be {"error", "phase", "is_full"}.

The adapter has /dev/null as its input, and the error output as its output: nothing that it, its libraries or
its children print gets between the frames. The worker ends when its input does.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import os
import select
import signal
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

HELLO = 1
"""Version of the protocol."""
MAX_HEADER = 2**20
"""Bytes."""
MAX_EXTRA = 4096
"""Numbers that an answer of a wrong shape may have above twice those that were asked for."""
ATTRIBUTES = (
    *("class_names", "sample_rate_hz", "min_samples", "window_seconds", "fixed_length", "weights", "prompts"),
    *("name", "timeout_seconds", "kind", "n_parameters", "licence", "trained_on"),
    *("threshold", "above", "threshold_source"),
)
"""Of an adapter, those that are sent where it has them."""
METHODS = ("logits", "scores")

_GRACE = 2.0
"""Seconds that the adapter has to end in when the pipe is closed."""


def n_classes(attributes: dict[str, Any]) -> int:
    """How many classes an adapter names."""
    names = attributes.get("class_names")
    return len(names) if isinstance(names, list) else 0


def n_numbers(n_waveforms: int, n_classes: int) -> int:
    """How many numbers an answer may have, at most, so that one of a wrong shape can still be looked at."""
    return 2 * n_waveforms * n_classes + MAX_EXTRA


class _Pipe:
    """Frames in, frames out."""

    def __init__(self) -> None:
        """Take the standard input and output from everything else."""
        self._in, self._out = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(line_buffering=True)
        threading.Thread(target=self._end_with_parent, daemon=True).start()

    def _end_with_parent(self) -> None:
        """End this process and those it started soon after the other end is closed, whatever it is doing."""
        poll = select.poll()
        poll.register(self._in, 0)  # a hang-up is always reported
        poll.poll()
        time.sleep(_GRACE)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    def read_into(self, view: memoryview) -> None:
        """Fill a buffer of bytes.

        Raises:
            EOFError: the other end is closed.
        """
        while view:
            n = os.readv(self._in, [view])
            if n == 0:
                raise EOFError
            view = view[n:]

    def read_header(self) -> dict[str, Any]:
        length = bytearray(4)
        self.read_into(memoryview(length))
        header = bytearray(struct.unpack(">I", length)[0])
        self.read_into(memoryview(header))
        return dict(json.loads(header.decode()))

    def write(self, header: dict[str, Any], data: memoryview | bytes = b"") -> None:
        text = json.dumps(header).encode()
        for part in (struct.pack(">I", len(text)) + text, data):
            view = memoryview(part).cast("B")
            while view:
                view = view[os.write(self._out, view) :]


def _beside(name: str) -> Any:
    """A module beside this script, under a name that is that of no package."""
    path = Path(__file__).resolve().with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"_goodenough_{name}", str(path))
    assert spec is not None  # noqa: S101 - for the types
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


class Failure(Exception):
    """What is sent in place of an answer."""

    def __init__(self, phase: str, text: str, *, is_full: bool = False):
        """Take when it happened (import, arguments, init, attributes, call) and what, in one line."""
        super().__init__(text)
        self.header = {"error": text, "phase": phase, "is_full": is_full}


class _Worker:
    def __init__(self, pipe: _Pipe) -> None:
        self.pipe = pipe
        self.answers = _beside("answers")
        self.adapter: Any = None
        self.n_classes = 0
        self.folder = Path()

    def open(self, request: dict[str, Any]) -> dict[str, Any]:
        """Construct the adapter; what it is.

        Raises:
            Failure: it cannot be.
        """
        imports, arguments = _beside("imports"), _beside("arguments")
        file, class_name = Path(request["file"]), request["class"]
        self.folder = file.parent
        phase = "import"
        try:
            import numpy as np  # noqa: F401 - without it nothing can be asked

            module = imports.import_file(file)
            phase = "arguments"
            if not callable(adapter := getattr(module, class_name, None)):
                raise Failure(
                    phase, f"{file.name} has no class {class_name}{_near(class_name, vars(module))}"
                )
            try:
                signature = arguments.signature_of(adapter)
                values = arguments.convert(request["arguments"], signature, request["device"])
            except ValueError as error:
                raise Failure(phase, str(error)) from None
            self._limit_threads(request["threads"])
            phase = "init"
            self.adapter = adapter(**values)
            self._limit_threads(request["threads"])
            phase = "attributes"
            modules, packages = imports.imported_packages(file)
            attributes = self._attributes()
            self.n_classes = n_classes(attributes)
            answer = {
                "attributes": attributes,
                "methods": [name for name in METHODS if hasattr(self.adapter, name)],
                "modules": [str(path) for path in modules],
                "packages": packages,
                "takes_device": "device" in values,
            }
            if (n := len(json.dumps(answer))) > MAX_HEADER:
                raise Failure(phase, f"its attributes take {n:,} bytes; expected at most {MAX_HEADER:,}")
            return answer
        except Failure:
            raise
        except BaseException as error:
            text = self.answers.describe(error, self.folder)
            raise Failure(phase, text, is_full=self.answers.is_full(error)) from None

    def _attributes(self) -> dict[str, Any]:
        values = {}
        for name in ATTRIBUTES:
            if hasattr(self.adapter, name):
                values[name] = _plain(name, getattr(self.adapter, name))
        if isinstance(values.get("weights"), list):
            values["weights"] = [os.path.abspath(self.folder / str(path)) for path in values["weights"]]
        return values

    @staticmethod
    def _limit_threads(n: int | None) -> None:
        """As many threads of torch as the parent has: sums of as many parts have the same last bit."""
        torch: Any = sys.modules.get("torch")
        if n is not None and hasattr(torch, "set_num_threads") and torch.get_num_threads() != n:
            torch.set_num_threads(n)

    def call(self, request: dict[str, Any]) -> Any:
        """Ask the adapter.

        Raises:
            Failure: it raised something, or gave no array.
        """
        import numpy as np

        waveforms = [np.empty(n, dtype=np.float32) for n in request["lengths"]]
        for waveform in waveforms:
            if len(waveform):
                self.pipe.read_into(memoryview(waveform.data).cast("B"))
        try:
            return self.answers.ask(getattr(self.adapter, request["call"]), waveforms)
        except BaseException as error:
            is_full = self.answers.is_full(error)
            text = self.answers.describe(error, self.folder)
        torch: Any = sys.modules.get("torch")
        if is_full and hasattr(torch, "cuda"):
            torch.cuda.empty_cache()
        raise Failure("call", text, is_full=is_full)


def _near(name: str, known: Any) -> str:
    import difflib

    near = difflib.get_close_matches(name, [each for each in known if isinstance(known[each], type)], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _plain(name: str, value: Any) -> Any:
    """A value as JSON has it: text, a number, true, null, or a list of them."""
    if hasattr(value, "tolist"):
        value = value.tolist()  # numpy, torch
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        items = [_plain(name, item) for item in value]
        if not any(isinstance(item, list) for item in items):
            return items
    raise TypeError(f"{name} is a {type(value).__name__}; expected text, a number, or a list of them")


def main() -> None:
    """Answer until the other end is closed."""
    pipe = _Pipe()
    pipe.write({"hello": HELLO})
    with open(os.devnull, "w") as null:
        worker = _Worker(pipe)
        while True:
            try:
                request = pipe.read_header()
            except EOFError:
                return
            # Without the interpreter's lock, which the adapter may hold for ever while the parent is gone.
            faulthandler.dump_traceback_later(request["seconds"] + 5, exit=True, file=null)
            try:
                if "call" not in request:
                    pipe.write(worker.open(request))
                else:
                    array, n = worker.call(request), len(request["lengths"])
                    fits = 0 < array.size <= n_numbers(n, worker.n_classes)
                    header = {"shape": list(array.shape), "dtype": str(array.dtype)}
                    pipe.write(header, array.reshape(-1).data if fits else b"")
            except Failure as failure:
                pipe.write(failure.header)
            except EOFError:
                return
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
