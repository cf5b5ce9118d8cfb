"""Reading the pickles of a model without ever executing one.

The opcodes are those that torch/csrc/jit/serialization/unpickler.cpp reads. A global becomes
an inert name; only globals that this unpickler knows are accepted, whoever names another one
is refused. Nothing is imported, looked up or called.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builder.errors import ModelError
from builder.models.globals import (
    COMPLEX,
    FIRST_ARGUMENT,
    TYPE_TAG,
    Global,
    is_known,
    is_script_class,
    printable,
)

MAX_OPCODES = 10_000_000
"""Far above a vocabulary of a million words; keeps time and memory bounded."""


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """Something whose content nobody here needs: a tensor, an object, a device."""

    kind: Global


@dataclass(frozen=True, slots=True)
class Unpickled:
    """A pickle as plain values."""

    value: Any
    """Made of None, bool, int, float, str, list, tuple, dict, Global and Opaque."""
    types: frozenset[str]
    """Qualified names of all classes, and all type annotations of containers."""
    storages: frozenset[str]
    """Names of the storages of tensors, e.g. `FloatStorage`; `complex` for complex numbers."""


def parse_pickle(data: bytes, *, record: str) -> Unpickled:
    """Returns the value that `data`, a protocol 2 pickle written by TorchScript, describes.

    Args:
        data: the whole pickle.
        record: its name in the archive, for messages.

    Raises:
        ModelError: it is damaged, or wants something called.
    """
    machine = _Machine(data, record)
    value = machine.run()
    return Unpickled(value, frozenset(machine.types), frozenset(machine.storages))


class _Machine:
    """The stack, the marks and the memo of one pickle."""

    def __init__(self, data: bytes, record: str) -> None:
        self._data = data
        self._record = record
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self.types: set[str] = set()
        self.storages: set[str] = set()

    def run(self) -> Any:  # noqa: ANN401 - a pickle is anything
        if self._take(2) != b"\x80\x02":
            raise self._damage("it is not a protocol 2 pickle")
        for _ in range(MAX_OPCODES):
            opcode = self._take(1)[0]
            if opcode == _STOP:
                if len(self._stack) != 1:
                    raise self._damage(f"it ends with {len(self._stack)} values")
                return self._stack[0]
            step = _STEPS.get(opcode)
            if step is None:
                raise self._damage(f"opcode 0x{opcode:02x} is none that TorchScript writes")
            step(self)
        raise self._damage(f"it has more than {MAX_OPCODES:,} opcodes")

    def _damage(self, why: str) -> ModelError:
        return ModelError(f"{self._record} is damaged at byte {self._at}: {why}")

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise self._damage(f"it ends after {len(self._data)} bytes, {end} are needed")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, layout: struct.Struct) -> Any:  # noqa: ANN401 - int or float
        return layout.unpack(self._take(layout.size))[0]

    def _line(self) -> str:
        end = self._data.find(b"\n", self._at, self._at + 4096)
        if end < 0:
            raise self._damage("a name does not end")
        return self._take(end + 1 - self._at)[:-1].decode("utf-8", "replace")

    def push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:  # noqa: ANN401 - a pickle is anything
        floor = self._marks[-1] if self._marks else 0
        if len(self._stack) <= floor:
            raise self._damage("a value is missing on the stack")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        if not self._marks:
            raise self._damage("a mark is missing")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _top(self, kind: type[Any]) -> Any:  # noqa: ANN401 - list or dict
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise self._damage(f"a {kind.__name__} is expected on the stack")
        return self._stack[-1]

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def string(self, layout: struct.Struct) -> None:
        self.push(self._take(self.number(layout)).decode("utf-8", "replace"))

    def long(self) -> None:
        if self._take(1) != b"\x08":
            raise self._damage("a long integer has not 8 bytes")
        self.push(self.number(_INT64))

    def tuple_of(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def tuple_to_mark(self) -> None:
        self.push(tuple(self._pop_to_mark()))

    def list_to_mark(self) -> None:
        self.push(self._pop_to_mark())

    def append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def appends(self) -> None:
        values = self._pop_to_mark()
        self._top(list).extend(values)

    def dict_to_mark(self) -> None:
        values = self._pop_to_mark()
        self.push({})
        self._set(values)

    def setitem(self) -> None:
        value = self._pop()
        self._set([self._pop(), value])

    def setitems(self) -> None:
        self._set(self._pop_to_mark())

    def _set(self, flat: list[Any]) -> None:
        target = self._top(dict)
        if len(flat) % 2:
            raise self._damage("a key without a value")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if not isinstance(key, str | int | float | Opaque | None):
                raise self._damage(f"a {type(key).__name__} as a key")
            target[key] = value

    def put(self, layout: struct.Struct) -> None:
        if not self._stack:
            raise self._damage("nothing to remember")
        self._memo[self.number(layout)] = self._stack[-1]

    def get(self, layout: struct.Struct) -> None:
        index = self.number(layout)
        if index not in self._memo:
            raise self._damage(f"memo {index} was never set")
        self.push(self._memo[index])

    def name_global(self) -> None:
        tag = Global(self._line(), self._line())
        if not is_known(tag):
            raise ModelError(
                f"{self._record} tries to call {printable(str(tag))}; "
                "builder never executes models, and nothing was run",
                hint="do not load this file with PyTorch either; export the model again "
                "from a source you trust: builder export SOURCE -o model.ptl",
            )
        if is_script_class(tag.module):
            self.types.add(str(tag))
        self.push(tag)

    def new_object(self) -> None:
        self._pop()
        if not self._stack or not isinstance(self._stack[-1], Global):
            raise self._damage("an object without a class")

    def reduce(self) -> None:
        argument, tag = self._pop(), self._pop()
        if not isinstance(tag, Global):
            raise self._damage("a call of something that has no name")
        if tag == TYPE_TAG:
            self.push(self._restore_type_tag(argument))
        elif tag in FIRST_ARGUMENT:
            if not isinstance(argument, tuple) or not argument:
                raise self._damage(f"{tag.name} without a list")
            self.push(argument[0])
        else:
            if tag == COMPLEX:
                self.storages.add(tag.name)
            self.push(Opaque(tag))

    def _restore_type_tag(self, argument: object) -> object:
        match argument:
            case (value, str(annotation)):
                self.types.add(annotation)
                return value
        raise self._damage("a type tag without a type")

    def persistent(self) -> None:
        match self._pop():
            case ("storage", Global() as kind, str(), str(), int()):
                self.storages.add(kind.name)
                self.push(Opaque(kind))
            case _:
                raise self._damage("a persistent id that is no storage")


_STOP = ord(".")
_UINT8 = struct.Struct("<B")
_UINT16 = struct.Struct("<H")
_UINT32 = struct.Struct("<I")
_UINT64 = struct.Struct("<Q")
_INT32 = struct.Struct("<i")
_INT64 = struct.Struct("<q")
_FLOAT64 = struct.Struct(">d")


def _constant(value: object) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(value)


def _fixed(layout: struct.Struct) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.number(layout))


_STEPS: dict[int, Callable[[_Machine], None]] = {
    ord("("): _Machine.mark,
    ord("]"): lambda machine: machine.push([]),
    ord("}"): lambda machine: machine.push({}),
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
"""Opcode -> what it does (pickler.h, enum PickleOpCode)."""
