"""The transfer rate as a metric of the `evaluate` library: `evaluate.load("harness/metrics/hf_metric.py")`.

`evaluate` copies this file elsewhere before it opens it, so the package is imported where it is used; and it
reads import lines one by one, so none may name two modules.
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
    controls: list of list of str, optional, the candidate's class of the `swap` controls of each signal: the
        same frequencies of clips that the reference gives another class. Where each signal has one control, a
        list of str will do. A signal whose list is empty is left out of swap and lift.
    clip_ids: list, optional, the clip each signal is part of. Signals of one clip are dependent: where a clip
        stands more than once, clips are resampled. Without it every signal counts as a clip of its own.

Returns:
    transfer: accepted / all, None when there are no signals.
    low, high: 95 % interval.
    n: number of signals.
    method: how the interval was made.
    swap: acceptance of the controls, the mean over those of a signal, then over signals; with controls.
    lift, lift_low, lift_high, lift_n, lift_method: transfer minus swap, paired by signal; lift_n counts the
        signals that have a control. With fewer than 20 of them no scorecard shows a lift.

Examples:
    >>> metric = evaluate.load("harness/metrics/hf_metric.py")
    >>> found = metric.compute(
    ...     predictions=["jazz", "rock"],
    ...     references=["jazz", "jazz"],
    ...     controls=[["rock", "jazz"], ["rock", "rock"]],
    ... )
    >>> found["transfer"], found["swap"], found["lift"]
    (0.5, 0.25, 0.25)
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
        controls: list[str] | list[list[str]] | None = None,
        clip_ids: list[Any] | None = None,
    ) -> dict[str, Any]:
        import numpy as np

        from harness.errors import BadInput
        from harness.metrics.acceptance import divide
        from harness.metrics.estimates import clip_weights, clustered, from_draws

        n = len(predictions)
        for name, column in (("clip_ids", clip_ids), ("controls", controls)):
            if column is not None and len(column) != n:
                raise BadInput(f"{len(column)} {name} for {n} predictions; expected one for each prediction")
        names = [str(c) for c in (range(n) if clip_ids is None else clip_ids)]
        clips, clip_of = np.unique(names, return_inverse=True)
        weights = clip_weights(len(clips), ("metric",))

        def estimate(values: Any, kind: Any, lowest: float) -> Any:
            """Over the signals that have a value; signals of one clip are resampled together."""
            has_value = ~np.isnan(values)
            if len(clips) == n or not has_value.any():
                return clustered(values[:, None], weights, kind)
            sums = weights @ np.bincount(clip_of[has_value], values[has_value], len(clips))
            counts = weights @ np.bincount(clip_of[has_value], minlength=len(clips))
            draws = divide(sums, counts)
            n_clips = len(np.unique(clip_of[has_value]))
            return from_draws(
                float(values[has_value].mean()), draws, n_clips, int(has_value.sum()), (lowest, 1.0)
            )

        acceptance = np.array([p == r for p, r in zip(predictions, references, strict=True)], dtype=float)
        transfer = estimate(acceptance, "rate", 0.0)
        numbers = {"transfer": transfer.value, **_interval(transfer)}
        if controls is None:
            return numbers
        swap = np.full(n, np.nan)
        for i, (control, r) in enumerate(zip(controls, references, strict=True)):
            answers = [control] if isinstance(control, str) else control
            if len(answers) > 0:
                swap[i] = np.mean([answer == r for answer in answers])
        lift = estimate(acceptance - swap, "difference", -1.0)
        return {
            **numbers,
            "swap": estimate(swap, "rate", 0.0).value,
            "lift": lift.value,
            **{f"lift_{name}": value for name, value in _interval(lift).items()},
        }


def _interval(estimate: Any) -> dict[str, Any]:
    return {name: getattr(estimate, name) for name in ("low", "high", "n", "method")}
