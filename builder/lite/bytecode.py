"""Reads functions as the pickles of lite zip files have them.

See torch/csrc/jit/serialization/export_module.cpp and torch/csrc/jit/mobile/import.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from builder.errors import Hint, ModelError, Run
from builder.lite.effort import Effort
from builder.lite.model import Argument, Callee, Function, Instruction
from builder.lite.objects import List

BYTECODE = "bytecode.pkl"
DEBUG_HANDLES = "mobile_debug_handles.pkl"
FIRST_BYTECODE = 3
"""Bytecode version of files without a version number (mobile/import.cpp,
BytecodeDeserializer::parseMethods)."""
_OLDEST_FORMAT, _NEWEST_FORMAT = 1, 10
"""Versions of archives that runtimes load (kMin- and kMaxSupportedFileFormatVersion in
caffe2/serialize/versions.h of PyTorch 2.6). Flatbuffers have the same numbers, which their loader
does not compare."""
_ENTRY_STEPS, _OPERATOR_STEPS = 4, 8
"""Steps of `Effort` for an instruction or a type, and for an operator, measured in opcodes."""
_LONGEST_NAME = 4096
_INT32 = range(1 << 31)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def parse_bytecode(value: object, effort: Effort | None = None) -> tuple[int, tuple[Function, ...]]:
    """Returns the bytecode version and the functions in an unpickled `(version, function, ...)`.

    A pickle can refer to the same object many times, as a function or as a part of one: `effort`
    bounds the cost of reading it again.

    Raises:
        ModelError: the value has another form, or asks for too much work.
    """
    effort = effort or Effort.of(0)
    functions = _tuple(value)
    version = FIRST_BYTECODE
    # Files without a version number begin with the first function.
    if functions and isinstance(functions[0], int):
        version, functions = functions[0], functions[1:]
    if version not in _INT32:
        raise _malformed(f"there is no version {version}")
    if not functions:
        raise _malformed("there are no functions")
    names: set[str] = set()
    return version, tuple(_function(_tuple(one), names, effort) for one in functions)


def check_version(version: int) -> int:
    """Returns the version of a file's operators; ModelError if no runtime loads such files."""
    if not _OLDEST_FORMAT <= version <= _NEWEST_FORMAT:
        raise ModelError(
            f"its archive has version {version}; runtimes load versions {_OLDEST_FORMAT} to "
            f"{_NEWEST_FORMAT}",
            hint="use a newer builder, or write the file again with an older torch",
        )
    return version


def check_name(name: str, known: set[str]) -> str:
    """Returns the qualified name of a function, and adds it to `known`.

    Raises:
        ModelError: the name is malformed, or another function has it (PyTorch writes each function
            once).
    """
    # Cut first: a name of megabytes would be copied by rpartition.
    last = name[-_LONGEST_NAME:].rpartition(".")[2]
    if len(name) > _LONGEST_NAME or not _IDENTIFIER.fullmatch(last):
        raise ModelError(f"the name of a method is malformed: {last[:80]!r}")
    if name in known:
        raise ModelError(f"several functions of the model have the name {name:.80}")
    known.add(name)
    return name


def _function(parts: tuple[Any, ...], names: set[str], effort: Effort) -> Function:
    if len(parts) < 2:
        raise _malformed("a function has no code")
    name = check_name(_text(parts[0]), names)
    code = _tuple(parts[1])
    # The cost is counted before the work, so that a hostile file fails early.
    for index, key in enumerate(("instructions", "operators", "constants", "types")):
        steps = _OPERATOR_STEPS if key == "operators" else _ENTRY_STEPS
        effort.spend(steps * len(_tuple(_field(code, index, key))))
    registers = _field(code, 4, "register_size")
    if not isinstance(registers, int) or registers not in _INT32:
        raise _malformed("a number of registers is expected")
    # Files of old versions have functions without a schema.
    schema = _tuple(parts[2]) if len(parts) > 2 else None
    return Function(
        name=name,
        instructions=tuple(map(_instruction, _field(code, 0, "instructions"))),
        callees=tuple(map(_callee, _field(code, 1, "operators"))),
        constants=_field(code, 2, "constants"),
        types=tuple(map(_text, _field(code, 3, "types"))),
        registers=registers,
        arguments=None if schema is None else _arguments(schema, 0, effort),
        results=None if schema is None else _arguments(schema, 1, effort),
    )


def _callee(entry: object) -> Callee:
    match entry:
        # The number of arguments is stored since version 6.
        case (str(name), str(overload), int(count), *_) if count in _INT32:
            return Callee(name, overload, count)
        # Upstream writes -1 for operators of any number of arguments, which OPN tells.
        case (str(name), str(overload)) | (str(name), str(overload), -1):
            return Callee(name, overload)
    raise _malformed("an operator has no name")


def _instruction(step: object) -> Instruction:
    match step:
        # x and n of the struct Instruction have 32 and 16 bits (instruction.h).
        case (str(opcode), int(x), int(n)) if -(1 << 31) <= x < 1 << 31 and 0 <= n < 1 << 16:
            return Instruction(opcode, x, n)
    raise _malformed("an instruction is not an opcode with 32 bits and 16 bits")


def _arguments(schema: tuple[Any, ...], index: int, effort: Effort) -> tuple[Argument, ...]:
    """Returns the arguments (`index` 0) or results (1) of a schema."""
    entries = _tuple(_field(schema, index, ("arguments", "returns")[index]))
    effort.spend(_ENTRY_STEPS * len(entries))
    return tuple(
        Argument(
            _text(_field(entry, 0, "name")),
            _text(_field(entry, 1, "type")),
            _field(entry, 2, "default_value"),
        )
        for entry in map(_tuple, entries)
    )


def add_debug_handles(
    functions: Sequence[Function], value: object, effort: Effort
) -> tuple[Function, ...]:
    """Returns the functions with the handles in an unpickled `(version, function, ...)`.

    Raises:
        ModelError: the value has another form, or belongs to other functions.
    """
    entries = _tuple(value)[-len(functions) :]
    if len(entries) != len(functions):
        raise _malformed("functions have no debug handles")
    found = []
    for function, entry in zip(functions, map(_tuple, entries), strict=True):
        # A function of C++ has an empty entry.
        handles = _handles(entry, function) if entry else None
        effort.spend(len(handles or ()))
        found.append(replace(function, debug_handles=handles))
    return tuple(found)


def _handles(entry: tuple[Any, ...], function: Function) -> tuple[int, ...]:
    if len(entry) < 2 or entry[0] != function.name:
        raise _malformed("debug handles belong to another function")
    match _field(_tuple(entry[1]), 0, "function_debug_handles"):
        case (List(items=items),):
            handles = tuple(item for item in items if isinstance(item, int))
            if len(handles) == len(items) == len(function.instructions):
                return handles
    raise _malformed("the debug handles of a function are not a number for each instruction")


def values_in(functions: Sequence[Function]) -> chain[object]:
    """Returns the constants and the defaults of arguments of all functions."""
    return chain.from_iterable(
        (
            *function.constants,
            *(one.default for one in (*(function.arguments or ()), *(function.results or ()))),
        )
        for function in functions
    )


def _field(table: tuple[Any, ...], index: int, key: str) -> Any:  # noqa: ANN401 - any value
    match table[index : index + 1]:
        case ((name, value),) if name == key:
            return value
    raise _malformed(f"{key!r} is missing")


def _tuple(value: object) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise _malformed(f"a tuple is expected, not {type(value).__name__.lower()}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _malformed(f"a string is expected, not {type(value).__name__}")
    return value


def _malformed(why: str) -> ModelError:
    return ModelError(
        f"{BYTECODE} does not have the form that PyTorch writes: {why}",
        hint=Hint("export the model again with ", Run("export", ("SOURCE",))),
    )
