"""The report of a study: `study.html` and `study.md`, `study.json` with every number, and the figures.

    <out>/study.json            the whole `score.study.Study` of each task
    <out>/study.md              findings, tables, methods
    <out>/study.html            the same with heat maps, figures and sounds, which stay with who may have them
    <out>/figures/<task>-<name>.{svg,png}

Public: write.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from harness.dataset.signals import Suite
from harness.documents import Entry, to_json
from harness.journal import replace_file
from harness.provenance import own_version, versions
from harness.records import Estimate
from harness.score.judgements import Judgements, gather
from harness.score.study import Answered, FamilyStudy, Study
from harness.seeds import seed_of
from leaderboard import findings, listen, pages, plots, table
from leaderboard.figures import FIGURES, draw
from leaderboard.table import short_names
from leaderboard.wording import interval, text

HEAT_MAPS = ("transfer", "lift", "agreeing_transfer", "floor", "ceiling")
"""Measures shown as heat maps; the first two at once."""

METHODS = (
    "Rates: an unweighted mean over ordered pairs of a reference and another model; intervals are 95 % and"
    " resample clips jointly over all pairs (expanded percentiles), Wilson's where there is one pair.",
    "Lift: transfer minus acceptance of as many bins in the same texture elsewhere, paired by signal.",
    "Two judges: on the same signals, those of neither; the interval resamples clips, McNemar's exact test"
    " counts signals as independent; p-values are adjusted over all pairs (Benjamini-Hochberg).",
    "Flat-earther: rejects what all others accept, or is accepted by nobody; 10,000 shuffles, adjusted p <"
    " 0.05 and an excess over the median of the others whose interval lies above 0.1.",
    "Information: Miller's correction for the bias of small samples; intervals are clip bootstraps moved so"
    " that their mean is the corrected value.",
    "Price of agreement: log2 of how many times the bins of the signal must grow along the reference's own"
    " ranking until the judge accepts; never accepted counts as infinite in the median.",
)
"""How the numbers were made."""


def write(out: Path, suite: Suite, studies: Sequence[tuple[Study, Sequence[Answered]]]) -> Path:
    """Write a report.

    Args:
        out: its folder, made if need be.
        suite: what was studied.
        studies: of each task, with the entries and verdicts that it was made of.

    Returns:
        Path of the page.

    Raises:
        BadInput: it cannot be written.
    """
    tasks = [_task(out, suite, study, answered) for study, answered in studies]
    made = {"goodenough": own_version(), **versions()}
    content = {s.task: json.loads(to_json(s)) for s, _ in studies}
    replace_file(
        out / "study.json", (json.dumps({"made with": made, "tasks": content}, indent=1) + "\n").encode()
    )
    context = {
        "suite": suite.name,
        "tasks": tasks,
        "methods": METHODS,
        "made": made,
        "model_columns": MODEL_COLUMNS,
        "pair_columns": PAIR_COLUMNS,
        "compared_columns": COMPARED_COLUMNS,
    }
    replace_file(out / "study.md", markdown(context).encode())
    replace_file(out / "study.html", pages.render("study.html.j2", context).encode())
    return out / "study.html"


def _task(out: Path, suite: Suite, study: Study, answered: Sequence[Answered]) -> dict[str, Any]:
    entries = [entry for entry, _ in answered]
    figures = []
    for name in FIGURES:
        path = out / "figures" / f"{study.task}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if (svg := draw(study, name, path.with_suffix(".png"))) is not None:
            replace_file(path.with_suffix(".svg"), svg.encode())
            title = (FIGURES[name].__doc__ or "").split("\n")[0]
            picture = Markup(base64.b64encode(svg.encode()).decode())  # noqa: S704 - nothing to escape
            figures.append((title, picture))
    return {
        "study": study,
        "families": [_family(study, family, entries) for family in study.families],
        "models": _models(study, entries),
        "figures": figures,
        "examples": _examples(suite, study, answered),
    }


def _family(study: Study, family: FamilyStudy, entries: Sequence[Entry]) -> dict[str, Any]:
    names = short_names(list(study.models))
    matrix = table.matrix_of(list(entries), family.family)
    heat = [(key, Markup(plots.heatmap(matrix, key))) for key in HEAT_MAPS]  # noqa: S704 - escaped there
    pairs = [
        (
            names[p.reference],
            names[p.judge],
            findings.bits(p.information.mutual),
            findings.bits(p.information.left),
            "" if p.curve is None else findings.bits(p.curve.price_bits),
            "" if p.curve is None else findings.told(p.curve.censored),
        )
        for p in family.pairs
    ]
    compared = [
        (
            names[c.first],
            names[c.second],
            findings.told(c.transfer, "difference"),
            f"{c.only_first:,} : {c.only_second:,}",
            f"{c.p_adjusted:.2g}",
        )
        for c in family.compared
    ]
    return {
        "family": family,
        "findings": findings.sentences(study, family),
        "heat": heat,
        "pairs": pairs,
        "compared": compared,
        "flat": [f.sentence(names[f.model]) for f in family.flat_earth],
    }


def _models(study: Study, entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """A row for each model: backbone, usual measures, transfer both ways, and what its signals are like."""
    names, first = short_names(list(study.models)), study.families[0]
    portraits = {p.model.repo_id: p for p in study.portraits if p.family == first.family}
    same = [study.backbones[m.repo_id] for m in study.models]
    rows: list[tuple[str, ...]] = []
    for model in study.models:
        name, whole = model.repo_id, study.whole[model.repo_id]
        portrait, backbone = portraits.get(name), study.backbones[name]
        shared = " *" if same.count(backbone) > 1 else ""
        medians = {} if portrait is None else portrait.medians
        rows.append(
            (
                names[model],
                backbone.partition("For")[0] + shared,
                findings.told(whole.accuracy),
                findings.told(whole.f1),
                findings.told(rate) if (rate := study.equal_error_rate.get(name)) else "",
                findings.told(first.incoming[name]),
                findings.told(first.outgoing[name]) if name in first.outgoing else "",
                *(_median(medians[key], form) if medians else "" for key, form in _MEASURES),
            )
        )
    return rows


_MEASURES = (("size", "{:.3%}"), ("entropy_bits", "{:.1f}"), ("centroid_hz", "{:,.0f}"))
"""Medians shown in the table of models."""


def _median(estimate: Estimate, form: str) -> str:
    if estimate.low is None:
        return "" if estimate.value is None else f"{form.format(estimate.value)} [n = {estimate.n}]"
    value, low, high = (form.format(x) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low} to {high}, n = {estimate.n}]"


MODEL_COLUMNS = (
    *("model", "backbone (* shared)", "accuracy", "macro F1", "equal error rate", "accepts of the others"),
    *("accepted by the others", "kept share, median", "entropy, bits", "centroid, Hz"),
)


def _examples(suite: Suite, study: Study, answered: Sequence[Answered]) -> list[listen.Example]:
    """Signals that all accept, that nobody else accepts, and that the flat-earther alone rejects."""
    first = study.families[0]
    panel = gather([(e.model, e.label_map, v) for e, v in answered], suite.counts(study.task), first.family)
    names = short_names(list(study.models))
    chosen: dict[str, str] = {}
    for title, rows in _strata(panel, first, names):
        ids = sorted(
            (str(panel.signal_ids[i]) for i in np.flatnonzero(rows)), key=lambda s: seed_of("study", s)
        )
        chosen.update(dict.fromkeys(ids[:2], title))
    judges = [(names[entry.model], listen.accepted(verdicts, "signal")) for entry, verdicts in answered]
    return listen.examples(suite, study.task, chosen, judges)


def _strata(panel: Judgements, family: FamilyStudy, names: Mapping[Any, str]) -> list[tuple[str, Any]]:
    said = panel.foreign
    accepted, rejected = (said == 1).sum(axis=1), (said == 0).sum(axis=1)
    found = [
        ("Accepted by all", (rejected == 0) & (accepted > 0)),
        ("Accepted by nobody else", (accepted == 0) & (rejected > 0)),
    ]
    for each in family.flat_earth:
        if each.flagged:
            j = panel.models.index(each.model)
            found.append((f"Accepted by {names[each.model]} alone", (accepted == 1) & (said[:, j] == 1)))
            found.append((f"Rejected by {names[each.model]} alone", (rejected == 1) & (said[:, j] == 0)))
    return found


def markdown(context: Mapping[str, Any]) -> str:
    """The report without pictures and sounds."""
    parts = [f"# Study of {context['suite']}", ""]
    for task in context["tasks"]:
        study: Study = task["study"]
        parts += [
            f"## {study.task}",
            "",
            f"{study.n_references} references, {len(study.models) - study.n_references} other models, "
            f"{study.n_clips} clips; signals {study.signals.sha256[:12]}.",
            "",
            *_table(MODEL_COLUMNS, task["models"]),
        ]
        for family in task["families"]:
            parts += [f"### Family {family['family'].family}", ""]
            parts += [f"- {sentence}" for sentence in family["findings"]]
            parts += ["", *_matrix(study, family["family"], task), "#### Flat-earthers", ""]
            parts += [f"- {sentence}" for sentence in family["flat"]]
            parts += ["", "#### Pairs", "", *_table(PAIR_COLUMNS, family["pairs"])]
            parts += ["#### Judges compared", "", *_table(COMPARED_COLUMNS, family["compared"])]
    parts += ["## Methods", "", *(f"- {line}" for line in context["methods"]), ""]
    parts.append("Made with " + ", ".join(f"{name} {v}" for name, v in context["made"].items()) + ".")
    return "\n".join(parts) + "\n"


PAIR_COLUMNS = (
    *("signals of", "judged by", "mutual information", "left open"),
    *("price of agreement, median", "never accepted"),
)
COMPARED_COLUMNS = (
    "first",
    "second",
    "transfer, first minus second",
    "alone accepted",
    "McNemar, adjusted p",
)


def _matrix(study: Study, family: FamilyStudy, task: Mapping[str, Any]) -> list[str]:
    names = {model.repo_id: name for model, name in short_names(list(study.models)).items()}
    rows = [
        (
            names[name],
            findings.told(family.outgoing[name]) if name in family.outgoing else "",
            findings.told(e),
        )
        for name, e in family.incoming.items()
    ]
    shared = ("model", "its signals, accepted by the other references", "accepts of the references' signals")
    asymmetric = [
        (names[a.repo_id], names[b.repo_id], text(e, "difference"), interval(e, "difference"), str(e.n))
        for a, b, e in family.asymmetry
    ]
    return [
        *_table(shared, rows),
        *_table(("from", "to", "there minus back", "95 % interval", "clips"), asymmetric),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    return [*lines, *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows), ""]
