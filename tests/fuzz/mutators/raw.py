"""Mutations of bytes that know no format, and the numbers and texts that other mutators share."""

from __future__ import annotations

import random
import struct

NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 8, 63, 64, 127, 128, 255, 256, 1000, 4096, 32767, 32768, 65535, 65536),
    *(2**24, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**40, 2**53),
    *(2**62, 2**63 - 1, -(2**63), -2, -8, -1000, -65536),
)
"""Where readers of numbers go wrong: ends of ranges and what lies beside them."""
TEXTS = (
    *("", " ", "a", "/", "..", "../../x", "/etc/passwd", "a" * 300, "a/" * 200, "\0", "\n"),
    *(
        "\x1b]0;title\x07",
        "\x1b[2J",
        "\u202eabc",
        "\x9b31m",
        "\ud7ff",
        "\U0001f600",
        "NaN",
        "1e999",
    ),
    *("1" * 5000, "-1", "0", "true", "null", "[]", "{}", "aten::add.Tensor", "a::b.c.d", "::", "."),
    *("%s%n", "{0}", "$x", "\\", "'", '"', "<b>", "&amp;", "٣", "ﬀ", "İ"),
)
"""Texts that readers, printers and file systems take badly."""


def pick_number(rng: random.Random, near: int = 0) -> int:
    """Returns a number that is likely to matter, or one close to `near`."""
    choice = rng.random()
    if choice < 0.5:
        return rng.choice(NUMBERS)
    if choice < 0.8:
        return near + rng.choice((-2, -1, 1, 2, 8, -8))
    if choice < 0.9:
        return near * rng.choice((-1, 2, 3, 256)) if near else rng.randrange(100)
    return rng.randrange(-(2**63), 2**63)


def pick_text(rng: random.Random, near: str = "") -> str:
    """Returns a text that is likely to matter, or one made of `near`."""
    choice = rng.random()
    if choice < 0.4 or not near:
        return rng.choice(TEXTS)
    at = rng.randrange(len(near))
    if choice < 0.6:
        return near[:at] + rng.choice(TEXTS) + near[at:]
    if choice < 0.8:
        return near[:at] + near[at + rng.randrange(1, 4) :]
    return near[:2000] * rng.choice((2, 3, 50)) if choice < 0.9 else near[: at + 1]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns `data` with one to four places changed: bits, bytes, numbers, cuts, copies."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = _edit(data, rng)
    return data


def _edit(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return rng.randbytes(rng.randrange(16))
    at = rng.randrange(len(data))
    width = rng.choice((1, 2, 4, 8))
    match rng.randrange(8):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + rng.randbytes(width) + data[at + width :]
        case 2:
            number = pick_number(rng) & (1 << 8 * width) - 1
            order = rng.choice(("little", "big"))
            return data[:at] + number.to_bytes(width, order) + data[at + width :]
        case 3:
            return data[:at]
        case 4:
            return data[:at] + data[at + rng.randrange(1, 32) :]
        case 5:
            start = rng.randrange(len(data))
            piece = data[start : start + rng.randrange(1, 64)]
            return data[:at] + piece + data[at:]
        case 6:
            return data[:at] + rng.choice(TEXTS).encode("utf-8", "replace") + data[at:]
        case _:
            return _nudge(data, at, rng)


def _nudge(data: bytes, at: int, rng: random.Random) -> bytes:
    """Adds a little to a number of 32 bits: sizes and offsets that are off by one."""
    at = min(at // 4 * 4, max(len(data) - 4, 0))
    if len(data) < 4:
        return data + b"\0"
    (number,) = struct.unpack_from("<I", data, at)
    number = (number + rng.choice((-4, -1, 1, 4, 256))) % 2**32
    return data[:at] + struct.pack("<I", number) + data[at + 4 :]
