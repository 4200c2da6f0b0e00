"""Corpora and signals of the Hub, fetched by the real clients from a Hub on this machine."""

import json
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np

from harness import audio
from tests.helpers.hand_made_signals import add
from tests.helpers.hub import LoopbackHub
from tests.helpers.repository import ROOT

ASK = """
import json
from harness import audio
from harness.dataset import suites
from harness.dataset.corpora import open_corpus
from harness.errors import BadInput
from harness.tasks import TASKS
task = TASKS["deepfake"]
corpus = open_corpus("org/corpus", task)
clips = list(corpus.clips(task))
print(json.dumps([[c.clip_id, c.label, audio.sha256(c.waveform), c.pair] for c in clips]))
ref = corpus.ref(clips)
print(json.dumps([ref.name, ref.revision, ref.licence, ref.n_resampled]))
print(json.dumps([c.clip_id for c in open_corpus("org/corpus", task, split="train").clips(task)]))
suite = suites.load("org/signals")
print(json.dumps([suite.name, suite.commit, suite.ref("deepfake").revision, suite.ref("deepfake").sha256]))
print(json.dumps(sorted(s.signal_id for s, _ in suite.signals("deepfake", "toys__a"))))
for ask in (lambda: open_corpus("org/gone", task), lambda: suites.load("org/gone")):
    try:
        ask()
    except BadInput as refusal:
        print(json.dumps(str(refusal)))
"""


def corpus_in(folder: Path) -> list[np.ndarray]:
    """Two splits of FLAC clips at 8 and 16 kHz, with ClassLabel truths."""
    rng = np.random.default_rng(0)
    sounds = [(rng.integers(-9000, 9000, 1600) / 32_768).astype(np.float32) for _ in range(3)]
    stored = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    truths = datasets.ClassLabel(names=["fake", "real"])
    features = datasets.Features({"audio": stored, "label": truths, "pair": datasets.Value("int32")})
    rows = [
        {
            "audio": {"bytes": audio.encode_exact(x, rate)[0], "path": f"{i}.flac"},
            "label": label,
            "pair": pair,
        }
        for i, (x, rate, label, pair) in enumerate(
            zip(sounds, (16_000, 8_000, 16_000), (0, 1, -1), (0, 0, None), strict=True)
        )
    ]
    (folder / "data").mkdir(parents=True)
    for split, some in (("test", rows), ("train", rows[:1])):
        columns = {name: [r[name] for r in some] for name in features}
        table = datasets.Dataset.from_dict(columns, features=features)
        table = table.cast_column("audio", datasets.Audio(decode=False))
        table.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    return sounds


def test_a_corpus_and_a_signals_dataset_are_fetched_and_pinned(tmp_path):
    sounds = corpus_in(tmp_path / "datasets/org/corpus")
    add(tmp_path / "datasets/org/signals")
    (tmp_path / "datasets/org/signals/.lock").unlink()
    with LoopbackHub(tmp_path) as hub:
        commits = [hub.commit(f"datasets/org/{name}") for name in ("corpus", "signals")]
        done = subprocess.run(
            [sys.executable, "-c", ASK],
            env=hub.environment(tmp_path / "cache"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    clips, ref, train, suite, found, no_corpus, no_signals = map(json.loads, done.stdout.splitlines())
    assert [c[3] for c in clips] == ["0", "0", None]
    assert [c[:2] for c in clips] == [
        ["test-000000", "spoof"],
        ["test-000001", "bonafide"],
        ["test-000002", None],
    ]
    assert clips[0][2] == audio.sha256(sounds[0])
    assert ref == ["org/corpus", commits[0], "cc-by-4.0", 1]
    assert train == ["train-000000"]
    assert suite[:3] == ["org/signals", commits[1], commits[1]]
    assert len(found) == 6
    assert no_corpus.startswith("no dataset org/gone on the Hub")
    assert no_signals.startswith("no dataset org/gone on the Hub")
