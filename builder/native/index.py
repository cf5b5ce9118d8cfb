"""The symbol index: which translation unit defines which name.

It is text, one block per unit, made once per source version by `make_index` from compiled objects
and kept beside the source pins. Generated units are not in it: their definitions follow a pattern
and are read from the files. The index is a hint for what to compile next; only the link proves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from builder.core.units import SymbolIndex, UnitGraph
from builder.native.names import parse_qualified_name

_OPERATOR_CALL = re.compile(r"^[\w:<>&\s,*]*?\b(\w+)::(call|redispatch)\(", re.MULTILINE)
_GENERATED_NAMESPACES = {
    "at::cpu": "RegisterCPU.cpp",
    "at::quantizedcpu": "RegisterQuantizedCPU.cpp",
    "at::compositeexplicitautograd": "RegisterCompositeExplicitAutograd.cpp",
    "at::compositeexplicitautogradnonfunctional": (
        "RegisterCompositeExplicitAutogradNonFunctional.cpp"
    ),
    "at::compositeimplicitautograd": "RegisterCompositeImplicitAutograd.cpp",
}
_GENERATED_ATEN = "generated/aten/src/ATen/"


def parse_index(text: str) -> dict[str, list[str]]:
    """Returns name -> unit ids of an index's text; names are the lines after a `= unit` line."""
    defined: dict[str, list[str]] = {}
    unit = ""
    for line in text.splitlines():
        if line.startswith("= "):
            unit = line[2:]
        elif line and not line.startswith("#"):
            defined.setdefault(line, []).append(unit)
    return defined


def render_index(defined_by: Mapping[str, Iterable[str]], *, header: str) -> str:
    """Returns the text of an index from unit id -> names."""
    lines = [f"# {header}"]
    for unit in sorted(defined_by):
        names = sorted(set(defined_by[unit]))
        if names:
            lines += [f"= {unit}", *names]
    return "\n".join(lines) + "\n"


def load_index(path: Path, graph: UnitGraph) -> SymbolIndex:
    """Returns the index at `path`, completed with the generated units of `graph`."""
    defined = parse_index(path.read_text())
    for unit in graph.units.values():
        if unit.generated and Path(unit.source).name.startswith("Operators_"):
            text = Path(unit.source).read_text()
            for operator, function in _OPERATOR_CALL.findall(text):
                defined.setdefault(f"at::_ops::{operator}::{function}", []).append(unit.id)
    return SymbolIndex(
        defined_in={
            name: tuple(u for u in units if u in graph.units) for name, units in defined.items()
        },
        namespaces={
            namespace: _GENERATED_ATEN + file for namespace, file in _GENERATED_NAMESPACES.items()
        },
    )


def parse_definitions(nm_output: str) -> set[str]:
    """Returns the qualified names that `nm --extern-only --defined-only --demangle` lists.

    Weak symbols (inline functions, template instances) are left out: who uses them has them.
    """
    names = set()
    for line in nm_output.splitlines():
        _, _, rest = line.partition(" ")
        kind, _, name = rest.partition(" ")
        if kind in {"T", "D", "R", "B", "G", "S"}:
            names.add(parse_qualified_name(name))
    return names
