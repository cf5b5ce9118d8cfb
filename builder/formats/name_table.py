"""Reads the string table of an object file, in which names may share bytes."""

from __future__ import annotations

_FREE, _RATIO = 1 << 20, 2
"""Names may have twice the bytes of the table and this many more: linkers store a name inside the
end of a longer one, so all names together may be longer than the table."""


class NameTable:
    """Returns names by their offset; each name is decoded once, however many entries use it."""

    def __init__(self, text: bytes, *, longest: int = 1 << 16) -> None:
        self._text, self._longest = text, longest
        self._known: dict[int, str] = {}
        self._left = _FREE + _RATIO * len(text)

    def at(self, start: int) -> str:
        """Returns the name that starts at byte `start`.

        Raises:
            ValueError: the name does not end, or is too long, or all names together have many more
                bytes than the table. This bounds the memory by the size of the file.
        """
        name = self._known.get(start)
        if name is None:
            # Searching no further than the longest name keeps a table without zeros from being
            # slow.
            end = self._text.find(b"\0", start, start + self._longest + 1)
            if start < 0 or end < 0:
                raise ValueError(f"the name at byte {start} does not end, or is far too long")
            self._left -= end - start
            if self._left < 0:
                raise ValueError(
                    "its names overlap: together they are much longer than the string table"
                )
            name = self._known[start] = self._text[start:end].decode(errors="replace")
        return name
