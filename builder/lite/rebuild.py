"""Makes values out of what a pickle passes to a function (unpickler.cpp, Unpickler::readGlobal).

A maker raises ValueError with the reason when the arguments do not fit, and `UnsupportedError` for
values that PyTorch knows and builder does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from builder.errors import ModelError
from builder.lite.globals import Global
from builder.lite.objects import (
    CustomObject,
    Device,
    Dict,
    List,
    Quantizer,
    ScriptObject,
    Storage,
    Tensor,
)
from builder.lite.scalar_types import BY_DTYPE

Spend: TypeAlias = Callable[[int], None]
Maker: TypeAlias = Callable[[Any, Spend], object]

CUSTOM_CLASSES = "__torch__.torch.classes."
"""Prefix of the qualified names of classes that C++ code registers."""
PICKLE = "torch.jit._pickle"
TYPED_LISTS = {
    "List[bool]": Global(PICKLE, "build_boollist"),
    "List[float]": Global(PICKLE, "build_doublelist"),
    "List[int]": Global(PICKLE, "build_intlist"),
    "List[Tensor]": Global(PICKLE, "build_tensorlist"),
}
"""Types of lists that have a function of their own."""
TYPE_TAG = Global(PICKLE, "restore_type_tag")
COMPLEX = Global("builtins", "complex")
DEVICE = Global("torch", "device")
HOOKS = Global("collections", "OrderedDict")
PLAIN_TENSOR = Global("torch._utils", "_rebuild_tensor_v2")
QUANTIZED_TENSOR = Global("torch._utils", "_rebuild_qtensor")
PER_TENSOR = Global("torch", "per_tensor_affine")
PER_CHANNEL = Global("torch", "per_channel_affine")
PER_CHANNEL_REAL = Global("torch", "per_channel_affine_float_qparams")
"""Zero points are real numbers."""
_REAL = frozenset({"float16", "bfloat16", "float32", "float64"})
_KEYS = frozenset({str, int, float, complex, bool, Tensor, Device})
"""Types of values that a dict can have as keys (ATen/core/Dict_inl.h, DictKeyHash)."""
_TENSOR_STEPS = 16


class UnsupportedError(ModelError):
    """The file has a value that lite files of builder cannot have."""


def make_object(name: str, state: object, spend: Spend) -> object:
    """Returns an object of the class with the qualified name `name`.

    The attributes of an object stand in a dict without a type; a dict that `__getstate__` returned
    has one.
    """
    if name.startswith(CUSTOM_CLASSES):
        return CustomObject(name.removeprefix(CUSTOM_CLASSES), state)
    if not isinstance(state, Dict) or state.type:
        return ScriptObject(name, state=state, has_state=True)
    # Several objects can refer to the same dict.
    spend(len(state.items))
    attributes = {key: value for key, value in state.items if isinstance(key, str)}
    if len(attributes) != len(state.items):
        raise ValueError("an attribute of an object has no name")
    return ScriptObject(name, attributes)


def dict_items(pairs: Iterable[tuple[object, object]]) -> list[tuple[object, object]]:
    """Returns the items of a dict that has the values of `pairs` for their keys."""
    pairs = list(pairs)
    for kind in {type(key) for key, _ in pairs} - _KEYS:
        raise ValueError(f"a {kind.__name__} is used as a key")
    # A later value of a key replaces the earlier one. 1 and 1.0 and True are three keys.
    return list({(type(key), key): (key, value) for key, value in pairs}.values())


def is_real(zero_point: Tensor) -> bool:
    """Returns whether the zero points of a quantizer are real numbers, not integers."""
    return zero_point.dtype in _REAL


def fits_in(storage: Storage, offset: int, sizes: object, strides: object) -> bool:
    """Returns whether a tensor with these `sizes` and `strides` lies in its storage."""
    for numbers in (sizes, strides):
        if not isinstance(numbers, tuple) or not all(type(one) is int for one in numbers):
            return False
    assert isinstance(sizes, tuple)
    assert isinstance(strides, tuple)
    if len(sizes) != len(strides) or min(*sizes, *strides, offset, 0) < 0:
        return False
    if 0 in sizes:
        return True
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    return bool(last < storage.elements * BY_DTYPE[storage.dtype].packed)


def _tag(argument: object, _: Spend) -> object:
    match argument:
        case (List() | Dict() as value, str(annotation)):
            value.type = annotation
            return value
    raise ValueError("a type tag has no list, dict or type")


def _typed_list(annotation: str) -> Maker:
    def make(argument: object, _: Spend) -> object:
        match argument:
            case (List() as value, *_):
                value.type = annotation
                return value
        raise ValueError(f"{TYPED_LISTS[annotation].name} has no list")

    return make


def _tensor(argument: object, spend: Spend) -> object:
    match argument:
        case (Storage() as storage, int(offset), sizes, strides, requires_grad, _, *rest):
            if any(isinstance(one, Dict) and one.items for one in rest):
                raise UnsupportedError(
                    "it has a tensor that is a lazy conjugate or negative",
                    hint="resolve it before the export: tensor.resolve_conj().resolve_neg()",
                )
            return _make_tensor(storage, offset, sizes, strides, requires_grad, None, spend)
    raise ValueError("a tensor is incomplete")


def _quantized_tensor(argument: object, spend: Spend) -> object:
    match argument:
        case (Storage() as storage, int(offset), sizes, strides, parameters, requires_grad, *_):
            quantizer = _make_quantizer(parameters)
            if quantizer is None:
                raise ValueError("a tensor has an unknown quantizer")
            return _make_tensor(storage, offset, sizes, strides, requires_grad, quantizer, spend)
    raise ValueError("a quantised tensor is incomplete")


def _make_quantizer(parameters: object) -> Quantizer | None:
    match parameters:
        case (Global() as scheme, float(scale), int(zero_point)) if scheme == PER_TENSOR:
            return Quantizer(scale=scale, zero_point=zero_point)
        case (Global() as scheme, Tensor() as scales, Tensor() as zero_points, int(axis)) if (
            scheme in (PER_CHANNEL, PER_CHANNEL_REAL)
        ):
            return Quantizer(axis=axis, scale=scales, zero_point=zero_points)
    return None


def _make_tensor(
    storage: Storage,
    offset: int,
    sizes: Any,  # noqa: ANN401 - checked below
    strides: Any,  # noqa: ANN401 - checked below
    requires_grad: object,
    quantizer: Quantizer | None,
    spend: Spend,
) -> object:
    spend(_TENSOR_STEPS)
    if isinstance(sizes, tuple) and isinstance(strides, tuple):
        # Several tensors can refer to the same tuple.
        spend(len(sizes) + len(strides))
    if not fits_in(storage, offset, sizes, strides):
        raise ValueError("a tensor is larger than its storage")
    return Tensor(
        storage=storage,
        sizes=sizes,
        strides=strides,
        offset=offset,
        requires_grad=requires_grad is True,
        quantizer=quantizer,
    )


def _complex(argument: object, _: Spend) -> object:
    match argument:
        case (float(real), float(imaginary)):
            return complex(real, imaginary)
    raise ValueError("a complex number is incomplete")


def _device(argument: object, _: Spend) -> object:
    match argument:
        case (str(name), *_):
            return Device(name)
    raise ValueError("a device has no name")


def _sparse(_: object, __: Spend) -> object:
    raise UnsupportedError(
        "it has a sparse tensor, which lite files of builder cannot have",
        hint="make the tensor dense before the export: tensor.to_dense()",
    )


def _with_attributes(_: object, __: Spend) -> object:
    raise UnsupportedError("it has a tensor with attributes of Python, which no runtime can load")


def _int_list(argument: object, spend: Spend) -> object:
    # Files of very old versions: the list itself is the argument.
    return _tag((argument, "List[int]"), spend)


REBUILDERS: dict[Global, Maker] = {
    **{tag: _typed_list(annotation) for annotation, tag in TYPED_LISTS.items()},
    TYPE_TAG: _tag,
    COMPLEX: _complex,
    DEVICE: _device,
    # The hooks of a tensor, which are never there.
    HOOKS: lambda _, __: None,
    PLAIN_TENSOR: _tensor,
    QUANTIZED_TENSOR: _quantized_tensor,
    Global("torch._utils", "_rebuild_sparse_tensor"): _sparse,
    Global("torch._tensor", "_rebuild_from_type_v2"): _with_attributes,
    Global("__main__", "IntList"): _int_list,
}
"""The functions that a pickle may call."""
