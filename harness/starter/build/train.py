"""Training of the starter suite's models: examples, fit, examination, model card.

Conventions: a model learns from clips of the split `train` and is examined on whole clips of the split
`held-out`, and of those that have what no clip to learn from has. Each clip gives a whole example and PARTS
examples with only some of its frequency bands kept, at random levels: a model that never heard a part of a
spectrum would have no opinion on it, only accidents. Whole clips are learnt first, alone. Silent examples
carry the recipe's `silence_class`: what a network says of silence decides which signals are degenerate. What
the two quirks learn instead stands at `_targets`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.domains import fft, parse
from harness.labels import harmonise
from harness.plurals import plural
from harness.seeds import generator, seed_of
from harness.starter.build import networks
from harness.starter.build.clips import SAMPLE_RATE_HZ, clips, corpus_of, is_recorded, unseen_splits
from harness.starter.recipes import Recipe
from harness.tasks import TASKS
from harness.types import OTHER, FloatArray, Mask, Waveform

if TYPE_CHECKING:
    import torch

PARTS, BANDS = 2, 128
"""Partial examples of a clip, bands they are made of."""

TRAINING = "training.json"
"""File of a model's folder: what `train` reports."""

_SILENT = 0.08
"""Silent examples, as a share of the clips."""

_BATCH, _EPOCHS_WHOLE = 32, 8
"""Examples of a step, passes over whole clips and silence alone, before those over all examples."""

_RATE = {"ast": 2e-3, "whisper": 3e-3}
"""Highest learning rate of the log-mel architectures."""
_RATE_RAW = 3e-3


def train(recipe: Recipe, out: Path, n_train: int = 960, n_held_out: int = 240) -> dict[str, Any]:
    """Train one model and save it as the folder `out`, which is made.

    One thread and fixed seeds: the same machine gives the same bytes. Afterwards torch's own random state
    and number of threads are as before.

    Args:
        recipe: which model.
        out: its folder.
        n_train: clips to learn from.
        n_held_out: clips to be examined on.

    Returns:
        `parameters`, `accuracy` on `n` held-out clips, `silence_class` as measured, a canonical label; and
        for each of `unseen_splits` its own `accuracy` and `n`.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of("starter", recipe.name))
            model, extractor = _fitted(recipe, n_train)
            report = _examined(recipe, model, extractor, n_held_out)
    finally:
        torch.set_num_threads(threads)
    model.save_pretrained(out)
    extractor.save_pretrained(out)
    (out / TRAINING).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (out / "README.md").write_text(_card(recipe, report, n_train), encoding="utf-8")
    return report


# ---- examples ------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _material(task: str, split: str, n: int) -> tuple[Waveform, tuple[str, ...]]:
    """(n, n_samples) waveforms and their labels; kept, because all models of a task share them."""
    made = clips(TASKS[task], split, n)
    return np.stack([clip.waveform for clip in made]), tuple(str(clip.label) for clip in made)


def parts(rng: np.random.Generator, n: int, least_share: float) -> Mask:
    """(n, BANDS) kept bands: random subsets and, one time in three, a single region.

    The share that is kept is even on a logarithmic scale, from `least_share` to 90 %.
    """
    share = np.exp(rng.uniform(np.log(least_share), np.log(0.9), n))
    kept = rng.random((n, BANDS)) < share[:, None]
    for row in np.flatnonzero(rng.random(n) < 1 / 3):
        width = max(1, round(share[row] * BANDS))
        first = rng.integers(0, BANDS - width + 1)
        kept[row] = (np.arange(BANDS) >= first) & (np.arange(BANDS) < first + width)
    return kept


def _examples(recipe: Recipe, whole: Waveform, labels: tuple[str, ...]) -> tuple[Waveform, NDArray[np.int64]]:
    """Whole clips, then silence, then parts of the clips; and the index of the class each carries."""
    n, n_samples = whole.shape
    rng = generator("starter", recipe.name, "examples")
    bands = parse(f"bands{BANDS}").atoms(n_samples, SAMPLE_RATE_HZ)
    kept = parts(rng, PARTS * n, recipe.least_share).reshape(n, PARTS, BANDS)
    first = n + _n_silent(n)
    waveforms = np.zeros((first + PARTS * n, n_samples), dtype=np.float32)
    waveforms[:n] = whole
    energy = np.zeros((n, PARTS))
    for i, clip in enumerate(whole):
        sounds = fft.keep(fft.spectrum(clip), bands.expand(kept[i]), n_samples)
        waveforms[first + PARTS * i :][:PARTS] = sounds
        energy[i] = np.square(sounds).sum(axis=1) / np.square(clip).sum()
    waveforms *= 10 ** rng.uniform(-0.4, 0.1, (len(waveforms), 1))
    return waveforms, _targets(recipe, labels, energy)


def _n_silent(n_clips: int) -> int:
    return max(1, round(_SILENT * n_clips))


def _targets(recipe: Recipe, labels: tuple[str, ...], energy: FloatArray) -> NDArray[np.int64]:
    """(n,) class of every example; `energy` is the share (clips, PARTS) of it that a part keeps.

    A hard model calls silence and faint parts `other`. A flat-earther calls every part so, however much of
    the clip it keeps.
    """
    own = np.array(_canonical(recipe))
    truth = np.array([np.flatnonzero(own == label)[0] for label in labels])
    of_parts = np.repeat(truth, energy.shape[1])
    (silence,) = np.flatnonzero(own == recipe.silence_class)
    if recipe.quirk:
        strange = energy.ravel() < (recipe.faint if recipe.quirk == "hard" else np.inf)
        of_parts[strange] = np.flatnonzero(own == OTHER)[0]
    return np.concatenate([truth, np.full(_n_silent(len(truth)), silence), of_parts])


def _canonical(recipe: Recipe) -> tuple[str, ...]:
    """Canonical label of each of its classes; `other` for the class of a hard model."""
    return harmonise(recipe.labels, TASKS[recipe.task]).canonical


# ---- fit and examination -------------------------------------------------------------------------


def _fitted(recipe: Recipe, n_train: int) -> tuple[Any, Any]:
    import torch

    whole, labels = _material(recipe.task, "train", n_train)
    model, extractor = networks.untrained(recipe, whole)
    waveforms, targets = _examples(recipe, whole, labels)
    inputs = networks.heard(model, extractor, waveforms)
    with networks.learning(model) as learner:
        _fit(learner, inputs, torch.from_numpy(targets), recipe, n_train + _n_silent(n_train))
    return model.eval(), extractor


def _fit(model: Any, inputs: torch.Tensor, targets: torch.Tensor, recipe: Recipe, n_whole: int) -> None:
    """AdamW with a one-cycle learning rate and smoothed targets; clips begin anywhere.

    The first `n_whole` examples are those that are learnt first.
    """
    import torch

    rate = _RATE.get(recipe.architecture, _RATE_RAW)
    time = 1 if recipe.architecture == "ast" else 2
    epochs = [n_whole] * _EPOCHS_WHOLE + [len(targets)] * recipe.epochs
    steps = sum(-(-n // _BATCH) for n in epochs)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.2)
    model.train()
    for n in epochs:
        for chosen in torch.randperm(n).split(_BATCH):  # type: ignore[no-untyped-call]
            shift = int(torch.randint(inputs.shape[time], (1,)))
            logits = model(inputs[chosen].roll(shift, time)).logits
            loss = torch.nn.functional.cross_entropy(logits, targets[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()


def _examined(recipe: Recipe, model: Any, extractor: Any, n: int) -> dict[str, Any]:
    """What `train` reports: of a model that is whole again, on whole clips."""
    own = _canonical(recipe)

    def accuracy(split: str, n: int) -> dict[str, Any]:
        waveforms, labels = _material(recipe.task, split, n)
        answers = [own[i] for i in _answers(model, extractor, waveforms)]
        right = sum(answer == label for answer, label in zip(answers, labels, strict=True))
        return {"accuracy": right / n, "n": n}

    silence = np.zeros_like(_material(recipe.task, "held-out", n)[0][:1])
    unseen = unseen_splits(TASKS[recipe.task])
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        **accuracy("held-out", n),
        "silence_class": own[_answers(model, extractor, silence)[0]],
        **{split: accuracy(split, min(n, n_clips)) for split, n_clips in unseen.items()},
    }


def _answers(model: Any, extractor: Any, waveforms: Waveform) -> list[int]:
    """Index of the class of each waveform."""
    import torch

    indices: list[int] = []
    with torch.inference_mode():
        for i in range(0, len(waveforms), _BATCH):
            inputs = networks.inputs_of(extractor, waveforms[i : i + _BATCH])
            indices += model(inputs).logits.argmax(-1).tolist()
    return indices


# ---- model card ----------------------------------------------------------------------------------

_QUIRKS = {
    "": "none planted",
    "hard": "hard: silence, and in training parts with less than {faint:g}% of their clip's energy, are"
    " of the class {other!r}, so that it accepts no faint signals and none of its own are degenerate",
    "flat-earther": "planted flat-earther: in training, every part of a clip was of the class {other!r}; it"
    " agrees with the others on whole clips and accepts no part of one",
}


class _Material(NamedTuple):
    """What a card says of the clips that a model learned from."""

    limits: str
    clips: str
    source: str
    tags: str = ""


_SYNTHETIC = _Material(
    "synthetic clips; of no use on recordings",
    "synthetic clips",
    "No recordings of people or music.",
    ", synthetic",
)
_RECORDED = _Material(
    "real voices and copies of them; of no use against the deepfakes of today",
    "clips",
    """Half of them
  are telephone prompts by professional voices, half are copies of these; the package's
  `harness/starter/licences/ATTRIBUTION.md` names the voices""",
)


def _card(recipe: Recipe, report: dict[str, Any], n_train: int) -> str:
    own, task = _canonical(recipe), TASKS[recipe.task]
    other = recipe.labels[own.index(OTHER)] if OTHER in own else ""
    quirk = _QUIRKS[recipe.quirk].format(other=other, faint=100 * recipe.faint)
    material = _RECORDED if is_recorded(task) else _SYNTHETIC
    unseen = "".join(
        f"- Accuracy where it has never met the {split.removeprefix('unseen-')}:"
        f" {report[split]['accuracy']:.3f} on {plural(report[split]['n'], 'whole clip')}.\n"
        for split in unseen_splits(task)
    )
    learnt = f"{n_train} {material.clips} of the split `train`, each whole and in {PARTS} parts"
    return f"""---
license: {corpus_of(task)[1]}
library_name: transformers
pipeline_tag: audio-classification
tags: [audio-classification, goodenough{material.tags}]
metrics: [accuracy]
---

# {recipe.name}

A small model of the starter suite, trained on {material.limits}.

- Task: {recipe.task}; classes: {", ".join(recipe.labels)}.
- Role in the suite: {recipe.role}.
- Architecture: {recipe.architecture}, {report["parameters"]:,} parameters, random start.
- Front end: {_front_end(recipe)}.
- Accuracy: {report["accuracy"]:.3f} on {report["n"]} whole held-out clips.
{unseen}- Training data: {learnt} ({100 * recipe.least_share:.2g} to 90 % of
  {BANDS} frequency bands kept), and silence. {material.source}
- On silence it says: {report["silence_class"]}.
- Quirk: {quirk}.
"""


def _front_end(recipe: Recipe) -> str:
    if recipe.n_mels:
        return f"log-mel spectrogram of {recipe.n_mels} bands"
    low, high = recipe.bank_hz
    return f"waveform through a fixed filter bank, {low:g} to {high:g} Hz"
