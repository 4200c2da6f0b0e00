"""Asks an adapter: batches of waveforms in, logits out, as of any other model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadModel
from harness.model_facts import ModelFacts
from harness.models.classifiers import Classifier, require_answer
from harness.models.external.pinned import PinnedAdapter
from harness.plurals import plural
from harness.seeds import generator
from harness.types import PROOF_TOLERANCE, Waveform

_SMALLEST = np.float32(1e-45)


class AdapterClassifier(Classifier):
    """A model that is reached through an adapter."""

    def __init__(self, source: PinnedAdapter, batch_size: int):
        """Take an adapter that was pinned, and ask it a short sound, twice.

        Raises:
            BadModel: it fails, or says something else the second time.
        """
        settings = source.settings
        facts = ModelFacts(
            architecture=source.name.rpartition(":")[2],
            n_parameters=settings.n_parameters,
            sample_rate_hz=settings.sample_rate_hz,
            window_seconds=settings.window_seconds,
            licence=settings.licence,
            trained_on=settings.trained_on,
            kind=settings.kind,
            adapter=source.facts,
        )
        super().__init__(
            source.ref,
            settings.class_names,
            facts,
            device=source.device,
            dtype="float32",
            settings_sha256=source.ref.revision,
            batch_size=batch_size,
            frontend=f"adapter {source.name}",
            min_samples=settings.min_samples,
            fixed_length=settings.fixed_length,
        )
        self._source = source
        require_answer(self)
        self._require_same_answer()
        if not settings.has_window:
            self.measure_window()
        if not source.facts.weights:
            self.notes += (
                "it names no weights: if it reads any, name them in self.weights, so that its revision"
                " changes with them",
            )

    def _forward(self, batch: list[Waveform], features: object) -> NDArray[np.float32] | None:
        source, settings = self._source, self._source.settings
        ask = source.instance.logits if settings.threshold is None else source.instance.scores
        try:
            values = np.asarray(ask(batch))
        except MemoryError:
            return None
        if settings.threshold is None:
            return values.astype(np.float32, copy=False)
        if values.shape not in ((len(batch),), (len(batch), 1)):
            raise BadModel(
                f"{source.name} gave scores of shape {values.shape} for {plural(len(batch), 'clip')};"
                f" expected one for each, ({len(batch)},)"
            )
        scores, above = values.reshape(-1).astype(np.float64), self.class_names.index(settings.above or "")
        return _two_logits(scores, settings.threshold, above)

    def _require_same_answer(self) -> None:
        """The same sound gets the same answer, also after another one."""
        rate = self.facts.sample_rate_hz
        rng = generator("models", "twice")
        n_samples = max(self.min_samples, rate // 2)
        first, other = ((0.1 * rng.normal(size=n_samples)).astype(np.float32) for _ in range(2))
        answer = self.logits([first], rate)
        self.logits([other], rate)
        difference = float(np.abs(self.logits([first], rate) - answer).max())
        if difference > PROOF_TOLERANCE[self.dtype]:
            raise BadModel(
                f"{self._source.name} says something else of the same sound the second time: a logit moves by"
                f" {difference:.2g}; is its network in evaluation mode (model.eval()), with nothing random?"
            )


def _two_logits(scores: NDArray[np.float64], threshold: float, above: int) -> NDArray[np.float32]:
    """(n, 2) logits whose difference is score - threshold: the class above wins where score > threshold."""
    margins = (scores - threshold).astype(np.float32)
    margins = np.where((scores > threshold) & (margins == 0), _SMALLEST, margins)
    margins = np.where((scores <= threshold) & (margins == 0), -_SMALLEST, margins)
    logits = np.zeros((len(scores), 2), dtype=np.float32)
    logits[:, above] = margins
    return logits
