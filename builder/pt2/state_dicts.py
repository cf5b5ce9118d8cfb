"""Reads the state dicts that torch.save wrote into `.pt2` files until torch 2.8; nothing is run.

Such a file is a zip archive with one pickle and a record for each storage. Its globals become plain
names, and a pickle with a global that is not listed here is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from builder.core.dtypes import SCALAR_TYPES
from builder.errors import ModelError
from builder.lite.archive import Archive, open_archive
from builder.lite.effort import Effort
from builder.lite.globals import Global, printable
from builder.lite.objects import Storage, Tensor
from builder.lite.pickle_stack import COMMON_STEPS, STOP, UINT32, PickleStack
from builder.lite.scalar_types import BY_NAME
from builder.lite.source import source_of

_PICKLE = "data.pkl"
_ORDERED_DICT = Global("collections", "OrderedDict")
_TENSOR = Global("torch._utils", "_rebuild_tensor_v2")
_PARAMETERS = (
    Global("torch._utils", "_rebuild_parameter"),
    Global("torch._utils", "_rebuild_parameter_with_state"),
)
"""Their first argument is the tensor. The second one also has attributes that somebody gave the
parameter, as transformers does; a runtime has no use for them."""
_HINT = "load the file with torch 2.9 to 2.15 and save it again: torch.export.save"
_KEY = re.compile(r"\w{1,40}", re.ASCII)
_LARGE_STEPS = 4
"""Steps of `Effort` for what takes more memory than other values."""


def read_state_dict(data: memoryview, where: str) -> dict[str, Tensor]:
    """Returns name -> tensor of a state dict; the bytes of tensors are read when wanted.

    Args:
        data: the file that torch.save wrote; empty for an empty dict.
        where: its name, for messages.

    Raises:
        ModelError: the file is damaged or hostile, or has other values than tensors.
    """
    # torch writes an empty record where there is nothing to save
    # (torch/_export/serde/serialize.py).
    if not data:
        return {}
    archive = open_archive(source_of(data))
    # A file without the record is taken for little-endian, as are the CPUs that runtimes are for.
    if "byteorder" in archive and archive.read("byteorder", limit=64).strip() != b"little":
        raise ModelError(f"{where} is not little-endian", hint="export on another machine")
    found = _Machine(archive, where).run()
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise ModelError(f"{where} has other values than tensors", hint=_HINT)
    return {str(name): tensor for name, tensor in found.items()}


class _Machine(PickleStack):
    """Executes the opcodes that Python's pickler writes for a dict of tensors, protocol 2."""

    def __init__(self, archive: Archive, where: str) -> None:
        super().__init__(archive.read_pickle(_PICKLE), f"{_PICKLE} of {where}")
        self._archive = archive
        self._effort: Effort = archive.effort
        self._storages: dict[str, Storage] = {}

    def run(self) -> Any:  # noqa: ANN401 - a pickle is anything
        """Returns the value of the pickle."""
        self.begin()
        while True:
            self._effort.spend(1)
            opcode = self.take(1)[0]
            if opcode == STOP:
                return self.pop()
            step = _STEPS.get(opcode)
            if step is None:
                raise self.damage(f"a dict of tensors has no opcode {bytes((opcode,))!r}")
            step(self)

    def container(self, empty: list[Any] | dict[Any, Any]) -> None:
        """Pushes a new list or dict."""
        self._effort.spend(_LARGE_STEPS)
        self.push(empty)

    def long(self) -> None:
        """Pushes an integer of a few bytes."""
        # LONG1 may have 255 bytes. No number of a state dict needs more than nine: 64 bits and a
        # sign.
        self.push(int.from_bytes(self.take(min(self.take(1)[0], 9)), "little", signed=True))

    def string(self) -> None:
        """Pushes a string."""
        self.push(self.take(self.number(UINT32)).decode("utf-8", "replace"))

    def set_items(self, flat: list[Any]) -> None:
        """Adds keys and values to the dict on the stack."""
        target = self.top(dict)
        if len(flat) % 2 or not all(isinstance(key, str | int) for key in flat[::2]):
            raise self.damage("the keys of a dict are not strings")
        target.update(zip(flat[::2], flat[1::2], strict=True))

    def name_global(self) -> None:
        """Pushes the name of a class or function, which is never looked up."""
        self._effort.spend(_LARGE_STEPS)
        tag = Global(self.line(), self.line())
        if tag not in (_ORDERED_DICT, _TENSOR, *_PARAMETERS) and not _is_storage(tag):
            raise ModelError(
                f"{self.record} calls {printable(str(tag))}; builder reads plain tensors only, and "
                "nothing was run",
                hint=f"if you trust the file, {_HINT}",
            )
        self.push(tag)

    def build(self) -> None:
        """Drops the attributes of a dict, which are the versions of modules."""
        self.pop()
        self.top(dict)

    def reduce(self) -> None:
        """Pushes what a function would return."""
        arguments, tag = self.pop(), self.pop()
        self._effort.spend(_LARGE_STEPS)
        match tag, arguments:
            case Global() as one, () if one == _ORDERED_DICT:
                self.push({})
            case Global() as one, (Tensor() as tensor, *_) if one in _PARAMETERS:
                self.push(tensor)
            case Global() as one, (Storage() as storage, *rest) if one == _TENSOR:
                self.push(self._make_tensor(storage, rest))
            case _:
                raise self.damage("a function has the wrong arguments")

    def _make_tensor(self, storage: Storage, arguments: list[Any]) -> Tensor:
        match arguments:
            case [int(offset), tuple(sizes), tuple(strides), *_]:
                # Several tensors can refer to the same tuple.
                self._effort.spend(len(sizes) + len(strides))
                numbers = (offset, *sizes, *strides)
                # Their products stay far from what is slow to compute. A bool is an int to Python,
                # and no size.
                if all(type(one) is int and 0 <= one < 1 << 48 for one in numbers):
                    return Tensor(storage=storage, sizes=sizes, strides=strides, offset=offset)
        raise self.damage("a tensor is incomplete")

    def persistent(self) -> None:
        """Pushes the storage with the key that is on the stack."""
        # The tuple is kind, class, key, device, number of elements (torch/serialization.py,
        # persistent_id).
        match self.pop():
            case ("storage", Global() as kind, str(key), str(), int()) if _is_storage(
                kind
            ) and _KEY.fullmatch(key):
                self.push(self._find_storage(key, BY_NAME[kind.name.removesuffix("Storage")].dtype))
            case _:
                raise self.damage("a persistent ID is not a storage")

    def _find_storage(self, key: str, dtype: str) -> Storage:
        if dtype not in SCALAR_TYPES:
            raise ModelError(f"{self.record} has tensors of {dtype}, which no runtime has")
        known = self._storages.get(key)
        if known is None:
            record = f"data/{key}"
            size = BY_NAME[_NAMES[dtype]].size
            known = self._storages[key] = Storage(
                dtype=dtype,
                # The number in the pickle is not trusted. The size of the record is what can be
                # read.
                elements=self._archive.size_of(record) // size,
                read=partial(self._archive.view, record),
            )
        # The key is the same and the class is another: torch never writes that.
        if known.dtype != dtype:
            raise self.damage("a storage has two dtypes")
        return known


def _is_storage(tag: Global) -> bool:
    """Returns whether a class is one of torch's typed storages."""
    return tag.module == "torch" and tag.name.removesuffix("Storage") in BY_NAME


_NAMES = {one.dtype: one.name for one in BY_NAME.values()}

_STEPS: dict[int, Callable[[_Machine], None]] = {
    **COMMON_STEPS,
    ord("}"): lambda machine: machine.container({}),
    ord("]"): lambda machine: machine.container([]),
    0x8A: _Machine.long,
    ord("X"): _Machine.string,
    ord("s"): lambda machine: machine.set_items([machine.pop(), machine.pop()][::-1]),
    ord("u"): lambda machine: machine.set_items(machine.pop_to_mark()),
    ord("c"): _Machine.name_global,
    ord("R"): _Machine.reduce,
    ord("b"): _Machine.build,
    ord("Q"): _Machine.persistent,
}
"""Opcode -> function that executes it (pickletools of Python)."""
