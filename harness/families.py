"""Families of signals: what search made them, of which atoms, and what stood in for all other atoms.

A family is written KIND@RESOLUTION, `responsibility@bands32`, or KIND@RESOLUTION+COMPLETION where it is not
silence that stands in for the rest, `responsibility@bands32+noise:-40` (definitions: Families). Signals of
two families are never in one rate; which one is the headline of a task stands in the manifest of its suite.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

import numpy as np

from harness.completions import ZERO, Completion, parse_completion
from harness.domains import DOMAINS, Atoms, Resolution, parse
from harness.errors import BadInput, likely
from harness.types import Mask

RESPONSIBILITY, MINIMAL = KINDS = ("responsibility", "minimal")
"""Kinds of families: a prefix of a ranking by responsibility; a set of which nothing can be left out."""


SEARCH_KINDS = MappingProxyType(
    {"responsibility": RESPONSIBILITY, "minimal": MINIMAL, "gradient": MINIMAL},
)
"""The kind of the signals of each search, by its name."""

DEFAULT_RESOLUTIONS = MappingProxyType({"responsibility": "bands32", "minimal": "bins", "gradient": "bins"})
"""The resolution of each search where none is given."""


@dataclass(frozen=True)
class Family:
    """Signals that may be counted together."""

    kind: str
    """One of KINDS."""
    resolution: Resolution
    """The atoms that its signals are made of."""
    completion: Completion = ZERO
    """What stands in for the atoms that a signal does not keep."""

    def __str__(self) -> str:
        completion = "" if self.completion == ZERO else f"+{self.completion}"
        return f"{self.kind}@{self.resolution}{completion}"


class OfFamily(Protocol):
    """A signal, or a further set of a clip."""

    @property
    def family(self) -> str:
        """Its family, by name."""
        ...

    @property
    def n_samples(self) -> int:
        """Samples of its clip."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Their rate."""
        ...

    @property
    def mask(self) -> Mask:
        """(N,) the coefficients that it keeps."""
        ...


@lru_cache(maxsize=1024)
def parse_family(name: str) -> Family:
    """A family by its name.

    Raises:
        BadInput: no family is called so.
    """
    kind, at, rest = name.partition("@")
    resolution, plus, completion = rest.partition("+")
    if kind not in KINDS or not at or (plus and completion == str(ZERO)):
        raise BadInput(
            f"no family is called {name!r}; expected responsibility@ or minimal@ and a resolution,"
            " as in responsibility@bands32"
        )
    return Family(kind, parse(resolution), parse_completion(completion) if plus else ZERO)


def parse_search(text: str) -> tuple[str, Resolution]:
    """A search and its resolution, from NAME or NAME@RESOLUTION.

    Raises:
        BadInput: no search is called so, or no resolution.
    """
    name, at, resolution = text.partition("@")
    if name not in SEARCH_KINDS:
        known = ", ".join(SEARCH_KINDS)
        raise BadInput(f"no search named {name!r}; known: {known}{likely(name, SEARCH_KINDS)}")
    return name, parse(resolution if at else DEFAULT_RESOLUTIONS[name])


def family_of_search(text: str, completion: Completion = ZERO) -> str:
    """The family of the signals of a search, NAME or NAME@RESOLUTION.

    Raises:
        BadInput: see `parse_search`.
    """
    name, resolution = parse_search(text)
    return str(Family(SEARCH_KINDS[name], resolution, completion))


def is_family(name: str) -> bool:
    """Whether a family is called so."""
    try:
        parse_family(name)
    except BadInput:
        return False
    return True


def kind_of(family: str) -> str:
    """Kind of a family, by name."""
    return parse_family(family).kind


def atoms_of(record: OfFamily) -> Atoms:
    """The atoms of the clip that a signal or set is made of."""
    return parse_family(record.family).resolution.atoms(record.n_samples, record.sample_rate_hz)


def n_atoms_kept(record: OfFamily) -> int:
    """Atoms that a signal or set keeps."""
    atoms = atoms_of(record)
    return int((atoms.pool(record.mask.astype(np.float64)) > 0).sum())


def n_coefficients(family: str, n_samples: int, sample_rate_hz: int) -> int:
    """Length of the masks of a family, for clips of one length.

    Raises:
        BadInput: no family is called so.
    """
    n_rows, n_columns = DOMAINS[parse_family(family).resolution.domain](n_samples, sample_rate_hz).shape
    return n_rows * n_columns


def in_order(names: Iterable[str], headline: str) -> tuple[str, ...]:
    """Families by name, each once: the headline first, then by kind and name."""
    return tuple(sorted(set(names), key=lambda name: (name != headline, KINDS.index(kind_of(name)), name)))


def headline_of(names: Iterable[str]) -> str:
    """The family that ranks, of those that a task has when it is begun: the first one by responsibility."""
    families = list(names)
    return next((name for name in families if kind_of(name) == RESPONSIBILITY), families[0])
