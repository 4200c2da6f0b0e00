"""What a study found, in sentences made from its numbers: none without its n and its interval.

Public: sentences, told, bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.records import Estimate
from harness.score.study import FamilyStudy, Study
from leaderboard.table import short_names
from leaderboard.wording import Kind, interval, text


def told(estimate: Estimate, kind: Kind = "rate") -> str:
    """`39.2 % [33.6 to 45.0 %, n = 645]`."""
    return f"{text(estimate, kind)} [{interval(estimate, kind)}, n = {estimate.n:,}]"


def bits(estimate: Estimate) -> str:
    """`2.0 bits [0.0 to 3.1, n = 60]`; what is unknown or infinite is said so."""
    if estimate.value is None:
        return f"no finite number of bits [n = {estimate.n:,}]"
    high = "infinity" if estimate.high is None else f"{estimate.high:.2f}"
    return f"{estimate.value:.2f} bits [{estimate.low:.2f} to {high}, n = {estimate.n:,}]"


def sentences(study: Study, family: FamilyStudy) -> list[str]:
    """The findings of one family."""
    return [*_overall(family), *_extremes(study, family), *_agreement(study, family), *_flat(study, family)]


def _overall(family: FamilyStudy) -> Iterator[str]:
    yield (
        f"A model accepts {told(family.transfer)} of the signals of another; where both agree on the whole"
        f" clip, {told(family.agreeing_transfer)}. On whole clips they agree in {told(family.ceiling)}."
    )
    yield (
        f"As many bins elsewhere in the spectrum are accepted in {told(family.floor)}: the lift is"
        f" {told(family.lift, 'difference')}."
    )


def _extremes(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = {model.repo_id: name for model, name in short_names(list(study.models)).items()}
    known = {n: e for n, e in family.outgoing.items() if e.value is not None}
    if len(known) > 1:
        best, worst = (pick(known, key=lambda n: known[n].value or 0.0) for pick in (max, min))
        yield (
            f"The signals of {names[best]} travel furthest, {told(known[best])}, those of {names[worst]}"
            f" least, {told(known[worst])}."
        )
    sure = [
        (a, b, e)
        for a, b, e in family.asymmetry
        if e.low is not None and e.high is not None and (e.low > 0 or e.high < 0)
    ]
    if sure:
        a, b, e = max(sure, key=lambda each: abs(each[2].value or 0.0))
        if (e.value or 0.0) < 0:
            a, b, e = b, a, _turned(e)
        yield (
            f"Transfer is no symmetric thing: for {len(sure)} of {len(family.asymmetry)} pairs of references"
            f" the two ways differ beyond their interval, most from {names[a.repo_id]} to"
            f" {names[b.repo_id]} against the way back, {told(e, 'difference')}."
        )


def _turned(e: Estimate) -> Estimate:
    """The same difference the other way round."""
    value, low, high = (None if x is None else -x for x in (e.value, e.high, e.low))
    return replace(e, value=value, low=low, high=high)


def _agreement(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = short_names(list(study.models))
    priced = [(p, p.curve) for p in family.pairs if p.curve is not None]
    finite = [(c.price_bits.value, p, c) for p, c in priced if c.price_bits.value is not None]
    if finite:
        for what, pick in (("least", min), ("most", max)):
            _, pair, curve = pick(finite, key=lambda each: each[0])
            yield (
                f"Agreement costs {names[pair.judge]} {what} on signals of {names[pair.reference]}: in the"
                f" median {bits(curve.price_bits)}, never accepted {told(curve.censored)}."
            )
        if len(finite) < len(priced):
            yield (
                f"For {len(priced) - len(finite)} of {len(priced)} pairs half of the signals or more are"
                " never accepted, not even as whole clips: there the median price is infinite."
            )
    informed = [p for p in family.pairs if p.information.mutual.value is not None]
    if informed:
        most = max(informed, key=lambda p: p.information.mutual.value or 0.0)
        yield (
            f"The verdicts of {names[most.judge]} on signals of {names[most.reference]} tell most of their"
            f" classes, {bits(most.information.mutual)}, and leave {bits(most.information.left)} open."
        )


def _flat(study: Study, family: FamilyStudy) -> Iterator[str]:
    names = short_names(list(study.models))
    flagged = [f for f in family.flat_earth if f.flagged]
    if not flagged:
        both = [(f.rejects_alone.p, f.rejected_by_all.p) for f in family.flat_earth]
        assessed = sum(p != (None, None) for p in both)
        yield f"No flat-earther among {assessed} assessed of {len(family.flat_earth)} models."
    for each in flagged:
        yield each.sentence(names[each.model])
