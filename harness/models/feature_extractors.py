"""The feature extractor of a checkpoint: opened from its own file, and compared with its config."""

from __future__ import annotations

import contextlib
import inspect
import logging
import warnings
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from harness.errors import BadModel
from harness.models.architectures import ARCHITECTURES
from harness.models.checkpoints import Checkpoint, preprocessor_of
from harness.models.frontends import use_fast_fbank
from harness.plurals import plural

_RANGES: MappingProxyType[str, tuple[int, int]] = MappingProxyType(
    {
        "sampling_rate": (1_000, 1_000_000),
        "feature_size": (1, 512),
        "num_mel_bins": (1, 512),
        "n_fft": (2, 16_384),
        "chunk_length": (1, 600),
        "stride": (1, 100),
    }
)
"""Least and most of what an extractor's settings may be; of others see _WHOLE."""
_WHOLE = (1, 100_000)
_MEL_SETTINGS = frozenset({"feature_size", "num_mel_bins", "stride"})
"""Of a wav2vec2-bert: what its settings have one of where they do not name their extractor."""
_LARGEST = 1e30
"""Of a number that is not whole; float32 ends at 3e38."""


def open_extractor(checkpoint: Checkpoint, config: Any) -> Any:
    """The feature extractor, from the very file that the revision was computed from."""
    import transformers

    name, (file, settings) = checkpoint.ref.repo_id, preprocessor_of(checkpoint)
    if config.model_type not in ARCHITECTURES:
        return _own_extractor(checkpoint)
    expected = ARCHITECTURES[config.model_type]
    stated_type = settings.get("feature_extractor_type")
    if _brings_own(settings) or (stated_type is None and _brings_own(vars(config))):
        if checkpoint.trusted:
            return _own_extractor(checkpoint)
        raise BadModel(
            f"{name} brings a feature extractor of its own (auto_map in {file}), which is not run unasked;"
            " read it, and if you trust it give --trust-remote-code, for a Hub model with --revision and all"
            " 40 digits"
        )
    # Absent in some wav2vec2-bert files, where guessing by model type picks the wrong one.
    type_name = (
        getattr(config, "feature_extractor_type", None) or expected if stated_type is None else stated_type
    )
    if type_name != expected:
        raise BadModel(
            f"{name}: {file} is of a {type_name!s:.60}, and {config.model_type} is fed by a"
            f" {expected}; save the one of the base model:"
            " AutoFeatureExtractor.from_pretrained(base).save_pretrained(folder)"
        )
    extractor_class = getattr(transformers, expected)
    _require_values(f"{name}: {{}} in {file}", settings, extractor_class)
    _require_bands(name, file, config, settings)
    try:
        with quiet():
            extractor = extractor_class.from_dict(dict(settings))
    except Exception as error:
        raise BadModel(f"{name}: no {expected} from {file}: {one_line(error)}") from None
    shape, expected_shape = _shapes(config, extractor)
    if shape != expected_shape:
        raise BadModel(
            f"{name}: its feature extractor makes {shape[0]} frames of {shape[1]} mel bands, its config wants"
            f" {expected_shape[0]} of {expected_shape[1]}; one of the two files is of another model"
        )
    if getattr(extractor, "dither", 0.0):
        extractor.dither = 0.0  # noise on purpose: a verdict must not depend on chance
    if expected == "ASTFeatureExtractor":
        use_fast_fbank(extractor)
    return extractor


def _brings_own(settings: dict[str, Any]) -> bool:
    auto_map = settings.get("auto_map")
    return isinstance(auto_map, dict) and "AutoFeatureExtractor" in auto_map


def _require_values(where: str, settings: dict[str, Any], extractor_class: Any) -> None:
    """Every setting of an extractor is of the type of its default, and in its range."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(extractor_class.__init__).parameters.items()
        if isinstance(parameter.default, bool | int | float)
    }
    for field, value in settings.items():
        if field == "padding_side" and value not in ("left", "right"):
            raise BadModel(f"{where.format(field)} is {value!r:.60}; expected 'left' or 'right'")
        if field not in defaults or _fits(value, defaults[field], field):
            continue
        if isinstance(defaults[field], bool):
            description = "true or false"
        elif isinstance(defaults[field], float):
            description = "a number"
        else:
            least, most = _RANGES.get(field, _WHOLE)
            description = f"a whole number from {least:,} to {most:,}"
        number = isinstance(value, str) and value.strip().replace(".", "", 1).isdigit()
        hint = ", without quotation marks" if number else ""
        raise BadModel(f"{where.format(field)} is {value!r:.60}; expected {description}{hint}")


def _fits(value: Any, default: bool | int | float, field: str) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float) and abs(value) < _LARGEST
    least, most = _RANGES.get(field, _WHOLE)
    return isinstance(value, int) and least <= value <= most


def _require_bands(name: str, file: str, config: Any, settings: dict[str, Any]) -> None:
    """A wav2vec2-bert is fed by neighbouring frames, joined: so many mel bands of so many frames."""
    if config.model_type != "wav2vec2-bert":
        return
    if settings.get("feature_extractor_type") is None and not _MEL_SETTINGS & settings.keys():
        raise BadModel(
            f"{name}: no feature extractor is named in {file}, and none of its settings stated; save"
            " the one of the base model: AutoFeatureExtractor.from_pretrained(base).save_pretrained(folder)"
        )
    if settings.get("feature_size") == 1:  # the extractor would pad a batch along its mel bands, too
        raise BadModel(f"{name}: feature_size in {file} is 1; expected as many as num_mel_bins")
    bands, stride = settings.get("num_mel_bins", 80), settings.get("stride", 2)
    if bands * stride != config.feature_projection_input_dim:
        raise BadModel(
            f"{name}: its feature extractor joins {stride} frames of {bands} mel bands, its config wants"
            f" {plural(config.feature_projection_input_dim, 'number')}; one of the two files is of another"
            " model"
        )


def _own_extractor(checkpoint: Checkpoint) -> Any:
    """The feature extractor of a model that brings its own code, which may be its own, too."""
    from transformers import AutoFeatureExtractor

    name = checkpoint.ref.repo_id
    try:
        with quiet():
            extractor = AutoFeatureExtractor.from_pretrained(
                str(checkpoint.folder), local_files_only=True, trust_remote_code=True
            )
    except Exception as error:
        raise BadModel(f"{name}: no feature extractor from its files: {one_line(error)}") from None
    if not isinstance(getattr(extractor, "sampling_rate", None), int):
        raise BadModel(f"{name}: its feature extractor has no sampling_rate; expected one for sound")
    return extractor


def _shapes(config: Any, extractor: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Frames and mel bands the extractor makes, and those the model takes; (0, 0) twice for raw waves."""
    if config.model_type == "whisper":
        return (
            (extractor.nb_max_frames, extractor.feature_size),
            (2 * config.max_source_positions, config.num_mel_bins),
        )
    if config.model_type == "audio-spectrogram-transformer":
        return (extractor.max_length, extractor.num_mel_bins), (config.max_length, config.num_mel_bins)
    return (0, 0), (0, 0)


def backend(extractor: Any) -> str:
    """What computes its features."""
    if type(extractor).__name__ == "ASTFeatureExtractor":
        # It keeps its own filters only when torchaudio is not installed.
        return "numpy fbank" if hasattr(extractor, "mel_filters") else "torchaudio fbank"
    return "torch" if type(extractor).__name__ == "WhisperFeatureExtractor" else "numpy"


def one_line(error: Exception) -> str:
    """The message of a library's error, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers and torch, which report on stderr what is checked here; settings are restored."""
    from transformers.utils import logging as library_logging

    library, bars = library_logging.get_logger(), library_logging.is_progress_bar_enabled()
    # Not by a level: one that is set empties the caches of all loggers, which costs more than a small model.
    handlers = {*library.handlers, *(logging.getLogger().handlers if library.propagate else ())}
    loud = [handler for handler in handlers if _is_shown not in handler.filters]
    for handler in loud:
        handler.addFilter(_is_shown)
    library_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler in loud:
            handler.removeFilter(_is_shown)
        if bars:
            library_logging.enable_progress_bar()


def _is_shown(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or record.name.partition(".")[0] != "transformers"
