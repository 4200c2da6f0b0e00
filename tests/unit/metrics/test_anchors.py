"""Anchor rows from stored verdicts: small panels whose consensus is counted by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from harness.dataset.parquet_schema import verdict_table
from harness.metrics.anchors import best_reference, consensus
from harness.metrics.estimates import clustered
from harness.metrics.scorecard import resampling_weights, summarise
from harness.model_facts import ModelFacts
from harness.schemas import BatchProof, Entry, NearCopy, ReferenceCounts
from harness.tasks import TASKS
from harness.types import OTHER, PROTOCOL, DatasetRef, LabelMap, ModelRef, Verdict
from tests.helpers.families import FAMILIES, HEADLINE

TASK = TASKS["emotion"]
LABELS = ("angry", "happy", "sad")
N_CLIPS = 24
STIMULI = (("signal", None), ("swap", 0), ("swap", 1), ("matched", 0), ("largest", None))

Answer = Mapping[str, float]
"""Probabilities of some labels; what is missing to 1 is OTHER."""


def ref(name: str) -> ModelRef:
    digest = name.encode().hex().ljust(64, "0")
    return ModelRef(f"lab/{name}", digest[:40], digest)


def truth_of(i: int) -> str:
    return LABELS[i % 3]


def verdicts(name: str, panel: Sequence[str], answer) -> list[Verdict]:
    """All verdicts of a model; `answer(reference, clip, stimulus)` gives its probabilities.

    Every reference gives every clip its true label.
    """

    def verdict(stimulus: str, i: int | None, reference: str | None = None, replicate: int | None = None):
        p = tuple(answer(reference, i, stimulus).get(label, 0.0) for label in TASK.labels)
        top = int(np.argmax([*p, 1 - sum(p)]))
        predicted = [*TASK.labels, OTHER][top]
        expected = truth_of(i) if reference is not None and i is not None else None
        clip_id = None if i is None else f"clip-{i:02d}"
        return Verdict(
            task=TASK.name,
            reference=None if reference is None else f"lab/{reference}",
            family=None if reference is None else FAMILIES[0],
            draw=None if reference is None else 1,
            level=None,
            clip_id=clip_id,
            signal_id=None if reference is None else f"{clip_id}:lab__{reference}",
            stimulus=stimulus,
            replicate=replicate,
            other_clip=f"clip-{(i or 0) + 1:02d}" if stimulus == "swap" else None,
            n_samples=16000,
            truth=None if i is None else truth_of(i),
            expected=expected,
            predicted_raw=predicted,
            predicted=predicted,
            p_expected=None if expected is None else p[TASK.labels.index(expected)],
            p=p,
            seconds_seen=1.0,
            energy_seen=1.0,
            robust=None if reference is None else True,
        )

    rows = [verdict("whole", i) for i in range(N_CLIPS)] + [verdict("silence", None)]
    for reference in panel:
        for i in range(N_CLIPS):
            rows += [verdict(stimulus, i, reference, replicate) for stimulus, replicate in STIMULI]
    return rows


def entry(
    name: str, panel: Sequence[str], answer, like: Sequence[str] = (), labels: Sequence[str] = LABELS
) -> tuple[Entry, pd.DataFrame]:
    """A reference's entry and verdicts; of its own signals it accepts all."""

    def with_own(reference, i, stimulus) -> Answer:
        own = reference == name and stimulus == "signal"
        return {truth_of(i): 0.99} if own else answer(reference, i, stimulus)

    frame = verdict_table(verdicts(name, panel, with_own)).to_pandas()
    known = LabelMap(TASK.name, tuple(labels), tuple(labels), "names")
    counts = tuple(ReferenceCounts(ref(r), FAMILIES[0], N_CLIPS, 0, OTHER) for r in panel)
    likeness = tuple(
        NearCopy(ref(r), 24, 24, 24, 24, 1.0) if r in like else NearCopy(ref(r), 24, 0, 24, 0, 0.0)
        for r in panel
    )
    made = Entry(
        protocol=PROTOCOL,
        task=TASK.name,
        model=ref(name),
        facts=ModelFacts("Toy", 1, 16000, None, None),
        signals=DatasetRef("lab/signals", "0" * 40, TASK.name, "test", "0" * 64, HEADLINE),
        references=counts,
        label_map=known,
        scorecard=summarise(frame, TASK, ref(name), counts, known, HEADLINE),
        run=None,  # type: ignore[arg-type]
        proof=BatchProof(1, 1, 0.0, 0),
        likeness=likeness,
        complete=True,
        n_verdicts=len(frame),
        verdicts_sha256="",
    )
    return made, frame


def accepts(share: float, sure: float = 0.8):
    """Gives the signals of the first clips their class, and all else another one."""

    def answer(reference, i, stimulus) -> Answer:
        if i is None:
            return {"sad": sure}
        right = stimulus == "whole" or (stimulus == "signal" and i < share * N_CLIPS)
        return {truth_of(i) if right else LABELS[(i + 1) % 3]: sure}

    return answer


def three(panel: Sequence[str]) -> list[tuple[Entry, pd.DataFrame]]:
    """Three references that accept more and are surer, one after the other."""
    shares = zip(panel, (0.3, 0.5, 0.8), (0.6, 0.7, 0.9), strict=True)
    return [entry(name, panel, accepts(share, sure)) for name, share, sure in shares]


def test_of_two_references_the_consensus_is_the_other_one() -> None:
    panel = ("a", "b")
    answers = [entry("a", panel, accepts(0.5)), entry("b", panel, accepts(0.75))]
    found = consensus(answers, TASK)
    assert found is not None
    of_a, of_b = found[0].cells
    for cell, (judge, _), own in ((of_a, answers[1], 0), (of_b, answers[0], 1)):
        theirs = judge.scorecard.families[0].cells[own]
        assert cell.reference == theirs.reference
        assert cell.rates == theirs.rates
        assert (cell.n_applicable, cell.n_unswapped, cell.n_unmatched) == (N_CLIPS, 0, 0)
    assert found[0].rates.transfer.value == pytest.approx((0.75 + 0.5) / 2)
    assert found[0].rates.lift.value == pytest.approx((0.75 + 0.5) / 2)
    assert found[1].value == 1.0
    assert found[1].n == N_CLIPS


def test_the_mean_of_probabilities_decides_and_not_the_number_of_votes() -> None:
    panel = ("a", "b", "c")
    answers = [
        entry("a", panel, accepts(0.0)),
        entry("b", panel, accepts(1.0, sure=0.9)),
        entry("c", panel, accepts(0.0, sure=0.6)),
    ]
    found = consensus(answers, TASK)
    assert found is not None
    transfer = {cell.reference.repo_id: cell.rates.transfer.value for cell in found[0].cells}
    # On the signals of a: .9 for the class against .6; of c: .9 against .8; of b: nobody is for it.
    assert transfer == {"lab/a": 1.0, "lab/b": 0.0, "lab/c": 1.0}


def test_what_is_missing_to_one_can_win_and_then_rejects() -> None:
    panel = ("a", "b")
    answers = [entry("a", panel, accepts(1.0)), entry("b", panel, accepts(1.0, sure=0.4))]
    found = consensus(answers, TASK)
    assert found is not None
    assert [cell.rates.transfer.value for cell in found[0].cells] == [0.0, 1.0]
    assert found[1].value == 1.0  # a and b together give the class .6


@pytest.mark.parametrize("who_tells", ["reference", "copy"])
def test_near_copies_of_a_reference_are_left_out_on_its_signals(who_tells: str) -> None:
    panel = ("a", "b", "c")
    answers = [
        entry("a", panel, accepts(1.0), like=("b",) if who_tells == "reference" else ()),
        entry("b", panel, accepts(1.0), like=("a",) if who_tells == "copy" else ()),
        entry("c", panel, accepts(0.0, sure=0.7)),
    ]
    found = consensus(answers, TASK)
    assert found is not None
    assert [cell.rates.transfer.value for cell in found[0].cells] == [0.0, 0.0, 1.0]


def test_intervals_come_of_the_resampled_clips_of_the_task() -> None:
    panel = ("a", "b", "c")
    answers = three(panel)
    found = consensus(answers, TASK)
    assert found is not None
    of_each = {"a": 0.8, "b": 0.8, "c": 0.5}  # the surer of the others decides
    values = np.array([[float(i < of_each[r] * N_CLIPS) for r in panel] for i in range(N_CLIPS)])
    assert found[0].rates.transfer == clustered(values, resampling_weights(answers[0][1], TASK))


def test_it_knows_the_classes_that_any_of_the_others_knows() -> None:
    panel = ("a", "b")
    answers = [entry("a", panel, accepts(1.0)), entry("b", panel, accepts(1.0), labels=LABELS[:2])]
    found = consensus(answers, TASK)
    assert found is not None
    assert [cell.n_applicable for cell in found[0].cells] == [16, 24]
    assert set(found[0].by_class) == set(LABELS)


def test_order_of_rows_does_not_matter_to_it() -> None:
    panel = ("a", "b", "c")
    answers = three(panel)
    shuffled = [(e, frame.sample(frac=1, random_state=i)) for i, (e, frame) in enumerate(answers)]
    assert consensus(shuffled, TASK) == consensus(answers, TASK)


def test_one_reference_and_none_have_no_consensus() -> None:
    assert consensus([entry("a", ("a",), accepts(1.0))], TASK) is None
    assert consensus([], TASK) is None


def test_references_that_were_asked_other_things_have_none_either() -> None:
    panel = ("a", "b", "c")
    answers = [entry(name, panel, accepts(0.5)) for name in panel]
    answers[2] = answers[2][0], answers[2][1].iloc[1:]
    with pytest.raises(ValueError, match="not asked the same"):
        consensus(answers, TASK)


def test_the_best_reference_is_that_of_the_highest_lift() -> None:
    panel = ("a", "b", "c")
    entries = [entry(name, panel, accepts(share))[0] for name, share in (("a", 0.3), ("b", 0.8), ("c", 0.8))]
    best = best_reference(entries[::-1])
    assert best is not None
    assert best.model.repo_id == "lab/b"
    unranked = dataclasses.replace(entries[1].scorecard, ranked=False, unranked_because="no")
    entries[1] = dataclasses.replace(entries[1], scorecard=unranked)
    assert best_reference(entries).model.repo_id == "lab/c"
    assert best_reference([]) is None
