"""Reads and writes the functions of lite files that torch wrote, with Python's pickle.

Only for trusted files. Tensors and lists among the constants stay what pickle calls to make them.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import dataclass
from typing import Any

from builder.lite.model import Argument, Callee, Function, Instruction, LiteModel
from builder.lite.objects import ScriptObject


@dataclass(frozen=True, eq=False)
class Made:
    call: Any
    arguments: tuple[Any, ...]

    def __reduce__(self) -> Any:
        return self.call, self.arguments


@dataclass(frozen=True)
class Stored:
    key: Any


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        call = super().find_class(module, name)
        return lambda *arguments: Made(call, arguments)

    def persistent_load(self, key: Any) -> Any:
        return Stored(key)


class _Writer(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return value.key if isinstance(value, Stored) else None


def read_model(data: bytes) -> LiteModel:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        record = archive.read(_record(archive, "bytecode.pkl"))
        operators = int(archive.read(_record(archive, "version", ".data/version")))
    version, *functions = _Reader(io.BytesIO(record)).load()
    read = tuple(map(_read_function, functions))
    return LiteModel(
        bytecode_version=version,
        operator_version=operators,
        functions=read,
        root=ScriptObject(read[0].name.rpartition(".")[0]),
    )


def replace_functions(data: bytes, model: LiteModel) -> bytes:
    """Returns the file `data` with the functions of `model`."""
    stream = io.BytesIO()
    writer = _Writer(stream, protocol=2)
    writer.dump((model.bytecode_version, *map(_write_function, model.functions)))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        changed = _record(old, "bytecode.pkl")
        for name in old.namelist():
            new.writestr(name, stream.getvalue() if name == changed else old.read(name))
    return out.getvalue()


def _record(archive: zipfile.ZipFile, *names: str) -> str:
    return next(n for n in archive.namelist() if n.partition("/")[2] in names)


def _read_function(entry: Any) -> Function:
    name, code, *rest = entry
    table = dict(code)
    schema = dict(rest[0]) if rest else {}
    return Function(
        name=name,
        instructions=tuple(Instruction(*step) for step in table["instructions"]),
        callees=tuple(Callee(*callee) for callee in table["operators"]),
        constants=tuple(table["constants"]),
        types=tuple(table["types"]),
        registers=table["register_size"],
        arguments=_read_arguments(schema.get("arguments")),
        results=_read_arguments(schema.get("returns")),
    )


def _read_arguments(entries: Any) -> tuple[Argument, ...] | None:
    return None if entries is None else tuple(Argument(*dict(e).values()) for e in entries)


def _write_function(function: Function) -> Any:
    code = (
        ("instructions", tuple((s.opcode, s.x, s.n) for s in function.instructions)),
        ("operators", tuple(map(_write_callee, function.callees))),
        ("constants", function.constants),
        ("types", function.types),
        ("register_size", function.registers),
    )
    schema = tuple(
        (key, tuple(_write_argument(one) for one in arguments or ()))
        for key, arguments in (("arguments", function.arguments), ("returns", function.results))
    )
    return (function.name, code) if function.arguments is None else (function.name, code, schema)


def _write_argument(one: Argument) -> Any:
    return (("name", one.name), ("type", one.type), ("default_value", one.default))


def _write_callee(callee: Callee) -> Any:
    return (callee.name, callee.overload, -1 if callee.arguments is None else callee.arguments)
