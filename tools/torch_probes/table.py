"""The answers of several torches as one table in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tables import replace_part

Result = Mapping[str, Any]
_VERSION = re.compile(r"^torch \S+ ")
"""What one torch says another says too."""


def load_results(folder: Path) -> dict[str, Result]:
    """Returns what was written of each torch, by its name; the oldest torch comes first."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    return dict(sorted(found.items(), key=lambda item: (_order(item[1]["torch"]), item[0])))


def render_table(results: Mapping[str, Result], rows: Sequence[str]) -> str:
    """Returns a column per torch and a row per probe; what a torch cannot do is told below."""
    notes: list[str] = []
    head = ["", *results]
    lines = [head, ["---"] * len(head)]
    for title, describe in (
        ("torch", lambda r: r["torch"]),
        ("torchvision", lambda r: r["torchvision"]),
        ("Python, machine", lambda r: f"{r['python']}, {r['machine']}"),
        ("XNNPACK", lambda r: "yes" if r["xnnpack"] else "**no**"),
        ("quantised engines", lambda r: ", ".join(e for e in r["engines"] if e != "none")),
    ):
        lines.append([title, *(describe(result) for result in results.values())])
    for row in rows:
        cells = [_cell(result["probes"].get(row), notes) for result in results.values()]
        lines.append([row, *cells])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    told = "".join(f"{number}. {note}\n" for number, note in enumerate(notes, start=1))
    return f"{table}\n{told}" if told else table


def render_document(document: str, table: str) -> str:
    """Returns `document` with `table` between its marks."""
    return replace_part(document, "torches", f"\n{table}\n")


def _cell(answer: Result | None, notes: list[str]) -> str:
    if answer is None:
        return "not asked"
    if answer["ok"]:
        verified = answer.get("verified")
        return "written" if verified is None else "yes" if verified else "**differs**"
    why = _VERSION.sub("", answer["why"])
    if why not in notes:
        notes.append(why)
    return f"**no** ({notes.index(why) + 1})"


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("+")[0].split(".")[:2])
