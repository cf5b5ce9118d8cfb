"""The flatbuffer lite format (torch/csrc/jit/serialization/mobile_bytecode.fbs)."""

from __future__ import annotations

from enum import IntEnum
from itertools import islice

from builder.errors import ModelError
from builder.models.contents import LiteContents
from builder.models.flatbuffer import Buffer, Table


class _Module(IntEnum):
    BYTECODE_VERSION = 0
    IVALUES = 4
    OBJECT_TYPES = 7
    OPERATOR_VERSION = 10
    MOBILE_IVALUE_SIZE = 11


class _Function(IntEnum):
    QUALIFIED_NAME = 0
    OPERATORS = 2
    TYPE_ANNOTATIONS = 4
    SCHEMA = 6


class _IValue(IntEnum):
    TYPE = 0
    VALUE = 1


class _Union(IntEnum):
    LIST = 7
    DICT = 9
    FUNCTION = 16


_ANNOTATION = {_Union.LIST: 1, _Union.DICT: 2}
"""Field of a container that names its element types."""


def parse_mobile_module(data: memoryview) -> LiteContents:
    """Returns what the functions and objects of a flatbuffer file need.

    Raises:
        ModelError: an offset leaves the file, or a name is impossible.
    """
    module = Buffer(data).root()
    contents = LiteContents(
        bytecode_version=module.uint32(_Module.BYTECODE_VERSION),
        operator_version=module.uint32(_Module.OPERATOR_VERSION) or None,
    )
    contents.add_types(kind.string(0) for kind in module.tables(_Module.OBJECT_TYPES))
    # what follows belongs to TorchScript sources, which the runtime does not load
    count = module.uint32(_Module.MOBILE_IVALUE_SIZE) or None
    for ivalue in islice(module.tables(_Module.IVALUES), count):
        _add_value(contents, ivalue)
    if not contents.methods:
        raise ModelError("it holds no functions", hint="export it with `builder export`")
    return contents


def _add_value(contents: LiteContents, ivalue: Table) -> None:
    kind = ivalue.uint8(_IValue.TYPE)
    if kind not in {_Union.FUNCTION, *_ANNOTATION}:
        return
    value = ivalue.table(_IValue.VALUE)
    if value is None:
        raise ModelError("the flatbuffer is damaged: a value without content")
    if kind == _Union.FUNCTION:
        _add_function(contents, value)
    else:
        contents.add_types([value.string(_ANNOTATION[_Union(kind)])])


def _add_function(contents: LiteContents, function: Table) -> None:
    contents.add_method(function.string(_Function.QUALIFIED_NAME))
    for operator in function.tables(_Function.OPERATORS):
        contents.add_operator(operator.string(0), operator.string(1))
    contents.add_types(function.strings(_Function.TYPE_ANNOTATIONS))
    schema = function.table(_Function.SCHEMA)
    for arguments in (0, 1) if schema is not None else ():
        assert schema is not None
        contents.add_types(argument.string(1) for argument in schema.tables(arguments))
