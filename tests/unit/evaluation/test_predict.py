"""Judging: every stimulus once, made as the definitions say, the same after a cut."""

import dataclasses
import threading
from collections.abc import Generator

import numpy as np
import pytest

from harness.dataset import suites, writer
from harness.domains import fft
from harness.errors import BadSignals
from harness.evaluation import predict, stimuli
from harness.evaluation.units import Unit, evaluation_order, shard_of, units_of
from harness.model_facts import ModelFacts
from harness.types import STIMULI
from tests.helpers import toy_models
from tests.helpers.families import FAMILIES, HEADLINE, MINIMAL
from tests.helpers.loud_model import LABELS, LoudModel
from tests.helpers.toy_models import TASK


@pytest.fixture
def suite(tmp_path):
    toy_models.add_signals(tmp_path)
    toy_models.add_signals(tmp_path, "toys/b", families=(MINIMAL,))
    return suites.load(str(tmp_path))


def judged(suite, done=(), candidate=None):
    """Verdicts of every unit by its key, in the order of the units."""
    units = [unit for unit in units_of(suite, TASK) if unit.key not in done]
    answered = [
        pair
        for some in predict.judge(candidate or LoudModel(), suite, TASK, evaluation_order(units, TASK))
        for pair in some
    ]
    answers = {unit.content: said for unit, said in answered}
    assert len(answers) == len(answered) == len(units)
    return {unit.key: predict.verdict_table([unit], answers, LABELS, TASK).to_pylist() for unit in units}


def test_every_stimulus_has_one_verdict(suite):
    units = judged(suite)
    verdicts = [v for rows in units.values() for v in rows]
    assert len(units) == len(units_of(suite, TASK)) == 4 + 1 + 12
    names = [v["stimulus"] for v in verdicts]
    assert {name: names.count(name) for name in STIMULI} == {
        "whole": 4,
        "signal": 12,
        "swap": 12 * 2,  # two clips have the other class
        "matched": names.count("matched"),
        "largest": 12,
        "silence": 1,
        "complement": 12,
    }
    assert 0 < names.count("matched") <= 12 * 4
    assert len({(v["signal_id"], v["stimulus"], v["clip_id"], v["replicate"]) for v in verdicts}) == len(
        names
    )
    for rows in units.values():
        for name in ("swap", "matched"):
            replicates = [v["replicate"] for v in rows if v["stimulus"] == name]
            assert replicates == list(range(len(replicates)))


def test_a_verdict_says_what_was_heard_and_what_was_expected(suite):
    units = judged(suite)
    (silence,) = units["silence:400"]
    assert (silence["predicted_raw"], silence["predicted"]) == ("music", "other")
    assert silence["p"] == pytest.approx((0.0, 0.0), abs=0.2)
    assert (silence["clip_id"], silence["draw"], silence["replicate"]) == (None, None, None)
    signal = units[f"signal:c0:toys__a:{MINIMAL}:0.1"][0]
    assert (signal["stimulus"], signal["expected"], signal["level"]) == ("signal", "spoof", 0)
    assert (signal["draw"], signal["replicate"], signal["other_clip"]) == (1, None, None)
    assert signal["p_expected"] == signal["p"][TASK.labels.index("spoof")]
    assert signal["predicted"] == {"fake": "spoof", "real": "bonafide"}[signal["predicted_raw"]]
    assert (signal["seconds_seen"], signal["energy_seen"]) == (pytest.approx(0.025), 1.0)
    assert units[f"signal:c0:toys__a:{HEADLINE}:0.1"][0]["level"] is None


def test_the_verdict_of_a_swap_names_the_clip_that_it_was_made_of_and_its_length(tmp_path):
    toy_models.add_signals(tmp_path, clips=[toy_models.clip_of(i, 400 + 10 * i) for i in range(4)])
    verdicts = [v for rows in judged(suites.load(str(tmp_path))).values() for v in rows]
    for verdict in verdicts:
        if verdict["stimulus"] == "swap":
            other = int(verdict["other_clip"][1:])
            assert other % 2 != int(verdict["clip_id"][1:]) % 2
            assert verdict["n_samples"] == 400 + 10 * other
            assert verdict["seconds_seen"] == pytest.approx((400 + 10 * other) / 16_000)
        else:
            assert verdict["other_clip"] is None
            if verdict["clip_id"] is not None:
                assert verdict["n_samples"] == 400 + 10 * int(verdict["clip_id"][1:])


def test_what_sounds_the_same_on_a_clip_is_asked_once(tmp_path):
    """Across families, draws and references; here all signals of a clip and draw have the same mask."""
    toy_models.add_signals(tmp_path, levels=True, n_draws=2)
    toy_models.add_signals(tmp_path, "toys/b", levels=True)
    suite, ear = suites.load(str(tmp_path)), LoudModel()
    units = judged(suite, candidate=ear)
    distinct = {("silence", 400)} | {("whole", clip_id) for clip_id in suite.clips("deepfake")}
    for unit in units_of(suite, TASK):
        if unit.signal_id is not None:
            signal, _ = suite.signal("deepfake", unit.slug, unit.signal_id)
            others = [suite.clip("deepfake", clip_id) for clip_id in unit.others]
            made = stimuli.of_signal(signal, suite.clip("deepfake", unit.clip_id), others)
            distinct |= {(unit.clip_id, stimulus.sound) for stimulus in made}
    assert len(ear.heard) == len(distinct) < 0.8 * sum(map(len, units.values()))
    # A clip and all its bins, transformed forth and back, may agree to the last bit or not.
    assert len({x.tobytes() for x in ear.heard}) >= len(ear.heard) - 4
    apart = {}
    for unit in units:
        apart |= {unit: judged(suite, set(units) - {unit})[unit]}
    assert apart == units


def test_controls_that_are_silence_are_asked_once(tmp_path):
    """Tones of their own share no bin: each signal has silence for its `swap`."""
    clips = []
    for i in range(4):
        x = 0.1 * np.cos(2 * np.pi * (20 + 10 * i) * np.arange(400) / 400)
        clips.append(dataclasses.replace(toy_models.clip_of(i), waveform=x.astype(np.float32)))
    masks = [np.arange(201) == 20 + 10 * i for i in range(4)]
    found = [
        toy_models.signal_of(clip, mask=mask, draw=draw)
        for clip, mask in zip(clips, masks, strict=True)
        for draw in (1, 2)
    ]
    record = toy_models.record_of("toys/a", FAMILIES[:1], 8, n_draws=2)
    writer.add_reference(tmp_path, TASK, record, clips, found)
    ear = LoudModel()
    units = judged(suites.load(str(tmp_path)), candidate=ear)
    said = [v["predicted_raw"] for rows in units.values() for v in rows if v["stimulus"] == "swap"]
    assert said == ["music"] * 16
    assert sum(not x.any() for x in ear.heard) == 1 + 4, "once for itself, once on each clip"


def test_units_are_visited_clip_by_clip_and_the_headline_comes_first(suite):
    units = units_of(suite, TASK)
    blocks = list(evaluation_order(units, TASK))
    assert sorted(u.key for block in blocks for u in block) == sorted(u.key for u in units)
    assert [len({u.clip_id for u in block}) for block in blocks] == [1] * 5
    for block in blocks[1:]:
        families = [u.family for u in block]
        assert families == sorted(families, key=[None, HEADLINE, MINIMAL].index)
    assert [b[0].key for b in evaluation_order(units[::-1], TASK)] == [b[0].key for b in blocks]


def test_classes_are_spread_evenly_over_the_visits():
    def unit(i, truth):
        return Unit(str(i), 400, clip_id=f"{truth}{i:03}", truth=truth)

    units = [unit(i, "spoof") for i in range(60)] + [unit(i, "bonafide") for i in range(20)]
    truths = [block[0].truth for block in evaluation_order(units, TASK)]
    for start in range(0, 80, 8):
        assert truths[start : start + 8].count("spoof") in (5, 6, 7)
    ids = [block[0].clip_id for block in evaluation_order(units, TASK)]
    assert ids != sorted(ids)


def test_shards_hold_every_unit_once(suite):
    blocks = list(evaluation_order(units_of(suite, TASK), TASK))
    for n in (1, 2, 5):
        assert all(1 <= shard_of(block, n) <= n for block in blocks)


def test_the_content_of_a_unit_changes_with_what_is_asked_and_with_nothing_else(tmp_path):
    toy_models.add_signals(tmp_path / "a")
    toy_models.add_signals(tmp_path / "b")
    toy_models.add_signals(tmp_path / "b", "toys/b")
    toy_models.add_signals(tmp_path / "levels", levels=True)
    other = dataclasses.replace(toy_models.clip_of(9), clip_id="c3")
    toy_models.add_signals(tmp_path / "other", clips=[*map(toy_models.clip_of, range(3)), other])
    of = {
        name: {u.key: u.content for u in units_of(suites.load(str(tmp_path / name)), TASK)}
        for name in ("a", "b", "levels", "other")
    }
    assert of["a"].items() < of["b"].items()
    differing = {key for key in of["a"] if of["a"][key] != of["levels"][key]}
    assert differing == {key for key in of["a"] if f":{MINIMAL}:" in key}
    assert len(set(of["b"].values())) == len(of["b"])
    # Another sound under the name of a clip: what is made of it differs, its stand-ins' signals included.
    differing = {key for key in of["a"] if of["a"][key] != of["other"][key]}
    assert differing == {key for key in of["a"] if ":c3" in key or (":toys__a:" in key and "c1" not in key)}


def test_a_unit_asks_no_more_than_it_says(tmp_path):
    toy_models.add_signals(tmp_path, levels=True)
    suite = suites.load(str(tmp_path))
    rows = judged(suite)
    for unit in units_of(suite, TASK):
        n_matched = sum(v["stimulus"] == "matched" for v in rows[unit.key])
        missing = 4 - n_matched if unit.signal_id is not None else 0
        assert len(rows[unit.key]) == unit.n_stimuli - missing


def test_levels_1_to_7_of_a_minimal_signal_are_asked_beside_level_0(tmp_path):
    toy_models.add_signals(tmp_path / "plain")
    toy_models.add_signals(tmp_path / "nested", levels=True)
    plain, nested = (judged(suites.load(str(tmp_path / name))) for name in ("plain", "nested"))
    assert list(plain) == list(nested)
    for key, verdicts in nested.items():
        further = [v for v in verdicts if v["level"]]
        assert [v["level"] for v in further] == (list(range(1, 8)) if f":{MINIMAL}:" in key else [])
        assert {v["stimulus"] for v in further} <= {"signal"}
        assert [v for v in verdicts if not v["level"]] == plain[key]
        for v in further:
            first = verdicts[0]
            assert all(v[name] == first[name] for name in ("signal_id", "expected", "truth", "draw"))
            assert v["p_expected"] == v["p"][TASK.labels.index(v["expected"])]


def test_a_level_is_made_of_its_bins_of_the_clip_and_the_last_is_the_clip(tmp_path):
    toy_models.add_signals(tmp_path, levels=True)
    suite = suites.load(str(tmp_path))
    clip = suite.clips("deepfake")["c1"]
    of_family = {s.family: s for s, _ in suite.signals("deepfake", "toys__a") if s.clip_id == "c1"}
    assert not any(s.level for s in stimuli.of_signal(of_family[HEADLINE], clip, ()))
    signal = of_family[MINIMAL]
    X = fft.spectrum(clip.waveform)
    scale = np.abs(X).max()
    further = [s for s in stimuli.of_signal(signal, clip, ()) if s.level]
    made = dict(zip((s.level for s in further), stimuli.sounds(further), strict=True))
    assert list(made) == list(range(1, 8))
    for level, waveform in made.items():
        wanted = np.where(signal.levels <= level, X, 0)
        np.testing.assert_allclose(fft.spectrum(waveform), wanted, atol=1e-6 * scale)
    np.testing.assert_array_max_ulp(made[7], clip.waveform, maxulp=1)


def test_levels_join_the_batch_of_their_signal(tmp_path):
    toy_models.add_signals(tmp_path, levels=True)
    suite, calls = suites.load(str(tmp_path)), []

    class Counting(LoudModel):
        def logits(self, waveforms, sample_rate_hz):
            calls.append(len(waveforms))
            return super().logits(waveforms, sample_rate_hz)

    judged(suite, candidate=Counting())
    assert len(calls) == 1, "one batch for all"


@pytest.mark.parametrize("n_samples", [1, 1_000, 7_000])
def test_how_many_sounds_are_asked_together_changes_nothing(tmp_path, monkeypatch, n_samples):
    """Nor how often what is asked once on a clip lies in an earlier batch than a unit that needs it."""
    toy_models.add_signals(tmp_path, levels=True, n_draws=2)
    toy_models.add_signals(tmp_path, "toys/b", levels=True)
    suite, one, many = suites.load(str(tmp_path)), LoudModel(), LoudModel()
    whole = judged(suite, candidate=one)
    monkeypatch.setattr(predict, "_SAMPLES_AT_ONCE", n_samples)
    assert judged(suite, candidate=many) == whole
    assert [x.tobytes() for x in many.heard] == [x.tobytes() for x in one.heard]


def test_sounds_are_made_no_further_ahead_than_one_batch(suite, monkeypatch):
    """What is asked next is made meanwhile; what comes after it waits, and memory stays bounded."""
    monkeypatch.setattr(predict, "_SAMPLES_AT_ONCE", 1)
    taken = []

    def blocks():
        for block in evaluation_order(units_of(suite, TASK), TASK):
            for unit in block:
                taken.append(unit)
                yield [unit]

    for n_answered, some in enumerate(predict.judge(LoudModel(), suite, TASK, blocks()), 1):
        assert len(some) == 1
        assert n_answered <= len(taken) <= n_answered + 1


def test_what_goes_wrong_while_sounds_are_made_ends_the_judgement_with_its_reason(suite):
    def blocks():
        yield from list(evaluation_order(units_of(suite, TASK), TASK))[:2]
        raise BadSignals("the third is damaged")

    before = threading.active_count()
    with pytest.raises(BadSignals, match="the third is damaged"):
        list(predict.judge(LoudModel(), suite, TASK, blocks()))
    stopped = predict.judge(LoudModel(), suite, TASK, evaluation_order(units_of(suite, TASK), TASK))
    assert isinstance(stopped, Generator)
    next(stopped)
    stopped.close()
    assert threading.active_count() == before


def test_a_judgement_that_was_cut_off_goes_on_with_what_is_missing(suite):
    whole = judged(suite)
    done = list(whole)[:7]
    rest = judged(suite, done)
    assert set(rest) == set(whole) - set(done)
    assert all(rest[key] == whole[key] for key in rest)


def test_what_a_model_cannot_hear_is_said():
    t = np.arange(32_000) / 16_000
    tones = np.sin(2 * np.pi * 500 * t) + np.sin(2 * np.pi * 6000 * t)
    loud_start = (tones * np.where(t < 1, 1.0, 0.5)).astype(np.float32)
    seconds, share = predict.visible_part(loud_start, 16_000, ModelFacts("m", 0, 16_000, 1.0, None))
    assert (seconds, share) == (1.0, pytest.approx(0.8, abs=1e-3))
    seconds, share = predict.visible_part(loud_start, 16_000, ModelFacts("m", 0, 8000, None, None))
    assert (seconds, share) == (2.0, pytest.approx(0.5, abs=1e-3))
    assert predict.visible_part(
        np.zeros(100, dtype=np.float32), 16_000, ModelFacts("m", 0, 8000, None, None)
    ) == (
        0.00625,
        1.0,
    )
