"""Making a sufficient set of atoms smaller until nothing of it can go.

Three ways, one after the other: the shortest sufficient prefix of a ranking; progression, which finds the
needed atoms one by one; the certificate, for which every atom is left out once. Acceptance is not monotone (a
larger mask may fail where a smaller one passes): each step starts from a mask that was asked and passed, and
only the certificate proves anything.

Conventions: atoms are named by index, in arrays with the most important first. Every function is a part of a
search (`search.Asking`): it asks masks in batches, whose number is the depth of the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from harness.extract.search import Asking, Order, R, mask_of, prefix_sizes


def shortest_prefix(
    orders: Sequence[Order],
    n_atoms: int,
    *,
    growth: float = 1.15,
    at_once: int = 16,
    least: int = 1,
    most: int | None = None,
) -> Asking[Order | None]:
    """The shortest sufficient prefix of one ranking or several, on the grid of `prefix_sizes`.

    The grid is walked from below, `at_once` sizes of each ranking in a batch. Bisection would be cheaper and
    wrong: along a ranking the class may flip more than once.

    Args:
        orders: the same atoms in each, together sufficient; of equal sizes the first ranking's wins.
        n_atoms: length of a mask.
        growth: from one size to the next.
        at_once: sizes in a batch.
        least: the shortest that is asked.
        most: the longest that is wanted; everything when None.

    Returns:
        None where no prefix of at most `most` is sufficient.
    """
    sizes = prefix_sizes(len(orders[0]), growth)[:-1]
    sizes = sizes[sizes >= least]
    if most is not None:
        sizes = sizes[sizes <= most]
    for batch in _batches(sizes, at_once):
        masks = np.zeros((len(batch), len(orders), n_atoms), dtype=bool)
        for i, size in enumerate(batch):
            for j, order in enumerate(orders):
                masks[i, j, order[:size]] = True
        answers = yield masks.reshape(-1, n_atoms)
        if answers.any():
            i, j = divmod(int(np.argmax(answers)), len(orders))
            return orders[j][: batch[i]]
    return orders[0] if most is None or len(orders[0]) <= most else None


def progression(atoms: Order, n_atoms: int, size: int | None = None) -> Asking[Order]:
    """Find needed atoms one by one: each is the last of the shortest prefix that passes with those before.

    Source: Marques-Silva, Janota, Belov, *Minimal Sets over Monotone Predicates in Boolean Formulae* (CAV
    2013); the sizes of the steps as in generalized binary splitting (Hwang, *A Method for Detecting All
    Defective Members in a Population by Group Testing*, JASA 67(339), 1972). The least important atoms go
    first, in steps that double; one that fails is cut in halves; the next step is as long as the last gap
    between two needed atoms. Such an atom costs about twice the binary logarithm of that gap.

    Args:
        atoms: atoms of a sufficient mask.
        n_atoms: length of a mask.
        size: atoms of the first step; half of them when None.

    Returns:
        The needed atoms in the order in which they were found, together sufficient. Without monotony one of
        them may be needed no longer: `certify`.
    """
    needed, others = atoms[:0], atoms
    step = max(1, len(atoms) // 2) if size is None else size
    while len(others):
        fails, passes = -1, len(others)
        while passes - fails > 1:
            middle = (fails + passes) // 2 if fails >= 0 else max(0, passes - step)
            answers = yield mask_of(np.append(needed, others[:middle]), n_atoms)[None]
            if not answers[0]:
                fails = middle
            else:
                passes, step = middle, 2 * step
        step = max(1, len(others) - passes)
        needed, others = np.append(needed, others[passes - 1 : passes]), others[: max(0, passes - 1)]
    return needed


def certify(atoms: Order, n_atoms: int, at_once: int = 8) -> Asking[Order]:
    """Leave out one atom after the other, round and round, until each failed to go since the last that went.

    Args:
        atoms: atoms of a sufficient mask; the last is left out first.
        n_atoms: length of a mask.
        at_once: atoms in a batch, each left out alone; once one can go, those after it are asked again.

    Returns:
        Atoms in the same order: a sufficient mask of which no single atom can be left out.
    """
    at, n_failed = len(atoms) - 1, 0
    while n_failed < len(atoms):
        turn = [(at - i) % len(atoms) for i in range(min(at_once, len(atoms) - n_failed))]
        answers = yield np.stack([mask_of(np.delete(atoms, i), n_atoms) for i in turn])
        if answers.any():
            last = turn[int(np.argmax(answers))]
            atoms, n_failed = np.delete(atoms, last), 0
        else:
            last = turn[-1]
            n_failed += len(turn)
        at = last - 1
    return atoms


def first_sufficient(sets: Sequence[Order], n_atoms: int, at_once: int = 4) -> Asking[Order | None]:
    """The first of some sets of atoms that is sufficient, if any; `at_once` are asked in a batch."""
    for i in range(0, len(sets), at_once):
        answers = yield np.stack([mask_of(atoms, n_atoms) for atoms in sets[i : i + at_once]])
        if answers.any():
            return sets[i + int(np.argmax(answers))]
    return None


def in_pieces(search: Asking[R], piece: Order) -> Asking[R]:
    """A part of a search that works on pieces, each of many atoms.

    Args:
        search: what asks masks over pieces.
        piece: (n_atoms,) the piece of each atom; -1 for an atom that is left out.
    """
    masks = next(search)
    while True:
        answers = yield np.pad(masks, ((0, 0), (0, 1)))[:, piece]
        try:
            masks = search.send(answers)
        except StopIteration as stop:
            return cast(R, stop.value)


def _batches(items: Order, at_once: int) -> list[Order]:
    return np.split(items, range(at_once, len(items), at_once))
