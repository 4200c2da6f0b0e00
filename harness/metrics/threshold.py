"""Whether the threshold of a detector was tuned on the clips that it is evaluated on.

A detector with one score has a threshold, and says where it comes from (`AdapterFacts`). A threshold that was
tuned on the suite's clips makes lift and accuracy of the suite too good. It is refused where it can be seen:
in what the author says (`names_the_suite`) and in the scores (`of_logits`, `of_verdicts`).

Conventions: a margin is score - threshold, the difference of the two logits that are made of a score.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.model_facts import AdapterFacts
from harness.types import FloatArray, LabelMap

if TYPE_CHECKING:
    import pandas as pd

CHANCE = 1e-4
"""Chance that a threshold from elsewhere is refused for its scores, at most: by any rule of `_tuned`."""

MIN_CLIPS = 20
"""Clips of known truth below which nothing is said."""

DIGITS = 3
"""A threshold of so many significant digits was computed from nobody's scores."""

_NEAREST = 10
"""Clips around a threshold by which the density of scores is estimated."""
_DISCRETE = 0.1
"""Share of repeated scores from which on they are counts, votes or quantised."""
_FLOAT32 = 2.0**-24
"""Largest relative rounding error of float32."""
_STORED = 2.0**-12
"""Largest error of a margin that is read from the probabilities of verdicts: each has 13 bits."""

_PHRASES = ("this suite", "the suite", "same suite", "starter suite", "goodenough suite", "embedded starter")
_OF_A_SUITE = ("suite", "clips", "signals", "test")
"""Words that make a name of one word, which may be any word, the name of a suite."""
_OTHER_SPLITS = frozenset(
    {"dev", "development", "train", "training", "val", "valid", "validation", "calibration"}
)


def names_the_suite(source: str, suite: str, corpora: Iterable[str] = ()) -> str | None:
    """What in a `threshold_source` names the suite's own clips; None where nothing does.

    A corpus of the suite may be named together with a split for tuning, as in "ASVspoof 2019 LA dev".

    Args:
        source: what the author says.
        suite: repo_id of the suite, as in `DatasetRef`.
        corpora: names of its corpora, as far as they are known.
    """
    words = _words(source)
    text = f" {' '.join(words)} "
    phrase = next((phrase for phrase in _PHRASES if f" {phrase} " in text), None)
    if phrase is not None:
        return phrase
    if any(_is_in(name, text) for name in _names(suite)):
        return suite
    if _OTHER_SPLITS.isdisjoint(words):
        return next(
            (corpus for corpus in corpora if any(_is_in(name, text) for name in _names(corpus))), None
        )
    return None


def of_logits(
    logits: NDArray[np.float32], truths: Sequence[str | None], label_map: LabelMap, adapter: AdapterFacts
) -> str | None:
    """What gives a tuned threshold away in a detector's answers to whole clips, in a sentence; None: nothing.

    It cannot see a threshold that was tuned and then rounded or moved, one that was tuned by a finer search
    than at, or midway between, scores, nor one that was tuned on parts of the clips or on the signals. Where
    scores are discrete, on a grid or often the same, nothing is said. It looks for mistakes, not for fraud.

    Args:
        logits: (n, 2), in float32 as the model gave them.
        truths: (n,) canonical labels; None where the truth is not known.
        label_map: of its two classes.
        adapter: None is returned for one without a threshold.
    """
    if adapter.threshold is None or adapter.above not in label_map.names or len(label_map.names) != 2:
        return None
    above = label_map.names.index(adapter.above)
    margins = logits[:, above].astype(np.float64) - logits[:, 1 - above].astype(np.float64)
    return _tuned(margins, truths, label_map, adapter, _FLOAT32 * abs(adapter.threshold))


def of_verdicts(
    verdicts: pd.DataFrame, labels: Sequence[str], label_map: LabelMap, adapter: AdapterFacts
) -> str | None:
    """The same from verdicts, as far as their rounded probabilities show it.

    A probability is stored with 13 bits, so that a threshold at the score of a clip looks like one that is
    close to it by chance: only those midway between two scores or two means can be told, of detectors whose
    scores lie far apart. `of_logits` sees all of them, where the model is run.

    Args:
        verdicts: with the columns of `parquet_schema.VERDICTS`.
        labels: those of the task, in its order.
        label_map: of the two classes, which are two labels of the task.
        adapter: as in `of_logits`.
    """
    if adapter.threshold is None or adapter.above not in label_map.names or len(label_map.covered) != 2:
        return None
    whole = verdicts[(verdicts["stimulus"] == "whole") & verdicts["truth"].isin(label_map.canonical)]
    if whole.empty or len(label_map.names) != 2:
        return None
    above = label_map.names.index(adapter.above)
    columns = [labels.index(label_map.canonical[i]) for i in (above, 1 - above)]
    p = np.array(whole["p"].tolist(), dtype=np.float64)[:, columns]
    with np.errstate(divide="ignore", invalid="ignore"):
        margins = np.log(p[:, 0]) - np.log(p[:, 1])
    return _tuned(margins, whole["truth"].tolist(), label_map, adapter, _STORED)


def _tuned(
    margins: FloatArray,
    truths: Sequence[str | None],
    label_map: LabelMap,
    adapter: AdapterFacts,
    resolution: float,
) -> str | None:
    """(n,) margins and truths -> what is too good to be chance, in a sentence.

    A rule fires where a threshold from elsewhere, which may lie anywhere among the scores around it, would
    lie as close to a place of tuning with a chance of less than CHANCE, divided by the number of rules.
    """
    threshold = adapter.threshold
    if threshold is None or float(f"{threshold:.{DIGITS}g}") == threshold:
        return None
    is_used = np.isfinite(margins) & np.array([truth in label_map.covered for truth in truths], dtype=bool)
    of_above = label_map.canonical[label_map.names.index(adapter.above or "")]
    is_above = np.array([truth == of_above for truth in truths], dtype=bool)[is_used]
    margins = margins[is_used]
    if len(margins) < MIN_CLIPS or len(np.unique(margins)) < (1 - _DISCRETE) * len(margins):
        return None
    places = {
        "is the score of a clip": _chance_at_a_score(margins, resolution),
        "lies midway between two neighbouring scores of clips": _chance_midway(margins, resolution),
        "is the mean score of the clips": _chance_at_a_mean([margins], resolution),
        "lies midway between the mean scores of the two classes": _chance_at_a_mean(
            [margins[is_above], margins[~is_above]], resolution
        ),
    }
    place = min(places, key=lambda name: places[name])
    if places[place] >= CHANCE / len(places):
        return None
    return (
        f"the threshold {threshold!r} {place} of the suite it is evaluated on; expected one from other clips,"
        f" of a development set for instance (if it is: give it with {DIGITS} significant digits)"
    )


def _chance_at_a_score(margins: FloatArray, resolution: float) -> float:
    """Chance to lie as close to any score, by the density of the scores around."""
    sizes = np.sort(np.abs(margins))
    n = min(_NEAREST, len(sizes) // 2)
    nearest = margins[np.abs(margins) <= sizes[n]]
    distance = max(sizes[0], resolution, _grid(nearest, resolution))
    return float(min(1.0, n * distance / sizes[n])) if sizes[n] > 0 else 1.0


def _chance_midway(margins: FloatArray, resolution: float) -> float:
    """Chance to lie as close to the middle between the scores next to it."""
    higher, lower = margins[margins > 0], margins[margins < 0]
    if len(higher) + len(lower) < len(margins) or not len(higher) or not len(lower):
        return 1.0
    ends = np.array([lower.max(), higher.min()])
    around = np.concatenate([np.sort(lower)[-_NEAREST // 2 :], np.sort(higher)[: _NEAREST // 2]])
    distance = max(abs(float(ends.sum())) / 2, resolution, _grid(around, resolution))
    return float(min(1.0, 2 * distance / (ends[1] - ends[0])))


def _chance_at_a_mean(groups: Sequence[FloatArray], resolution: float) -> float:
    """Chance to lie as close to the mean of the groups' means, for one of as many other clips."""
    if min(map(len, groups)) < 2:
        return 1.0
    n = sum(map(len, groups))
    centre = abs(float(np.mean([group.mean() for group in groups])))
    error = float(np.sqrt(sum(group.var(ddof=1) / len(group) for group in groups))) / len(groups)
    distance = max(centre, resolution / np.sqrt(n))
    return float(min(1.0, 0.8 * distance / error)) if error > 0 else 1.0  # twice the density at the mean


def _grid(scores: FloatArray, resolution: float) -> float:
    """Step of a grid that all of these scores lie on, of powers of 2 or 10; 0 where there is none."""
    differences = scores - scores[0]
    error = 4 * resolution + 4 * _FLOAT32 * float(np.abs(scores).max())
    for step in sorted([*(2.0**-k for k in range(-4, 24)), *(10.0**-k for k in range(-1, 8))], reverse=True):
        if step < 20 * error:
            break
        if np.abs(differences - step * np.round(differences / step)).max() <= error:
            return step
    return 0.0


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())


def _names(repo_id: str) -> list[list[str]]:
    """The words of a name with its owner, and without it."""
    owner, _, name = repo_id.rpartition("/")
    both = [_words(repo_id)] if owner not in ("", "local") else []
    return [words for words in (*both, _words(name)) if words]


def _is_in(name: Sequence[str], text: str) -> bool:
    if len(name) > 1 or any(c.isdigit() for c in name[0]):
        return f" {' '.join(name)} " in text
    return any(f" {name[0]} {word} " in text for word in _OF_A_SUITE)
