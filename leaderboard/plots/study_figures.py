"""The figures of a study, drawn by matplotlib: SVG text for a page, PNG for a paper.

Conventions: colours are those of Okabe and Ito, distinct for colour-blind readers; each model also has
its own line style. Every figure names its n. Bars and shades are 95 % intervals.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from harness.domains.time import Time
from harness.families import parse_family
from harness.metrics.estimates import median
from harness.metrics.flat_earth import EXCESS
from harness.metrics.signal_measures import N_MEL
from harness.metrics.study import FamilyStudy, Study
from harness.plurals import plural
from harness.types import N_LEVELS, Estimate
from leaderboard.board.matrix import short_names
from leaderboard.board.remarks import panel

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7A7A7A")
_STYLES = ("-", "--", ":", "-.")
_DPI = 150  # of PNG files, and at which the layout is measured


def transfer_curves(study: Study, axes: Any) -> None:
    """How acceptance of the references' minimal signals grows to that of the whole clips, by judge."""
    family = _with_curves(study)
    names = _names(study)
    for i, judge in enumerate(study.models):
        curves = [p.curve for p in family.pairs if p.judge == judge and p.curve is not None]
        if not curves:
            continue
        means = [np.mean([c.transfer[j].value for c in curves]) for j in range(N_LEVELS)]
        colour, style = _look(i)
        axes.plot(range(N_LEVELS), means, color=colour, linestyle=style, marker="o", ms=3, label=names[judge])
    axes.set(xlabel="level (0: the signal, 7: the whole clip)", ylabel="accepted", ylim=(-0.02, 1.02))
    axes.set_title(
        f"{_plain(study.task)}: transfer over the levels, {plural(family.n_signals, 'signal')},\n"
        f"means {panel(study.n_references)}"
    )


def sizes(study: Study, axes: Any) -> None:
    """Kept share of every signal, by reference and family."""
    _spread(study, axes, "sizes", "kept share", log=True)


def entropies(study: Study, axes: Any) -> None:
    """Spectral entropy of every signal, by reference and family."""
    _spread(study, axes, "entropies", "spectral entropy of the signal, bits", log=False)


def band_use(study: Study, axes: Any) -> None:
    """At which frequencies the signals lie, by reference."""
    names = _names(study)
    portraits = [p for p in study.portraits if p.family == study.families[0].family and p.n]
    for i, portrait in enumerate(portraits):
        colour, style = _look(i)
        label = f"{names[portrait.model]} (n = {portrait.n})"
        axes.plot(np.arange(N_MEL), portrait.mel, color=colour, linestyle=style, label=label)
    axes.set(xlabel="mel band, low to high", ylabel="share of what is kept", ylim=(0, None))
    axes.set_title(f"{_plain(study.task)}: frequencies of the signals, family {study.families[0].family}")


def flat_earth(study: Study, axes: Any) -> None:
    """Excess of both shares of each model, with the lower end of its interval and what it must pass."""
    names = _names(study)
    family = study.families[0]
    for row, assessment in enumerate(family.flat_earth):
        for share, offset, colour in (
            (assessment.rejects_alone, -0.15, _COLOURS[0]),
            (assessment.rejected_by_all, 0.15, _COLOURS[1]),
        ):
            if share.excess is None or share.excess.value is None or share.excess.low is None:
                continue
            fill = colour if share.flagged else "white"
            ends = [share.excess.low, share.excess.value]
            axes.plot(ends, [row + offset] * 2, color=colour, lw=1.5)
            axes.plot(share.excess.value, row + offset, "o", color=colour, mfc=fill, ms=6)
    axes.axvline(EXCESS, color="#7A7A7A", lw=1, linestyle=":")
    axes.plot([], [], "o-", color=_COLOURS[0], mfc="white", label="rejects alone")
    axes.plot([], [], "o-", color=_COLOURS[1], mfc="white", label="rejected by all")
    axes.plot([], [], "o", color="#7A7A7A", label="filled: flagged")
    axes.set_yticks(
        range(len(family.flat_earth)), [names[assessment.model] for assessment in family.flat_earth]
    )
    axes.invert_yaxis()
    axes.set(
        xlabel=f"share minus the median of the others, lower end of its interval; beyond {EXCESS}: dotted"
    )
    axes.set_title(
        f"{_plain(study.task)}: rejects alone, or is rejected by all, {plural(family.n_signals, 'signal')},\n"
        f"{panel(study.n_references)}"
    )


def accuracy_and_transfer(study: Study, axes: Any) -> None:
    """Accuracy on whole clips against acceptance of the others' signals: neither follows from the other."""
    names = _names(study)
    family = study.families[0]
    for i, model in enumerate(study.models):
        x, y = study.whole[model.repo_id].accuracy, family.incoming[model.repo_id]
        if x.value is None or y.value is None:
            continue
        colour, _ = _look(i)
        axes.errorbar(x.value, y.value, xerr=_ends(x), yerr=_ends(y), fmt="o", color=colour, ms=5, lw=1)
        label_offset = {"xytext": (5, -10 if i % 2 else 4), "textcoords": "offset points"}
        axes.annotate(names[model], (x.value, y.value), fontsize=7, color=colour, **label_offset)
    axes.set(xlabel="accuracy on whole clips", ylabel="transfer: accepted signals of the others")
    axes.set_title(
        f"{_plain(study.task)}: accuracy and transfer, {plural(study.n_clips, 'clip')},"
        f" {plural(family.n_signals, 'signal')},\n"
        f"{panel(study.n_references)}"
    )


def families(study: Study, axes: Any) -> None:
    """What signals are made of, and what it does: rates, size and stability of each family."""
    in_order = sorted(study.families, key=lambda each: _coarse_first(study, each.family))
    for i, (name, of_family) in enumerate(_OF_FAMILIES.items()):
        colour, style = _look(i)
        points = [(x, of_family(study, each)) for x, each in enumerate(in_order)]
        for x, estimate in points:
            if estimate.value is not None:
                at = x + (i - len(_OF_FAMILIES) / 2) * 0.09
                axes.errorbar(at, estimate.value, yerr=_ends(estimate), fmt="o", color=colour, ms=4, lw=1)
        axes.plot([], [], "o", color=colour, linestyle=style, label=name)
    axes.axhline(0, color="#7A7A7A", lw=0.8)
    labels = [f"{each.family.replace('@', '@' + chr(10))} ({each.n_signals})" for each in in_order]
    axes.set_xticks(range(len(in_order)), labels, fontsize=7)
    axes.set(ylabel="share, or difference of two")
    axes.set_title(
        f"{_plain(study.task)}: what signals are made of (their number),\nmeans {panel(study.n_references)}"
    )


def _coarse_first(study: Study, family: str) -> tuple[str, str, float]:
    parsed = parse_family(family)
    return parsed.resolution.domain, parsed.kind, -(_kept(study, family).value or 0.0)


def _kept(study: Study, family: str) -> Estimate:
    """Median share that the signals of all references keep."""
    return median([size for p in study.portraits if p.family == family for size in p.sizes])


def _jaccard(study: Study, family: str) -> Estimate:
    """Mean over the references, without an interval."""
    each = [s.jaccard for s in study.stability if s.family == family and s.jaccard.value is not None]
    value = float(np.mean([e.value for e in each])) if each else None
    return Estimate(value, None, None, 0.95, "mean over references", sum(e.n for e in each))


_OF_FAMILIES: MappingProxyType[str, Callable[[Study, FamilyStudy], Estimate]] = MappingProxyType(
    {
        "transfer": lambda study, family: family.transfer,
        "lift": lambda study, family: family.lift,
        "placement": lambda study, family: family.placement,
        "kept share, median": lambda study, family: _kept(study, family.family),
        "stability: Jaccard of two draws": lambda study, family: _jaccard(study, family.family),
    }
)
"""What is drawn of each family."""

STUDY_FIGURES: MappingProxyType[str, Callable[[Study, Any], None]] = MappingProxyType(
    {
        "accuracy-and-transfer": accuracy_and_transfer,
        "transfer-curves": transfer_curves,
        "flat-earth": flat_earth,
        "band-use": band_use,
        "sizes": sizes,
        "entropies": entropies,
        "families": families,
    }
)
"""Name of a figure, and the function that draws it."""


def draw(study: Study, name: str, png: BinaryIO | None = None) -> str | None:
    """One of STUDY_FIGURES as SVG, and as a PNG in a file; None where the study has nothing for it."""
    if name == "band-use" and parse_family(study.families[0].family).resolution.domain == Time.name:
        return None  # blocks keep all frequencies alike
    if name == "transfer-curves" and not any(p.curve for f in study.families for p in f.pairs):
        return None
    if name == "families" and len(study.families) < 2:
        return None
    if name == "flat-earth" and all(
        share.excess is None
        for assessment in study.families[0].flat_earth
        for share in (assessment.rejects_alone, assessment.rejected_by_all)
    ):
        return None
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with _canvas() as (figure, axes):
        STUDY_FIGURES[name](study, axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        ConstrainedLayoutEngine().execute(figure)  # once; as the figure's own engine it ran for each file
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        if png is not None:
            figure.savefig(png, format="png", dpi=_DPI, metadata={"Software": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


@contextmanager
def _canvas() -> Iterator[tuple[Any, Any]]:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings = {
        "svg.hashsalt": "goodenough",
        "svg.fonttype": "path",
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titley": 1.0,  # where it would be put, after all ticks had been measured again
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        figure = Figure(figsize=(7.2, 4.2), dpi=_DPI)
        FigureCanvasAgg(figure)  # what the layout is measured with
        yield figure, figure.subplots()


def _spread(study: Study, axes: Any, field: str, label: str, *, log: bool) -> None:
    names = _names(study)
    portraits = [p for p in study.portraits if p.n]
    for i, portrait in enumerate(portraits):
        values = np.array(getattr(portrait, field))
        colour = _COLOURS[0] if portrait.family == study.families[0].family else _COLOURS[1]
        jitter = np.linspace(-0.25, 0.25, len(values))
        axes.plot(values, i + jitter, ".", color=colour, ms=3, alpha=0.6)
        axes.plot(np.median(values), i, "|", color="black", ms=14)
    axes.set_yticks(
        range(len(portraits)), [f"{names[p.model]}, {p.family} ({p.n})" for p in portraits], fontsize=7
    )
    axes.invert_yaxis()
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(f"{label}; bar: median")
    axes.set_title(f"{_plain(study.task)}: {label.split(';')[0]}")


def _with_curves(study: Study) -> FamilyStudy:
    """The first family whose signals have levels."""
    families = (f for f in study.families if any(pair.curve is not None for pair in f.pairs))
    return next(families, study.families[0])


def _names(study: Study) -> Any:
    return {model: _plain(name) for model, name in short_names(list(study.models)).items()}


def _plain(text: str) -> str:
    """Text with dollar signs escaped, between which matplotlib would read mathematics."""
    return text.replace("$", r"\$")


def _look(i: int) -> tuple[str, str]:
    return _COLOURS[i % len(_COLOURS)], _STYLES[i % len(_STYLES)]


def _ends(estimate: Estimate) -> Any:
    """[[below], [above]] for matplotlib."""
    value = estimate.value or 0.0
    low = value if estimate.low is None else estimate.low
    high = value if estimate.high is None else estimate.high
    return [[value - low], [high - value]]
