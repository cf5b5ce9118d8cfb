"""The signatures of the methods in a model file.

Files contain types in TorchScript's syntax, such as `List[int]` (Type::annotation_str of PyTorch).
They are shown in the syntax of ATen's schemas: `int[]`, `Tensor?`, `Dict(str, Tensor)`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(r"[A-Za-z_][\w.]*|[\[\](),]", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
_LONGEST = 2048
"""Largest number of characters in a type; real models have shorter types."""
_LONGEST_DEFAULT = 64
"""Largest number of characters of a string or a list that is a default."""
_DEEPEST = 16
"""Types that may stand inside one another; the parser is recursive."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of TorchScript."""

    name: str
    """`Tensor`, `int`, `List`, `Optional`, the name of a class, or `?` for an unknown type."""
    of: tuple[Kind, ...] = ()
    """The types that it contains, such as the item type of a `List`."""

    def __str__(self) -> str:
        match self.name, self.of:
            case "List", (item,):
                return f"{item}[]"
            case "Optional", (item,):
                return f"{item}?"
            case "Tuple", items:
                return f"({', '.join(map(str, items))})"
            case name, ():
                return name.rpartition(".")[2]
            case name, items:
                return f"{name}({', '.join(map(str, items))})"


UNKNOWN = Kind("?")
"""A type that builder does not understand; every input fits it."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a method."""

    name: str
    kind: Kind
    default: str = ""
    """The default value as text; empty when there is none."""

    @property
    def is_required(self) -> bool:
        """Whether a call has to pass it; the lite interpreter uses None for a missing Optional."""
        return not self.default and self.kind.name != "Optional" and self.kind != UNKNOWN

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f"={self.default}" if self.default else "")


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments and results of a method, without `self`."""

    method: str
    arguments: tuple[Argument, ...]
    returns: tuple[Kind, ...] = ()

    @property
    def is_public(self) -> bool:
        """Whether programs can call the method; `__setstate__`, for example, is not for them."""
        return not self.method.startswith("__")

    @property
    def parameters(self) -> str:
        """The arguments as text, e.g. `(Tensor x, int[] sizes)`."""
        return f"({', '.join(map(str, self.arguments))})"

    def __str__(self) -> str:
        result = ", ".join(map(str, self.returns)) or "None"
        return f"{self.method}{self.parameters} -> {result}"


def make_signature(
    method: str, arguments: Iterable[tuple[str, str, object]], returns: Iterable[str]
) -> Signature:
    """Returns the signature of a method from the names, types and defaults in a file.

    A name that is not an identifier becomes `?`, because the file is not trusted. The first
    argument is the module itself, so it is left out.
    """
    with_self = tuple(
        Argument(_name(name), parse_kind(text), _default(value)) for name, text, value in arguments
    )
    return Signature(method, with_self[1:], tuple(map(parse_kind, returns)))


def find_signature(signatures: Iterable[Signature], method: str) -> Signature | None:
    """Returns the signature of `method`; None when the file does not contain it."""
    return next((item for item in signatures if item.method == method), None)


@lru_cache(maxsize=1024)
def parse_kind(text: str) -> Kind:
    """Returns the type that `text` describes; `UNKNOWN` when builder cannot parse it."""
    # What no token covers is not a type.
    if len(text) > _LONGEST or _TOKEN.sub("", text).strip():
        return UNKNOWN
    tokens = _TOKEN.findall(text)
    try:
        kind, end = _parse(tokens, 0, 0)
    except IndexError:
        return UNKNOWN
    return kind if end == len(tokens) else UNKNOWN


def _parse(tokens: Sequence[str], at: int, depth: int) -> tuple[Kind, int]:
    """Returns the type that starts at token `at`, and its end; IndexError when there is none."""
    name = tokens[at]
    if depth > _DEEPEST or not (name[0].isalpha() or name[0] == "_"):
        raise IndexError(at)
    at += 1
    if tokens[at : at + 1] not in (["["], ["("]):
        return Kind(name), at
    close = {"[": "]", "(": ")"}[tokens[at]]
    items: list[Kind] = []
    while True:
        item, at = _parse(tokens, at + 1, depth + 1)
        items.append(item)
        if tokens[at] == close:
            return Kind(name, tuple(items)), at + 1
        if tokens[at] != ",":
            raise IndexError(at)


def _name(text: str) -> str:
    # Text from foreign files is shown to users, so only plain identifiers pass.
    return text if _NAME.fullmatch(text) else "?"


def _default(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return repr(value)
    # Other defaults are shown as dots: their text could be long, and is foreign.
    text = repr(value) if _is_literal(value) else ""
    return text if 0 < len(text) <= _LONGEST_DEFAULT else "..."


def _is_literal(value: object) -> bool:
    """Says whether a default is shown, in the form in which a user gives an input."""
    match value:
        case list():
            return all(map(_is_literal, value))
        case str():
            return value.isprintable()
        case float():
            return math.isfinite(value)
        case int():
            # TorchScript's int has 64 bits.
            return -(1 << 63) <= value < 1 << 63
    return value is None
