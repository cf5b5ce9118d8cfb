"""Writes flatbuffer lite files (torch/csrc/jit/serialization/mobile_bytecode.fbs)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

from builder.errors import ModelError
from builder.lite.flatbuffer_builder import (
    Blob,
    Node,
    Scalar,
    Struct,
    Table,
    Vector,
    numbers,
    write_flatbuffer,
)
from builder.lite.mobile_module import (
    BOOL,
    COMPLEX,
    DOUBLE,
    INSTRUCTION,
    INT32,
    INT64,
    PER_CHANNEL,
    PER_CHANNEL_REAL,
    PER_TENSOR,
    UINT32,
    FunctionField,
    ModuleField,
    ObjectKind,
    Union,
    find_source_module,
)
from builder.lite.model import OPCODES, Argument, Callee, Function, LiteModel
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
from builder.lite.rebuild import CUSTOM_CLASSES, is_real
from builder.lite.scalar_types import BY_DTYPE

_IDENTIFIER = b"PTMF"
"""Identifier of the file, at byte 4."""
FIRST_BYTECODE = 9
"""Flatbuffer files have this version of the bytecode or a later one."""
_CODES = {name: code for code, name in enumerate(OPCODES)}
_LISTS = {
    "List[int]": (Union.INT_LIST, INT64),
    "List[float]": (Union.DOUBLE_LIST, DOUBLE),
    "List[bool]": (Union.BOOL_LIST, BOOL),
}
# The keys are exact types, since `True` is an int for `isinstance` and has a union member of its
# own.
_SCALARS: dict[type, tuple[Union, struct.Struct, int]] = {
    bool: (Union.BOOL, BOOL, 1),
    int: (Union.INT, INT64, 8),
    float: (Union.DOUBLE, DOUBLE, 8),
}


def write_mobile_module(model: LiteModel, stream: BinaryIO) -> None:
    """Writes a lite file in the flatbuffer format; its bytes depend on nothing but the model.

    Of `model.records`, only TorchScript sources have a place in this format. The storages are
    copied one after the other.

    Raises:
        ModelError: the model has values that this format cannot have, is larger than 2 GiB, or is
            read from a file that is damaged.
    """
    write_flatbuffer(_Writer(model).root(), _IDENTIFIER, stream)


class _Writer:
    """Gives each value a number; a value comes after those that it contains."""

    def __init__(self, model: LiteModel) -> None:
        self._model = model
        self._functions = {function.name: function for function in model.functions}
        self._values: list[object] = []
        self._numbers: dict[object, int] = {}
        self._open: set[int] = set()
        self._storages: dict[Storage, int] = {}
        self._classes: dict[str, int] = {}
        self._objects: list[ScriptObject | CustomObject] = []
        """The first object of each class, which declares the class."""

    def root(self) -> Table:
        """Returns the table of the whole model."""
        model = self._model
        # Upstream gives None the index 0, and its loader relies on that (flatbuffer_serializer.cpp,
        # kNoneIndex).
        self._add(None)
        methods = [self._add(function) for function in model.functions]
        state = self._add(model.root)
        # The mobile loader reads only the values in front of this one. What follows is for the
        # loader that makes a TorchScript module of the sources.
        count = len(self._values)
        constants = [self._add(value) for value in model.script_constants or ()]
        return Table(
            {
                ModuleField.BYTECODE_VERSION: Scalar(
                    "I", max(model.bytecode_version, FIRST_BYTECODE)
                ),
                ModuleField.EXTRA_FILES: _files(model.extra_files),
                ModuleField.METHODS: numbers(UINT32, methods),
                ModuleField.STATE: Scalar("I", state),
                ModuleField.IVALUES: Vector(map(self._ivalue, self._values), len(self._values)),
                ModuleField.STORAGE_COUNT: Scalar("i", len(self._storages)),
                ModuleField.STORAGES: Vector(
                    [Table({0: _blob(storage)}) for storage in self._storages], len(self._storages)
                ),
                ModuleField.OBJECT_TYPES: Vector(
                    list(map(_class, self._objects)), len(self._objects)
                ),
                ModuleField.SOURCES: _files(_find_sources(model.records)),
                ModuleField.SCRIPT_CONSTANTS: numbers(UINT32, constants),
                ModuleField.OPERATOR_VERSION: Scalar("I", _int32(model.operator_version or 0)),
                ModuleField.MOBILE_IVALUE_SIZE: Scalar("I", count),
            }
        )

    def _add(self, value: object) -> int:
        """Returns the number of a value, which is added with all that it contains, once."""
        # This is a stack of our own: a model may nest its values deeper than Python may recurse.
        waiting: list[tuple[object, bool]] = [(value, False)]
        while waiting:
            one, complete = waiting.pop()
            key = _key(one)
            if complete:
                self._open.discard(id(one))
                self._numbers[key] = len(self._values)
                self._values.append(one)
                self._declare(one)
            elif key not in self._numbers:
                parts = self._parts(one)
                # A value is open while its parts get their numbers, so meeting it again means a
                # cycle.
                if parts and id(one) in self._open:
                    raise ModelError(
                        "a value of the model contains itself, which no lite file can express"
                    )
                self._open.add(id(one))
                waiting.append((one, True))
                waiting.extend((part, False) for part in reversed(parts))
        return self._numbers[_key(value)]

    def _parts(self, value: object) -> Sequence[object]:
        if isinstance(value, Function):
            # Only the default values of arguments are values of the file; the rest is in the
            # function's schema.
            arguments = (*(value.arguments or ()), *(value.results or ()))
            return (*value.constants, *(one.default for one in arguments))
        # These are written whole into one table, so their parts have no numbers.
        if (isinstance(value, List) and value.type in _LISTS) or isinstance(value, Tensor):
            return ()
        if isinstance(value, ScriptObject) and value.has_state:
            return (self._setstate(value), value.state)
        return tuple(parts_of(value))

    def _setstate(self, value: ScriptObject) -> Function:
        function = self._functions.get(f"{value.class_name}.__setstate__")
        if function is None:
            raise ModelError(f"{value.class_name:.80} has a state but no method __setstate__")
        return function

    def _declare(self, value: object) -> None:
        """Gives numbers to the storages and to the class of a value."""
        if isinstance(value, Tensor):
            self._storages.setdefault(value.storage, len(self._storages))
            for part in parts_of(value):
                self._declare(part)
        if not isinstance(value, ScriptObject | CustomObject):
            return
        name = _class_name(value)
        index = self._classes.setdefault(name, len(self._classes))
        if index == len(self._objects):
            self._objects.append(value)
        # In a zip file each object lists its own attributes. Here the class lists them for all.
        elif _describe(value) != _describe(self._objects[index]):
            raise ModelError(
                f"objects of the class {name:.80} have other attributes, which flatbuffers cannot "
                "express",
                hint="write the model as a zip file",
            )

    def _indexes(self, values: Iterable[object]) -> Struct:
        return numbers(UINT32, [self._numbers[_key(value)] for value in values])

    def _ivalue(self, value: object) -> Table:
        if value is None:
            return Table({})
        if type(value) in _SCALARS:
            kind, layout, alignment = _SCALARS[type(value)]
            return _union(kind, Struct(_pack(layout, value), alignment))
        match value:
            case complex():
                return _union(Union.COMPLEX, Struct(COMPLEX.pack(value.real, value.imag), 8))
            case str():
                return _union(Union.STRING, Table({0: _text(value)}))
            case Device():
                return _union(Union.DEVICE, Table({0: _text(value.name)}))
            case Tensor():
                return _union(Union.TENSOR, self._tensor(value))
            case Function():
                return _union(Union.FUNCTION, self._function(value))
            case ScriptObject() | CustomObject():
                return _union(Union.OBJECT, self._object(value))
        return self._container(value)

    def _container(self, value: object) -> Table:
        match value:
            case tuple():
                return _union(Union.TUPLE, Table({0: self._indexes(value)}))
            case List() if value.type in _LISTS:
                kind, layout = _LISTS[value.type]
                if layout is BOOL and not all(isinstance(item, bool) for item in value.items):
                    raise ModelError("a list of bools has other items")
                data = b"".join(_pack(layout, item) for item in value.items)
                # The length in front of the items has 32 bits and needs its own alignment.
                alignment = max(layout.size, 4)
                return _union(kind, Table({0: Struct(data, alignment, len(value.items))}))
            case List():
                annotation = _text(value.type or "List[Any]")
                return _union(Union.LIST, Table({0: self._indexes(value.items), 1: annotation}))
            case Dict():
                keys, values = zip(*value.items, strict=True) if value.items else ((), ())
                annotation = _text(value.type or "Dict[Any, Any]")
                return _union(
                    Union.DICT,
                    Table({0: self._indexes(keys), 1: self._indexes(values), 2: annotation}),
                )
        raise ModelError(f"a lite file cannot have a value of the kind {type(value).__name__}")

    def _object(self, value: ScriptObject | CustomObject) -> Table:
        index = self._classes[_class_name(value)]
        # Objects with a `__setstate__` have a state (field 1) instead of attributes (field 2).
        if isinstance(value, ScriptObject) and not value.has_state:
            fields: dict[int, Scalar | Node | None] = {
                0: Scalar("I", index),
                2: self._indexes(value.attributes.values()),
            }
            return Table(fields)
        fields = {0: Scalar("I", index), 1: Scalar("I", self._numbers[_key(value.state)])}
        if isinstance(value, ScriptObject):
            fields[3] = Scalar("I", self._numbers[_key(self._setstate(value))])
        return Table(fields)

    def _tensor(self, tensor: Tensor) -> Table:
        storage, quantizer = self._storages[tensor.storage], tensor.quantizer
        return Table(
            {
                0: Scalar("I", storage),
                1: Scalar("b", BY_DTYPE[tensor.dtype].code),
                2: Scalar("i", _int32(tensor.offset)),
                3: numbers(INT32, list(map(_int32, tensor.sizes))),
                4: numbers(INT32, list(map(_int32, tensor.strides))),
                5: Scalar("B", tensor.requires_grad),
                6: None if quantizer is None else self._quantizer(quantizer),
            }
        )

    def _quantizer(self, quantizer: Quantizer) -> Table:
        scale, zero_point = quantizer.scale, quantizer.zero_point
        if isinstance(scale, Tensor) and isinstance(zero_point, Tensor):
            # The quantizer does not name its scheme. Zero points that are floats mean
            # kPerChannelAffineFloatQParams.
            scheme = PER_CHANNEL_REAL if is_real(zero_point) else PER_CHANNEL
            return Table(
                {
                    0: Scalar("b", scheme),
                    3: self._tensor(scale),
                    4: self._tensor(zero_point),
                    5: Scalar("i", _int32(quantizer.axis or 0)),
                }
            )
        assert isinstance(scale, float | int)
        assert isinstance(zero_point, int)
        return Table(
            {
                0: Scalar("b", PER_TENSOR),
                1: Scalar("d", scale),
                2: Scalar("i", _int32(zero_point)),
            }
        )

    def _function(self, function: Function) -> Table:
        schema = None
        if function.arguments is not None and function.results is not None:
            schema = Table(
                {0: self._arguments(function.arguments), 1: self._arguments(function.results)}
            )
        return Table(
            {
                FunctionField.NAME: _text(function.name),
                FunctionField.INSTRUCTIONS: Struct(
                    b"".join(_instructions(function)), 4, len(function.instructions)
                ),
                FunctionField.OPERATORS: Vector(
                    list(map(_callee, function.callees)), len(function.callees)
                ),
                FunctionField.CONSTANTS: self._indexes(function.constants),
                FunctionField.TYPES: Vector(
                    [_text(_type(annotation)) for annotation in function.types],
                    len(function.types),
                ),
                FunctionField.REGISTERS: Scalar("i", function.registers),
                FunctionField.SCHEMA: schema,
                FunctionField.DEBUG_INFO: Table({0: numbers(INT64, function.debug_handles or ())}),
                FunctionField.CLASS: Scalar("I", self._class_of(function)),
            }
        )

    def _arguments(self, arguments: tuple[Argument, ...]) -> Vector:
        tables: list[Node] = [
            Table(
                {
                    0: _text(one.name),
                    1: _text(one.type),
                    2: Scalar("I", self._numbers[_key(one.default)]),
                }
            )
            for one in arguments
        ]
        return Vector(tables, len(tables))

    def _class_of(self, function: Function) -> int:
        """Returns the number of the class that a function is a method of.

        It must be a class that an object has: runtimes know no others.
        """
        first = function.arguments[0].type if function.arguments else ""
        for name in (first, function.name.rpartition(".")[0], self._model.root.class_name):
            if name in self._classes:
                return self._classes[name]
        raise AssertionError("the module has a class")


def _key(value: object) -> object:
    """Returns what is equal for two values that may be one in the file."""
    if isinstance(value, float | complex):
        # Zeros with other signs are equal in Python.
        return type(value), struct.pack("<dd", value.real, value.imag)
    return (type(value), value) if type(value) in PLAIN else id(value)


def _class_name(value: ScriptObject | CustomObject) -> str:
    prefix = CUSTOM_CLASSES if isinstance(value, CustomObject) else ""
    return prefix + value.class_name


def _class(value: ScriptObject | CustomObject) -> Table:
    kind, names = _describe(value)
    attributes = Vector([_text(name) for name in names], len(names))
    return Table(
        {
            0: _text(_class_name(value)),
            1: Scalar("B", kind),
            2: attributes if kind == ObjectKind.WITH_FIELDS else None,
        }
    )


def _describe(value: ScriptObject | CustomObject) -> tuple[ObjectKind, tuple[str, ...]]:
    if isinstance(value, CustomObject):
        return ObjectKind.CUSTOM, ()
    if value.has_state:
        return ObjectKind.WITH_SETSTATE, ()
    return ObjectKind.WITH_FIELDS, tuple(value.attributes)


def _union(kind: Union, content: Node) -> Table:
    return Table({0: Scalar("B", kind), 1: content})


def _text(text: str) -> bytes:
    # A file that was read may have names that are not UTF-8. They are written back byte by byte.
    return text.encode("utf-8", "surrogateescape")


def _type(annotation: str) -> str:
    if annotation.startswith("__torch__.") and not annotation.startswith(CUSTOM_CLASSES):
        raise ModelError(
            f"the code makes values of the type {annotation:.80}, which flatbuffers cannot express",
            hint="write the model as a zip file",
        )
    return annotation


def _instructions(function: Function) -> Iterator[bytes]:
    for step in function.instructions:
        if step.opcode not in _CODES:
            raise ModelError(f"{function.name:.80} has an unknown instruction {step.opcode:.80}")
        yield INSTRUCTION.pack(_CODES[step.opcode], step.n, step.x)


def _callee(callee: Callee) -> Table:
    count = None if callee.arguments is None else Scalar("i", callee.arguments)
    return Table({0: _text(callee.name), 1: _text(callee.overload), 2: count})


def _files(contents: Mapping[str, bytes]) -> Vector:
    # The names are sorted, so that equal models have equal bytes.
    tables: list[Node] = [Table({0: _text(name), 1: contents[name]}) for name in sorted(contents)]
    return Vector(tables, len(tables))


def _find_sources(records: Mapping[str, bytes]) -> dict[str, bytes]:
    modules = ((find_source_module(record), record) for record in records)
    return {module: records[record] for module, record in modules if module is not None}


def _blob(storage: Storage) -> Blob:
    # The bytes are read while they are written, so only one storage is in memory at a time.
    return Blob(storage.elements * BY_DTYPE[storage.dtype].size, storage.read)


def _pack(layout: struct.Struct, value: object) -> bytes:
    try:
        return layout.pack(value)
    except struct.error as error:
        raise ModelError(f"a value does not fit into a flatbuffer: {error}") from None


def _int32(value: int) -> int:
    if not -(1 << 31) <= value < 1 << 31:
        raise ModelError(f"{value} does not fit into 32 bits, which a flatbuffer has for it")
    return value
