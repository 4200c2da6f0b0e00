"""Checks of the weights in the files of a checkpoint against those of the network that was built.

transformers leaves out what the network has no place for, and says so in a log that nobody reads. A pooling
head, `layer_weights`, an adapter or the scales of int8 weights that are left out give other logits. A decoder
or the heads of pretraining and of transcription that stayed in the file do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

from harness import untrusted
from harness.errors import BadModel
from harness.plurals import plural

_FLOATS = ("F64", "F32", "F16", "BF16")
_MOST_MORE = 3 * 10**7
"""Numbers that a network may hold beyond those in the files: tables of positions and the like."""

_UNUSED = {
    "quantiser of pretraining": r"(quantizer|project_q|project_hid|layer_norm_for_extract)\.",
    "head of pretraining": r"(final_proj|ctc_proj|speaker_proj)\.|label_embs_concat|label_embeddings_concat",
    "head of transcription": r"(lm_head|proj_out)\.",
    "decoder": r"(model\.)?decoder\.",
    "mask of training": r"([\w-]+\.)?masked_spec_embed$",
    "loss": r"(loss|loss_fct|loss_fn|criterion)\.|(class|loss)_weights?$",
    "table that is computed": r"(.+\.)?(position_ids|inv_freq|num_batches_tracked)$",
}
"""Weights that no classifier of sounds uses, as regular expressions at the start of their names."""
_HINTS = {
    "layer_weights": "was it trained with use_weighted_layer_sum: true?",
    "adapter": "was it trained with add_adapter or adapter_attn_dim?",
    "scale": "are its weights quantised? score the model that they were made from",
    "SCB": "are its weights quantised? score the model that they were made from",
    "lora": "merge the adapter first: model.merge_and_unload().save_pretrained(folder)",
}


def require_numbers(name: str, files: Iterable[Path]) -> int:
    """Check that the weights are floating-point numbers, and count them.

    Raises:
        BadModel: a file is not whole, or its header is not one; or some are whole numbers or of 8 bits: they
            mean nothing without their scales.
    """
    from safetensors import SafetensorError

    n = 0
    for path in files:
        try:
            _require_header(path)
            n += _count_numbers(name, path)
        except (untrusted.Unreadable, SafetensorError, OSError, UnicodeError, OverflowError) as error:
            raise BadModel(
                f"{name}: {path.name} is no safetensors file that is whole ({' '.join(str(error).split())});"
                " was a copy cut short? copy or download it again"
            ) from None
    return n


def _require_header(path: Path) -> None:
    """The header is JSON that has one meaning; safetensors itself sees to what it says."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > untrusted.MAX_BYTES:
            raise untrusted.Unreadable(f"its header would have {length:,} bytes")
        untrusted.json_of(file.read(length))


def _count_numbers(name: str, path: Path) -> int:
    from safetensors import safe_open

    n = 0
    with safe_open(path, framework="np") as file:
        for key in file.keys():  # noqa: SIM118 - it is no dict
            tensor = file.get_slice(key)
            n += prod(tensor.get_shape())
            if tensor.get_dtype() not in _FLOATS and not _unused_kind(key):
                raise BadModel(
                    f"{name} has {key} as {tensor.get_dtype()} in {path.name}; expected floating point"
                    " of 16 bits or more: are its weights quantised? score the model they were made from"
                )
    return n


def require_room(name: str, model: Any, n_stored: int) -> None:
    """Check that a network, built without memory, is about as large as the numbers in its files.

    Raises:
        BadModel: it would be much larger.
    """
    n_built = sum(tensor.numel() for tensors in (model.parameters(), model.buffers()) for tensor in tensors)
    if n_built > n_stored + _MOST_MORE:
        raise BadModel(
            f"{name} would hold {plural(n_built, 'number')} by its config.json, and its files hold"
            f" {n_stored:,}; one of them is of another model"
        )


def require_all(name: str, loading_info: dict[str, Any], architectures: Any) -> None:
    """Check by what transformers reports that the files hold every weight of the network.

    Raises:
        BadModel: some would be random.
    """
    wrong_shape = [key if isinstance(key, str) else key[0] for key in loading_info["mismatched_keys"]]
    # The one weight that is used in training only.
    missing = sorted(
        k for k in {*loading_info["missing_keys"], *wrong_shape} if not k.endswith("masked_spec_embed")
    )
    if missing:
        class_note = f"; it is a {', '.join(architectures)} by its config.json" if architectures else ""
        raise BadModel(
            f"{name} has no fitting weights for {_few(missing)}: they would be random, and so would the"
            f" answers; was its head renamed, or was it saved as another class?{class_note}"
        )


def unused(name: str, loading_info: dict[str, Any]) -> list[str]:
    """Notes on weights in the files that the network does not use, and that change nothing; a line a kind.

    Raises:
        BadModel: some of it could change the logits.
    """
    kinds: dict[str, list[str]] = {}
    unknown = []
    for key in sorted(loading_info["unexpected_keys"]):
        if (kind := _unused_kind(key)) is None:
            unknown.append(key)
        else:
            kinds.setdefault(kind, []).append(key)
    if unknown:
        hint = next((hint for part, hint in _HINTS.items() if part in unknown[0]), None)
        raise BadModel(
            f"{name} has weights for {_few(unknown)}, and the network that its config.json describes has no"
            f" place for them: it would be another one; {hint or 'was it saved as another class?'}"
        )
    return [f"weights that no classifier uses ({kind}): {_few(keys)}" for kind, keys in kinds.items()]


def _unused_kind(key: str) -> str | None:
    return next((kind for kind, pattern in _UNUSED.items() if re.match(pattern, key)), None)


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
