"""Judging: every stimulus once, made as the definitions say, the same after a cut."""

import numpy as np
import pytest

from harness import spectra
from harness.dataset import signals
from harness.records import LabelMap, ModelFacts
from harness.score import stimuli, transfer
from harness.score.units import Unit, shard_of, units_of, visits
from tests.dataset.test_signals import TASK, add

LABELS = LabelMap("deepfake", ("fake", "real", "music"), ("spoof", "bonafide", "other"), "names")


class Loud:
    """Says `fake` to what has energy above 4 kHz, `music` to silence, `real` otherwise."""

    facts = ModelFacts("Loud", 0, 16_000, None, None)

    def __init__(self):
        self.heard = []

    def logits(self, waveforms, sample_rate_hz):
        self.heard += waveforms
        rows = []
        for x in waveforms:
            energy = np.abs(np.fft.rfft(x)) ** 2
            rows.append([energy[100:].sum(), energy[:100].sum(), 1e-12])
        return np.log(np.array(rows) + 1e-13).astype(np.float32)


@pytest.fixture
def suite(tmp_path):
    add(tmp_path)
    add(tmp_path, "toys/b", families=("minimal",))
    return signals.load(str(tmp_path))


def judged(suite, done=(), candidate=None):
    """Verdicts of every unit by its key, in the order of the units."""
    units = [unit for unit in units_of(suite, TASK) if unit.key not in done]
    answered = [
        pair
        for some in transfer.judge(candidate or Loud(), suite, TASK, visits(units, TASK))
        for pair in some
    ]
    answers = {unit.content: said for unit, said in answered}
    assert len(answers) == len(answered) == len(units)
    return {unit.key: transfer.verdict_table([unit], answers, LABELS, TASK).to_pylist() for unit in units}


def test_every_stimulus_is_asked_once(suite):
    units = judged(suite)
    verdicts = [v for rows in units.values() for v in rows]
    assert len(units) == len(units_of(suite, TASK)) == 3 + 1 + 9
    assert len(verdicts) == 3 + 1 + 9 * 5
    names = [v["stimulus"] for v in verdicts]
    assert names.count("whole") == 3
    assert names.count("silence") == 1
    for name in ("signal", "permuted", "largest", "permuted_equal_energy", "complement"):
        assert names.count(name) == 9
    assert len({(v["signal_id"], v["stimulus"], v["clip_id"]) for v in verdicts}) == len(verdicts)


def test_a_verdict_says_what_was_heard_and_what_was_expected(suite):
    units = judged(suite)
    (silence,) = units["silence:400"]
    assert (silence["predicted_raw"], silence["predicted"]) == ("music", "other")
    assert silence["p"] == pytest.approx((0.0, 0.0), abs=0.2)
    assert silence["clip_id"] is None
    signal = units["signal:c0:toys__a:minimal"][0]
    assert (signal["stimulus"], signal["expected"], signal["level"]) == ("signal", "spoof", 0)
    assert signal["p_expected"] == signal["p"][TASK.labels.index("spoof")]
    assert signal["predicted"] == {"fake": "spoof", "real": "bonafide"}[signal["predicted_raw"]]
    assert (signal["seconds_seen"], signal["energy_seen"]) == (pytest.approx(0.025), 1.0)
    assert units["signal:c0:toys__a:responsibility"][0]["level"] is None


def test_what_sounds_the_same_on_a_clip_is_asked_once(tmp_path):
    add(tmp_path, levels=True)
    add(tmp_path, "toys/b", levels=True)  # signals with the same masks: half of all is known already
    ear = Loud()
    units = judged(signals.load(str(tmp_path)), candidate=ear)
    assert len(ear.heard) < 0.8 * sum(map(len, units.values()))
    # A clip and all its bins, transformed forth and back, may agree to the last bit or not.
    assert len({x.tobytes() for x in ear.heard}) >= len(ear.heard) - 3
    apart = {}
    for unit in units:
        apart |= {unit: judged(signals.load(str(tmp_path)), set(units) - {unit})[unit]}
    assert apart == units


def test_units_are_visited_clip_by_clip_and_the_headline_comes_first(suite):
    units = units_of(suite, TASK)
    blocks = list(visits(units, TASK))
    assert sorted(u.key for block in blocks for u in block) == sorted(u.key for u in units)
    assert [len({u.clip_id for u in block}) for block in blocks] == [1] * 4
    for block in blocks[1:]:
        families = [u.family for u in block]
        assert families == sorted(families, key=[None, "responsibility", "minimal"].index)
    assert [b[0].key for b in visits(units[::-1], TASK)] == [b[0].key for b in blocks]


def test_classes_are_spread_evenly_over_the_visits():
    def unit(i, truth):
        return Unit(str(i), (("whole", None),), 400, clip_id=f"{truth}{i:03}", truth=truth)

    units = [unit(i, "spoof") for i in range(60)] + [unit(i, "bonafide") for i in range(20)]
    truths = [block[0].truth for block in visits(units, TASK)]
    for start in range(0, 80, 8):
        assert truths[start : start + 8].count("spoof") in (5, 6, 7)
    ids = [block[0].clip_id for block in visits(units, TASK)]
    assert ids != sorted(ids)


def test_shards_hold_every_unit_once(suite):
    blocks = list(visits(units_of(suite, TASK), TASK))
    for n in (1, 2, 5):
        assert all(1 <= shard_of(block, n) <= n for block in blocks)


def test_the_content_of_a_unit_changes_with_what_is_asked_and_with_nothing_else(tmp_path):
    add(tmp_path / "a")
    add(tmp_path / "b")
    add(tmp_path / "b", "toys/b")
    add(tmp_path / "levels", levels=True)
    of = {
        name: {u.key: u.content for u in units_of(signals.load(str(tmp_path / name)), TASK)}
        for name in ("a", "b", "levels")
    }
    assert of["a"].items() < of["b"].items()
    differing = {key for key in of["a"] if of["a"][key] != of["levels"][key]}
    assert differing == {key for key in of["a"] if key.endswith("minimal")}
    assert len(set(of["b"].values())) == len(of["b"])


def test_controls_keep_as_many_bins_of_the_same_clip(suite):
    clip = suite.clips("deepfake")["c1"]
    signal = next(s for s, _ in suite.signals("deepfake", "toys__a") if s.clip_id == "c1")
    X = spectra.spectrum(clip.waveform)
    names = ("permuted", "largest", "permuted_equal_energy", "complement")
    made = {name: spectra.spectrum(stimuli.control(signal, clip, name)) for name in names}
    scale = np.abs(X).max()
    kept = {name: np.abs(Y) > 1e-5 * scale for name, Y in made.items()}
    for name in ("permuted", "largest", "permuted_equal_energy"):
        assert kept[name].sum() == signal.n_kept
    np.testing.assert_allclose(made["permuted"][kept["permuted"]], X[kept["permuted"]], rtol=1e-4)
    assert np.abs(X[kept["largest"]]).min() >= np.abs(X[~kept["largest"]]).max()
    np.testing.assert_array_equal(kept["complement"], ~signal.mask)
    energies = {name: spectra.bin_energy(Y, 400).sum() for name, Y in made.items()}
    wanted = spectra.bin_energy(X, 400)[signal.mask].sum()
    assert energies["permuted_equal_energy"] == pytest.approx(wanted, rel=1e-4)


def test_levels_1_to_7_of_a_minimal_signal_are_asked_beside_level_0(tmp_path):
    add(tmp_path / "plain")
    add(tmp_path / "nested", levels=True)
    plain, nested = (judged(signals.load(str(tmp_path / name))) for name in ("plain", "nested"))
    assert list(plain) == list(nested)
    for key, verdicts in nested.items():
        further = [v for v in verdicts if v["level"]]
        assert [v["level"] for v in further] == (list(range(1, 8)) if key.endswith("minimal") else [])
        assert {v["stimulus"] for v in further} <= {"signal"}
        assert [v for v in verdicts if not v["level"]] == plain[key]
        for v in further:
            first = verdicts[0]
            assert all(v[name] == first[name] for name in ("signal_id", "expected", "truth"))
            assert v["p_expected"] == v["p"][TASK.labels.index("spoof")]


def test_a_level_is_made_of_its_bins_of_the_clip_and_the_last_is_the_clip(tmp_path):
    add(tmp_path, levels=True)
    suite = signals.load(str(tmp_path))
    clip = suite.clips("deepfake")["c1"]
    of_family = {s.family: s for s, _ in suite.signals("deepfake", "toys__a") if s.clip_id == "c1"}
    assert not any(s.level for s in stimuli.of_signal(of_family["responsibility"], clip))
    signal = of_family["minimal"]
    X = spectra.spectrum(clip.waveform)
    scale = np.abs(X).max()
    further = [s for s in stimuli.of_signal(signal, clip) if s.level]
    made = dict(zip((s.level for s in further), stimuli.sounds(further, clip), strict=True))
    assert list(made) == list(range(1, 8))
    for level, waveform in made.items():
        wanted = np.where(signal.levels <= level, X, 0)
        np.testing.assert_allclose(spectra.spectrum(waveform), wanted, atol=1e-6 * scale)
    np.testing.assert_array_max_ulp(made[7], clip.waveform, maxulp=1)


def test_levels_join_the_batch_of_their_signal(tmp_path):
    add(tmp_path, levels=True)
    suite, calls = signals.load(str(tmp_path)), []

    class Counting(Loud):
        def logits(self, waveforms, sample_rate_hz):
            calls.append(len(waveforms))
            return super().logits(waveforms, sample_rate_hz)

    judged(suite, candidate=Counting())
    assert len(calls) == 1, "one batch for all"


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
    seconds, share = transfer.seen(loud_start, 16_000, ModelFacts("m", 0, 16_000, 1.0, None))
    assert (seconds, share) == (1.0, pytest.approx(0.8, abs=1e-3))
    seconds, share = transfer.seen(loud_start, 16_000, ModelFacts("m", 0, 8000, None, None))
    assert (seconds, share) == (2.0, pytest.approx(0.5, abs=1e-3))
    assert transfer.seen(np.zeros(100, dtype=np.float32), 16_000, ModelFacts("m", 0, 8000, None, None)) == (
        0.00625,
        1.0,
    )
