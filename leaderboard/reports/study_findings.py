"""The findings of a study, in sentences made from its numbers: none without its n and its interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.metrics.flat_earth import ALPHA, NOT_ASSESSED, FlatEarth, benjamini_hochberg
from harness.metrics.study import FamilyStudy, Study
from harness.number_format import number
from harness.plurals import plural
from harness.types import MIN_SIGNALS, Estimate, ModelRef
from leaderboard.board.matrix import short_names
from leaderboard.board.remarks import panel
from leaderboard.formatting import Kind, interval, text


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


def summary(study: Study, given: Sequence[ModelRef] = ()) -> list[str]:
    """What a reader wants first: flat-earthers, then the models given, then the transfer of the panel.

    Each model is named once for all families; where the families disagree about it, that is said.
    """
    return [*_flat_earthers(study), *_given(study, given), _headline(study), *_families(study)]


def _flat_earthers(study: Study) -> Iterator[str]:
    names = short_names(list(study.models))
    by_model: dict[ModelRef, dict[str, FlatEarth]] = {}
    for family in study.families:
        for each in family.flat_earth:
            by_model.setdefault(each.model, {})[family.family] = each
    flagged = {m: each for m, each in by_model.items() if any(a.flagged for a in each.values())}
    for model, assessments in flagged.items():
        verdicts = {family: a.verdict for family, a in assessments.items()}
        if len(set(verdicts.values())) == 1:
            families = "family" if len(verdicts) == 1 else "families"
            yield f"{names[model]}: {next(iter(verdicts.values()))} ({families} {', '.join(verdicts)})."
        else:
            parts = ", ".join(f"{verdict} by family {family}" for family, verdict in verdicts.items())
            yield f"The families disagree about {names[model]}: {parts}."
    if not any(a.is_flat_earther for each in by_model.values() for a in each.values()):
        n_assessed = sum(any(a.verdict != NOT_ASSESSED for a in each.values()) for each in by_model.values())
        yield f"No flat-earther; {n_assessed} of {plural(len(by_model), 'model')} could be assessed."


def _given(study: Study, given: Sequence[ModelRef]) -> Iterator[str]:
    """The models given, in the headline family: what they accept, and whose lift is higher or lower."""
    names, family = short_names(list(study.models)), study.families[0]
    for model in (m for m in study.models if m in given):
        above = below = same = 0
        for pair in family.compared:
            if model not in (pair.first, pair.second):
                continue
            lift = pair.lift if pair.first == model else _reversed(pair.lift)
            if lift.low is None or lift.high is None:
                continue
            above, below = above + (lift.low > 0), below + (lift.high < 0)
            same += lift.low <= 0 <= lift.high
        yield (
            f"{names[model]}, the model given, accepts {fmt(family.incoming[model.repo_id])} of the signals"
            f" of the references. Its lift is higher than that of {plural(above, 'other model')} and lower"
            f" than that of {below}; for {same} the interval of the difference includes 0. Each pair is"
            " compared on the references that both are judged on."
        )


def _headline(study: Study) -> str:
    family = study.families[0]
    return (
        f"A reference accepts {fmt(family.transfer)} of the signals of another; the lift, what is left after"
        f" swap controls, is {_difference(family.lift)}."
    )


def _families(study: Study) -> Iterator[str]:
    """Of which atoms models agree most, where there is more than one family."""
    measured = [f for f in study.families if f.transfer.value is not None and f.lift.value is not None]
    if len(measured) < 2:
        return
    most = max(measured, key=lambda family: family.transfer.value or 0.0)
    lift = max(measured, key=lambda family: family.lift.value or 0.0)
    others = ", ".join(
        f"{family.family} {fmt(family.transfer)} (lift {_difference(family.lift)})"
        for family in measured
        if family is not most
    )
    yield (
        f"Models agree most on signals of {most.family}: they accept {fmt(most.transfer)} of each other's"
        f" (lift {_difference(most.lift)}); of {others}. The highest lift is that of {lift.family}."
    )


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
        f"The same part of clips of another class (swap) is accepted in {fmt(family.swap)}: the lift is"
        f" {_difference(family.lift)}."
    )
    yield (
        f"Equally loud places elsewhere in the same clip (matched) are accepted in {fmt(family.matched)}:"
        f" the placement is {_difference(family.placement)}. As many of the loudest coefficients are"
        f" accepted in {fmt(family.largest)}: signals do better by {_difference(family.beyond_largest)}."
    )


def _difference(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"not shown, because no two models have {MIN_SIGNALS} signals for it [n = {estimate.n:,}]"
    return fmt(estimate, "difference")


def _extremes(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = {model.repo_id: name for model, name in short_names(list(study.models)).items()}
    estimates = {n: e for n, e in family.outgoing.items() if e.value is not None}
    if len(estimates) > 1:
        best, worst = (pick(estimates, key=lambda n: estimates[n].value or 0.0) for pick in (max, min))
        yield (
            f"The signals of {names[best]} transfer best, {fmt(estimates[best])}, those of {names[worst]}"
            f" worst, {fmt(estimates[worst])}."
        )
    pairs = [
        (a, b, e)
        for a, b, e in family.asymmetry
        if e.low is not None and e.high is not None and (e.low > 0 or e.high < 0)
    ]
    if pairs:
        a, b, e = max(pairs, key=lambda each: abs(each[2].value or 0.0))
        if (e.value or 0.0) < 0:
            a, b, e = b, a, _reversed(e)
        yield (
            f"Transfer is not symmetric: for {len(pairs)} of {len(family.asymmetry)} pairs of references"
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
    prices = [
        (c.price_bits.value, p, c)
        for p in family.pairs
        if (c := p.curve) is not None and c.price_bits.value is not None and c.price_bits.n >= MIN_SIGNALS
    ]
    for what, pick in (("least", min), ("most", max)) if prices else ():
        _, pair, curve = pick(prices, key=lambda price: price[0])
        yield (
            f"On clips that both give one class, agreement on the signals of {names[pair.reference]} costs"
            f" {names[pair.judge]} {what}: in the median {bits(curve.price_bits)}. It gives"
            f" {fmt(curve.disagreeing)} of the whole clips another class."
        )


def _information(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = short_names(list(study.models))
    pairs = [p for p in family.pairs if p.information.p is not None]
    n = f"{len(pairs)} of {len(family.pairs)} pairs"
    if not pairs:
        reasons = [reason for p in family.pairs if (reason := p.information.not_shown_because)]
        first_reason = f" Of the first: {reasons[0]}" if reasons else ""
        yield f"Mutual information of verdicts and classes can be estimated for {n}.{first_reason}"
        return
    p_values = benjamini_hochberg([p.information.p or 0.0 for p in pairs])
    significant = [(p, q) for p, q in zip(pairs, p_values, strict=True) if q < ALPHA]
    if not significant:
        yield (
            f"Mutual information of verdicts and classes could be estimated for {n}; in 0 of {len(pairs)} it"
            f" differs from 0 (adjusted p < {ALPHA})."
        )
        return
    pair, q = max(significant, key=lambda item: item[0].information.mutual.value or 0.0)
    yield (
        f"Mutual information of verdicts and classes could be estimated for {n}, and in {len(significant)} of"
        f" {len(pairs)} it differs from 0. It is largest for the verdicts of {names[pair.judge]} on signals"
        f" of {names[pair.reference]}: {bits(pair.information.mutual)} (adjusted p = {q:.2g}), with"
        f" {bits(pair.information.left)} left open."
    )


def _flat(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = short_names(list(study.models))
    flagged_models = [assessment for assessment in family.flat_earth if assessment.flagged]
    if not any(assessment.is_flat_earther for assessment in flagged_models):
        n_models = len(family.flat_earth)
        n_alone = sum(each.rejects_alone.p is not None for each in family.flat_earth)
        n_ignored = sum(each.rejected_by_all.p is not None for each in family.flat_earth)
        verdict = "No flat-earther" if n_alone or n_ignored else "Flat-earthers were not assessed"
        yield (
            f"{verdict}, {panel(study.n_references)}: what a model alone rejects (R_in) was tested for"
            f" {n_alone} of {n_models} models, which of its own signals nobody else accepts (R_out) for"
            f" {n_ignored} of {n_models}."
        )
    for model_assessment in flagged_models:
        yield model_assessment.sentence(names[model_assessment.model])
