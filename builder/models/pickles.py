"""Reads the pickles of a model without executing them.

The opcodes are those that torch/csrc/jit/serialization/unpickler.cpp reads. A global becomes a
plain name. A pickle that names a global which unpickler.cpp does not know is refused. Nothing is
imported, looked up or called.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builder.errors import ModelError
from builder.models.effort import Effort
from builder.models.globals import (
    COMPLEX,
    FIRST_ARGUMENT,
    TYPE_TAG,
    Global,
    is_known,
    is_script_class,
    printable,
)
from builder.models.pickle_stack import PickleStack

_LARGE_STEPS = 4
"""Steps of `Effort` for a list, a dict or a global, which take more memory than other values."""


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A value whose content builder does not need: a tensor, an object, a device."""

    kind: Global


@dataclass(frozen=True, slots=True)
class Unpickled:
    """The plain values of a pickle."""

    value: Any
    """Consists of None, bool, int, float, str, list, tuple, dict, Global and Opaque."""
    types: frozenset[str]
    """Qualified names of all classes, and all type annotations of containers."""
    storages: frozenset[str]
    """Names of the storages of tensors, e.g. `FloatStorage`; `complex` for complex numbers."""


def parse_pickle(data: bytes, *, record: str, effort: Effort | None = None) -> Unpickled:
    """Returns the value in `data`, a pickle of protocol 2 that TorchScript wrote.

    Args:
        data: the whole pickle.
        record: name of the pickle in the archive, for messages.
        effort: the limit for the work; None: a limit in proportion to `data`.

    Raises:
        ModelError: the pickle is damaged, calls an unknown function, or causes too much work.
    """
    machine = _Machine(data, record, effort or Effort.of(len(data)))
    value = machine.run()
    return Unpickled(value, frozenset(machine.types), frozenset(machine.storages))


class _Machine(PickleStack):
    """Executes the opcodes: keeps the memo, and collects types and storages."""

    def __init__(self, data: bytes, record: str, effort: Effort) -> None:
        super().__init__(data, record)
        self._effort = effort
        self._memo: dict[int, Any] = {}
        self.types: set[str] = set()
        self.storages: set[str] = set()

    def run(self) -> Any:  # noqa: ANN401 - a pickle is anything
        # TorchScript's pickler begins with PROTO 2 (pickler.cpp, Pickler::protocol).
        if self.take(2) != b"\x80\x02":
            raise self.damage("it is not a protocol 2 pickle")
        while True:
            self._effort.spend(1)
            opcode = self.take(1)[0]
            if opcode == _STOP:
                if len(self.values) != 1:
                    raise self.damage(f"it ends with {len(self.values)} values")
                return self.values[0]
            step = _STEPS.get(opcode)
            if step is None:
                raise self.damage(f"TorchScript does not write opcode 0x{opcode:02x}")
            step(self)

    def container(self, empty: list[Any] | dict[Any, Any]) -> None:
        self._effort.spend(_LARGE_STEPS)
        self.push(empty)

    def string(self, layout: struct.Struct) -> None:
        self.push(self.take(self.number(layout)).decode("utf-8", "replace"))

    def long(self) -> None:
        # LONG1: TorchScript writes eight bytes, though the format allows other lengths.
        if self.take(1) != b"\x08":
            raise self.damage("a long integer does not have 8 bytes")
        self.push(self.number(_INT64))

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def tuple_to_mark(self) -> None:
        self.push(tuple(self.pop_to_mark()))

    def list_to_mark(self) -> None:
        self.push(self.pop_to_mark())

    def append(self) -> None:
        value = self.pop()
        self.top(list).append(value)

    def appends(self) -> None:
        values = self.pop_to_mark()
        self.top(list).extend(values)

    def dict_to_mark(self) -> None:
        values = self.pop_to_mark()
        self.push({})
        self._set(values)

    def setitem(self) -> None:
        value = self.pop()
        self._set([self.pop(), value])

    def setitems(self) -> None:
        self._set(self.pop_to_mark())

    def _set(self, flat: list[Any]) -> None:
        target = self.top(dict)
        if len(flat) % 2:
            raise self.damage("a key has no value")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if not isinstance(key, str | int | float | Opaque | None):
                raise self.damage(f"a {type(key).__name__} is used as a key")
            target[key] = value

    def put(self, layout: struct.Struct) -> None:
        if not self.values:
            raise self.damage("there is no value to remember")
        self._memo[self.number(layout)] = self.values[-1]

    def get(self, layout: struct.Struct) -> None:
        index = self.number(layout)
        if index not in self._memo:
            raise self.damage(f"memo {index} was never set")
        self.push(self._memo[index])

    def name_global(self) -> None:
        self._effort.spend(_LARGE_STEPS)
        tag = Global(self.line(), self.line())
        if not is_known(tag):
            raise ModelError(
                f"{self.record} tries to call {printable(str(tag))}; "
                "builder never executes models, and nothing was run",
                hint="do not load this file with PyTorch either; export the model again "
                "from a source you trust: builder export SOURCE -o model.ptl",
            )
        if is_script_class(tag.module):
            self.types.add(str(tag))
        self.push(tag)

    def new_object(self) -> None:
        # NEWOBJ: the arguments go, the class stays and stands for the object.
        self.pop()
        if not self.values or not isinstance(self.values[-1], Global):
            raise self.damage("an object has no class")

    def reduce(self) -> None:
        argument, tag = self.pop(), self.pop()
        if not isinstance(tag, Global):
            raise self.damage("the called value is not a global")
        if tag == TYPE_TAG:
            self.push(self._restore_type_tag(argument))
        elif tag in FIRST_ARGUMENT:
            if not isinstance(argument, tuple) or not argument:
                raise self.damage(f"{tag.name} has no list")
            self.push(argument[0])
        else:
            # Nothing is called: the result of an unknown function is a value without content.
            if tag == COMPLEX:
                self.storages.add(tag.name)
            self.push(Opaque(tag))

    def _restore_type_tag(self, argument: object) -> object:
        match argument:
            case (value, str(annotation)):
                self.types.add(annotation)
                return value
        raise self.damage("a type tag has no type")

    def persistent(self) -> None:
        match self.pop():
            # The tuple is (storage, class, key, location, number of elements), as torch.save writes
            # it.
            case ("storage", Global() as kind, str(), str(), int()):
                self.storages.add(kind.name)
                self.push(Opaque(kind))
            case _:
                raise self.damage("a persistent ID is not a storage")


_STOP = ord(".")
_UINT8 = struct.Struct("<B")
_UINT16 = struct.Struct("<H")
_UINT32 = struct.Struct("<I")
_UINT64 = struct.Struct("<Q")
_INT32 = struct.Struct("<i")
_INT64 = struct.Struct("<q")
_FLOAT64 = struct.Struct(">d")  # BINFLOAT is big-endian, unlike the integers (pickletools)


def _constant(value: object) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(value)


def _fixed(layout: struct.Struct) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.number(layout))


_STEPS: dict[int, Callable[[_Machine], None]] = {
    ord("("): _Machine.mark,
    ord("]"): lambda machine: machine.container([]),
    ord("}"): lambda machine: machine.container({}),
    ord(")"): _constant(()),
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("K"): _fixed(_UINT8),
    ord("M"): _fixed(_UINT16),
    ord("J"): _fixed(_INT32),
    ord("G"): _fixed(_FLOAT64),
    0x8A: _Machine.long,
    ord("X"): lambda machine: machine.string(_UINT32),
    0x8D: lambda machine: machine.string(_UINT64),
    ord("t"): _Machine.tuple_to_mark,
    0x85: lambda machine: machine.tuple_of(1),
    0x86: lambda machine: machine.tuple_of(2),
    0x87: lambda machine: machine.tuple_of(3),
    ord("l"): _Machine.list_to_mark,
    ord("a"): _Machine.append,
    ord("e"): _Machine.appends,
    ord("d"): _Machine.dict_to_mark,
    ord("s"): _Machine.setitem,
    ord("u"): _Machine.setitems,
    ord("q"): lambda machine: machine.put(_UINT8),
    ord("r"): lambda machine: machine.put(_UINT32),
    ord("h"): lambda machine: machine.get(_UINT8),
    ord("j"): lambda machine: machine.get(_UINT32),
    ord("c"): _Machine.name_global,
    0x81: _Machine.new_object,
    ord("b"): _Machine.reduce,
    ord("R"): _Machine.reduce,
    ord("Q"): _Machine.persistent,
}
"""Opcode -> function that executes it (pickler.h, enum PickleOpCode)."""
