"""Loads models by name, and extracts the signal of one clip.

Conventions: waveforms are float32 (n_samples,), mono, in [-1, 1].
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.api.signals import Signal
from harness.audio import LOUDEST
from harness.errors import BadInput, NotValid
from harness.types import Clip, LabelMap, Waveform

if TYPE_CHECKING:
    from harness.models.classifiers import Classifier


def starter_models(role: str = "candidate") -> list[Path]:
    """Folders of the small models that come with the starter suite, to try things with.

    Args:
        role: `candidate` or `reference`.

    Raises:
        BadInput: no such role.
        BadSignals: this installation has no starter suite.

    Examples:
        >>> [folder.name for folder in ge.starter_models()]
        ['starter-genre-data2vec', 'starter-emotion-wav2vec2', 'starter-deepfake-wavlm']
    """
    from harness.starter import paths

    if role not in ("candidate", "reference"):
        raise BadInput(f"no role {role!r}; expected candidate or reference")
    return paths.models(role)


def load_model(
    name: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    batch_size: int = 16,
    arguments: Mapping[str, object] | None = None,
    requirements: str | Path | None = None,
) -> Classifier:
    """Load an audio classifier of `transformers`, of which no code is run, or an adapter, which is your code.

    Args:
        name: a Hub id, a folder, or an adapter: `path/to/file.py:Class`, or `adapter:clap` and the others
            that come with goodenough.
        revision: branch, tag or commit of the Hub.
        device: as torch names it; a CUDA card where there is one, else the processor.
        dtype: `float32`, `bfloat16` or `float16`.
        batch_size: largest batch.
        arguments: of an adapter, by name; they arrive as from a command line.
        requirements: a requirements.txt; an adapter then runs in an environment of its own.

    Raises:
        BadModel: it is not there, or no audio classifier; the line says what to do.
        BadInput: an argument that the adapter does not take.
    """
    from harness.models import loading
    from harness.models.external.options import AdapterOptions

    texts = tuple(f"{key}={value}" for key, value in (arguments or {}).items())
    adapter = AdapterOptions(texts, None if requirements is None else Path(requirements))
    return loading.load(
        *(str(name), revision),
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        adapter=adapter,
    )


def extract(
    model: Classifier | str | Path,
    waveform: Waveform,
    *,
    sample_rate_hz: int,
    search: str = "minimal",
    seed: int = 0,
) -> Signal:
    """Search one clip for the smallest part of it that alone keeps the class of a model.

    Args:
        model: a loaded model, a Hub id or a folder.
        waveform: (n_samples,) mono float32, in [-1, 1].
        sample_rate_hz: its rate.
        search: `minimal`, `responsibility` or `gradient`; of other atoms than usual as `minimal@bands64`,
            `responsibility@tiles8x16`, `minimal@blocks10ms`.
        seed: of the search.

    Raises:
        BadInput: no such search, or a waveform that the model cannot take.
        NotValid: there is no signal; the line says why.
    """
    from harness.dataset.completed import sound_of
    from harness.extract import named, runner
    from harness.extract.search_task import Draws
    from harness.journal import Journal

    chosen_search = named(search)
    _require_sound(waveform)
    classifier = load_model(model) if isinstance(model, str | Path) else model
    names = classifier.class_names
    clip = Clip("clip", "clip", None, np.asarray(waveform, dtype=np.float32), sample_rate_hz)
    mapping = LabelMap("any", names, names, "names")
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal", {}, "")
        try:
            arguments = (classifier, classifier.ref.repo_id, mapping, [clip], [chosen_search], journal)
            (extracted,) = runner.extract(*arguments, draws=Draws(seed=seed))
        finally:
            journal.close()
    if not extracted.signals:
        reason = extracted.skipped[0].why if extracted.skipped else "the search ended without one"
        raise NotValid(f"no signal: {reason}")
    record = extracted.signals[0]
    return Signal(record, sound_of(record, clip, {clip.clip_id: clip}.__getitem__), clip.waveform)


def _require_sound(waveform: Waveform) -> None:
    """Refuse what is no mono sound at full scale 1, before it is searched for minutes."""
    array = np.asarray(waveform)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.floating) or not array.size:
        raise BadInput(f"a waveform of {array.dtype} {array.shape}; expected mono, float32 (n_samples,)")
    if not np.isfinite(array).all() or np.abs(array).max() > LOUDEST:
        raise BadInput("a waveform beyond full scale, or with NaN; expected float32 in [-1, 1]")
