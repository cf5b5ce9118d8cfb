"""zoo.toml, and files like it, as values."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model of the zoo."""

    name: str
    """Also of its operator list."""
    what: str
    source: str
    options: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows `builder export`; to be run where models.py is."""
        return (self.source, *self.options, "-o", f"{self.name}.ptl")


def load_entries(name: str = "zoo.toml") -> list[Entry]:
    """Returns the models in the order of the file."""
    data = tomllib.loads((FOLDER / name).read_text())
    return [
        Entry(
            name=name,
            what=row["what"],
            source=row["source"],
            options=tuple(row.get("options", ())),
        )
        for name, row in data.items()
    ]
