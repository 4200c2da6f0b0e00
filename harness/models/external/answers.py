"""What comes back from an adapter: an array of floats, or an exception in one line.

Stands on numpy and Python 3.8: the worker loads it by path, and the same functions serve an adapter in this
process, so that both give the same answers.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_FULL = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("resource_exhausted", "oom when allocating", "failed to allocate memory"),
)
"""Messages of torch about a device and a processor; of TensorFlow, JAX and onnxruntime."""


def ask(method: Callable[[list[Any]], Any], waveforms: list[Any]) -> Any:
    """Answer of `logits` or `scores` as float32 or float64, of any shape; torch is asked for no slopes.

    Raises:
        TypeError: it is no array of numbers.
        Exception: what the adapter raised.
    """
    with _torch_settings():
        return as_floats(method(waveforms))


def as_floats(answer: Any) -> Any:
    """An array, a tensor or nested lists as an array of float32, or of float64 where that is more exact.

    Raises:
        TypeError: it holds no numbers, or has no shape.
    """
    import numpy as np

    array = answer
    for name in ("detach", "cpu"):
        array = getattr(array, name, lambda unchanged=array: unchanged)()
    if str(getattr(array, "dtype", "")) == "torch.bfloat16":
        array = array.float()
    try:
        array = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"gave {type(answer).__name__} that is no array: {_one_line(error)}") from None
    if array.dtype.kind not in "fiub":
        what = f"an array of {array.dtype}" if isinstance(answer, np.ndarray) else type(answer).__name__
        raise TypeError(f"gave {what}; expected an array of numbers")
    is_single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    return np.ascontiguousarray(array, dtype=np.float32 if is_single else np.float64).reshape(array.shape)


@contextlib.contextmanager
def _torch_settings() -> Iterator[None]:
    torch: Any = sys.modules.get("torch")
    with contextlib.ExitStack() as stack:
        if hasattr(torch, "no_grad"):
            stack.enter_context(torch.no_grad())
            if torch.cuda.is_initialized():
                stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        yield


def is_full(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"}) or any(
        words in str(error).casefold() for words in _FULL
    )


def describe(error: BaseException, folder: Path) -> str:
    """Type, message and where below a folder it happened: `ValueError: no layer 3 (aasist.py, line 12)`."""
    here = os.path.realpath(folder) + os.sep
    lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    message = _one_line(error)
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno))
        message = error.msg
    own = [
        (os.path.realpath(file)[len(here) :], line)
        for file, line in lines
        if os.path.realpath(file).startswith(here) and "site-packages" not in file
    ]
    place = f" ({own[-1][0]}, line {own[-1][1]})" if own else ""
    return f"{type(error).__name__}{': ' if message else ''}{message}{place}"


def _one_line(error: BaseException) -> str:
    """The message without its line breaks, and at most 500 characters of it."""
    try:
        return " ".join(str(error).split())[:500]
    except Exception:  # its __str__ fails
        return ""
