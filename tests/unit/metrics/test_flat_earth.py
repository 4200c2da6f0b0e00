"""Flat-earthers: counted by hand, tested on panels with planted ones, found in the starter suite."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, false_discovery_control

from harness.dataset.paths import VERDICTS
from harness.dataset.suites import load
from harness.entries import store
from harness.metrics import flat_earth
from harness.metrics.estimates import clip_weights
from harness.metrics.flat_earth import ALPHA, EXCESS, SPARSE_SOUND, assess
from harness.metrics.panel_acceptance import PanelAcceptance, Single, build_acceptance
from harness.schemas import ReferenceCounts, to_json
from harness.starter import paths
from harness.types import MIN_SIGNALS, LabelMap, ModelRef
from tests.helpers.families import FAMILIES, HEADLINE, MINIMAL


def model_ref(j):
    return ModelRef(f"toys/{chr(97 + j)}", f"{j:040x}", f"{j:064x}")


def panel_of(accepted, source, clip, n_references=None, matched=None):
    """A panel from (n, n_models) acceptance; `matched` of one control of each signal, None for none."""
    accepted = np.array(accepted, dtype=float)
    models = tuple(model_ref(j) for j in range(accepted.shape[1]))
    clip_ids, clip = np.unique([f"c{c:04}" for c in clip], return_inverse=True)
    source = np.array(source)
    matched = np.empty((0, len(models))) if matched is None else np.array(matched, dtype=float)
    return PanelAcceptance(
        models=models,
        n_references=len(models) if n_references is None else n_references,
        clip_ids=clip_ids,
        signal_ids=np.arange(len(accepted)).astype(str),
        clip=clip,
        source=source,
        expected=np.full(len(accepted), "x", dtype=object),
        acceptance={"signal": accepted},
        is_self=np.eye(len(models), dtype=bool),
        signals=Single(clip, source, accepted),
        matched=Single(clip[: len(matched)], source[: len(matched)], matched),
    )


def found_in(panel, *seed_names):
    return assess(panel, clip_weights(len(panel.clip_ids), ("emotion",), draws=500), seed_names)


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
    panel = panel_of(accepted, [0, 0, 0, 1, 1, 1], [0, 1, 2] * 2, matched=accepted)
    found = [(s.rejects_alone, s.rejected_by_all) for s in found_in(panel)]
    assert [(alone.k, alone.n) for alone, _ in found] == [(1, 1), (0, 1), (0, 1), (2, 3)]
    assert [(ignored.k, ignored.n) for _, ignored in found] == [(1, 3), (0, 3), (0, 0), (0, 0)]
    for shares in found:
        assert all((s.k_matched, s.n_matched) == (s.k, s.n) for s in shares), "the same verdicts"
    assert all(alone.p is None and not alone.flagged for alone, _ in found), "too few to assess"


def test_what_is_not_assessed_says_why_with_the_true_numbers():
    found = found_in(panel_of(np.ones((8, 4)), [0, 1] * 4, range(8)))
    assert found[3].sentence("d") == (
        "d: not assessed: R_in, what it alone rejects, was not tested (8 signals qualify, and 20 are "
        "needed); R_out, its own signals, was not tested (it offers none)."
    )


def test_three_models_are_too_few():
    accepted = np.ones((90, 3))
    accepted[:, 2] = 0
    found = found_in(panel_of(accepted, np.repeat([0, 1, 2], 30), np.tile(np.arange(30), 3)))
    assert all(s.rejects_alone.p is None for s in found)
    assert "the panel has 3 models, and 4 are needed" in found[0].sentence("a")


def test_the_others_are_counted_without_the_model_they_are_compared_to():
    """One that rejects everything leaves the others nothing that all accept, unless it is left out."""
    accepted = np.ones((120, 4))
    accepted[:, 3] = 0
    source = np.tile([0, 1, 2, 3], 30)
    accepted[np.arange(120), source] = 1
    found = found_in(panel_of(accepted, source, np.repeat(np.arange(30), 4)))
    assert found[0].rejects_alone.n == 30, "with it, only its own signals qualify"
    share = found[3].rejects_alone
    assert (share.k, share.n, share.n_others) == (90, 90, 3)
    assert share.excess.value == 1
    assert share.flagged


def test_the_shuffles_agree_with_the_exact_law():
    """Of r signals with one rejection among m judges a model gets Binomial(r, 1 / m)."""
    rng = np.random.default_rng(0)
    n_models, n = 5, 200
    accepted = np.ones((n, n_models))
    source = rng.integers(n_models, size=n)
    for i in np.flatnonzero(rng.random(n) < 0.4):
        others = [j for j in range(n_models) if j != source[i]]
        accepted[i, rng.choice(others, p=[0.4, 0.2, 0.2, 0.2])] = 0
    for j, each in enumerate(found_in(panel_of(accepted, source, np.arange(n)))):
        r = int(((accepted == 0).any(axis=1) & (source != j)).sum())
        exact = binom.sf(each.rejects_alone.k - 1, r, 1 / (n_models - 1))
        assert each.rejects_alone.p == pytest.approx(exact, abs=0.02)


WORLDS = {"clear": ((0.97, 0.5), (0.7, 0.3)), "doubtful": ((0.95, 0.31), (0.45, 0.55))}
"""Chances that a listener accepts a signal, and how often each holds: in all 83 %, and 60 %."""

HEARD = {
    "none": lambda said, high, label, rng: said,
    "strict": lambda said, high, label, rng: said and rng.random() < 0.44 / 0.6,
    "constant": lambda said, high, label, rng: label == 1,
    "reversed": lambda said, high, label, rng: not said,
    "deaf above 1 kHz": lambda said, high, label, rng: said and not high,
    "random": lambda said, high, label, rng: rng.random() < 0.5,
    "always rejects": lambda said, high, label, rng: False,
}
"""What a last member makes of what it would accept as a listener. The strict one accepts 44 of 60."""


def simulated(kind, seed, n_clips=60, candidate=False, world="clear"):
    """A panel of six that listens, but for its last member, who is one of HEARD.

    A clip has one of two classes, and a signal carries it clearly, so that all listeners hear it, or not.
    Each signal lies above 1 kHz or below. What the flat-earther's own signals carry is for nobody else. A
    last member that is a candidate has no signals.
    """
    rng = np.random.default_rng(seed)
    n_models, flat = 6, 5
    n_references = n_models - candidate
    rows = []
    for _ in range(n_clips):
        label = rng.integers(2)
        for source in range(n_references):
            said = rng.random(n_models) < rng.choice(WORLDS[world][0], p=WORLDS[world][1])
            said[flat] = HEARD[kind](said[flat], rng.random() < 0.5, label, rng)
            if source == flat and kind not in ("none", "strict"):
                said[:flat] = rng.random(flat) < 0.1
            said[source] = True
            rows.append(said)
    sources = np.tile(np.arange(n_references), n_clips)
    return panel_of(rows, sources, np.repeat(np.arange(n_clips), n_references), n_references)


def rates_of(kind, n, monkeypatch, **how):
    """How often the last member is assessed, how often flagged, how often one of the others, per model."""
    monkeypatch.setattr(flat_earth, "SHUFFLES", 500)
    found = [found_in(simulated(kind, seed, **how), kind, str(seed)) for seed in range(n)]
    flags = np.array([[s.flagged for s in panel] for panel in found])
    assessed = np.mean([panel[-1].rejects_alone.p is not None for panel in found])
    return assessed, flags[:, -1].mean(), flags[:, :-1].mean()


KINDS = ["constant", "reversed", "deaf above 1 kHz", "random"]


@pytest.mark.parametrize("kind", [*KINDS, "always rejects"])
def test_a_planted_flat_earther_is_found_and_nobody_else(kind, monkeypatch):
    _, power, false_positives = rates_of(kind, 5, monkeypatch)
    assert power >= 0.8
    assert false_positives <= 0.1


@pytest.mark.parametrize("n_clips", [60, 120])
def test_a_candidate_that_always_rejects_is_assessed_and_flagged(n_clips, monkeypatch):
    assert rates_of("always rejects", 4, monkeypatch, n_clips=n_clips, candidate=True)[:2] == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("world", ["clear", "doubtful"])
@pytest.mark.parametrize("n_clips", [60, 120])
def test_a_candidate_that_always_rejects_is_flagged_in_95_of_100_panels(n_clips, world, monkeypatch):
    how = {"n_clips": n_clips, "candidate": True, "world": world}
    assessed, power, false_positives = rates_of("always rejects", 100, monkeypatch, **how)
    assert assessed >= 0.95
    assert power >= 0.95
    assert false_positives <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_power_and_false_positives_over_many_panels(kind, monkeypatch):
    _, power, false_positives = rates_of(kind, 100, monkeypatch)
    assert power >= 0.9
    assert false_positives <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("candidate", [False, True])
@pytest.mark.parametrize("world", ["clear", "doubtful"])
def test_a_panel_without_one_has_none(world, candidate, monkeypatch):
    _, last, others = rates_of("none", 100, monkeypatch, world=world, candidate=candidate)
    assert last <= ALPHA
    assert others <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("candidate", [False, True])
@pytest.mark.parametrize("n_clips", [60, 120])
def test_a_merely_strict_judge_is_seldom_flagged(n_clips, candidate, monkeypatch):
    how = {"n_clips": n_clips, "candidate": candidate, "world": "doubtful"}
    _, last, others = rates_of("strict", 100, monkeypatch, **how)
    assert last <= 0.1
    assert others <= ALPHA


def test_a_bad_judge_changes_no_finding_about_references():
    """With a candidate that always rejects, the references' part is that of the panel without."""
    panel = simulated("always rejects", 3, candidate=True)
    accepted = panel.acceptance["signal"]
    alone = panel_of(accepted[:, :5], panel.source, panel.clip, 5)
    two = panel_of(np.hstack([accepted, accepted[:, [5]]]), panel.source, panel.clip, 5)
    wanted = [to_json(each) for each in found_in(alone, "x")]
    assert [to_json(each) for each in found_in(panel, "x")][:5] == wanted
    assert [to_json(each) for each in found_in(two, "x")][:5] == wanted


def test_who_rejects_sparse_sound_too_is_called_that():
    """A flag that `matched` controls explain says nothing of signals."""
    panel = simulated("always rejects", 1, candidate=True)
    accepted = panel.acceptance["signal"]
    everything = dataclasses.replace(panel, matched=Single(panel.clip, panel.source, accepted))
    each = found_in(everything)[-1]
    assert each.flagged
    assert not each.is_flat_earther
    share = each.rejects_alone
    assert each.verdict == SPARSE_SOUND
    assert (share.k, share.n) == (share.k_matched, share.n_matched)
    sentence = each.sentence("it")
    assert sentence.startswith(f"it: {SPARSE_SOUND}: it alone rejects {share.k} of {share.n} of the signals")
    assert f"{share.k} of {share.n} matched controls, as often or nearly so" in sentence
    hears_controls = accepted.copy()
    hears_controls[:, -1] = 1
    other = dataclasses.replace(panel, matched=Single(panel.clip, panel.source, hears_controls))
    each = found_in(other)[-1]
    assert each.verdict == "a flat-earther"
    assert "matched controls, less often" in each.sentence("it")


def test_without_controls_a_flag_says_that_they_are_too_few():
    each = found_in(simulated("always rejects", 1, candidate=True))[-1]
    assert each.verdict == "a flat-earther"
    assert "0 of 0 matched controls, which are too few to compare" in each.sentence("it")


def frame_of(judge, says, covered=("angry", "happy")):
    """Verdicts on two clips of reference a, with two draws, two matched controls and three swaps of each."""
    rows = [{"stimulus": "whole", "clip_id": clip, "predicted": "angry"} for clip in ("c1", "c2", "c3")]
    for clip in ("c1", "c2"):
        for draw in (1, 2):
            shared = {
                "clip_id": clip,
                "draw": draw,
                "reference": "toys/a",
                "family": MINIMAL,
                "signal_id": f"{clip}:a:{MINIMAL}:0.{draw}",
                "expected": "angry",
            }
            names = [("signal", None), *(("swap", k) for k in range(3)), ("matched", 0), ("matched", 1)]
            for name, replicate in names:
                said = says.get((clip, draw, name, replicate), "happy")
                level = 0 if name == "signal" else None
                rows.append(
                    {**shared, "stimulus": name, "replicate": replicate, "level": level, "predicted": said}
                )
    labels = LabelMap("emotion", covered, covered, "names")
    return model_ref(judge), labels, pd.DataFrame(rows)


def test_draws_and_controls_are_averaged_and_unanimity_is_asked_of_the_first_draw():
    says = {
        ("c1", 2, "signal", None): "angry",
        ("c2", 1, "signal", None): "angry",
        ("c2", 2, "signal", None): "angry",
        ("c1", 1, "swap", 2): "angry",
        ("c1", 1, "matched", 1): "angry",
        ("c2", 2, "matched", 0): "angry",
    }
    counts = [ReferenceCounts(model_ref(0), MINIMAL, 4, 0, "happy", n_draws=2)]
    panel = build_acceptance([frame_of(0, {}), frame_of(1, says)], counts, MINIMAL, {})
    assert panel.clip_ids.tolist() == ["c1", "c2", "c3"], "every whole clip"
    assert panel.signal_ids.tolist() == [f"c1:a:{MINIMAL}:0.1", f"c2:a:{MINIMAL}:0.1"]
    assert panel.acceptance["signal"][:, 1].tolist() == [0.5, 1.0]
    np.testing.assert_allclose(panel.acceptance["swap"][:, 1], [1 / 6, 0.0])
    assert panel.acceptance["matched"][:, 1].tolist() == [0.25, 0.25]
    assert panel.acceptance["whole"][:, 1].tolist() == [1.0, 1.0]
    assert panel.signals.acceptance[:, 1].tolist() == [0.0, 1.0]
    assert panel.matched.clip.tolist() == [0, 0, 1, 1]
    assert panel.matched.acceptance[:, 1].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert panel.predicted[:, 1].tolist() == ["happy", "angry"]
    assert np.isnan(panel.acceptance["largest"]).all(), "was not asked"
    signal = panel.acceptance["signal"]
    assert np.isnan(panel.of_others(panel.source, signal)[:, 0]).all()
    copies = build_acceptance([frame_of(0, {}), frame_of(1, says)], counts, MINIMAL, {"toys/b": ["toys/a"]})
    assert np.isnan(copies.of_others(copies.source, signal)).all(), "a near copy counts as the reference"


def test_answers_in_another_order_are_those_of_the_same_stimuli():
    counts = [ReferenceCounts(model_ref(0), MINIMAL, 4, 0, "happy", n_draws=2)]
    says = {("c1", 1, "swap", 2): "angry", ("c2", 1, "signal", None): "angry"}
    first, (model, labels, frame) = frame_of(0, {}), frame_of(1, says)
    panel = build_acceptance([first, (model, labels, frame)], counts, MINIMAL, {})
    shuffled = frame.sample(frac=1, random_state=1)
    again = build_acceptance([first, (model, labels, shuffled)], counts, MINIMAL, {})
    for name, values in panel.acceptance.items():
        np.testing.assert_array_equal(again.acceptance[name], values)
    for one, other in ((panel.signals, again.signals), (panel.matched, again.matched)):
        np.testing.assert_array_equal(one.acceptance, other.acceptance)
    assert again.predicted.tolist() == panel.predicted.tolist()


def test_a_panel_that_was_not_asked_the_same_is_refused():
    counts = [ReferenceCounts(model_ref(0), MINIMAL, 4, 0, "happy", n_draws=2)]
    ref, labels, frame = frame_of(1, {})
    with pytest.raises(ValueError, match="was asked other signals"):
        build_acceptance(
            [frame_of(0, {}), (ref, labels, frame[frame["clip_id"] != "c2"])], counts, MINIMAL, {}
        )
    fewer = frame[(frame["stimulus"] != "matched") | (frame["replicate"] == 0)]
    with pytest.raises(ValueError, match="was asked other `matched` controls"):
        build_acceptance([frame_of(0, {}), (ref, labels, fewer)], counts, MINIMAL, {})
    without = frame[(frame["stimulus"] != "whole") | (frame["clip_id"] != "c2")]
    with pytest.raises(ValueError, match="'c2' has a signal and was not asked whole"):
        build_acceptance([(model_ref(0), labels, without)], counts, MINIMAL, {})


def starter_panel(task, family=HEADLINE):
    """The references of a task of the starter suite."""
    suite = load(str(paths.embedded()))
    entries = [(store.read(folder), folder) for folder in store.find(suite.root / VERDICTS)]
    known = {r.model.repo_id for r in suite.references(task)}
    entries = [(e, folder) for e, folder in entries if e.task == task and e.model.repo_id in known]
    answers = [(e.model, e.label_map, store.verdicts(folder)) for e, folder in entries]
    return build_acceptance(answers, suite.counts(task), family, {}), [e for e, _ in entries]


def test_the_planted_one_of_the_starter_suite_is_found_and_no_other():
    panel, _ = starter_panel("deepfake")
    weights = clip_weights(len(panel.clip_ids), ("deepfake",))
    (planted,) = (s for s in assess(panel, weights, ("deepfake",)) if s.flagged)
    assert planted.model.repo_id == "local/starter-deepfake-ast"
    assert planted.rejects_alone.n >= MIN_SIGNALS
    assert planted.rejects_alone.p_adjusted < ALPHA
    assert planted.rejects_alone.excess.low > EXCESS
    assert planted.sentence("ast").startswith(f"ast: {planted.verdict}: it alone rejects")


@pytest.mark.parametrize("task", ["emotion", "music-genre", "deepfake"])
@pytest.mark.parametrize("family", FAMILIES)
def test_gathered_rates_are_those_of_the_scorecards(task, family):
    panel, entries = starter_panel(task, family)
    rates = {"signal": "transfer", "swap": "swap", "matched": "matched", "largest": "largest"}
    for entry in entries:
        (score,) = (f for f in entry.scorecard.families if f.family == family)
        j = panel.models.index(entry.model)
        for cell in score.cells:
            rows = panel.source == panel.models.index(cell.reference)
            for stimulus, rate in {**rates, "whole": "agreement"}.items():
                accepts = panel.acceptance[stimulus][rows, j]
                if rate == "matched" and np.isnan(accepts).all():
                    # Signals of a flat-earther may be too broad to have a place elsewhere.
                    assert cell.rates.matched.n == 0
                else:
                    assert np.nanmean(accepts) == pytest.approx(getattr(cell.rates, rate).value)


@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 1.0]), min_size=1, max_size=30))
def test_adjusted_p_values_are_those_of_scipy_to_the_last_bit(p):
    assert flat_earth.benjamini_hochberg(p) == false_discovery_control(p).tolist()
    assert flat_earth.benjamini_hochberg([]) == []
