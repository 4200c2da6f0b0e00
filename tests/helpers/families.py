"""The families that suites of tests have, the headline first."""

from harness.families import parse_family

FAMILIES = HEADLINE, MINIMAL = ("responsibility@bands32", "minimal@bins")
"""Of small suites."""

STARTER_FAMILIES = (HEADLINE, "responsibility@tiles8x16", MINIMAL)
"""Of the starter suite."""

SURVIVAL = (1.0, 1.0, 0.75, 0.25)
"""What hand-made signals say of the completions that are checked."""


def n_atoms(family: str, n_samples: int, sample_rate_hz: int = 16_000) -> int:
    """Atoms of a clip."""
    return len(parse_family(family).resolution.atoms(n_samples, sample_rate_hz))
