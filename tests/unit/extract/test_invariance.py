"""Real architectures: the same masks for any batch size, order and company of the clips, but for rounding."""

import dataclasses

import numpy as np
import pytest

from harness import labels
from harness.dataset.suites import load
from harness.errors import BadModel
from harness.extract import runner
from harness.extract.minimal import Gradient, Minimal
from harness.extract.responsibility import Responsibility
from harness.extract.search_task import Limits
from harness.journal import Journal
from harness.models import heads, loading
from harness.starter import paths
from harness.tasks import TASKS
from tests.helpers.rounding import MARGIN, leads

SEARCHES = [Responsibility(repetitions=1, splits=3, resolution="bands64"), Minimal()]


@pytest.fixture(scope="module", params=["wav2vec2", "ast", "whisper"])
def folder(request):
    """A trained reference of the starter suite, of one architecture each."""
    return paths.SUITE / "models" / f"starter-genre-{request.param}"


@pytest.fixture(scope="module")
def clips():
    """Four of the suite, some of them cut to another length."""
    chosen = list(load(str(paths.embedded())).clips("music-genre").values())[:4]
    return [
        dataclasses.replace(clip, waveform=clip.waveform[: 24_000 + 200 * (i % 2)])
        for i, clip in enumerate(chosen)
    ]


def extracted(folder, clips, journal, batch_size, searches=SEARCHES):
    classifier = loading.load(str(folder), device="cpu", batch_size=batch_size)
    label_map = labels.harmonise(classifier.class_names, TASKS["music-genre"])
    found = runner.extract(
        classifier, "toys/model", label_map, clips, searches, journal, limits=Limits(budget=300)
    )
    return {e.signals[0].clip_id: e.signals for e in found if e.signals}


@pytest.fixture(scope="module")
def alone(folder, clips, tmp_path_factory):
    """Signals found with nothing asked beside anything else, and how near to the margin each lead was."""
    journal = Journal(tmp_path_factory.mktemp("alone") / "journal", {"work": 1}, "")
    with leads() as nearest:
        found = extracted(folder, clips, journal, 1)
    journal.close()
    return found, nearest


@pytest.mark.parametrize("batch_size", [3, pytest.param(64, marks=pytest.mark.slow)])
def test_masks_differ_by_no_more_than_rounding(folder, clips, alone, journals, monkeypatch, batch_size):
    one, nearest = alone
    assert sum(not s.degenerate for signals in one.values() for s in signals) >= 4
    if batch_size == 3:
        monkeypatch.setattr(runner, "_POOL", 2)
        monkeypatch.setattr(runner, "_QUESTIONS_AT_ONCE", 40)
    with leads() as others:
        other = extracted(folder, clips[::-1], journals(), batch_size)
    assert set(one) == set(other)
    for clip_id, signals in one.items():
        for s, t in zip(signals, other[clip_id], strict=True):
            assert s.expected == t.expected
            if np.array_equal(s.mask, t.mask):
                assert s.margin == pytest.approx(t.margin, abs=MARGIN)
            else:
                assert min(*nearest, *others) < MARGIN


def test_slopes_change_nothing_about_that(folder, clips, journals):
    with leads() as nearest:
        one, other = (extracted(folder, clips[:2], journals(), size, [Gradient()]) for size in (1, 64))
    for clip_id, (s,) in one.items():
        assert s.guarantee == "one_minimal"
        assert np.array_equal(s.mask, other[clip_id][0].mask) or min(nearest) < MARGIN


def test_logits_that_are_not_finite_end_the_run_and_nothing_is_certified(folder, clips, journal, monkeypatch):
    """A model that overflows on faint sound: the whole clips are heard, the search is not."""
    honest = heads.Head._forward

    def overflowing(self, batch, features):
        logits = honest(self, batch, features)
        logits[[0 < float(np.abs(x).max()) < 0.01 for x in batch]] = np.inf
        return logits

    monkeypatch.setattr(heads.Head, "_forward", overflowing)
    with pytest.raises(BadModel, match="not finite"):
        extracted(folder, clips, journal, 16)
    assert not journal.items


def test_a_mask_on_the_card_is_the_mask_of_scipy_to_the_last_bit_but_one(clips):
    """The same code, where there is no card."""
    from harness.domains import fft
    from harness.models import devices

    for clip in (clips[0], dataclasses.replace(clips[1], waveform=clips[1].waveform[:4_001])):
        n_samples = len(clip.waveform)
        X = fft.spectrum(clip.waveform)
        masks = np.random.default_rng(0).random((5, len(X))) < [[0.0], [0.001], [0.1], [0.9], [1.0]]
        in_torch = devices.keep(X, masks, n_samples, "cpu").numpy()
        assert in_torch.dtype == np.float32
        expected = fft.keep(X, masks, n_samples)
        np.testing.assert_allclose(in_torch, expected, rtol=0, atol=2**-24)


def test_the_oracle_takes_masks_from_a_model_that_makes_them(label_map, journals):
    from harness.domains import fft
    from tests.helpers.tone_models import ToneModel, clip_of

    class OnCard(ToneModel):
        n_made = 0

        def keep(self, X, masks, n_samples):
            self.n_made += len(masks)
            return fft.keep(X, masks, n_samples)

    class OnProcessor(OnCard):
        def keep(self, X, masks, n_samples):
            return None

    clip, there = clip_of("a", [0.1, 0.1, 0.9]), OnCard()
    one, other = (
        runner.extract(ear, "toys/ear", label_map, [clip], [Minimal()], journals())
        for ear in (there, OnProcessor())
    )
    (signal,) = one[0].signals
    assert there.n_made == signal.n_queries - 3
    np.testing.assert_array_equal(signal.mask, other[0].signals[0].mask)


@pytest.mark.slow
def test_clips_of_thirty_seconds_stay_within_the_stated_memory():
    """Eight of 240,001 bins: 1 GB and what Python, torch and transformers take before the first clip."""
    import subprocess
    import sys

    program = """
import re, tempfile
from pathlib import Path
from harness import labels
from harness.extract import runner
from harness.extract.minimal import Minimal
from harness.extract.responsibility import Responsibility
from harness.extract.search_task import Limits
from harness.journal import Journal
from harness.models import heads, loading
from harness.tasks import TASKS
from harness.types import Clip
from tests.helpers import toy_models
with tempfile.TemporaryDirectory() as folder:
    model = toy_models.save_model(Path(folder) / "model", "wav2vec2", ("neu", "hap", "ang", "sad"))
    classifier = loading.load(str(model), device="cpu", batch_size=8)
    clips = [Clip(f"c{i}", "toy", None, x, 16_000) for i, x in enumerate(toy_models.sounds(*[480_000] * 16))]
    label_map = labels.harmonise(classifier.class_names, TASKS["emotion"])
    searches = [Responsibility(repetitions=1, splits=2, resolution="bands64"), Minimal()]
    journal = Journal(Path(folder) / "journal", {}, "")
    peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    before = peak()
    found = runner.extract(classifier, "m", label_map, clips, searches, journal, limits=Limits(budget=100))
    assert sum(len(e.signals) for e in found) > 0
    print(before // 1024, peak() // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after - before < 1024, f"{before} MB before, {after} MB at most"
