"""Resolutions by name: which domain, and how its coefficients are grouped into atoms.

`bins` are the single bins of the FFT (the paper's), `bands128` 128 bands evenly spaced in log frequency,
`mel128` and `erb128` the same on those scales; `blocks20ms` are blocks of 10 ms, two and two; `tiles8x16` are
8 frames by 16 coefficients of the MDCT.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from harness.domains.atoms import Atoms, Domain, every
from harness.domains.frequency import SCALES, Frequency
from harness.domains.time import BLOCK_S, Time
from harness.domains.time_frequency import TimeFrequency
from harness.errors import BadInput, likely
from harness.plurals import plural

DOMAINS: MappingProxyType[str, Callable[[int, int], Domain]] = MappingProxyType(
    {domain.name: domain for domain in (Frequency, Time, TimeFrequency)}
)
"""Domains by name; each is made for a number of samples and a rate in Hz."""

_MOST = 10_000_000
"""Largest number that a name may hold."""

_LEAST_BANDS = 2
"""A single band would be the whole clip."""

_EXAMPLES = ("bins", "bands128", "mel64", "erb64", "blocks10ms", "tiles8x16")


@dataclass(frozen=True)
class Resolution:
    """The atoms of clips of any length."""

    name: str
    """As `parse` reads it."""
    domain: str
    """One of DOMAINS."""
    sizes: tuple[int, ...]
    """The numbers in its name: bands, ms, or frames and coefficients."""

    def __str__(self) -> str:
        return self.name

    @property
    def n_bands(self) -> int:
        """Bands that the whole spectrum is cut into; 0 where it is not cut into bands."""
        return self.sizes[0] if self.domain == Frequency.name and self.sizes else 0

    @property
    def atom(self) -> str:
        """What one of its atoms is called."""
        if self.domain == Frequency.name:
            return "band" if self.sizes else "bin"
        return "block" if self.domain == Time.name else "tile"

    def count(self, n: int) -> str:
        """So many of its atoms, in words: `1 band`, `12 tiles`."""
        return plural(n, self.atom)

    def atoms(self, n_samples: int, sample_rate_hz: int) -> Atoms:
        """The atoms of clips of one length."""
        if self.domain == Time.name:
            time = Time(n_samples, sample_rate_hz)
            blocks = self.sizes[0] // _BLOCK_MS
            return Atoms(time, every(time.shape[0], blocks), every(1, 1))
        if self.domain == TimeFrequency.name:
            tiles = TimeFrequency(n_samples, sample_rate_hz)
            n_frames, n_coefficients = self.sizes
            return Atoms(tiles, every(tiles.shape[0], n_frames), every(tiles.shape[1], n_coefficients))
        frequency = Frequency(n_samples, sample_rate_hz)
        if self.name == "bins":
            return Atoms(frequency, every(1, 1), every(frequency.shape[1], 1))
        scale = SCALES[self.name.rstrip("0123456789")]
        return Atoms(frequency, every(1, 1), scale(frequency, self.sizes[0]))


def parse(name: str) -> Resolution:
    """A resolution by its name.

    Raises:
        BadInput: no resolution is called so.
    """
    if name == "bins":
        return Resolution(name, Frequency.name, ())
    for pattern, domain in _PATTERNS.items():
        if (match := re.fullmatch(pattern, name, re.ASCII)) is None:
            continue
        sizes = tuple(map(int, match.groups()))
        if max(sizes) > _MOST:
            raise BadInput(f"resolution {name!r}: expected numbers of at most {_MOST:,}")
        if domain == Frequency.name and sizes[0] < _LEAST_BANDS:
            raise BadInput(f"resolution {name!r}: expected {_LEAST_BANDS} bands or more")
        if domain == Time.name and sizes[0] % _BLOCK_MS:
            raise BadInput(f"resolution {name!r}: blocks are multiples of {_BLOCK_MS} ms")
        return Resolution(name, domain, sizes)
    hint = f"examples: {', '.join(_EXAMPLES)}{likely(name, _EXAMPLES)}"
    raise BadInput(f"no resolution is called {name!r}; {hint}")


_BLOCK_MS = round(1000 * BLOCK_S)

_PATTERNS = MappingProxyType(
    {
        f"(?:{'|'.join(SCALES)})([1-9][0-9]{{0,7}})": Frequency.name,
        "blocks([1-9][0-9]{0,7})ms": Time.name,
        "tiles([1-9][0-9]{0,7})x([1-9][0-9]{0,7})": TimeFrequency.name,
    }
)
