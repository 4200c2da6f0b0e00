"""Heads of transformers: models of AutoModelForAudioClassification, opened from a pinned folder.

A waveform goes through the model's own feature extractor, in float32, and through its network in evaluation
mode. Nothing of a checkpoint is run but its weights: no pickles, no remote code unless it was asked for and
is that of one moment; and a head that would be filled with random numbers is refused.
"""

from __future__ import annotations

import inspect
import os
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from harness.errors import BadInput, BadModel
from harness.model_facts import ModelFacts
from harness.models import devices, weights
from harness.models.checkpoints import Checkpoint, settings_sha256, weights_in
from harness.models.class_names import require_classes
from harness.models.classifiers import COMPILED_BY, DTYPES, Classifier, require_answer
from harness.models.configs import is_multi_label, notes_of, require_buildable
from harness.models.device_features import TorchFeatures, differentiable, in_torch
from harness.models.feature_extractors import backend, one_line, open_extractor, quiet
from harness.models.frontends import min_samples, window_samples
from harness.models.probes import probes
from harness.types import PROOF_TOLERANCE, Mask, Waveform

_FIXED_LENGTH = ("audio-spectrogram-transformer", "whisper")
"""Architectures whose extractors bring everything to one length."""

_CLIPS_IN_CACHE = 16
"""Clips of which Whisper's frames are made at a time: 32 go through main memory, in twice the time."""


class Head(Classifier):
    """A model of AutoModelForAudioClassification and its feature extractor."""

    def __init__(self, checkpoint: Checkpoint, model: Any, extractor: Any, device: str, batch_size: int):
        """Take a transformers model on `device` and its feature extractor."""
        import torch

        config, rate = model.config, int(extractor.sampling_rate)
        facts = ModelFacts(
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
        super().__init__(
            checkpoint.ref,
            [str(config.id2label[i]) for i in range(len(config.id2label))],
            facts,
            device=device,
            dtype=str(model.dtype).removeprefix("torch."),
            settings_sha256=settings_sha256(checkpoint),
            batch_size=batch_size,
            frontend=_name(extractor),
            min_samples=min_samples(config, extractor),
            fixed_length=config.model_type in _FIXED_LENGTH,
        )
        kind = type(extractor).__name__
        # A card works by itself; on a processor it pays where torch leaves a core, and else costs a tenth,
        # as it does everywhere with raw waves, of which there is little to make.
        has_core = torch.get_num_threads() < (os.cpu_count() or 1)
        self._works_ahead = device != "cpu" or (has_core and kind != "Wav2Vec2FeatureExtractor")
        self._clips_at_once = _CLIPS_IN_CACHE if kind == "WhisperFeatureExtractor" else None
        self._model, self._extractor, self._dtype = model, extractor, model.dtype
        self._eager = model
        self._torch_features: TorchFeatures | None = None
        # Threads of numpy's BLAS that spin while they wait take the cores from torch: thrice the time.
        self._threads = ThreadpoolController()
        self._front_end = cache(partial(differentiable, extractor))
        self._inputs = frozenset(inspect.signature(model.forward).parameters)
        if not type(model).__module__.startswith("transformers."):
            self.measure_window()

    @property
    def has_torch_features(self) -> bool:
        """Whether features are computed in torch where the model is, and not by its feature extractor."""
        return self._torch_features is not None

    def use_torch_features(self) -> bool:
        """Compute features in torch on the device, where its logits are the same; whether they are.

        Where they are not, or there is no such front end, the feature extractor goes on as before.
        `open_checkpoint` does this on a CUDA card.
        """
        features = in_torch(self._extractor, self.device)
        if features is None:
            return False
        self._torch_features, self.frontend = features, self._torch_name
        return self.check_features(probes(self.facts, self.min_samples), self.facts.sample_rate_hz)

    def check_features(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> bool:
        """Compare features in torch with those of the extractor; give them up where a logit or class differs.

        Args:
            waveforms: (n_samples,) float32 each.
            sample_rate_hz: theirs.

        Returns:
            Whether features are computed in torch from here on.
        """
        features = self._torch_features
        if features is None:
            return False
        logits, frontend = self.logits(waveforms, sample_rate_hz), self.frontend
        self.use_extractor()
        expected = self.logits(waveforms, sample_rate_hz)
        is_close = np.abs(logits - expected).max() <= PROOF_TOLERANCE[self.dtype]
        if is_close and np.array_equal(logits.argmax(axis=1), expected.argmax(axis=1)):
            self._torch_features, self.frontend = features, frontend
        return self.has_torch_features

    def use_extractor(self) -> None:
        """Compute features by the feature extractor, as it is by default but on a CUDA card."""
        self._torch_features = None
        self.frontend = self.frontend.replace(self._torch_name, _name(self._extractor))

    @property
    def _torch_name(self) -> str:
        return f"{type(self._extractor).__name__} (torch on {self.device.split(':')[0]})"

    def compile(self, backend: str) -> None:
        """Compile the forward pass by torch.compile; what that moves goes into the notes and the front end.

        Raises:
            BadInput: it cannot be compiled here, or gives another class to a short sound.
        """
        import torch

        sounds, rate = probes(self.facts, self.min_samples), self.facts.sample_rate_hz
        expected = self.logits(sounds, rate)
        self._model = torch.compile(self._eager, backend=backend)
        try:
            with quiet():
                logits = self.logits(sounds, rate)
        except Exception as error:
            raise BadInput(
                f"{self.ref.repo_id} cannot be compiled here ({one_line(error)}); leave --compile out"
            ) from None
        difference = float(np.abs(logits - expected).max())
        if (
            difference > PROOF_TOLERANCE[self.dtype]
            or (logits.argmax(axis=1) != expected.argmax(axis=1)).any()
        ):
            raise BadInput(
                f"{self.ref.repo_id} gives other answers once compiled: a logit moves by {difference:.2g};"
                " leave --compile out"
            )
        self.frontend += COMPILED_BY + backend
        self.notes += (f"compiled by {backend}: a logit of a test sound moves by {difference:.2g} at most",)

    def keep(self, X: NDArray[np.complex128], masks: Mask, n_samples: int) -> Any:
        """Masked signals, (m, n_samples) float32 of a spectrum (N,) and kept bins (m, N), made on the card.

        They stay there where features are computed there, too. None on the processor, where scipy makes
        them. In float64, then float32, as by `fft.keep`, with another FFT: a sample may differ in its last
        bit.
        """
        if self._torch_features is not None:
            return devices.keep(X, masks, n_samples, self.device)
        if self.device.startswith("cuda"):
            return devices.keep(X, masks, n_samples, self.device).cpu().numpy()
        return None

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
            samples = torch.as_tensor(waveform).cpu()[None].requires_grad_()
            with quiet(), torch.enable_grad(), devices.exact(self.device):
                inputs = {self._extractor.model_input_names[0]: self._to_device(front_end(samples))}
                logits = self._eager(**inputs).logits[0].float()
                is_leading = torch.from_numpy(expected).to(self.device)
                (slope,) = torch.autograd.grad(logits[is_leading].max() - logits[~is_leading].max(), samples)
            gradients.append(np.nan_to_num(slope[0].numpy()))
        return gradients

    def _features(self, batch: list[Waveform]) -> dict[str, Any] | None:
        """The inputs of the network, on the device; None when memory ran out."""
        import torch

        try:
            with torch.inference_mode():
                if self._torch_features is not None:
                    features = self._on_device(batch, self._torch_features)
                else:
                    features = self._extract(batch)
                return {k: self._to_device(v) for k, v in features.items() if k in self._inputs}
        except (RuntimeError, MemoryError) as error:
            if not devices.is_full(error):
                raise
            return None

    def _extract(self, batch: list[Waveform]) -> Any:
        """Features by the extractor."""
        import torch

        rate, step = self.facts.sample_rate_hz, self._clips_at_once or len(batch)
        with self._threads.limit(limits=1, user_api="blas"):
            parts = [
                self._extractor(batch[at : at + step], sampling_rate=rate, return_tensors="pt")
                for at in range(0, len(batch), step)
            ]
        if len(parts) == 1:
            return parts[0]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _on_device(self, batch: list[Waveform], of: TorchFeatures) -> dict[str, Any]:
        """Features in torch, of the clips of each length together."""
        import torch

        by_length: dict[int, list[int]] = defaultdict(list)
        for i, waveform in enumerate(batch):
            by_length[len(waveform)].append(i)
        parts = [of(devices.stack([batch[i] for i in rows], self.device)) for rows in by_length.values()]
        if len(parts) == 1:
            return parts[0]
        order = torch.tensor(np.argsort(np.concatenate(list(by_length.values()))), device=self.device)
        return {name: torch.cat([part[name] for part in parts])[order] for name in parts[0]}

    def _forward(self, batch: list[Waveform], features: dict[str, Any] | None) -> NDArray[np.float32] | None:
        """(b, n_classes), or None when memory ran out."""
        import torch

        if features is None:
            return None
        try:
            with torch.inference_mode(), devices.exact(self.device):
                logits: NDArray[np.float32] = self._model(**features).logits.float().cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            if not devices.is_full(error):
                raise
            return None
        return logits

    def _to_device(self, feature: Any) -> Any:
        """A feature where the model is, in its arithmetic; attention masks stay whole numbers."""
        tensor = devices.send(feature, self.device) if feature.device.type == "cpu" else feature
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor


def _name(extractor: Any) -> str:
    return f"{type(extractor).__name__} ({backend(extractor)})"


def open_checkpoint(
    checkpoint: Checkpoint,
    *,
    device: str | None = None,
    batch_size: int = 16,
    dtype: str = "float32",
) -> Classifier:
    """Open a model that is already pinned; see `loading.load`."""
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
            classifier = Head(checkpoint, model.eval(), extractor, device, batch_size)
            require_answer(classifier)
            if device.startswith("cuda"):
                classifier.use_torch_features()
    except BadInput:
        raise
    except Exception as error:
        raise BadModel(
            f"{name} is loaded, and fails on a test sound: {one_line(error)}; do its config.json and the"
            " settings of its feature extractor belong to these weights?"
        ) from None
    classifier.notes = (*notes, *notes_of(checkpoint, classifier.facts.architecture))
    return classifier
