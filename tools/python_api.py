"""Describes the names of `builder.api`: the generated part of docs/reference/python-api.md.

All of it comes from annotations and docstrings; tools/make_reference.py writes it.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from types import FunctionType
from typing import Any, TypeVar, get_args

from builder import api
from builder.core.setting_fields import read_field_docs
from builder.errors import BuilderError

STANDARD = {
    "Annotated",
    "Any",
    "Iterable",
    "Iterator",
    "Mapping",
    "Path",
    "Sequence",
    "Text",
    "Self",
}
"""Names in annotations that come from Python's own library, and two that leave no trace."""
_Node = TypeVar("_Node", bound=ast.AST)
_SECTIONS = {"Args:": "Arguments:", "Raises:": "Errors:"}
_ENTRY = re.compile(r"(\w+): (.*)")


def list_names(annotation: str) -> set[str]:
    """Returns the names of types in an annotation, without those of Python itself."""
    nodes = ast.walk(_simplify(ast.parse(annotation, mode="eval").body))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return {name for name in names if not hasattr(builtins, name)} - STANDARD


def list_functions() -> dict[str, FunctionType]:
    """Returns the functions of `builder.api` by their names, sorted."""
    members = {name: getattr(api, name) for name in dir(api)}
    return {name: one for name, one in members.items() if isinstance(one, FunctionType)}


def render_names() -> str:
    """Returns the sections about all functions and types."""
    functions = list_functions()
    lines = ["## Functions", ""]
    for name, function in functions.items():
        lines += [f"### {name}", "", f"`{name}{_sign(function)}`", "", *_describe(function)]
    lines += ["## Types", ""]
    for name in sorted(set(dir(api)) - functions.keys(), key=str.lower):
        lines += [f"### {name}", "", *_describe_type(name, getattr(api, name))]
    return "\n".join(lines).rstrip() + "\n"


def _sign(function: FunctionType) -> str:
    """Returns the parameters and the result of a function, as its source writes them."""
    (node,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef)
    arguments = _simplify(node.args)
    arguments.args = [one for one in arguments.args if one.arg not in {"self", "cls"}]
    arguments.kw_defaults = [_resolve(one, function) for one in arguments.kw_defaults]
    returned = _simplify(node.returns) if node.returns else ast.Constant(None)
    parameters = re.sub(r"(?<=[\w\]])=", " = ", ast.unparse(arguments))
    return f"({parameters}) -> {ast.unparse(returned)}"


def _resolve(default: ast.expr | None, function: FunctionType) -> ast.expr | None:
    """Returns a default; the value in place of a constant of the module."""
    if isinstance(default, ast.Name):
        return ast.Constant(function.__globals__[default.id])
    return default


def _show(annotation: str) -> str:
    return ast.unparse(_simplify(ast.parse(annotation, mode="eval").body))


def _simplify(node: _Node) -> _Node:
    """Returns an annotation without what only builder's own options read."""

    class Plain(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> Any:  # noqa: ANN401
            self.generic_visit(node)
            match node:
                case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[one, *_])):
                    return one
                case ast.Subscript(value=ast.Name(id="Text"), slice=one):
                    return one
            return node

    return Plain().visit(node)  # type: ignore[no-any-return]


def _describe(documented: object) -> Iterator[str]:
    """Yields the lines of a docstring: its paragraphs, then a list for each section."""
    text = re.sub(r"\n(Args|Raises):\n", r"\n\n\1:\n", inspect.getdoc(documented) or "")
    for paragraph in text.split("\n\n"):
        title, _, rest = paragraph.strip().partition("\n")
        if title in _SECTIONS:
            yield _SECTIONS[title]
            yield ""
            yield from _list_entries(inspect.cleandoc(" \n" + rest))
        elif title:
            yield " ".join(paragraph.split())
        yield ""


def _list_entries(text: str) -> Iterator[str]:
    """Yields an item for each entry `name: text`, whose further lines are indented."""
    for entry in re.split(r"\n(?=\S)", text):
        name, meaning = _ENTRY.fullmatch(" ".join(entry.split())).groups()  # type: ignore[union-attr]
        yield f"- `{name}`: {meaning}"


def _describe_type(name: str, kind: Any) -> Iterator[str]:  # noqa: ANN401
    if not isinstance(kind, type):  # a union
        kinds = ", ".join(f"`{one.__name__}`" for one in get_args(kind))
        yield f"`{name}` is one of {kinds}."
        yield ""
        return
    yield from _describe(kind)
    if issubclass(kind, Enum):
        values = ", ".join(f"`{one.name}` = {one.value!r}" for one in kind)
        yield f"Values: {values}."
        yield ""
    elif issubclass(kind, BuilderError):
        yield f"The exit code is {kind.exit_code}."
        yield ""
    rows = [*_list_fields(kind), *_list_members(kind)]
    if rows:
        yield "| name | type | meaning |"
        yield "|---|---|---|"
        for row in rows:
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
        yield ""


def _list_fields(kind: type) -> Iterator[tuple[str, str, str]]:
    """Yields the fields of a dataclass whose types are public."""
    if dataclasses.is_dataclass(kind):
        meanings = read_field_docs(kind)
        for field in dataclasses.fields(kind):
            if list_names(str(field.type)) <= set(dir(api)):
                yield f"`{field.name}`", f"`{_show(str(field.type))}`", meanings.get(field.name, "")


def _list_members(kind: type) -> Iterator[tuple[str, str, str]]:
    """Yields the properties and methods of a class whose types are public."""
    for name, member in vars(kind).items():
        if isinstance(member, classmethod):
            member = member.__func__
        function = member.fget if isinstance(member, property) else member
        if name.startswith("_") or not isinstance(function, FunctionType):
            continue
        if not set().union(*map(list_names, function.__annotations__.values())) <= set(dir(api)):
            continue
        summary = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
        if isinstance(member, property):
            yield f"`{name}`", f"`{_show(function.__annotations__['return'])}`", summary
        else:
            yield f"`{name}()`", f"`{_sign(function)}`", summary
