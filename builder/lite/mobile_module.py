"""Reads flatbuffer lite files (torch/csrc/jit/serialization/mobile_bytecode.fbs)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from functools import partial

from builder.errors import Hint, ModelError, Run
from builder.lite.bytecode import check_name, check_version
from builder.lite.flatbuffer import Buffer, Table
from builder.lite.model import OPCODES, Argument, Callee, Function, Instruction, LiteModel
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
from builder.lite.rebuild import CUSTOM_CLASSES, dict_items, fits_in
from builder.lite.scalar_types import BY_CODE

# Numbers of fields, and of members of the union IValueUnion, in mobile_bytecode.fbs.


class ModuleField(IntEnum):
    """Fields of the root table."""

    BYTECODE_VERSION = 0
    EXTRA_FILES = 1
    METHODS = 2
    STATE = 3
    IVALUES = 4
    STORAGE_COUNT = 5
    STORAGES = 6
    OBJECT_TYPES = 7
    SOURCES = 8
    SCRIPT_CONSTANTS = 9
    OPERATOR_VERSION = 10
    MOBILE_IVALUE_SIZE = 11


class FunctionField(IntEnum):
    """Fields of a function."""

    NAME = 0
    INSTRUCTIONS = 1
    OPERATORS = 2
    CONSTANTS = 3
    TYPES = 4
    REGISTERS = 5
    SCHEMA = 6
    DEBUG_INFO = 7
    CLASS = 8


class Union(IntEnum):
    """Kinds of values."""

    NONE = 0
    INT = 1
    BOOL = 2
    DOUBLE = 3
    COMPLEX = 4
    TENSOR = 5
    STRING = 6
    LIST = 7
    TUPLE = 8
    DICT = 9
    OBJECT = 10
    INT_LIST = 11
    DOUBLE_LIST = 12
    BOOL_LIST = 13
    DEVICE = 14
    ENUM = 15
    FUNCTION = 16


class ObjectKind(IntEnum):
    """How an object is made (TypeType)."""

    WITH_FIELDS = 1
    CUSTOM = 2
    WITH_SETSTATE = 3


INSTRUCTION = struct.Struct("<bxHi")
"""The struct Instruction: opcode, n, x."""
INT64 = struct.Struct("<q")
DOUBLE = struct.Struct("<d")
BOOL = struct.Struct("<?")
COMPLEX = struct.Struct("<dd")
UINT32 = struct.Struct("<I")
INT32 = struct.Struct("<i")
PER_TENSOR, PER_CHANNEL, PER_CHANNEL_REAL = 0, 1, 4
"""Numbers of the quantisation schemes (c10/core/QScheme.h)."""
_SOURCE = re.compile(r"code/(?P<module>.+)\.py")
"""Record of a zip file with the TorchScript source of a module."""
# Prices in the steps of `Buffer.spend`: what Python makes of an entry is larger than the entry in
# the file.
_INSTRUCTION_STEPS, _VALUE_STEPS = 6, 8
_NUMBERS: dict[int, struct.Struct] = {
    Union.INT: INT64,
    Union.BOOL: BOOL,
    Union.DOUBLE: DOUBLE,
}
_LISTS = {
    Union.INT_LIST: (INT64, "List[int]"),
    Union.DOUBLE_LIST: (DOUBLE, "List[float]"),
    Union.BOOL_LIST: (BOOL, "List[bool]"),
}


def source_record(module: str) -> str:
    """Returns the record of a zip file that has the source of `module` (qualifierToArchivePath)."""
    return f"code/{module.replace('.', '/')}.py"


def find_source_module(record: str) -> str | None:
    """Returns the module whose source is in `record`; None if it is no such record."""
    match = _SOURCE.fullmatch(record)
    return match["module"].replace("/", ".") if match else None


def parse_mobile_module(data: memoryview) -> LiteModel:
    """Returns the model in a flatbuffer file; its tensors and extra files are not read yet.

    Raises:
        ModelError: an offset leaves the file, or a value is malformed.
    """
    return _Reader(Buffer(data)).read()


class _Reader:
    """Makes the values of a file, which are one flat list; each refers to earlier ones."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._module = buffer.root()
        self._values: list[object] = []
        # Names of functions, which `check_name` compares: two of one name would hide each other.
        self._names: set[str] = set()
        self._types = list(self._module.tables(ModuleField.OBJECT_TYPES))
        self._storages = _Storages(self._module)

    def read(self) -> LiteModel:
        module = self._module
        # Values after these belong to TorchScript sources.
        count = module.uint32(ModuleField.MOBILE_IVALUE_SIZE)
        functions = []
        for index, ivalue in enumerate(module.tables(ModuleField.IVALUES)):
            self._buffer.spend(_VALUE_STEPS)
            value = self._value(ivalue)
            self._values.append(value)
            if isinstance(value, Function) and (not count or index < count):
                functions.append(value)
        if not functions:
            raise ModelError(
                "it contains no functions", hint=Hint("export it with ", Run("export", ("SOURCE",)))
            )
        root = self._at(module.uint32(ModuleField.STATE))
        if not isinstance(root, ScriptObject):
            raise _damage("its state is no module")
        sources = _files(module, ModuleField.SOURCES)
        operator_version = module.uint32(ModuleField.OPERATOR_VERSION)
        return LiteModel(
            bytecode_version=self._positive(module.int32(ModuleField.BYTECODE_VERSION, default=0)),
            # Zero is what an absent field reads as.
            operator_version=check_version(operator_version) if operator_version else None,
            functions=tuple(functions),
            root=root,
            script_constants=self._items(module, ModuleField.SCRIPT_CONSTANTS) if sources else None,
            extra_files=_Files(_files(module, ModuleField.EXTRA_FILES)),
            records=_Files({source_record(name): text for name, text in sources.items()}),
        )

    @staticmethod
    def _positive(number: int) -> int:
        if number < 0:
            raise _damage(f"a number is {number}")
        return number

    def _at(self, index: int) -> object:
        # Only earlier values can be meant, so nothing in the file can contain itself.
        if index >= len(self._values):
            raise _damage(f"there is no value {index} yet")
        return self._values[index]

    def _items(self, table: Table, field: int) -> tuple[object, ...]:
        return tuple(self._at(index) for (index,) in table.structs(field, UINT32))

    def _value(self, ivalue: Table) -> object:
        kind = ivalue.uint8(0)
        if kind == Union.NONE:
            return None
        if kind in _NUMBERS:
            return ivalue.struct(1, _NUMBERS[kind])[0]
        if kind == Union.COMPLEX:
            return complex(*ivalue.struct(1, COMPLEX))
        table = ivalue.table(1)
        if table is None:
            raise _damage("a value has no content")
        make = _MAKERS.get(kind)
        if make is None:
            raise _damage(f"no runtime reads a value of kind {kind}")
        return make(self, table)

    def string(self, table: Table) -> str:
        return table.string(0)

    def device(self, table: Table) -> Device:
        return Device(table.string(0))

    def tuple_(self, table: Table) -> tuple[object, ...]:
        return self._items(table, 0)

    def list_(self, table: Table) -> List:
        return List(table.string(1), list(self._items(table, 0)))

    def dict_(self, table: Table) -> Dict:
        keys, values = self._items(table, 0), self._items(table, 1)
        if len(keys) != len(values):
            raise _damage("a dict has other numbers of keys and values")
        try:
            return Dict(table.string(2), dict_items(zip(keys, values, strict=True)))
        except ValueError as error:
            raise _damage(str(error)) from error

    def numbers(self, table: Table, *, layout: struct.Struct, annotation: str) -> List:
        return List(annotation, [number for (number,) in table.structs(0, layout)])

    def object_(self, table: Table) -> ScriptObject | CustomObject:
        index = table.uint32(0)
        if index >= len(self._types):
            raise _damage(f"there is no class {index}")
        declared = self._types[index]
        name = declared.string(0)
        if declared.uint8(1) == ObjectKind.WITH_FIELDS:
            names, values = tuple(declared.strings(2)), self._items(table, 2)
            # Upstream takes the first names of the class for the values that an object has.
            attributes = dict(zip(names, values, strict=False))
            if len(attributes) != len(values):
                raise _damage(f"objects of one class have other attributes: {name!r:.80}")
            return ScriptObject(name, attributes)
        state = self._at(table.uint32(1))
        if name.startswith(CUSTOM_CLASSES):
            return CustomObject(name.removeprefix(CUSTOM_CLASSES), state)
        return ScriptObject(name, state=state, has_state=True)

    def tensor(self, table: Table) -> Tensor:
        storage = self._storages.find(table.uint32(0), table.uint8(1))
        offset = table.int32(2, default=0)
        sizes = tuple(size for (size,) in table.structs(3, INT32))
        strides = tuple(stride for (stride,) in table.structs(4, INT32))
        # A tensor beyond its storage would read memory that belongs to others.
        if not fits_in(storage, offset, sizes, strides):
            raise _damage("a tensor is larger than its storage")
        quantized = table.table(6)
        return Tensor(
            storage=storage,
            sizes=sizes,
            strides=strides,
            offset=offset,
            requires_grad=bool(table.uint8(5)),
            quantizer=None if quantized is None else self._quantizer(quantized),
        )

    def _quantizer(self, table: Table) -> Quantizer:
        scheme = table.uint8(0)
        if scheme == PER_TENSOR:
            return Quantizer(
                scale=table.number(1, DOUBLE, default=0.0),
                zero_point=table.int32(2, default=0),
            )
        scales, zero_points = table.table(3), table.table(4)
        if scheme not in {PER_CHANNEL, PER_CHANNEL_REAL} or scales is None or zero_points is None:
            raise _damage("a tensor has an unknown quantizer")
        # A quantised tensor of scales would make this a long way down.
        if scales.table(6) or zero_points.table(6):
            raise _damage("the scales of a tensor are quantised")
        return Quantizer(
            axis=table.int32(5, default=0),
            scale=self.tensor(scales),
            zero_point=self.tensor(zero_points),
        )

    def function(self, table: Table) -> Function:
        schema = table.table(FunctionField.SCHEMA)
        instructions = tuple(self._instructions(table))
        return Function(
            name=check_name(table.string(FunctionField.NAME), self._names),
            instructions=instructions,
            callees=tuple(map(_callee, table.tables(FunctionField.OPERATORS))),
            constants=self._items(table, FunctionField.CONSTANTS),
            types=tuple(table.strings(FunctionField.TYPES)),
            registers=self._positive(table.int32(FunctionField.REGISTERS, default=0)),
            arguments=None if schema is None else tuple(self._arguments(schema, 0)),
            results=None if schema is None else tuple(self._arguments(schema, 1)),
            debug_handles=_handles(table, len(instructions)),
        )

    def _instructions(self, table: Table) -> Iterator[Instruction]:
        for opcode, n, x in table.structs(FunctionField.INSTRUCTIONS, INSTRUCTION):
            self._buffer.spend(_INSTRUCTION_STEPS)
            if not 0 <= opcode < len(OPCODES):
                raise _damage(f"there is no instruction {opcode}")
            # The file has numbers of opcodes, the zip format has their names.
            yield Instruction(OPCODES[opcode], x, n)

    def _arguments(self, schema: Table, field: int) -> Iterator[Argument]:
        for one in schema.tables(field):
            yield Argument(one.string(0), one.string(1), self._at(one.uint32(2)))


_MAKERS: dict[int, Callable[[_Reader, Table], object]] = {
    Union.TENSOR: _Reader.tensor,
    Union.STRING: _Reader.string,
    Union.LIST: _Reader.list_,
    Union.TUPLE: _Reader.tuple_,
    Union.DICT: _Reader.dict_,
    Union.OBJECT: _Reader.object_,
    Union.DEVICE: _Reader.device,
    Union.FUNCTION: _Reader.function,
    **{
        kind: partial(_Reader.numbers, layout=layout, annotation=annotation)
        for kind, (layout, annotation) in _LISTS.items()
    },
}


def _callee(operator: Table) -> Callee:
    count = operator.int32(2, default=-1)
    return Callee(operator.string(0), operator.string(1), None if count < 0 else count)


def _handles(function: Table, count: int) -> tuple[int, ...] | None:
    table = function.table(FunctionField.DEBUG_INFO)
    handles = () if table is None else tuple(one for (one,) in table.structs(0, INT64))
    # PyTorch writes the table also when it has no handles.
    return handles if handles and len(handles) == count else None


class _Storages:
    """The storages of a file; the tensors that use one of them share one value."""

    def __init__(self, module: Table) -> None:
        self._tables = list(module.tables(ModuleField.STORAGES))
        self._contents: dict[int, memoryview] = {}
        self._known: dict[tuple[int, int], Storage] = {}

    def find(self, index: int, code: int) -> Storage:
        # Two dtypes in one storage become two storages: no operator of the lite interpreter makes
        # such tensors, and values have one dtype.
        if (index, code) not in self._known:
            kind = BY_CODE.get(code)
            if kind is None or index >= len(self._tables):
                raise _damage("a tensor has no storage or an unknown dtype")
            if index not in self._contents:
                self._contents[index] = self._tables[index].bytes(0)
            content = self._contents[index]
            # A storage may have some bytes more than its elements, which is no damage.
            elements = len(content) // kind.size
            content = content[: elements * kind.size]
            self._known[index, code] = Storage(
                dtype=kind.dtype, elements=elements, read=partial(_same, content)
            )
        return self._known[index, code]


def _same(content: memoryview) -> memoryview:
    return content


def _files(module: Table, field: int) -> dict[str, memoryview]:
    return {table.string(0): table.bytes(1) for table in module.tables(field)}


class _Files(Mapping[str, bytes]):
    """Files in a flatbuffer, each copied when it is looked up."""

    def __init__(self, contents: Mapping[str, memoryview]) -> None:
        self._contents = contents

    def __getitem__(self, name: str) -> bytes:
        return bytes(self._contents[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def __len__(self) -> int:
        return len(self._contents)


def _damage(why: str) -> ModelError:
    return ModelError(f"the flatbuffer is damaged: {why}")
