"""A reference of every domain, from a model and a corpus to a folder, and back; and what is judged of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import audio, cli
from harness.dataset.completed import sound_of
from harness.dataset.suites import Suite, load
from harness.entries import store
from harness.families import atoms_of, kind_of
from harness.types import SufficientSignal
from tests.helpers.corpus import make_corpus
from tests.helpers.toy_models import save_model

TASK = "emotion"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus and a model."""
    root = tmp_path_factory.mktemp("domains")
    corpus = make_corpus(root / "corpus", *((f"c{i}.wav", ("happy", "sad")[i % 2]) for i in range(6)))
    return corpus, save_model(root / "ear", "wav2vec2", ("neu", "hap", "ang", "sad"))


def extracted(parts: tuple[Path, Path], out: Path, *options: object) -> Suite:
    corpus, model = parts
    command = [
        "extract",
        model,
        "--task",
        TASK,
        "--corpus",
        corpus,
        "--out",
        out,
        "--repetitions",
        2,
        *options,
    ]
    assert cli.run([str(part) for part in command]) == 0
    return load(str(out))


def signals_of(suite: Suite) -> dict[str, tuple[SufficientSignal, np.ndarray]]:
    return {s.signal_id: (s, waveform) for s, waveform in suite.signals(TASK, "local__ear")}


@pytest.mark.parametrize("resolution", ["blocks20ms", "tiles4x32"])
@pytest.mark.parametrize("rest", [None, "noise:-40", "swap"])
def test_masks_sounds_and_hashes_agree_with_and_without_audio(
    parts: tuple[Path, Path], tmp_path: Path, resolution: str, rest: str | None
) -> None:
    searches = [
        part for name in ("responsibility", "minimal") for part in ("--search", f"{name}@{resolution}")
    ]
    options = [*searches, *([] if rest is None else ["--completion", rest])]
    suite = extracted(parts, tmp_path / "audio", *options)
    bare = extracted(parts, tmp_path / "masks", *options, "--masks-only")
    completion = "" if rest is None else f"+{rest}"
    families = tuple(f"{kind}@{resolution}{completion}" for kind in ("responsibility", "minimal"))
    assert suite.families(TASK) == families
    assert suite.headline(TASK) == families[0]
    assert suite.ref(TASK).sha256 == bare.ref(TASK).sha256
    stored, rebuilt = signals_of(suite), signals_of(bare)
    assert stored.keys() == rebuilt.keys()
    assert len(stored) > 0
    clips = suite.clips(TASK)
    for name, (signal, waveform) in stored.items():
        again, sound = rebuilt[name]
        np.testing.assert_array_equal(signal.mask, again.mask)
        np.testing.assert_array_equal(waveform, sound)
        np.testing.assert_array_equal(waveform, sound_of(signal, clips[signal.clip_id], clips.__getitem__))
        assert audio.sha256(waveform) == signal.sha256 == again.sha256
        atoms = atoms_of(signal)
        np.testing.assert_array_equal(
            atoms.expand(atoms.pool(signal.mask.astype(float)) > 0), signal.mask, "whole atoms"
        )
        assert signal.n_atoms == len(atoms)
        assert (signal.rest_clip is None) == (rest != "swap")
        assert (signal.survival is None) == signal.degenerate
        # The other search ranks the atoms of a clip, unless its draw of the rest gets the class by itself.
        ranked, _ = stored[name.replace("minimal@", "responsibility@")]
        is_minimal = kind_of(signal.family) == "minimal"
        has_levels = is_minimal and not signal.degenerate and not ranked.degenerate
        assert (signal.levels is not None) == has_levels


def test_a_model_accepts_all_of_its_own_signals_of_tiles_against_another_clip(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    """The known answer, through everything that judges."""
    options = ("--search", "responsibility@tiles4x32", "--completion", "swap")
    suite = extracted(parts, tmp_path / "signals", *options)
    command = ["evaluate", parts[1], "--task", TASK, "--signals", suite.root, "--out", tmp_path / "results"]
    assert cli.run([str(part) for part in command]) == 0
    (folder,) = store.find(tmp_path / "results")
    entry = store.read(folder)
    assert entry.signals.headline == entry.scorecard.headline_family == "responsibility@tiles4x32+swap"
    counts = suite.counts(TASK)[0]
    if counts.n_signals > counts.n_degenerate:
        assert entry.scorecard.known_answer == 1.0
    assert cli.run(["validate", str(folder), "--signals", str(suite.root)]) == 0
