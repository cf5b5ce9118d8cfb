"""Mutates lite files with an eye to what loads and runs them: the runtime, not readers in Python.

`lite_zip` and `lite_flatbuffer` change any value; this changes sequences of instructions, operators
(to others that the runtime has), kinds of constants, attributes, tensors that reach outside of
their storages, and makes nesting and counts that only a program in C++ is afraid of.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.fuzz.mutators import lite_flatbuffer, lite_zip, pickles, raw, zips
from tests.fuzz.mutators.pickles import Node

DEEP = 300_000
"""Values in one another: more than a stack of 8 MB has frames of a destructor for."""
_LARGE = 1 << 20
_DEEP_TYPES = (
    ("List[", "int", "]"),
    ("Tuple[int, ", "int", "]"),
    ("Optional[", "Tensor", "]"),
    ("Dict[str, ", "int", "]"),
    ("Union[int, ", "str", "]"),
    ("NamedTuple[a, [[x, ", "int", "]]]"),
    ("Future[", "int", "]"),
    ("(", "int", ")"),
    ("List[", "", ""),
)


def mutate(data: bytes, rng: random.Random, operators: Sequence[str] = ()) -> bytes:
    """Returns a mutated lite file.

    Args:
        data: a zip or a flatbuffer.
        rng: decides everything.
        operators: names like `aten::add.Tensor` that the runtime has.
    """
    if data[4:8] == b"PTMF":
        return _mutate_flatbuffer(data, rng)
    if rng.random() < 0.4:
        return lite_zip.mutate(data, rng)
    entries = zips.unpack(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = _choose(entries, rng)
        entries[place] = replace(
            entries[place], content=_mutate_pickle(entries[place].content, rng, operators)
        )
    return zips.pack(entries)


def _mutate_flatbuffer(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2))):
        data = lite_flatbuffer.mutate(data, rng)
    return data


def _choose(entries: Sequence[zips.Entry], rng: random.Random) -> int:
    """Returns the place of a pickle that has something in it; the bytecode's most of the time."""
    weights = [
        0 if not entry.name.endswith(b".pkl") else 8 if b"bytecode" in entry.name else 3
        for entry in entries
    ]
    return rng.choices(range(len(entries)), weights)[0]


def _mutate_pickle(content: bytes, rng: random.Random, operators: Sequence[str]) -> bytes:
    if len(content) > _LARGE:
        return content  # an earlier mutation made it so
    try:
        root = pickles.parse(content)
    except ValueError:
        return raw.mutate(content, rng)
    if not isinstance(root, Node):
        return pickles.render(_make_deep(root, rng))
    nodes = list(pickles.walk(root))
    for _ in range(rng.choice((1, 1, 2))):
        change = rng.choices(list(_CHANGES), list(_CHANGES.values()))[0]
        try:
            change(nodes, rng, operators)
        except IndexError:  # there is nothing of its kind to choose from
            _change_constants(nodes, rng, operators)
    return pickles.render(root, memoise=rng.random() < 0.5)


def _tables(nodes: Sequence[Node], name: str) -> list[Node]:
    """Returns what bytecode calls `name`: instructions, operators, constants, types..."""
    return [
        node.items[1]
        for node in nodes
        if node.kind == "tuple" and len(node.items) == 2 and node.items[0] == name
        if isinstance(node.items[1], Node)
    ]


def _change_sequence(nodes: list[Node], rng: random.Random, operators: Sequence[str]) -> None:
    """Removes, repeats, swaps or adds instructions, or all from somewhere on."""
    codes = [code for code in _tables(nodes, "instructions") if code.items]
    items = rng.choice(codes).items
    place, other = rng.randrange(len(items)), rng.randrange(len(items))
    match rng.randrange(6):
        case 0:
            del items[place]
        case 1:
            items.insert(place, items[other])
        case 2:
            items[place], items[other] = items[other], items[place]
        case 3:
            opcode = rng.choice(pickles.OPCODES)
            count = rng.choice((0, 1, 2, 3, 60_000))
            items.insert(place, Node("tuple", [opcode, raw.pick_number(rng, 1), count]))
        case 4:
            del items[place:]
        case _:
            start, end = sorted((place, other))
            items[start:start] = items[start:end]


def _change_instruction(nodes: list[Node], rng: random.Random, operators: Sequence[str]) -> None:
    """Another operand, mostly one that is close to right."""
    codes = [code for code in _tables(nodes, "instructions") if code.items]
    instruction = rng.choice(rng.choice(codes).items)
    if isinstance(instruction, Node) and len(instruction.items) == 3:
        near = rng.randrange(-2, 12) if rng.random() < 0.7 else raw.pick_number(rng)
        instruction.items[rng.choice((1, 1, 2))] = near
        if rng.random() < 0.3:
            instruction.items[0] = rng.choice(pickles.OPCODES)


def _change_operator(nodes: list[Node], rng: random.Random, operators: Sequence[str]) -> None:
    """Another operator that the runtime has, or another count of its arguments."""
    tables = [table for table in _tables(nodes, "operators") if table.items]
    table = rng.choice(tables)
    if operators and rng.random() < 0.7:
        name, _, overload = rng.choice(operators).partition(".")
        place = rng.randrange(len(table.items))
        old = table.items[place]
        count = old.items[2:] if isinstance(old, Node) and rng.random() < 0.7 else []
        table.items[place] = Node("tuple", [name, overload, *count])
    else:
        operator = rng.choice(table.items)
        if isinstance(operator, Node):
            operator.items[2:] = [rng.choice((None, -1, 0, 1, 2, 3, 5, 40, 2**31 - 1, -(2**31)))]


def _change_constants(nodes: list[Node], rng: random.Random, operators: Sequence[str]) -> None:
    """Constants, or parts of any container, change places or are made of other values."""
    tables = [table for table in _tables(nodes, "constants") if table.items]
    owner = rng.choice(tables or [node for node in nodes if node.items] or nodes)
    if not owner.items:
        return
    place, other = rng.randrange(len(owner.items)), rng.randrange(len(owner.items))
    if rng.random() < 0.5:
        owner.items[place], owner.items[other] = owner.items[other], owner.items[place]
    else:
        values = (None, True, 0, -1, 2**62, 0.5, "text", Node("list"), Node("tuple"), Node("dict"))
        owner.items[place] = rng.choice((*values, pickles.copy(rng.choice(nodes), limit=500)))


def _change_tensor(nodes: list[Node], rng: random.Random, operators: Sequence[str]) -> None:
    """A tensor's offset, sizes or strides, so that it reaches outside of its storage."""
    tensors = [node for node in nodes if len(node.items) > 3 and pickles.is_tensor(node)]
    tensor = rng.choice(tensors)
    sizes, strides = tensor.items[2], tensor.items[3]
    if rng.random() < 0.2 or not _are_numbers(sizes) or not _are_numbers(strides):
        tensor.items[1] = rng.choice((1, -1, 7, 1000, 2**31, 2**61, 2**62, -(2**62), 2**63 - 1))
    else:
        _change_shape(sizes, strides, rng)


def _change_shape(sizes: Node, strides: Node, rng: random.Random) -> None:
    owner = rng.choice((sizes, strides))
    match rng.randrange(4):
        case 0:
            place = rng.choice(range(len(owner.items)))
            owner.items[place] = raw.pick_number(rng, owner.items[place])
        case 1:
            owner.items = owner.items[:-1]
        case 2:
            sizes.items, strides.items = [*sizes.items, 2**32], [*strides.items, rng.choice((0, 1))]
        case _:
            count = rng.choice((1, 5, 64, 65, 1000))
            sizes.items, strides.items = [1] * count, [rng.choice((0, 1, 2**62))] * count


def _are_numbers(value: object) -> bool:
    return isinstance(value, Node) and all(type(item) is int for item in value.items)


def _change_attributes(nodes: list[Node], rng: random.Random, operators: Sequence[str]) -> None:
    """An object's attributes: fewer, more, in another order, of other kinds."""
    states = [
        node.items[1] for node in nodes if node.kind == "object" and isinstance(node.items[1], Node)
    ]
    items = rng.choice(states).items
    pairs = [items[i : i + 2] for i in range(0, len(items), 2)]
    match rng.randrange(4):
        case 0 if pairs:
            del pairs[rng.randrange(len(pairs))]
        case 1:
            rng.shuffle(pairs)
        case 2:
            pairs += [[f"more{i}", i] for i in range(rng.choice((1, 10, 20_000)))]
        case _ if pairs:
            rng.choice(pairs)[1:] = [pickles.copy(rng.choice(nodes), limit=500)]
    items[:] = [part for pair in pairs for part in pair]


def _change_types(nodes: list[Node], rng: random.Random, operators: Sequence[str]) -> None:
    """Texts of types, in code, schemas and tags; some misspelt, some nested without end."""
    places = [
        (node, i)
        for node in nodes
        for i, item in enumerate(node.items)
        if isinstance(item, str)
        if _is_type(node, item)
    ]
    node, place = rng.choice(places)
    if rng.random() < 0.3:
        before, inside, after = rng.choice(_DEEP_TYPES)
        depth = rng.choice((2, 60, 1000, 50_000))
        node.items[place] = before * depth + inside + after * depth
    elif rng.random() < 0.3:
        node.items[place] = rng.choice(pickles.TYPES)
    elif rng.random() < 0.5:
        text = rng.choice((node.items[place], *pickles.TYPES))
        node.items[place] = pickles.misspell(text, rng)
    else:
        node.items[place] = raw.pick_text(rng, node.items[place])


def _is_type(node: Node, text: str) -> bool:
    return (
        text in pickles.TYPES or "[" in text or (len(node.items) == 2 and node.items[0] == "type")
    )


def _change_size(nodes: list[Node], rng: random.Random, operators: Sequence[str]) -> None:
    """The number of registers, or another number with a name."""
    fields = [node for node in nodes if len(node.items) == 2 and node.items[0] == "register_size"]
    rng.choice(fields).items[1] = rng.choice((0, 1, 2, 3, -1, 65_535, 65_536, 2**31 - 1, 2**40))


def _nest(nodes: list[Node], rng: random.Random, operators: Sequence[str]) -> None:
    """Puts one value into containers in containers."""
    owner = rng.choice([node for node in nodes if node.items] or nodes)
    if owner.items:
        place = rng.randrange(len(owner.items))
        owner.items[place] = _make_deep(owner.items[place], rng)


def _make_deep(value: object, rng: random.Random) -> Node:
    kind = rng.choice(("tuple", "list", "dict"))
    for _ in range(rng.choice((2, 100, 1000, DEEP))):
        value = Node(kind, ["key", value] if kind == "dict" else [value])
    assert isinstance(value, Node)
    return value


_CHANGES: dict[Callable[[list[Node], random.Random, Sequence[str]], None], int] = {
    _change_sequence: 6,
    _change_instruction: 8,
    _change_operator: 6,
    _change_constants: 4,
    _change_tensor: 6,
    _change_attributes: 3,
    _change_types: 3,
    _change_size: 1,
    _nest: 1,
}
