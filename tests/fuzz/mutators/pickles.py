"""Mutates TorchScript's pickles by meaning: taken apart into values, changed, written again.

What a mutation gives is a well-formed pickle most of the time, so that it reaches the code behind
the reader of opcodes: instructions, operators, constants, types, registers, tensors, storages.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.mutators import raw

OPCODES = (
    *("OP", "OPN", "LOAD", "MOVE", "STOREN", "STORE", "DROP", "DROPR", "LOADC", "JF", "JMP"),
    *("LOOP", "RET", "WAIT", "CALL", "GUARD", "TYPECHECK", "FAIL_GUARD", "PROFILE_OP"),
    *("TAIL_CALL", "INTERFACE_CALL", "GET_ATTR", "SET_ATTR", "LIST_UNPACK", "TUPLE_CONSTRUCT"),
    *("NAMED_TUPLE_CONSTRUCT", "LIST_CONSTRUCT", "DICT_CONSTRUCT", "CREATE_OBJECT", "ISINSTANCE"),
    *("TUPLE_SLICE", "TUPLE_INDEX", "RAISE_EXCEPTION", "DICT_INDEX", "UNCHECKED_CAST", "__is__"),
    *(
        "UN_INITIALIZED",
        "__isnot__",
        "FORMAT",
        "DEVICE",
        "DTYPE",
        "DIM",
        "__not__",
        "ENTER",
        "EXIT",
    ),
    *("UNPACK_TUPLE", "FORK", "NO_SUCH"),
)
"""torch/csrc/jit/runtime/instruction.h, and one that is none."""
TYPES = (
    *("int", "float", "bool", "str", "Tensor", "NoneType", "Any", "Device", "List[int]"),
    *("Dict[str, Tensor]", "Tuple[int, Tensor]", "Optional[Tensor]", "List[List[str]]", "List["),
    *("Dict[str", "Union[int, str]", "NamedTuple[a, [[x, int]]]", "__torch__.M", "Future[int]"),
    "__torch__.torch.classes.xnnpack.Conv2dOpContext",
    "List[__torch__.torch.classes.xnnpack.Conv2dOpContext]",
    "Tuple[int, __torch__.torch.classes.quantized.LinearPackedParamsBase]",
    "__torch__.N[NamedTuple, [[x, __torch__.torch.classes.xnnpack.LinearOpContext]]]",
)
"""As `types` and schemas of bytecode have them."""
_SIGNS = (
    *"+-*/%@()[]:,={}><.?!&^|~;$#'`\"\\ \t\n\0\x7f\x80\u00e9\u3000",
    *("..", "...", ", ", "[["),
    *("NamedTuple", "Enum", "Union", "[NamedTuple, [", "[Enum<", "x" * 70_000),
)
"""What readers of types may take for a part of a word, for its end, or for nothing."""


@dataclass(eq=False)
class Node:
    """A value that has parts: a container, a call, an object or a persistent id."""

    kind: str
    """tuple, list, dict (keys and values in turn), call, object, persistent."""
    items: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Name:
    """A global."""

    module: str
    name: str


_MARK = object()


def parse(data: bytes) -> Any:
    """Returns the value of a pickle; ValueError when it is none that TorchScript writes."""
    try:
        return _Parser(data).run()
    except (IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ValueError(f"no pickle: {error!r}") from error


class _Parser:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.stack = data, 2, []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        if self.data[:2] != b"\x80\x02":
            raise ValueError("no pickle of protocol 2")
        while (opcode := self.take(1)) != b".":
            self.step(opcode)
        return _without_mark(self.stack[:1])[0]

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) != count:
            raise ValueError("no pickle: it ends early")
        self.at += count
        return taken

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        end = self.data.index(b"\n", self.at)
        return self.take(end + 1 - self.at)[:-1].decode()

    def to_mark(self) -> list[Any]:
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:  # from the end: pickles nest deep
            start -= 1
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def step(self, opcode: bytes) -> None:
        if opcode in _PUSHED:
            self.stack.append(_PUSHED[opcode](self))
        elif opcode in b"qr":
            number = self.number("<B" if opcode == b"q" else "<I")
            self.memo[number] = _without_mark(self.stack[-1:])[0]
        elif opcode in b"ase":
            count = {b"a": 1, b"s": 2}.get(opcode)
            values = self.to_mark() if count is None else self._pop(count)
            self.stack[-1].items += values
        elif opcode == b"u":
            values = self.to_mark()
            self.stack[-1].items += values
        elif opcode == b"\x81":
            self._pop(1)
        elif opcode in b"Rb":
            function, argument = self._pop(2)
            self.stack.append(Node("call" if opcode == b"R" else "object", [function, argument]))
        else:
            raise ValueError(f"opcode {opcode!r}")

    def _pop(self, count: int) -> list[Any]:
        values = _without_mark(self.stack[-count:])
        del self.stack[-count:]
        return values


def _without_mark(values: list[Any]) -> list[Any]:
    """Returns values of the stack that may be parts of others, which a mark cannot be."""
    if any(value is _MARK for value in values):
        raise ValueError("no pickle: a mark without its end")
    return values


_PUSHED: dict[bytes, Callable[[_Parser], Any]] = {
    b"(": lambda p: _MARK,
    b"]": lambda p: Node("list"),
    b"}": lambda p: Node("dict"),
    b")": lambda p: Node("tuple"),
    b"N": lambda p: None,
    b"\x88": lambda p: True,
    b"\x89": lambda p: False,
    b"K": lambda p: p.number("<B"),
    b"M": lambda p: p.number("<H"),
    b"J": lambda p: p.number("<i"),
    b"G": lambda p: p.number(">d"),
    b"\x8a": lambda p: int.from_bytes(p.take(p.number("<B")), "little", signed=True),
    b"X": lambda p: p.take(p.number("<I")).decode("utf-8", "surrogateescape"),
    b"t": lambda p: Node("tuple", p.to_mark()),
    b"\x85": lambda p: Node("tuple", p._pop(1)),
    b"\x86": lambda p: Node("tuple", p._pop(2)),
    b"\x87": lambda p: Node("tuple", p._pop(3)),
    b"l": lambda p: Node("list", p.to_mark()),
    b"d": lambda p: Node("dict", p.to_mark()),
    b"h": lambda p: p.memo[p.number("<B")],
    b"j": lambda p: p.memo[p.number("<I")],
    b"c": lambda p: Name(p.line(), p.line()),
    b"Q": lambda p: Node("persistent", p._pop(1)),
}

_OPEN = {"tuple": b"(", "list": b"](", "dict": b"}("}
_CLOSE = {"tuple": b"t", "list": b"e", "dict": b"u", "call": b"R", "persistent": b"Q"}


def render(value: Any, *, memoise: bool = True) -> bytes:
    """Returns the pickle of a value of `parse`; what occurs twice is written once."""
    out: list[bytes] = [b"\x80\x02"]
    memo: dict[int, int] = {}
    waiting: list[Any] = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, bytes):
            out.append(entry)
        elif not isinstance(entry, Node):
            out.append(_render_scalar(entry))
        elif id(entry) in memo:
            out.append(b"j" + struct.pack("<I", memo[id(entry)]))
        else:
            put = b""
            if memoise:
                memo[id(entry)] = len(memo)
                put = b"r" + struct.pack("<I", memo[id(entry)])
            waiting.extend(reversed(_spell(entry, put)))
    return b"".join((*out, b"."))


def _spell(node: Node, put: bytes) -> list[Any]:
    if node.kind == "object":
        kind, *state = node.items
        return [kind, b")\x81", *state, b"b", put]
    return [_OPEN.get(node.kind, b""), *node.items, _CLOSE[node.kind], put]


def _render_scalar(value: Any) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            text = value.encode("utf-8", "surrogateescape")
            return b"X" + struct.pack("<I", len(text)) + text
        case Name():
            return f"c{value.module}\n{value.name}\n".encode()
    if 0 <= value < 256:
        return b"K" + struct.pack("<B", value)
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", max(-(2**63), min(value, 2**63 - 1)))


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a pickle with a few of its values changed, or some of its bytes."""
    if rng.random() < 0.1:
        return raw.mutate(data, rng)
    try:
        value = parse(data)
    except ValueError:
        return raw.mutate(data, rng)
    root = Node("tuple", [value])
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change(root, rng)
    return render(root.items[0] if root.items else None, memoise=rng.random() < 0.5)


def change(root: Node, rng: random.Random) -> None:
    """Changes one value below `root`, which stays."""
    nodes = list(walk(root))
    kind = rng.choice(_KINDS)
    chosen = [node for node in nodes if _kind(node) == kind] or nodes
    node = rng.choice(chosen)
    _CHANGES.get(_kind(node), _change_any)(node, nodes, rng)


def walk(root: Node) -> Iterator[Node]:
    """Yields `root` and all nodes below it, each once."""
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        yield node
        for item in node.items:
            if isinstance(item, Node) and id(item) not in seen:
                seen.add(id(item))
                waiting.append(item)


def is_tensor(node: Node) -> bool:
    """Returns whether `node` has a tensor's arguments: storage, offset, sizes, strides..."""
    return (
        bool(node.items) and isinstance(node.items[0], Node) and node.items[0].kind == "persistent"
    )


_KINDS = ("instruction", "operator", "tensor", "persistent", "field", "call", "object", "any")


def _kind(node: Node) -> str:
    match node.kind, node.items:
        case "tuple", [str(name), int(), int()] if name in OPCODES:
            return "instruction"
        case "tuple", [str(name), str(), *_] if "::" in name:
            return "operator"
        case "tuple", [Node(kind="persistent"), *_]:
            return "tensor"
        case "tuple", [Node(kind="tuple", items=["storage", *_])]:
            return "persistent"
        case "tuple", ["storage", *_]:
            return "persistent"
        case "tuple", [str(), _]:
            return "field"
        case (("call" | "object" as kind), _):
            return kind
    return "any"


def _change_instruction(node: Node, nodes: list[Node], rng: random.Random) -> None:
    _opcode, x, n = node.items
    match rng.randrange(4):
        case 0:
            node.items[0] = rng.choice(OPCODES)
        case 1:
            node.items[1] = raw.pick_number(rng, x)
        case 2:
            node.items[2] = raw.pick_number(rng, n)
        case _:
            node.items = [rng.choice(OPCODES), rng.randrange(8), rng.randrange(4)]


def _change_operator(node: Node, nodes: list[Node], rng: random.Random) -> None:
    others = [other for other in nodes if _kind(other) == "operator"]
    match rng.randrange(4):
        case 0:
            node.items = list(rng.choice(others).items)
        case 1:
            node.items[2:] = [raw.pick_number(rng, 2)]
        case place:
            node.items[place - 2] = raw.pick_text(rng, node.items[place - 2])


def _change_tensor(node: Node, nodes: list[Node], rng: random.Random) -> None:
    """Storage, offset, sizes, strides and the rest of a tensor's arguments."""
    numbers = [node, *(item for item in node.items if _is_tuple(item))]
    owner = rng.choice(numbers)
    places = [i for i, item in enumerate(owner.items) if type(item) is int]
    if places and rng.random() < 0.8:
        place = rng.choice(places)
        owner.items[place] = raw.pick_number(rng, owner.items[place])
    else:
        _change_any(owner, nodes, rng)


def _change_persistent(node: Node, nodes: list[Node], rng: random.Random) -> None:
    """Kind, name, device and number of elements of a storage."""
    while node.items and _is_tuple(node.items[0]):
        node = node.items[0]
    place = rng.randrange(max(len(node.items), 1))
    match place:
        case 1:
            kinds = (
                "Float",
                "Double",
                "Long",
                "Byte",
                "QInt8",
                "Bool",
                "BFloat16",
                "ComplexDouble",
            )
            node.items[1] = Name("torch", f"{rng.choice(kinds)}Storage")
        case 2:
            node.items[2] = str(rng.choice((*range(8), 99, -1, "x/../y")))
        case 4:
            node.items[4] = raw.pick_number(rng, node.items[4] if type(node.items[4]) is int else 0)
        case _:
            _change_any(node, nodes, rng)


def _change_any(node: Node, nodes: list[Node], rng: random.Random) -> None:
    if not node.items:
        node.items.append(_fresh(nodes, rng))
        return
    place = rng.randrange(len(node.items))
    match rng.randrange(9):
        case 0:
            del node.items[place]
        case 1:
            node.items.insert(place, node.items[place])
        case 2:
            node.items[place] = _fresh(nodes, rng)
        case 3:
            node.items.insert(place, _fresh(nodes, rng))
        case 4:
            node.kind = rng.choice(("tuple", "list", "dict", "call", "object", "persistent"))
        case 5:
            rng.shuffle(node.items)
        case 6:
            node.items[place] = _nest(node.items[place], rng)
        case _:
            node.items[place] = _change_scalar(node.items[place], rng)
    _fit(node)


def _fit(node: Node) -> None:
    """Gives a call, an object or a persistent id as many parts as it takes."""
    wanted = {"call": 2, "object": 2, "persistent": 1}.get(node.kind)
    if wanted is not None:
        node.items = [*node.items, Node("tuple"), Node("tuple")][:wanted]


def _change_scalar(value: Any, rng: random.Random) -> Any:
    match value:
        case bool() | None:
            return rng.choice((True, False, None, 1))
        case int():
            return raw.pick_number(rng, value)
        case float():
            return rng.choice((0.0, -0.0, 1e308, float("nan"), float("inf"), -value))
        case str():
            return rng.choice(TYPES) if rng.random() < 0.3 else raw.pick_text(rng, value)
        case Name():
            module = raw.pick_text(rng, value.module).replace("\n", "")
            return rng.choice((Name(module, value.name), Name("os", "system"), *_NAMES))
    return value


_NAMES = (
    Name("torch._utils", "_rebuild_tensor_v2"),
    Name("torch._utils", "_rebuild_qtensor"),
    Name("torch.jit._pickle", "build_intlist"),
    Name("torch.jit._pickle", "restore_type_tag"),
    Name("builtins", "complex"),
    Name("collections", "OrderedDict"),
    Name("__torch__", "M"),
    Name("torch", "device"),
)


def _fresh(nodes: list[Node], rng: random.Random) -> Any:
    """Returns a value out of nothing, or a copy of one that is there; never a cycle."""
    if rng.random() < 0.5:
        return rng.choice(
            (
                None,
                True,
                rng.randrange(9),
                raw.pick_number(rng),
                0.5,
                rng.choice(TYPES),
                rng.choice(raw.TEXTS),
                Node("tuple"),
                Node("list"),
                Node("dict"),
                rng.choice(_NAMES),
            )
        )
    return copy(rng.choice(nodes), limit=2000)


def misspell(text: str, rng: random.Random) -> str:
    """Returns the text of a type with a sign beside one of its words, or inside."""
    ends = [at for at in range(len(text) + 1) if not text[at : at + 1].isalnum()]
    at = rng.choice(ends) if rng.random() < 0.8 else rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(_SIGNS) + rng.choice(("", "x")) + text[at:]


def copy(value: Any, *, limit: int) -> Any:
    """Returns a copy of a node of at most `limit` nodes; what is more becomes None."""
    left = [limit]

    def duplicate(node: Any, depth: int) -> Any:
        if not isinstance(node, Node):
            return node
        left[0] -= 1
        if left[0] < 0 or depth > 100:
            return None
        return Node(node.kind, [duplicate(item, depth + 1) for item in node.items])

    return duplicate(value, 0)


def _nest(value: Any, rng: random.Random) -> Any:
    kind = rng.choice(("tuple", "list"))
    for _ in range(rng.choice((1, 3, 70, 200, 2000))):
        value = Node(kind, [value])
    return value


def _is_tuple(value: Any) -> bool:
    return isinstance(value, Node) and value.kind == "tuple"


_CHANGES: dict[str, Callable[[Node, list[Node], random.Random], None]] = {
    "instruction": _change_instruction,
    "operator": _change_operator,
    "tensor": _change_tensor,
    "persistent": _change_persistent,
}
