"""ReX 0.4.1 on clips; run by the python of `peer.environment()`, where its old numpy lives.

    python -m tests.benchmarks.rex.runner CLIPS.npz MODEL OUT.json        (from the root of the repository)

Chockler, Kelly, Kroening, Sun, *Causal Explanations for Image Classifiers* (arXiv 2411.08875). The package
runs as it is, with the defaults of its `CausalArgs`, in mode `spectral`: its data is the spectrum of the
whole clip, (1, 1, N) complex128, masked by zeros. Two variants, from one responsibility map:

    shipped       location i of the ranking is applied as the bins [0, i), by `set_boolean_mask_value`
    index-fixed   location i is applied as bin i; that one function is replaced, nothing else

Conventions: the masked signal is that of `fft.keep`, the model that of `harness.models.classifiers`, one
thread. A query is one signal put through the model, a call one batch of them; the queries, calls and seconds
of a variant hold those of the whole clip and of the map, which both need. What is asked to judge the result
is not counted. Seconds are of the process (`process_time`) and of the wall.

CLIPS.npz holds `clip_ids` (str), `sample_rate_hz` (int) and, for each clip by its position, `waveform_<i>`
float32 (n,). OUT.json is described by `peer.Outcome`.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from rex_xai.explanation import explanation
from rex_xai.explanation.rex import calculate_responsibility, predict_target
from rex_xai.input.config import CausalArgs
from rex_xai.input.input_data import Data
from rex_xai.mutants.box import Box
from rex_xai.responsibility.prediction import Prediction, from_pytorch_tensor
from threadpoolctl import threadpool_limits

from harness.domains import fft
from harness.domains.masks import runs
from harness.models.loading import load
from harness.seeds import seed_of
from harness.types import MIN_MARGIN, Mask, ModelRef, Waveform

_PACKAGES = ("rex-xai", "numpy", "scipy", "torch", "transformers")


class Model(Protocol):
    """What `outcomes` needs of a model; `classifiers.Classifier` is one."""

    @property
    def ref(self) -> ModelRef:
        """Its name, of which the seed is made, and revision."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of its logits."""
        ...

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> NDArray[np.float32]:
        """(n_samples,) waveforms -> (n, n_classes)."""
        ...


class Listener:
    """ReX's prediction function: spectra in, predictions out, everything counted."""

    def __init__(self, classifier: Model, n_samples: int, sample_rate_hz: int) -> None:
        self.classifier = classifier
        self.n_samples = n_samples
        self.sample_rate_hz = sample_rate_hz
        self.queries = 0
        self.calls = 0

    def __call__(self, masked: torch.Tensor, target: Prediction | None = None) -> list[Prediction]:
        """(..., N) masked spectra -> as many predictions."""
        rows = masked.reshape(-1, masked.shape[-1]).numpy()
        if not len(rows):
            return []
        self.queries += len(rows)
        self.calls += 1
        everything = np.ones(rows.shape[-1], dtype=bool)
        kept = [fft.keep(row, everything, self.n_samples) for row in rows]
        logits = self.classifier.logits(kept, self.sample_rate_hz)
        return from_pytorch_tensor(torch.from_numpy(logits), target)  # type: ignore[no-any-return]

    def spent(self) -> dict[str, float]:
        """Everything so far; differences are what matters."""
        return {
            "queries": self.queries,
            "calls": self.calls,
            "cpu_seconds": time.process_time(),
            "wall_seconds": time.perf_counter(),
        }


def outcomes(classifier: Model, clip_id: str, waveform: Waveform, rate: int) -> dict[str, Any]:
    """Both variants on one clip."""
    X = fft.spectrum(waveform)
    args = CausalArgs()
    args.seed = seed_of("rex", classifier.ref.repo_id, clip_id) % 2**31
    args.progress_bar = False
    listener = Listener(classifier, len(waveform), rate)

    start = listener.spent()
    # As its command line prepares an array from a file, but complex instead of float32.
    data = Data(torch.from_numpy(X), (1, 1, len(X)), mode="spectral")
    data.data = data.generic_tab_preprocess()
    data.set_mask_value(args.mask_value)
    data.target = predict_target(data, args, listener)
    maps, stats = calculate_responsibility(data, args, listener)
    of_map = _since(start, listener.spent())
    mutants = stats["total_passing"] + stats["total_failing"]
    if of_map["queries"] != 1 + mutants:
        raise RuntimeError(f"ReX counts {mutants} mutants, the model heard {of_map['queries']} signals")

    variants = {}
    for name in ("shipped", "index-fixed"):
        start = listener.spent()
        mask = _extract(maps, listener, data, args, stats, index_fixed=name == "index-fixed")
        spent = _since(start, listener.spent())
        spent = {key: of_map[key] + spent[key] for key in spent}
        variants[name] = {**spent, **_judged(classifier, X, mask, len(waveform), rate)}
    silent = classifier.logits([np.zeros_like(waveform)], rate)[0]
    target = int(data.target.classification)
    responsibility = maps.get(target)
    return {
        "clip_id": clip_id,
        "seed": args.seed,
        "n_samples": len(waveform),
        "n_bins": len(X),
        "said": classifier.class_names[target],
        "degenerate": int(silent.argmax()) == target,
        "map": {**of_map, "distinct": 0 if responsibility is None else len(np.unique(responsibility))},
        "variants": variants,
    }


def _extract(
    maps: Any, listener: Listener, data: Data, args: CausalArgs, stats: Any, *, index_fixed: bool
) -> Mask | None:
    """(N,) what ReX's own extraction finds; None when it runs off the end of its ranking."""
    if maps.get(data.target.classification) is None:
        return None
    found = explanation.Explanation(maps, listener, data, args, stats)
    try:
        with _index_fixed() if index_fixed else nullcontext():
            found.extract()
    except IndexError:
        return None
    return np.asarray(found.sufficiency_mask.numpy().reshape(-1))


@contextmanager
def _index_fixed() -> Iterator[None]:
    """A ranked location (0, i) is set as bin i for the time being."""
    shipped = explanation.set_boolean_mask_value

    def fixed(tensor: torch.Tensor, mode: str, order: Any, coords: Any, val: bool = True) -> None:
        if isinstance(coords, Box):
            shipped(tensor, mode, order, coords, val)
        else:
            tensor[..., int(coords[1])] = val

    with mock.patch.object(explanation, "set_boolean_mask_value", fixed):
        yield


def _judged(classifier: Model, X: Any, mask: Mask | None, n_samples: int, rate: int) -> dict[str, Any]:
    """Whether the mask keeps the class of the whole clip."""
    if mask is None:
        return {"runs": None, "n_kept": None, "margin": None, "sufficient": False, "with_margin": False}
    whole = np.ones(len(X), dtype=bool)
    heard = fft.keep(X, np.stack([whole, mask]), n_samples)
    logits = classifier.logits(list(heard), rate)
    top = int(logits[0].argmax())
    margin = float(logits[1, top]) - float(np.delete(logits[1], top).max())
    return {
        "runs": runs(mask).tolist(),
        "n_kept": int(mask.sum()),
        "margin": margin,
        "sufficient": int(logits[1].argmax()) == top,
        "with_margin": margin >= MIN_MARGIN,
    }


def _since(start: dict[str, float], end: dict[str, float]) -> dict[str, float]:
    return {key: end[key] - start[key] for key in start}


def one_thread() -> None:
    """One thread from here on, and no log."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    logging.disable(logging.WARNING)


def write(out: Path, rate: int, clips: Sequence[dict[str, Any]], **of_model: str) -> None:
    """Write the outcomes of clips, with what they were made by."""
    defaults = vars(CausalArgs())
    record = {
        "versions": {name: version(name) for name in _PACKAGES},
        "threads": torch.get_num_threads(),
        **of_model,
        "sample_rate_hz": rate,
        "settings": {
            key: str(defaults[key])
            for key in (
                "iters",
                "tree_depth",
                "min_box_size",
                "chunk_size",
                "batch_size",
                "queue_len",
                "queue_style",
                "distribution",
                "responsibility_style",
                "mask_value",
            )
        },
        "clips": clips,
    }
    partial = out.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1))
    partial.replace(out)


def main() -> None:
    """Answer a file of clips."""
    parser = argparse.ArgumentParser(description="ReX 0.4.1, as shipped and with its index fixed.")
    for name in ("clips", "model", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    one_thread()
    classifier = load(str(args.model), device="cpu")
    with np.load(args.clips, allow_pickle=False) as stored:
        rate = int(stored["sample_rate_hz"])
        waveforms = [stored[f"waveform_{i}"] for i in range(len(stored["clip_ids"]))]
        # The first pass through a model pays for its workspaces.
        classifier.logits(waveforms[:1], rate)
        clips = [
            outcomes(classifier, str(clip_id), waveform, rate)
            for clip_id, waveform in zip(stored["clip_ids"], waveforms, strict=True)
        ]
    write(args.out, rate, clips, model=classifier.ref.repo_id, revision=classifier.ref.revision)


if __name__ == "__main__":
    main()
