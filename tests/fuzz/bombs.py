"""Files that ask for far more time or memory than their size lets expect, by format.

Each is what once took minutes or gigabytes, or another of its kind.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import plistlib
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from machos import make_archive, make_object
from pt2_files import Pt2, dict_of, list_of, make_features, pack, tuple_of
from samples import make_reference_graph

from builder.size.reference_graph import render_references
from tests.fuzz.formats import MODELS, _size_seeds
from tests.fuzz.mutators import pickles, sizes, zips
from tests.fuzz.mutators.pickles import Node
from tests.fuzz.mutators.zips import Entry

MIB = 1 << 20


def _tuple(*items: Any) -> Node:
    return Node("tuple", list(items))


def _code(instructions: Node, operators: Node | None = None, types: Node | None = None) -> Node:
    to = _tuple(_tuple("aten::to", "dtype", 5))
    return _tuple(
        _tuple("instructions", instructions),
        _tuple("operators", operators or to),
        _tuple("constants", _tuple()),
        _tuple("types", types or _tuple()),
        _tuple("register_size", 4),
    )


def _model(*functions: Node) -> bytes:
    return _archive({"bytecode.pkl": pickles.render(_tuple(8, *functions))})


def _forward(steps: list[Node], operators: list[Node], *constants: Any) -> bytes:
    """A method of one tensor, which stands in register 2 and is returned."""
    code = _tuple(
        _tuple("instructions", _tuple(_tuple("STOREN", 1, 2), *steps, _step("LOAD", 2), _return())),
        _tuple("operators", _tuple(*operators)),
        _tuple("constants", _tuple(*constants)),
        _tuple("types", _tuple()),
        _tuple("register_size", 4),
    )
    return _model(_tuple("__torch__.M.forward", code, _signature()))


def _signature() -> Node:
    def one(name: str, kind: str) -> Node:
        return _tuple(_tuple("name", name), _tuple("type", kind), _tuple("default_value", None))

    arguments = _tuple(one("self", "__torch__.M"), one("x", "Tensor"))
    return _tuple(_tuple("arguments", arguments), _tuple("returns", _tuple(one("", "Tensor"))))


def _step(opcode: str, place: int, count: int = 0) -> Node:
    return _tuple(opcode, place, count)


def _each_of(count: int, name: str, overload: str, *constants: Any) -> bytes:
    """Calls an operator with the same constants again and again."""
    loads = [_step("LOADC", place) for place in range(len(constants))]
    call = [*loads, _step("OP", 0), _step("DROP", 0)]
    return _forward(call * count, [_tuple(name, overload, len(constants))], *constants)


def _doubled_text() -> bytes:
    double = [_step("LOAD", 3), _step("LOAD", 3), _step("OP", 0), _step("STORE", 3)]
    first = [_step("LOADC", 0), _step("STORE", 3)]
    return _forward(first + double * 40, [_tuple("aten::add", "str", 2)], "a" * 1000)


def _in_place(count: int) -> bytes:
    change = [_step("LOAD", 2), _step("OP", 0), _step("DROP", 0)]
    return _forward(change * count, [_tuple("aten::relu_", "", 1)])


def _ranks(count: int) -> bytes:
    layer = [_step("LOAD", 3), _step("OP", 0), _step("STORE", 3)]
    rank = [_step("LOAD", 3), _step("OP", 1), _step("DROP", 0)]
    operators = [_tuple("aten::relu", "", 1), _tuple("aten::dim", "", 1)]
    return _forward([_step("LOAD", 2), _step("STORE", 3)] + (layer + rank) * count, operators)


def _chain(count: int, name: str, overload: str, *constants: Any) -> bytes:
    """Calls an operator with the result of the call before, again and again."""
    loads = [_step("LOADC", place) for place in range(len(constants))]
    call = [_step("LOAD", 2), *loads, _step("OP", 0), _step("STORE", 2)]
    return _forward(call * count, [_tuple(name, overload, 1 + len(constants))], *constants)


def _attributes(count: int, *, sets: bool) -> bytes:
    get = [_step("LOAD", 1), _step("GET_ATTR", 0), _step("DROP", 0)]
    change = [_step("LOAD", 1), _step("LOAD", 2), _step("SET_ATTR", 0)]
    return _forward((change if sets else get) * count, [])


def _nested_values(depth: int) -> bytes:
    wrap = [_step("TUPLE_CONSTRUCT", 1)] * depth
    return _forward([_step("LOAD", 2), *wrap, _step("STORE", 3)], [])


def _nested_constant(depth: int, uses: int) -> bytes:
    held = _tuple(1)
    for _ in range(depth):
        held = _tuple(held, held)
    return _forward([_step("LOADC", 0), _step("DROP", 0)] * uses, [], held)


def _nested_type(depth: int) -> bytes:
    text = "Tuple[" * depth + "Tensor" + "]" * depth
    return _model(_tuple("m.f", _code(_tuple(_return()), types=_tuple(text))))


def _archive(records: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(MODELS / "conv.ptl") as stream:
        folder = stream.namelist()[0].partition("/")[0]
        whole = {name.partition("/")[2]: stream.read(name) for name in stream.namelist()}
    whole |= records
    entries = [
        Entry(f"{folder}/{name}".encode(), content, method if name in records else 0)
        for name, content in whole.items()
    ]
    return zips.pack(entries)


def _return() -> Node:
    return _tuple("RET", 0, 0)


def _storen() -> bytes:
    return _model(_tuple("m.f", _code(_tuple(_tuple("STOREN", 0, 2_000_000_000), _return()))))


def _registers() -> bytes:
    stores = (_tuple("STOREN", 65_535 * place, 65_535) for place in range(20_000))
    return _model(_tuple("m.f", _code(_tuple(*stores))))


def _shared_function() -> bytes:
    function = _tuple("m.f", _code(_tuple(*[_return()] * 20_000)))
    return _model(*[function] * 20_000)


def _shared_instructions() -> bytes:
    steps = _tuple(*[_return()] * 20_000)
    return _model(*(_tuple(f"m.f{number}", _code(steps)) for number in range(5000)))


def _shared_operators() -> bytes:
    operators = _tuple(*[_tuple("aten::to", "dtype", 5)] * 20_000)
    return _model(*(_tuple(f"m.f{n}", _code(_tuple(), operators)) for n in range(5000)))


def _shared_types(size: int, method: int) -> bytes:
    """The text is one object to which the pickle refers: a memo, then 1,000 functions of it."""
    text = "__torch__.torch.classes." * (size // 24)
    functions = []
    for number in range(1000):
        body = pickles.render(_tuple(f"m.f{number}", _code(_tuple(), None, _tuple("TYPE"))))[2:-1]
        functions.append(body.replace(b"X\x04\0\0\0TYPE", b"h\0", 1))
    first = b"X" + struct.pack("<I", len(text)) + text.encode() + b"q\0"
    functions[0] = functions[0].replace(b"h\0", first, 1)
    data = b"\x80\x02(K\x08" + b"".join(functions) + b"t."
    return _archive({"bytecode.pkl": data}, method)


def _opcodes(opcode: bytes, count: int, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    body = b"\x80\x02(" + opcode * count + b"t."
    return _archive({"data.pkl": body, "constants.pkl": body}, method)


def _wide_text() -> bytes:
    text = "\U0001f600".encode() + b"a" * (4 * MIB - 100)
    return _archive({"data.pkl": b"\x80\x02X" + struct.pack("<I", len(text)) + text + b"."}, 8)


def _flatbuffer(fields: Iterable[bytes], tail: bytes) -> bytes:
    """A module whose fields are numbers or offsets into `tail`, relative to its start."""
    slots = list(fields)
    size = 4 + 2 * len(slots)
    vtable = struct.pack(
        f"<HH{len(slots)}H", size, 4 + 4 * len(slots), *range(4, 4 + 4 * len(slots), 4)
    )
    vtable += bytes(-size % 4)
    start = 8 + len(vtable)
    table = struct.pack("<i", len(vtable)) + b"".join(slots)
    return struct.pack("<I4s", start, b"PTMF") + vtable + table + tail


def _shared_tables(count: int) -> bytes:
    """Many values that are one table."""
    fields = [bytes(4)] * 4 + [struct.pack("<I", 4)] + [bytes(4)] * 7
    fields[4] = struct.pack("<I", 4 * 8)
    vector = struct.pack("<I", count)
    vector += b"".join(struct.pack("<I", 4 * (count - index)) for index in range(count))
    return _flatbuffer(fields, vector + struct.pack("<ihh", -4, 4, 4))


def _overlapping_names() -> bytes:
    """Names of classes that begin at every fourth byte of one region."""
    count = 20_000
    fields = [bytes(4)] * 12
    fields[7] = struct.pack("<I", 4 * 5)
    tables, region = b"", struct.pack("<I", 60_000) * (count + 16_000)
    vector = struct.pack("<I", count)
    for index in range(count):
        vector += struct.pack("<I", 4 * (count - index) + 12 * index)
        to_text = 12 * (count - index) + 4 + 4 * index
        tables += struct.pack("<iI", -12 * (count - index), to_text) + bytes(4)
    shared = struct.pack("<HHHH", 6, 8, 4, 0)
    return _flatbuffer(fields, vector + tables + shared + region)


def _many_members(count: int) -> bytes:
    ends = bytearray()
    head = struct.Struct("<4s6H3I5H2I")
    for number in range(count):
        name = b"m/%07d" % number
        ends += head.pack(b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), *[0] * 6) + name
    start = b"PK\3\4" + bytes(26)
    tail = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(ends), 30)
    tail += struct.pack("<4sIQI", b"PK\6\7", 0, 30 + len(ends), 1)
    return (
        start
        + bytes(ends)
        + tail
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, *[2**32 - 1] * 2, 0)
    )


def _extra_fields() -> bytes:
    ends = bytearray()
    for number in range(240):
        name = b"%07d" % number
        ends += struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 7, 65_532, 0, 0, 0, 0, 0
        )
        ends += name + bytes(65_532)
    return bytes(30) + ends + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 240, 240, len(ends), 30, 0)


def _aar(name: str, content: bytes, copies: int = 1) -> bytes:
    """Entries of an AAR that all are the same bytes of it."""
    if copies == 1:
        return zips.pack([Entry(f"jni/x86/{name}".encode(), content, 8)])
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(content) + packer.flush()
    lies = {
        "packed": len(packed),
        "unpacked": len(content),
        "crc": zlib.crc32(content),
        "offset": 0,
    }
    body = Entry(b"jni/x86/0.so", packed, lies={**lies, "method_said": 8})
    rest = (
        Entry(b"jni/x86/%d.so" % n, b"", lies={**lies, "method_said": 8}) for n in range(1, copies)
    )
    return zips.pack([body, *rest])


def _elf_tables(sections: int, name: int, symbols: int, text: int) -> bytes:
    """A library whose sections, or symbols, share a name."""
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        3,
        183,
        1,
        0,
        0,
        64,
        0,
        64,
        56,
        0,
        64,
        sections,
        1,
    )
    start = 64 + 64 * sections
    layout = struct.Struct("<IIQQQQIIQQ")
    table = layout.pack(0, 11, 2, 0, start + name + 1, 24 * symbols, 2, 0, 8, 24)
    table += layout.pack(0, 3, 0, 0, start, name + 1, 0, 0, 1, 0)
    table += layout.pack(0, 3, 0, 0, start + name + 1 + 24 * symbols, text + 1, 0, 0, 1, 0)
    table += layout.pack(0, 8, 0, 0, 0, 0, 0, 0, 1, 0) * (sections - 3)
    entries = struct.pack("<IBBHQQ", 0, 0x12, 0, 1, 0, 0) * symbols
    return header + table + b"n" * name + b"\0" + entries + b"s" * text + b"\0"


def _elf_tails() -> bytes:
    """40,000 symbols, each named by what is left of one text of 60,000 letters."""
    whole = bytearray(_elf_tables(3, 1, 40_000, 60_000))
    start = 64 + 64 * 3 + 2
    for index in range(40_000):
        struct.pack_into("<I", whole, start + 24 * index, index)
    return bytes(whole)


def _elf_dynamic() -> bytes:
    """65,000 dynamic segments that are one table of 100,000 entries."""
    entries = 100_000
    start = 64 + 56 * 65_000
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        3,
        183,
        1,
        0,
        64,
        0,
        0,
        64,
        56,
        65_000,
        64,
        0,
        0,
    )
    segment = struct.pack("<IIQQQQQQ", 2, 6, start, 0, 0, 16 * entries, 16 * entries, 8)
    return header + segment * 65_000 + struct.pack("<QQ", 4, 0) * entries


def _elf_needed() -> bytes:
    """100,000 libraries that are needed, each named by the same megabyte or what is left of it."""
    entries = 100_000
    start = 64 + 56 * 2
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 183, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    size = start + 16 * entries + MIB
    load = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, size, size, 8)
    dynamic = struct.pack("<IIQQQQQQ", 2, 6, start, 0, 0, 16 * entries, 16 * entries, 8)
    table = struct.pack("<QQ", 5, start + 16 * entries)
    table += b"".join(struct.pack("<QQ", 1, MIB - 4000 + n % 3000) for n in range(entries - 1))
    return header + load + dynamic + table + b"l" * (MIB - 1) + b"\0"


def _macho(symbols: int, name: int, *, step: int = 0) -> bytes:
    data = bytearray(make_object(exports=("_a",) * 1))
    at = data.index(struct.pack("<II", 2, 24))
    table = b"".join(struct.pack("<IBBHQ", 1 + step * n, 0x0F, 1, 0, 0) for n in range(symbols))
    texts = b"\0" + b"_" * name + b"\0"
    struct.pack_into("<IIII", data, at + 8, len(data), symbols, len(data) + len(table), len(texts))
    return make_archive(a_o=bytes(data) + table + texts)


def _macho_sections() -> bytes:
    """Segments whose sections all are the whole file."""
    segments, sections = 40, 250
    size = segments * (72 + 80 * sections)
    data = struct.pack("<4sIIIIIII", b"\xcf\xfa\xed\xfe", 0x0100000C, 0, 1, segments, size, 0, 0)
    whole = 32 + size + MIB
    section = struct.pack("<16s16sQQIIIIIIII", b"s", b"S", 0, whole, 0, 0, 0, whole // 8, *[0] * 4)
    load = struct.pack(
        "<II16sQQQQIIII", 0x19, 72 + 80 * sections, b"", 0, 0, 0, 0, 7, 7, sections, 0
    )
    return make_archive(a_o=data + (load + section * sections) * segments + bytes(MIB))


def _macho_tables() -> bytes:
    """10,000 symbol tables that are one."""
    tables = 10_000
    texts = b"\0" * MIB
    data = struct.pack(
        "<4sIIIIIII", b"\xcf\xfa\xed\xfe", 0x0100000C, 0, 1, tables, 24 * tables, 0, 0
    )
    start = 32 + 24 * tables
    data += struct.pack("<IIIIII", 2, 24, start, 1000, start, len(texts)) * tables
    return make_archive(a_o=data + texts)


def _fat() -> bytes:
    """Files for 10,000 CPUs, all of them the whole file."""
    size = 8 + 20 * 10_000
    entries = (struct.pack(">IIIII", n, 0, size, MIB, 0) for n in range(10_000))
    return struct.pack(">II", 0xCAFEBABE, 10_000) + b"".join(entries) + bytes(MIB)


def _gz(text: Iterable[bytes]) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(map(packer.compress, text)) + packer.flush()


def _endless_gz(piece: bytes, times: int) -> bytes:
    """Packs `piece` once and repeats that: nobody should come so far as to see its checksum."""
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(b"{") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * times + packer.flush()


def _references(packed: bytes) -> bytes:
    report, _ = sizes.split(_size_seeds()[0])
    return sizes.join(report, packed)


def _parts() -> bytes:
    """A library of 100,000 units in 100,000 parts."""
    value = json.loads(gzip.decompress(render_references(make_reference_graph())))
    count = 100_000
    value |= {
        "names": ["n"] * count,
        "sizes": [1] * count,
        "units": [f"unit{n}" for n in range(count)],
        "unit_of": list(range(count)),
        "degrees": [0] * count,
        "targets": [],
        "operators": {"aten::add": 0},
    }
    return _references(gzip.compress(json.dumps(value).encode(), 1))


def _report(text: bytes) -> bytes:
    _, references = sizes.split(_size_seeds()[0])
    return sizes.join(text, references)


def _binary_list(size: int) -> bytes:
    """Lists of one and the same objects: each list is read anew."""
    count = (size - 100) // 6
    body = bytearray(b"bplist00")
    root = len(body)
    body += b"\xaf\x11" + struct.pack(">H", count - 2)
    body += b"".join(struct.pack(">H", 1 + (n % (count - 2))) for n in range(count - 2))
    lists = len(body)
    body += b"\xaf\x11" + struct.pack(">H", count - 2) + struct.pack(">H", count - 1) * (count - 2)
    leaf = len(body)
    body += b"\x10\x01"
    offsets = [root, *[lists] * (count - 2), leaf]
    table = len(body)
    body += b"".join(struct.pack(">H", one) for one in offsets)
    return bytes(body) + struct.pack(">6xBBQQQ", 2, 2, len(offsets), 0, table)


def _deep_list() -> bytes:
    value: object = []
    for _ in range(900):
        value = [value]
    return plistlib.dumps({"AvailableLibraries": value}, fmt=plistlib.FMT_BINARY)


def _tar_bomb(mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{mode}") as archive:
        for number in range(2):
            info = tarfile.TarInfo(f"zeros{number}")
            info.size = 20 * MIB
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return stream.getvalue()


def _tar_headers() -> bytes:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 4096
    return _gz(header.tobuf() + b"1" * 4096 for _ in range(20_000))


def _tar_members() -> bytes:
    return _gz(tarfile.TarInfo(f"d/{n}").tobuf() for n in range(20_000))


def _laughs() -> bytes:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(["--- !tapi-tbd", *lines, "exports: [*a11]"]).encode()


def _names_stub() -> bytes:
    names = ", ".join("a" for _ in range(350_000))
    return f"--- !tapi-tbd\nexports:\n- targets: [arm64-ios]\n  symbols: [{names}]\n".encode()


def _list_of(operators: int) -> bytes:
    entry = "  aten::op%d.x:\n    is_root_operator: true\n    debug_info: [m]\n"
    return b"operators:\n" + "".join(entry % n for n in range(operators)).encode()


def _safetensors(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


def _line(outputs: bytes, seconds: bytes = b"1") -> bytes:
    return b'{"outputs": [' + outputs + b'], "seconds": ' + seconds + b"}"


def _million(piece: bytes, size: int = MIB) -> bytes:
    return piece * (size // len(piece))


def _program(change: Callable[[Any, Pt2], None], compression: int = 0) -> bytes:
    """Returns a program, after a change of its JSON and of the file's description."""
    file = make_features()
    document = file.document()
    change(document, file)
    text = json.dumps(document, separators=(",", ":"))
    return pack(file.contents() | {"model/models/model.json": text}, compression)


def _nodes(count: int, **node: Any) -> Callable[[Any, Pt2], None]:
    """Puts the same node many times into a program."""
    node = {"target": "torch.ops.aten.relu.default", "inputs": [], "outputs": []} | node

    def change(document: Any, _: Pt2) -> None:
        document["graph_module"]["graph"]["nodes"] += [node] * count

    return change


def _many_inputs(count: int, spec: Any) -> Callable[[Any, Pt2], None]:
    """Gives a program many inputs, in containers of a given kind."""

    def change(document: Any, _: Pt2) -> None:
        module = document["graph_module"]
        graph, signature = module["graph"], module["signature"]
        call = module["module_call_graph"][0]["signature"]
        added = [{"as_tensor": {"name": f"x{place}"}} for place in range(count)]
        graph["inputs"] = added
        signature["input_specs"] = [{"user_input": {"arg": one}} for one in added]
        tensors = graph["tensor_values"]
        known = next(iter(tensors.values()))
        tensors |= {one["as_tensor"]["name"]: known for one in added}
        leaf = {"type": None, "context": None, "children_spec": []}
        children = spec([leaf] * count)
        tree = tuple_of(tuple_of(*children), dict_of())
        call["in_spec"] = json.dumps([1, tree], separators=(",", ":"))

    return change


def _inputs_of_sizes(count: int, sizes: list[Any]) -> Callable[[Any, Pt2], None]:
    """Gives a program many inputs that all are the tensor `x`, of the given sizes."""

    def change(document: Any, file: Pt2) -> None:
        _many_inputs(count, lambda leaves: leaves)(document, file)
        module = document["graph_module"]
        one = {"as_tensor": {"name": "x0"}}
        module["signature"]["input_specs"] = [{"user_input": {"arg": one}}] * count
        tensors = module["graph"]["tensor_values"]
        tensors["x0"] = tensors["x0"] | {"sizes": sizes}

    return change


def _sizes(*texts: str) -> Callable[[Any, Pt2], None]:
    """Gives expressions to the sizes of an input, and leaves the program as it is."""

    def change(document: Any, _: Pt2) -> None:
        module = document["graph_module"]
        user = (one for one in module["signature"]["input_specs"] if "user_input" in one)
        name = next(user)["user_input"]["arg"]["as_tensor"]["name"]
        tensor = module["graph"]["tensor_values"][name]
        tensor["sizes"] = [_size_of(text) for text in texts]
        tensor["strides"] = [{"as_int": 1} for _ in texts]

    return change


def _size_of(text: str) -> dict[str, Any]:
    return {"as_expr": {"expr_str": text, "hint": {"as_int": 3}}}


def _graph_of(given: Any, count: int) -> Callable[[Any, Pt2], None]:
    """Runs a graph that has a given input, and `count` nodes that each take it."""
    name = {"as_tensor": {"name": "y"}}
    inner = {
        "inputs": [name],
        "outputs": [],
        "nodes": [
            {
                "target": "torch.ops.aten.cat.default",
                "inputs": [{"name": "tensors", "arg": name}],
                "outputs": [],
            }
        ]
        * count,
        "tensor_values": {},
    }
    graph = {"as_graph": {"name": "inner", "graph": inner}}
    target = "torch.ops.higher_order.wrap"
    arguments = [{"name": "", "arg": one} for one in (graph, given)]
    return _nodes(1, target=target, inputs=arguments)


def _broken(text: bytes) -> bytes:
    """Returns a program whose JSON ends in `text`."""
    file = make_features()
    whole = json.dumps(file.document()).encode()[:-1] + text
    return pack(file.contents() | {"model/models/model.json": whole}, zipfile.ZIP_DEFLATED)


def _deep(children: list[Any]) -> list[Any]:
    for _ in range(28):
        children = [tuple_of(*children)]
    return children


_NUMBER = {"name": "x", "arg": {"as_int": 0}}
_SAME = {"as_tensors": [{"name": "x"}] * 4000}


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "program: quotes without an end": (
        "program",
        lambda: _broken(b', NaN, "' + b'\\"' * 1_500_000),
    ),
    "program: strings without an end": ("program", lambda: _broken(b", NaN" + b' "\\' * 1_000_000)),
    "program: a string of lines": ("program", lambda: _broken(b', NaN, "' + b"\\\n" * 1_500_000)),
    "program: a symbol many times": (
        "program",
        lambda: _program(_sizes(*[f"Mul({','.join('a' * 2000)})"] * 64), zipfile.ZIP_DEFLATED),
    ),
    "program: many symbols": (
        "program",
        lambda: _program(
            _sizes(*[f"Add({','.join(f's{n}' for n in range(700))})"] * 64), zipfile.ZIP_DEFLATED
        ),
    ),
    "program: sizes for many inputs": (
        "program",
        lambda: _program(_inputs_of_sizes(20_000, [_size_of("a*" + "1*" * 50 + "1")] * 64)),
    ),
    "program: many dimensions": (
        "program",
        lambda: _program(_inputs_of_sizes(20_000, [{"as_int": 1}] * 100_000)),
    ),
    "program: a list for a graph": (
        "program",
        lambda: _program(_graph_of({"as_tensors": [{"name": "x"}] * 60_000}, 30_000)),
    ),
    "program: a string for a graph": (
        "program",
        lambda: _program(_graph_of({"as_string": "x" * MIB}, 30_000)),
    ),
    "program: operators that nobody has": (
        "program",
        lambda: _program(
            _nodes(55_000, target="torch.ops.aten.nobody_has_it.default"), zipfile.ZIP_DEFLATED
        ),
    ),
    "program: numbers": ("program", lambda: _program(_nodes(1, inputs=[_NUMBER] * 120_000))),
    "program: numbers in lists": (
        "program",
        lambda: _program(_nodes(1, inputs=[{"name": "x", "arg": {"as_ints": [0] * 1_900_000}}])),
    ),
    "program: numbers, compressed": (
        "program",
        lambda: _program(_nodes(1, inputs=[_NUMBER] * 400_000), zipfile.ZIP_DEFLATED),
    ),
    "program: nodes": ("program", lambda: _program(_nodes(60_000))),
    "program: lists of one tensor": (
        "program",
        lambda: _program(
            _nodes(
                40,
                target="torch.ops.aten.cat.default",
                inputs=[{"name": "tensors", "arg": _SAME}],
                outputs=[{"as_tensor": {"name": "x"}}],
            )
        ),
    ),
    "program: inputs": ("program", lambda: _program(_many_inputs(20_000, lambda one: one))),
    "program: inputs in deep tuples": ("program", lambda: _program(_many_inputs(20_000, _deep))),
    "program: inputs in a list": (
        "program",
        lambda: _program(_many_inputs(20_000, lambda one: [list_of(*one)])),
    ),
    "pickle: registers of 374 bytes": ("zip", _storen),
    "pickle: registers again and again": ("zip", _registers),
    "pickle: one function 20,000 times": ("zip", _shared_function),
    "pickle: functions of the same code": ("zip", _shared_instructions),
    "pickle: functions of the same operators": ("zip", _shared_operators),
    "pickle: a type of 40 MB, compressed": ("zip", lambda: _shared_types(40 * MIB, 8)),
    "pickle: a type of 4 MB": ("zip", lambda: _shared_types(4 * MIB, 0)),
    "pickle: 9.8 million lists in 10 KB": ("zip", lambda: _opcodes(b"]", 9_800_000)),
    "pickle: lists": ("zip", lambda: _opcodes(b"]", 4_000_000)),
    "pickle: dicts": ("zip", lambda: _opcodes(b"}", 4_000_000)),
    "pickle: marks": ("zip", lambda: _opcodes(b"(", 4_000_000)),
    "pickle: lists of one": ("zip", lambda: _opcodes(b"]Na", 1_300_000)),
    "pickle: dicts of one": ("zip", lambda: _opcodes(b"}NNs", 1_000_000)),
    "pickle: globals": ("zip", lambda: _opcodes(b"c__torch__\nA\n", 300_000)),
    "pickle: a text of wide letters": ("zip", _wide_text),
    "rewriting: a text that doubles": ("zip", _doubled_text),
    "rewriting: a text a trillion times": (
        "zip",
        lambda: _each_of(1, "aten::mul", "int", "a", 10**12),
    ),
    "rewriting: a number as wide as memory": (
        "zip",
        lambda: _each_of(1, "aten::remainder", "int", "%20000000000d", 1),
    ),
    "rewriting: a megabyte and a letter": (
        "zip",
        lambda: _each_of(3000, "aten::add", "str", "x" * MIB, "y"),
    ),
    "rewriting: a tensor changed in place": ("zip", lambda: _in_place(5000)),
    "rewriting: ranks of a chain": ("zip", lambda: _ranks(5000)),
    "rewriting: a chain of transpositions": ("zip", lambda: _chain(5000, "aten::t", "")),
    "rewriting: a chain of dimensions": ("zip", lambda: _chain(3000, "aten::unsqueeze", "", 0)),
    "rewriting: reads of an attribute": ("zip", lambda: _attributes(5000, sets=False)),
    "rewriting: writes of an attribute": ("zip", lambda: _attributes(5000, sets=True)),
    "rewriting: one long constant, many times": (
        "zip",
        lambda: _each_of(5000, "aten::len", "t", _tuple(*range(30_000))),
    ),
    "rewriting: a tuple in tuples": ("zip", lambda: _nested_values(15_000)),
    "rewriting: a constant that doubles": ("zip", lambda: _nested_constant(60, 5000)),
    "rewriting: a type in types": ("zip", lambda: _nested_type(50_000)),
    "program: a chain of transpositions": (
        "program",
        lambda: _program(
            _nodes(
                5000,
                target="torch.ops.aten.transpose.int",
                inputs=[
                    {"name": "self", "arg": {"as_tensor": {"name": "x"}}},
                    {"name": "dim0", "arg": {"as_int": 0}},
                    {"name": "dim1", "arg": {"as_int": 1}},
                ],
                outputs=[{"as_tensor": {"name": "x"}}],
            )
        ),
    ),
    "flatbuffer: one value many times": ("flatbuffer", lambda: _shared_tables(250_000)),
    "flatbuffer: names that overlap": ("flatbuffer", _overlapping_names),
    "zip: 2 million members": ("zip", lambda: _many_members(600_000)),
    "zip: many members": ("zip", lambda: _many_members(199_000)),
    "zip: many entries of an AAR": ("aar", lambda: _many_members(199_000)),
    "zip: extra fields": ("aar", _extra_fields),
    "zip: an entry of zeros": ("aar", lambda: _aar("a.so", bytes(100 * MIB))),
    "zip: one entry under 100 names": ("aar", lambda: _aar("a.so", bytes(4 * MIB), 100)),
    "elf: sections of one name": ("aar", lambda: _aar("a.so", _elf_tables(65_000, MIB, 0, 0))),
    "elf: symbols of one name": ("elf", lambda: _elf_tables(3, 1, 40_000, MIB)),
    "elf: symbols of a name not too long": ("elf", lambda: _elf_tables(3, 1, 40_000, 60_000)),
    "elf: sections of a name not too long": ("elf", lambda: _elf_tables(65_000, 4000, 0, 0)),
    "elf: names that overlap": ("elf", _elf_tails),
    "elf: dynamic segments": ("elf", _elf_dynamic),
    "elf: needed libraries": ("elf", _elf_needed),
    "macho: symbols of one name": ("macho", lambda: _macho(60_000, 100_000)),
    "macho: symbols of a name not too long": ("macho", lambda: _macho(60_000, 60_000)),
    "macho: names that overlap": ("macho", lambda: _macho(50_000, 60_000, step=1)),
    "macho: sections that overlap": ("macho", _macho_sections),
    "macho: symbol tables": ("macho", _macho_tables),
    "macho: CPUs": ("macho", _fat),
    "sizes: 2 GiB of zeros": ("sizes", lambda: _references(_endless_gz(bytes(MIB), 2048))),
    "sizes: lists in lists": ("sizes", lambda: _references(_endless_gz(b"[]," * 300_000, 170))),
    "sizes: lists of a graph": (
        "sizes",
        lambda: _references(_gz([b'{"names":[' + b"[]," * 300_000 + b"[]]}"])),
    ),
    "sizes: 100,000 parts": ("sizes", _parts),
    "sizes: a report of lists": (
        "sizes",
        lambda: _report(b"[" + _million(b"[],", 8 * MIB) + b"0]"),
    ),
    "sizes: a deep report": ("sizes", lambda: _report(b"[" * 200_000)),
    "operators: numbers to base 60": ("operators", lambda: b"x: " + b"1:" * 500_000 + b"1"),
    "operators: numbers to base 60 of 16 MB": ("operators", lambda: b"x: " + b"1:" * (8 * MIB)),
    "operators: a number to base 16": ("operators", lambda: b"x: 0x" + b"f" * MIB),
    "operators: 16 MB of names": ("operators", lambda: b"- aten::add\n" * (16 * MIB // 12)),
    "operators: as many as are allowed": ("operators", lambda: _list_of(30_000)),
    "operators: a list of letters": ("operators", lambda: b"[" + b"a," * 1_000_000 + b"]"),
    "operators: empty documents": ("operators", lambda: b"---\n" * 500_000),
    "operators: half letters": ("operators", lambda: b'- "' + b"\\ud800" * 40_000 + b'"'),
    "operators: half letters and a lot": ("operators", lambda: b"- \\ud800\n" * 100_000),
    "operators: depth": ("operators", lambda: b"[" * (2 * MIB)),
    "tbd: aliases of aliases": ("tbd", _laughs),
    "tbd: a megabyte of names": ("tbd", _names_stub),
    "tbd: a megabyte of lists": ("tbd", lambda: b'{"main_library": [' + _million(b"[],") + b"0]}"),
    "plist: lists of lists": ("plist", lambda: _binary_list(8 * 1024)),
    "plist: lists of lists of 60 KB": ("plist", lambda: _binary_list(60 * 1024)),
    "plist: depth": ("plist", _deep_list),
    "plist: a megabyte of XML": ("plist", lambda: b"<plist>" + b"<array>" * 149_000),
    "manifest: a megabyte of lists": ("manifest", lambda: b"[" + _million(b"[],") + b"0]"),
    "manifest: 8 MB of lists": ("manifest", lambda: b"[" + _million(b"{},", 8 * MIB - 9) + b"0]"),
    "manifest: depth": ("manifest", lambda: b"[" * (8 * MIB)),
    "output: a large number": ("output", lambda: _line(b"", b"1" + b"0" * 400)),
    "output: a huge number": ("output", lambda: _line(b"", b"1" * MIB)),
    "output: lists": ("output", lambda: _line(_million(b"[],", MIB - 100) + b"0")),
    "output: depth": ("output", lambda: b"{" + b'"a":{' * 200_000),
    "output: lines": ("output", lambda: b"{\n" * MIB),
    "output: operators that are missing": (
        "output",
        lambda: b"this runtime lacks operators of the model: " + b"a::b, " * (4 * MIB // 6),
    ),
    "reference: a header of lists": (
        "reference",
        lambda: _safetensors(b'{"a":[' + _million(b"[],", 16 * MIB - 20) + b"0]}"),
    ),
    "reference: depth": ("reference", lambda: _safetensors(b"[" * (4 * MIB))),
    "archive: zeros in gzip": ("archive", lambda: _tar_bomb("gz")),
    "archive: zeros in bzip2": ("archive", lambda: _tar_bomb("bz2")),
    "archive: zeros in xz": ("archive", lambda: _tar_bomb("xz")),
    "archive: extended headers": ("archive", _tar_headers),
    "archive: empty files": ("archive", _tar_members),
    "archive: a dictionary of a gigabyte": (
        "archive",
        lambda: lzma.compress(bytes(99), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]),
    ),
    "archive: a wheel of zeros": ("archive", lambda: zips.pack([Entry(b"a", bytes(64 * MIB), 8)])),
    "input: a long spec": ("input", lambda: b"[" + b"1," * 5_000_000 + b"]"),
    "input: signs": ("input", lambda: b"-" * 60_000 + b"1"),
    "input: a long shape": ("input", lambda: b"9," * 1_000_000 + b"9"),
    "unwinding: pages": (
        "unwinding",
        lambda: (
            struct.pack("<7I", 1, 0, 0, 0, 0, 40, 80_000)
            + struct.pack("<IHH", 2, 0, 65_535)
            + bytes(4)
            + struct.pack("<III", 0, 28, 0) * 80_000
        ),
    ),
}
"""Name -> format, and what makes it."""
