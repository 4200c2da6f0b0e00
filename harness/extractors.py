"""The feature extractor of a checkpoint: opened from its own file, and held against its config.

Public: ARCHITECTURES, open_extractor, backend, quiet, one_line.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from harness.architectures import ARCHITECTURES
from harness.checkpoints import Checkpoint, preprocessor_of
from harness.errors import BadModel
from harness.frontends import quicken


def open_extractor(checkpoint: Checkpoint, config: Any) -> Any:
    """The feature extractor, from the very file that the revision was computed from."""
    import transformers

    name, settings = checkpoint.ref.repo_id, preprocessor_of(checkpoint)
    if config.model_type not in ARCHITECTURES:
        return _own_extractor(checkpoint)
    expected = ARCHITECTURES[config.model_type]
    # Absent in some wav2vec2-bert files, where guessing by model type picks the wrong one.
    if (found := settings.get("feature_extractor_type", expected)) != expected:
        raise BadModel(
            f"{name}: preprocessor_config.json is of a {found}, and {config.model_type} is fed by a"
            f" {expected}; save the one of the base model:"
            " AutoFeatureExtractor.from_pretrained(base).save_pretrained(folder)"
        )
    try:
        with quiet():
            extractor = getattr(transformers, expected).from_dict(settings)
    except Exception as error:
        raise BadModel(f"{name}: no {expected} from preprocessor_config.json: {one_line(error)}") from None
    if getattr(extractor, "dither", 0.0):
        extractor.dither = 0.0  # noise on purpose: a verdict must not depend on chance
    if expected == "ASTFeatureExtractor":
        quicken(extractor)
    made, wanted = _shapes(config, extractor)
    if made != wanted:
        raise BadModel(
            f"{name}: its feature extractor makes {made[0]} frames of {made[1]} mel bands, its config wants"
            f" {wanted[0]} of {wanted[1]}; one of the two files is of another model"
        )
    return extractor


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
        # It keeps filters of its own only when torchaudio is not there to make them.
        return "numpy fbank" if hasattr(extractor, "mel_filters") else "torchaudio fbank"
    return "torch" if type(extractor).__name__ == "WhisperFeatureExtractor" else "numpy"


def one_line(error: Exception) -> str:
    """What a library says, for the end of a line of ours."""
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence: transformers and torch report on stderr what is checked here; settings are put back."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
