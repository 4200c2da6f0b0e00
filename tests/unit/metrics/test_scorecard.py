"""The scorecard against panels counted by hand, scikit-learn, and a recomputation in pandas alone."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from harness.metrics.estimates import clustered, wilson
from harness.metrics.panels import METRICS
from harness.metrics.scorecard import Tally, lift_by_clip, polarity_warning, resampling_weights, summarise
from harness.schemas import Rates, ReferenceCounts, Scorecard, from_json, to_json
from harness.tasks import TASKS
from harness.types import MIN_SIGNALS, N_MATCHED, N_SWAPS, LabelMap, ModelRef, Verdict
from tests.helpers.families import FAMILIES

TASK = TASKS["emotion"]
HEADLINE, MINIMAL = FAMILIES


def model(name: str, weights: str | None = None) -> ModelRef:
    return ModelRef(f"toys/{name}", "0" * 40, weights or f"weights of {name}")


CANDIDATE = model("candidate")
FIRST, SECOND = model("first"), model("second")


def label_map(*known: str) -> LabelMap:
    return LabelMap("emotion", (*known, "noise"), (*known, "other"), "names")


MAP = label_map("angry", "happy", "sad")


def counts(reference: ModelRef, n: int, family: str = HEADLINE, degenerate: int = 0) -> ReferenceCounts:
    return ReferenceCounts(reference, family, n + degenerate, degenerate, "other")


def row(stimulus: str, predicted: str, **fields: object) -> dict[str, object]:
    """One verdict; what is not given is unknown."""
    blank = dict.fromkeys(field.name for field in dataclasses.fields(Verdict))
    blank |= {"task": "emotion", "predicted_raw": predicted.upper(), "p": (), "n_samples": 1000}
    blank |= {"seconds_seen": 1.0, "energy_seen": 1.0, "stimulus": stimulus, "predicted": predicted}
    assert set(fields) <= set(blank)
    return blank | fields


Answer = str | Sequence[str]


def signal(
    reference: ModelRef,
    clip_id: str,
    expected: str,
    said: Sequence[Answer],
    family: str = HEADLINE,
    n_samples: int = 1000,
    *,
    matched: Sequence[str] = ("other",) * N_MATCHED,
    draw: int = 1,
    other_n_samples: int | None = None,
) -> list[dict[str, object]]:
    """The verdicts of one signal.

    Args:
        reference: whose it is.
        clip_id: its clip.
        expected: its class.
        said: of the signal, its `swap` controls and its `largest`; one answer stands for all three swaps.
        family: one of FAMILIES.
        n_samples: length of the clip.
        matched: of its `matched` controls.
        draw: which extraction.
        other_n_samples: length of the clips of the swaps; that of the clip, unless it is given.
    """
    at = {
        "reference": reference.repo_id,
        "family": family,
        "draw": draw,
        "level": 0,
        "clip_id": clip_id,
        "signal_id": f"{clip_id}:{reference.slug}:{family}:0.{draw}",
        "n_samples": n_samples,
        "expected": expected,
    }
    itself, swaps, largest = said
    each = [swaps] * N_SWAPS if isinstance(swaps, str) else swaps
    other = {"n_samples": other_n_samples or n_samples, "level": None}
    return [
        row("signal", str(itself), **at),
        *(row("swap", a, **{**at, **other, "replicate": i, "other_clip": "z"}) for i, a in enumerate(each)),
        *(row("matched", a, **{**at, "level": None, "replicate": i}) for i, a in enumerate(matched)),
        row("largest", str(largest), **{**at, "level": None}),
        row("complement", "other", **{**at, "level": None}),
    ]


def wholes(n: int, label: str = "angry") -> list[dict[str, object]]:
    """Whole clips c0, c1, ..., of which the candidate says one class."""
    return [row("whole", label, clip_id=f"c{i}", truth=label) for i in range(n)]


def frame(*rows: dict[str, object] | list[dict[str, object]]) -> pd.DataFrame:
    flat = [r for some in rows for r in (some if isinstance(some, list) else [some])]
    columns = [field.name for field in dataclasses.fields(Verdict)]
    return pd.DataFrame(flat, columns=columns)


def by_hand(times: int = 1) -> pd.DataFrame:
    """Two references, three clips; c is a second long, a and b half. All of it as often as is asked for.

    |   | whole | class | signal | swap               | matched             | largest |
    | a | angry | first: angry | angry | angry, sad, sad    | angry twice of four | sad     |
    | b | happy | happy        | happy | sad                | happy, the only one | happy   |
    | c | sad   | angry        | other | angry, angry, sad  | other               | angry   |
    | a |       | second: sad  | sad   | angry, sad, other  | there is none       | sad     |
    | b |       | calm, which nobody here knows                                        |
    | c |       | sad          | sad   | there is none      | sad twice of four   | happy   |
    Silence is angry when short and sad when long.
    """
    long = {"n_samples": 2000}
    rows: list[dict[str, object] | list[dict[str, object]]] = [
        row("silence", "angry"),
        row("silence", "sad", **long),
    ]
    for i in range(times):
        a, b, c = (f"{name}{i}" for name in "abc")
        rows += [
            row("whole", "angry", clip_id=a, truth="angry"),
            row("whole", "happy", clip_id=b, truth="sad"),
            row("whole", "sad", clip_id=c, truth="sad", **long),
            signal(
                FIRST,
                a,
                "angry",
                ("angry", ("angry", "sad", "sad"), "sad"),
                matched=("angry", "angry", "other", "other"),
            ),
            signal(FIRST, b, "happy", ("happy", "sad", "happy"), matched=("happy",)),
            signal(FIRST, c, "angry", ("other", ("angry", "angry", "sad"), "angry"), n_samples=2000),
            signal(SECOND, a, "sad", ("sad", ("angry", "sad", "other"), "sad"), matched=()),
            signal(SECOND, b, "calm", ("happy", "happy", "happy")),
            signal(
                SECOND,
                c,
                "sad",
                ("sad", (), "happy"),
                n_samples=2000,
                matched=("sad", "sad", "other", "other"),
            ),
        ]
    return frame(*rows)


REFERENCES = (counts(FIRST, 3), counts(SECOND, 3, degenerate=1))


def values(rates: Rates) -> dict[str, float | None]:
    return {name: getattr(rates, name).value for name in METRICS}


# --- by hand


OF_FIRST = {
    "coverage": 1.0,
    "transfer": 2 / 3,
    "agreeing_transfer": 1.0,  # a and b, where the whole clip has the class
    "swap": (1 / 3 + 0 + 2 / 3) / 3,
    "lift": (2 / 3 + 1 - 2 / 3) / 3,
    "matched": (1 / 2 + 1 + 0) / 3,
    "placement": (1 / 2 + 0 + 0) / 3,
    "largest": 2 / 3,
    "beyond_largest": (1 + 0 - 1) / 3,
    "silence": 1 / 3,  # a: short and angry; c is long, where silence is sad
    "agreement": 2 / 3,
}
OF_SECOND = {
    "coverage": 2 / 3,
    "transfer": 1.0,
    "agreeing_transfer": 1.0,
    "swap": 1 / 3,  # a alone
    "lift": 2 / 3,  # a alone
    "matched": 1 / 2,  # c alone
    "placement": 1 / 2,
    "largest": 1 / 2,
    "beyond_largest": (0 + 1) / 2,
    "silence": 1 / 2,
    "agreement": 1 / 2,
}
DIFFERENCES = ("lift", "placement", "beyond_largest")


def test_every_rate_of_every_cell_by_hand() -> None:
    card = summarise(by_hand(20), TASK, CANDIDATE, REFERENCES, MAP, HEADLINE)
    first, second = card.families[0].cells
    assert values(first.rates) == pytest.approx(OF_FIRST)
    assert values(second.rates) == pytest.approx(OF_SECOND)
    assert (first.n_applicable, first.n_unswapped, first.n_unmatched) == (60, 0, 0)
    assert (second.n_applicable, second.n_unswapped, second.n_unmatched) == (40, 20, 20)
    n = {name: getattr(second.rates, name).n for name in METRICS}
    assert n == {
        **dict.fromkeys(METRICS, 40),
        "coverage": 60,
        "agreeing_transfer": 20,
        **dict.fromkeys(("swap", "lift", "matched", "placement"), 20),
    }
    assert (second.n_signals, second.n_degenerate, second.same_weights, second.near_copy) == (
        *(4, 1, False, False),
    )
    assert first.rates.transfer == wilson(40, 60)


def test_differences_are_not_shown_below_twenty_signals() -> None:
    """Of a reference with nineteen signals that have the control, and in the mean without it."""
    few = summarise(by_hand(6), TASK, CANDIDATE, REFERENCES, MAP, HEADLINE).families[0]
    for cell, known in zip(few.cells, (OF_FIRST, OF_SECOND), strict=True):
        shown = {name: None if name in DIFFERENCES else value for name, value in known.items()}
        assert values(cell.rates) == pytest.approx(shown)
    assert all(getattr(few.rates, name).value is None for name in DIFFERENCES)
    some = summarise(by_hand(19), TASK, CANDIDATE, REFERENCES, MAP, HEADLINE).families[0]
    assert some.cells[0].rates.lift.value == pytest.approx(1 / 3)
    assert (some.cells[1].rates.lift.value, some.cells[1].rates.placement.value) == (None, None)
    assert some.cells[1].rates.beyond_largest.value == pytest.approx(1 / 2), "38 signals have `largest`"
    assert some.rates.lift == some.cells[0].rates.lift
    assert some.rates.beyond_largest.value == pytest.approx((0 + 1 / 2) / 2)


def test_the_means_over_references_are_unweighted() -> None:
    rates = summarise(by_hand(20), TASK, CANDIDATE, REFERENCES, MAP, HEADLINE).families[0].rates
    assert values(rates) == pytest.approx({n: (OF_FIRST[n] + OF_SECOND[n]) / 2 for n in METRICS})
    assert (rates.transfer.n, rates.coverage.n, rates.agreeing_transfer.n) == (100, 120, 60)
    assert (rates.swap.n, rates.lift.n, rates.matched.n, rates.placement.n) == (80, 80, 80, 80)


def test_answers_that_are_those_to_silence_by_hand() -> None:
    as_silence = summarise(by_hand(20), TASK, CANDIDATE, REFERENCES, MAP, HEADLINE).families[0].as_silence
    assert {name: found.value for name, found in as_silence.items()} == pytest.approx(
        {
            "signal": (1 / 3 + 1 / 2) / 2,  # of first a, of second c
            "swap": ((1 / 3 + 0 + 1 / 3) / 3 + 1 / 3) / 2,
            "matched": ((1 / 2 + 0 + 0) / 3 + 1 / 2) / 2,
            "largest": 0.0,
        }
    )
    assert list(as_silence) == ["signal", "swap", "matched", "largest"]


def test_two_classes_that_are_no_label_are_two_answers() -> None:
    verdicts = frame(
        row("silence", "other", predicted_raw="hum"),
        wholes(2),
        signal(FIRST, "c0", "happy", ("other", ("other", "other", "other"), "other")),
        signal(FIRST, "c1", "happy", ("other", ("other", "other", "other"), "other")),
    )
    first_signal = verdicts["stimulus"].eq("signal") & verdicts["clip_id"].eq("c0")
    verdicts.loc[first_signal, "predicted_raw"] = "hum"
    (family,) = summarise(verdicts, TASK, CANDIDATE, [counts(FIRST, 2)], MAP, HEADLINE).families
    assert family.as_silence["signal"].value == pytest.approx(1 / 2)
    assert family.as_silence["swap"].value == 0.0


def test_a_swap_is_compared_with_silence_of_its_own_length() -> None:
    verdicts = frame(
        row("silence", "angry"),
        row("silence", "sad", n_samples=2000),
        wholes(1),
        signal(FIRST, "c0", "happy", ("happy", ("sad", "angry", "sad"), "sad"), other_n_samples=2000),
    )
    (family,) = summarise(verdicts, TASK, CANDIDATE, [counts(FIRST, 1)], MAP, HEADLINE).families
    assert family.as_silence["swap"].value == pytest.approx(2 / 3)
    assert family.as_silence["largest"].value == 0.0


def test_draws_of_a_clip_are_averaged_and_count_once() -> None:
    rows = wholes(20)
    for i in range(20):
        rows += signal(FIRST, f"c{i}", "angry", ("angry", ("angry", "sad", "sad"), "sad"))
        rows += signal(FIRST, f"c{i}", "angry", ("sad", ("angry", "angry", "sad"), "angry"), draw=2)
    (family,) = summarise(frame(*rows), TASK, CANDIDATE, [counts(FIRST, 40)], MAP, HEADLINE).families
    (cell,) = family.cells
    assert (cell.n_signals, cell.n_applicable) == (40, 20)
    found = values(cell.rates)
    assert found["transfer"] == pytest.approx(1 / 2)
    assert found["swap"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert found["lift"] == pytest.approx((2 / 3 - 2 / 3) / 2)
    assert found["beyond_largest"] == pytest.approx((1 - 1) / 2)
    assert {getattr(cell.rates, name).n for name in METRICS if name != "silence"} == {20}
    rows = [r for r in rows if r["draw"] != 2 or r["clip_id"] in ("c0", "c1")]
    (family,) = summarise(frame(*rows), TASK, CANDIDATE, [counts(FIRST, 22)], MAP, HEADLINE).families
    assert family.rates.transfer.value == pytest.approx(19 / 20), "two clips of a half"
    nineteen = [r for r in rows if r["clip_id"] != "c19" or r["stimulus"] == "whole"]
    (family,) = summarise(frame(*nineteen), TASK, CANDIDATE, [counts(FIRST, 21)], MAP, HEADLINE).families
    assert family.rates.lift.value is None, "21 signals, but of nineteen clips"


def test_a_near_copy_is_left_out_of_every_mean_and_its_cell_says_so() -> None:
    card = summarise(by_hand(20), TASK, CANDIDATE, REFERENCES, MAP, HEADLINE, copies={SECOND.repo_id})
    family = card.families[0]
    first, second = family.cells
    assert [(cell.near_copy, cell.same_weights, cell.own) for cell in family.cells] == [
        (False, False, False),
        (True, False, True),
    ]
    assert values(second.rates) == pytest.approx(OF_SECOND), "its cell is still there to be read"
    assert values(family.rates) == pytest.approx(OF_FIRST)
    assert family.rates.lift == first.rates.lift
    assert "sad" not in family.by_class
    assert family.as_silence["signal"].n == 60
    assert card.known_answer is None, "other weights: nothing is promised"
    lifts = lift_by_clip(by_hand(20), HEADLINE, REFERENCES, CANDIDATE, MAP.covered, {SECOND.repo_id})
    assert list(lifts.columns) == [FIRST.repo_id]
    itself = summarise(by_hand(20), TASK, SECOND, REFERENCES, MAP, HEADLINE, copies={SECOND.repo_id})
    assert [(c.near_copy, c.same_weights, c.own) for c in itself.families[0].cells][1] == (False, True, True)
    alone = summarise(by_hand(20), TASK, CANDIDATE, REFERENCES[1:], MAP, HEADLINE, copies={SECOND.repo_id})
    assert "other than the model itself" in (alone.unranked_because or "")


def test_the_same_values_have_the_same_interval_whatever_the_family_or_rate() -> None:
    rng = np.random.default_rng(11)
    rows: list[dict[str, object] | list[dict[str, object]]] = [row("silence", "other"), *wholes(40)]
    for reference in (FIRST, SECOND):
        for i in range(40):
            said = [rng.choice(["angry", "sad"]), rng.choice(["angry", "sad"], N_SWAPS).tolist(), "happy"]
            rows += [signal(reference, f"c{i}", "angry", said, family) for family in FAMILIES]
    references = [counts(r, 40, family) for r in (FIRST, SECOND) for family in FAMILIES]
    card = summarise(frame(*rows), TASK, CANDIDATE, references, MAP, HEADLINE)
    headline, minimal = card.families
    assert headline.rates == minimal.rates
    assert headline.rates.transfer == headline.rates.agreeing_transfer == headline.by_class["angry"]
    # Nothing of largest is accepted, and one whole clip is as the other: the same values again.
    lift, beyond = headline.rates.lift, headline.rates.beyond_largest
    assert beyond.value == headline.rates.transfer.value
    assert (beyond.low, beyond.high) == (headline.rates.transfer.low, headline.rates.transfer.high)
    assert lift.method == headline.rates.transfer.method


def test_transfer_by_class_by_hand() -> None:
    by_class = summarise(by_hand(), TASK, CANDIDATE, REFERENCES, MAP, HEADLINE).families[0].by_class
    assert {label: (e.value, e.n) for label, e in by_class.items()} == {
        "angry": (0.5, 2),
        "happy": (1.0, 1),
        "sad": (1.0, 2),
    }
    assert list(by_class) == ["angry", "happy", "sad"]  # in the order of the task; calm is not known


def test_a_class_the_candidate_does_not_know_leaves_every_denominator_but_coverage() -> None:
    known = summarise(by_hand(), TASK, CANDIDATE, REFERENCES, label_map("angry", "happy"), HEADLINE)
    first, second = known.families[0].cells
    assert (second.n_applicable, second.n_unswapped, second.n_unmatched) == (0, 0, 0)
    assert second.rates.coverage.value == 0.0
    assert all(v is None for name, v in values(second.rates).items() if name != "coverage")
    rates = known.families[0].rates
    assert rates.coverage.value == 0.5
    assert rates.transfer == first.rates.transfer  # a reference without applicable signals is in no mean


def test_other_wins_the_argmax_and_rejects() -> None:
    verdicts = frame(
        row("silence", "other"), wholes(1, "other"), signal(FIRST, "c0", "angry", ("other",) * 3)
    )
    (cell,) = summarise(verdicts, TASK, CANDIDATE, [counts(FIRST, 1)], MAP, HEADLINE).families[0].cells
    assert cell.rates.transfer.value == 0.0
    assert cell.rates.silence.value == 0.0
    assert cell.rates.agreement.value == 0.0
    assert cell.rates.agreeing_transfer.value is None


def test_a_signal_of_a_clip_without_a_verdict_is_refused() -> None:
    verdicts = frame(wholes(1), signal(FIRST, "d", "angry", ("angry",) * 3))
    with pytest.raises(ValueError, match="signals of the clip 'd', which has no verdict"):
        summarise(verdicts, TASK, CANDIDATE, [counts(FIRST, 1)], MAP, HEADLINE)


def test_a_reference_whose_signals_are_all_degenerate_has_an_empty_cell() -> None:
    references = [counts(FIRST, 3), counts(SECOND, 0, degenerate=7)]
    verdicts = by_hand().query("reference != 'toys/second'")
    family = summarise(verdicts, TASK, CANDIDATE, references, MAP, HEADLINE).families[0]
    empty = family.cells[1]
    assert (empty.n_signals, empty.n_degenerate, empty.n_applicable) == (7, 7, 0)
    assert set(values(empty.rates).values()) == {None}
    assert family.rates.transfer == family.cells[0].rates.transfer


def test_no_verdicts_at_all_give_unknowns_and_no_rank() -> None:
    card = summarise(frame(), TASK, CANDIDATE, REFERENCES, MAP, HEADLINE)
    assert set(values(card.families[0].rates).values()) == {None}
    assert card.whole.accuracy.value is None
    assert card.whole.f1.value is None
    assert not card.ranked
    assert from_json(Scorecard, to_json(card)) == card


def test_levels_above_0_are_passed_over() -> None:
    verdicts = by_hand()
    nested = verdicts[verdicts["stimulus"] == "signal"].assign(level=3, predicted="other")
    with_levels = pd.concat([verdicts, nested])
    for candidate in (CANDIDATE, FIRST, SECOND):
        assert summarise(with_levels, TASK, candidate, REFERENCES, MAP, HEADLINE) == summarise(
            verdicts, TASK, candidate, REFERENCES, MAP, HEADLINE
        )


def test_verdicts_counted_a_part_at_a_time_give_the_same_scorecard() -> None:
    verdicts = by_hand()
    clips = verdicts[verdicts["signal_id"].isna()]
    signals = verdicts[verdicts["signal_id"].notna()]
    parts = [rows for _, rows in signals.groupby(["reference", "family", "clip_id"])]
    assert len(parts) == 6
    for candidate in (CANDIDATE, SECOND):
        tally = Tally(clips, TASK, candidate, REFERENCES, MAP, HEADLINE)
        for rows in (clips, *parts):
            tally.add(rows)
        assert tally.scorecard() == summarise(verdicts, TASK, candidate, REFERENCES, MAP, HEADLINE)


def test_two_verdicts_on_one_stimulus_are_refused() -> None:
    verdicts = by_hand()
    for stimulus in ("signal", "swap", "matched", "largest", "whole", "silence"):
        twice = pd.concat([verdicts, verdicts[verdicts["stimulus"] == stimulus].head(1)])
        with pytest.raises(ValueError, match=f"two {stimulus} verdicts"):
            summarise(twice, TASK, CANDIDATE, REFERENCES, MAP, HEADLINE)


def test_families_never_meet_and_the_headline_comes_first() -> None:
    verdicts = frame(
        wholes(1),
        signal(FIRST, "c0", "angry", ("angry", "sad", "sad")),
        signal(FIRST, "c0", "angry", ("sad", "sad", "sad"), family=MINIMAL),
    )
    references = [counts(FIRST, 1, MINIMAL), counts(FIRST, 1)]
    card = summarise(verdicts, TASK, CANDIDATE, references, MAP, HEADLINE)
    assert [f.family for f in card.families] == [HEADLINE, MINIMAL]
    assert [f.rates.transfer.value for f in card.families] == [1.0, 0.0]


# --- larger panels


def random_panel(
    seed: int, n_clips: int = 30, names: Sequence[str] = ("first", "second", "third")
) -> pd.DataFrame:
    """Random answers with holes: not every reference has a signal of every clip; one class is unknown."""
    rng = np.random.default_rng(seed)
    labels = ["angry", "happy", "sad", "calm"]
    said = ["angry", "happy", "sad", "other"]
    rows: list[dict[str, object] | list[dict[str, object]]] = [
        row("silence", rng.choice(said), n_samples=n) for n in (1000, 2000)
    ]
    for i in range(n_clips):
        clip_id, length = f"clip{i}", (1000, 2000)[i % 2]
        truth = rng.choice([*labels, ""]) or None
        rows.append(row("whole", rng.choice(said), clip_id=clip_id, truth=truth, n_samples=length))
        for name in names:
            for family in FAMILIES:
                if rng.random() < 0.9:
                    expected = rng.choice(labels)

                    def answers(
                        n: int, p: float, right: str = expected, rng: np.random.Generator = rng
                    ) -> list[str]:
                        return [right if rng.random() < p else str(rng.choice(said)) for _ in range(n)]

                    three = [*answers(1, 0.5), answers(N_SWAPS, 0.2), *answers(1, 0.3)]
                    matched = answers(rng.integers(N_MATCHED + 1), 0.3)
                    rows.append(
                        signal(model(name), clip_id, expected, three, family, length, matched=matched)
                    )
    return frame(*rows)


def offered(
    verdicts: pd.DataFrame, names: Sequence[str] = ("first", "second", "third")
) -> list[ReferenceCounts]:
    asked = verdicts[verdicts["stimulus"] == "signal"]
    return [
        counts(
            model(name),
            int(((asked["reference"] == f"toys/{name}") & (asked["family"] == family)).sum()),
            family,
        )
        for name in names
        for family in FAMILIES
    ]


@given(st.integers(0, 10_000), st.integers(5, 40))
@settings(max_examples=8, deadline=None)
def test_transfer_and_lift_agree_with_a_recomputation_in_pandas_alone(seed: int, n_clips: int) -> None:
    verdicts = random_panel(seed, n_clips)
    card = summarise(verdicts, TASK, CANDIDATE, offered(verdicts), MAP, HEADLINE)
    asked = verdicts[verdicts["signal_id"].notna() & verdicts["expected"].isin(MAP.covered)]
    asked = asked.assign(hit=(asked["predicted"] == asked["expected"]).astype(float))
    for family in card.families:
        hits = asked[asked["family"] == family.family].pivot_table(
            index=["reference", "clip_id"], columns="stimulus", values="hit"
        )
        if hits.empty:
            assert family.rates.transfer.value is None
            continue
        per_reference = hits.groupby("reference").mean()
        for name, stimulus in (("transfer", "signal"), ("swap", "swap"), ("largest", "largest")):
            assert getattr(family.rates, name).value == pytest.approx(per_reference[stimulus].mean())
        if "matched" in hits:
            assert family.rates.matched.value == pytest.approx(per_reference["matched"].mean())
        for name, control in (("lift", "swap"), ("placement", "matched"), ("beyond_largest", "largest")):
            differences = (hits["signal"] - hits.get(control, np.nan)).dropna().groupby("reference")
            enough = differences.size() >= MIN_SIGNALS
            found = getattr(family.rates, name).value
            if enough.any():
                assert found == pytest.approx(differences.mean()[enough].mean())
            else:
                assert found is None


@given(st.integers(0, 10_000), st.sampled_from(["candidate", "first", "third"]), st.integers(1, 7))
@settings(max_examples=8, deadline=None)
def test_levels_above_0_change_no_number(seed: int, name: str, n_levels: int) -> None:
    verdicts = random_panel(seed, 25)
    rng = np.random.default_rng(seed)
    minimal = verdicts[(verdicts["stimulus"] == "signal") & (verdicts["family"] == MINIMAL)]
    further = [
        minimal.assign(level=level, predicted=rng.choice(["angry", "happy", "sad", "other"], len(minimal)))
        for level in range(1, 1 + n_levels)
    ]
    nested = pd.concat([verdicts, *further]).sample(frac=1, random_state=seed)
    assert len(nested) == len(verdicts) + n_levels * len(minimal)
    references, candidate = offered(verdicts), model(name)
    for family in FAMILIES:
        plain, levelled = (
            lift_by_clip(v, family, references, candidate, MAP.covered) for v in (verdicts, nested)
        )
        pd.testing.assert_frame_equal(plain, levelled)
    assert polarity_warning(nested, MAP, TASK) == polarity_warning(verdicts, MAP, TASK)
    one, other = (summarise(v, TASK, candidate, references, MAP, HEADLINE) for v in (verdicts, nested))
    assert one == other
    assert one.families[1].rates.transfer.value is not None


@given(st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_every_estimate_holds_its_value_within_its_range_and_has_a_width(seed: int) -> None:
    verdicts = random_panel(seed, 25)
    card = summarise(verdicts, TASK, CANDIDATE, offered(verdicts), MAP, HEADLINE)
    for family in card.families:
        for rates in (family.rates, *(cell.rates for cell in family.cells)):
            for name, metric in METRICS.items():
                found = getattr(rates, name)
                if found.value is None:
                    continue
                lowest = -1.0 if metric.kind == "difference" else 0.0
                assert lowest <= found.low <= found.value <= found.high <= 1.0
                assert found.high > found.low
    assert from_json(Scorecard, to_json(card)) == card


def test_the_order_of_rows_does_not_matter_and_twice_is_the_same() -> None:
    verdicts = random_panel(1)
    references = offered(verdicts)
    card = summarise(verdicts, TASK, CANDIDATE, references, MAP, HEADLINE)
    assert summarise(verdicts, TASK, CANDIDATE, references, MAP, HEADLINE) == card
    for seed in range(3):
        shuffled = verdicts.sample(frac=1, random_state=seed)
        assert summarise(shuffled, TASK, CANDIDATE, references, MAP, HEADLINE) == card


def test_a_frame_read_back_from_parquet_counts_the_same(tmp_path: Path) -> None:
    verdicts = random_panel(2).drop(columns="p")
    references = offered(verdicts)
    verdicts.to_parquet(tmp_path / "verdicts.parquet")
    card = summarise(verdicts, TASK, CANDIDATE, references, MAP, HEADLINE)
    for backend in (None, "pyarrow", "numpy_nullable"):
        options: dict[str, Any] = {} if backend is None else {"dtype_backend": backend}
        again = pd.read_parquet(tmp_path / "verdicts.parquet", **options)
        assert summarise(again, TASK, CANDIDATE, references, MAP, HEADLINE) == card


@pytest.mark.parametrize("always", ["angry", "other"])
def test_a_model_of_one_answer_has_a_lift_of_exactly_0(always: str) -> None:
    verdicts = random_panel(3, 60).assign(predicted=always)
    card = summarise(verdicts, TASK, CANDIDATE, offered(verdicts), MAP, HEADLINE)
    for family in card.families:
        for rates in (family.rates, *(cell.rates for cell in family.cells)):
            for name in DIFFERENCES:
                found = getattr(rates, name)
                assert found.value == 0.0
                assert found.low < 0.0 < found.high
            assert rates.transfer.value == rates.silence.value == rates.largest.value
            assert rates.transfer.value == rates.agreement.value == rates.swap.value


def test_a_reference_of_19_signals_stays_out_of_the_lift_and_in_the_transfer() -> None:
    rows = [*wholes(20), *(signal(FIRST, f"c{i}", "angry", ("angry", "sad", "sad")) for i in range(20))]
    rows += [signal(SECOND, f"c{i}", "angry", ("sad", "angry", "sad")) for i in range(19)]
    references = [counts(FIRST, 20), counts(SECOND, 19)]
    card = summarise(frame(*rows), TASK, CANDIDATE, references, MAP, HEADLINE)
    assert card.families[0].rates.lift.value == 1.0
    assert card.families[0].rates.transfer.value == 0.5
    assert card.families[0].cells[1].rates.lift.value is None
    twenty = frame(*rows, signal(SECOND, "c19", "angry", ("sad", "angry", "sad")))
    both = summarise(twenty, TASK, CANDIDATE, references, MAP, HEADLINE)
    assert both.families[0].rates.lift.value == 0.0
    assert both.families[0].cells[1].rates.lift.value == -1.0


def test_lift_by_clip_gives_the_differences_behind_the_lift() -> None:
    verdicts = random_panel(4, 40)
    references = [*offered(verdicts), *(counts(model("few"), 1, family) for family in FAMILIES)]
    extra = frame(signal(model("few"), "clip0", "angry", ("angry", "sad", "sad")))
    verdicts = pd.concat([verdicts, extra])
    lifts = lift_by_clip(verdicts, HEADLINE, references, CANDIDATE, MAP.covered)
    assert list(lifts.columns) == ["toys/first", "toys/second", "toys/third"]
    assert lifts.index.name == "clip_id"
    assert lifts.index.is_monotonic_increasing
    thirds = 3 * lifts.to_numpy()[lifts.notna().to_numpy()]
    assert set(np.round(thirds, 9)) <= {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0}
    assert len(lifts) == 40, "every whole clip has its row"
    card = summarise(verdicts, TASK, CANDIDATE, references, MAP, HEADLINE)
    weights = resampling_weights(verdicts, TASK)
    assert clustered(lifts.to_numpy(), weights, "difference") == card.headline.rates.lift
    own = lift_by_clip(verdicts, HEADLINE, references, model("first"), MAP.covered)
    assert list(own.columns) == ["toys/second", "toys/third"]


# --- the candidate as a reference


def own_panel(n: int = 20, accepted: int = 20) -> pd.DataFrame:
    rows = [*wholes(n), *(signal(FIRST, f"c{i}", "angry", ("angry", "sad", "sad")) for i in range(n))]
    rows += [
        signal(SECOND, f"c{i}", "sad", ("sad" if i < accepted else "other", "angry", "sad")) for i in range(n)
    ]
    return frame(*rows)


def test_a_reference_with_the_same_weights_is_the_known_answer_and_in_no_mean() -> None:
    references = [counts(FIRST, 20), counts(SECOND, 20)]
    twin = model("copy under another name", SECOND.weights_sha256)
    for candidate in (SECOND, twin):
        card = summarise(own_panel(), TASK, candidate, references, MAP, HEADLINE)
        assert card.known_answer == 1.0
        assert [c.same_weights for c in card.families[0].cells] == [False, True]
        assert card.families[0].rates.transfer == card.families[0].cells[0].rates.transfer
        assert card.families[0].rates.coverage.n == 20
        assert "sad" not in card.families[0].by_class
        assert card.ranked
    assert summarise(own_panel(), TASK, CANDIDATE, references, MAP, HEADLINE).known_answer is None


def test_the_known_answer_is_over_all_families_together() -> None:
    verdicts = pd.concat(
        [own_panel(), frame(signal(SECOND, "c0", "sad", ("other", "sad", "sad"), family=MINIMAL))]
    )
    references = [counts(FIRST, 20), counts(SECOND, 20), counts(SECOND, 1, MINIMAL)]
    card = summarise(verdicts, TASK, SECOND, references, MAP, HEADLINE)
    assert card.known_answer == pytest.approx(20 / 21)
    assert not card.ranked


# --- ranked or not


def test_a_full_panel_is_ranked() -> None:
    card = summarise(own_panel(), TASK, CANDIDATE, [counts(FIRST, 20), counts(SECOND, 20)], MAP, HEADLINE)
    assert (card.ranked, card.unranked_because) == (True, None)


@pytest.mark.parametrize(
    ("verdicts", "candidate", "references", "known", "because"),
    [
        (own_panel(), CANDIDATE, [counts(FIRST, 20, MINIMAL)], MAP, f"family {HEADLINE}"),
        (
            own_panel(accepted=19),
            SECOND,
            [counts(FIRST, 20), counts(SECOND, 20)],
            MAP,
            "only 0.95 of its own",
        ),
        (own_panel(), SECOND, [counts(SECOND, 20)], MAP, "other than the model itself"),
        (
            own_panel(),
            CANDIDATE,
            [counts(SECOND, 20)],
            label_map("angry", "happy"),
            "the classes of 0 of the signals",
        ),
        (own_panel(19), CANDIDATE, [counts(FIRST, 19), counts(SECOND, 19)], MAP, "offers 20 signals"),
    ],
    ids=["no headline family", "known answer missed", "no other reference", "coverage", "few signals"],
)
def test_a_model_is_not_ranked_and_told_why(
    verdicts: pd.DataFrame,
    candidate: ModelRef,
    references: list[ReferenceCounts],
    known: LabelMap,
    because: str,
) -> None:
    card = summarise(verdicts, TASK, candidate, references, known, HEADLINE)
    assert not card.ranked
    assert because in (card.unranked_because or "")
    assert (card.unranked_because or "").endswith(".")


def test_coverage_of_exactly_a_half_is_ranked() -> None:
    references, known = [counts(FIRST, 20), counts(SECOND, 20)], label_map("angry", "happy")
    card = summarise(own_panel(), TASK, CANDIDATE, references, known, HEADLINE)
    assert card.families[0].rates.coverage.value == 0.5
    assert card.ranked


# --- whole clips


def whole_clips(truth: Sequence[str | None], said: Sequence[str]) -> pd.DataFrame:
    pairs = enumerate(zip(truth, said, strict=True))
    return frame(*(row("whole", s, clip_id=f"c{i}", truth=t) for i, (t, s) in pairs))


@given(st.lists(st.tuples(st.sampled_from("ahs"), st.sampled_from("ahso")), min_size=1, max_size=40))
@settings(max_examples=15, deadline=None)
def test_macro_scores_agree_with_scikit_learn_and_lie_in_their_intervals(
    pairs: list[tuple[str, str]],
) -> None:
    name = {"a": "angry", "h": "happy", "s": "sad", "o": "other"}
    truth, said = [name[t] for t, _ in pairs], [name[s] for _, s in pairs]
    score = summarise(whole_clips(truth, said), TASK, CANDIDATE, [], MAP, HEADLINE).whole
    points = precision_recall_fscore_support(
        truth, said, labels=sorted(set(truth)), average="macro", zero_division=0
    )
    for found, point in zip((score.precision, score.recall, score.f1), points[:3], strict=True):
        assert found.value == point  # to the last bit
        assert found.n == len(truth)
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert found.high > found.low
    hits = sum(t == s for t, s in zip(truth, said, strict=True))
    assert score.accuracy == wilson(hits, len(truth))


def test_macro_intervals_agree_with_scikit_learn_on_each_bootstrap_sample() -> None:
    from harness.metrics.classification import _macro
    from harness.metrics.estimates import clip_weights

    rng = np.random.default_rng(8)
    labels = np.array(["angry", "happy", "sad"])
    truth = labels[rng.integers(0, 3, 12)]
    said = np.array([*labels, "other"])[rng.integers(0, 4, 12)]
    weights = clip_weights(12, ("sample",), draws=40)
    drawn = _macro(truth[:, None] == labels, said[:, None] == labels, weights)
    for i, times in enumerate(weights.astype(int)):
        some_truth, some_said = np.repeat(truth, times), np.repeat(said, times)
        points = precision_recall_fscore_support(
            some_truth, some_said, labels=sorted(set(some_truth)), average="macro", zero_division=0
        )
        assert [d[i] for d in drawn] == pytest.approx(points[:3])


def test_whole_clips_by_hand() -> None:
    truth = ["angry", "angry", "happy", "happy", "calm", None]
    said = ["angry", "happy", "happy", "other", "angry", "angry"]
    score = summarise(whole_clips(truth, said), TASK, CANDIDATE, [], MAP, HEADLINE).whole
    assert score.accuracy == wilson(2, 4)  # calm is not known to the candidate, the last has no truth
    assert score.precision.value == pytest.approx((1 + 1 / 2) / 2)
    assert score.recall.value == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert score.f1.value == pytest.approx((2 / 3 + 1 / 2) / 2)


# --- polarity


def deepfake_map() -> LabelMap:
    return LabelMap("deepfake", ("fake", "real"), ("spoof", "bonafide"), "names")


def test_a_reversed_binary_map_is_noticed_with_its_labels_named() -> None:
    truth = ["bonafide", "spoof"] * 10
    said = ["spoof", "bonafide"] * 9 + ["bonafide", "spoof"]
    warning = polarity_warning(whole_clips(truth, said), deepfake_map(), TASKS["deepfake"])
    assert warning == (
        "the label map for deepfake looks reversed: on 20 whole clips of the two, exchanging 'bonafide' and "
        "'spoof' raises accuracy from 0.10 to 0.90; check the model's class names and give the right ones "
        "with --label-map"
    )


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (["bonafide", "spoof"] * 10, ["bonafide", "spoof"] * 10),
        (["bonafide", "spoof"] * 10, ["spoof", "spoof", "bonafide", "bonafide"] * 5),
        (["bonafide"] * 18 + ["spoof"] * 2, ["spoof"] * 20),
        (["spoof"] * 18 + ["bonafide"] * 2, ["bonafide"] * 20),
        (["bonafide", "spoof"], ["spoof", "bonafide"]),
        ([None] * 20, ["spoof", "bonafide"] * 10),
        ([], []),
    ],
    ids=["right", "chance", "always spoof", "always bonafide", "too few", "no truth", "no clips"],
)
def test_a_map_that_is_not_clearly_reversed_is_left_alone(truth: list[str | None], said: list[str]) -> None:
    assert polarity_warning(whole_clips(truth, said), deepfake_map(), TASKS["deepfake"]) is None


def test_two_exchanged_labels_among_many_are_named() -> None:
    truth = ["angry", "happy", "sad", "neutral"] * 8
    said = ["angry", "sad", "happy", "neutral"] * 8
    warning = polarity_warning(whole_clips(truth, said), label_map("angry", "happy", "sad", "neutral"), TASK)
    assert "'happy' and 'sad'" in (warning or "")


# --- speed


def grid(n_clips: int, n_references: int) -> tuple[pd.DataFrame, list[ReferenceCounts]]:
    names = [f"model{i}" for i in range(n_references)]
    verdicts = random_panel(5, 60, names)
    copies = [verdicts]
    for copy in range(1, n_clips // 60):
        again = verdicts[verdicts["clip_id"].notna()]
        copies.append(
            again.assign(clip_id=again["clip_id"] + f"-{copy}", signal_id=again["signal_id"] + f"-{copy}")
        )
    whole = pd.concat(copies, ignore_index=True)
    return whole, offered(whole, names)


def test_a_usual_entry_is_summarised_in_half_a_second() -> None:
    verdicts, references = grid(60, 4)
    summarise(verdicts, TASK, CANDIDATE, references, MAP, HEADLINE)  # opens pandas, scipy and scikit-learn
    start = time.process_time()
    summarise(verdicts, TASK, CANDIDATE, references, MAP, HEADLINE)
    assert time.process_time() - start < 0.5


@pytest.mark.slow
def test_sixty_references_and_a_thousand_clips_are_summarised_in_ten_seconds() -> None:
    verdicts, references = grid(1020, 60)
    start = time.process_time()
    summarise(verdicts, TASK, CANDIDATE, references, MAP, HEADLINE)
    assert time.process_time() - start < 10


def test_a_binary_panel_needs_two_references_of_either_silence_class() -> None:
    from harness.metrics.scorecard import _imbalance
    from harness.tasks import TASKS

    def panel(*says: str) -> list[ReferenceCounts]:
        return [ReferenceCounts(model(f"m{i}"), HEADLINE, 30, 10, c) for i, c in enumerate(says)]

    deepfake, emotion = TASKS["deepfake"], TASKS["emotion"]
    assert _imbalance(panel("spoof", "spoof", "bonafide", "bonafide"), HEADLINE, deepfake) is None
    why = _imbalance(panel("spoof", "spoof", "bonafide"), HEADLINE, deepfake)
    assert why is not None
    assert "1 references of the panel call silence bonafide" in why
    assert _imbalance(panel("spoof"), HEADLINE, deepfake) is not None
    assert _imbalance(panel("angry"), HEADLINE, emotion) is None
