"""Measures how much of a clip reaches a model: part of a sound is changed, and the logits are compared.

Needed for models with custom code, which may cut a clip anywhere; for the others it checks that their stated
window is right.

The sounds are made of two values alone, one the negative of the other and as many of each, and what is
changed is their order. So mean, variance, peak and energy of the whole stay what they were, to the last bit,
and a feature extractor that normalises a whole clip does not let an end through that is cut off after it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from harness.model_facts import WindowPlace, window_start
from harness.seeds import generator
from harness.types import FloatArray, Waveform

SECONDS = (2, 8, 36)
"""Lengths of the sounds, one after the other until one has an end that is not heard: of a window of 30 s in
the middle, too, whose end lies before 15/16 of the last. Then comes one of twice that length: a model that
takes all whole pieces of a clip leaves a rest unheard, and has no window."""

_GRID = 100
"""Places a second at which a window may end."""
_VALUE = 0.125
_PITCHES = (80.0, 700.0, 3_000.0)
"""Hz of the square waves into which the two values are ordered."""
_RANDOM = 1e-3
"""Of what one sound and another move the logits by: what the same sound moves them by, at most."""
_FADED = 1e-4
"""Of what the whole moves the logits by: what the last tenth of a window moves them by at least, unless it is
not cut but counts less and less."""

Ask = Callable[[Waveform], NDArray[np.float32]]
"""(n_samples,) at the model's own rate -> (n_classes,)"""
_PLACES: MappingProxyType[str, WindowPlace] = MappingProxyType({"end": "start", "start": "end"})
"""Where a window lies, by the side of the clip that is not heard."""
_Change = Callable[[Waveform, FloatArray], Waveform]
"""Part of a sound, (n,), and its times in seconds, (n,) -> what is put in its place, (n,)."""


def measure(
    ask: Ask, rate: int, may_ask: Callable[[int], bool] = lambda n_samples: True
) -> tuple[float, WindowPlace] | None:
    """The window of a model, in seconds, rounded up to 10 ms, and where in a longer clip it lies.

    What the model raises means that it does not take a sound of this length; of a length that it may not be
    asked, that one and longer ones are left out.

    Returns:
        None where both ends are heard of every length that was tried, however little they count; also of a
        model that answers the same of everything, or something else each time.
    """
    for seconds in SECONDS:
        if not may_ask(seconds * rate):
            return None
        trial = _trial(ask, seconds, rate)
        if trial is None or trial.is_random:
            continue
        n, near_end = seconds * _GRID, round(_GRID * seconds * 15 / 16)
        sides = [side for side in ("end", "start") if not trial.hears(near_end, side)]
        if not sides:
            continue
        end_of_side = {side: trial.last_position(side) for side in sides}
        ends = [end for end in end_of_side.values() if end is not None]
        if len(ends) < len(sides):
            return None
        if len(sides) == 1:
            window = (ends[0] / _GRID, _PLACES[sides[0]])
        else:
            window = ((sum(ends) - n) / _GRID, "middle")
        longer = _trial(ask, 2 * seconds, rate) if may_ask(2 * seconds * rate) else None
        grows = longer is not None and any(longer.hears(longer.beyond(*window), side) for side in sides)
        return None if grows else window
    return None


def usual_seconds(rate: int, min_samples: int) -> float:
    """Length of the sound by which a model without a window is checked: 2 s, or the shortest it takes."""
    return max(2.0, min_samples / rate)


def holds(
    ask: Ask, rate: int, seconds: float | None, place: WindowPlace, min_samples: int = 1
) -> tuple[bool, bool]:
    """Check a stated window, of so many seconds or None for any, and its place in a longer clip.

    Returns:
        whether the last quarter of the window moves the logits, of a sound of `usual_seconds` where there is
        no window; whether anything does that lies outside.
    """
    inside = round((usual_seconds(rate, min_samples) if seconds is None else seconds) * rate)
    n_samples = inside if seconds is None else max(inside + rate, min_samples)
    sound, times = _two_values(n_samples), np.arange(n_samples) / rate
    first = window_start(n_samples, inside, place)
    # A window that is rounded up, in the middle, is so on either side.
    slack = rate // _GRID if place == "middle" else 0

    def changes_answer(start: int, stop: int, change: _Change) -> bool:
        variant = sound.copy()
        variant[start:stop] = change(sound[start:stop], times[start:stop])
        return not np.array_equal(ask(variant), answer)

    answer = ask(sound)
    order, gain = _ORDERS[1], _GAINS[0]
    quarter = (first + inside - inside // 4, first + inside)
    outside = [(0, first - slack), (first + inside + slack, n_samples)]
    outside_counts = any(changes_answer(*part, order) for part in outside if part[1] > part[0])
    return changes_answer(*quarter, order) or changes_answer(*quarter, gain), outside_counts


def _two_values(n_samples: int) -> Waveform:
    """Noise of two values, as many of one as of the other."""
    noise = np.full(n_samples, _VALUE, dtype=np.float32)
    noise[: n_samples // 2] = -_VALUE
    return np.asarray(generator("window", str(n_samples)).permutation(noise))


def _trial(ask: Ask, seconds: int, rate: int) -> _Trial | None:
    """A trial; None where the model does not take sounds of this length, whatever its own code raises."""
    try:
        return _Trial(ask, seconds, rate)
    except Exception:
        return None


class _Trial:
    """Two sounds of one length, and how the answers to them move when parts are changed."""

    def __init__(self, ask: Ask, seconds: int, rate: int) -> None:
        n_samples = seconds * rate
        noise = _two_values(n_samples)
        self._ask, self._rate, self._seconds = ask, rate, seconds
        self._times = np.arange(n_samples) / rate
        self._sounds = (noise, _square_wave(_PITCHES[1])(noise, self._times))
        self._answers = [ask(sound) for sound in self._sounds]
        self._noise = float(np.abs(ask(noise) - self._answers[0]).max())
        spread = float(np.abs(self._answers[1] - self._answers[0]).max())
        self.is_random = self._noise > _RANDOM * spread
        """Whether it says something else of the same sound."""
        self._changes: list[tuple[int, _Change]] = list(product((0, 1), _ORDERS))
        # A model that hears no more than how loud it is does not notice another order.
        if not self.hears(0):
            self._changes = list(product((0, 1), _GAINS))

    def hears(self, position: int, side: str = "end") -> bool:
        """Whether what lies beyond this place of the grid, counted from the other side, moves the logits."""
        return any(self._moves(position, side, change) > self._noise for change in self._changes)

    def beyond(self, seconds: float, place: WindowPlace) -> int:
        """The first place of the grid that is beyond a window, counted from the side that is heard.

        In the middle it is as far from either side.
        """
        n_inside = round(seconds * _GRID)
        if place != "middle":
            return n_inside
        return (self._seconds * _GRID + n_inside) // 2 + 1

    def last_position(self, side: str) -> int | None:
        """The first place of the grid beyond which nothing is heard; None if there is none."""
        moves = [self._moves(0, side, change) for change in self._changes]
        if max(moves) <= self._noise:
            return None
        strongest = self._changes[int(np.argmax(moves))]
        position = self._search_position(
            lambda position: self._moves(position, side, strongest) > self._noise
        )
        if self.hears(position, side):
            position = self._search_position(lambda position: self.hears(position, side))
        start = position - position // 10 - 1
        last_tenth = max(self._moves(start, side, change, position) for change in self._changes)
        return position if last_tenth > _FADED * max(moves) else None

    def _search_position(self, is_heard: Callable[[int], bool]) -> int:
        low, high = 0, self._seconds * _GRID
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if is_heard(middle) else (low, middle)
        return high

    def _moves(self, position: int, side: str, change: tuple[int, _Change], end: int | None = None) -> float:
        """The most that a logit moves when a sound is changed from one place of the grid to another."""
        i, transform = change
        n_samples = len(self._times)
        start = position * self._rate // _GRID
        stop = n_samples if end is None else end * self._rate // _GRID
        part = slice(start, stop) if side == "end" else slice(n_samples - stop, n_samples - start)
        sound = self._sounds[i].copy()
        sound[part] = transform(sound[part], self._times[part])
        return float(np.abs(self._ask(sound) - self._answers[i]).max())


def _square_wave(pitch: float) -> _Change:
    """The same values in the order of a square wave."""

    def order(part: Waveform, times: FloatArray) -> Waveform:
        wave = np.empty_like(part)
        wave[np.argsort(np.sin(2 * np.pi * pitch * times), kind="stable")] = np.sort(part)
        return wave

    return order


def _shuffle(part: Waveform, times: FloatArray) -> Waveform:
    return np.asarray(generator("window", "shuffled").permutation(part))


_ORDERS: tuple[_Change, ...] = (*map(_square_wave, _PITCHES), _shuffle)
_GAINS: tuple[_Change, ...] = (
    lambda part, times: np.asarray(8 * part, dtype=np.float32),
    lambda part, times: np.zeros_like(part),
)
