"""What would make a result incomparable with those of models of another kind, in sentences.

A head was trained for its classes. What chooses from texts, has one score, or is reached through code of its
user's has further choices behind each answer, made by whoever ran it. Coverage of the labels and of the clip
is not here: it matters for every kind, and is measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.model_facts import AdapterFacts, ModelFacts
from harness.plurals import plural


def caveats(facts: ModelFacts, n_classes: int, task_labels: Sequence[str]) -> list[str]:
    """What to know before a model is compared with others, each a sentence; empty for most heads.

    Args:
        facts: of the model.
        n_classes: classes that it chooses from.
        task_labels: canonical labels of the task.
    """
    lines = []
    if facts.kind == "zero-shot":
        lines.append(
            f"it answers the nearest of the {plural(n_classes, 'text')} that it was given: their wording and"
            " their number decide, and a shorter list is an easier task"
        )
    if facts.kind == "language model":
        lines.append(
            f"it answers one of {plural(n_classes, 'option')} in a prompt: the wording and the order of the"
            " options move its answers, and fewer options are an easier task"
        )
    if facts.kind in ("zero-shot", "language model"):
        if n_classes <= len(task_labels):
            lines.append(
                "it can answer with labels of the task alone, where a head with further classes can be wrong"
                " in more ways"
            )
        lines.append(_prompts(facts.adapter))
    if facts.multi_label:
        lines.append(
            "it was trained to give a sound several classes or none: its best one counts, however weak it is"
        )
    if facts.adapter is not None:
        lines += _of_score(facts.adapter)
        lines.append(
            "it is reached through code of its user: the same weights behind other code are another model"
            " here, and nobody else runs it, so that its entry stays self-reported"
        )
    return lines


def _prompts(adapter: AdapterFacts | None) -> str:
    if adapter is None or adapter.prompts_sha256 is None:
        return "it names no prompts, so that nobody can tell which entries had the same; set self.prompts"
    return (
        "compare it with entries of the same prompts alone, those with the sha256"
        f" {adapter.prompts_sha256[:12]}"
    )


def _of_score(adapter: AdapterFacts) -> list[str]:
    if adapter.threshold is None:
        return []
    return [
        f"it has one score, and answers {adapter.above} above {adapter.threshold:g}, a threshold from:"
        f" {adapter.threshold_source}; with another threshold its verdicts are others",
        "its two logits are one number, so that its probabilities say how far the score is from the threshold"
        " and no more, and its likeness to a reference rests on less than that of a model with a number per"
        " class",
    ]
