"""Reads the pickles of a model without executing them.

The opcodes are those that torch/csrc/jit/serialization/unpickler.cpp reads. A global becomes a
plain name. A pickle that names a global which unpickler.cpp does not know is refused. Nothing is
imported, looked up or called.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from builder.errors import Hint, ModelError, Run, Use
from builder.lite.effort import Effort
from builder.lite.globals import Global, is_known, is_script_class, printable
from builder.lite.objects import Dict, List, Storage
from builder.lite.pickle_stack import COMMON_STEPS, STOP, UINT32, PickleStack
from builder.lite.rebuild import REBUILDERS, UnsupportedError, dict_items, make_object
from builder.lite.scalar_types import BY_NAME

_LARGE_STEPS = 4
"""Steps of `Effort` for a list, a dict or a global, which take more memory than other values."""
FindStorage = Callable[[str, str, int, str], Storage]
"""Takes the key of a storage, its dtype, its number of elements, and where it was."""


def parse_pickle(
    data: bytes,
    *,
    record: str,
    effort: Effort | None = None,
    find_storage: FindStorage | None = None,
) -> object:
    """Returns the value in `data`, a pickle of protocol 2 that TorchScript wrote.

    It consists of the values of `builder.lite.objects`. Values that the pickle refers to several
    times are one object, so that it may be much larger when it is looked at as a tree.

    Args:
        data: the whole pickle.
        record: name of the pickle in the archive, for messages.
        effort: the limit for the work; None: a limit in proportion to `data`.
        find_storage: returns the storages of tensors; may raise ModelError. None: the storages
            cannot be read.

    Raises:
        UnsupportedError: it is fine, but has a value that lite files of builder cannot have.
        ModelError: the pickle is damaged, calls an unknown function, or causes too much work.
    """
    effort = effort or Effort.of(len(data))
    return _Machine(data, record, effort, find_storage or _refuse_to_read).run()


def _refuse_to_read(key: str, dtype: str, elements: int, location: str) -> Storage:
    def refuse() -> memoryview:
        raise ModelError(f"storage {key!r:.80} was left out")

    return Storage(dtype=dtype, elements=elements, read=refuse, location=location)


class _Machine(PickleStack):
    """Executes the opcodes that TorchScript's pickler writes."""

    def __init__(self, data: bytes, record: str, effort: Effort, find_storage: FindStorage) -> None:
        super().__init__(data, record)
        self.spend = effort.spend
        self._find_storage = find_storage
        self._unsupported: UnsupportedError | None = None

    def run(self) -> Any:  # noqa: ANN401 - a pickle is anything
        self.begin()
        while True:
            self.spend(1)
            opcode = self.take(1)[0]
            if opcode == STOP:
                if self._unsupported is not None:
                    raise self._unsupported
                if len(self.values) != 1:
                    raise self.damage(f"it ends with {len(self.values)} values")
                return self.values[0]
            step = _STEPS.get(opcode)
            if step is None:
                raise self.damage(f"TorchScript does not write opcode 0x{opcode:02x}")
            step(self)

    def empty_list(self) -> None:
        self.spend(_LARGE_STEPS)
        self.push(List(""))

    def empty_dict(self) -> None:
        self.spend(_LARGE_STEPS)
        self.push(Dict(""))

    def string(self, layout: struct.Struct) -> None:
        # A std::string may have any bytes; they come out again as they were.
        self.push(self.take(self.number(layout)).decode("utf-8", "surrogateescape"))

    def long(self) -> None:
        # LONG1: TorchScript writes eight bytes, though the format allows other lengths.
        if self.take(1) != b"\x08":
            raise self.damage("a long integer does not have 8 bytes")
        self.push(self.number(_INT64))

    def list_to_mark(self) -> None:
        self.push(List("", self.pop_to_mark()))

    def append(self) -> None:
        value = self.pop()
        self.top(List).items.append(value)

    def appends(self) -> None:
        values = self.pop_to_mark()
        self.top(List).items.extend(values)

    def dict_to_mark(self) -> None:
        values = self.pop_to_mark()
        self.push(Dict(""))
        self._set(values)

    def setitem(self) -> None:
        value = self.pop()
        self._set([self.pop(), value])

    def setitems(self) -> None:
        self._set(self.pop_to_mark())

    def _set(self, flat: list[Any]) -> None:
        target: Dict = self.top(Dict)
        if len(flat) % 2:
            raise self.damage("a key has no value")
        # PyTorch sets all items of a dict at once.
        self.spend(len(target.items))
        try:
            target.items = dict_items([*target.items, *zip(flat[::2], flat[1::2], strict=True)])
        except ValueError as error:
            raise self.damage(str(error)) from error

    def name_global(self) -> None:
        self.spend(_LARGE_STEPS)
        tag = Global(self.line(), self.line())
        if not is_known(tag):
            raise ModelError(
                f"{self.record} tries to call {printable(str(tag))}; "
                "builder never executes models, and nothing was run",
                hint=Hint(
                    "do not load this file with PyTorch either; export the model again "
                    "from a source you trust: ",
                    Run("export", ("SOURCE", Use("output", "model.ptl"))),
                ),
            )
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
        try:
            self.push(self._call(tag, argument))
        except ValueError as error:
            raise self.damage(str(error)) from error
        except UnsupportedError as error:
            # Reading goes on, because a call that follows is worse news.
            self._unsupported = self._unsupported or error
            self.push(None)

    def _call(self, tag: Global, argument: object) -> object:
        """Returns what the function or class `tag` of TorchScript makes; ValueError if nothing."""
        rebuild = REBUILDERS.get(tag)
        if rebuild is not None:
            return rebuild(argument, self.spend)
        if is_script_class(tag.module):
            return make_object(str(tag), argument, self.spend)
        raise ValueError(f"{tag} is not a function that lite files call")

    def persistent(self) -> None:
        match self.pop():
            # The tuple is (storage, class, key, location, number of elements), as torch.save writes
            # it.
            case ("storage", Global("torch", name), str(key), str(location), int(elements)) if (
                name.removesuffix("Storage") in BY_NAME
            ):
                # A storage with its functions takes as much memory as several lists.
                self.spend(4 * _LARGE_STEPS)
                dtype = BY_NAME[name.removesuffix("Storage")].dtype
                self.push(self._find_storage(key, dtype, elements, location))
            case ("storage", Global("torch", name), *_):
                raise self.damage(f"builder does not know the storage {printable(name)}")
            case _:
                raise self.damage("a persistent ID is not a storage")


_UINT64 = struct.Struct("<Q")
_INT64 = struct.Struct("<q")


_STEPS: dict[int, Callable[[_Machine], None]] = {
    **COMMON_STEPS,
    ord("]"): _Machine.empty_list,
    ord("}"): _Machine.empty_dict,
    0x8A: _Machine.long,
    ord("X"): lambda machine: machine.string(UINT32),
    0x8D: lambda machine: machine.string(_UINT64),
    ord("l"): _Machine.list_to_mark,
    ord("a"): _Machine.append,
    ord("e"): _Machine.appends,
    ord("d"): _Machine.dict_to_mark,
    ord("s"): _Machine.setitem,
    ord("u"): _Machine.setitems,
    ord("c"): _Machine.name_global,
    0x81: _Machine.new_object,
    ord("b"): _Machine.reduce,
    ord("R"): _Machine.reduce,
    ord("Q"): _Machine.persistent,
}
"""Opcode -> function that executes it (pickler.h, enum PickleOpCode)."""
