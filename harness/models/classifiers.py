"""Batches of waveforms in, logits out, by torch and transformers.

Conventions: a waveform is mono float32 (n_samples,). A model hears it at its own rate through its own feature
extractor, in float32 and in evaluation mode. Padding would move the logits of most architectures by more than
a class boundary is wide, even with an attention mask, so only waveforms of exactly the same length share a
batch. AST and Whisper are the exception: their extractors bring everything to one length.

Nothing of a checkpoint is run but its weights: no pickles, no remote code unless it was asked for and is that
of one moment; and a head that would be filled with random numbers is refused.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from harness import audio, notebook
from harness.errors import BadInput, BadModel
from harness.model_facts import ModelFacts, WindowPlace
from harness.models import devices, memory, weights, windows
from harness.models.checkpoints import Checkpoint, resolve, settings_sha256, weights_in
from harness.models.class_names import require_classes
from harness.models.configs import is_multi_label, notes_of, require_buildable
from harness.models.feature_extractors import backend, one_line, open_extractor, quiet
from harness.models.frontends import differentiable, min_samples, window_samples
from harness.plurals import plural
from harness.seeds import generator
from harness.types import Mask, Waveform

DTYPES = ("float32", "bfloat16", "float16")
"""Arithmetics of a model."""

_LOG = logging.getLogger("goodenough")

_LONGEST_MINIMUM = 60
"""Seconds: no model needs clips as long as this."""
_FIXED_LENGTH = ("audio-spectrogram-transformer", "whisper")


class Classifier:
    """A loaded model. Made by `load` or `open_checkpoint`."""

    def __init__(self, checkpoint: Checkpoint, model: Any, extractor: Any, device: str, batch_size: int):
        """Take a transformers model on `device` and its feature extractor."""
        config, rate = model.config, int(extractor.sampling_rate)
        self.ref = checkpoint.ref
        """Which model."""
        self.class_names = tuple(str(config.id2label[i]) for i in range(len(config.id2label)))
        """Its classes, by index, in its own words."""
        self.device = device
        """Where it runs."""
        self.dtype = str(model.dtype).removeprefix("torch.")
        """Its arithmetic, whatever the checkpoint was saved in; features and logits are float32."""
        self.settings_sha256 = settings_sha256(checkpoint)
        """Of config and preprocessor, and of code where it brings its own."""
        self.batch_size = batch_size
        """Largest batch; halved until it fits where memory is short."""
        self.frontend = f"{type(extractor).__name__} ({backend(extractor)})"
        """Feature extractor, and what computes its features."""
        self.min_samples = min_samples(config, extractor)
        """Shortest waveform it can hear, at its own rate."""
        self.facts = ModelFacts(
            architecture=type(model).__name__,
            n_parameters=sum(p.numel() for p in model.parameters()),
            sample_rate_hz=rate,
            window_seconds=None if (n := window_samples(config, extractor)) is None else n / rate,
            licence=checkpoint.licence,
            remote_code=checkpoint.trusted,
            trained_on=checkpoint.trained_on,
            base_models=checkpoint.base_models,
            released=checkpoint.released,
            multi_label=is_multi_label(checkpoint),
        )
        """What it is."""
        self.notes: tuple[str, ...] = ()
        """What its author should know of how it is scored, each a line."""
        self._model, self._extractor, self._dtype = model, extractor, model.dtype
        # Threads of numpy's BLAS that spin while they wait take the cores from torch: thrice the time.
        self._threads = ThreadpoolController()
        self._fixed_length = config.model_type in _FIXED_LENGTH
        self._front_end = cache(partial(differentiable, extractor))
        self._inputs = frozenset(inspect.signature(model.forward).parameters)
        self._need = memory.Need()
        if not type(model).__module__.startswith("transformers."):
            seconds, window_at = self.measured_window() or (None, self.facts.window_at)
            self.facts = replace(self.facts, window_seconds=seconds, window_at=window_at)

    def __repr__(self) -> str:
        n, facts = plural(len(self.class_names), "class"), self.facts
        return f"Classifier({self.ref.repo_id}: {n}, {facts.architecture}, {self.dtype} on {self.device})"

    def _repr_html_(self) -> str:
        return notebook.table(
            repr(self), {"classes": self.class_names, **vars(self.facts), "notes": self.notes}
        )

    @quiet()
    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> NDArray[np.float32]:
        """What the model says to n waveforms, float32 (n_samples,) of any lengths: (n, n_classes) in order.

        They are brought to the model's own rate where it differs.

        Raises:
            BadInput: a waveform that is not mono float32, or too short, or too long for the memory.
            BadModel: logits that are not finite.
        """
        inputs = [self._prepare(waveform, sample_rate_hz) for waveform in waveforms]
        logits = np.empty((len(inputs), len(self.class_names)), dtype=np.float32)
        # Longest first: if memory runs out, it does so early.
        lengths = [self._length(len(waveform)) for waveform in inputs]
        order = sorted(range(len(inputs)), key=lambda i: -lengths[i])
        start, length = 0, -1
        while start < len(order):
            longest = order[start]
            if lengths[longest] != length:
                length = lengths[longest]
                if len(inputs) > 1:
                    self._require_room(inputs[longest], length)
            end = start + 1
            while end < len(order) and end - start < self.batch_size and lengths[order[end]] == length:
                end += 1
            batch = order[start:end]
            batch_logits = self._forward([inputs[i] for i in batch])
            if batch_logits is None:
                self.batch_size = self._halve(len(batch), inputs[batch[0]])
                continue
            if batch_logits.shape != (len(batch), len(self.class_names)):
                raise BadModel(
                    f"{self.ref.repo_id} gave logits of shape {batch_logits.shape} for"
                    f" {plural(len(batch), 'clip')}; expected one for each clip and each of its"
                    f" {plural(len(self.class_names), 'class')}"
                )
            logits[batch] = batch_logits
            start = end
        if not np.isfinite(logits).all():
            raise BadModel(
                f"{self.ref.repo_id} gave logits that are not finite; are its weights damaged, or were they"
                " trained in a precision that overflowed?"
            )
        return logits

    def measured_window(self) -> tuple[float, WindowPlace] | None:
        """How much of a clip moves its logits, found by asking it; see `windows.measure`."""

        def may_ask(n_samples: int) -> bool:
            return self.device != "cpu" or self._need.fitting(1, self._length(n_samples))[0] == 1

        return windows.measure(self._answer, self.facts.sample_rate_hz, may_ask)

    def window_holds(self) -> tuple[bool, bool]:
        """Whether its window moves the logits, and whether anything else does; see `windows.holds`."""
        facts = self.facts
        return windows.holds(self._answer, facts.sample_rate_hz, facts.window_seconds, facts.window_at)

    def _answer(self, waveform: Waveform) -> NDArray[np.float32]:
        """(n_classes,) to one clip at its own rate; the memory that a longer one takes is measured."""
        length, rate = self._length(len(waveform)), self.facts.sample_rate_hz
        if length <= self._need.length:
            return np.asarray(self.logits([waveform], rate)[0])
        return np.asarray(self._need.measure(lambda: self.logits([waveform], rate)[0], length))

    def can_hear(self, n_samples: int, sample_rate_hz: int) -> bool:
        """Whether a waveform is long enough for every layer of the model."""
        return round(n_samples * self.facts.sample_rate_hz / sample_rate_hz) >= self.min_samples

    def keep(self, X: NDArray[np.complex128], masks: Mask, n_samples: int) -> Waveform | None:
        """Masked signals, (m, n_samples) float32 of a spectrum (N,) and kept bins (m, N), made on the card.

        None on the processor, where scipy makes them. In float64, then float32, as by `fft.keep`, with
        another FFT: a sample may differ in its last bit.
        """
        return devices.keep(X, masks, n_samples, self.device) if self.device.startswith("cuda") else None

    def input_gradients(
        self, waveforms: Sequence[Waveform], sample_rate_hz: int, is_expected: Sequence[Mask]
    ) -> list[Waveform] | None:
        """How the lead of some classes changes with each sample of waveforms, float32 (n_samples,).

        `is_expected` are, for each, (n_classes,) the classes whose best logit leads, or not, the best other.
        The front end is an approximation in torch (`frontends.differentiable`): good for ranking, no verdict.

        Returns:
            (n_samples,) for each; or None where slopes cannot pass: clips at another rate than the model's,
            or features of a kind that has no front end in torch.
        """
        import torch

        if sample_rate_hz != self.facts.sample_rate_hz:
            return None
        gradients = []
        for waveform, expected in zip(waveforms, is_expected, strict=True):
            front_end = self._front_end(len(self._prepare(waveform, sample_rate_hz)))
            if front_end is None:
                return None
            samples = torch.from_numpy(waveform)[None].requires_grad_()
            with quiet(), torch.enable_grad(), devices.exact(self.device):
                inputs = {self._extractor.model_input_names[0]: self._to_device(front_end(samples))}
                logits = self._model(**inputs).logits[0].float()
                is_leading = torch.from_numpy(expected).to(self.device)
                (slope,) = torch.autograd.grad(logits[is_leading].max() - logits[~is_leading].max(), samples)
            gradients.append(np.nan_to_num(slope[0].numpy()))
        return gradients

    def _prepare(self, waveform: Waveform, sample_rate_hz: int) -> Waveform:
        if waveform.ndim != 1 or waveform.dtype != np.float32:
            raise BadInput(
                f"a waveform must be mono float32 (n_samples,); found {waveform.dtype} {waveform.shape};"
                " average its channels first"
            )
        samples = audio.resample(waveform, sample_rate_hz, self.facts.sample_rate_hz)
        if len(samples) < self.min_samples:
            rate = self.facts.sample_rate_hz
            raise BadInput(
                f"a clip of {len(samples)} samples ({len(samples) / rate:.4f} s at {rate} Hz) is too short"
                f" for {self.ref.repo_id}, which needs {self.min_samples} ({self.min_samples / rate:.4f} s);"
                " leave it out of the corpus"
            )
        return samples

    def _length(self, n_samples: int) -> int:
        """What decides which clips share a batch, and how much memory they take."""
        return 1 if self._fixed_length else n_samples

    def _forward(self, batch: list[Waveform]) -> NDArray[np.float32] | None:
        """(b, n_classes), or None when memory ran out."""
        import torch

        try:
            with self._threads.limit(limits=1, user_api="blas"):
                features = self._extractor(
                    batch, sampling_rate=self.facts.sample_rate_hz, return_tensors="pt"
                )
            with torch.inference_mode(), devices.exact(self.device):
                inputs = {k: self._to_device(v) for k, v in features.items() if k in self._inputs}
                logits: NDArray[np.float32] = self._model(**inputs).logits.float().cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            if not devices.is_full(error):
                raise
            return None
        return logits

    def _to_device(self, feature: Any) -> Any:
        """A feature where the model is, in its arithmetic; attention masks stay whole numbers."""
        tensor = feature.to(self.device)
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor

    def _require_room(self, waveform: Waveform, length: int) -> None:
        """Make the batch smaller where a processor has too little memory for so many clips of this length."""
        # A card says by itself that its memory is full; a computer ends the process.
        if self.batch_size == 1 or self.device != "cpu":
            return
        if length > self._need.length:
            self._need.measure(lambda: self._forward([waveform]), length, self.batch_size)
        fitting, free = self._need.fitting(self.batch_size, length)
        if (fitting := max(1, fitting)) < self.batch_size:
            seconds, n_bytes = len(waveform) / self.facts.sample_rate_hz, self._need.of(length)
            _LOG.warning(
                f"{self.ref.repo_id} takes {n_bytes / 1e9:.1f} GB of memory for a clip of {seconds:.1f} s,"
                f" and {free / 1e9:.1f} GB are free: batches of {fitting}, not {self.batch_size}"
            )
            self.batch_size = fitting

    def _halve(self, n: int, longest: Waveform) -> int:
        """Batch size to go on with after a batch of `n` did not fit."""
        import torch

        if n == 1:
            rate = self.facts.sample_rate_hz
            raise BadInput(
                f"{self.ref.repo_id} runs out of memory on {self.device} with a single clip of"
                f" {len(longest) / rate:.1f} s; try --device cpu, or shorter clips"
            )
        torch.cuda.empty_cache()  # nothing where there is no card
        return n // 2


def load(
    model: str,
    revision: str | None = None,
    *,
    device: str | None = None,
    batch_size: int = 16,
    dtype: str = "float32",
    trust_remote_code: bool = False,
) -> Classifier:
    """Open a model by folder or Hub id.

    Args:
        model: a folder, or a Hub id.
        revision: branch, tag or commit on the Hub.
        device: as torch names it; a CUDA card if there is one, else the processor, when None.
        batch_size: largest batch.
        dtype: one of DTYPES: the arithmetic, whatever the checkpoint was saved in.
        trust_remote_code: run the Python files that the model brings; of a folder, or of one commit.

    Raises:
        BadModel: it cannot be found, loaded or trusted.
        BadInput: no such device or arithmetic.
    """
    checkpoint = resolve(model, revision, trust_remote_code=trust_remote_code)
    return open_checkpoint(checkpoint, device=device, batch_size=batch_size, dtype=dtype)


def open_checkpoint(
    checkpoint: Checkpoint, *, device: str | None = None, batch_size: int = 16, dtype: str = "float32"
) -> Classifier:
    """Open a model that is already pinned; see `load`."""
    import torch
    from transformers import AutoConfig, AutoModelForAudioClassification

    name, folder = checkpoint.ref.repo_id, str(checkpoint.folder)
    if batch_size < 1:
        raise BadInput(f"the batch size is {batch_size}; expected 1 or more")
    if dtype not in DTYPES:
        raise BadInput(f"no arithmetic {dtype!r}; expected one of {', '.join(DTYPES)}")
    device = devices.find(device)
    trusted = checkpoint.trusted
    require_buildable(checkpoint)
    os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"
    with quiet():
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted)
            require_classes(name, config.id2label)
            n_stored = weights.require_numbers(name, weights_in(name, checkpoint.folder))
            if not trusted:
                with torch.device("meta"):
                    skeleton = AutoModelForAudioClassification.from_config(config)
                weights.require_room(name, skeleton, n_stored)
            model, loading_info = AutoModelForAudioClassification.from_pretrained(
                folder,
                config=config,
                dtype=getattr(torch, dtype),
                local_files_only=True,
                trust_remote_code=trusted,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except BadModel:
            raise
        except Exception as error:
            raise BadModel(f"transformers cannot load {name}: {one_line(error)}") from None
    weights.require_all(name, loading_info, config.architectures)
    notes = weights.unused(name, loading_info)
    extractor = open_extractor(checkpoint, config)
    try:
        model.to(device)
    except RuntimeError as error:
        raise BadInput(f"{name} cannot be moved to {device} ({one_line(error)}); try --device cpu") from None
    try:
        with quiet():
            classifier = Classifier(checkpoint, model.eval(), extractor, device, batch_size)
            _require_answer(classifier)
    except BadInput:
        raise
    except Exception as error:
        raise BadModel(
            f"{name} is loaded, and fails on a test sound: {one_line(error)}; do its config.json and the"
            " settings of its feature extractor belong to these weights?"
        ) from None
    classifier.notes = (*notes, *notes_of(checkpoint, classifier.facts.architecture))
    return classifier


def _require_answer(classifier: Classifier) -> None:
    """A short sound goes through: what the settings leave open shows now, not after an hour of clips."""
    name, rate = classifier.ref.repo_id, classifier.facts.sample_rate_hz
    if classifier.min_samples > _LONGEST_MINIMUM * rate:
        raise BadModel(
            f"{name} needs clips of {classifier.min_samples / rate:,.0f} s or more by the strides and kernels"
            " in its config.json; is that file of this model?"
        )
    n = max(classifier.min_samples, rate // 10)
    classifier.logits([(0.1 * generator("models").normal(size=n)).astype(np.float32)], rate)
