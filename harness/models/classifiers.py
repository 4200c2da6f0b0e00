"""Batches of waveforms in, logits out: what every kind of model has.

Conventions: a waveform is mono float32 (n_samples,). A model hears it at its own rate. Padding would move the
logits of most architectures by more than a class boundary is wide, even with an attention mask, so only
waveforms of exactly the same length share a batch; except for models that bring everything to one length
themselves.

`heads` has the heads of transformers, `external` the adapters.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import audio, notebook
from harness.errors import BadInput, BadModel
from harness.model_facts import ModelFacts, WindowPlace
from harness.models import memory, windows
from harness.models.feature_extractors import quiet
from harness.plurals import plural
from harness.seeds import generator
from harness.types import Mask, ModelRef, Waveform

DTYPES = ("float32", "bfloat16", "float16")
"""Arithmetics of a model."""

_LOG = logging.getLogger("goodenough")

_LONGEST_MINIMUM = 60
"""Seconds: no model needs clips as long as this."""

COMPILED_BY = ", forward pass compiled by "
"""What the front end of a compiled model ends in, before the backend."""


def compile_backend(frontend: str) -> str | None:
    """The backend that compiled a forward pass, by the front end in a record; None where nothing did."""
    return frontend.partition(COMPILED_BY)[2] or None


class Classifier:
    """A loaded model. Made by `loading.load` or `loading.open_model`."""

    _works_ahead = False
    """Whether a thread makes the features of the next batch while the model answers this one."""

    def __init__(
        self,
        ref: ModelRef,
        class_names: Sequence[str],
        facts: ModelFacts,
        *,
        device: str,
        dtype: str,
        settings_sha256: str,
        batch_size: int,
        frontend: str,
        min_samples: int,
        fixed_length: bool,
    ):
        """State what it is; with `fixed_length` it brings clips of all lengths to one, in one batch."""
        self.ref = ref
        """Which model."""
        self.class_names = tuple(class_names)
        """Its classes, by index, in its own words."""
        self.device = device
        """Where it runs."""
        self.dtype = dtype
        """Its arithmetic, whatever its weights were saved in; features and logits are float32."""
        self.settings_sha256 = settings_sha256
        """Of what decides its answers beside its weights."""
        self.batch_size = batch_size
        """Largest batch; halved until it fits where memory is short."""
        self.frontend = frontend
        """Feature extractor, and what computes its features."""
        self.min_samples = min_samples
        """Shortest waveform it can hear, at its own rate."""
        self.facts = facts
        """What it is."""
        self.notes: tuple[str, ...] = ()
        """What its author should know of how it is scored, each a line."""
        self._fixed_length = fixed_length
        self._need = memory.Need()

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
        with _Ahead(lambda batch: self._features([inputs[i] for i in batch])) as ahead:
            while start < len(order):
                batch = self._next_batch(order[start:], lengths, inputs, length)
                clips, length = [inputs[i] for i in batch], lengths[batch[0]]
                features = ahead.take(batch)
                if self._works_ahead and (following := order[start + len(batch) :]):
                    ahead.prepare(self._next_batch(following, lengths, inputs, length))
                batch_logits = self._forward(clips, features)
                if batch_logits is None:
                    self.batch_size = self._halve(len(batch), clips[0])
                    continue
                if batch_logits.shape != (len(batch), len(self.class_names)):
                    raise BadModel(
                        f"{self.ref.repo_id} gave logits of shape {batch_logits.shape} for"
                        f" {plural(len(batch), 'clip')}; expected one for each clip and each of its"
                        f" {plural(len(self.class_names), 'class')}"
                    )
                logits[batch] = batch_logits
                start += len(batch)
        if not np.isfinite(logits).all():
            raise BadModel(
                f"{self.ref.repo_id} gave logits that are not finite; are its weights damaged, or were they"
                " trained in a precision that overflowed?"
            )
        return logits

    def _next_batch(
        self, order: Sequence[int], lengths: Sequence[int], inputs: Sequence[Waveform], length: int
    ) -> list[int]:
        """The first of some clips, by index: as many of one length as make a batch; `length` had room."""
        first = order[0]
        if lengths[first] != length and len(inputs) > 1:
            self._require_room(inputs[first], lengths[first])
        return list(takewhile(lambda i: lengths[i] == lengths[first], order[: self.batch_size]))

    def measured_window(self) -> tuple[float, WindowPlace] | None:
        """How much of a clip moves its logits, found by asking it; see `windows.measure`."""

        def may_ask(n_samples: int) -> bool:
            return self.device != "cpu" or self._need.fitting(1, self._length(n_samples))[0] == 1

        return windows.measure(self._answer, self.facts.sample_rate_hz, may_ask)

    def measure_window(self) -> None:
        """Put the measured window in the place of what the facts say of it."""
        seconds, window_at = self.measured_window() or (None, self.facts.window_at)
        self.facts = replace(self.facts, window_seconds=seconds, window_at=window_at)

    def window_holds(self) -> tuple[bool, bool]:
        """Whether its window moves the logits, and whether anything else does; see `windows.holds`."""
        facts = self.facts
        window = facts.window_seconds, facts.window_at
        return windows.holds(self._answer, facts.sample_rate_hz, *window, self.min_samples)

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

        Their rows may be tensors that stay there: `logits` takes them as they are.
        None where scipy makes them: on the processor, and for models that take no part in it.
        """
        return None

    @property
    def has_torch_features(self) -> bool:
        """Whether features are computed in torch where the model is, and not by its feature extractor."""
        return False

    def compile(self, backend: str) -> None:
        """Compile the forward pass by torch.compile.

        Raises:
            BadInput: it cannot be compiled.
        """
        raise BadInput(f"{self.ref.repo_id} computes as it is written; leave --compile out")

    def check_features(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> bool:
        """Give up features in torch where logits or classes of waveforms differ; whether they stay."""
        return False

    def input_gradients(
        self, waveforms: Sequence[Waveform], sample_rate_hz: int, is_expected: Sequence[Mask]
    ) -> list[Waveform] | None:
        """How the lead of some classes changes with each sample of waveforms, float32 (n_samples,).

        `is_expected` are, for each, (n_classes,) the classes whose best logit leads, or not, the best other.

        Returns:
            (n_samples,) for each; or None where slopes cannot pass.
        """
        return None

    def _prepare(self, waveform: Any, sample_rate_hz: int) -> Any:
        if not isinstance(waveform, np.ndarray):  # made by `keep`, and on the device
            if sample_rate_hz == self.facts.sample_rate_hz and len(waveform) >= self.min_samples:
                return waveform
            waveform = waveform.cpu().numpy()
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

    def _require_room(self, waveform: Waveform, length: int) -> None:
        """Make the batch smaller where a processor has too little memory for so many clips of this length."""
        # A card says by itself that its memory is full; a computer ends the process.
        if self.batch_size == 1 or self.device != "cpu":
            return
        if length > self._need.length:
            self._need.measure(
                lambda: self._forward([waveform], self._features([waveform])), length, self.batch_size
            )
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

    def _features(self, batch: list[Waveform]) -> Any:
        """What `_forward` takes beside the clips; of a model with features made ahead, in a thread."""
        return None

    def _forward(self, batch: list[Waveform], features: Any) -> NDArray[np.float32] | None:
        """(b, n_classes) to clips at its own rate, of one length if not fixed; None: out of memory."""
        raise NotImplementedError


class _Ahead:
    """Makes the features of the next batch, which are clips by index, while the model answers this one."""

    def __init__(self, features: Callable[[list[int]], Any]) -> None:
        self._features = features
        self._thread = ThreadPoolExecutor(1, "features")
        self._pending: tuple[list[int], Future[Any]] | None = None

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown()

    def prepare(self, batch: list[int]) -> None:
        """Start on a batch."""
        self._pending = batch, self._thread.submit(self._features, batch)

    def take(self, batch: list[int]) -> Any:
        """The features of a batch: those that were prepared, unless it became a smaller one."""
        pending, self._pending = self._pending, None
        if pending is not None:
            features = pending[1].result()
            if pending[0] == batch:
                return features
        return self._features(batch)


def require_answer(classifier: Classifier) -> None:
    """A short sound goes through: what the settings leave open shows now, not after an hour of clips."""
    name, rate = classifier.ref.repo_id, classifier.facts.sample_rate_hz
    if classifier.min_samples > _LONGEST_MINIMUM * rate:
        raise BadModel(
            f"{name} needs clips of {classifier.min_samples / rate:,.0f} s or more by its"
            " settings; are they of this model?"
        )
    n = max(classifier.min_samples, rate // 10)
    classifier.logits([(0.1 * generator("models").normal(size=n)).astype(np.float32)], rate)
