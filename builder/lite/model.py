"""A lite file as values: functions in bytecode, the object that they belong to, other records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.lite.objects import ScriptObject

OPCODES = (
    *("OP", "OPN", "LOAD", "MOVE", "STOREN", "STORE", "DROP", "DROPR", "LOADC", "JF", "JMP"),
    *("LOOP", "RET", "WAIT", "CALL", "GUARD", "TYPECHECK", "FAIL_GUARD", "PROFILE_OP"),
    *("TAIL_CALL", "INTERFACE_CALL", "GET_ATTR", "SET_ATTR", "LIST_UNPACK", "TUPLE_CONSTRUCT"),
    *("NAMED_TUPLE_CONSTRUCT", "LIST_CONSTRUCT", "DICT_CONSTRUCT", "CREATE_OBJECT", "ISINSTANCE"),
    *("TUPLE_SLICE", "TUPLE_INDEX", "RAISE_EXCEPTION", "DICT_INDEX", "UNCHECKED_CAST", "__IS__"),
    *("UN_INITIALIZED", "__ISNOT__", "FORMAT", "DEVICE", "DTYPE", "DIM", "__NOT__", "TO_LIST"),
    *("NUM_TO_TENSOR", "IS_CUDA", "FORK", "WARN", "ENTER", "EXIT", "AWAITABLE"),
)
"""Names of opcodes, in the order of their numbers (torch/csrc/jit/runtime/instruction.h)."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of the stack machine (torch/csrc/jit/runtime/instruction.h)."""

    opcode: str
    x: int = 0
    """First operand, 32 bits with a sign: an index or a distance."""
    n: int = 0
    """Second operand, 16 bits: a number of values."""


@dataclass(frozen=True, slots=True)
class Callee:
    """An entry in the table of operators of a function."""

    name: str
    overload: str = ""
    arguments: int | None = None
    """Number of values that the call takes from the stack; None (files before bytecode version
    6): all arguments of the schema. Arguments that are left out at the end have their defaults."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument or a result in the schema of a function."""

    name: str
    type: str
    """In TorchScript's syntax, such as `Optional[List[int]]`."""
    default: object = None
    """None also stands for "no default": the files do not tell them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function or method in bytecode."""

    name: str
    """Qualified name, such as `__torch__.Net.forward`."""
    instructions: tuple[Instruction, ...]
    callees: tuple[Callee, ...]
    constants: tuple[object, ...]
    types: tuple[str, ...]
    registers: int
    """Number of registers; they are numbered from 1."""
    arguments: tuple[Argument, ...] | None
    """With `self` first; None in files of old versions, which have no schemas."""
    results: tuple[Argument, ...] | None
    debug_handles: tuple[int, ...] | None = None
    """One for each instruction; None if the file has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteModel:
    """The whole content of a lite file."""

    bytecode_version: int
    operator_version: int | None
    """Version of the operators that the functions call; the runtime upgrades older ones."""
    functions: tuple[Function, ...]
    root: ScriptObject
    """The module itself."""
    script_constants: tuple[object, ...] | None = None
    """Constants of the TorchScript sources in the records `code/...`, which the lite interpreter
    does not read; None if the file has none."""
    extra_files: Mapping[str, bytes] = field(default_factory=dict)
    """Names as the user gave them, without `extra/`."""
    records: Mapping[str, bytes] = field(default_factory=dict)
    """Other records that the lite interpreter does not need, such as `code/...` and debug maps.

    Both mappings may read a file when a key is looked up, and then raise ModelError if it is
    damaged."""
