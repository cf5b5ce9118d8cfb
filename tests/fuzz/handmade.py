"""Lite files that are well-formed, and made by hand so that a loader or an interpreter goes astray.

Each keeps the rules of its format: what is wrong is how its parts go together, so mutations hardly
ever make them. tests/native/test_hostile.py runs them. tests/fuzz/hostile.py has the files with one
thing wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from tests.fuzz.hostile import FAILED, REFUSED, Edit, File, begin
from tests.fuzz.mutators import lite_flatbuffer
from tests.fuzz.mutators.pickles import Name, Node

RAN = "ran"
_INSTRUCTION = struct.Struct("<BxHi")
"""Of a flatbuffer: code, N, X (torch/csrc/jit/serialization/mobile_bytecode.fbs)."""
_TUPLE, _NAMED_TUPLE, _ISINSTANCE = 24, 25, 29
_CLASS = "__torch__.torch.classes.xnnpack.Conv2dOpContext"
"""One that a runtime for `mobile` has."""
_MISSPELT = {
    **{f"with {sign!r} behind": f"List[{_CLASS}{sign}x]" for sign in ";$#'\"`\\\x7f?-<!(\x1b\0\n"},
    "with ; behind, alone": f"{_CLASS};",
    "with ; behind, in an optional": f"Optional[{_CLASS};]",
    "with ; behind, in a tuple": f"Tuple[int, {_CLASS};, int]",
    "with ; behind, as a value": f"Dict[str, {_CLASS};]",
    "with ; behind, as a field": f"__torch__.A[NamedTuple, [[x, {_CLASS};]]]",
    "with a letter that is not ASCII": f"List[{_CLASS}\u00e9]",
    "with a blank that is not ASCII": f"List[{_CLASS}\u3000]",
    "with a blank before it": f"List[ {_CLASS}]",
    "with two blanks before it": f"Tuple[int,  {_CLASS}]",
    "with a blank inside": f"List[{_CLASS.replace('.x', '. x')}]",
    "with another dot": f"List[{_CLASS}.]",
    "without a namespace": "List[__torch__.torch.classes..x]",
    "with a bracket for a name": "List[__torch__.torch.classes.[.x]",
    "with a long name": f"List[{_CLASS}{'x' * 500_000}]",
    "with fields": f"List[{_CLASS}[NamedTuple, []]]",
    "with the values of an enum": f"List[{_CLASS}[Enum<int>, []]]",
    "behind a sign": f"List[;{_CLASS}]",
    "in a union": f"List[Union;[{_CLASS}, int]]",
}
"""Name -> a custom class in a type, where a reader may take another end of its name than upstream,
whose parser has a null pointer for a class that it does not know."""
_SPELT = {
    "in a list": f"List[{_CLASS}]",
    "in a tuple": f"Tuple[int, {_CLASS}, Dict[str, List[{_CLASS}]]]",
    "of a field not in ASCII": f"__torch__.Gr\u00f6\u00dfe[NamedTuple, [[h\u00f6he, {_CLASS}]]]",
}
"""Name -> a type with a custom class as upstream writes it."""
_KEPT = (("STOREN", 1, 2),)
_LOADED = (("LOAD", 1, 0), ("LOAD", 2, 0))
"""Around what `forward` does first: its module and its input are in registers meanwhile."""


def _tuple(*items: Any) -> Node:
    return Node("tuple", list(items))


def _share(part: str) -> Edit:
    """A table of `forward` is the table of `step` as well; a loader takes its rows out of it."""

    def edit(file: File) -> None:
        file.table(part, "step").items[1] = file.table(part).items[1]

    return edit


def _share_method(file: File) -> None:
    file.code.items.append(file.code.items[1])


def _storage() -> Node:
    name = Name("torch", "FloatStorage")
    return Node("persistent", [_tuple("storage", name, "0", "cpu", 0)])


def _double(levels: int) -> Node:
    """Returns a tuple that holds another twice, which does as well: 2^levels numbers in all."""
    value: Any = 0
    for _ in range(levels):
        value = _tuple(value, value)
    assert isinstance(value, Node)
    return value


def _attribute(value: Any) -> Edit:
    def edit(file: File) -> None:
        file.state.items[1].items += ["odd", value]

    return edit


def _constant(value: Any) -> Edit:
    def edit(file: File) -> None:
        file.table("constants").items[1].items[0] = value

    return edit


def _name_types(levels: int, fields: str, name: str = "T") -> list[str]:
    """Returns named tuples, each of which has the one before it in all of its fields."""
    texts = [f"__torch__.{name}0[NamedTuple, [[x, {'str' if name == 'U' else 'int'}]]]"]
    for level in range(1, levels):
        held = ", ".join(f"[{field}, __torch__.{name}{level - 1}]" for field in fields)
        texts.append(f"__torch__.{name}{level}[NamedTuple, [{held}]]")
    return texts


def _add_types(texts: Sequence[str]) -> Edit:
    def edit(file: File) -> None:
        file.table("types").items[1].items += texts

    return edit


def _tag(text: str) -> Edit:
    """An attribute is a list whose type is told beside it."""
    restore = Name("torch.jit._pickle", "restore_type_tag")
    return _attribute(Node("call", [restore, _tuple(Node("list"), text)]))


def _take(text: str, name: str = "other") -> Edit:
    """Forward takes one more input, which may be absent."""

    def edit(file: File) -> None:
        rows = (("name", name), ("type", text), ("default_value", None))
        file.table("arguments").items[1].items.append(_tuple(*(_tuple(*row) for row in rows)))

    return edit


def warn(text: str) -> Edit:
    """Forward begins with a warning."""

    def edit(file: File) -> None:
        constants = file.table("constants").items[1].items
        constants += [text, 2]
        place = len(constants) - 2
        begin(*_KEPT, ("LOADC", place, 0), ("LOADC", place + 1, 0), ("WARN", 0, 0), *_LOADED)(file)

    return edit


def list_numbers(kind: int) -> Edit:
    """Forward begins with a list of a tensor's numbers; `kind` is the type of the numbers."""

    def edit(file: File) -> None:
        constants = file.table("constants").items[1].items
        constants += [2, kind]
        loads = [("LOADC", len(constants) - 2, 0), ("LOADC", len(constants) - 1, 0)]
        begin(*_KEPT, ("LOAD", 2, 0), *loads, ("TO_LIST", 0, 0), ("DROP", 0, 0), *_LOADED)(file)

    return edit


def _describe_itself(file: File) -> None:
    """Forward returns the text of its module."""
    constants = file.table("constants").items[1].items
    constants.append("{}")
    loads = (("LOADC", len(constants) - 1, 0), ("LOAD", 1, 0))
    begin(*_KEPT, *loads, ("FORMAT", 2, 0), ("RET", 0, 0))(file)


def _take_nothing(file: File) -> None:
    file.table("arguments").items[1].items.clear()


def _compare(levels: int, fields: str, candidates: int) -> Edit:
    """Forward begins with a named tuple that is compared with others: the innermost differs."""

    def edit(file: File) -> None:
        types = file.table("types").items[1].items
        types += _name_types(levels, fields)
        made = len(types) - 1
        types += _name_types(levels, fields, "U")
        types += [f"Optional[__torch__.U{levels - 1}]"] * candidates
        compared = len(types) - candidates
        begin(
            *_KEPT,
            ("LOAD", 2, 0),
            ("NAMED_TUPLE_CONSTRUCT", made, 1),
            ("ISINSTANCE", compared, candidates),
            ("DROP", 0, 0),
            *_LOADED,
        )(file)

    return edit


def _set_state(value: Any) -> Edit:
    """An object's state is not of the kind that its class's `__setstate__` says."""

    def edit(file: File) -> None:
        rows = (("instructions", _tuple(_tuple("RET", 0, 0))), ("register_size", 1))
        empty = ("operators", "constants", "types")
        code = [_tuple(*rows[0]), *(_tuple(name, _tuple()) for name in empty), _tuple(*rows[1])]
        kinds = (("self", "__torch__.Odd"), ("state", "int"))
        arguments = [
            _tuple(_tuple("name", name), _tuple("type", kind), _tuple("default_value", None))
            for name, kind in kinds
        ]
        schema = (_tuple("arguments", _tuple(*arguments)), _tuple("returns", _tuple()))
        file.code.items.append(_tuple("__torch__.Odd.__setstate__", _tuple(*code), _tuple(*schema)))
        _attribute(Node("object", [Name("__torch__", "Odd"), value]))(file)

    return edit


def _reach_inside(*instructions: tuple[str, int, int]) -> Edit:
    """Forward begins with an object of a custom class, and instructions for what it holds."""

    def edit(file: File) -> None:
        constants = file.table("constants").items[1].items
        kinds = [getattr(one, "kind", "") for one in constants]
        place = kinds.index("object")
        begin(*_KEPT, ("LOADC", place, 0), *instructions, *_LOADED)(file)

    return edit


def _write_to_nothing(file: File) -> None:
    """An operator that writes to an argument is given none, as the file says."""
    (operator,) = (one for one in file.table("operators").items[1].items if one.items[1] == "out")
    operator.items[2] = 0
    place = file.table("operators").items[1].items.index(operator)
    begin(*_KEPT, ("OP", place, 0), ("DROP", 0, 0), *_LOADED)(file)


def respell(data: bytes, sign: str) -> Iterator[bytes]:
    """Yields a flatbuffer once for each type in it, with a custom class and `sign` in its place."""
    end = data + bytes(-len(data) % 4)
    for place in lite_flatbuffer.find_places(data):
        if place.kind != "offset":
            continue
        start = place.at + int.from_bytes(data[place.at : place.at + 4], "little")
        kind = data[start + 4 :].partition(b"[")[0].decode("latin-1")
        if kind in ("List", "Dict", "Optional", "Tuple"):
            text = f"{kind}[{'str, ' * (kind == 'Dict')}{_CLASS}{sign}]".encode()
            changed = bytearray(end + struct.pack("<I", len(text)) + text + b"\0")
            changed[place.at : place.at + 4] = struct.pack("<I", len(end) - place.at)
            yield bytes(changed)


def name_tuple(data: bytes) -> bytes:
    """Returns the flatbuffer of `asking` with a named tuple in place of the tuple it asks about.

    Torch writes none into flatbuffers, whose loader takes the name for that of a class.
    """
    changed = bytearray(data)
    makes, asks = (
        _find_instruction(data, *one) for one in ((_TUPLE, 0, 2), (_ISINSTANCE, 1, None))
    )
    changed[makes : makes + 8] = _INSTRUCTION.pack(
        _NAMED_TUPLE, 2, _INSTRUCTION.unpack_from(data, asks)[2]
    )
    text, name = b"Tuple[Tensor, Tensor]\0", b"__torch__.NamedTuple1\0"
    at = data.rindex(text)
    changed[at : at + len(text)] = name
    return bytes(changed)


def _find_instruction(data: bytes, code: int, n: int, x: int | None) -> int:
    for at in range(0, len(data) - 8, 4):
        found = _INSTRUCTION.unpack_from(data, at)
        if found[:2] == (code, n) and found[2] in ((x,) if x is not None else range(8)):
            return at
    raise KeyError(code)


CASES: dict[str, dict[str, tuple[Edit, str]]] = {
    "loops": {
        **{
            f"the {part} of two methods in one place": (_share(part), REFUSED)
            for part in ("instructions", "operators", "constants", "types")
        },
        "a method in two places": (_share_method, REFUSED),
        "a storage for a constant": (_constant(_storage()), REFUSED),
        "a storage for an attribute": (_attribute(_storage()), REFUSED),
        "a storage in a list": (_attribute(Node("list", [_storage()])), REFUSED),
        "a key of 2^60 numbers": (_attribute(Node("dict", [_double(60), 0])), REFUSED),
        "an attribute of 2^60 numbers": (_attribute(_double(60)), RAN),
        "a state of 2^60 numbers": (_set_state(_double(60)), RAN),
        "20 levels of named types": (_compare(20, "x", 1), RAN),
        "1000 levels of named types": (_add_types(_name_types(1000, "x")), REFUSED),
        "a named type of itself": (
            _add_types(
                ["__torch__.T[NamedTuple, [[x, int]]]"]
                + 1000 * ["__torch__.T[NamedTuple, [[x, __torch__.T]]]"]
            ),
            REFUSED,
        ),
        "2^60 types in one": (_add_types(_name_types(60, "xy")), REFUSED),
        "60 optionals in each other": (_add_types(["Optional[" * 60 + "int" + "]" * 60]), REFUSED),
        "the text of an object": (_describe_itself, RAN),
        "a comparison of 2^10 types": (_compare(10, "xy", 3), RAN),
        "200 comparisons of 2^13 types": (_compare(13, "xy", 200), FAILED),
    },
    "mobile": {
        **{
            f"{where} of a class {name}": (edit(text), REFUSED)
            for where, edit in (("a type", lambda text: _add_types([text])), ("a tag", _tag))
            for name, text in _MISSPELT.items()
        },
        **{
            f"an input of a class {name}": (_take(text), REFUSED)
            for name, text in _MISSPELT.items()
            # What begins as a name is taken for one, whatever follows.
            if not text.startswith("__torch__.")
        },
        **{f"a type of a class {name}": (_add_types([text]), RAN) for name, text in _SPELT.items()},
        "a tag of a class in a list": (_tag(f"List[{_CLASS}]"), RAN),
        "an input of a class that no parser reads": (_take("__torch__.my-net.M;"), FAILED),
        # It is loaded; its code has no place for one more input.
        "an input that is a list of a class": (_take(f"Optional[List[{_CLASS}]]"), FAILED),
        "a method without its module": (_take_nothing, REFUSED),
        "what a custom class holds is taken out": (
            _reach_inside(("GET_ATTR", 0, 0), ("DROP", 0, 0)),
            FAILED,
        ),
        "what a custom class holds is replaced": (
            _reach_inside(("LOAD", 2, 0), ("SET_ATTR", 0, 0)),
            FAILED,
        ),
        "a custom class gets an attribute": (
            _reach_inside(("LOAD", 2, 0), ("SET_ATTR", 40, 0)),
            FAILED,
        ),
    },
    "written": {"an operator without the tensor it writes to": (_write_to_nothing, REFUSED)},
}
"""Model -> name -> what to do to it, and what the host's verdict has to be."""
