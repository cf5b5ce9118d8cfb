"""Every operator a source tree can register, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.core.cxx_source import COMMENT
from builder.core.known import KnownOperators
from builder.core.operators import Operator

# The text that torchgen writes (torchgen/gen.py, ComputeOperators); a release that changes it needs
# new patterns.
_STRUCT = re.compile(
    r"struct TORCH_API (?P<struct>\w+) \{.*?"
    r'\bname = "(?P<name>[^"]+)";.*?'
    r'\boverload_name = "(?P<overload>[^"]*)";.*?'
    r'\bschema_str = "(?P<schema>(?:[^"\\]|\\.)*)";',
    re.DOTALL,
)
# With static dispatch, an operator without a kernel for these backends gets a body that only
# raises.
_UNDISPATCHED = re.compile(
    r"\b(\w+)::call\([^\n]*\{\s*TORCH_CHECK\(false, \"Static dispatch does not support"
)
# Macros of torch/library.h, and the older ways to register (op_registration.h, operator.h of the
# JIT).
_REGISTERS = re.compile(
    r"\bTORCH_LIBRARY(?:_IMPL|_FRAGMENT)?\s*\(|\bTORCH_SELECTIVE_|\bRegisterOperators\b"
    r"|\bprim_op_fn_register\b"
)
_OPENS = re.compile(r"\bTORCH_LIBRARY(?:_FRAGMENT)?\s*\(\s*(\w+)")
_OPERATOR = re.compile(r"\b([a-z_][a-z0-9_]*::[A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?")
_SCHEMA = re.compile(r'"([a-z_][a-z0-9_]*::\w+(?:\.\w+)?)\(([^"]*)"')
_CLASS = re.compile(r"__torch__\.torch\.classes\.(\w+\.\w+)")
# Long schemas are written as several literals, which C++ joins.
_SEAM = re.compile(r'"\s*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherOperator:
    """An operator of native_functions.yaml, as torchgen's `<base>_ops.h` declares it."""

    struct: str
    """Its struct in `at::_ops`, whose `call` is dispatched statically."""
    header: str
    """Include path of the declaring header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCatalogue:
    """What can be registered: torchgen's operators, and those that sources register by hand."""

    dispatcher: Mapping[Operator, DispatcherOperator]
    undispatched: frozenset[Operator]
    """Of those, the ones without a kernel for any backend of static dispatch; they would raise."""
    by_hand: Mapping[str, frozenset[str]]
    """`aten::len.t`, or `aten::len` where a macro completes the name -> unit ids."""
    classes: Mapping[str, frozenset[str]]
    """Custom classes in the schemas of those that have any: `xnnpack.Conv2dOpContext`."""

    def find_units(self, operator: Operator) -> frozenset[str]:
        """Returns the units that register `operator` by hand; exact overloads come first."""
        # A macro may complete the name of an overload, so the name alone is the second choice.
        return self.by_hand.get(str(operator)) or self.by_hand.get(operator.name) or frozenset()

    def mentions(self) -> dict[str, frozenset[str]]:
        """Returns, for each unit that registers by hand, the names it mentions."""
        found: dict[str, set[str]] = {}
        for name, units in self.by_hand.items():
            for unit in units:
                found.setdefault(unit, set()).add(name)
        return {unit: frozenset(names) for unit, names in found.items()}

    def list_known(self, namespaces: frozenset[str]) -> KnownOperators:
        """Returns the names of all that does not only raise.

        Args:
            namespaces: that are registered in by hand; other names there are of C++.
        """
        return KnownOperators(
            exact=frozenset(str(name) for name in self.dispatcher if name not in self.undispatched),
            any_overload=frozenset(
                name
                for name in self.by_hand
                # A dot means one overload; the name without it is listed for all of them.
                if "." not in name and name.partition("::")[0] in namespaces
            ),
        )

    def names(self) -> frozenset[str]:
        """Returns every name known, for suggestions."""
        return frozenset(map(str, self.dispatcher)) | frozenset(self.by_hand)


def read_dispatcher_operators(ops: Path) -> dict[Operator, DispatcherOperator]:
    """Returns the operators that the `*_ops.h` files of folder `ops` declare."""
    operators = {}
    # Sorted, as elsewhere: the order of files in a folder differs between machines.
    for header in sorted(ops.glob("*_ops.h")):
        for match in _STRUCT.finditer(header.read_text()):
            operators[Operator(match["name"], match["overload"])] = DispatcherOperator(
                struct=match["struct"], header=f"ATen/ops/{header.name}"
            )
    return operators


def read_undispatched(generated: Path) -> frozenset[str]:
    """Returns the structs whose `call`, in torchgen's `Operators_*.cpp`, finds no kernel."""
    return frozenset(
        struct
        for source in sorted(generated.glob("Operators_*.cpp"))
        for struct in _UNDISPATCHED.findall(source.read_text())
    )


def read_hand_registrations(sources: Iterable[tuple[str, Path]]) -> dict[str, frozenset[str]]:
    """Returns which units name which operators, of those that register operators by hand.

    A file is read as text: a name counts when it stands outside comments in a file that uses a
    registration macro. So a unit may be named that only mentions an operator; never too few.

    Args:
        sources: unit id and file of each hand-written C++ unit.
    """
    found: dict[str, set[str]] = {}
    for unit_id, source in sources:
        text = source.read_text(errors="replace")
        # Text without such a macro registers nothing, whatever names it has.
        if not _REGISTERS.search(text):
            continue
        for name, overload in _OPERATOR.findall(COMMENT.sub("", text)):
            # Both spellings, because models name overloads and macros may not.
            found.setdefault(name, set()).add(unit_id)
            if overload:
                found.setdefault(f"{name}.{overload}", set()).add(unit_id)
    return {name: frozenset(units) for name, units in found.items()}


def read_namespaces(sources: Iterable[tuple[str, Path]]) -> frozenset[str]:
    """Returns the namespaces that `sources` open, and those of TorchScript's own operators."""
    opened = (_OPENS.findall(source.read_text(errors="replace")) for _, source in sources)
    return frozenset({"aten", "prim"}.union(*opened))


def is_limited(source: Path) -> bool:
    """True for a unit whose registrations heed an allowlist (see `render_allowlist`)."""
    return "TORCH_SELECTIVE_" in source.read_text(errors="replace")


def read_schema_classes(sources: Iterable[tuple[str, Path]]) -> dict[str, frozenset[str]]:
    """Returns which custom classes the schemas written in `sources` name, by operator."""
    found: dict[str, frozenset[str]] = {}
    for _, source in sources:
        text = source.read_text(errors="replace")
        if "torch.classes" not in text:
            continue
        for name, schema in _SCHEMA.findall(_SEAM.sub("", COMMENT.sub("", text))):
            if classes := frozenset(_CLASS.findall(schema)):
                found[name] = found.get(name, frozenset()) | classes
    return found


def read_catalogue(sources: Iterable[tuple[str, Path]], ops: Path) -> OperatorCatalogue:
    """Returns all that can be registered.

    Args:
        sources: unit id and file of each hand-written C++ unit.
        ops: folder of torchgen's per-operator headers, beside its `Operators_*.cpp`.
    """
    hand_written = tuple(sources)
    dispatcher = read_dispatcher_operators(ops)
    raising = read_undispatched(ops.parent)
    return OperatorCatalogue(
        dispatcher=dispatcher,
        undispatched=frozenset(o for o, entry in dispatcher.items() if entry.struct in raising),
        by_hand=read_hand_registrations(hand_written),
        classes=read_schema_classes(hand_written),
    )
