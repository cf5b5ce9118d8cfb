"""Running a model eagerly and from its lite file, and judging the difference."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.core.artifacts import OutputDifference
from builder.core.differences import count_nan
from builder.core.tensors import Tensor
from builder.errors import ModelError, VerificationError
from builder.export.messages import describe_exception, shorten
from builder.export.values import flatten_outputs, to_torch

if TYPE_CHECKING:
    import torch


def run_eager(module: torch.nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Returns the flattened outputs of `module`, without gradients.

    Raises:
        ModelError: the inputs do not fit, the module raises, or its outputs have no C API type.
    """
    import torch

    try:
        with torch.no_grad():
            outputs = module(*map(to_torch, inputs))
    except Exception as error:  # the user's own code
        given = ", ".join(str(tensor.spec) for tensor in inputs)
        raise ModelError(
            f"the model does not run on {given}: {describe_exception(error)}",
            hint="give the inputs it takes: --shape 1,3,224,224 --dtype float32, once per input",
        ) from error
    return flatten_outputs(outputs)


def run_lite(content: bytes, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Returns the flattened outputs of a lite file, run by the installed torch.

    Raises:
        VerificationError: torch's own lite interpreter cannot load or run the file.
    """
    import torch
    from torch.jit.mobile import _load_for_lite_interpreter

    try:
        with torch.no_grad():
            module = _load_for_lite_interpreter(io.BytesIO(content))
            outputs = module(*map(to_torch, inputs))
    except (RuntimeError, ValueError) as error:
        raise VerificationError(
            f"torch {torch.__version__} cannot run the lite file: {shorten(str(error))}"
        ) from error
    return flatten_outputs(outputs)


def check_numbers(outputs: Sequence[Tensor]) -> None:
    """Raises ModelError when an output holds NaN: nothing could be compared with it."""
    for index, tensor in enumerate(outputs):
        if count := count_nan(tensor):
            raise ModelError(
                f"output {index}, {tensor.spec}, holds {count} NaN",
                hint="check the weights, try other inputs with --seed 1, or export without a "
                "comparison: --no-reference",
            )


def check_differences(differences: Sequence[OutputDifference], *, repeatable: bool) -> None:
    """Raises VerificationError, naming every output that is off; nothing is written then."""
    off = [difference for difference in differences if not difference.ok]
    if not off:
        return
    lines = "".join(f"\n  output {d.index}, {d.spec}: {describe_difference(d)}" for d in off)
    hint = (
        "a trace freezes decisions that depend on values: try --script; --no-optimize tells "
        "whether the optimiser is the reason; --tolerance 1e-3 accepts more"
        if repeatable
        else "two eager runs differ as well: the model is random, or keeps state"
    )
    raise VerificationError(f"the lite file differs from eager PyTorch:{lines}", hint=hint)


def describe_difference(difference: OutputDifference) -> str:
    """Returns what is wrong with one output, in words."""
    return difference.problem or (
        f"largest relative difference {difference.max_relative:.3g}, "
        f"allowed {difference.tolerance:.3g}"
    )
