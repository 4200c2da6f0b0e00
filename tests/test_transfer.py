"""Judging: every stimulus once, made as the definitions say, the same after a cut."""

import numpy as np
import pytest

from harness import spectra
from harness.dataset import signals
from harness.records import LabelMap, ModelFacts
from harness.score import transfer
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


def judged(suite, done=()):
    seen = []
    units = transfer.judge(Loud(), LABELS, suite, TASK, done=done, sees=seen.append)
    found = dict(pair for batch in units for pair in batch)
    assert sum(seen) == len(found)
    return found


def test_every_stimulus_is_asked_once(suite):
    units = judged(suite)
    verdicts = [v for rows in units.values() for v in rows]
    assert len(units) == transfer.n_units(suite, TASK) == 3 + 1 + 9
    assert len(verdicts) == 3 + 1 + 9 * 5
    names = [v.stimulus for v in verdicts]
    assert names.count("whole") == 3
    assert names.count("silence") == 1
    for name in ("signal", "permuted", "largest", "permuted_equal_energy", "complement"):
        assert names.count(name) == 9
    assert len({(v.signal_id, v.stimulus, v.clip_id) for v in verdicts}) == len(verdicts)


def test_a_verdict_says_what_was_heard_and_what_was_expected(suite):
    units = judged(suite)
    (silence,) = units["silence:400"]
    assert (silence.predicted_raw, silence.predicted) == ("music", "other")
    assert silence.p == pytest.approx((0.0, 0.0), abs=0.2)
    assert silence.clip_id is None
    signal = units["signal:c0:toys__a:minimal"][0]
    assert (signal.stimulus, signal.expected, signal.level) == ("signal", "spoof", 0)
    assert signal.p_expected == signal.p[TASK.labels.index("spoof")]
    assert signal.predicted == {"fake": "spoof", "real": "bonafide"}[signal.predicted_raw]
    assert (signal.seconds_seen, signal.energy_seen) == (0.025, 1.0)
    assert units["signal:c0:toys__a:responsibility"][0].level is None


def test_controls_keep_as_many_bins_of_the_same_clip(suite):
    clip = suite.clips("deepfake")["c1"]
    signal = next(s for s, _ in suite.signals("deepfake", "toys__a") if s.clip_id == "c1")
    X = spectra.spectrum(clip.waveform)
    made = {name: spectra.spectrum(x) for name, x in transfer.controls(signal, clip)}
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
        further = [v for v in verdicts if v.level]
        assert [v.level for v in further] == (list(range(1, 8)) if key.endswith("minimal") else [])
        assert {v.stimulus for v in further} <= {"signal"}
        assert [v for v in verdicts if not v.level] == plain[key]
        for v in further:
            first = verdicts[0]
            assert (v.signal_id, v.expected, v.truth) == (first.signal_id, first.expected, first.truth)
            assert v.p_expected == v.p[TASK.labels.index("spoof")]


def test_a_level_is_made_of_its_bins_of_the_clip_and_the_last_is_the_clip(tmp_path):
    add(tmp_path, levels=True)
    suite = signals.load(str(tmp_path))
    clip = suite.clips("deepfake")["c1"]
    of_family = {s.family: s for s, _ in suite.signals("deepfake", "toys__a") if s.clip_id == "c1"}
    assert list(transfer.further_levels(of_family["responsibility"], clip)) == []
    signal = of_family["minimal"]
    X = spectra.spectrum(clip.waveform)
    scale = np.abs(X).max()
    made = dict(transfer.further_levels(signal, clip))
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

    list(transfer.judge(Counting(), LABELS, suite, TASK))
    assert calls == [3 + 1 + 3 * 5 + 3 * 12], "one batch for all"


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
