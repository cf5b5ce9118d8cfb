"""Types of arguments in ATen's schemas, and the constants of Python that fit them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from builder.graph.graph import Value
from builder.lite.objects import Device, Storage, Tensor

Operand: TypeAlias = "Value | Tensor | Device | str | complex | Sequence[Operand] | None"
"""An argument before its schema is known: a value of the graph, or a constant."""

_TYPE = re.compile(
    r"(?P<base>[\w.]+)(?P<inner>\?)?(?:(?P<list>\[)(?P<count>\d*)\](?P<outer>\?)?)?", re.ASCII
)
_NAMES = {
    "Scalar": "number",
    "SymInt": "int",
    "ScalarType": "int",
    "Layout": "int",
    "MemoryFormat": "int",
    "QScheme": "int",
}
"""Types of ATen's schemas -> those of TorchScript, where they differ."""
NUMBERS = ("int", "float", "bool", "number", "complex")
"""Types of numbers in TorchScript's syntax."""


class UnsupportedError(Exception):
    """A part of a program that builder cannot convert; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type in a schema."""

    base: str
    """Type of one item, in TorchScript's syntax."""
    optional: bool
    """Whether the whole may be None."""
    is_list: bool = False
    count: int = 0
    """Fixed number of items of a list; 0: any number."""
    optional_items: bool = False

    @property
    def item(self) -> str:
        """Type of an item in TorchScript's syntax."""
        return f"Optional[{self.base}]" if self.optional_items else self.base

    @property
    def text(self) -> str:
        """The type in TorchScript's syntax."""
        return f"List[{self.item}]" if self.is_list else self.base


@lru_cache(maxsize=1024)
def parse_kind(text: str) -> Kind:
    """Returns a type of ATen's syntax, such as `SymInt[2]?`; UnsupportedError for others."""
    match = _TYPE.fullmatch(text)
    if match is None:
        raise UnsupportedError(f"the type {text} is not supported")
    base = _NAMES.get(match["base"], match["base"])
    inner = match["inner"] is not None
    if match["list"] is None:
        return Kind(base, inner)
    return Kind(base, bool(match["outer"]), True, int(match["count"] or 0), inner)


def fit(operand: Operand, base: str) -> tuple[object, str]:
    """Returns a constant with its type, converted as Python converts between numbers."""
    # A schema with a type variable takes every type, and the constant keeps its own.
    if base in ("t", "Any"):
        return operand, type(operand).__name__
    if base == "Tensor" and isinstance(operand, bool | int | float):
        return _make_scalar_tensor(operand), base
    kinds, convert = _CONSTANTS.get(base, ((), None))
    if not isinstance(operand, kinds):
        raise UnsupportedError(f"a {type(operand).__name__} stands for a {base}")
    if base == "number":
        return operand, type(operand).__name__
    return (operand if convert is None else convert(operand)), base


_CONSTANTS: Mapping[str, tuple[tuple[type, ...], Callable[[Any], object] | None]] = {
    "Tensor": ((Tensor,), None),
    # Python takes an int for a float. The runtime does not convert what it finds on its stack.
    "float": ((bool, int, float), float),
    "int": ((bool, int), int),
    "bool": ((bool,), None),
    "number": ((bool, int, float, complex), None),
    "complex": ((int, float, complex), complex),
    "str": ((str,), None),
    "Device": ((Device,), None),
}
"""Type in TorchScript's syntax -> types of Python that fit it, and what converts them."""


def _make_scalar_tensor(number: float) -> Tensor:
    """Returns a tensor without dimensions, of the dtype that PyTorch gives to a number."""
    dtype, layout = (
        ("bool", "?")
        if isinstance(number, bool)
        else ("int64", "q")
        if isinstance(number, int)
        # A Python float is float32 in PyTorch unless the default dtype was changed, which no file
        # says.
        else ("float32", "f")
    )
    data = memoryview(struct.pack("<" + layout, number))
    storage = Storage(dtype=dtype, elements=1, read=lambda: data)
    return Tensor(storage=storage, sizes=(), strides=())
