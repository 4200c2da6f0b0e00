"""Devices: what depends on where a model runs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadInput
from harness.types import Mask, Waveform

if TYPE_CHECKING:
    import torch

_FULL = ("out of memory", "can't allocate memory", "not enough memory")
"""Messages of torch about a device, and about a processor on Linux and on Windows."""


def find(name: str | None) -> str:
    """A device, as torch names it; a CUDA card if there is one, else the processor, when None.

    Raises:
        BadInput: there is no such device.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.ones(1, device=name).cpu()  # the latter fails on `meta`
    except (RuntimeError, AssertionError, NotImplementedError):
        raise BadInput(f"no device {name!r} here; use --device cpu") from None
    return name


def exact(device: str) -> contextlib.AbstractContextManager[None]:
    """Convolutions in float32 proper: TF32, the default on NVIDIA cards, keeps 10 bits of each factor."""
    import torch

    if device.startswith("cuda"):
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return contextlib.nullcontext()


def keep(X: NDArray[np.complex128], masks: Mask, n_samples: int, device: str) -> torch.Tensor:
    """`fft.keep` in torch: (N,) spectrum and (m, N) kept bins -> (m, n_samples) float32 on the device."""
    import torch

    spectrum, bins = send(torch.from_numpy(X), device), send(torch.from_numpy(masks), device)
    waveforms: torch.Tensor = torch.fft.irfft(torch.where(bins, spectrum, 0), n_samples).float()
    return waveforms


def stack(waveforms: Sequence[Waveform | torch.Tensor], device: str) -> torch.Tensor:
    """Waveforms of one length, in memory or on the device, as (n, n_samples) on the device."""
    import torch

    if all(isinstance(waveform, np.ndarray) for waveform in waveforms):
        return send(torch.from_numpy(np.stack(waveforms)), device)
    return torch.stack([torch.as_tensor(waveform).to(device) for waveform in waveforms])


def send(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """A tensor on a device; to a card from pinned memory, so that nothing waits until it is there."""
    return (
        tensor.pin_memory().to(device, non_blocking=True) if device.startswith("cuda") else tensor.to(device)
    )


def is_full(error: Exception) -> bool:
    """Whether an error says that memory ran out."""
    import torch

    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or any(words in str(error) for words in _FULL)
