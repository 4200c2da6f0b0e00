"""The data cards of the starter suite: what was measured, written where the cards leave room for it.

The prose of a card is written by hand; what is between the lines BEGIN and END is computed here, from the
suite alone, and so are the figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from harness.dataset import card
from harness.dataset.card import format_estimate, markdown_table
from harness.dataset.paths import VERDICTS
from harness.dataset.query_counts import QUERIES, format_queries
from harness.dataset.suites import Suite
from harness.entries import store
from harness.errors import BadInput
from harness.journal import replace_file
from harness.metrics import estimates, paired_evidence
from harness.metrics.acceptance import accepted
from harness.metrics.panels import METRICS, Panel, panel_of
from harness.metrics.scorecard import resampling_weights
from harness.metrics.stability import stability_table
from harness.schemas import Entry
from harness.starter.build import copy_distances, pictures
from harness.starter.build.builder import BASELINE, NAME
from harness.starter.build.clips import is_recorded
from harness.starter.build.deepfake import UNSEEN
from harness.starter.build.train import TRAINING
from harness.starter.recipes import RECIPES, Recipe
from harness.tasks import TASKS
from harness.types import N_LEVELS, Estimate
from leaderboard.board.matrix import matrix_of
from leaderboard.plots import heatmap

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write(cards: Path, suite: Path) -> None:
    """Write what was measured into `starter-<task>.md`, and two figures per task into `figures/`.

    Raises:
        BadInput: a card is not there, or has no room for it.
    """
    signals = Suite(suite / "signals", NAME)
    for task in (task.name for task in signals.tasks):
        path = cards / f"starter-{task}.md"
        text = path.read_text("utf-8") if path.is_file() else ""
        if text.count(BEGIN) != 1 or text.count(END) != 1:
            raise BadInput(f"{path} is no card with the lines {BEGIN} and {END}; expected one to fill in")
        before, rest = text.split(BEGIN)
        block = measured(task, suite)
        replace_file(path, f"{before}{BEGIN}\n{block}\n{END}{rest.split(END)[1]}".encode())
        matrix = matrix_of([entry for entry, _ in _entries(signals, task)], signals.headline(task))
        picture = heatmap.picture(matrix, "transfer")
        replace_file(cards / "figures" / f"starter-{task}-transfer.svg", picture.encode())
        ordinary = next(r for r in RECIPES if (r.task, r.role, r.quirk) == (task, "reference", ""))
        path = cards / "figures" / f"starter-{task}-sounds.png"
        pictures.sounds(signals, task, f"local__{ordinary.folder}", path)


def measured(task: str, suite: Path) -> str:
    """All that is counted of a task, as Markdown."""
    signals = Suite(suite / "signals", NAME)
    frame, entries = verdicts_of(signals, task), _entries(signals, task)
    parts = [
        *("### Models", _models(task, suite, entries)),
        *("### Richness", _richness(task, suite, frame)),
        *("### Transfer among the references", _transfer(signals, task, entries)),
        *("### Signals", _signals(signals, task)),
        *(
            "### Stability: two extractions of one clip",
            stability_table(signals, TASKS[task], entries) or "-",
        ),
        *("### Rejected alone", _alone(rejected_alone(frame, signals.headline(task)))),
        *(_recorded(task, suite, signals) if is_recorded(TASKS[task]) else []),
        *("### Size", _size(task, suite)),
    ]
    return "\n\n".join(parts)


def _recorded(task: str, suite: Path, signals: Suite) -> list[str]:
    """What is counted of recordings alone, which have copies."""
    return [
        *("### Accuracy on what no training clip has", _unseen(task, suite)),
        *("### Pairs: a recording and its copy", copy_distances.table(signals, task)),
        *("### Paired evidence", f"{card.PAIRS}\n\n{paired_evidence.evidence_table(signals, task)}"),
    ]


def verdicts_of(signals: Suite, task: str) -> pd.DataFrame:
    """Verdicts of all references of a task, with a column `judge`: the repo_id of who said it."""
    answered = _entries(signals, task)
    return pd.concat([rows.assign(judge=entry.model.repo_id) for entry, rows in answered])


def _entries(signals: Suite, task: str) -> list[tuple[Entry, pd.DataFrame]]:
    """Entry and verdicts of every reference of a task, by name."""
    folders = store.find(signals.root / VERDICTS)
    pairs = [(store.read(folder), folder) for folder in folders]
    of_task = [(entry, store.verdicts(folder)) for entry, folder in pairs if entry.task == task]
    return sorted(of_task, key=lambda pair: pair[0].model.repo_id)


# ---- what is counted -----------------------------------------------------------------------------


def _models(task: str, suite: Path, entries: Sequence[tuple[Entry, pd.DataFrame]]) -> str:
    on_test = {entry.model.repo_id.split("/")[-1]: entry.scorecard.whole.accuracy for entry, _ in entries}
    silence_classes = {
        c.model.repo_id.split("/")[-1]: c.silence_class for entry, _ in entries for c in entry.references
    }
    rows = []
    for recipe in (recipe for recipe in RECIPES if recipe.task == task):
        training = json.loads((suite / "models" / recipe.folder / TRAINING).read_text("utf-8"))
        examined = estimates.wilson(round(training["accuracy"] * training["n"]), training["n"])
        rows.append(
            [
                recipe.folder,
                _role(recipe),
                recipe.architecture,
                f"{training['parameters']:,}",
                format_estimate(examined),
                format_estimate(on_test.get(recipe.folder)),
                silence_classes.get(recipe.folder, "-"),
                ", ".join(recipe.labels),
            ]
        )
    heads = ["model", "role", "architecture", "weights", "accuracy, held-out clips", "accuracy, test clips"]
    return markdown_table([*heads, "of silence it says", "its class names"], rows)


def _unseen(task: str, suite: Path) -> str:
    """Accuracy of every model on what no clip to learn from has."""
    rows = []
    for recipe in (recipe for recipe in RECIPES if recipe.task == task):
        training = json.loads((suite / "models" / recipe.folder / TRAINING).read_text("utf-8"))
        each = [training, *(training[split] for split in UNSEEN)]
        shares = [estimates.wilson(round(part["accuracy"] * part["n"]), part["n"]) for part in each]
        rows.append([recipe.folder, *map(format_estimate, shares)])
    return markdown_table(["model", "held-out clips", *(split.replace("-", " ") for split in UNSEEN)], rows)


def _role(recipe: Recipe) -> str:
    return f"{recipe.role}, {recipe.quirk}" if recipe.quirk else recipe.role


def _richness(task: str, suite: Path, frame: pd.DataFrame) -> str:
    baseline = json.loads((suite / "baselines" / task / BASELINE).read_text("utf-8"))
    linear = estimates.wilson(round(baseline["accuracy"] * baseline["n"]), baseline["n"])
    whole = frame[frame["stimulus"] == "whole"].pivot(index="clip_id", columns="judge", values="predicted")
    pairs = list(combinations(whole.columns, 2))
    agree = np.stack([(whole[a] == whole[b]).to_numpy() for a, b in pairs], axis=1).astype(np.float64)
    each = [float(agree[:, i].mean()) for i in range(len(pairs))]
    agreement = estimates.clustered(
        agree, resampling_weights(frame[frame["judge"] == whole.columns[0]], TASKS[task])
    )
    return (
        "- Logistic regression on the time-averaged log-mel spectrum:"
        f" {format_estimate(linear)} of held-out clips.\n"
        f"- References agree with each other on {format_estimate(agreement)} of whole clips (mean of the"
        f" pairs; {min(each):.2f} to {max(each):.2f})."
    )


_RATES = (
    "transfer",
    "agreeing_transfer",
    "swap",
    "lift",
    "matched",
    "placement",
    "largest",
    "beyond_largest",
)


def _transfer(suite: Suite, task: str, entries: Sequence[tuple[Entry, pd.DataFrame]]) -> str:
    """Means over all pairs of a reference and another one that judges its signals."""
    weights = resampling_weights(entries[0][1], TASKS[task])
    rows = []
    for family in suite.families(task):
        panels = [_foreign(entry, verdicts, family) for entry, verdicts in entries]
        cells = []
        for name in _RATES:
            of = METRICS[name].of
            values = np.hstack([panel.table(of(panel))[:, others] for panel, others in panels])
            cells.append(format_estimate(estimates.clustered(values, weights, METRICS[name].kind)))
        rows.append([family, *cells])
    table_ = markdown_table(["", *(name.replace("_", " ") for name in _RATES)], rows)
    return f"{table_}\n\n{_levels(entries, weights)}"


def _foreign(entry: Entry, verdicts: pd.DataFrame, family: str) -> tuple[Panel, list[int]]:
    """A reference's answers to a family, and the columns of the other references."""
    offered = [c for c in entry.references if c.family == family]
    others = [j for j, c in enumerate(offered) if c.model != entry.model]
    return panel_of(verdicts, family, offered, entry.label_map.covered), others


def _levels(entries: Sequence[tuple[Entry, pd.DataFrame]], weights: estimates.ClipWeights) -> str:
    """Acceptance at the levels between a minimal signal and its clip, level 7."""
    cells = []
    for level in range(1, N_LEVELS):
        values = []
        for entry, verdicts in entries:
            is_asked = (verdicts["level"] == level) & (verdicts["reference"] != entry.model.repo_id)
            rows = verdicts[is_asked]
            accepts = pd.Series(accepted(rows).astype(float), rows.index)
            wide = accepts.groupby([rows["clip_id"], rows["reference"]]).mean().unstack()
            every = sorted(verdicts["clip_id"][verdicts["stimulus"] == "whole"])
            values.append(wide.reindex(every).to_numpy(dtype=np.float64))
        cells.append(format_estimate(estimates.clustered(np.hstack(values), weights)))
    return markdown_table([f"level {level}" for level in range(1, N_LEVELS)], [cells])


def _signals(suite: Suite, task: str) -> str:
    rows = []
    for record in suite.references(task):
        signals = [signal for signal, _ in suite.signals(task, record.model.slug)]
        for family in suite.families(task):
            of_family = [s for s in signals if s.family == family]
            real = [s for s in of_family if not s.degenerate]
            sizes, queries = [s.n_kept for s in real], [s.n_queries for s in real]
            rows.append(
                [
                    record.model.repo_id.split("/")[-1],
                    family,
                    str(len(of_family)),
                    str(len(of_family) - len(real)),
                    f"{median(sizes):,.0f} ({min(sizes):,} to {max(sizes):,})",
                    f"{100 * median(sizes) / len(real[0].mask):.2g} %",
                    format_queries(queries),
                    str(sum(s.guarantee == "budget_spent" for s in real)),
                ]
            )
    heads = ["reference", "family", "signals", "of these degenerate", "kept, median (range)"]
    return markdown_table([*heads, "share of all", QUERIES, "budget spent"], rows)


def rejected_alone(frame: pd.DataFrame, headline: str) -> dict[str, Estimate]:
    """R_in of each reference: the share it rejects of the signals, first draws, that all others accept.

    Args:
        frame: see `verdicts_of`.
        headline: the family of the signals.
    """
    signals = frame[(frame["family"] == headline) & (frame["stimulus"] == "signal") & (frame["draw"] == 1)]
    signals = signals.assign(accepts=accepted(signals))
    wide = signals.pivot(index=["reference", "signal_id"], columns="judge", values="accepts")
    source = wide.index.get_level_values("reference")
    shares = {}
    for judge in wide.columns:
        others = wide.drop(columns=judge)[source != judge]
        # A source accepts its own signals, so that "all others" needs no exception for it.
        agreed = others.all(axis=1)
        rejected = ~wide.loc[agreed[agreed].index, judge].astype(bool)
        shares[str(judge).split("/")[-1]] = estimates.wilson(int(rejected.sum()), len(rejected))
    return shares


def _size(task: str, suite: Path) -> str:
    def weighs(paths: Iterable[Path]) -> str:
        return f"{sum(path.stat().st_size for path in paths if path.is_file()) / 1e6:.1f} MB"

    signals = suite / "signals"
    folders = [suite / "models" / recipe.folder for recipe in RECIPES if recipe.task == task]
    entries = [f for f in store.find(signals / VERDICTS) if store.read(f).task == task]
    return (
        f"Clips {weighs((signals / f'{task}_clips').rglob('*'))}, masks "
        f"{weighs((signals / task).rglob('*'))}, verdicts {weighs(p for f in entries for p in f.iterdir())}, "
        f"models {weighs(p for f in folders for p in f.iterdir())}."
    )


def _alone(shares: dict[str, Estimate]) -> str:
    rows = [[name, format_estimate(share)] for name, share in shares.items()]
    return markdown_table(
        ["reference", "of the signals that every other reference accepts, it rejects"], rows
    )
