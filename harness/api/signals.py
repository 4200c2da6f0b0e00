"""Shows and plays clips and signals in a notebook.

Public: Picture, Player, Signal.
"""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path

from harness import notebook
from harness.types import SufficientSignal, Waveform


@dataclasses.dataclass(frozen=True)
class Picture:
    """An SVG that a notebook shows."""

    svg: str
    """The picture."""

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Picture({len(self.svg) // 1000:,} kB of SVG)"

    def save(self, path: str | Path) -> None:
        """Write it to a file.

        Raises:
            BadInput: the file cannot be written.
        """
        from harness.journal import replace_file

        replace_file(Path(path), self.svg.encode())


@dataclasses.dataclass(frozen=True)
class Player:
    """Sound with buttons to play it, in a notebook."""

    waveform: Waveform
    """(n_samples,) float32."""
    sample_rate_hz: int
    """Its rate."""

    def _repr_html_(self) -> str:
        from harness import audio

        data, _ = audio.encode_listenable(self.waveform, self.sample_rate_hz)
        return f'<audio controls src="data:audio/wav;base64,{base64.b64encode(data).decode()}"></audio>'

    def __repr__(self) -> str:
        return f"Player({len(self.waveform) / self.sample_rate_hz:.2f} s at {self.sample_rate_hz:,} Hz)"


@dataclasses.dataclass(frozen=True)
class Signal:
    """A minimal sufficient signal with its sound and the clip that it is a part of."""

    record: SufficientSignal
    """The signal: mask, class, margin, how it was searched."""
    waveform: Waveform
    """(n_samples,) float32: what alone makes its reference give the class."""
    clip: Waveform
    """(n_samples,) float32: the whole clip."""

    def play(self) -> Player:
        """The signal, to listen to."""
        return Player(self.waveform, self.record.sample_rate_hz)

    def play_clip(self) -> Player:
        """The whole clip, to listen to."""
        return Player(self.clip, self.record.sample_rate_hz)

    def plot(self) -> Picture:
        """The spectrum of the clip, with the bins of the signal drawn over it."""
        from leaderboard.plots import inline

        return Picture(inline.spectrum_picture(self.clip, self.record.mask, self.record.sample_rate_hz))

    def __repr__(self) -> str:
        return repr(self.record).removeprefix("Sufficient")

    def _repr_html_(self) -> str:
        return f"{notebook.line(repr(self))}{self.plot().svg}{self.play()._repr_html_()}"
