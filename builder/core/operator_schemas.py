"""The schemas of operators: their arguments with defaults, and their results.

A release lists them one in a line, in the syntax of ATen (aten/src/ATen/native/README.md), such as
`aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_HEAD = re.compile(r"(?P<name>[\w:]+(?:\.\w+)?)\((?P<arguments>.*)\) -> (?P<results>.*)", re.ASCII)
_ALIAS = re.compile(r"\((?P<sets>[\w*|]+(?:\s*->\s*[\w*|]+)?)(?P<mutable>!)?(?:\s*->[^)]*)?\)")
_RESULT_NAME = re.compile(r"(?<=[\w\])?]) \w+$", re.ASCII)
_NO_DEFAULT = object()
_WORDS = {
    "None": None,
    "True": True,
    "False": False,
    # Enumerations of c10 that schemas name; their numbers are those of the enums.
    "Mean": 1,
    "contiguous_format": 0,
    "long": 4,
    "inf": float("inf"),
    "-inf": float("-inf"),
}


@dataclass(frozen=True, slots=True)
class SchemaArgument:
    """An argument of an operator."""

    name: str
    type: str
    """In ATen's syntax without aliases, such as `Tensor?` or `int[2]`."""
    default: object = _NO_DEFAULT
    """The value as Python has it; `has_default` tells whether there is one."""
    keyword_only: bool = False
    mutable: bool = False
    """Whether the operator writes into this tensor or list."""
    aliases: bool = False
    """Whether a result may share memory with it."""

    @property
    def has_default(self) -> bool:
        """Whether a call may leave the argument out."""
        return self.default is not _NO_DEFAULT


@dataclass(frozen=True, slots=True)
class Schema:
    """The signature of one operator."""

    name: str
    """With the overload, such as `aten::add.Tensor`."""
    arguments: tuple[SchemaArgument, ...]
    results: tuple[str, ...]
    """Types in ATen's syntax without aliases."""
    variadic: bool = False
    """Whether further arguments or results of any type may follow (`...`)."""
    positions: Mapping[str, int] = field(init=False, repr=False, compare=False)
    """Name of each argument -> its index."""
    is_pure: bool = field(init=False, repr=False, compare=False)
    """Whether the operator changes none of its arguments."""
    writes_result: bool = field(init=False, repr=False, compare=False)
    """Whether the caller gives the tensor that the result is written into, as `out`."""

    def __post_init__(self) -> None:
        # Passes ask for them at each call of the operator.
        positions = {argument.name: i for i, argument in enumerate(self.arguments)}
        object.__setattr__(self, "positions", MappingProxyType(positions))
        object.__setattr__(self, "is_pure", not any(one.mutable for one in self.arguments))
        given = any(
            one.mutable and (one.keyword_only or one.name == "out") for one in self.arguments
        )
        object.__setattr__(self, "writes_result", given)


class Schemas:
    """The schemas of all operators of a release; each is parsed when it is first wanted."""

    def __init__(self, text: str) -> None:
        """Takes lines with one schema each; lines that begin with `#` are comments."""
        self._lines = {
            line.partition("(")[0]: line
            for line in text.splitlines()
            if line and not line.startswith("#")
        }
        # A release has some 4,000 operators and a model some 50, so most are never parsed.
        self._parsed: dict[str, Schema] = {}
        self._overloads: dict[str, list[str]] = {}

    def find(self, operator: str) -> Schema | None:
        """Returns the schema of an operator such as `aten::add.Tensor`; None if there is none."""
        if operator not in self._parsed:
            line = self._lines.get(operator)
            if line is None:
                return None
            self._parsed[operator] = parse_schema(line)
        return self._parsed[operator]

    def overloads(self, name: str) -> list[Schema]:
        """Returns the schemas of all overloads of an operator such as `aten::add`."""
        if not self._overloads:
            for operator in self._lines:
                self._overloads.setdefault(operator.partition(".")[0], []).append(operator)
        found = map(self.find, self._overloads.get(name, ()))
        return [schema for schema in found if schema is not None]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)


def parse_schema(text: str) -> Schema:
    """Returns the schema that `text` describes.

    Raises:
        ValueError: the text is not a schema.
    """
    match = _HEAD.fullmatch(text)
    if match is None:
        raise ValueError(f"not a schema: {text[:200]!r}")
    parts = list(_split(match["arguments"]))
    # What follows the star can only be given by name, as in Python.
    star = parts.index("*") if "*" in parts else len(parts)
    return Schema(
        name=match["name"],
        arguments=tuple(
            _parse_argument(part, keyword_only=index > star)
            for index, part in enumerate(parts)
            if part not in ("*", "...")
        ),
        results=tuple(_parse_results(match["results"])),
        variadic="..." in parts or "..." in match["results"],
    )


def _parse_argument(text: str, *, keyword_only: bool) -> SchemaArgument:
    declared, equals, default = text.partition("=")
    # A type may contain spaces, as in `Dict(str, int)`, and a name does not.
    kind, _, name = declared.strip().rpartition(" ")
    alias = _ALIAS.search(kind)
    return SchemaArgument(
        name=name,
        type=_ALIAS.sub("", kind),
        default=_parse_default(default.strip()) if equals else _NO_DEFAULT,
        keyword_only=keyword_only,
        mutable=bool(alias and alias["mutable"]),
        aliases=alias is not None,
    )


def _parse_default(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    # The text comes from a file of builder, and this function evaluates literals only.
    return ast.literal_eval(text)


def _parse_results(text: str) -> Iterator[str]:
    text = text.strip()
    parts = list(_split(text))
    # Several results stand in brackets, and a single one may too.
    if len(parts) == 1 and text.startswith("(") and text.endswith(")"):
        parts = list(_split(text[1:-1]))
    for part in parts:
        if part != "...":
            # A result may have a name behind its type.
            yield _RESULT_NAME.sub("", _ALIAS.sub("", part))


def _split(text: str) -> Iterator[str]:
    """Yields the parts between commas that are not inside of brackets or quotes."""
    depth, start, quoted = 0, 0, ""
    for index, letter in enumerate(text):
        if quoted:
            quoted = "" if letter == quoted and text[index - 1] != "\\" else quoted
        elif letter in "\"'":
            quoted = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "," and not depth:
            yield text[start:index].strip()
            start = index + 1
    if last := text[start:].strip():
        yield last
