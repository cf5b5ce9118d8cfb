"""The symbol index: which translation unit defines which name.

It is text, one block per unit, made once per source version by `make_index` from compiled objects
and kept beside the source pins. torchgen's operator code is not in it, see
builder.native.generated. The index is a hint for what to compile next; only the link proves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.core.units import SymbolIndex, UnitGraph
from builder.native.generated import GeneratedCode, is_cut
from builder.native.symbol_names import parse_qualified_name

_NM_LINE = re.compile(r"^[0-9a-f]* +(?P<kind>[A-Za-z]) (?P<name>.+)$")
# nm's letters (its manual): W and V are weak definitions, w and v weak references.
_KINDS = {"U": "undefined", "W": "weak", "V": "weak", "w": "undefined", "v": "undefined"}
# Micro-kernels of XNNPACK and QNNPACK: macros in assembly, plain functions in C.
_DEFINITION = re.compile(
    r"^\s*BEGIN_(?:ASM_)?FUNCTION,?\s+(\w+)\b(?!##)|^[A-Za-z_][\w ]*[ *](\w+)\s*\((?![^()]*\)\s*;)",
    re.MULTILINE,
)
_PASTED = re.compile(r"^\s*BEGIN_(?:ASM_)?FUNCTION,?\s+(\w+)##\w+##(\w+)", re.MULTILINE)
_CALL = re.compile(r"^\w+\((\w+),", re.MULTILINE)
"""A macro at the start of a line: its first argument is what it pastes into names."""
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


def find_definitions(text: str) -> frozenset[str]:
    """Returns the functions that a C or assembler source seems to define, read as text.

    The index comes from one architecture; another one's micro-kernels are found this way.
    """
    whole = {match[1] or match[2] for match in _DEFINITION.finditer(text)}
    pasted = (
        f"{before}{argument}{after}"
        for before, after in _PASTED.findall(text)
        for argument in _CALL.findall(text)
    )
    return frozenset(whole.union(pasted))


def load_index(paths: Sequence[Path], graph: UnitGraph, generated: GeneratedCode) -> SymbolIndex:
    """Returns the indexes at `paths`, completed with other units of `graph` and `generated` code.

    Args:
        paths: the index of every target, then those of what defines more on one platform.
        graph: all units.
        generated: what torchgen wrote.
    """
    defined: dict[str, list[str]] = {}
    for path in paths:
        for name, units in parse_index(path.read_text()).items():
            defined.setdefault(name, []).extend(units)
    indexed = {unit for units in defined.values() for unit in units}
    for unit in graph.units.values():
        # C++ is not read as text: its names have namespaces and templates.
        if unit.id not in indexed and unit.language in {"C", "ASM"}:
            for name in find_definitions(Path(unit.source).read_text(errors="replace")):
                defined.setdefault(name, []).append(unit.id)
    known = {name: tuple(u for u in units if u in graph.units) for name, units in defined.items()}
    cut = {name: (group,) for name, group in generated.defined_in.items()}
    return SymbolIndex(defined_in=known | cut)


@dataclass(frozen=True, slots=True)
class ObjectSymbols:
    """The external names of one object, demangled."""

    strong: frozenset[str]
    weak: frozenset[str]
    """Inline functions and template instances, explicit ones among them."""
    undefined: frozenset[str]


def parse_symbols(nm_output: str) -> ObjectSymbols:
    """Returns what `nm --extern-only --demangle --format=bsd` lists for one object."""
    found: dict[str, set[str]] = {"strong": set(), "weak": set(), "undefined": set()}
    for line in nm_output.splitlines():
        match = _NM_LINE.match(line)
        if match:
            found[_KINDS.get(match["kind"], "strong")].add(match["name"])
    return ObjectSymbols(*(frozenset(found[kind]) for kind in ("strong", "weak", "undefined")))


def index_symbols(objects: Iterable[tuple[str, ObjectSymbols]]) -> dict[str, set[str]]:
    """Returns unit id -> the qualified names to look it up by.

    Strong definitions count. A weak one counts where some object needs the name and none defines
    it strongly: that is an explicit template instance. torchgen's operator code is left out,
    see builder.native.generated.
    """
    listed = list(objects)
    strong = frozenset().union(*(symbols.strong for _, symbols in listed))
    needed = frozenset().union(*(symbols.undefined for _, symbols in listed)) - strong
    names: dict[str, set[str]] = {}
    for unit_id, symbols in listed:
        if not _is_cut(unit_id):
            defined = symbols.strong | (symbols.weak & needed)
            names.setdefault(unit_id, set()).update(map(parse_qualified_name, defined))
    return names


def _is_cut(unit_id: str) -> bool:
    file = unit_id.removeprefix(_GENERATED_ATEN)
    return file.startswith("RegisterFunctionalization") or is_cut(file)
