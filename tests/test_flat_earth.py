"""Flat-earthers: counted by hand, tested on panels with planted ones, found in the starter suite."""

import numpy as np
import pytest
from scipy.stats import binom

from harness.dataset.layout import VERDICTS
from harness.dataset.signals import load
from harness.records import MIN_SIGNALS, ModelRef
from harness.score import flat_earth
from harness.score.flat_earth import ALPHA, EXCESS, assess
from harness.score.judgements import Judgements, gather
from harness.starter import root
from harness.submit import store


def panel_of(accepted, source, clip):
    """A panel from (n, n_models) acceptance."""
    accepted = np.array(accepted, dtype=float)
    models = tuple(
        ModelRef(f"toys/{chr(97 + j)}", f"{j:040x}", f"{j:064x}") for j in range(accepted.shape[1])
    )
    clip_ids, clip = np.unique([f"c{c:04}" for c in clip], return_inverse=True)
    return Judgements(
        models=models,
        n_references=len(models),
        signal_ids=np.arange(len(accepted)).astype(str),
        clip_ids=clip_ids,
        clip=clip,
        source=np.array(source),
        expected=np.full(len(accepted), "x", dtype=object),
        accepted={"signal": accepted},
    )


def test_shares_by_hand():
    # Four models, signals of the first and of the second; columns a b c d.
    accepted = [
        [1, 1, 1, 0],  # of a: d alone rejects
        [1, 1, 1, 1],  # of a: all accept
        [1, 0, 0, 0],  # of a: nobody else accepts
        [1, 1, 1, 0],  # of b: d alone
        [0, 1, 0, 1],  # of b: two reject, counts for nobody
        [0, 1, 1, 1],  # of b: a alone
    ]
    found = [
        (s.rejects_alone, s.rejected_by_all)
        for s in assess(panel_of(accepted, [0, 0, 0, 1, 1, 1], [0, 1, 2] * 2))
    ]
    assert [(alone.k, alone.n) for alone, _ in found] == [(1, 1), (0, 1), (0, 1), (2, 3)]
    assert [(ignored.k, ignored.n) for _, ignored in found] == [(1, 3), (0, 3), (0, 0), (0, 0)]
    assert all(alone.p is None and not alone.flagged for alone, _ in found), "too few to assess"


def test_what_is_not_assessed_says_why():
    found = assess(panel_of(np.ones((8, 4)), [0, 1] * 4, range(8)))
    assert found[3].sentence("d") == "d: not assessed (8 and 0 signals qualify, 20 are needed)."


def test_three_models_are_too_few():
    accepted = np.ones((90, 3))
    accepted[:, 2] = 0
    found = assess(panel_of(accepted, np.repeat([0, 1, 2], 30), np.tile(np.arange(30), 3)))
    assert all(s.rejects_alone.p is None for s in found)


def test_the_shuffles_agree_with_the_exact_law():
    """Of r signals with one rejection among m judges a model gets Binomial(r, 1 / m)."""
    rng = np.random.default_rng(0)
    n_models, n = 5, 200
    accepted = np.ones((n, n_models))
    source = rng.integers(n_models, size=n)
    for i in np.flatnonzero(rng.random(n) < 0.4):
        others = [j for j in range(n_models) if j != source[i]]
        accepted[i, rng.choice(others, p=[0.4, 0.2, 0.2, 0.2])] = 0
    for j, each in enumerate(assess(panel_of(accepted, source, np.arange(n)))):
        r = int(((accepted == 0).any(axis=1) & (source != j)).sum())
        exact = binom.sf(each.rejects_alone.k - 1, r, 1 / (n_models - 1))
        assert each.rejects_alone.p == pytest.approx(exact, abs=0.02)


def simulated(kind, seed, n_clips=60, n_models=6):
    """A panel that listens, and, unless `kind` is "none", a last member that does not.

    A clip has one of two classes, and a signal carries it clearly, so that all listeners hear it, or not.
    Each signal lies above 1 kHz or below. What the flat-earther's own signals carry is for nobody else.
    """
    rng = np.random.default_rng(seed)
    flat = n_models - 1
    rows = []
    for _ in range(n_clips):
        label = rng.integers(2)
        for source in range(n_models):
            said = rng.random(n_models) < rng.choice([0.97, 0.5], p=[0.7, 0.3])
            high = rng.random() < 0.5
            said[flat] = {
                "none": said[flat],
                "constant": label == 1,
                "reversed": not said[flat],
                "deaf above 1 kHz": said[flat] and not high,
                "random": rng.random() < 0.5,
            }[kind]
            if source == flat and kind != "none":
                said[:flat] = rng.random(flat) < 0.1
            said[source] = True
            rows.append(said)
    return panel_of(rows, np.tile(np.arange(n_models), n_clips), np.repeat(np.arange(n_clips), n_models))


KINDS = ["constant", "reversed", "deaf above 1 kHz", "random"]


def rates_of(kind, n, monkeypatch):
    """How often the planted one is flagged, and how often one of the others is, per model."""
    monkeypatch.setattr(flat_earth, "SHUFFLES", 500)
    flags = np.array(
        [[s.flagged for s in assess(simulated(kind, seed), (kind, str(seed)))] for seed in range(n)]
    )
    return flags[:, -1].mean(), (flags if kind == "none" else flags[:, :-1]).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_flat_earther_is_found_and_nobody_else(kind, monkeypatch):
    power, false_positives = rates_of(kind, 5, monkeypatch)
    assert power >= 0.8
    assert false_positives <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_power_and_false_positives_over_many_panels(kind, monkeypatch):
    power, false_positives = rates_of(kind, 100, monkeypatch)
    assert power >= 0.9
    assert false_positives <= ALPHA


@pytest.mark.slow
def test_a_panel_without_one_has_none(monkeypatch):
    _, false_positives = rates_of("none", 200, monkeypatch)
    assert false_positives <= ALPHA


def starter_panel(task, family="responsibility"):
    """The references of a task of the starter suite."""
    suite = load(str(root.embedded()))
    entries = [(store.read(folder), folder) for folder in store.find(suite.root / VERDICTS)]
    answers = [(e.model, e.label_map, store.verdicts(folder)) for e, folder in entries if e.task == task]
    return gather(answers, suite.counts(task), family), [e for e, _ in entries if e.task == task]


def test_the_planted_one_of_the_starter_suite_is_found_and_no_other():
    panel, _ = starter_panel("deepfake")
    (planted,) = (s for s in assess(panel, ("deepfake",)) if s.flagged)
    assert planted.model.repo_id == "local/starter-deepfake-ast"
    assert planted.rejects_alone.n >= MIN_SIGNALS
    assert planted.rejects_alone.p_adjusted < ALPHA
    assert planted.rejects_alone.low > EXCESS
    assert planted.sentence("ast").startswith("ast: a flat-earther: it alone rejects")


@pytest.mark.parametrize("task", ["emotion", "music-genre", "deepfake"])
@pytest.mark.parametrize("family", ["responsibility", "minimal"])
def test_gathered_rates_are_those_of_the_scorecards(task, family):
    panel, entries = starter_panel(task, family)
    for entry in entries:
        (score,) = (f for f in entry.scorecard.families if f.family == family)
        j = panel.models.index(entry.model)
        for cell in score.cells:
            rows = panel.source == panel.models.index(cell.reference)
            for stimulus, rate in (("signal", "transfer"), ("permuted", "floor"), ("whole", "ceiling")):
                mean = np.nanmean(panel.accepted[stimulus][rows, j])
                assert mean == pytest.approx(getattr(cell.rates, rate).value)
