"""Mutates flatbuffer lite files by their schema (torch/csrc/jit/serialization/mobile_bytecode.fbs).

Each number, offset, length, string and vtable entry of the file is a place; a mutation changes
some of them, also by making fields absent and by letting offsets share what others point to.
"""

from __future__ import annotations

import contextlib
import random
import struct
from functools import lru_cache
from typing import NamedTuple

from tests.fuzz.mutators import pickles, raw

TABLES: dict[str, tuple[str, ...]] = {
    "Module": (
        *("u32", "[ExtraFile]", "[u32]", "u32", "[IValue]", "i32", "[StorageData]"),
        *("[ObjectType]", "[ExtraFile]", "[u32]", "u32", "u32"),
    ),
    "ExtraFile": ("str", "str"),
    "IValue": ("u8", "union"),
    "StorageData": ("[u8]",),
    "ObjectType": ("str", "u8", "[str]"),
    "TensorMetadata": ("u32", "i8", "i32", "[i32]", "[i32]", "u8", "QuantizedSchema"),
    "QuantizedSchema": ("i8", "f64", "i32", "TensorMetadata", "TensorMetadata", "i32"),
    "String": ("str",),
    "Device": ("str",),
    "List": ("[u32]", "str"),
    "IntList": ("[i64]",),
    "DoubleList": ("[f64]",),
    "BoolList": ("[u8]",),
    "Tuple": ("[u32]",),
    "Dict": ("[u32]", "[u32]", "str"),
    "Object": ("u32", "u32", "[u32]", "u32"),
    "EnumValue": ("str", "u32"),
    "Operator": ("str", "str", "i32"),
    "Arg": ("str", "str", "u32"),
    "Schema": ("[Arg]", "[Arg]"),
    "DebugInfo": ("[i64]",),
    "Function": (
        *("str", "[Instruction]", "[Operator]", "[u32]", "[str]", "i32", "Schema", "DebugInfo"),
        "u32",
    ),
}
"""Table -> its fields in order."""
UNION = (
    *("", "i64", "u8", "f64", "Complex", "TensorMetadata", "String", "List", "Tuple", "Dict"),
    *("Object", "IntList", "DoubleList", "BoolList", "Device", "EnumValue", "Function"),
)
STRUCTS = {"Instruction": (("i8", 0), ("u16", 2), ("i32", 4)), "Complex": (("f64", 0), ("f64", 8))}
SIZES = {"Instruction": 8, "Complex": 16}
SCALARS = {
    "u8": "<B",
    "i8": "<b",
    "u16": "<H",
    "i32": "<i",
    "u32": "<I",
    "i64": "<q",
    "f64": "<d",
    "offset": "<I",
    "length": "<I",
    "slot": "<H",
    "vtable": "<i",
}


class Place(NamedTuple):
    """Something in the file that can be changed."""

    kind: str
    """One of SCALARS, or `text`."""
    at: int
    table: str
    """Which table has it, for choosing among them."""
    length: int = 0
    """Bytes of a text."""


def find_places(data: bytes) -> list[Place]:
    """Returns the places of a file; those that its damage leaves readable."""
    walker = _Walker(data)
    with contextlib.suppress(struct.error, IndexError, RecursionError):
        walker.offset(0, "Module", "")
    return walker.places


class _Walker:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.places: list[Place] = []
        self.seen: set[tuple[int, str]] = set()

    def read(self, kind: str, at: int) -> int:
        if at < 0:
            raise IndexError(at)
        return struct.unpack_from(SCALARS[kind], self.data, at)[0]

    def add(self, kind: str, at: int, table: str, length: int = 0) -> None:
        if len(self.places) > 50_000:
            raise IndexError("too many places")
        self.places.append(Place(kind, at, table, length))

    def offset(self, at: int, target: str, owner: str) -> None:
        self.add("offset", at, owner or target)
        place = at + self.read("offset", at)
        if (place, target) not in self.seen:
            self.seen.add((place, target))
            self.follow(place, target, owner)

    def follow(self, at: int, target: str, owner: str) -> None:
        if target == "str":
            self.add("length", at, owner)
            self.add("text", at + 4, owner, min(self.read("length", at), len(self.data) - at - 4))
        elif target.startswith("["):
            self.vector(at, target[1:-1], owner)
        elif target in TABLES:
            self.table(at, target)
        elif target:
            self.scalar(target, at, owner)

    def vector(self, at: int, element: str, owner: str) -> None:
        self.add("length", at, owner)
        count = min(self.read("length", at), len(self.data))
        simple = element in STRUCTS or element in SCALARS
        for index in range(min(count, 64) if element in SCALARS else count):
            if simple:
                width = SIZES.get(element) or struct.calcsize(SCALARS[element])
                self.scalar(
                    element, at + 4 + index * width, element if element in STRUCTS else owner
                )
            else:
                self.offset(at + 4 + index * 4, element, owner)

    def table(self, at: int, name: str) -> None:
        self.add("vtable", at, name)
        vtable = at - self.read("vtable", at)
        for slot in (0, 2):
            self.add("slot", vtable + slot, name)
        union = ""
        for index, kind in enumerate(TABLES[name]):
            slot = vtable + 4 + 2 * index
            if 4 + 2 * index + 2 > self.read("slot", vtable):
                return
            self.add("slot", slot, name)
            if not (field := self.read("slot", slot)):
                continue
            if name == "IValue" and index == 0:
                number = self.read("u8", at + field)
                union = UNION[number] if number < len(UNION) else ""
            self.field(kind, at + field, name, union)

    def field(self, kind: str, at: int, name: str, union: str) -> None:
        if kind in SCALARS:
            self.scalar(kind, at, name)
        else:
            self.offset(at, union if kind == "union" else kind, name)

    def scalar(self, kind: str, at: int, owner: str) -> None:
        for scalar, distance in STRUCTS.get(kind, ((kind, 0),)):
            self.add(scalar, at + distance, owner)


@lru_cache(maxsize=16)
def _group(data: bytes) -> dict[str, list[Place]]:
    """Returns the places by table; under `targets`, where strings, vectors and tables begin."""
    groups: dict[str, list[Place]] = {}
    for place in find_places(data):
        groups.setdefault(place.table, []).append(place)
        if place.kind in {"length", "vtable"}:
            groups.setdefault("targets", []).append(place)
    return groups


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a file with one to four places changed, or some of its bytes."""
    if rng.random() < 0.1:
        return raw.mutate(data, rng)
    groups = _group(data)
    tables = sorted(groups.keys() - {"targets"})
    if not tables:
        return raw.mutate(data, rng)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(changed, rng.choice(groups[rng.choice(tables)]), groups.get("targets", []), rng)
    return bytes(changed)


def _change(data: bytearray, place: Place, targets: list[Place], rng: random.Random) -> None:
    if place.kind == "text":
        _change_text(data, place, rng)
        return
    layout = struct.Struct(SCALARS[place.kind])
    if place.at < 0 or place.at + layout.size > len(data):
        return
    if place.kind == "f64":
        value = rng.choice((0.0, -1.0, 1e308, float("nan"), float("inf")))
        layout.pack_into(data, place.at, value)
        return
    (value,) = layout.unpack_from(data, place.at)
    bits = 8 * layout.size
    number = _pick(place, value, targets, rng) % 2**bits
    data[place.at : place.at + layout.size] = number.to_bytes(layout.size, "little")


def _pick(place: Place, value: int, targets: list[Place], rng: random.Random) -> int:
    if place.kind == "slot" and rng.random() < 0.6:
        return 0  # the field becomes absent
    if place.kind == "offset" and targets and rng.random() < 0.6:
        return rng.choice(targets).at - place.at
    if place.kind == "u8" and place.table == "IValue":
        return rng.randrange(18)
    if place.kind == "i8" and place.table == "Instruction":
        return rng.randrange(-1, 60)
    return raw.pick_number(rng, value)


def _change_text(data: bytearray, place: Place, rng: random.Random) -> None:
    if not place.length:
        return
    old = bytes(data[place.at : place.at + place.length]).decode("utf-8", "replace")
    choice = rng.random()
    if choice < 0.2:
        new = rng.choice(pickles.TYPES)
    elif choice < 0.4:
        new = pickles.misspell(rng.choice((old, *pickles.TYPES)), rng)
    else:
        new = raw.pick_text(rng, old)
    text = new.encode("utf-8", "replace")[: place.length].ljust(place.length, b"x")
    data[place.at : place.at + place.length] = text
