"""Calls of the modules that take inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method and its arguments."""

    method: str
    inputs: tuple[Any, ...] = ()


def _ramp(*sizes: int) -> torch.Tensor:
    return torch.linspace(-1.0, 1.0, torch.Size(sizes).numel()).reshape(sizes)


_IMAGE = (Call(method="forward", inputs=(_ramp(1, 3, 224, 224),)),)

METHODS: dict[str, tuple[Call, ...]] = {
    "mobilenet_v2": _IMAGE,
    "resnet18": _IMAGE,
    "android_api_module": (
        Call(method="forward", inputs=(_ramp(2),)),
        Call(method="eqBool", inputs=(True,)),
        Call(method="eqBool", inputs=(False,)),
        Call(method="eqInt", inputs=(-(2**63),)),
        Call(method="eqFloat", inputs=(-0.1,)),
        Call(method="eqTensor", inputs=(_ramp(3, 2),)),
        Call(method="listIntSumReturnTuple", inputs=([1, -2, 3],)),
        Call(method="listBoolConjunction", inputs=([True, False, True],)),
        Call(method="listBoolDisjunction", inputs=([False, True],)),
        Call(method="optionalIntIsNone", inputs=(0,)),
        Call(method="intEq0None", inputs=(0,)),
        Call(method="intEq0None", inputs=(1,)),
        Call(method="newEmptyShapeWithItem", inputs=(torch.tensor([7]),)),
        Call(method="testAliasWithOffset"),
        Call(method="testNonContiguous"),
        Call(method="conv2d", inputs=(_ramp(1, 3, 5, 6), _ramp(2, 3, 2, 2), False)),
        Call(method="conv2d", inputs=(_ramp(1, 3, 5, 6), _ramp(2, 3, 2, 2), True)),
        Call(method="conv3d", inputs=(_ramp(1, 2, 4, 5, 3), _ramp(2, 2, 2, 2, 2), False)),
        Call(method="conv3d", inputs=(_ramp(1, 2, 4, 5, 3), _ramp(2, 2, 2, 2, 2), True)),
        Call(method="contiguous", inputs=(_ramp(2, 3),)),
        Call(method="contiguousChannelsLast", inputs=(_ramp(2, 3, 4, 5),)),
        Call(method="contiguousChannelsLast3d", inputs=(_ramp(2, 3, 4, 5, 2),)),
    ),
}

NOT_CARRIED: dict[str, tuple[str, ...]] = {
    "android_api_module": (
        "methods with strings: eqStr, str3Concat",
        "methods with dicts: eqDictStrKeyIntValue, eqDictIntKeyIntValue, eqDictFloatKeyIntValue",
        "methods with tuples: tupleIntSumReturnTuple",
    ),
}
"""What the C API has no arguments for."""
