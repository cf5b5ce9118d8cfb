"""Parses sizes as people write them: `2.5MB`, `900KiB`."""

from __future__ import annotations

import re

_SIZE = r"(?P<number>\d{1,18}(?:\.\d{1,18})?) *(?P<unit>[A-Za-z]*)"
_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}


class ByteSize(int):
    """A number of bytes, at least one; people write it as `500MB` or `8GiB`."""

    @classmethod
    def parse(cls, text: str) -> ByteSize:
        """Returns the size that `text` has; ValueError when it is not one, or is 0."""
        size = cls(parse_size(text))
        if size < 1:
            raise ValueError("the limit must be at least one byte")
        return size


def parse_size(text: str) -> int:
    """Returns the number of bytes in `2.5MB`, `900 KiB` or `123456`, rounded down.

    KB, MB and GB are powers of 1000; KiB, MiB and GiB are powers of 1024.

    Raises:
        ValueError: the text is not a size, is less than a byte, or has a fraction without a unit.
    """
    match = re.fullmatch(_SIZE, text.strip(), re.ASCII)
    if match is None or match["unit"].lower() not in _UNITS:
        raise ValueError(f"{text!r} is not a size; write 2.5MB, 900KiB or 123456")
    unit = _UNITS[match["unit"].lower()]
    whole, point, decimals = match["number"].partition(".")
    # In integers: 2.3MB as a float would be a byte too small.
    scaled = int(whole + decimals) * unit
    scale: int = 10 ** len(decimals)
    size = scaled // scale
    if (scaled and not size) or (point and unit == 1):
        raise ValueError(f"{text!r} is not a whole number of bytes; write 2.5MB, 900KiB or 123456")
    return size
