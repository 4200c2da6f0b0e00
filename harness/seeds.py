"""Random generators that are seeded by item, not by process.

Every random choice is drawn from a generator seeded by the names of what it is about, so that it is the
same in any order, batch, worker or restart.
"""

import hashlib

import numpy as np


def seed_of(*names: str) -> int:
    """63-bit seed of an item, e.g. `seed_of("matched", signal_id)`."""
    digest = hashlib.sha256("\x1f".join(names).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*names: str) -> np.random.Generator:
    """Generator seeded by `seed_of(*names)`."""
    return np.random.default_rng(seed_of(*names))
