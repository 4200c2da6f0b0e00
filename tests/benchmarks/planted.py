"""Evidence that was planted, and what each search finds of it, in every domain.

    python -m tests.benchmarks.planted            (from the root of the repository; about 5 minutes)

Prints a Markdown table. A classifier looks at one, two or three atoms of a clip of noise and at nothing else;
precision is the share of the kept atoms that it looks at, recall the share of those it needs that are kept.
"""

from __future__ import annotations

import numpy as np

from harness.extract.minimal import Minimal
from harness.extract.responsibility import Responsibility
from harness.extract.search import Search
from tests.benchmarks.baselines import BackwardSelection, QuickXplain
from tests.helpers.planted_evidence import CUES, RESOLUTIONS, recovered

SEARCHES: dict[str, Search] = {
    "responsibility, 20 x 5": Responsibility(),
    "responsibility, 10 x 10": Responsibility(repetitions=10, splits=10),
    "responsibility, 20 x 10": Responsibility(repetitions=20, splits=10),
    "minimal": Minimal(),
    "QuickXplain": QuickXplain(),
    "backward selection (SIS)": BackwardSelection(),
}
"""Responsibility with its repetitions and the splits of each."""

ATOMS_OF_SIS = ("bands128", "mel64", "erb64", "blocks10ms", "blocks50ms", "tiles8x16")
"""Where its questions, about half of the square of the atoms, can be asked."""

N_CLIPS = 20


def main() -> None:
    """Measure and print."""
    print(
        "| search | resolution | " + " | ".join(f"{cues}: precision, recall, queries" for cues in CUES) + " |"
    )
    print("|---|---|" + "---|" * len(CUES))
    for name, search in SEARCHES.items():
        for resolution in RESOLUTIONS:
            if isinstance(search, BackwardSelection) and resolution not in ATOMS_OF_SIS:
                continue
            cells = []
            for cues in CUES:
                recoveries = [recovered(search, resolution, cues, seed) for seed in range(N_CLIPS)]
                precision, recall = np.mean([(each.precision, each.recall) for each in recoveries], axis=0)
                queries = np.median([each.n_queries for each in recoveries])
                cells.append(f"{precision:.2f}, {recall:.2f}, {queries:.0f}")
            print(f"| {name} | {resolution} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
