"""The HTML page of sizes: a treemap of the library and a table of operators."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from builder.core.artifacts import SizeReport
from builder.core.counts import number_of
from builder.size.budget_check import find_dearest
from builder.size.measure import LINKER_PART, part_of
from builder.size.reasons import Reasons
from builder.size.reference_graph import ReferenceGraph
from builder.size.treemap import Box, lay_out

_WHOLE = Box(0, 0, 1200, 700)
_PART_TITLE, _UNIT_TITLE = 16.0, 12.0
_LEAST_AREA = 36.0
"""Area in square pixels; smaller boxes are drawn as one box."""
_MOST_PARTS = 100
"""Parts that are drawn one by one; runtimes have about 20 parts."""
# A page is replaced only if builder wrote it, which this mark proves.
_MARK = b'<meta name="generator" content="builder size">'
_HEAD = 512
"""The mark is in this many bytes at the start of a page."""
_MOST_KEEPERS = 3
"""Symbols that are named as those which keep another one; the nearest say most."""
_LETTER = 5.6
"""Width of a letter in a label, in pixels."""
_BOLD_LETTER = 7.6
"""The same in the label of a part, which is larger."""
_HUES = (212, 28, 140, 350, 265, 52, 185, 320, 90, 240)

_ANONYMOUS = {LINKER_PART: "merged strings and constants"}
"""Unit -> text for its data without a symbol."""

Units = Mapping[str, Mapping[str, int]]
"""Unit -> symbol -> bytes."""


def render_page(abi: str, report: SizeReport, graph: ReferenceGraph) -> str:
    """Returns a self-contained HTML page about one library; all names in it are escaped."""
    tree = _merge_parts(group_symbols(graph, report.file))
    keepers = _Keepers(graph)
    parts = {part: sum(map(_weigh, units.values())) for part, units in tree.items()}
    page = resources.files("builder.size").joinpath("page.html").read_text(encoding="utf-8")
    # string.Template leaves the braces of CSS and JavaScript alone.
    return Template(page).substitute(
        title=escape(f"TorchLite for {abi}"),
        summary=f"{report.file:,} bytes, {report.compressed:,} compressed, "
        f"{number_of(len(report.operators), 'root operator')}.",
        width=int(_WHOLE.width),
        height=int(_WHOLE.height),
        treemap="\n".join(_draw_parts(tree, parts, keepers)),
        parts="\n".join(_part_rows(parts, report.file)),
        operators="\n".join(_operator_rows(report)),
    )


def is_own_page(path: Path) -> bool:
    """Returns whether builder wrote the page at `path`."""
    with path.open("rb") as stream:
        return _MARK in stream.read(_HEAD)


def group_symbols(graph: ReferenceGraph, file: int) -> dict[str, dict[str, Counter[str]]]:
    """Returns part -> unit -> symbol -> bytes; the sum of all is `file`, the size of the file."""
    tree: defaultdict[str, defaultdict[str, Counter[str]]]
    tree = defaultdict(lambda: defaultdict(Counter))
    for name, size, unit in zip(graph.names, graph.sizes, graph.unit_of, strict=True):
        # Regions that moved to an operator can leave less than nothing in a node without bytes.
        if size > 0:
            owner = graph.units[unit]
            tree[part_of(owner)][owner][name or _ANONYMOUS.get(owner, "data")] += size
    rest = file - sum(size for size in graph.sizes if size > 0)
    if rest > 0:
        tree[LINKER_PART][LINKER_PART]["headers and tables"] = rest
    return {part: dict(units) for part, units in tree.items()}


def _merge_parts(tree: dict[str, dict[str, Counter[str]]]) -> dict[str, dict[str, Counter[str]]]:
    """Returns `tree` with its smallest parts merged into one, if there are too many parts."""
    if len(tree) <= _MOST_PARTS:
        return tree
    names = _largest_first({part: sum(map(_weigh, units.values())) for part, units in tree.items()})
    small = names[_MOST_PARTS - 1 :]
    rest = {unit: symbols for part in small for unit, symbols in tree[part].items()}
    kept = {part: tree[part] for part in names[: _MOST_PARTS - 1]}
    return kept | {number_of(len(small), "smaller part"): rest}


class _Keepers:
    """Says of symbols why they are in the library."""

    def __init__(self, graph: ReferenceGraph) -> None:
        self._reasons = Reasons(graph)
        self._nodes: dict[tuple[str, str], int] = {}
        """Unit and symbol -> the first node with these names."""
        for node in self._reasons.retained:
            if graph.names[node]:
                key = graph.units[graph.unit_of[node]], graph.names[node]
                self._nodes.setdefault(key, node)

    def describe(self, unit: str, symbol: str) -> Iterator[str]:
        """Yields lines about a symbol; none about what has no symbol."""
        node = self._nodes.get((unit, symbol))
        if node is None:
            return
        reasons = self._reasons
        if reasons.retained[node] > reasons.graph.sizes[node]:
            yield f"{reasons.retained[node]:,} bytes with all that only it keeps"
        if keepers := reasons.dominators.chain(node, _MOST_KEEPERS):
            yield f"kept by {' > '.join(map(reasons.name, keepers))}"


def _draw_parts(
    tree: Mapping[str, Units], parts: Mapping[str, int], keepers: _Keepers
) -> Iterator[str]:
    names = _largest_first(parts)
    boxes = lay_out([parts[name] for name in names], _WHOLE)
    for index, (part, box) in enumerate(zip(names, boxes, strict=True)):
        hue = _HUES[index % len(_HUES)]
        yield "<g>" + _rectangle(box, f"{part}: {parts[part]:,} bytes", hue, 62)
        yield _label(part, box, "part")
        yield from _draw_units(tree[part], box.shrink(2, _PART_TITLE), hue, keepers)
        yield "</g>"


def _draw_units(units: Units, inside: Box, hue: int, keepers: _Keepers) -> Iterator[str]:
    sizes = _merge_small({unit: _weigh(symbols) for unit, symbols in units.items()}, inside)
    names = _largest_first(sizes)
    for unit, box in zip(names, lay_out([sizes[n] for n in names], inside), strict=True):
        yield "<g>" + _rectangle(box, f"{unit}: {sizes[unit]:,} bytes", hue, 74)
        if unit in units and box.width * box.height > 50 * _LEAST_AREA:
            yield _label(unit.rpartition("/")[2], box, "unit")
            within = box.shrink(1, _UNIT_TITLE)
            yield from _draw_symbols(unit, units[unit], within, hue, keepers)
        yield "</g>"


def _draw_symbols(
    unit: str, symbols: Mapping[str, int], inside: Box, hue: int, keepers: _Keepers
) -> Iterator[str]:
    sizes = _merge_small(symbols, inside)
    names = _largest_first(sizes)
    for name, box in zip(names, lay_out([sizes[n] for n in names], inside), strict=True):
        title = "\n".join((f"{name}: {sizes[name]:,} bytes", *keepers.describe(unit, name)))
        yield f"<g>{_rectangle(box, title, hue, 84)}{_label(name, box, 'symbol')}</g>"


def _rectangle(box: Box, title: str, hue: int, lightness: int) -> str:
    return (
        f"<title>{escape(title)}</title>"
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" fill="hsl({hue} 55% {lightness}%)"/>'
    )


def _label(name: str, box: Box, kind: str) -> str:
    letters = int((box.width - 6) / (_BOLD_LETTER if kind == "part" else _LETTER))
    if letters < 4 or box.height < _UNIT_TITLE:
        return ""
    text = name if len(name) <= letters else name[: letters - 1] + "\u2026"
    down = _PART_TITLE - 4 if kind == "part" else _UNIT_TITLE - 2.5
    return f'<text class="{kind}" x="{box.x + 3:.1f}" y="{box.y + down:.1f}">{escape(text)}</text>'


def _merge_small(sizes: Mapping[str, int], inside: Box) -> dict[str, int]:
    """Returns `sizes` with all entries that are too small to be seen merged into one."""
    # Boxes are as large as their share of the area, so bytes tell before anything is laid out.
    least = _LEAST_AREA * sum(sizes.values()) / (inside.width * inside.height or 1)
    kept = {name: size for name, size in sizes.items() if size >= least}
    small = [size for name, size in sizes.items() if name not in kept]
    return kept | ({number_of(len(small), "smaller one"): sum(small)} if small else {})


def _part_rows(parts: Mapping[str, int], file: int) -> Iterator[str]:
    for part in _largest_first(parts):
        share = f"{parts[part] / file:.1%}" if file else ""
        yield (
            f'<tr><td>{escape(part)}</td><td class="number">{parts[part]:,}</td>'
            f'<td class="number">{share}</td></tr>'
        )


def _operator_rows(report: SizeReport) -> Iterator[str]:
    for name in find_dearest(report, len(report.operators)):
        price = report.operators[name]
        numbers = "".join(
            f'<td class="number" data-bytes="{size}">{size:,}</td>'
            for size in (price.exclusive, price.inclusive)
        )
        models = escape(", ".join(price.models))
        yield f"<tr><td>{escape(name)}</td>{numbers}<td>{models}</td></tr>"


def _largest_first(sizes: Mapping[str, int]) -> list[str]:
    # By name where sizes are equal, so that equal libraries give equal pages.
    return sorted(sizes, key=lambda name: (-sizes[name], name))


def _weigh(symbols: Mapping[str, int]) -> int:
    return sum(symbols.values())
