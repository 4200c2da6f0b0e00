"""The published ReX as a peer of our searches: an environment of its own, and clips put to it.

ReX 0.4.1 (`rex-xai` on PyPI) pins numpy 1.26, which is too old for us; so it lies in a virtual environment in
the cache folder, made once, with what the model room needs at the versions of constraints.txt. That room
works under both numpys and gives the same logits, so that both sides put their questions to the same code.

    python -m tests.benchmarks.rex.peer MODEL SIGNALS TASK N      N clips, evenly from a signals folder

Conventions: queries are masked signals put through the model, counted where the model is; seconds are of one
process with one thread. See `runner` for what is run and what is counted, and `planted_runner` for
classifiers whose evidence was planted.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness.dataset.suites import load
from harness.domains.masks import from_runs
from harness.starter.paths import cache
from harness.types import Clip, Mask
from tests.helpers.planted_evidence import PlantedEvidence

ROOT = Path(__file__).parents[3]

_OURS = (
    *("torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "scipy"),
    *("soundfile", "soxr", "pydantic", "PyYAML", "threadpoolctl"),
)
"""What the model room needs; versions from constraints.txt."""


def _requirements() -> tuple[str, ...]:
    pinned = [line.strip() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    return ("rex-xai==0.4.1", *sorted(line for line in pinned if line.split("==")[0] in _OURS))


ENVIRONMENT = _requirements()
"""What pip is asked for."""

_FINISHED = "finished"


@dataclass(frozen=True, eq=False)
class Variant:
    """What one variant of ReX made of a clip."""

    queries: int
    """Masked signals put through the model: whole clip, responsibility map, extraction."""
    calls: int
    """Batches they were put in; ReX asks one at a time."""
    cpu_seconds: float
    """Of the process, for the same."""
    wall_seconds: float
    """Of the clock, for the same."""
    mask: Mask | None
    """(N,) kept bins; None where it found no sufficient set."""
    margin: float | None
    """Logit of the class of the whole clip minus the best other, on the masked signal."""
    sufficient: bool
    """That class is the argmax."""
    with_margin: bool
    """It leads by MIN_MARGIN or more."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What ReX made of a clip.

    In the runner's JSON: `versions`, `threads`, `model`, `revision`, `sample_rate_hz`, `settings` (some of
    CausalArgs) and `clips`, a list of {clip_id, seed, n_samples, n_bins, said, degenerate, map: {queries,
    calls, cpu_seconds, wall_seconds, distinct}, variants: {shipped, index-fixed: {queries, calls,
    cpu_seconds, wall_seconds, n_kept, margin, sufficient, with_margin, runs: [[first bin, number of bins],
    ...] or null}}}.
    """

    clip_id: str
    """Which clip."""
    seed: int
    """`CausalArgs.seed`; iteration i is seeded with this plus i."""
    n_bins: int
    """N."""
    said: str
    """Class of the whole clip, in the model's words."""
    degenerate: bool
    """Silence gets the same class."""
    map_queries: int
    """Queries of the whole clip and the map, which both variants share."""
    distinct: int
    """Different values in the responsibility map: all else are ties."""
    shipped: Variant
    """Location i applied as the bins [0, i)."""
    index_fixed: Variant
    """Location i applied as bin i."""


def is_made() -> bool:
    """Whether `environment` has only to look."""
    return (_folder() / _FINISHED).is_file()


def environment() -> Path:
    """The python of ReX's environment; made at the first call (a minute or so, about 1.7 GB)."""
    folder = _folder()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not is_made():
            venv.create(folder, clear=True, with_pip=True)
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
            subprocess.run([*pip, *ENVIRONMENT], check=True, stdout=sys.stderr)
            (folder / _FINISHED).write_text("\n".join(ENVIRONMENT) + "\n")
    return python


def _folder() -> Path:
    key = hashlib.sha256("\n".join(ENVIRONMENT).encode()).hexdigest()[:12]
    return cache() / f"rex-{key}"


def ask(model: Path, clips: Sequence[Clip]) -> list[Outcome]:
    """Both variants of ReX on clips, one after the other, in a process of its own.

    Args:
        model: folder of a model.
        clips: all at one rate, of any lengths.
    """
    return _run("runner", clips, {}, str(model.resolve()))


def ask_planted(clips: Sequence[Clip], classifiers: Sequence[PlantedEvidence]) -> list[Outcome]:
    """Both variants of ReX on clips, each with the classifier that was planted in it."""
    cues = {f"cues_{i}": each.cues for i, each in enumerate(classifiers)}
    return _run("planted_runner", clips, {"n_needed": [each.n_needed for each in classifiers], **cues})


def _run(module: str, clips: Sequence[Clip], arrays: dict[str, Any], *model: str) -> list[Outcome]:
    """The outcomes of a module of this folder, run in ReX's environment on clips and what belongs to them."""
    (rate,) = {clip.sample_rate_hz for clip in clips}
    with tempfile.TemporaryDirectory() as folder:
        stored, out = Path(folder) / "clips.npz", Path(folder) / "out.json"
        arrays = arrays | {f"waveform_{i}": clip.waveform for i, clip in enumerate(clips)}
        np.savez(stored, clip_ids=[clip.clip_id for clip in clips], sample_rate_hz=rate, **arrays)
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        done = subprocess.run(
            [environment(), "-m", f"tests.benchmarks.rex.{module}", stored, *model, out],
            cwd=ROOT,
            env={**os.environ, **threads, "TQDM_DISABLE": "1", "MPLBACKEND": "agg"},
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"ReX ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return [_outcome(fields) for fields in json.loads(out.read_text())["clips"]]


def _outcome(fields: dict[str, Any]) -> Outcome:
    return Outcome(
        clip_id=fields["clip_id"],
        seed=fields["seed"],
        n_bins=fields["n_bins"],
        said=fields["said"],
        degenerate=fields["degenerate"],
        map_queries=fields["map"]["queries"],
        distinct=fields["map"]["distinct"],
        shipped=_variant(fields["variants"]["shipped"], fields["n_bins"]),
        index_fixed=_variant(fields["variants"]["index-fixed"], fields["n_bins"]),
    )


def _variant(fields: dict[str, Any], n_bins: int) -> Variant:
    runs = fields["runs"]
    return Variant(
        queries=fields["queries"],
        calls=fields["calls"],
        cpu_seconds=fields["cpu_seconds"],
        wall_seconds=fields["wall_seconds"],
        mask=None if runs is None else from_runs(np.array(runs, dtype=np.int64), n_bins),
        margin=fields["margin"],
        sufficient=fields["sufficient"],
        with_margin=fields["with_margin"],
    )


def main() -> None:
    """Show ReX on some clips of a signals folder."""
    model, signals, task, n_clips = sys.argv[1:]
    clips = list(load(signals).clips(task).values())
    chosen = [clips[i] for i in np.linspace(0, len(clips) - 1, int(n_clips)).astype(int)]
    print("clip\tdegenerate\tvariant\tqueries\tCPU s\tkept %\tmargin\tsufficient")
    for outcome in ask(Path(model), chosen):
        for name, variant in (("shipped", outcome.shipped), ("index-fixed", outcome.index_fixed)):
            kept = "-" if variant.mask is None else f"{100 * variant.mask.mean():.2f}"
            lead = "-" if variant.margin is None else f"{variant.margin:.3f}"
            print(
                f"{outcome.clip_id}\t{outcome.degenerate}\t{name}\t{variant.queries}"
                f"\t{variant.cpu_seconds:.2f}\t{kept}\t{lead}\t{variant.sufficient}"
            )


if __name__ == "__main__":
    main()
