"""Checks of config.json before a model is built from it.

transformers checks the types of the fields it knows, and it ignores the rest: also what would make another
network of the same weights. Here everything that decides the logits and is not built is refused, and so are
numbers of layers and classes that no checkpoint has, which would take hours or all of the memory.
"""

from __future__ import annotations

from typing import Any

from harness.errors import BadModel
from harness.models.architectures import require_audio
from harness.models.checkpoints import Checkpoint, config_of

MOST_LAYERS = 1000
MOST_CLASSES = 100_000

_OWN_CLASS = "AutoModelForAudioClassification"
_LAYERS = ("_layers", "num_conv_pos_embeddings")
"""Ends of the names of fields that say how many layers there are."""
_OTHER_FILES = ("transformers_weights", "extra_files", "extra_config_files", "per_layer_config")
_MULTI_LABEL = "multi_label_classification"


def require_buildable(checkpoint: Checkpoint) -> None:
    """Check that transformers builds the network that config.json describes.

    Raises:
        BadModel: it is not; the line says which field is in the way.
    """
    name, config = checkpoint.ref.repo_id, config_of(checkpoint)
    if config.get("auto_map"):
        _require_own_code(name, config["auto_map"], checkpoint.trusted)
    for key in ("attn_implementation", "_attn_implementation"):
        # A name like org/kernel would be fetched from the Hub and run.
        if config.get(key) not in (None, "eager", "sdpa"):
            raise BadModel(
                f"{name} asks for {key} {config[key]!r:.60} in config.json; expected eager or sdpa: remove it"
            )
    require_audio(name, config)
    if not config.get("auto_map"):
        _require_known_class(name, config["model_type"], config)
    for key in _OTHER_FILES:
        if config.get(key):
            raise BadModel(f"{name} has {key} in config.json, which is not read here; save the model without")
    if config.get("quantization_config"):
        raise BadModel(
            f"{name} has quantised weights (quantization_config in config.json), which are not read here;"
            " score the model that they were made from, or model.dequantize() and save it again"
        )
    if config.get("problem_type") == "regression":
        raise BadModel(
            f"{name} is a regression (problem_type in config.json): its outputs are measures, not classes"
        )
    _require_layers(name, config)
    _require_number_of_classes(name, config)


def notes_of(checkpoint: Checkpoint, class_name: str) -> list[str]:
    """Settings of the author in config.json that scoring ignores, one line each, for what it was built as.

    The checkpoint is one that passed `require_buildable`.
    """
    config, notes = config_of(checkpoint), []
    if is_multi_label(checkpoint):
        notes.append(
            "trained to give several classes at once (problem_type multi_label_classification); scored by"
            " the best one alone"
        )
    names = config.get("architectures") or [class_name]
    if names != [class_name]:
        notes.append(
            f"config.json names {', '.join(map(str, names))}; built as {class_name}, which all weights fit"
        )
    return notes


def is_multi_label(checkpoint: Checkpoint) -> bool:
    """Whether it was trained to give several classes at once."""
    return config_of(checkpoint).get("problem_type") == _MULTI_LABEL


def _require_own_code(name: str, auto_map: Any, trusted: bool) -> None:
    has_classifier = isinstance(auto_map, dict) and _OWN_CLASS in auto_map
    if not has_classifier:
        class_names = ", ".join(map(str, auto_map)) if isinstance(auto_map, dict) else repr(auto_map)[:60]
        raise BadModel(
            f"{name} brings code of its own (auto_map in config.json), which is not run unasked, and which"
            f" has no {_OWN_CLASS}, only {class_names}: ask its author to register a classifier, with"
            f' register_for_auto_class("{_OWN_CLASS}")'
        )
    if not trusted:
        raise BadModel(
            f"{name} brings code of its own (auto_map in config.json), which is not run unasked; read it, and"
            " if you trust it give --trust-remote-code, for a Hub model with --revision and all 40 digits"
        )


def _require_known_class(name: str, kind: str, config: dict[str, Any]) -> None:
    """The class is one of transformers; which one, and with which pooling, the weights do not show."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES

    class_name, names = MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES[kind], config.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(other, str) for other in names):
        raise BadModel(f"{name}: architectures in config.json must be a list of names; found {names!r:.60}")
    unknown = [other for other in names if not _is_of(getattr(transformers, other, None), kind)]
    if unknown and class_name not in names:
        raise BadModel(
            f"{name} is a {unknown[0]:.60} (architectures in config.json), which transformers does not have"
            f" for {kind}, and {class_name} could be another network; build it anew as {class_name}, or"
            " bring its code (auto_map)"
        )
    if config.get("pooling_mode", "mean") not in ("mean", None):
        raise BadModel(
            f"{name} has pooling_mode {config['pooling_mode']!r:.60} in config.json, and {class_name} takes"
            " the mean: it would be another network"
        )


def _is_of(model_class: Any, kind: str) -> bool:
    return getattr(getattr(model_class, "config_class", None), "model_type", None) == kind


def _require_layers(name: str, config: dict[str, Any]) -> None:
    """Layers are built one by one, so a number that no checkpoint has would take hours."""
    for field, value in config.items():
        if field.endswith(_LAYERS) and isinstance(value, int) and value > MOST_LAYERS:
            raise BadModel(
                f"{name}: {field} is {value:.3g} in config.json; expected at most {MOST_LAYERS}: is that file"
                " of this model?"
            )


def _require_number_of_classes(name: str, config: dict[str, Any]) -> None:
    """`num_labels` would make default names: as many as it says."""
    n_classes, id2label = config.get("num_labels"), config.get("id2label")
    if n_classes is None:
        return
    if not isinstance(n_classes, int) or isinstance(n_classes, bool) or not 0 <= n_classes <= MOST_CLASSES:
        raise BadModel(
            f"{name}: num_labels is {n_classes!r:.60} in config.json; expected the number of classes, at most"
            f" {MOST_CLASSES}"
        )
    if id2label is not None and n_classes != len(id2label):
        raise BadModel(
            f"{name}: num_labels is {n_classes} in config.json, and id2label names {len(id2label)}; one of"
            " them is of another model"
        )
