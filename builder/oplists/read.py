"""Reads operator lists: YAML of builder or PyTorch, or one name per line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.core.dtypes import DtypeSet
from builder.core.model_facts import ModelOrigin, OperatorList
from builder.core.operators import Operator, OperatorSet
from builder.errors import Hint, ModelError, Run, Use
from builder.formats.plain_yaml import parse_documents
from builder.oplists.format import SCHEMA, YAML_SUFFIXES
from builder.system.files import describe_absent

MAX_BYTES = 2 << 20
"""Largest size of an operator list in bytes; all operators of PyTorch together need under 1 MB."""

_TOP_KEYS = frozenset(
    {
        "build_features",
        "custom_classes",
        "debug_info",
        "et_kernel_metadata",
        "include_all_non_op_selectives",
        "include_all_operators",
        "kernel_metadata",
        "operators",
    }
)
_HINT = Hint("write a list with: ", Run("ops", ("MODEL", Use("output", "ops.yaml"))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """The first entry of `debug_info`, which describes the whole list."""

    versions: frozenset[int] = frozenset()
    dtypes: DtypeSet | None = None
    marks: frozenset[str] = frozenset()


def read_op_list(path: Path) -> OperatorList:
    """Reads the operator list at `path`: YAML of builder or PyTorch, or one name per line.

    Raises:
        ModelError: the file is missing, is not an operator list, or asks for all operators.
    """
    if not path.is_file():
        raise ModelError(f"the operator list {path} {describe_absent(path)}", hint=_HINT)
    # Before reading: a model that was renamed to .yaml may have gigabytes.
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(
            f"{path} is larger than {MAX_BYTES:,} bytes, so it is not an operator list"
        )
    try:
        # Editors of Windows begin a text with a byte-order mark.
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() in YAML_SUFFIXES:
            return parse_op_list(text, source=path.name)
        return _plain(_text_lines(text), source=path.name)
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not a text file in UTF-8", hint=_HINT) from None
    except ModelError as error:
        between = ", " if error.message.startswith("line ") else ": "
        said = f"{path}{between}{error.message}"
        raise ModelError(said, hint=error.hint or _HINT) from error


def parse_op_list(text: str, *, source: str) -> OperatorList:
    """Returns the operator list in a YAML `text`.

    Args:
        text: YAML of builder or PyTorch, or a plain list of names.
        source: the name to record as user of the operators for which the text names no model.

    Raises:
        ModelError: the text is not an operator list, or asks for all operators.
    """
    match _parse_yaml(text):
        case {"root_operators": dict() as counted, **rest} if not rest:
            # PyTorch's test/mobile/model_test/model_ops.yaml: name -> in how many models
            return _plain(counted, source=source)
        case dict() as document:
            return _document(document, source)
        case list() as names:
            return _plain(names, source=source)
        case str() as names:
            return _plain(names.split(), source=source)
    raise _bad("it contains neither operators nor names of operators")


def _parse_yaml(text: str) -> object:
    try:
        documents = list(parse_documents(text))
    except ValueError as error:
        raise _bad(str(error)) from error
    if len(documents) > 1:
        raise _bad("it contains several YAML documents")
    return documents[0] if documents else None


def _text_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        name = line.partition("#")[0].strip().removeprefix("- ").strip()
        if name:
            yield name


def _plain(names: Iterable[object], *, source: str) -> OperatorList:
    operators = OperatorSet.of((_operator(name) for name in names), source=source)
    if not len(operators):
        raise _bad("it does not name any operators")
    return OperatorList(operators=operators)


def _document(document: dict[Any, Any], source: str) -> OperatorList:
    unknown = sorted(str(key) for key in document.keys() - _TOP_KEYS)
    # SelectiveBuilder refuses such a file too (from_yaml_dict), so builder would promise too much.
    if unknown:
        raise _bad(f"unknown keys: {', '.join(unknown)[:200]}")
    if document.get("include_all_operators", False) is not False:
        raise _bad(
            "include_all_operators asks for all operators, but builder builds only listed ones"
        )
    operators: dict[Operator, frozenset[str]] = {}
    for name, settings in _mapping(document.get("operators"), "operators").items():
        operator = _operator(name)
        if _is_root(operator, _mapping(settings, str(operator))):
            wanted_by = _texts(settings.get("debug_info"), f"debug_info of {operator}")
            operators[operator] = frozenset(wanted_by or (source,))
    header, models = _origins(_texts(document.get("debug_info"), "debug_info"))
    return OperatorList(
        operators=OperatorSet(operators),
        custom_classes=tuple(sorted(set(_texts(document.get("custom_classes"), "custom_classes")))),
        marks=tuple(sorted(header.marks)),
        bytecode_versions=tuple(sorted(header.versions)),
        models=models,
        dtypes=header.dtypes,
    )


def _is_root(operator: Operator, settings: Mapping[Any, Any]) -> bool:
    # Only kernels call the other operators; the link finds those itself.
    root = settings.get("is_root_operator", True)
    if not isinstance(root, bool):
        raise _bad(f"is_root_operator of {operator} is neither true nor false")
    # Its default is true, so a name without overload asks for all of them.
    if root and not operator.overload and settings.get("include_all_overloads", True) is not False:
        raise _bad(
            f"{operator} asks for all its overloads; "
            "list those you need, and set include_all_overloads: false"
        )
    return root


def _origins(entries: Iterable[str]) -> tuple[_Header, tuple[ModelOrigin, ...]]:
    header = _Header()
    models: set[ModelOrigin] = set()
    for entry in entries:
        match _parse_json(entry):
            case {"builder_op_list": int(schema), **rest}:
                # Unknown data may say what must not be ignored.
                if schema != SCHEMA:
                    raise _bad(f"a newer builder wrote it (schema {schema}, not {SCHEMA})")
                header = _Header(
                    versions=frozenset(_versions(rest.get("bytecode_versions"))),
                    dtypes=_dtypes(rest.get("dtypes")),
                    marks=frozenset(_texts(rest.get("marks"), "marks")),
                )
            case {
                "model": str(name),
                "sha256": str(digest),
                "bytecode_version": version,
                **rest,
            } if version is None or _is_count(version):
                exporter, command = (str(rest.get(key, "")) for key in ("exporter", "command"))
                models.add(ModelOrigin(name, digest, version, exporter, command))
    return header, tuple(sorted(models))


def _dtypes(value: object) -> DtypeSet | None:
    if value is None:
        return None
    try:
        return DtypeSet.of(_texts(value, "dtypes"))
    except ValueError as error:
        raise _bad(str(error)) from None


def _versions(value: object) -> list[int]:
    if not isinstance(value, list) or not all(_is_count(version) for version in value):
        raise _bad("bytecode_versions is not a list of numbers")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # bool is a subclass of int


def _parse_json(entry: str) -> object:
    try:
        return json.loads(entry)
    except (ValueError, RecursionError):
        return None  # a remark from another program


def _operator(name: object) -> Operator:
    if not isinstance(name, str):
        raise _bad(f"a {type(name).__name__} is not the name of an operator")
    try:
        return Operator.parse(name)
    except ValueError:
        raise _bad(f"{name[:80]!r} is not the name of an operator") from None


def _mapping(value: object, what: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise _bad(f"{what} is not a mapping")
    return value


def _texts(value: object, what: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _bad(f"{what} is not a list of strings")
    return tuple(value)


def _bad(why: str) -> ModelError:
    return ModelError(why, hint=_HINT)
