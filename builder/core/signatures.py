"""The signatures of the methods in a model file, and checks whether inputs fit them.

Files contain types in TorchScript's syntax, such as `List[int]` (Type::annotation_str of PyTorch).
They are shown in the syntax of ATen's schemas: `int[]`, `Tensor?`, `Dict(str, Tensor)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from builder.core.nesting import Constant, Group, GroupKind, InputSpec, Number, parse_input
from builder.core.tensors import DType, TensorSpec
from builder.errors import ConfigurationError, Hint, Use

_TOKEN = re.compile(r"[A-Za-z_][\w.]*|[\[\](),]", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
_LONGEST = 2048
"""Largest number of characters in a type; real models have shorter types."""
_LONGEST_DEFAULT = 64
"""Largest number of characters of a string or a list that is a default."""
_DEEPEST = 16
"""Types that may stand inside one another; the parser is recursive."""
NUMBERS = {"int": DType.INT64, "float": DType.FLOAT64, "bool": DType.BOOL}
"""Types of numbers -> dtypes of the tensors that the C API accepts in their place."""
_SCALARS = frozenset({"number", "Scalar"})


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


INPUTS_HINT = Hint(
    "describe each input once, in the order of the method's arguments: ",
    *(Use("inputs", "float32[1,3,224,224]"), " ", Use("inputs", "0.5"), " "),
    Use("inputs", "[int64[1,8]]"),
)
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


def find_misfit(signature: Signature, specs: Sequence[InputSpec]) -> str:
    """Returns why `specs` do not fit the arguments of a method; empty when they fit.

    Numbers of inputs and their types are compared. No model file contains the dtypes and shapes of
    its input tensors.
    """
    most, least = len(signature.arguments), _count_required(signature.arguments)
    if not least <= len(specs) <= most:
        takes = f"{most}" if least == most else f"{least} to {most}"
        inputs = "input" if takes == "1" else "inputs"
        return (
            f"{signature.method} takes {takes if most else 'no'} {inputs}: "
            f"{signature.parameters}; {len(specs)} {'was' if len(specs) == 1 else 'were'} given"
        )
    for index, (argument, spec) in enumerate(zip(signature.arguments, specs, strict=False)):
        if not _fits(argument.kind, spec):
            return (
                f"{signature.method} takes {signature.parameters}: input {index}, "
                f"{argument.name}, is {argument.kind}, but {spec!s:.120} was given"
            )
    return ""


def find_unpassable(signature: Signature) -> str:
    """Returns why no runtime can be given the arguments of a method; empty when it can.

    Objects of a model's own classes, named tuples among them, do not pass the C API.
    """
    for argument in signature.arguments:
        if _has_object(argument.kind):
            return (
                f"{signature.method} takes {signature.parameters}: {argument.name} is an object "
                "of a class of the model, which an app cannot pass"
            )
    return ""


def _has_object(kind: Kind) -> bool:
    return kind == UNKNOWN or "." in kind.name or any(map(_has_object, kind.of))


def strip_optional(kind: Kind) -> Kind:
    """Returns the type inside of an Optional; any other type is returned as it is."""
    return kind.of[0] if kind.name == "Optional" and len(kind.of) == 1 else kind


def inner_kinds(kind: Kind, group: Group) -> tuple[Kind, ...]:
    """Returns the types that the items of `group` must have to be a `kind`."""
    stripped, count = strip_optional(kind), len(group.items)
    match stripped.name, stripped.of:
        case "List", (item,):
            return (item,) * count
        case "Dict", (_, item):
            return (item,) * count
        case "Tuple", items if len(items) == count:
            return items
    return (UNKNOWN,) * count


def _fits(kind: Kind, spec: InputSpec) -> bool:
    if spec == Constant(None):
        return _takes_none(kind)
    return _fits_value(strip_optional(kind), spec)


def _fits_value(kind: Kind, spec: InputSpec) -> bool:
    match kind.name, spec:
        case ("Tensor", _):
            return isinstance(spec, TensorSpec)
        # Exactly this type, except that an int stands for a float, as in Python.
        case ("int" | "float" | "bool" as name, Number(value)):
            return type(value).__name__ == name or (name, type(value)) == ("float", int)
        case ("int" | "float" | "bool" as name, TensorSpec(dtype, shape)):
            return not shape and dtype is NUMBERS[name]
        case ("str", Constant()):
            return True
        case ("int" | "float" | "bool" | "str", _):
            return False
        case (name, Group() | Constant()) if name in _SCALARS:
            return False
        case ("Union", _):
            return any(_fits(choice, spec) for choice in kind.of)
        case ("List", _):
            return _fits_list(kind, spec)
        case ("Tuple" | "Dict", _):
            return _fits_group(kind, spec)
    return True


def _takes_none(kind: Kind) -> bool:
    if kind.name == "Union":
        return any(map(_takes_none, kind.of))
    return kind.name not in {"Tensor", "str", "List", "Tuple", "Dict", *NUMBERS, *_SCALARS}


def _fits_list(kind: Kind, spec: InputSpec) -> bool:
    if isinstance(spec, TensorSpec):  # the C API accepts a one-dimensional tensor as a list
        dtype = NUMBERS.get(kind.of[0].name) if len(kind.of) == 1 else None
        return len(spec.shape) == 1 and spec.dtype is dtype
    if not isinstance(spec, Group) or spec.kind is not GroupKind.LIST:
        return False
    return all(map(_fits, inner_kinds(kind, spec), spec.items))


def _fits_group(kind: Kind, spec: InputSpec) -> bool:
    if not isinstance(spec, Group) or spec.kind != kind.name.lower():
        return False
    if kind.name == "Tuple" and len(kind.of) != len(spec.items):
        return False
    # The C API has dicts with string keys only.
    if kind.name == "Dict" and kind.of[:1] not in ((), (Kind("str"),)):
        return False
    return all(map(_fits, inner_kinds(kind, spec), spec.items))


def _count_required(arguments: Sequence[Argument]) -> int:
    # Arguments are passed by position, so all before the last required one are needed too.
    required = [index for index, argument in enumerate(arguments) if argument.is_required]
    return required[-1] + 1 if required else 0


def _name(text: str) -> str:
    # Text from foreign files is shown to users, so only plain identifiers pass.
    return text if _NAME.fullmatch(text) else "?"


def _default(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return repr(value)
    # Other defaults are shown as dots: their text could be long, and is foreign.
    is_text = isinstance(value, str) and value.isprintable()
    return _describe_short(value) if is_text or isinstance(value, list) else "..."


def _describe_short(value: object) -> str:
    text = repr(value)
    try:
        parse_input(text, most=_LONGEST_DEFAULT)
    except ConfigurationError:
        return "..."
    return text
