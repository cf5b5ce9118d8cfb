"""Finds the texts of errors that a page quotes in the code that makes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from documents import ROOT

VALUE = "\0"
"""Where the code puts a value."""
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def list_quoted(page: Path) -> list[str]:
    """Returns the errors of a page: the lines of its blocks of text, without `error: `."""
    blocks = re.findall(r"^```text\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [line.removeprefix("error: ") for block in blocks for line in block.splitlines()]


def is_in_code(quoted: str) -> bool:
    """Returns whether one text of the code has the fixed parts of a quotation, in their order.

    `...` in the quotation stands for values, and for what the code puts before or after.
    """
    parts = [re.escape(part) for part in re.split(r"\s*\.\.\.\s*", quoted) if part.strip(" :;,")]
    assert sum(map(len, parts)) >= 8, f"too little of an error is quoted: {quoted}"
    pattern = re.compile(".{0,200}?".join(parts), re.DOTALL)
    return any(pattern.search(template) for template in _read_templates())


@cache
def _read_templates() -> tuple[str, ...]:
    python = (path.read_text() for path in sorted((ROOT / "builder").rglob("*.py")))
    runtime = sorted((ROOT / "cmake/runtime").rglob("*.cpp"))
    return (
        *(text for source in python for text in _read_python(ast.parse(source))),
        *(text for path in runtime for text in _read_cxx(path.read_text())),
    )


def _read_python(tree: ast.AST) -> Iterator[str]:
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant | ast.BinOp) and node not in documentation:
            text = _render(node)
            if len(text) > 8:
                yield text


def _render(node: ast.AST) -> str:
    """Returns a text of the code as one string, with `VALUE` for what is only known later."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(map(_render, values))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _render(left) + _render(right)
        case _:
            return VALUE


def _read_cxx(source: str) -> Iterator[str]:
    """Yields the literals of each statement, with `VALUE` for what stands between them."""
    text, end = "", 0
    for literal in _LITERAL.finditer(source):
        between = source[end : literal.start()]
        if ";" in between:
            yield text
            text = ""
        text += (VALUE if between.strip() else "") + literal[1]
        end = literal.end()
    yield text
