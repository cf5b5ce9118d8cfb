"""Reads the arguments of nodes: names of values, and constants with the numbers of c10's enums."""

from __future__ import annotations

from typing import Any

from builder.core.dtypes import SCALAR_TYPES
from builder.graph.graph import Value
from builder.lite.objects import Device
from builder.pt2 import document
from builder.pt2.document import STRIDED, Argument, name_dtype, read_float
from builder.pt2.kinds import Operand, UnsupportedError

_MEMORY_FORMATS = {1: 0, 2: 2, 3: 3, 4: 1}
"""MemoryFormat of schema.py -> that of c10/core/MemoryFormat.h."""
SYMBOLIC = {"as_sym_int": "int", "as_sym_float": "float", "as_sym_bool": "bool"}
"""Kinds of arguments that are numbers -> their types in TorchScript."""
_LONGEST_NAME = 100
ABSENT = Value("NoneType")
"""Stands for a result of an operator that the operators in its place do not have."""

Scope = dict[str, Operand]
"""Names of a graph -> their values."""


def read_argument(argument: Argument, scope: Scope, devices: set[str]) -> Operand:
    """Returns the operand that an argument or an output describes.

    Args:
        argument: the argument.
        scope: the values that it may name.
        devices: receives the names of devices other than the CPU.

    Raises:
        UnsupportedError: no value has its name, or builder does not know its kind.
    """
    return _read(*argument.choice, scope, devices)


def _read(kind: str, value: Any, scope: Scope, devices: set[str]) -> Operand:  # noqa: ANN401, C901
    match kind:
        case "as_none":
            return None
        case "as_tensor":
            return _look_up(value.name, scope)
        case "as_tensors":
            return [_look_up(one.name, scope) for one in value]
        case "as_nested_tensors":
            return [[_look_up(one.name, scope) for one in inner] for inner in value]
        case "as_int" | "as_string" | "as_bool":
            return _check(value)
        case "as_ints" | "as_strings" | "as_bools" | "as_int_lists":
            return [_check(item) for item in value]
        case "as_float":
            return _read_float(value)
        case "as_floats":
            return [_read_float(item) for item in value]
        case "as_complex":
            return complex(_read_float(value.real), _read_float(value.imag))
        case "as_sym_int" | "as_sym_float" | "as_sym_bool" | "as_optional_tensor":
            inner, content = value.choice
            if inner == "as_name":
                return _look_up(content, scope)
            return _read(inner, content, scope, devices)
        case "as_sym_ints" | "as_sym_floats" | "as_sym_bools" | "as_optional_tensors":
            one = {"as_optional_tensors": "as_optional_tensor"}.get(kind, kind[:-1])
            return [_read(one, item, scope, devices) for item in value]
        case "as_scalar_type":
            name = name_dtype(value)
            if name not in SCALAR_TYPES:
                raise UnsupportedError(f"no runtime has {name}")
            return SCALAR_TYPES.index(name)
        case "as_memory_format" if value in _MEMORY_FORMATS:
            return _MEMORY_FORMATS[value]
        case "as_layout" if value == STRIDED:
            return 0  # kStrided of c10/core/Layout.h
        case "as_device":
            return _read_device(value, devices)
    raise UnsupportedError(f"builder does not know arguments like this one ({kind[3:]})")


def _read_device(device: document.Device, devices: set[str]) -> Device:
    if device.type == "meta":
        raise UnsupportedError("a tensor on the device meta has no values")
    if device.type != "cpu":
        devices.add(device.type[:_LONGEST_NAME])
    # Runtimes compute on the CPU. The note about the other devices is the user's warning.
    return Device("cpu")


def _read_float(value: float | str) -> float:
    try:
        return read_float(value)
    except ValueError as error:
        raise UnsupportedError(str(error)) from None


def _look_up(name: str, scope: Scope) -> Operand:
    if name not in scope:
        raise UnsupportedError(f"no value is called {name!r:.80}")
    if scope[name] is ABSENT:
        raise UnsupportedError(f"{name!r:.80} is a result for training, which was left out")
    return scope[name]


def _check(value: Operand) -> Operand:
    if isinstance(value, list):
        return [_check(item) for item in value]
    # JSON has integers of any length.
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise UnsupportedError("a number does not fit into 64 bits")
    return value
