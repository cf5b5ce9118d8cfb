"""Models for Android's NNAPI, by torch's converter. Not every torch has it: import this lazily."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.backends._nnapi.prepare import convert_model_to_nnapi
from torch.backends._nnapi.serializer import NNAPI_OperationCode, _NnapiSerializer


class _Serializer(_NnapiSerializer):  # type: ignore[misc] # torch has no types here
    """Torch's, which knows neither operators that change a tensor in place nor relu6."""

    def serialize_model(self, model: Any, *arguments: Any) -> Any:  # noqa: ANN401
        # Torch calls this with the frozen model, whose constants the pass has to see.
        torch._C._jit_pass_remove_mutation(model.graph)  # noqa: SLF001
        return super().serialize_model(model, *arguments)

    def add_node(self, node: Any) -> None:  # noqa: ANN401
        if node.kind() == "aten::relu6":
            self.add_pointwise_simple_unary_op(node, NNAPI_OperationCode.RELU6)
        else:
            super().add_node(node)


def convert(
    module: torch.jit.ScriptModule, inputs: Sequence[torch.Tensor], *, channels_last: bool
) -> torch.jit.ScriptModule:
    """Returns a module that hands the whole of `module` to NNAPI.

    Args:
        module: traced or scripted, in eval mode.
        inputs: tensors with the dtypes and the shapes of its inputs.
        channels_last: whether NNAPI gets its images as NHWC.

    Raises:
        Exception: the converter cannot express the module; it raises anything.
    """
    for tensor in inputs:
        # The converter reads this attribute (torch/backends/_nnapi/serializer.py).
        tensor.nnapi_nhwc = channels_last and tensor.dim() == 4
    converted: torch.jit.ScriptModule = convert_model_to_nnapi(
        module, list(inputs), serializer=_Serializer(config=None)
    )
    return converted
