"""Writes the pickles of lite zip files, as torch/csrc/jit/serialization/pickler.cpp does."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable

from builder.errors import ModelError
from builder.lite.globals import Global, is_script_class
from builder.lite.objects import (
    PLAIN,
    CustomObject,
    Device,
    Dict,
    List,
    Quantizer,
    ScriptObject,
    Storage,
    Tensor,
    parts_of,
)
from builder.lite.rebuild import (
    COMPLEX,
    CUSTOM_CLASSES,
    DEVICE,
    HOOKS,
    PER_CHANNEL,
    PER_CHANNEL_REAL,
    PER_TENSOR,
    PLAIN_TENSOR,
    QUANTIZED_TENSOR,
    TYPE_TAG,
    TYPED_LISTS,
    is_real,
)
from builder.lite.scalar_types import BY_DTYPE

_START, _STOP = b"\x80\x02", b"."
_MARK, _TUPLE = b"(", b"t"
_TUPLES = {0: b")", 1: b"\x85", 2: b"\x86", 3: b"\x87"}
_EMPTY_LIST, _APPENDS = b"]", b"e"
_EMPTY_DICT, _SETITEMS = b"}", b"u"
_NEWOBJ, _BUILD, _REDUCE, _BINPERSID = b"\x81", b"b", b"R", b"Q"
_INTEGERS = (
    # The shortest opcode that can hold the number, as upstream's pickler chooses it.
    (range(1 << 8), struct.Struct("<cB"), b"K"),
    (range(1 << 16), struct.Struct("<cH"), b"M"),
    (range(-(1 << 31), 1 << 31), struct.Struct("<ci"), b"J"),
)
_CLASS = re.compile(r"[ -~]{1,4000}")
_INT64 = range(-(1 << 63), 1 << 63)


def pickle_value(value: object, key_of: Callable[[Storage], str]) -> bytes:
    """Returns the pickle of `value`, which `builder.lite.pickles.parse_pickle` reads again.

    Values that are one object stay one object.

    Args:
        value: consists of the values of `builder.lite.objects`.
        key_of: returns the key of a storage, which the name of its record ends with.

    Raises:
        ModelError: the value contains itself, or a value that lite files cannot have.
    """
    return _Pickler(value, key_of).run()


class _Once:
    """A step that remembers the value on top of the stack, once it is complete."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class _Pickler:
    """Writes values one after the other; those that are still to be written wait in a list."""

    def __init__(self, value: object, key_of: Callable[[Storage], str]) -> None:
        self._key_of = key_of
        self._out = bytearray(_START)
        # Of containers and objects, only those that are met again get a number in the memo.
        self._shared = _find_shared(value)
        self._open: set[int] = set()
        self._memo: dict[object, int] = {}
        # Bytes are written as they are, everything else as a value.
        self._waiting: list[object] = [_STOP, value]

    def run(self) -> bytes:
        while self._waiting:
            step = self._waiting.pop()
            if isinstance(step, bytes):
                self._out += step
            elif isinstance(step, _Once):
                self._open.discard(id(step.value))
                self._remember(id(step.value))
            elif id(step) in self._shared:
                self._write_shared(step)
            else:
                self._write(step)
        return bytes(self._out)

    def _write_shared(self, value: object) -> None:
        if id(value) in self._open:
            raise ModelError("a value of the model contains itself, which no lite file can express")
        # The identity is a safe key: `value` as a whole keeps all of them alive.
        if not self._recall(id(value)):
            self._open.add(id(value))
            self._waiting.append(_Once(value))
            self._write(value)

    def _recall(self, key: object) -> bool:
        index = self._memo.get(key)
        if index is None:
            return False
        self._out += struct.pack("<cB", b"h", index) if index < 256 else _long(b"j", index)
        return True

    def _remember(self, key: object) -> None:
        # The reader counts the same way: the number is written out, and both must agree.
        index = self._memo[key] = len(self._memo)
        self._out += struct.pack("<cB", b"q", index) if index < 256 else _long(b"r", index)

    def _write(self, value: object) -> None:
        match value:
            case None:
                self._out += b"N"
            case bool():
                self._out += b"\x88" if value else b"\x89"
            case int():
                self._out += _integer(value)
            case float():
                # This is the only opcode with big-endian numbers.
                self._out += struct.pack(">cd", b"G", value)
            case str():
                self._string(value)
            case Global():
                self._global(value)
            case _:
                # The list is taken from its end, so the first step has to be the last item.
                self._waiting.extend(reversed(self._steps(value)))

    def _string(self, text: str) -> None:
        # A key in the memo is a string, the identity of a value, or a global.
        if not self._recall(text):
            # Bytes that are not UTF-8 come from a file, and go back as they were.
            data = text.encode("utf-8", "surrogateescape")
            self._out += _long(b"X", len(data)) + data
            self._remember(text)

    def _global(self, tag: Global) -> None:
        if not self._recall(tag):
            self._out += b"c" + f"{tag.module}\n{tag.name}\n".encode()
            self._remember(tag)

    def _steps(self, value: object) -> tuple[object, ...]:
        match value:
            case tuple():
                return _tuple(value)
            case List():
                return _list(value)
            case Dict():
                return _tagged(value.type, (_EMPTY_DICT, _MARK, *parts_of(value), _SETITEMS))
            case CustomObject():
                return _object(CUSTOM_CLASSES + value.class_name, value.state)
            case ScriptObject():
                return _object(value.class_name, _state_of(value))
            case Tensor():
                return _tensor(value)
            case Storage():
                return self._storage(value)
            case Device():
                return (DEVICE, *_tuple((value.name,)), _REDUCE)
            case complex():
                return (COMPLEX, *_tuple((value.real, value.imag)), _REDUCE)
        raise ModelError(f"a lite file cannot have a value of the kind {type(value).__name__}")

    def _storage(self, storage: Storage) -> tuple[object, ...]:
        kind = Global("torch", f"{BY_DTYPE[storage.dtype].name}Storage")
        key = self._key_of(storage)
        return (*_tuple(("storage", kind, key, storage.location, storage.elements)), _BINPERSID)


def _find_shared(root: object) -> set[int]:
    """Returns the identities of the values that are part of several others, or of one twice."""
    uses: Counter[int] = Counter()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        uses[id(value)] += 1
        if uses[id(value)] == 1:
            parts = list(parts_of(value))
            if isinstance(value, Tensor):
                parts.append(value.storage)
            # Empty tuples are one object in Python, and take one byte.
            waiting.extend(one for one in parts if type(one) not in PLAIN and one != ())
    return {identity for identity, count in uses.items() if count > 1}


def _tuple(values: tuple[object, ...]) -> tuple[object, ...]:
    short = _TUPLES.get(len(values))
    return (_MARK, *values, _TUPLE) if short is None else (*values, short)


def _list(value: List) -> tuple[object, ...]:
    steps = (_EMPTY_LIST, _MARK, *value.items, _APPENDS)
    if value.type in TYPED_LISTS:
        return (TYPED_LISTS[value.type], *steps, _TUPLES[1], _REDUCE)
    return _tagged(value.type, steps)


def _tagged(annotation: str, steps: tuple[object, ...]) -> tuple[object, ...]:
    """Returns the steps that make a list or dict, with steps for its type."""
    # Very old files have lists and dicts without a type.
    return (TYPE_TAG, *steps, annotation, _TUPLES[2], _REDUCE) if annotation else steps


def _object(class_name: str, state: object) -> tuple[object, ...]:
    module, _, name = class_name.rpartition(".")
    # Names end with the line in a pickle.
    if not is_script_class(module) or not _CLASS.fullmatch(class_name):
        raise ModelError(f"a zip file cannot have an object of the class {class_name!r:.80}")
    return (Global(module, name), _TUPLES[0], _NEWOBJ, state, _BUILD)


def _state_of(value: ScriptObject) -> object:
    return value.state if value.has_state else Dict("", list(value.attributes.items()))


def _tensor(tensor: Tensor) -> tuple[object, ...]:
    """Returns the steps for (storage, offset, sizes, strides, ... requires_grad, hooks)."""
    hooks = (HOOKS, _TUPLES[0], _REDUCE)
    parts: list[object] = [
        *(PLAIN_TENSOR if tensor.quantizer is None else QUANTIZED_TENSOR, _MARK),
        *(tensor.storage, tensor.offset, *_tuple(tensor.sizes), *_tuple(tensor.strides)),
    ]
    if tensor.quantizer is not None:
        parts.extend(_quantizer(tensor.quantizer))
    return (*parts, tensor.requires_grad, *hooks, _TUPLE, _REDUCE)


def _quantizer(quantizer: Quantizer) -> tuple[object, ...]:
    scale, zero_point = quantizer.scale, quantizer.zero_point
    if isinstance(scale, Tensor) and isinstance(zero_point, Tensor):
        scheme = PER_CHANNEL_REAL if is_real(zero_point) else PER_CHANNEL
        return _tuple((scheme, scale, zero_point, quantizer.axis or 0))
    assert not isinstance(scale, Tensor)
    return _tuple((PER_TENSOR, float(scale), zero_point))


def _integer(value: int) -> bytes:
    for numbers, layout, opcode in _INTEGERS:
        if value in numbers:
            return layout.pack(opcode, value)
    if value not in _INT64:
        raise ModelError(f"the integer {value} does not fit into 64 bits")
    # LONG1 with 8 bytes, the form that upstream's unpickler takes for 64 bits.
    return struct.pack("<cBq", b"\x8a", 8, value)


def _long(opcode: bytes, number: int) -> bytes:
    return struct.pack("<cI", opcode, number)
