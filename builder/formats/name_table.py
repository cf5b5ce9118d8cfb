"""Names in the string table of an object file, whose entries may share or overlap its bytes."""

from __future__ import annotations

_FREE, _RATIO = 1 << 20, 2
"""Bytes of names beyond twice those of the table: linkers let a name be the end of another."""


class NameTable:
    """Names by where they start; a name is decoded once, however many entries have it."""

    def __init__(self, text: bytes, *, longest: int = 1 << 16) -> None:
        self._text, self._longest = text, longest
        self._known: dict[int, str] = {}
        self._left = _FREE + _RATIO * len(text)

    def at(self, start: int) -> str:
        """Returns the name that starts at a byte; ValueError where none ends, or all are too long.

        What names take together is bounded by the size of the table.
        """
        name = self._known.get(start)
        if name is None:
            end = self._text.find(b"\0", start, start + self._longest + 1)
            if start < 0 or end < 0:
                raise ValueError(f"a name at byte {start} that does not end, or is far too long")
            self._left -= end - start
            if self._left < 0:
                raise ValueError(
                    "its names overlap: together they are much longer than their table"
                )
            name = self._known[start] = self._text[start:end].decode(errors="replace")
        return name
