"""Reads flatbuffer lite files (torch/csrc/jit/serialization/mobile_bytecode.fbs)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from itertools import islice

from builder.errors import ModelError
from builder.models.dtype_arguments import NAMES, Callee, Instruction, find_dtype_codes
from builder.models.flatbuffer import Buffer, Table
from builder.models.lite_contents import LiteContents

# Numbers of fields, and of members of the union IValueUnion, in mobile_bytecode.fbs.


class _Module(IntEnum):
    BYTECODE_VERSION = 0
    IVALUES = 4
    OBJECT_TYPES = 7
    OPERATOR_VERSION = 10
    MOBILE_IVALUE_SIZE = 11


class _Function(IntEnum):
    QUALIFIED_NAME = 0
    INSTRUCTIONS = 1
    OPERATORS = 2
    CONSTANTS = 3
    TYPE_ANNOTATIONS = 4
    SCHEMA = 6


class _IValue(IntEnum):
    TYPE = 0
    VALUE = 1


class _Union(IntEnum):
    INT = 1
    BOOL = 2
    DOUBLE = 3
    COMPLEX = 4
    TENSOR = 5
    LIST = 7
    DICT = 9
    FUNCTION = 16


_INSTRUCTION = struct.Struct("<bxHi")
"""The struct Instruction: opcode, n, x."""
_INT64 = struct.Struct("<q")
_DOUBLE = struct.Struct("<d")
_BOOL = struct.Struct("<?")
_UINT32 = struct.Struct("<I")
_SCALAR_TYPE = 1
"""Number of the field `scalar_type` of a tensor."""
_ARGUMENTS = 2
"""Number of the field of an operator that counts its arguments; -1 means unknown."""
_COMPLEX128 = 10
"""Code of the scalar type ComplexDouble (c10/core/ScalarType.h)."""
_NONE = 0
"""Union type of a value that is None."""
_ANNOTATION = {_Union.LIST: 1, _Union.DICT: 2}
"""Numbers of the fields with the type annotation of a list and a dict."""


def parse_mobile_module(data: memoryview) -> LiteContents:
    """Returns what the functions and objects of a flatbuffer file need.

    Raises:
        ModelError: an offset leaves the file, or a name is malformed.
    """
    # The values of a file are one flat list; functions and lists refer to them by number.
    module = Buffer(data).root()
    contents = LiteContents(
        bytecode_version=module.uint32(_Module.BYTECODE_VERSION),
        # Zero is what an absent field reads as.
        operator_version=module.uint32(_Module.OPERATOR_VERSION) or None,
    )
    contents.add_types(kind.string(0) for kind in module.tables(_Module.OBJECT_TYPES))
    # Values after these belong to TorchScript sources, which the runtime does not load.
    count = module.uint32(_Module.MOBILE_IVALUE_SIZE) or None
    ivalues = tuple(islice(module.tables(_Module.IVALUES), count))
    for ivalue in ivalues:
        _add_value(contents, ivalue, ivalues)
    if not contents.methods:
        raise ModelError("it contains no functions", hint="export it with `builder export`")
    return contents


def _add_value(contents: LiteContents, ivalue: Table, ivalues: Sequence[Table]) -> None:
    kind = ivalue.uint8(_IValue.TYPE)
    # A complex number as a constant needs kernels for complex128.
    if kind == _Union.COMPLEX:
        contents.add_dtype_codes([_COMPLEX128])
    if kind not in {_Union.FUNCTION, _Union.TENSOR, *_ANNOTATION}:
        return
    value = ivalue.table(_IValue.VALUE)
    if value is None:
        raise ModelError("the flatbuffer is damaged: a value has no content")
    if kind == _Union.FUNCTION:
        _add_function(contents, value, ivalues)
        contents.add_dtype_codes(_find_dtype_codes(value, ivalues))
    elif kind == _Union.TENSOR:
        contents.add_dtype_codes([value.uint8(_SCALAR_TYPE)])
    else:
        contents.add_types([value.string(_ANNOTATION[_Union(kind)])])


def _add_function(contents: LiteContents, function: Table, ivalues: Sequence[Table]) -> None:
    name = function.string(_Function.QUALIFIED_NAME)
    contents.add_method(name)
    for operator in function.tables(_Function.OPERATORS):
        contents.add_operator(operator.string(0), operator.string(1))
    contents.add_types(function.strings(_Function.TYPE_ANNOTATIONS))
    schema = function.table(_Function.SCHEMA)
    if schema is None:
        return
    arguments = [
        (argument.string(0), argument.string(1), _default(ivalues, argument.uint32(2)))
        for argument in schema.tables(0)
    ]
    returns = [result.string(1) for result in schema.tables(1)]
    contents.add_types([*(kind for _, kind, _ in arguments), *returns])
    contents.add_signature(name, arguments, returns)


def _default(ivalues: Sequence[Table], index: int) -> object:
    """Returns the default value: a number, None, or the table of another value."""
    if index >= len(ivalues):
        raise ModelError(f"the flatbuffer is damaged: there is no value {index}")
    # A default refers to a value by its number, as constants do.
    value, kind = ivalues[index], ivalues[index].uint8(_IValue.TYPE)
    match kind:
        case _Union.INT:
            return value.struct(_IValue.VALUE, _INT64)[0]
        case _Union.DOUBLE:
            return value.struct(_IValue.VALUE, _DOUBLE)[0]
        case _Union.BOOL:
            return bool(value.struct(_IValue.VALUE, _BOOL)[0])
    # The table itself stands for a value that is there, but has no plain form.
    return None if kind == _NONE else value


def _find_dtype_codes(function: Table, ivalues: Sequence[Table]) -> frozenset[int] | None:
    code = [
        # The file has numbers of opcodes, the zip format has their names.
        Instruction(NAMES[opcode] if 0 <= opcode < len(NAMES) else "", x, n)
        for opcode, n, x in function.structs(_Function.INSTRUCTIONS, _INSTRUCTION)
    ]
    constants = [
        _constant(ivalues, index) for (index,) in function.structs(_Function.CONSTANTS, _UINT32)
    ]
    callees = [_callee(operator) for operator in function.tables(_Function.OPERATORS)]
    return find_dtype_codes(code, callees, constants, spend=function.buffer.spend)


def _callee(operator: Table) -> Callee:
    name, overload = operator.string(0), operator.string(1)
    count = operator.int32(_ARGUMENTS, default=-1)
    return Callee(f"{name}.{overload}" if overload else name, None if count < 0 else count)


def _constant(ivalues: Sequence[Table], index: int) -> object:
    if index >= len(ivalues):
        raise ModelError(f"the flatbuffer is damaged: there is no value {index}")
    kind = ivalues[index].uint8(_IValue.TYPE)
    if kind == _Union.INT:
        return ivalues[index].struct(_IValue.VALUE, _INT64)[0]
    return None if kind == _NONE else ivalues[index]
