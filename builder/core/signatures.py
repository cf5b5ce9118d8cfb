"""What the methods of a model take, as its file says, and whether inputs fit.

Types are texts of TorchScript, such as `List[int]` (Type::annotation_str of PyTorch). They are
shown as ATen's schemas write them: `int[]`, `Tensor?`, `Dict(str, Tensor)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from builder.core.nesting import Group, GroupKind, InputSpec, Number
from builder.core.tensors import DType, TensorSpec

_TOKEN = re.compile(r"[A-Za-z_][\w.]*|[\[\](),]", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
_LONGEST = 2048
"""Characters of a type; with less, nothing that a model takes is cut."""
_DEEPEST = 16
NUMBERS = {"int": DType.INT64, "float": DType.FLOAT64, "bool": DType.BOOL}
"""Types of numbers, and the tensors that the C API takes in their place."""
_SCALARS = frozenset({"number", "Scalar"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of TorchScript."""

    name: str
    """`Tensor`, `int`, `List`, `Optional`, the name of a class, or `?` where it cannot be read."""
    of: tuple[Kind, ...] = ()
    """What it contains."""

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


INPUTS_HINT = (
    "describe each input once, in the order of the method's arguments: "
    "--input 'float32[1,3,224,224]' --input 0.5 --input '[int64[1,8]]'"
)
UNKNOWN = Kind("?")
"""Of a type that is not understood; everything fits."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a method."""

    name: str
    kind: Kind
    default: str = ""
    """What it is when it is not given, as text; empty when it has to be given."""

    @property
    def is_required(self) -> bool:
        """Whether a call has to give it; the lite interpreter takes None for what is left out."""
        return not self.default and self.kind.name != "Optional" and self.kind != UNKNOWN

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f"={self.default}" if self.default else "")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a method takes and returns, `self` apart."""

    method: str
    arguments: tuple[Argument, ...]
    returns: tuple[Kind, ...] = ()

    @property
    def is_public(self) -> bool:
        """Whether programs call it: not `__setstate__`."""
        return not self.method.startswith("__")

    @property
    def parameters(self) -> str:
        """`(Tensor x, int[] sizes)`."""
        return f"({', '.join(map(str, self.arguments))})"

    def __str__(self) -> str:
        result = ", ".join(map(str, self.returns)) or "None"
        return f"{self.method}{self.parameters} -> {result}"


def make_signature(
    method: str, arguments: Iterable[tuple[str, str, object]], returns: Iterable[str]
) -> Signature:
    """Returns the signature of a method from names, types and defaults as a file has them.

    Names that are none become `?`: a file may say anything. The first argument is the module
    itself, whatever its name is, and is left out.
    """
    found = tuple(
        Argument(_name(name), parse_kind(text), _default(value)) for name, text, value in arguments
    )
    return Signature(method, found[1:], tuple(map(parse_kind, returns)))


def find_signature(signatures: Iterable[Signature], method: str) -> Signature | None:
    """Returns that of `method`; None where the file does not say."""
    return next((one for one in signatures if one.method == method), None)


@lru_cache(maxsize=1024)
def parse_kind(text: str) -> Kind:
    """Returns the type that `text` names; parts that are not understood are `UNKNOWN`."""
    if len(text) > _LONGEST or _TOKEN.sub("", text).strip():
        return UNKNOWN
    tokens = _TOKEN.findall(text)
    try:
        kind, end = _parse(tokens, 0, 0)
    except IndexError:
        return UNKNOWN
    return kind if end == len(tokens) else UNKNOWN


def _parse(tokens: Sequence[str], at: int, depth: int) -> tuple[Kind, int]:
    """Returns the type that begins at token `at`, and where it ends; IndexError for none."""
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
    """Returns why `specs` cannot be the inputs of a method, with its signature; empty if they can.

    Counts and kinds are compared. dtypes and shapes of tensors are in no file.
    """
    most, least = len(signature.arguments), _count_required(signature.arguments)
    if not least <= len(specs) <= most:
        takes = f"{most}" if least == most else f"{least} to {most}"
        inputs = "input" if takes == "1" else "inputs"
        return (
            f"{signature.method} takes {takes if most else 'no'} {inputs}: "
            f"{signature.parameters}; given {'is' if len(specs) == 1 else 'are'} {len(specs)}"
        )
    for index, (argument, spec) in enumerate(zip(signature.arguments, specs, strict=False)):
        if not _fits(argument.kind, spec):
            return (
                f"{signature.method} takes {signature.parameters}: input {index}, "
                f"{argument.name}, is {_describe(argument.kind)}; given is {spec!s:.120}"
            )
    return ""


def strip_optional(kind: Kind) -> Kind:
    """Returns what an Optional holds; any other type as it is."""
    return kind.of[0] if kind.name == "Optional" and len(kind.of) == 1 else kind


def inner_kinds(kind: Kind, group: Group) -> tuple[Kind, ...]:
    """Returns the types that the items of `group` have where a `kind` is wanted."""
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
    match strip_optional(kind).name, spec:
        case ("Tensor", _):
            return isinstance(spec, TensorSpec)
        case ("int" | "float" | "bool" as name, Number(value)):
            return type(value).__name__ == name or (name, type(value)) == ("float", int)
        case ("int" | "float" | "bool" as name, TensorSpec(dtype, shape)):
            return not shape and dtype is NUMBERS[name]
        case ("int" | "float" | "bool" | "str", _):
            return False
        case (name, Group()) if name in _SCALARS:
            return False
        case ("List", _):
            return _fits_list(strip_optional(kind), spec)
        case ("Tuple" | "Dict" as name, _):
            return _fits_group(strip_optional(kind), spec)
    return True


def _fits_list(kind: Kind, spec: InputSpec) -> bool:
    if isinstance(spec, TensorSpec):  # the C API takes tensors of one dimension for numbers
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
    if kind.name == "Dict" and kind.of[:1] not in ((), (Kind("str"),)):
        return False
    return all(map(_fits, inner_kinds(kind, spec), spec.items))


def _describe(kind: Kind) -> str:
    return "a text, which only programs can give" if kind.name == "str" else str(kind)


def _count_required(arguments: Sequence[Argument]) -> int:
    required = [index for index, argument in enumerate(arguments) if argument.is_required]
    return required[-1] + 1 if required else 0


def _name(text: str) -> str:
    return text if _NAME.fullmatch(text) else "?"


def _default(value: object) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, bool | int | float) else "..."
