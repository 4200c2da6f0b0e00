"""The transfer rate as a metric of the `evaluate` library.

    import evaluate
    metric = evaluate.load("harness/score/metric.py")
    metric.compute(predictions=["jazz", "rock"], references=["jazz", "jazz"], clip_ids=["a", "b"])

`evaluate` copies this file elsewhere before it opens it, so the package is imported where it is used; and it
reads import lines one by one, so none may name two modules.

Public: Transferability.
"""

from __future__ import annotations

from typing import Any

import evaluate
from evaluate.info import Features, Value

_DESCRIPTION = """
Share of sufficient signals that a candidate gives the class their reference gave the whole clip, with a 95 %
interval. A signal is the part of a clip's spectrum that alone makes its reference say what it says of it.
"""

_INPUTS = """
Args:
    predictions: list of str, the candidate's class of each signal, as a canonical label.
    references: list of str, the class each signal has for its reference, as a canonical label.
    controls: list of str, optional, the candidate's class of the `permuted` control of each signal.
    clip_ids: list, optional, the clip each signal is part of. Signals of one clip are dependent: where a clip
        stands more than once, clips are resampled. Without it every signal counts as a clip of its own.

Returns:
    transfer: accepted / all, None when there are no signals.
    low, high: 95 % interval.
    n: number of signals.
    method: how the interval was made.
    lift, lift_low, lift_high, lift_method: transfer minus acceptance of the controls, paired by signal; where
        controls are given.

Examples:
    >>> metric = evaluate.load("harness/score/metric.py")
    >>> metric.compute(predictions=["jazz", "rock"], references=["jazz", "jazz"])["transfer"]
    0.5
"""

_CITATION = """
@misc{kelly2026goodenough,
  title = {If It's Good Enough for You, It's Good Enough for Me: Transferability of Audio Sufficiencies across Models},
  author = {Kelly and Chockler},
  year = {2026},
  eprint = {2604.02937},
  archivePrefix = {arXiv}
}
"""  # noqa: E501 - a title


class Transferability(evaluate.Metric):  # type: ignore[misc] # evaluate has no types
    """Transfer rate of one reference's signals to one candidate, over signals whose class it knows."""

    def _info(self) -> Any:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=Features({"predictions": Value("string"), "references": Value("string")}),
        )

    def _compute(
        self,
        predictions: list[str],
        references: list[str],
        controls: list[str] | None = None,
        clip_ids: list[Any] | None = None,
    ) -> dict[str, Any]:
        import numpy as np

        from harness.errors import BadInput
        from harness.score.estimates import clip_weights, clustered, from_draws

        n = len(predictions)
        for name, given in (("clip_ids", clip_ids), ("controls", controls)):
            if given is not None and len(given) != n:
                raise BadInput(f"{len(given)} {name} for {n} predictions; expected one for each prediction")
        names = [str(c) for c in (range(n) if clip_ids is None else clip_ids)]
        clips, clip_of = np.unique(names, return_inverse=True)

        def estimate(values: Any, name: str, kind: Any, lowest: float) -> Any:
            if len(clips) == n:
                return clustered(values[:, None], ("metric", name), kind)
            weights = clip_weights(len(clips), ("metric", name))
            draws = (weights @ np.bincount(clip_of, values)) / (weights @ np.bincount(clip_of))
            return from_draws(float(values.mean()), draws, len(clips), n, (lowest, 1.0))

        def accepted(said: list[str]) -> Any:
            return np.array([p == r for p, r in zip(said, references, strict=True)], dtype=float)

        found = estimate(accepted(predictions), "transfer", "rate", 0.0)
        told = {
            "transfer": found.value,
            "low": found.low,
            "high": found.high,
            "n": found.n,
            "method": found.method,
        }
        if controls is None:
            return told
        lift = estimate(accepted(predictions) - accepted(controls), "lift", "difference", -1.0)
        return {
            **told,
            "lift": lift.value,
            "lift_low": lift.low,
            "lift_high": lift.high,
            "lift_method": lift.method,
        }
