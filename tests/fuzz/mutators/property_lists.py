"""Mutates property lists: values, XML elements, and the objects of binary ones."""

from __future__ import annotations

import plistlib
import random
from xml.parsers.expat import ExpatError

from tests.fuzz.mutators import raw, values

_XML = (
    *(
        b"<date>2026</date>",
        b"<date>2026-01-01T00:00:00Z</date>",
        b"</dict>",
        b"<dict>",
        b"</array>",
    ),
    *(
        b"<array>",
        b"<string>x",
        b"<integer>1e5</integer>",
        b"<integer>0x10</integer>",
        b"<key>a</key>",
    ),
    *(b"<real>nan</real>", b"<data>!</data>", b"<true/>", b"<a/>", b"<!ENTITY a 'b'>", b"&a;"),
    *(b'<?xml version="1.0" encoding="UTG-8"?>', b"<array>" * 3000, b"<integer></integer>"),
    *(b"<integer>" + b"9" * 5000 + b"</integer>", b"<!-- ", b"<![CDATA[", b"<plist>", b"\xff"),
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a property list that was changed."""
    match rng.randrange(5):
        case 0:
            return raw.mutate(data, rng)
        case 1 if not data.startswith(b"bplist"):
            tags = [at for at in range(len(data)) if data[at : at + 1] == b"<"] or [0]
            at = rng.choice(tags)
            return data[:at] + rng.choice(_XML) + data[at + rng.choice((0, 0, 5)) :]
        case 2 if not data.startswith(b"bplist"):
            tags = [at for at in range(len(data)) if data[at : at + 1] in b"<>"] or [0]
            start, end = rng.choice(tags), rng.choice(tags)
            return data[:start] + data[end:]
    return _change_value(data, rng)


def _change_value(data: bytes, rng: random.Random) -> bytes:
    try:
        value = values.mutate_value(plistlib.loads(data), rng)
        kind = rng.choice((plistlib.FMT_XML, plistlib.FMT_BINARY))
        return plistlib.dumps(value, fmt=kind)
    except (ValueError, TypeError, OverflowError, LookupError, AttributeError, ExpatError):
        return raw.mutate(data, rng)
    except RecursionError:
        return b"<plist>" + b"<array>" * 5000
