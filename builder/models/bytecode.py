"""Reads the bytecode of a lite zip file (export_module.cpp and mobile/import.cpp of PyTorch)."""

from __future__ import annotations

from typing import Any

from builder.errors import ModelError
from builder.models.archive import Archive
from builder.models.dtype_arguments import Callee, Instruction, find_dtype_codes
from builder.models.effort import Effort
from builder.models.lite_contents import LiteContents
from builder.models.pickles import Unpickled, parse_pickle

BYTECODE = "bytecode.pkl"
# The codes are those of c10::ScalarType (c10/core/ScalarType.h), in its order.
_STORAGES = {
    **{
        f"{name}Storage": code
        for code, name in enumerate(
            (
                *("Byte", "Char", "Short", "Int", "Long", "Half", "Float", "Double"),
                *("ComplexHalf", "ComplexFloat", "ComplexDouble", "Bool"),
                *("QInt8", "QUInt8", "QInt32", "BFloat16"),
            )
        )
    },
    "complex": 10,
}
"""Name of a storage in pickles -> scalar type; complex numbers of Python are complex128."""
_FIRST_BYTECODE = 3
"""Bytecode version of files without a version number (mobile/import.cpp,
BytecodeDeserializer::parseMethods)."""


_ENTRY_STEPS, _OPERATOR_STEPS = 4, 8
"""Steps of `Effort` for an instruction or a type, and for an operator, measured in opcodes."""


def read_lite_archive(archive: Archive) -> LiteContents:
    """Returns what the functions and objects of a lite zip file need.

    Raises:
        ModelError: the file is damaged.
    """
    pickle = parse_pickle(archive.read(BYTECODE), record=BYTECODE, effort=archive.effort)
    contents = parse_bytecode(pickle.value, archive.effort)
    contents.add_types(pickle.types)
    _add_storages(contents, pickle)
    for record in ("data.pkl", "constants.pkl"):
        # data.pkl has the attributes of the model; constants.pkl is missing where there are no
        # constants.
        if record in archive or record == "data.pkl":
            objects = parse_pickle(archive.read(record), record=record, effort=archive.effort)
            contents.add_types(objects.types)
            _add_storages(contents, objects)
    contents.operator_version = read_archive_version(archive)
    return contents


def read_archive_version(archive: Archive) -> int | None:
    """Returns the operator version in the record `version`; None if there is no such record."""
    record = next((name for name in (".data/version", "version") if name in archive), None)
    if record is None:
        return None
    # Real numbers have two digits; a long one would only be slow to parse.
    text = archive.read(record)[:20].strip()
    if not text.isdigit():
        raise ModelError(f"its version record is not a number: {text!r}")
    return int(text)


def parse_bytecode(value: object, effort: Effort | None = None) -> LiteContents:
    """Returns what the functions in an unpickled `(version, function, ...)` need.

    A pickle can refer to the same object many times, as a function or as a part of one: `effort`
    bounds the cost of reading it again.

    Raises:
        ModelError: the value has another form, or asks for too much work.
    """
    effort = effort or Effort.of(0)
    functions = _tuple(value)
    version = _FIRST_BYTECODE
    # Files without a version number begin with the first function.
    if functions and isinstance(functions[0], int):
        version, functions = functions[0], functions[1:]
    if not functions:
        raise _malformed("there are no functions")
    contents = LiteContents(bytecode_version=version)
    for function in functions:
        _add_function(contents, _tuple(function), effort)
    return contents


def _add_function(contents: LiteContents, function: tuple[Any, ...], effort: Effort) -> None:
    if len(function) < 2:
        raise _malformed("a function has no code")
    contents.add_method(_text(function[0]))
    code = _tuple(function[1])
    # The cost is counted before the work, so that a hostile file fails early.
    effort.spend(_OPERATOR_STEPS * len(_tuple(_field(code, 1, "operators"))))
    for place, key in ((0, "instructions"), (3, "types")):
        effort.spend(_ENTRY_STEPS * len(_tuple(_field(code, place, key))))
    for operator in _tuple(_field(code, 1, "operators")):
        match operator:
            case (str(name), str(overload), *_):
                contents.add_operator(name, overload)
            case _:
                raise _malformed("an operator has no name")
    contents.add_dtype_codes(_find_dtype_codes(code, effort))
    contents.add_types(_text(entry) for entry in _tuple(_field(code, 3, "types")))
    # Files of old versions have functions without a schema.
    for schema in function[2:3]:
        table = _tuple(schema)
        arguments, returns = (_schema_entries(table, index, effort) for index in (0, 1))
        contents.add_types(kind for _, kind, _ in (*arguments, *returns))
        contents.add_signature(function[0], arguments, [kind for _, kind, _ in returns])


def _add_storages(contents: LiteContents, pickle: Unpickled) -> None:
    for storage in pickle.storages:
        code = _STORAGES.get(storage)
        # An unknown storage may hold any dtype.
        contents.add_dtype_codes(None if code is None else (code,))


def _find_dtype_codes(code: tuple[Any, ...], effort: Effort) -> frozenset[int] | None:
    callees = [
        Callee(f"{name}.{overload}" if overload else name, count)
        for name, overload, count in map(_callee, _tuple(_field(code, 1, "operators")))
    ]
    constants = _tuple(_field(code, 2, "constants"))
    steps = [_instruction(step) for step in _tuple(_field(code, 0, "instructions"))]
    return find_dtype_codes(steps, callees, constants, spend=effort.spend)


def _callee(entry: tuple[Any, ...]) -> tuple[str, str, int | None]:
    match entry:
        case (name, overload, int(count), *_):
            # The number of arguments is stored since version 6.
            return name, overload, count
    return entry[0], entry[1], None


def _instruction(step: object) -> Instruction:
    match step:
        # x and n of the struct Instruction have 32 and 16 bits (instruction.h).
        case (str(opcode), int(x), int(n)) if -(1 << 31) <= x < 1 << 31 and 0 <= n < 1 << 16:
            return Instruction(opcode, x, n)
    raise _malformed("an instruction is not an opcode with 32 bits and 16 bits")


def _schema_entries(
    schema: tuple[Any, ...], index: int, effort: Effort
) -> list[tuple[str, str, object]]:
    """Returns name, type and default value of each argument (`index` 0) or result (1)."""
    entries = _tuple(_field(schema, index, ("arguments", "returns")[index]))
    effort.spend(_ENTRY_STEPS * len(entries))
    return [
        (
            _text(_field(entry, 0, "name")),
            _text(_field(entry, 1, "type")),
            _field(entry, 2, "default_value"),
        )
        for entry in map(_tuple, entries)
    ]


def _field(table: tuple[Any, ...], index: int, key: str) -> Any:  # noqa: ANN401 - any value
    match table[index : index + 1]:
        case ((name, value),) if name == key:
            return value
    raise _malformed(f"{key!r} is missing")


def _tuple(value: object) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise _malformed(f"a tuple is expected, not {type(value).__name__}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _malformed(f"a string is expected, not {type(value).__name__}")
    return value


def _malformed(why: str) -> ModelError:
    return ModelError(
        f"{BYTECODE} does not have the form that PyTorch writes: {why}",
        hint="export the model again with `builder export`",
    )
