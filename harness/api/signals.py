"""Shows and plays clips and signals in a notebook."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path

from harness import notebook
from harness.errors import BadInput
from harness.number_format import number
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
    """Sound with buttons to play it, in a notebook; it is played at a peak of one half of full scale."""

    waveform: Waveform
    """(n_samples,) float32."""
    sample_rate_hz: int
    """Its rate."""

    def plot(self, loudest: Player | None = None) -> Picture:
        """Its spectrogram, 75 dB from the loudest point down to what is shown as silence.

        Args:
            loudest: the sound whose loudest point the scale begins at, so that several pictures can be
                compared; without it this one.

        Raises:
            BadInput: the two have different rates.

        Examples:
            >>> signal = suite.signals("emotion", "starter-emotion-ast")[0]
            >>> signal.play().plot(loudest=signal.play_clip())
            Picture(...)
        """
        from leaderboard.plots import spectrogram

        rate = self.sample_rate_hz
        if loudest is not None and loudest.sample_rate_hz != rate:
            raise BadInput(f"a sound at {loudest.sample_rate_hz:,} Hz; expected one at {rate:,} Hz")
        return Picture(
            spectrogram.with_axes(self.waveform, rate, None if loudest is None else loudest.waveform)
        )

    def _repr_html_(self) -> str:
        from harness import audio

        data, gain_db = audio.encode_listenable(self.waveform, self.sample_rate_hz)
        source = f"data:audio/wav;base64,{base64.b64encode(data).decode()}"
        gain = f"played at {number(gain_db, 1, signed=True)} dB"
        return f'<audio controls src="{source}" style="vertical-align:middle"></audio> <small>{gain}</small>'

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
        """The clip, with what the signal keeps of it highlighted.

        Bins and bands are drawn over its spectrum, blocks and tiles over its spectrogram.
        """
        from leaderboard.plots.signals import signal_picture

        return Picture(signal_picture(self.clip, self.record, alone=True))

    def __repr__(self) -> str:
        return repr(self.record).removeprefix("Sufficient")

    def _repr_html_(self) -> str:
        return f"{notebook.line(repr(self))}{self.plot().svg}{self.play()._repr_html_()}"
