"""Switches off what torch's Transformer layers do on the side and no runtime can do."""

from __future__ import annotations

import torch
from torch import nn

_NESTED = (
    "nested tensors are switched off in nn.TransformerEncoder (enable_nested_tensor), since no "
    "runtime has them: where the padding mask is True at the end, the outputs are not zeros, as "
    "eager PyTorch makes them, and the sequence is not cut"
)


def switch_nested_off(module: torch.nn.Module) -> tuple[str, ...]:
    """Makes the encoders in `module` work on dense tensors; returns remarks.

    An encoder makes a nested tensor of its input when the mask of a call allows it; then the
    padding at the end is not computed.
    """
    changed = False
    for part in module.modules():
        # Those in TorchScript are not of this type.
        if isinstance(part, nn.TransformerEncoder):
            changed |= _could_nest(part)
            part.enable_nested_tensor = False
            # The name that newer torches read.
            if hasattr(part, "use_nested_tensor"):
                part.use_nested_tensor = False
    return (_NESTED,) if changed else ()


def switch_fast_paths_off(module: torch.nn.Module) -> None:
    """Lets Transformer layers in `module` call their parts, which may be quantised ones.

    The fast path of torch takes the weights of the parts itself, as floats.
    """
    for part in module.modules():
        if isinstance(part, nn.TransformerEncoderLayer):
            # 0 is an activation that the fast path does not know; the layer itself uses another
            # attribute.
            part.activation_relu_or_gelu = 0


def _could_nest(encoder: nn.TransformerEncoder) -> bool:
    if not (encoder.enable_nested_tensor and getattr(encoder, "use_nested_tensor", True)):
        return False
    first = next(iter(encoder.layers), None)
    return (
        isinstance(first, nn.TransformerEncoderLayer)
        and not first.norm_first
        and first.self_attn.batch_first
        and bool(first.activation_relu_or_gelu)
        and first.self_attn.num_heads % 2 == 0
    )
