"""A search on one clip, for the signal of its family or a further set (definitions: Necessary).

Several signals of a clip are found one after the other, each in what is left without those before it, as long
as that is sufficient (Carter et al., *What Made You Do This?*, SIS, AISTATS 2019; MultiReX does so by other
means). They share no atom; nothing says that they are all there are.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.completions import ZERO, Completion
from harness.dataset import completed
from harness.domains import parse
from harness.extract.objectives import Objective, complete, necessary, sufficient
from harness.extract.oracle import SLOPE_QUERIES, Question, SearchState
from harness.extract.search import Order, Search, SearchResult, Slope, begin
from harness.families import Family
from harness.seeds import seed_of
from harness.types import N_COMPLETIONS, Clip, Mask

SIGNAL = "signal"
"""Kind of the run that finds the signal of a family; the kinds of further sets are `types.SET_KINDS`."""


@dataclass(frozen=True, eq=False)
class WholeClipResult:
    """What the reference makes of a whole clip."""

    expected: str
    is_expected: Mask
    p_whole: float
    p_clip: tuple[float, ...]
    """As in `types.SufficientSignal`."""
    degenerate: bool


@dataclass(frozen=True)
class Limits:
    """Limits of every search."""

    budget: int | None = None
    """Queries after which a search gives its best so far; a batch of questions is always finished."""
    alpha: float = 0.0
    """Share of the probability that the reference gives the class on the whole clip, which a sufficient
    signal has to keep (ReX's `minimum_confidence_threshold`)."""
    completion: Completion = ZERO
    """What stands in for the atoms that a signal does not keep."""
    robust: float | None = None
    """Share of N_COMPLETIONS draws of it in which a signal has to keep its class; None for a single draw."""

    @property
    def n_draws(self) -> int:
        """Draws of the completion with which each signal is heard."""
        return 1 if self.robust is None else N_COMPLETIONS


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Draws:
    """Independent extractions: what a search finds is one draw of many (definitions: A signal)."""

    seed: int = 0
    """The seed of all randomness, together with the names of clip, reference and search."""
    n: int = 1
    """Extractions of each clip."""
    by_family: tuple[tuple[str, int], ...] = ()
    """Families of which there are more or fewer, with their number."""

    def n_of(self, family: str) -> int:
        """Extractions of each clip in a family."""
        return dict(self.by_family).get(family, self.n)


ONE_DRAW = Draws()


@dataclass(frozen=True)
class Sets:
    """What every search looks for in addition to the signal of its family."""

    max_signals: int = 1
    """Disjoint signals of a clip, the first included."""
    contrastive: bool = False
    """A necessary set and a complete one."""

    @property
    def kinds(self) -> tuple[tuple[str, int], ...]:
        """Kinds of sets, with how many of each a clip has at most."""
        disjoint = (("disjoint", self.max_signals - 1),) if self.max_signals > 1 else ()
        return (*disjoint, *((("necessary", 1), ("complete", 1)) if self.contrastive else ()))


ONE_SIGNAL = Sets()


class SearchTask:
    """One search on one clip, until it has found something, or that there is nothing, or spent its budget."""

    def __init__(
        self,
        search: Search,
        whole_clip: WholeClipResult,
        clip: Clip,
        reference: str,
        limits: Limits,
        *,
        kind: str = SIGNAL,
        ordinal: int = 1,
        free_atoms: Order | None = None,
        other: Clip | None = None,
        seed: int = 0,
        draw: int = 1,
    ) -> None:
        """Begin the search for a SIGNAL of a `reference`, by its repo_id, or for one of SET_KINDS.

        `ordinal` is 1 for the signal of the family, then 2, 3, ... for the disjoint ones after it; `draw`
        says which of the independent extractions it is, from 1; for `free_atoms` see `SearchState`. The
        `other` clip is what stands in for the rest, where the completion is one.
        """
        self.draws = seed, draw
        self.search, self.whole_clip, self.limits = search, whole_clip, limits
        self.reference, self.kind, self.ordinal, self.other = reference, kind, ordinal, other
        self.family = str(family_of(search, limits))
        extra_names = [] if kind == SIGNAL else [kind, str(ordinal)]
        if limits.completion != ZERO:
            extra_names += [str(limits.completion), str(limits.robust)]
        self.seed = seed_of(
            "search", reference, repr(search), clip.clip_id, str(seed), str(draw), *extra_names
        )
        rests = (completed.rest(limits.completion, clip, other, self.seed, i) for i in range(limits.n_draws))
        self.state = SearchState(
            clip,
            whole_clip.is_expected,
            parse(search.resolution).atoms(len(clip.waveform), clip.sample_rate_hz),
            _objective(kind, whole_clip, limits),
            free_atoms,
            [rest for rest in rests if rest is not None],
        )
        self.result: SearchResult | None = None
        self.is_done = False
        self.degenerate = whole_clip.degenerate and limits.completion == ZERO
        """Nothing of the clip is enough: what stands in for it gets the class."""
        if self.degenerate:
            self._end(SearchResult(self._no_atoms, search.guarantee))
        elif len(self.state.free_atoms) == 0:
            self._end(None)
        else:
            searching = begin(search, self.state.energy, np.random.default_rng(self.seed), self.state.grid)
            self._searching: Generator[Question, Any, SearchResult | None] = searching
            if kind != SIGNAL:
                self._searching = _search_if_any(~self._no_atoms, searching)
            elif limits.completion != ZERO:
                self._searching = self._search_with_completion(searching)
            self.question: Question = next(self._searching)

    @property
    def mask(self) -> Mask:
        """(N,) the coefficients found."""
        assert self.result is not None  # noqa: S101 - asked only where something was found
        return self.state.expand(self.result.mask)

    @property
    def n_signals(self) -> int:
        """Signals that the present question may take."""
        if isinstance(self.question, Slope):
            return SLOPE_QUERIES
        return len(self.question) * self.state.objective.n_signals

    def advance(self) -> None:
        """Send the answers on; take the smallest mask met so far once the budget is spent."""
        try:
            self.question = self._searching.send(self.state.answers(self.question))
        except StopIteration as stop:
            self._end(stop.value)
            return
        if self.limits.budget is not None and self.state.n_queries >= self.limits.budget:
            self._searching.close()
            self._end(SearchResult(self.state.smallest, "budget_spent"))

    def next_disjoint(self, sets: Sets) -> SearchTask | None:
        """The run for one signal more, in what this one and those before it left."""
        is_last = self.kind not in (SIGNAL, "disjoint") or self.ordinal >= sets.max_signals
        if self.result is None or self.degenerate or is_last or self.draws[1] > 1:
            return None
        return SearchTask(
            self.search,
            self.whole_clip,
            self.state.clip,
            self.reference,
            self.limits,
            kind="disjoint",
            ordinal=self.ordinal + 1,
            free_atoms=self.state.free_atoms[~self.result.mask],
            other=self.other,
            seed=self.draws[0],
        )

    def _search_with_completion(self, searching: Any) -> Generator[Any, Any, SearchResult | None]:
        """A search that first asks what the model makes of no atom, which is not silence, and of all."""
        is_enough = yield np.stack([self._no_atoms, ~self._no_atoms])
        if is_enough[0]:
            self.degenerate = True
            return SearchResult(self._no_atoms, self.search.guarantee)
        if not is_enough[1]:
            return None
        result: SearchResult = yield from searching
        return result

    @property
    def _no_atoms(self) -> Mask:
        return np.zeros(len(self.state.free_atoms), dtype=bool)

    def _end(self, result: SearchResult | None) -> None:
        self.result, self.is_done = result, True


def start_tasks(
    search: Search,
    whole_clip: WholeClipResult,
    clip: Clip,
    reference: str,
    limits: Limits,
    sets: Sets,
    draws: Draws = ONE_DRAW,
    other: Clip | None = None,
) -> list[SearchTask]:
    """The runs of one search on a clip that need not wait for another; further sets are of the first draw.

    The `other` clip stands in for the rest, where the completion is one.
    """
    kinds = [k for k, _ in sets.kinds if k != "disjoint" and not whole_clip.degenerate]
    arguments = (search, whole_clip, clip, reference, limits)
    other = other if limits.completion.kind == "swap" else None
    n_draws = draws.n_of(str(family_of(search, limits)))
    return [
        *(SearchTask(*arguments, other=other, seed=draws.seed, draw=i + 1) for i in range(n_draws)),
        *(SearchTask(*arguments, kind=kind, other=other, seed=draws.seed) for kind in kinds),
    ]


def family_of(search: Search, limits: Limits = NO_LIMITS) -> Family:
    """The family of the signals that a search finds."""
    return Family(search.kind, parse(search.resolution), limits.completion)


def search_name(search: Search, limits: Limits, draws: Draws = ONE_DRAW) -> str:
    """A search with its settings, limits and draws, as every record names it."""
    budget = "" if limits.budget is None else f" within {limits.budget} queries"
    alpha = "" if limits.alpha == 0 else f" at alpha {limits.alpha:g}"
    completion = "" if limits.completion == ZERO else f" with {limits.completion}"
    robust = "" if limits.robust is None else f" robust to {limits.robust:g}"
    seed = f", seed {draws.seed}" if draws.seed else ""
    n = draws.n_of(str(family_of(search, limits)))
    return f"{search!r}{completion}{robust}{budget}{alpha}{seed}{f', {n} draws' if n > 1 else ''}"


def _search_if_any(all_atoms: Mask, search: Any) -> Generator[Any, Any, SearchResult | None]:
    """A search that first asks whether all atoms reach the objective."""
    answers = yield all_atoms[None]
    if not answers[0]:
        return None
    result: SearchResult = yield from search
    return result


def _objective(kind: str, whole_clip: WholeClipResult, limits: Limits) -> Objective:
    if kind == "necessary":
        objective = necessary()
    elif kind == "complete":
        objective = complete(whole_clip.p_whole)
    else:
        objective = sufficient(limits.alpha * whole_clip.p_whole)
    return replace(objective, n_draws=limits.n_draws, robust=limits.robust or 1.0)
