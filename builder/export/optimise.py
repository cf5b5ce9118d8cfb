"""Rewriting TorchScript for the mobile CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import ModelError
from builder.export.messages import describe_torchscript_error

if TYPE_CHECKING:
    import torch


def optimise_module(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """Returns `module` frozen, folded and rewritten to XNNPACK's prepacked operators.

    Batch norms are folded by `torch.jit.freeze`, and the pass of `optimize_for_mobile` that
    does the same is left out: from torch 1.11 on it loses the bias when a traced convolution
    has none of its own (https://github.com/pytorch/pytorch/issues/76807). The operators that
    result are the same.

    Raises:
        ModelError: a pass of torch refuses the module.
    """
    import torch
    from torch.utils.mobile_optimizer import MobileOptimizerType, optimize_for_mobile

    try:
        return optimize_for_mobile(
            torch.jit.freeze(module.eval()),
            optimization_blocklist={MobileOptimizerType.CONV_BN_FUSION},
        )
    except RuntimeError as error:
        raise ModelError(
            f"the model cannot be optimised for mobile: {describe_torchscript_error(error)}",
            hint="export it with --no-optimize",
        ) from error
