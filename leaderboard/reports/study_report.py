"""The report of a study: `study.html` and `study.md`, `study.json` with every number, and the figures.

<out>/study.json            the whole `metrics.study.Study` of each task
<out>/study.md              findings, tables, methods
<out>/study.html            the same with heat maps, figures and sounds, not to be published
<out>/figures/<task>-<name>.{svg,png}
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from harness.code_hash import code_hash
from harness.dataset.paths import STUDY, STUDY_PAGE, STUDY_TEXT
from harness.dataset.suite_notes import joined, note_of_task
from harness.dataset.suites import Suite
from harness.journal import replace_file
from harness.metrics import likeness
from harness.metrics.flat_earth import EXCESS, SPARSE
from harness.metrics.panel_acceptance import PanelAcceptance, build_acceptance
from harness.metrics.stability import Stability
from harness.metrics.study import Answered, FamilyStudy, PairStudy, Study
from harness.metrics.transfer_curve import Curve
from harness.provenance import own_version, versions
from harness.schemas import Entry, to_json
from harness.seeds import seed_of
from harness.types import MIN_SIGNALS, Estimate, ModelRef
from leaderboard import render
from leaderboard.board.content_cache import NO_CACHE, ContentCache, key_of
from leaderboard.board.matrix import matrix_of, short_names
from leaderboard.board.remarks import panel
from leaderboard.formatting import interval, text
from leaderboard.plots import heatmap
from leaderboard.plots.study_figures import STUDY_FIGURES, draw
from leaderboard.reports import audio_examples
from leaderboard.reports.study_findings import bits, fmt, ratio, sentences, summary
from leaderboard.reports.study_pairs import PAIRED_COLUMNS, paired_rows, pairs_sentences

HEAT_MAPS = ("transfer", "lift", "placement", "agreeing_transfer", "swap", "matched", "agreement")
"""Measures shown as heat maps; the first two at once."""


def write(
    out: Path,
    suite: Suite,
    studies: Sequence[tuple[Study, Sequence[Answered]]],
    given: Sequence[ModelRef] = (),
    cache: Path | None = None,
) -> Path:
    """Write a report of studies, each with the entries and verdicts it is computed from; returns its page.

    Its summary says what was found about the models `given`. Figures of a study that was drawn before are
    taken from a cache folder, where there is one.

    Raises:
        BadInput: it cannot be written.
    """
    drawn = NO_CACHE if cache is None else ContentCache(cache / "figures", code_hash(draw.__module__))
    tasks = [_task(out, suite, study, entry_verdicts, drawn) for study, entry_verdicts in studies]
    drawn.trim()
    software = {"goodenough": own_version(), **versions()}
    suite_note = joined((study.task, note_of_task(suite, study.task)) for study, _ in studies)
    content = {study.task: json.loads(to_json(study)) for study, _ in studies}
    data = {"note": suite_note, "made with": software, "tasks": content}
    replace_file(out / STUDY, (json.dumps(data, indent=1) + "\n").encode())
    context = {
        "suite": suite.name,
        "suite_note": suite_note,
        "tasks": tasks,
        "summaries": [(study.task, summary(study, given)) for study, _ in studies],
        "made": software,
        "min_signals": MIN_SIGNALS,
        "excess": EXCESS,
        "sparse": SPARSE,
        "model_columns": MODEL_COLUMNS,
        "pair_columns": PAIR_COLUMNS,
        "compared_columns": COMPARED_COLUMNS,
        "stability_columns": STABILITY_COLUMNS,
        "paired_columns": PAIRED_COLUMNS,
    }
    replace_file(out / STUDY_TEXT, render.render("study.md.j2", context).encode())
    replace_file(out / STUDY_PAGE, render.render("study.html.j2", context).encode())
    return out / STUDY_PAGE


def _task(
    out: Path, suite: Suite, study: Study, entry_verdicts: Sequence[Answered], drawn: ContentCache
) -> dict[str, Any]:
    entries = [entry for entry, _ in entry_verdicts]
    figures, content = [], to_json(study)
    for name in STUDY_FIGURES:
        if (pictures := _pictures(study, name, content, drawn)) is None:
            continue
        for form, data in pictures.items():
            replace_file(out / "figures" / f"{study.task}-{name}.{form}", data)
        title = (STUDY_FIGURES[name].__doc__ or "").split("\n")[0].rstrip(".")
        picture = Markup(base64.b64encode(pictures["svg"]).decode())  # noqa: S704 - nothing to escape
        figures.append((f"{title}, {panel(study.n_references)}.", picture))
    return {
        "study": study,
        "caption": f"Means over references, {panel(study.n_references)}.",
        "families": [_family(study, family, entries) for family in study.families],
        "models": _models(study, entries),
        "pairs": list(pairs_sentences(study)),
        "paired_rows": paired_rows(study),
        "figures": figures,
        "examples": _examples(suite, study, entry_verdicts),
    }


def _pictures(study: Study, name: str, content: str, drawn: ContentCache) -> dict[str, bytes] | None:
    """A figure as `svg` and `png`: those that were drawn of the same content, or new ones; None without."""
    keys = {form: key_of("figure", form, name, version("matplotlib"), content) for form in ("svg", "png")}
    cached = {form: data for form, key in keys.items() if (data := drawn.read(key)) is not None}
    if len(cached) == len(keys):
        return cached
    png = io.BytesIO()
    if (svg := draw(study, name, png)) is None:
        return None
    pictures = {"svg": svg.encode(), "png": png.getvalue()}
    for form, data in pictures.items():
        drawn.write(keys[form], data)
    return pictures


def _family(study: Study, family: FamilyStudy, entries: Sequence[Entry]) -> dict[str, Any]:
    names = short_names(list(study.models))
    matrix = matrix_of(list(entries), family.family)
    heat = [(key, heatmap.picture(matrix, key)) for key in HEAT_MAPS]
    pairs = [(names[p.reference], names[p.judge], *_information(p), *_price(p.curve)) for p in family.pairs]
    comparisons = [
        (
            names[c.first],
            names[c.second],
            str(c.n_references),
            *(fmt(e, "difference") for e in (c.transfer, c.lift)),
        )
        for c in family.compared
    ]
    short = {model.repo_id: name for model, name in names.items()}
    outgoing = {name: fmt(estimate) for name, estimate in family.outgoing.items()}
    return {
        "family": family,
        "findings": sentences(study, family),
        "accepted": [(short[n], outgoing.get(n, ""), fmt(e)) for n, e in family.incoming.items()],
        "asymmetry": [
            (names[a], names[b], text(e, "difference"), interval(e, "difference"), str(e.n))
            for a, b, e in family.asymmetry
        ],
        "heat": heat,
        "pairs": pairs,
        "compared": comparisons,
        "stability": [_stability(s, names) for s in study.stability if s.family == family.family],
        "flat": [f.sentence(names[f.model]) for f in family.flat_earth],
    }


def _information(pair: PairStudy) -> tuple[str, str, str]:
    """Mutual information, what it leaves open, and p; or why nothing is shown."""
    information = pair.information
    if information.not_shown_because is not None:
        return f"not shown: {information.not_shown_because.rstrip('.')}", "", ""
    p = "" if information.p is None else f"{information.p:.2g}"
    return bits(information.mutual), bits(information.left), p


def _price(curve: Curve | None) -> tuple[str, str]:
    if curve is None:
        return "", ""
    return bits(curve.price_bits), fmt(curve.disagreeing)


def _stability(stability: Stability, names: Mapping[Any, str]) -> tuple[str, ...]:
    if not stability.measured:
        return names[stability.reference], str(stability.n_draws), *("not measured",) * 3, ""
    numbers = (fmt(stability.jaccard), ratio(stability.size_ratio), fmt(stability.verdicts_changed))
    transfer = "; ".join(map(fmt, stability.transfer))
    return names[stability.reference], str(stability.n_draws), *numbers, transfer


def _models(study: Study, entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """A row for each model: backbone, usual measures, transfer both ways, and what its signals are like."""
    names, first_family = short_names(list(study.models)), study.families[0]
    scores = {
        entry.model: score
        for entry in entries
        for score in entry.scorecard.families
        if score.family == first_family.family
    }
    portraits = {p.model.repo_id: p for p in study.portraits if p.family == first_family.family}
    backbones = [study.backbones[m.repo_id] for m in study.models]
    rows: list[tuple[str, ...]] = []
    for model in study.models:
        name, whole = model.repo_id, study.whole[model.repo_id]
        portrait, backbone = portraits.get(name), study.backbones[name]
        shared_mark = " *" if backbones.count(backbone) > 1 else ""
        medians = {} if portrait is None else portrait.medians
        rates = scores[model].rates if model in scores else None
        differences = (rates.lift, rates.placement) if rates else (None, None)
        cells = (
            *(names[model], backbone.partition("For")[0] + shared_mark, fmt(whole.accuracy), fmt(whole.f1)),
            fmt(rate) if (rate := study.equal_error_rate.get(name)) else "",
            fmt(first_family.incoming[name]),
            *("" if estimate is None else fmt(estimate, "difference") for estimate in differences),
            fmt(first_family.outgoing[name]) if name in first_family.outgoing else "",
            *(_median(medians[key], form) if medians else "" for key, form in _MEASURES),
        )
        rows.append(cells)
    return rows


_MEASURES = (("size", "{:.3%}"), ("entropy_bits", "{:.1f}"), ("centroid_hz", "{:,.0f}"))
"""Medians shown in the table of models."""


def _median(estimate: Estimate, form: str) -> str:
    if estimate.low is None:
        return "" if estimate.value is None else f"{form.format(estimate.value)} [n = {estimate.n}]"
    value, low, high = (form.format(x) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low} to {high}, n = {estimate.n}]"


MODEL_COLUMNS = (
    *("model", "backbone (* shared)", "accuracy", "macro F1", "equal error rate"),
    *("transfer: accepts of the others", "lift", "placement", "accepted by the other references"),
    *("kept share, median", "entropy, bits", "centroid, Hz"),
)


def _examples(suite: Suite, study: Study, entry_verdicts: Sequence[Answered]) -> list[audio_examples.Example]:
    """Signals that all accept, that nobody else accepts, and that the flat-earther alone rejects."""
    first_family = study.families[0]
    acceptance = build_acceptance(
        [(entry.model, entry.label_map, verdicts) for entry, verdicts in entry_verdicts],
        suite.counts(study.task),
        first_family.family,
        {entry.model.repo_id: likeness.copies(entry.likeness) for entry, _ in entry_verdicts},
    )
    names = short_names(list(study.models))
    titles: dict[str, str] = {}
    for title, rows in _strata(acceptance, first_family, names):
        ids = sorted(
            (str(acceptance.signal_ids[i]) for i in np.flatnonzero(rows)), key=lambda s: seed_of("study", s)
        )
        titles |= dict.fromkeys(ids[:2], title)
    judges = [
        (names[entry.model], audio_examples.signal_acceptance(verdicts, "signal"))
        for entry, verdicts in entry_verdicts
    ]
    return audio_examples.examples(suite, study.task, titles, judges)


def _strata(
    acceptance: PanelAcceptance, family: FamilyStudy, names: Mapping[Any, str]
) -> list[tuple[str, Any]]:
    answers = acceptance.of_others(acceptance.source, acceptance.signals.acceptance)
    n_accepts, n_rejects = (answers == 1).sum(axis=1), (answers == 0).sum(axis=1)
    strata = [
        ("Accepted by all", (n_rejects == 0) & (n_accepts > 0)),
        ("Accepted by nobody else", (n_accepts == 0) & (n_rejects > 0)),
    ]
    for assessment in family.flat_earth:
        if assessment.flagged:
            name, own = names[assessment.model], answers[:, acceptance.models.index(assessment.model)]
            strata.append((f"Accepted by {name} alone", (n_accepts == 1) & (own == 1)))
            strata.append((f"Rejected by {name} alone", (n_rejects == 1) & (own == 0)))
    return strata


PAIR_COLUMNS = (
    *("signals of", "judged by", "mutual information", "left open", "p, permutation"),
    *("price of agreement, median", "whole clips given another class"),
)
COMPARED_COLUMNS = (
    *("first", "second", "references in common"),
    *("transfer, first minus second", "lift, first minus second"),
)
STABILITY_COLUMNS = (
    *("reference", "extractions of a clip", "Jaccard of two masks, mean", "ratio of sizes, median"),
    *("verdicts of others changed", "transfer by extraction"),
)
