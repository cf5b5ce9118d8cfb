"""Rewrites TorchScript for devices other than the CPU, with the passes of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

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
    # Not every torch has this package; `check_capabilities` refuses NNAPI where it is missing.
    from torch.backends._nnapi.prepare import convert_model_to_nnapi

    arguments: list[Any] = list(to_arguments(sample))
    if not all(isinstance(argument, torch.Tensor) for argument in arguments):
        raise ModelError(
            "for NNAPI, all inputs of a model must be tensors",
            hint=_FOR_CPU,
        )
    for argument in arguments:
        # The converter reads this attribute of its sample inputs
        # (torch/backends/_nnapi/serializer.py).
        argument.nnapi_nhwc = sample.channels_last and argument.dim() == 4
    converted: torch.jit.ScriptModule = convert_model_to_nnapi(module, arguments)
    return converted
