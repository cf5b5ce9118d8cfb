"""Mutates text by lines and words: YAML, stubs, lists of names, input specs."""

from __future__ import annotations

import random
import re

from tests.fuzz.mutators import raw

_LONGEST = 1 << 19
_WORD = re.compile(r"\w+|[^\w\s]|\s+")
YAML = (
    *(
        "&a ",
        "*a",
        "!!python/object:os.system ",
        "!!binary x",
        "? ",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
    ),
    *(
        "|\n",
        ">\n",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "#",
        "1:1:1:1",
        "0x" + "f" * 2000,
        "2026-01-01",
    ),
    *(
        "true",
        "~",
        "'",
        '"',
        "<<: *a",
        "\t",
        "\ufeff",
        "!<tag:x> ",
        "{a: " * 50,
        "[" * 3000,
        "- " * 500,
    ),
    *("operators:", "debug_info:", "include_all_operators: true", "targets:", "exports:"),
)
PYTHON = (
    *("[", "]", "(", ")", "{", "}", ",", ":", "float32", "int64", "scalar", "bool", "x", "-", "+"),
    *(
        "1" * 5000,
        "1e999",
        "[" * 300,
        "(" * 3000,
        "-" * 3000,
        "float32[",
        "lambda: 0",
        "'a'",
        "0x1",
    ),
    *(
        "a.b",
        "1j",
        "None",
        "...",
        "*a",
        "f'{x}'",
        "\\",
        "\n",
        "1_000",
        "2**99",
        "b''",
        "float32[1,,2]",
    ),
)


def mutate_text(text: str, rng: random.Random, pieces: tuple[str, ...]) -> str:
    """Returns `text` with words, lines or indents changed, and some of `pieces` put in."""
    for _ in range(rng.choice((1, 1, 2, 4)) if len(text) < _LONGEST else 0):
        text = _edit(text, rng, pieces)
    return text


def _edit(text: str, rng: random.Random, pieces: tuple[str, ...]) -> str:
    lines, at = text.split("\n"), rng.randrange(len(text) + 1)
    place = rng.randrange(len(lines))
    match rng.randrange(7):
        case 0:
            del lines[place]
        case 1:
            lines[place:place] = [lines[rng.randrange(len(lines))]] * rng.choice((1, 1, 300))
        case 2:
            lines[place] = rng.choice(("", " ", "  ", "      ")) + lines[place].lstrip()
        case 3:
            return text[:at] + rng.choice(pieces) + text[at:]
        case 4:
            return text[:at] + text[at + rng.randrange(1, 20) :]
        case 5:
            words = _WORD.findall(text) or [""]
            word = rng.randrange(len(words))
            words[word] = raw.pick_text(rng, words[word])
            return "".join(words)
        case _:
            words = _WORD.findall(lines[place]) or [""]
            words[rng.randrange(len(words))] = rng.choice(pieces)
            lines[place] = "".join(words)
    return "\n".join(lines)


def mutate_bytes(data: bytes, rng: random.Random, pieces: tuple[str, ...]) -> bytes:
    """Returns text as bytes; sometimes as bytes that are no text."""
    if rng.random() < 0.1:
        return raw.mutate(data, rng)
    text = mutate_text(data.decode("utf-8", "replace"), rng, pieces)
    return text.encode("utf-8", "replace")
