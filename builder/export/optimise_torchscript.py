"""Rewrites TorchScript for devices other than the CPU, with the passes of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import torch
from torch.utils.mobile_optimizer import optimize_for_mobile

from builder.errors import Hint, ModelError, Use
from builder.export.error_texts import describe_torchscript_error
from builder.export.request import MobileBackend, Optimisation
from builder.export.samples import Sample
from builder.export.values import to_arguments

_FOR_CPU = Hint("export it for the CPU: ", Use("optimisation.backend", MobileBackend.CPU))


def optimise_module(
    module: torch.jit.ScriptModule, wanted: Optimisation, sample: Sample, methods: Sequence[str]
) -> torch.jit.ScriptModule:
    """Returns `module` rewritten for a device by torch, or unchanged if not enabled.

    Raises:
        ModelError: a pass of torch refuses the module.
    """
    if not wanted.enabled:
        return module
    try:
        match wanted.backend:
            case MobileBackend.METAL:
                return _for_metal(module, methods)
            case MobileBackend.NNAPI:
                return _for_nnapi(module, sample)
            case MobileBackend.CPU | MobileBackend.VULKAN:
                return module  # builder's own graph does that
            case _:
                assert_never(wanted.backend)
    except ModelError:
        raise
    except Exception as error:  # NNAPI's converter is Python that raises anything
        raise ModelError(
            f"the model cannot be optimised for {wanted.backend}: "
            f"{describe_torchscript_error(error)}",
            hint=_FOR_CPU,
        ) from error


def _for_metal(module: torch.jit.ScriptModule, methods: Sequence[str]) -> torch.jit.ScriptModule:
    frozen = torch.jit.freeze(module.eval(), preserved_attrs=list(methods))
    optimised: torch.jit.ScriptModule = optimize_for_mobile(
        frozen, preserved_methods=list(methods), backend=str(MobileBackend.METAL)
    )
    return optimised


def _for_nnapi(module: torch.jit.ScriptModule, sample: Sample) -> torch.jit.ScriptModule:
    # `check_capabilities` refuses NNAPI where the installed torch has no converter.
    from builder.export.nnapi import convert

    arguments = to_arguments(sample)
    tensors = [one for one in arguments if isinstance(one, torch.Tensor)]
    if len(tensors) != len(arguments):
        raise ModelError(
            "for NNAPI, all inputs of a model must be tensors",
            hint=_FOR_CPU,
        )
    return convert(module, tensors, channels_last=sample.channels_last)
