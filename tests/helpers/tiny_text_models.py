"""Tiny models with random weights that take text beside audio: CLAP and Qwen2-Audio, saved as on the Hub.

Both take clips of a second. Their tokenisers have one token per byte, so that every word is several tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_BODY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def save_clap(folder: Path, *, fusion: bool = False) -> Path:
    """A `ClapModel` and its processor; `fusion`: that combines parts of longer clips. The folder."""
    import transformers

    text = _BODY | {"vocab_size": 300, "max_position_embeddings": 130}
    sizes = {"window_size": 4, "num_mel_bins": 16, "spec_size": 64, "hidden_size": 16, "depths": [1, 1]}
    heads = {"num_attention_heads": [2, 2], "patch_embeds_hidden_size": 8}
    audio = sizes | heads | {"enable_fusion": fusion}
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=8)
    extractor = transformers.ClapFeatureExtractor(
        feature_size=16, max_length_s=1, truncation="fusion" if fusion else "rand_trunc"
    )
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = transformers.RobertaTokenizer(vocab=_bytes(special), merges=[])
    processor = transformers.ClapProcessor(extractor, tokenizer)
    return _save(folder, transformers.ClapModel(config), processor)


def save_qwen(folder: Path) -> Path:
    """A `Qwen2AudioForConditionalGeneration` and its processor. The folder."""
    import transformers

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
    vocabulary = _bytes(special)
    tokenizer = transformers.Qwen2Tokenizer(vocab=vocabulary, merges=[], extra_special_tokens=special[1:])
    text = _BODY | {"model_type": "qwen2", "vocab_size": len(vocabulary), "num_key_value_heads": 2}
    audio = {
        "model_type": "qwen2_audio_encoder",
        "d_model": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "num_mel_bins": 16,
        "max_source_positions": 50,
    }
    config = transformers.Qwen2AudioConfig(
        audio_config=audio, text_config=text, audio_token_index=vocabulary["<|AUDIO|>"]
    )
    extractor = transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=1)
    processor = transformers.Qwen2AudioProcessor(extractor, tokenizer)
    return _save(folder, transformers.Qwen2AudioForConditionalGeneration(config), processor)


def _bytes(special: list[str]) -> dict[str, int]:
    from tokenizers.pre_tokenizers import ByteLevel

    return {token: i for i, token in enumerate([*special, *sorted(ByteLevel.alphabet())])}


def _save(folder: Path, model: Any, processor: Any) -> Path:
    """Save a model with weights that make a difference: fresh ones hardly tell one input from another."""
    import torch
    from transformers.utils import logging

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, parameter[0].numel() ** -0.5)
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
