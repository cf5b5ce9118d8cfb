"""Operator lists on disk: the YAML that torchgen's SelectiveBuilder reads, and plain lists.

SelectiveBuilder (torchgen/selective_build/selector.py) refuses keys it does not know, but keeps
any texts in `debug_info`. What builder needs beyond torchgen stands there as JSON texts: one
header, then one entry per model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.core.dtypes import DtypeSet
from builder.core.model import ModelOrigin, OperatorList
from builder.core.operators import Operator, OperatorSet
from builder.errors import ConfigurationError, ModelError
from builder.formats.plain_yaml import parse_documents

SCHEMA = 1
"""Version of what we put into `debug_info`."""
YAML_SUFFIXES = frozenset({".yaml", ".yml"})
SUFFIXES = YAML_SUFFIXES | {".txt"}
"""File names that end so are operator lists; everything else is a model."""
MAX_BYTES = 2 << 20
"""Of an operator list that is read; all operators of PyTorch together take under 1 MB."""

_HEADER = (
    "# Root operators, as `builder ops` found them; `builder build` and torchgen read this file.\n"
)
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
_HINT = "write a list with: builder ops MODEL -o ops.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What the first entry tells of the whole list."""

    versions: frozenset[int] = frozenset()
    dtypes: DtypeSet | None = None


def is_op_list(path: Path) -> bool:
    """Returns True when `path` is named like an operator list."""
    return path.suffix.lower() in SUFFIXES


def write_op_list(path: Path, op_list: OperatorList) -> None:
    """Writes `op_list` to `path` in one step."""
    from builder.system.files import write_atomically

    write_atomically(path, render_op_list(op_list))


def is_own_list(path: Path) -> bool:
    """Says whether builder wrote the operator list at `path`."""
    header = _HEADER.encode()
    with path.open("rb") as stream:
        return stream.read(len(header)) == header


def refuse_other_name(path: Path) -> None:
    """Raises ConfigurationError when `path` is not named as the YAML that it will hold."""
    if path.suffix.lower() not in YAML_SUFFIXES:
        raise ConfigurationError(
            f"an operator list is YAML, but {path} is not named so",
            hint=f"-o {path.with_suffix('.yaml')}",
        )


def read_op_list(path: Path) -> OperatorList:
    """Returns the operators listed in `path`: our YAML, one of upstream's, or names line by line.

    Raises:
        ModelError: it is missing, no list of operators, or asks for more than a list can say.
    """
    if not path.is_file():
        raise ModelError(f"there is no operator list {path}", hint=_HINT)
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path} is larger than {MAX_BYTES:,} bytes: no list of operators")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() in YAML_SUFFIXES:
            return parse_op_list(text, source=path.name)
        return _plain(_text_lines(text), source=path.name)
    except UnicodeDecodeError:
        raise ModelError(f"{path} is no text", hint=_HINT) from None
    except ModelError as error:
        raise ModelError(f"{path}: {error.message}", hint=error.hint or _HINT) from error


def render_op_list(op_list: OperatorList) -> str:
    """Returns the YAML of `op_list`: sorted, and the same for equal lists."""
    import yaml

    document = {
        "include_all_operators": False,
        "include_all_non_op_selectives": False,
        "debug_info": [json.dumps(entry) for entry in _entries(op_list)],
        "operators": {
            str(operator): {
                "is_root_operator": True,
                "is_used_for_training": False,
                "include_all_overloads": False,
                "debug_info": list(op_list.operators.sources(operator)),
            }
            for operator in op_list.operators
        },
        "kernel_metadata": {},
        "custom_classes": sorted(op_list.custom_classes),
        "build_features": [],
    }
    text: str = yaml.safe_dump(document, sort_keys=False, width=1 << 20)
    return _HEADER + text


def parse_op_list(text: str, *, source: str) -> OperatorList:
    """Returns the operator list of a YAML `text`; ModelError when it is none.

    Args:
        text: our YAML, upstream's, or a plain list of names.
        source: who wants the operators for which the text names nobody.
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
    raise _bad("it holds neither operators nor names of operators")


def _parse_yaml(text: str) -> object:
    try:
        documents = list(parse_documents(text))
    except ValueError as error:
        raise _bad(str(error)) from error
    if len(documents) > 1:
        raise _bad("it holds several documents")
    return documents[0] if documents else None


def _entries(op_list: OperatorList) -> Iterator[dict[str, Any]]:
    yield {
        "builder_op_list": SCHEMA,
        "bytecode_versions": sorted(op_list.bytecode_versions),
        **({} if op_list.dtypes is None else {"dtypes": op_list.dtypes.to_json()}),
    }
    for origin in sorted(op_list.models):
        yield {
            "model": origin.name,
            "sha256": origin.sha256,
            "bytecode_version": origin.bytecode_version,
            **({"exporter": origin.exporter} if origin.exporter else {}),
            **({"command": origin.command} if origin.command else {}),
        }


def _text_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        name = line.partition("#")[0].strip().removeprefix("- ").strip()
        if name:
            yield name


def _plain(names: Iterable[object], *, source: str) -> OperatorList:
    operators = OperatorSet.of((_operator(name) for name in names), source=source)
    if not len(operators):
        raise _bad("it names no operators")
    return OperatorList(operators=operators)


def _document(document: dict[Any, Any], source: str) -> OperatorList:
    unknown = sorted(str(key) for key in document.keys() - _TOP_KEYS)
    if unknown:
        raise _bad(f"unknown keys: {', '.join(unknown)[:200]}")
    if document.get("include_all_operators", False) is not False:
        raise _bad("include_all_operators asks for everything; builder builds what is listed")
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
        bytecode_versions=tuple(sorted(header.versions)),
        models=models,
        dtypes=header.dtypes,
    )


def _is_root(operator: Operator, settings: Mapping[Any, Any]) -> bool:
    # the others are called by kernels only; the link finds those itself
    root = settings.get("is_root_operator", True)
    if not isinstance(root, bool):
        raise _bad(f"is_root_operator of {operator} is neither true nor false")
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
                if schema != SCHEMA:
                    raise _bad(f"it was written by a newer builder (schema {schema}, not {SCHEMA})")
                header = _Header(
                    versions=frozenset(_versions(rest.get("bytecode_versions"))),
                    dtypes=_dtypes(rest.get("dtypes")),
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
        raise _bad("its bytecode_versions are no list of numbers")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _parse_json(entry: str) -> object:
    try:
        return json.loads(entry)
    except (ValueError, RecursionError):
        return None  # somebody else's remark


def _operator(name: object) -> Operator:
    if not isinstance(name, str):
        raise _bad(f"a {type(name).__name__} is not the name of an operator")
    try:
        return Operator.parse(name)
    except ValueError:
        raise _bad(f"not an operator: {name[:80]!r}") from None


def _mapping(value: object, what: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise _bad(f"{what} is not a mapping")
    return value


def _texts(value: object, what: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _bad(f"{what} is not a list of texts")
    return tuple(value)


def _bad(why: str) -> ModelError:
    return ModelError(why, hint=_HINT)
