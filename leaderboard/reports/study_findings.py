"""What a study shows, in sentences made from its numbers: none without its n and its interval.

Public: TERMS, sentences, fmt, bits, ratio.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.metrics.flat_earth import ALPHA, benjamini_hochberg
from harness.metrics.study import FamilyStudy, Study
from harness.numerals import number
from harness.types import MIN_SIGNALS, Estimate
from leaderboard.board.matrix import short_names
from leaderboard.board.remarks import panel
from leaderboard.formatting import Kind, interval, text

TERMS = (
    (
        "A sufficient signal",
        "a part of a clip's spectrum, all else removed, to which a reference gives the class that it gives"
        " the whole clip. A clip has many; extraction gives one of them, or several draws.",
    ),
    (
        "Degenerate",
        "a signal of the class that its reference gives silence: there the empty signal is sufficient, too."
        " Such signals stay out of every number here.",
    ),
    ("Transfer", "the share of a reference's signals to which another model gives the same class (accepts)."),
    (
        "Lift",
        "transfer minus the acceptance of swap controls: the same frequencies, at the same energy, of clips"
        " that the reference gives another class. It is 0 for a model that always gives one class.",
    ),
    (
        "Placement",
        "transfer minus the acceptance of matched controls: equally loud places elsewhere in the same clip."
        " Nothing is ranked by it.",
    ),
    (
        "Agreement on whole clips",
        "the share of clips, nothing removed, to which two models give the same class. It is no upper bound"
        " of transfer.",
    ),
)
"""Words of the report, each with its meaning, to be read before the first number."""


def fmt(estimate: Estimate, kind: Kind = "rate") -> str:
    """`39.2 % [33.6 to 45.0 %, n = 645]`."""
    if estimate.value is None:
        return f"unknown [n = {estimate.n:,}]"
    ends = "" if estimate.low is None else f"{interval(estimate, kind)}, "
    return f"{text(estimate, kind)} [{ends}n = {estimate.n:,}]"


def bits(estimate: Estimate) -> str:
    """`2.00 bits [0.00 to 3.10, n = 60]`; what is unknown is called so."""
    return _plain(estimate, " bits")


def ratio(estimate: Estimate) -> str:
    """`1.25 [1.10 to 1.50, n = 60]`."""
    return _plain(estimate, "")


def _plain(estimate: Estimate, unit: str) -> str:
    if estimate.value is None:
        return f"unknown [n = {estimate.n:,}]"
    ends = ""
    if estimate.low is not None and estimate.high is not None:
        ends = f"{number(estimate.low, 2)} to {number(estimate.high, 2)}, "
    return f"{number(estimate.value, 2)}{unit} [{ends}n = {estimate.n:,}]"


def sentences(study: Study, family: FamilyStudy) -> list[str]:
    """The findings of one family."""
    return [
        *_overall(study, family),
        *_extremes(study, family),
        *_price(study, family),
        *_information(study, family),
        *_flat(study, family),
    ]


def _overall(study: Study, family: FamilyStudy) -> Iterator[str]:
    yield (
        f"A model accepts {fmt(family.transfer)} of the signals of another, {panel(study.n_references)};"
        f" where both agree on the whole clip, {fmt(family.agreeing_transfer)}. Agreement on whole clips is"
        f" {fmt(family.agreement)}."
    )
    yield (
        f"The same frequencies of clips of another class (swap) are accepted in {fmt(family.swap)}: the lift"
        f" is {_difference(family.lift)}."
    )
    yield (
        f"Equally loud places elsewhere in the same clip (matched) are accepted in {fmt(family.matched)}:"
        f" the placement is {_difference(family.placement)}. As many of the loudest bins are accepted in"
        f" {fmt(family.largest)}: signals do better by {_difference(family.beyond_largest)}."
    )


def _difference(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"not shown, because no two models have {MIN_SIGNALS} signals for it [n = {estimate.n:,}]"
    return fmt(estimate, "difference")


def _extremes(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = {model.repo_id: name for model, name in short_names(list(study.models)).items()}
    known = {n: e for n, e in family.outgoing.items() if e.value is not None}
    if len(known) > 1:
        best, worst = (pick(known, key=lambda n: known[n].value or 0.0) for pick in (max, min))
        yield (
            f"The signals of {names[best]} transfer best, {fmt(known[best])}, those of {names[worst]}"
            f" worst, {fmt(known[worst])}."
        )
    sure = [
        (a, b, e)
        for a, b, e in family.asymmetry
        if e.low is not None and e.high is not None and (e.low > 0 or e.high < 0)
    ]
    if sure:
        a, b, e = max(sure, key=lambda each: abs(each[2].value or 0.0))
        if (e.value or 0.0) < 0:
            a, b, e = b, a, _reversed(e)
        yield (
            f"Transfer is not symmetric: for {len(sure)} of {len(family.asymmetry)} pairs of references"
            f" the interval of the difference between the two directions, each by itself, excludes 0. It is"
            f" largest from {names[a.repo_id]} to {names[b.repo_id]} minus the way back,"
            f" {fmt(e, 'difference')}."
        )


def _reversed(e: Estimate) -> Estimate:
    """The same difference the other way round."""
    value, low, high = (None if x is None else -x for x in (e.value, e.high, e.low))
    return replace(e, value=value, low=low, high=high)


def _price(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = short_names(list(study.models))
    priced = [
        (c.price_bits.value, p, c)
        for p in family.pairs
        if (c := p.curve) is not None and c.price_bits.value is not None and c.price_bits.n >= MIN_SIGNALS
    ]
    for what, pick in (("least", min), ("most", max)) if priced else ():
        _, pair, curve = pick(priced, key=lambda each: each[0])
        yield (
            f"On clips that both give one class, agreement on the signals of {names[pair.reference]} costs"
            f" {names[pair.judge]} {what}: in the median {bits(curve.price_bits)}. It gives"
            f" {fmt(curve.disagreeing)} of the whole clips another class."
        )


def _information(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = short_names(list(study.models))
    shown = [p for p in family.pairs if p.information.p is not None]
    n = f"{len(shown)} of {len(family.pairs)} pairs"
    if not shown:
        reasons = [because for p in family.pairs if (because := p.information.not_shown_because)]
        first = f" Of the first: {reasons[0]}" if reasons else ""
        yield f"Mutual information of verdicts and classes can be estimated for {n}.{first}"
        return
    adjusted = benjamini_hochberg([p.information.p or 0.0 for p in shown])
    sure = [(p, q) for p, q in zip(shown, adjusted, strict=True) if q < ALPHA]
    if not sure:
        yield (
            f"Mutual information of verdicts and classes could be estimated for {n}; in 0 of {len(shown)} it"
            f" differs from 0 (adjusted p < {ALPHA})."
        )
        return
    most, q = max(sure, key=lambda each: each[0].information.mutual.value or 0.0)
    yield (
        f"Mutual information of verdicts and classes could be estimated for {n}, and in {len(sure)} of"
        f" {len(shown)} it differs from 0. It is largest for the verdicts of {names[most.judge]} on signals"
        f" of {names[most.reference]}: {bits(most.information.mutual)} (adjusted p = {q:.2g}), with"
        f" {bits(most.information.left)} left open."
    )


def _flat(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = short_names(list(study.models))
    flagged = [f for f in family.flat_earth if f.flagged]
    if not any(f.is_flat_earther for f in flagged):
        of = len(family.flat_earth)
        alone, ignored = (
            sum(share.p is not None for share in shares)
            for shares in (
                [f.rejects_alone for f in family.flat_earth],
                [f.rejected_by_all for f in family.flat_earth],
            )
        )
        verdict = "No flat-earther" if alone or ignored else "Flat-earthers were not assessed"
        yield (
            f"{verdict}, {panel(study.n_references)}: what a model alone rejects (R_in) was tested for"
            f" {alone} of {of} models, which of its own signals nobody else accepts (R_out) for"
            f" {ignored} of {of}."
        )
    for each in flagged:
        yield each.sentence(names[each.model])
