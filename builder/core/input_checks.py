"""Checks whether inputs fit the signature of a method."""

from __future__ import annotations

from collections.abc import Sequence

from builder.core.nesting import Constant, Group, GroupKind, InputSpec, Number
from builder.core.signatures import UNKNOWN, Argument, Kind, Signature
from builder.core.tensors import DType, TensorSpec
from builder.errors import Hint, Use

NUMBERS = {"int": DType.INT64, "float": DType.FLOAT64, "bool": DType.BOOL}
"""Types of numbers -> dtypes of the tensors that the C API accepts in their place."""
_SCALARS = frozenset({"number", "Scalar"})
INPUTS_HINT = Hint(
    "describe each input once, in the order of the method's arguments: ",
    *(Use("inputs", "float32[1,3,224,224]"), " ", Use("inputs", "0.5"), " "),
    Use("inputs", "[int64[1,8]]"),
)


def find_misfit(signature: Signature, specs: Sequence[InputSpec]) -> str:
    """Returns why `specs` do not fit the arguments of a method; empty when they fit.

    Numbers of inputs and their types are compared. No model file contains the dtypes and shapes of
    its input tensors.
    """
    most, least = len(signature.arguments), _count_required(signature.arguments)
    if not least <= len(specs) <= most:
        takes = f"{most}" if least == most else f"{least} to {most}"
        inputs = "input" if takes == "1" else "inputs"
        return (
            f"{signature.method} takes {takes if most else 'no'} {inputs}: "
            f"{signature.parameters}; {len(specs)} {'was' if len(specs) == 1 else 'were'} given"
        )
    for index, (argument, spec) in enumerate(zip(signature.arguments, specs, strict=False)):
        if not _fits(argument.kind, spec):
            return (
                f"{signature.method} takes {signature.parameters}: input {index}, "
                f"{argument.name}, is {argument.kind}, but {spec!s:.120} was given"
            )
    return ""


def find_unpassable(signature: Signature) -> str:
    """Returns why no runtime can be given the arguments of a method; empty when it can.

    Objects of a model's own classes, named tuples among them, do not pass the C API.
    """
    for argument in signature.arguments:
        if _has_object(argument.kind):
            return (
                f"{signature.method} takes {signature.parameters}: {argument.name} is an object "
                "of a class of the model, which an app cannot pass"
            )
    return ""


def _has_object(kind: Kind) -> bool:
    return kind == UNKNOWN or "." in kind.name or any(map(_has_object, kind.of))


def strip_optional(kind: Kind) -> Kind:
    """Returns the type inside of an Optional; any other type is returned as it is."""
    return kind.of[0] if kind.name == "Optional" and len(kind.of) == 1 else kind


def inner_kinds(kind: Kind, group: Group) -> tuple[Kind, ...]:
    """Returns the types that the items of `group` must have to be a `kind`."""
    stripped, count = strip_optional(kind), len(group.items)
    match stripped.name, stripped.of:
        case "List", (item,):
            return (item,) * count
        case "Dict", (_, item):
            return (item,) * count
        case "Tuple", items if len(items) == count:
            return items
    return (UNKNOWN,) * count


def _fits(kind: Kind, spec: InputSpec) -> bool:
    if spec == Constant(None):
        return _takes_none(kind)
    return _fits_value(strip_optional(kind), spec)


def _fits_value(kind: Kind, spec: InputSpec) -> bool:
    match kind.name, spec:
        case ("Tensor", _):
            return isinstance(spec, TensorSpec)
        # Exactly this type, except that an int stands for a float, as in Python.
        case ("int" | "float" | "bool" as name, Number(value)):
            return type(value).__name__ == name or (name, type(value)) == ("float", int)
        case ("int" | "float" | "bool" as name, TensorSpec(dtype, shape)):
            return not shape and dtype is NUMBERS[name]
        case ("str", Constant()):
            return True
        case ("int" | "float" | "bool" | "str", _):
            return False
        case (name, Group() | Constant()) if name in _SCALARS:
            return False
        case ("Union", _):
            return any(_fits(choice, spec) for choice in kind.of)
        case ("List", _):
            return _fits_list(kind, spec)
        case ("Tuple" | "Dict", _):
            return _fits_group(kind, spec)
    return True


def _takes_none(kind: Kind) -> bool:
    if kind.name == "Union":
        return any(map(_takes_none, kind.of))
    return kind.name not in {"Tensor", "str", "List", "Tuple", "Dict", *NUMBERS, *_SCALARS}


def _fits_list(kind: Kind, spec: InputSpec) -> bool:
    if isinstance(spec, TensorSpec):  # the C API accepts a one-dimensional tensor as a list
        dtype = NUMBERS.get(kind.of[0].name) if len(kind.of) == 1 else None
        return len(spec.shape) == 1 and spec.dtype is dtype
    if not isinstance(spec, Group) or spec.kind is not GroupKind.LIST:
        return False
    return all(map(_fits, inner_kinds(kind, spec), spec.items))


def _fits_group(kind: Kind, spec: InputSpec) -> bool:
    if not isinstance(spec, Group) or spec.kind != kind.name.lower():
        return False
    if kind.name == "Tuple" and len(kind.of) != len(spec.items):
        return False
    # The C API has dicts with string keys only.
    if kind.name == "Dict" and kind.of[:1] not in ((), (Kind("str"),)):
        return False
    return all(map(_fits, inner_kinds(kind, spec), spec.items))


def _count_required(arguments: Sequence[Argument]) -> int:
    # Arguments are passed by position, so all before the last required one are needed too.
    required = [index for index, argument in enumerate(arguments) if argument.is_required]
    return required[-1] + 1 if required else 0
