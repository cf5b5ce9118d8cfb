"""What came of each module, as JSON between runs and as a table (docs/reference/conformance.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One module."""

    module: str
    ok: bool
    operators: int | None = None
    """Root operators; None, like the rest, when there is no runtime."""
    units: int | None = None
    size: int | None = None
    """Bytes of the stripped library."""
    calls: int = 0
    compared: int = 0
    """Outputs whose numbers were compared, those with the same seed among them."""
    shapes: int = 0
    """Outputs of which only shape and dtype were compared."""
    largest: float = 0.0
    """Largest relative difference of those compared."""
    remarks: tuple[str, ...] = ()


def write_row(folder: Path, row: Row) -> None:
    """Writes `row` beside the others of earlier runs."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(row), indent=2, sort_keys=True) + "\n"
    (folder / f"{row.module}.json").write_text(text)


def read_rows(folder: Path, order: Iterable[str]) -> list[Row]:
    """Returns the rows that there are, in `order`."""
    files = (folder / f"{name}.json" for name in order)
    rows = (json.loads(file.read_text()) for file in files if file.is_file())
    return [Row(**{**row, "remarks": tuple(row["remarks"])}) for row in rows]


def render_table(rows: Iterable[Row]) -> str:
    """Returns the rows as a Markdown table."""
    lines = [
        "| module | root operators | units | library bytes | result | outputs compared "
        "| largest difference | remarks |",
        "|---|--:|--:|--:|---|--:|--:|---|",
    ]
    return "\n".join([*lines, *map(_render, rows)]) + "\n"


def _render(row: Row) -> str:
    figures = [_number(value) for value in (row.operators, row.units, row.size)]
    result = "ok" if row.ok else "**fails**" if row.units else "not run"
    compared = f"{row.compared}" + (f" and {row.shapes} by shape" if row.shapes else "")
    ran = row.units is not None
    cells = [
        f"`{row.module}`",
        *figures,
        result,
        compared if ran else "",
        f"{row.largest:.2g}" if ran else "",
        "; ".join(remark.replace("|", "\\|") for remark in row.remarks),
    ]
    return "| " + " | ".join(cells) + " |"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
