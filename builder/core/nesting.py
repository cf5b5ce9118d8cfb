"""Model inputs: tensors, numbers, strings, None, and groups of them, as text and as values.

The text follows the syntax of Python: `float32[1,3,224,224]`, `int64` (a tensor without
dimensions), `3`, `0.5`, `True`, `"a text"`, `None`, `[float32[2,3], float32[2,4]]`,
`{"ids": int64[1,8], "scale": 0.5}`.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeAlias

from builder.core.tensors import Call, DType, ReferenceCase, TensorSpec
from builder.errors import ConfigurationError

_HINT = (
    "write it as float32[1,3,224,224], [float32[3,8,8], float32[3,9,9]], "
    '{"ids": int64[1,16], "scale": 0.5}, "a text" or None; once per argument'
)
_LONGEST = 1 << 16
"""Characters of a description; Python's syntax trees take a thousand times as many bytes."""
_NO_SIZES = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(\w)\[\s*\]""", re.DOTALL)
"""A string, or `float32[]`, a tensor without dimensions, which is not valid Python."""


_NAME = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)", re.ASCII)
"""The name of an argument, in front of its input."""


class GroupKind(StrEnum):
    """The containers of Python that TorchScript supports."""

    LIST = "list"
    TUPLE = "tuple"
    DICT = "dict"


@dataclass(frozen=True, slots=True)
class Number:
    """A Python number as an input."""

    value: bool | int | float

    @property
    def spec(self) -> TensorSpec:
        """The tensor without dimensions that replaces the number where a tensor is needed."""
        kinds = {bool: DType.BOOL, int: DType.INT64, float: DType.FLOAT64}
        return TensorSpec(kinds[type(self.value)], ())

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Constant:
    """A string or None as an input; no tensor stands for it."""

    value: str | None

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Group:
    """A container of inputs."""

    kind: GroupKind
    items: tuple[InputSpec, ...]
    keys: tuple[str, ...] = ()
    """The keys of a dict, one per item; empty for other containers."""

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.items))
        match self.kind:
            case GroupKind.LIST:
                return f"[{inner}]"
            case GroupKind.TUPLE:
                return f"({inner},)" if len(self.items) == 1 else f"({inner})"
            case GroupKind.DICT:
                pairs = zip(self.keys, self.items, strict=True)
                return "{" + ", ".join(f"{key!r}: {item}" for key, item in pairs) + "}"


@dataclass(frozen=True, slots=True)
class Named:
    """An input with the name of its argument; it is no item of a group."""

    name: str
    spec: InputSpec

    def __str__(self) -> str:
        return f"{self.name}={self.spec}"


InputSpec: TypeAlias = TensorSpec | Number | Constant | Group | Named


@dataclass(frozen=True, slots=True)
class MethodInputs:
    """A method of a model, and the inputs that it is called with."""

    name: str
    inputs: tuple[InputSpec, ...] | None = None
    """None: those of forward, or none for a method that needs none."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns what `decode=float32[2,3], 2` describes; ValueError for another text."""
        name, equals, inputs = text.partition("=")
        if not name.strip().isidentifier():
            raise ValueError(f"{name!r:.80} is not the name of a method")
        try:
            return cls(name.strip(), _parse_arguments(inputs) if equals else None)
        except ConfigurationError as error:
            raise ValueError(f"{error.message}; {error.hint}") from None

    def __str__(self) -> str:
        if self.inputs is None:
            return self.name
        return f"{self.name}={', '.join(map(str, self.inputs))}"


def parse_input(text: str, *, most: int = _LONGEST) -> InputSpec:
    """Returns the input that `text` describes; ConfigurationError for any other text.

    Args:
        text: a description in the syntax of Python, e.g. `(float32[1,3], {'scale': 2})`, or with
            the name of the argument in front: `mask=int64[1,16]`.
        most: largest number of characters in `text`.
    """
    with _explaining(text, most):
        if name := _NAME.match(text):
            return Named(name[1], _to_spec(_parse_python(text[name.end() :])))
        return _to_spec(_parse_python(text))


def _parse_arguments(text: str) -> tuple[InputSpec, ...]:
    """Returns the inputs of a call, such as `float32[2,3], 2`."""
    with _explaining(text, _LONGEST):
        match _parse_python(f"_({text}\n)"):
            case ast.Call(func=ast.Name(id="_"), args=given, keywords=named):
                inputs = [Named(one.arg, _to_spec(one.value)) for one in named if one.arg]
                if len(inputs) == len(named):
                    return (*map(_to_spec, given), *inputs)
    raise ConfigurationError(f"not inputs: {text!r:.120}", hint=_HINT)


def _parse_python(text: str) -> ast.expr:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parser warns about code that is never run here
        # Python's own parser: the syntax of inputs is a part of Python's. Nothing is evaluated.
        return ast.parse(_write_as_python(text), mode="eval").body


@contextmanager
def _explaining(text: str, most: int) -> Iterator[None]:
    """Makes ConfigurationErrors of what the parser raises, and of texts longer than `most`."""
    if len(text) > most:
        raise ConfigurationError(f"not an input: it has {len(text):,} characters", hint=_HINT)
    try:
        yield
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigurationError(f"not an input: {text!r:.120}", hint=_HINT) from None


def list_leaves(specs: Iterable[InputSpec]) -> tuple[TensorSpec | Number, ...]:
    """Returns tensors and numbers depth first, in the order of reference cases and the C API."""
    leaves: list[TensorSpec | Number] = []
    for spec in specs:
        if isinstance(spec, Group):
            leaves.extend(list_leaves(spec.items))
        elif isinstance(spec, Named):
            leaves.extend(list_leaves((spec.spec,)))
        elif not isinstance(spec, Constant):
            leaves.append(spec)
    return tuple(leaves)


def list_arguments(case: ReferenceCase | Call) -> tuple[InputSpec, ...]:
    """Returns the inputs of the method of `case`, forward for a whole case, one per argument.

    Raises:
        ConfigurationError: the structure in `case` is not valid, or does not fit its inputs.
    """
    inputs = tuple(tensor.spec for tensor in case.inputs)
    if not case.structure:
        return inputs
    structure = parse_input(case.structure)
    if isinstance(structure, Named):
        raise ConfigurationError(f"the structure {case.structure:.120} has a name")
    arguments = structure.items if isinstance(structure, Group) else (structure,)
    leaves = list_leaves(arguments)
    # The case comes from a file: its structure and its tensors need not belong together.
    if tuple(leaf.spec if isinstance(leaf, Number) else leaf for leaf in leaves) != inputs:
        raise ConfigurationError(f"the structure {case.structure:.120} does not fit the inputs")
    return arguments


def split_named(
    specs: Sequence[InputSpec],
) -> tuple[tuple[InputSpec, ...], dict[str, InputSpec]]:
    """Returns the inputs without a name, and those with one.

    Raises:
        ConfigurationError: an input without a name follows one with a name, or a name comes twice.
    """
    first = next((i for i, spec in enumerate(specs) if isinstance(spec, Named)), len(specs))
    named: dict[str, InputSpec] = {}
    for spec in specs[first:]:
        if not isinstance(spec, Named):
            raise ConfigurationError(
                f"the input {spec!s:.120} has no name, and comes after one that has",
                hint="put the inputs with names last",
            )
        if spec.name in named:
            raise ConfigurationError(
                f"the input {spec.name} is given twice", hint="give each input once"
            )
        named[spec.name] = spec.spec
    return tuple(specs[:first]), named


def name_inputs(like: Sequence[InputSpec], specs: Sequence[InputSpec]) -> tuple[InputSpec, ...]:
    """Returns `specs` with the names that the inputs `like` have at the same places."""
    return tuple(
        Named(like[at].name, spec)  # type: ignore[union-attr] # it is one
        if at < len(like) and isinstance(like[at], Named)
        else spec
        for at, spec in enumerate(specs)
    )


def has_constants(specs: Iterable[InputSpec]) -> bool:
    """Returns whether a string or None is among `specs`, or in a group."""
    return any(
        has_constants(spec.items) if isinstance(spec, Group) else isinstance(spec, Constant)
        for spec in specs
    )


def format_structure(specs: Sequence[InputSpec]) -> str:
    """Returns the structure of arguments for a reference case; empty where the leaves tell it.

    Raises:
        ConfigurationError: the text would be longer than `parse_input` reads.
    """
    if all(isinstance(spec, TensorSpec | Number) for spec in specs):
        return ""
    text = str(Group(GroupKind.TUPLE, tuple(specs)))
    if len(text) > _LONGEST:
        raise ConfigurationError(
            f"the inputs take {len(text):,} characters; a reference case can keep {_LONGEST:,}",
            hint="use shorter strings, and tensors in place of long lists",
        )
    return text


def check_string(text: str) -> None:
    """Raises ValueError for a string that the C API cannot pass, since it ends strings by a zero.

    A part of a surrogate pair (UnicodeEncodeError) has no bytes in UTF-8.
    """
    text.encode()
    if "\0" in text:
        raise ValueError("a string contains a zero")


def _write_as_python(text: str) -> str:
    # Strings are matched first, so that what stands in them is left alone.
    return _NO_SIZES.sub(lambda match: match[1] or match[0], text.strip())


def _to_spec(node: ast.expr) -> InputSpec:
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return _to_number(value)
        case ast.Constant(value=str() | None as value):
            check_string(value or "")
            return Constant(value)
        # Python has no negative literals: -1 is an operation on 1.
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return _to_number(-value)
        # A name that is no dtype raises ValueError, as any other text does.
        case ast.Name(id=name):
            return TensorSpec(DType(name), ())
        case ast.Subscript(value=ast.Name(id=name), slice=sizes):
            return TensorSpec(DType(name), _to_shape(sizes))
        case ast.List(elts=items):
            return Group(GroupKind.LIST, tuple(map(_to_spec, items)))
        case ast.Tuple(elts=items):
            return Group(GroupKind.TUPLE, tuple(map(_to_spec, items)))
        case ast.Dict(keys=keys, values=values):
            names = tuple(_to_key(key) for key in keys)
            return Group(GroupKind.DICT, tuple(map(_to_spec, values)), names)
    raise ValueError(ast.dump(node))


def _to_number(value: bool | float) -> Number:
    # TorchScript's int has 64 bits.
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ValueError("the number does not fit into 64 bits")
    return Number(value)


def _to_shape(node: ast.expr) -> tuple[int, ...]:
    value = ast.literal_eval(node)
    sizes = value if isinstance(value, tuple) else (value,)
    if not all(type(size) is int and 0 <= size < 1 << 30 for size in sizes):
        raise ValueError("a size is not a number from 0 to 2^30")
    return sizes


def _to_key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ValueError("a key is not a string")
