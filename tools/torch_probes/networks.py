"""Well-known models that the probes export, with random weights: `networks:bert` and friends."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torchvision
import transformers
from torch import Tensor, nn
from transformers.models.whisper.modeling_whisper import WhisperEncoder

_BERT = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
_WORDS, _PICTURE = {"input_ids": (1, 16)}, {"pixel_values": (1, 3, 64, 64)}


def mobilenet_v2() -> nn.Module:
    """The classifier of torchvision, for small pictures."""
    return torchvision.models.mobilenet_v2().eval()


def bert() -> nn.Module:
    """Two layers of BERT."""
    return transformers.BertModel(transformers.BertConfig(intermediate_size=128, **_BERT)).eval()


def distilbert() -> nn.Module:
    """Two layers of DistilBERT."""
    wanted = transformers.DistilBertConfig(dim=64, n_layers=2, n_heads=4, hidden_dim=128)
    return transformers.DistilBertModel(wanted).eval()


def vit() -> nn.Module:
    """Two layers of a Vision Transformer."""
    wanted = transformers.ViTConfig(intermediate_size=128, image_size=64, **_BERT)
    return transformers.ViTModel(wanted).eval()


def mobilevit() -> nn.Module:
    """MobileViT in the smallest of its published sizes."""
    wanted = transformers.MobileViTConfig(
        hidden_sizes=[64, 80, 96], neck_hidden_sizes=[16, 16, 24, 48, 64, 80, 320], image_size=64
    )
    return transformers.MobileViTModel(wanted).eval()


def whisper_encoder() -> nn.Module:
    """Two layers of Whisper's encoder, for two seconds of sound."""
    wanted = transformers.WhisperConfig(
        d_model=64,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=128,
        max_source_positions=100,
    )
    return WhisperEncoder(wanted).eval()


SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "mobilenet_v2": {"x": (1, 3, 64, 64)},
    "bert": _WORDS,
    "distilbert": _WORDS,
    "vit": _PICTURE,
    "mobilevit": _PICTURE,
    "whisper_encoder": {"input_features": (1, 80, 200)},
}
"""The inputs of each by name; those called `input_ids` are int64."""


def make_inputs(name: str) -> dict[str, Tensor]:
    """Returns random inputs for the model `name`."""
    return {
        key: torch.randint(0, 8, shape) if key == "input_ids" else torch.rand(shape)
        for key, shape in SHAPES[name].items()
    }
