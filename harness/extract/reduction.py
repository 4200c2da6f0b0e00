"""Making a sufficient set of atoms smaller until nothing of it can go.

Three ways, one after the other: the shortest sufficient prefix of a ranking; progression, which finds the
atoms of a small set one by one; delta debugging, which takes many away at a time and ends with every atom
left out once, which is the certificate. Acceptance is not monotone (a larger mask may fail where a smaller
one passes): each step starts from a mask that was asked and passed, and only the certificate proves anything.

Conventions: atoms are named by index, in arrays with the most important first. Every function is a part of a
search (`search.Asking`): it asks masks in batches, whose number is the depth of the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from harness.extract.search import Asking, Order, R, prefix_sizes
from harness.types import Mask

_AT_ONCE = 64
"""Masks in a batch of delta debugging."""

_FEW = 8
"""Prefixes in a batch of progression, from the smallest on."""

_PARTS = 8
"""Parts that progression cuts an interval of prefixes into, in a batch."""


def shortest_prefix(
    orders: Sequence[Order], n_atoms: int, *, growth: float = 1.15, at_once: int = 16, most: int | None = None
) -> Asking[Order | None]:
    """The shortest sufficient prefix of one ranking or several, on the grid of `prefix_sizes`.

    The grid is walked from below, `at_once` sizes of each ranking in a batch. Bisection would be cheaper and
    wrong: along a ranking the class may flip more than once.

    Args:
        orders: the same atoms in each, together sufficient; of equal sizes the first ranking's wins.
        n_atoms: length of a mask.
        growth: from one size to the next.
        at_once: sizes in a batch.
        most: the longest that is wanted; everything when None.

    Returns:
        None where no prefix of at most `most` is sufficient.
    """
    sizes = prefix_sizes(len(orders[0]), growth)[:-1]
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


def progression(atoms: Order, n_atoms: int, most: int) -> Asking[tuple[Order, Order]]:
    """Find needed atoms one by one: each is the last of the shortest prefix that passes with those before.

    Source: Marques-Silva, Janota, Belov, *Minimal Sets over Monotone Predicates in Boolean Formulae* (CAV
    2013). A needed atom costs about `3.3 * log2(its rank)` queries: the cheapest way to a set of few.
    Departure: an interval is cut into eight, not two: a third of the batches for more queries in each.

    Args:
        atoms: atoms of a sufficient mask.
        n_atoms: length of a mask.
        most: needed atoms after which to stop.

    Returns:
        The needed atoms, and others; together they are sufficient.
    """
    essential, others = atoms[:0], atoms
    while len(others) and len(essential) < most:
        fails, passes = -1, len(others)
        for batch in _batches(np.append(0, prefix_sizes(len(others), 2.0)[:-1]), _FEW):
            answers = yield _with_prefixes(essential, others, batch, n_atoms)
            if answers.any():
                first = int(np.argmax(answers))
                fails, passes = (int(batch[first - 1]) if first else fails), int(batch[first])
                break
            fails = int(batch[-1])
        while passes - fails > 1:
            grid = np.unique(np.linspace(fails, passes, _PARTS + 1)[1:-1].astype(np.int64))
            batch = grid[grid > fails]
            answers = yield _with_prefixes(essential, others, batch, n_atoms)
            ends = np.concatenate([[fails], batch, [passes]])
            first = int(np.argmax(np.append(answers, True)))
            fails, passes = int(ends[first]), int(ends[first + 1])
        if passes == 0:
            return essential, others[:0]
        essential, others = np.append(essential, others[passes - 1]), others[: passes - 1]
    return essential, others


def delta_debug(atoms: Order, n_atoms: int, *, size: int = 1, certify: bool = True) -> Asking[Order]:
    """Leave out chunks of atoms, then chunks of half the size, at last single atoms, until none can go.

    Source: Zeller & Hildebrandt, *Simplifying and Isolating Failure-Inducing Input* (IEEE TSE 28(2), 2002).
    Departure: the chunks of a size are left out in one batch, and of those that can go alone as many go as
    can go together, the least important first.

    Args:
        atoms: atoms of a sufficient mask.
        n_atoms: length of a mask.
        size: atoms of the first chunks.
        certify: go on until every atom was left out in vain; otherwise each is left out once.

    Returns:
        Atoms in the same order, together sufficient.
    """
    size = max(1, min(size, len(atoms) // 2))
    while True:
        chunk = np.arange(len(atoms))[::-1] // size
        atoms, is_smaller = yield from _leave_out(atoms, chunk, n_atoms)
        if size > 1:
            size //= 2
        elif not (is_smaller and certify):
            return atoms


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


def _leave_out(atoms: Order, chunk: Order, n_atoms: int) -> Asking[tuple[Order, bool]]:
    """Leave each chunk out once, the least important, 0, first; what is left, and whether that is less."""
    removable: list[int] = []
    for batch in _batches(np.arange(chunk.max() + 1), _AT_ONCE):
        answers = yield _masks_over(atoms, chunk != batch[:, None], n_atoms)
        removable += batch[answers].tolist()
    mask = np.ones(len(atoms), dtype=bool)
    while removable:
        halves = [removable[: len(removable) >> i] for i in range(len(removable).bit_length())]
        trials = mask & np.stack([~np.isin(chunk, half) for half in halves])
        answers = yield _masks_over(atoms, trials, n_atoms)
        if answers.any():
            largest = int(np.argmax(answers))
            mask, removable = trials[largest], removable[len(halves[largest]) :]
        else:
            removable = removable[1:]
    return atoms[mask], not mask.all()


def _batches(items: Order, at_once: int) -> list[Order]:
    return np.split(items, range(at_once, len(items), at_once))


def _with_prefixes(essential: Order, others: Order, sizes: Order, n_atoms: int) -> Mask:
    """(len(sizes), n_atoms) the needed atoms with prefixes of the others."""
    in_prefix = np.arange(len(others)) < sizes[:, None]
    mask = np.pad(in_prefix, ((0, 0), (0, len(essential))), constant_values=True)
    return _masks_over(np.append(others, essential), mask, n_atoms)


def _masks_over(atoms: Order, choice: Mask, n_atoms: int) -> Mask:
    """(m, n_atoms) masks of those of some atoms that are chosen, (m, len(atoms))."""
    masks = np.zeros((len(choice), n_atoms), dtype=bool)
    masks[:, atoms] = choice
    return masks
