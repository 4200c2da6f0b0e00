"""Evidence that was planted, and what each search finds of it, in every domain.

    python -m tests.benchmarks.planted [--clips N] [--out FOLDER]     (from the root of the repository)

Prints a Markdown table and, of all 20 clips (8 minutes), writes it to `planted.md`. A classifier looks at
one, two or three atoms of a clip of noise and at nothing else; precision is the share of kept atoms that it
looks at, recall the share of those it needs that are kept. ReX works on single bins; its own environment is
made once, see `rex.peer`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from harness.dataset.query_counts import QUERIES, format_queries
from harness.domains import parse
from harness.extract.minimal import Minimal
from harness.extract.responsibility import Responsibility
from harness.extract.search import Search
from tests.benchmarks.baselines import BackwardSelection, QuickXplain
from tests.benchmarks.figures import RESULTS, Figure, write
from tests.benchmarks.rex import peer
from tests.helpers.planted_evidence import (
    CUES,
    N_SAMPLES,
    RATE_HZ,
    RESOLUTIONS,
    Recovery,
    planted,
    recovered,
    recovery,
)

SEARCHES: dict[str, Search] = {
    "responsibility, 3 x 5 (starter suite)": Responsibility(repetitions=3, splits=5),
    "responsibility, 20 x 5": Responsibility(repetitions=20, splits=5),
    "responsibility, 10 x 10 (the default)": Responsibility(repetitions=10, splits=10),
    "responsibility, 20 x 10": Responsibility(repetitions=20, splits=10),
    "minimal": Minimal(),
    "QuickXplain": QuickXplain(),
    "backward selection (SIS)": BackwardSelection(),
}
"""Responsibility with its repetitions and the splits of each."""

REX: dict[str, Callable[[peer.Outcome], peer.Variant]] = {
    "ReX 0.4.1 as shipped": lambda outcome: outcome.shipped,
    "ReX 0.4.1, index fixed": lambda outcome: outcome.index_fixed,
}
"""Its variants."""

ATOMS_OF_SIS = ("bands128", "bands32", "mel64", "erb64", "blocks10ms", "blocks50ms", "tiles8x16")
"""Where its questions, about half of the square of the atoms, can be asked."""

N_CLIPS = 20

TITLE = "# Evidence that was planted\n\nMade by `python -m tests.benchmarks.planted`"
MEASURES = f"{QUERIES}, and means of precision and recall over"

SHOWN = (("responsibility, 10 x 10 (the default)", "bands128"), ("minimal", "bins"))
"""Searches and resolutions whose figures are compared with those of before, beside ReX."""


def row(name: str, resolution: str, recoveries: Mapping[str, Sequence[Recovery]]) -> str:
    """A row of the table: means of precision and recall, and queries, for each kind of cues."""
    cells = []
    for of_cues in recoveries.values():
        precision, recall = np.mean([(each.precision, each.recall) for each in of_cues], axis=0)
        queries = format_queries([each.n_queries for each in of_cues])
        digits = 2 if precision >= 0.01 else 4
        cells.append(f"{precision:.{digits}f}, {recall:.2f}, {queries}")
    return f"| {name} | {resolution} | " + " | ".join(cells) + " |"


def of_rex(n_clips: int, resolution: str = "bins") -> dict[str, dict[str, list[Recovery]]]:
    """What both variants of ReX find, by their names and the kind of cues."""
    atoms = parse(resolution).atoms(N_SAMPLES, RATE_HZ)
    cases = {cues: [planted(atoms, *CUES[cues], seed) for seed in range(n_clips)] for cues in CUES}
    clips, listeners, _ = zip(*(case for of_cues in cases.values() for case in of_cues), strict=True)
    outcomes = iter(peer.ask_planted(clips, listeners))
    recoveries: dict[str, dict[str, list[Recovery]]] = {name: {cues: [] for cues in CUES} for name in REX}
    for cues, of_cues in cases.items():
        for _, listener, chosen in of_cues:
            outcome = next(outcomes)
            for name, variant_of in REX.items():
                variant = variant_of(outcome)
                mask = np.zeros(len(atoms), dtype=bool) if variant.mask is None else variant.mask
                recoveries[name][cues].append(recovery(mask, chosen, listener.n_needed, variant.queries))
    return recoveries


def figures_of(name: str, resolution: str, recoveries: Mapping[str, Sequence[Recovery]]) -> list[Figure]:
    """Precision and queries of a search at a resolution, over all kinds of cues."""
    each = [recovery for of_cues in recoveries.values() for recovery in of_cues]
    where = f"{name}, {resolution}"
    precision, queries = np.mean([r.precision for r in each]), np.median([r.n_queries for r in each])
    return [
        Figure(f"{where}: precision", float(precision), "", more_is_better=True, n=len(each)),
        Figure(f"{where}: queries", float(queries), "queries", n=len(each)),
    ]


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(
        description="Evidence that was planted, and what each search finds of it."
    )
    parser.add_argument("--clips", type=int, default=N_CLIPS, help="clips of each kind of cues")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows = [
        "| search | resolution | " + " | ".join(f"{cues}: precision, recall, queries" for cues in CUES) + " |"
    ]
    rows.append("|---|---|" + "---|" * len(CUES))
    figures = []
    for name, search in SEARCHES.items():
        for resolution in RESOLUTIONS:
            if isinstance(search, BackwardSelection) and resolution not in ATOMS_OF_SIS:
                continue
            recoveries = {
                cues: [recovered(search, resolution, cues, seed) for seed in range(args.clips)]
                for cues in CUES
            }
            rows.append(row(name, resolution, recoveries))
            if (name, resolution) in SHOWN:
                figures += figures_of(name, resolution, recoveries)
    for name, of_variant in of_rex(args.clips).items():
        rows.append(row(name, "bins", of_variant))
        figures += figures_of(name, "bins", of_variant)
    print("\n".join(rows))
    write(args.out, "planted", figures)
    if args.clips == N_CLIPS:
        head = f"{TITLE}, {date.today()}: {MEASURES} {N_CLIPS} clips a cell."
        (args.out / "planted.md").write_text("\n".join([head, "", *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
