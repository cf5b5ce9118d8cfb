"""Lite files that are wrong in one way each, made of a model with loops, attributes and tensors.

Each is a kind of damage that once crashed a runtime, read memory that is not its own, or never
ended; tests/native/test_hostile.py runs them. The model is `loops` of tests/fuzz/models.py.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.fuzz.mutators import lite_flatbuffer, pickles, zips
from tests.fuzz.mutators.pickles import Node

REFUSED, FAILED = "refused", "failed"
DEEP = 300_000
FAR = 100_000
_APPEND = 15
_SET_ITEM = 17
_REMAINDER = 1
"""Places of `aten::append.t`, `_set_item.str` and `remainder.int` among forward's operators."""
Edit = Callable[["File"], None]


class File:
    """A lite zip, taken apart."""

    def __init__(self, data: bytes) -> None:
        self.entries = zips.unpack(data)
        self.code = self.parse("bytecode.pkl")
        self.state = self.parse("data.pkl")

    def place(self, record: str) -> int:
        """Returns where `record` is among the entries."""
        names = [entry.name.partition(b"/")[2].decode() for entry in self.entries]
        return names.index(record)

    def parse(self, record: str) -> Node:
        """Returns the pickle of `record`."""
        return pickles.parse(self.entries[self.place(record)].content)

    def pack(self) -> bytes:
        """Returns the file with the pickles as they are now."""
        for record, value in (("bytecode.pkl", self.code), ("data.pkl", self.state)):
            place = self.place(record)
            content = pickles.render(value)
            self.entries[place] = replace(self.entries[place], content=content)
        return zips.pack(self.entries)

    def table(self, name: str, method: str = "forward") -> Node:
        """Returns a part of a method's code, e.g. its `instructions`."""
        for function in self.code.items[1:]:
            if function.items[0].endswith(f".{method}"):
                for node in pickles.walk(function):
                    if node.kind == "tuple" and len(node.items) == 2 and node.items[0] == name:
                        return node
        raise KeyError(name)

    def instruction(self, opcode: str) -> Node:
        """Returns the first of forward's instructions of that kind."""
        instructions = self.table("instructions").items[1].items
        return next(one for one in instructions if one.items[0] == opcode)

    def tensor(self) -> Node:
        """Returns storage, offset, sizes, strides... of the first tensor of the state."""
        for node in pickles.walk(self.state):
            if (
                node.items
                and isinstance(node.items[0], Node)
                and node.items[0].kind == "persistent"
            ):
                return node
        raise KeyError("a tensor")

    def storage(self) -> Node:
        """Returns `storage`, kind, name, device, elements of that tensor."""
        return self.tensor().items[0].items[0]

    @property
    def storage_record(self) -> int:
        """Where the bytes of that storage are among the entries."""
        return self.place(f"data/{self.storage().items[2]}")

    def set_record(self, place: int, content: bytes, method: int = 0) -> None:
        """Replaces an entry's content."""
        self.entries[place] = replace(self.entries[place], content=content, method=method)


def _operand(opcode: str, x: int | None = None, n: int | None = None) -> Edit:
    def edit(file: File) -> None:
        instruction = file.instruction(opcode)
        if x is not None:
            instruction.items[1] = x
        if n is not None:
            instruction.items[2] = n

    return edit


def _first(opcode: str, x: int = 0, n: int = 0) -> Edit:
    """Forward begins with another instruction, where only its arguments are on the stack."""
    return begin((opcode, x, n))


def begin(*instructions: tuple[str, int, int]) -> Edit:
    """Forward begins with other instructions."""

    def edit(file: File) -> None:
        items = file.table("instructions").items[1].items
        items[:0] = [Node("tuple", list(one)) for one in instructions]

    return edit


def _tensor(place: int, value: object) -> Edit:
    def edit(file: File) -> None:
        numbers = value if isinstance(value, list) else None
        file.tensor().items[place] = value if numbers is None else Node("tuple", list(numbers))

    return edit


def _all(*edits: Edit) -> Edit:
    def edit(file: File) -> None:
        for one in edits:
            one(file)

    return edit


def _field(name: str, value: object) -> Edit:
    def edit(file: File) -> None:
        file.table(name).items[1] = value

    return edit


def _constant(value: Callable[[], object]) -> Edit:
    def edit(file: File) -> None:
        file.table("constants").items[1].items[0] = value()

    return edit


def _type(text: str, where: str) -> Edit:
    def edit(file: File) -> None:
        if where == "types":
            file.table("types").items[1].items[0] = text
            return
        arguments = file.table("arguments").items[1].items[-1]
        next(field for field in arguments.items if field.items[0] == "type").items[1] = text

    return edit


def _nest(kind: str, depth: int) -> Node:
    value: object = 0
    for _ in range(depth):
        value = Node(kind, ["key", value] if kind == "dict" else [value])
    assert isinstance(value, Node)
    return value


def _resize_storage(elements: int) -> Edit:
    def edit(file: File) -> None:
        file.storage().items[4] = elements

    return edit


def _leak(file: File) -> None:
    """The storage says that it is larger than its record; the tensor lies behind the record."""
    file.storage().items[4] = 2**40
    file.tensor().items[1] = 4096


def _cut_record(file: File) -> None:
    place = file.storage_record
    file.set_record(place, file.entries[place].content[:-1])


def _make_folder(file: File) -> None:
    """Its entry says, by an attribute of DOS, that it is a folder: nothing is unpacked."""
    entry = file.entries[file.storage_record]
    file.entries[file.storage_record] = replace(entry, lies={"attributes": 0x10})


def _damage_record(file: File) -> None:
    """It says that it is packed, and is not."""
    entry = file.entries[file.storage_record]
    lies = {"method_said": zipfile.ZIP_DEFLATED}
    file.entries[file.storage_record] = replace(entry, lies=lies)


def _drop_record(file: File) -> None:
    del file.entries[file.storage_record]


def _compress_zeros(file: File) -> None:
    file.set_record(file.storage_record, bytes(512 << 20), zipfile.ZIP_DEFLATED)
    file.storage().items[4] = 128 << 20


def _drop_return(file: File) -> None:
    del file.table("instructions").items[1].items[-1]


def _drop_code(file: File) -> None:
    file.table("instructions").items[1].items.clear()


def _count_arguments(count: int) -> Edit:
    def edit(file: File) -> None:
        for operator in file.table("operators").items[1].items:
            operator.items[2:] = [count]

    return edit


def _state_of_depth(file: File) -> None:
    file.state.items[1].items += ["deep", _nest("list", DEEP)]


def _drop_attributes(file: File) -> None:
    file.state.items[1].items.clear()


def _call(name: str, overload: str, *constants: int) -> Edit:
    """Forward begins with a call of another operator: on its tensor, then on constants."""

    def edit(file: File) -> None:
        operators, table = file.table("operators").items[1], file.table("constants").items[1]
        place = len(operators.items)
        operators.items.append(Node("tuple", [name, overload, 1 + len(constants)]))
        loads = [("LOADC", len(table.items) + i, 0) for i in range(len(constants))]
        table.items += constants
        kept = (("STOREN", 1, 2), ("LOAD", 2, 0))
        begin(*(*kept, *loads, ("OP", place, 0), ("DROP", 0, 0), ("LOAD", 1, 0), ("LOAD", 2, 0)))(
            file
        )

    return edit


def _divide(left: int, right: int) -> Edit:
    """Forward begins with `left % right`."""

    def edit(file: File) -> None:
        table = file.table("constants").items[1]
        first = len(table.items)
        table.items += [left, right]
        begin(
            *(("LOADC", first, 0), ("LOADC", first + 1, 0), ("OP", _REMAINDER, 0), ("DROP", 0, 0))
        )(file)

    return edit


CASES: dict[str, tuple[Edit, str]] = {
    "operator 100000": (_operand("OP", FAR), REFUSED),
    "operator -1": (_operand("OP", -1), REFUSED),
    "constant 100000": (_operand("LOADC", FAR), REFUSED),
    "constant -1": (_operand("LOADC", -1), REFUSED),
    "register 100000": (_operand("LOAD", FAR), REFUSED),
    "register 0": (_operand("LOAD", 0), REFUSED),
    "register -1 for storing": (_operand("STORE", -1), REFUSED),
    "registers beyond the last": (_operand("STOREN", 1, 60_000), REFUSED),
    "type 100000": (_operand("DICT_CONSTRUCT", FAR), REFUSED),
    "attribute 1000": (_operand("GET_ATTR", 1000), FAILED),
    "attribute 100000": (_operand("GET_ATTR", FAR), REFUSED),
    "attribute -1": (_operand("GET_ATTR", -1), REFUSED),
    "attribute 2^31 - 1 to set": (_first("SET_ATTR", 2**31 - 1), REFUSED),
    "jump far": (_operand("JMP", FAR), REFUSED),
    "jump far back": (_operand("JMP", -FAR), REFUSED),
    "jump to itself": (_first("JMP", 0), FAILED),
    "branch far": (_operand("JF", FAR), REFUSED),
    "loop of nothing": (_first("LOOP", 2, 3), REFUSED),
    "loop to itself": (_operand("LOOP", 0), REFUSED),
    "list of 60000": (_operand("LIST_CONSTRUCT", None, 60_000), REFUSED),
    "dict of 60000": (_operand("DICT_CONSTRUCT", None, 60_000), REFUSED),
    "tuple of 60000": (_operand("TUPLE_CONSTRUCT", 60_000), REFUSED),
    "operator of three values where there are two": (_first("OP", _SET_ITEM), REFUSED),
    "no return": (_drop_return, REFUSED),
    "no code": (_drop_code, REFUSED),
    "tuples nested by a loop": (
        begin(("LOADC", 0, 0), ("TUPLE_CONSTRUCT", 1, 0), ("JMP", -1, 0)),
        FAILED,
    ),
    "lists nested by a loop": (
        begin(("LOADC", 0, 0), ("LIST_CONSTRUCT", 1, 1), ("JMP", -1, 0)),
        FAILED,
    ),
    "a list that holds itself": (
        begin(
            *(
                ("STOREN", 1, 2),
                ("LIST_CONSTRUCT", 3, 0),
                ("STORE", 5, 0),
                ("LOAD", 5, 0),
                ("LOAD", 5, 0),
            ),
            *(("OP", _APPEND, 0), ("RET", 0, 0)),
        ),
        FAILED,
    ),
    "a stack that grows": (begin(("LOADC", 0, 0), ("JMP", -1, 0)), REFUSED),
    "dtype -1": (_call("aten::sum", "", -1), FAILED),
    "dtype 1000": (_call("aten::sum", "", 1000), FAILED),
    "a division by zero": (_divide(7, 0), FAILED),
    "the lowest integer by -1": (_divide(-(2**63), -1), "ran"),
    "2^31 - 1 registers": (_field("register_size", 2**31 - 1), REFUSED),
    "-1 registers": (_field("register_size", -1), REFUSED),
    "no register": (_field("register_size", 0), REFUSED),
    "arguments of operators: -1": (_count_arguments(-1), REFUSED),
    "arguments of operators: 100000": (_count_arguments(FAR), REFUSED),
    "offset 4096": (_tensor(1, 4096), REFUSED),
    "offset -1": (_tensor(1, -1), REFUSED),
    "offset 2^62": (_tensor(1, 2**62), REFUSED),
    "size 2^40": (_tensor(2, [2**40, 8]), REFUSED),
    "size -1": (_tensor(2, [-1, 8]), REFUSED),
    "stride 2^62": (_tensor(3, [2**62, 1]), REFUSED),
    "a blank inside of a class's name": (_type("__torch__ .torch.classes.a.B", "types"), REFUSED),
    "stride 2^62 of one row": (_all(_tensor(2, [1, 8]), _tensor(3, [2**62, 1])), REFUSED),
    "stride -1": (_tensor(3, [-1, 1]), REFUSED),
    "a stride too few": (_tensor(3, [1]), REFUSED),
    "1000 dimensions": (_tensor(2, [1] * 1000), REFUSED),
    "storage of 2^40": (_resize_storage(2**40), REFUSED),
    "storage of -1": (_resize_storage(-1), REFUSED),
    "tensor behind its record": (_leak, REFUSED),
    "record too short": (_cut_record, REFUSED),
    "record that is a folder": (_make_folder, REFUSED),
    "record that does not unpack": (_damage_record, REFUSED),
    "no record": (_drop_record, REFUSED),
    "half a gigabyte in half a megabyte": (_compress_zeros, REFUSED),
    "lists 300000 deep": (_constant(lambda: _nest("list", DEEP)), REFUSED),
    "tuples 300000 deep": (_constant(lambda: _nest("tuple", DEEP)), REFUSED),
    "dicts 300000 deep": (_constant(lambda: _nest("dict", DEEP)), REFUSED),
    "state 300000 deep": (_state_of_depth, REFUSED),
    "no attribute": (_drop_attributes, FAILED),
    "type 50000 deep": (_type("List[" * 50_000 + "int" + "]" * 50_000, "types"), REFUSED),
    "type that does not end": (_type("List[" * 50_000, "types"), REFUSED),
    "schema 50000 deep": (_type("Dict[str, " * 50_000 + "int" + "]" * 50_000, "schema"), REFUSED),
}
"""Name -> what to do to the model, and what the host's verdict has to be."""


def make(edit: Edit, data: bytes) -> bytes:
    """Returns the model `data`, edited."""
    file = File(data)
    edit(file)
    return file.pack()


def without_fields(data: bytes) -> Iterator[bytes]:
    """Yields a flatbuffer file once for each field of each table, with that field absent."""
    slots = {place.at for place in lite_flatbuffer.find_places(data) if place.kind == "slot"}
    for at in sorted(slots):
        if data[at : at + 2] != b"\0\0":
            yield data[:at] + b"\0\0" + data[at + 2 :]
