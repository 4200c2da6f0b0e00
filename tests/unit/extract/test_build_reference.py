"""A reference into a folder: clips are read as they are needed, however many there are."""

import weakref

import numpy as np
import pytest

from harness.completions import parse_completion
from harness.dataset import clip_cache, clip_sequence, corpora
from harness.dataset.corpora import Corpus, Row
from harness.dataset.suites import Suite
from harness.errors import BadCorpus
from harness.extract import build_reference, runner
from harness.extract.minimal import Minimal
from harness.extract.search_task import Limits
from harness.model_facts import ModelFacts
from harness.tasks import Task
from harness.types import Clip, LabelMap, ModelRef
from tests.helpers.tone_models import RATE, ToneModel, clip_of

N_SAMPLES = 800
TASK = Task("toy", ("low", "mid", "high"), {}, RATE, 1.0)
LABELS = LabelMap("toy", ("LOW", "MID", "HIGH"), ("low", "mid", "high"), "names")


class Reference(ToneModel):
    ref = ModelRef("toys/ear", "a" * 40, "a" * 64)
    facts = ModelFacts("Tones", 0, RATE, None, None)
    device, dtype, batch_size, frontend, min_samples = "cpu", "float32", 8, "none", 1

    def can_hear(self, n_samples, sample_rate_hz):
        return True


def waveform(i):
    return clip_of(f"c{i}", np.random.default_rng(i).permutation([0.8, 0.4, 0.3]), N_SAMPLES, i).waveform


def corpus_of(n, decode=waveform):
    rows = [Row(f"c{i:03}", "low", lambda i=i: (decode(i), RATE, 1)) for i in range(n)]
    return Corpus("toys", None, None, rows)


def add(corpus, root, **options):
    return build_reference.add(Reference(), LABELS, TASK, corpus, [Minimal()], root, **options)


@pytest.mark.parametrize("completion", ["zero", "swap"])
def test_an_extraction_holds_as_many_clips_at_a_time_whatever_their_number(completion, tmp_path, monkeypatch):
    """Small caches, so that few clips fill them; most clips are alive once all are in the pool or cached."""
    for target, name, value in (
        (clip_sequence, "_MAX_SAMPLES", 4 * N_SAMPLES),
        (clip_cache._recent_clips, "_max_size", 4 * N_SAMPLES),
        (runner, "_POOL", 4),
    ):
        monkeypatch.setattr(target, name, value)
    alive, most = weakref.WeakSet(), {}

    def counted(*fields):
        clip = Clip(*fields)
        alive.add(clip)
        most[n] = max(most.get(n, 0), len(alive))
        return clip

    monkeypatch.setattr(corpora, "Clip", counted)
    limits = Limits(8, 0.0, parse_completion(completion))
    for n in (40, 80):
        record = add(corpus_of(n), tmp_path / str(n), limits=limits)
        assert record.corpus.n_clips == n
        assert record.counts[0].n_signals > n // 2
    assert most[80] <= most[40] + 2
    assert most[80] < 30


def test_a_recording_that_changes_while_it_is_in_use_ends_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(clip_sequence, "_MAX_SAMPLES", 1)
    n_read = {}

    def decode(i):
        n_read[i] = n_read.get(i, 0) + 1
        return waveform(i + 100 * (n_read[i] > 1))

    with pytest.raises(BadCorpus, match="c000 has changed while it was in use; start again"):
        add(corpus_of(3, decode), tmp_path / "signals")
    assert not (tmp_path / "signals" / "manifest.json").exists()


def test_clips_that_join_a_folder_stand_beside_those_that_are_there(tmp_path):
    add(corpus_of(3), tmp_path)
    rows = [Row(f"d{i}", "mid", lambda i=i: (waveform(i + 50), RATE, 1)) for i in range(2)]

    class Other(Reference):
        ref = ModelRef("toys/other", "b" * 40, "b" * 64)

    more = Corpus("others", None, None, rows[:1] + corpus_of(2)._rows + rows[1:])
    build_reference.add(Other(), LABELS, TASK, more, [Minimal()], tmp_path)
    suite = Suite(tmp_path, "local/toys")
    assert list(suite.clips("toy")) == ["c000", "c001", "c002", "d0", "d1"]
    for name, clip in suite.clips("toy").items():
        expected = waveform(int(name[1:]) + 50 * (name[0] == "d"))
        np.testing.assert_array_equal(clip.waveform, expected)
