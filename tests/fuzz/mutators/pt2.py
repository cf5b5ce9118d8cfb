"""Mutates programs of torch.export by meaning: calls, arguments, names, containers, expressions."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.fuzz.mutators import pickles, raw, zips
from tests.fuzz.mutators.values import mutate_json, mutate_value, walk
from tests.fuzz.mutators.zips import Entry

_OLD = b"serialized_exported_program.json"
_TARGETS = (
    *("torch.ops.higher_order.cond", "torch.ops.higher_order.while_loop"),
    *("torch.ops.higher_order.wrap_with_set_grad_enabled", "torch.ops.higher_order.map_impl"),
    *("_operator.add", "_operator.pow", "_operator.truediv", "torch.sym_ite", "math.ceil"),
    *(
        "torch.ops.aten.sym_size.int",
        "torch.ops.aten.item.default",
        "torch.ops.aten._to_copy.default",
    ),
    *("torch.ops.aten.add.Tensor", "torch.ops.aten.add_.Tensor", "torch.ops.aten.copy_.default"),
    *("torch.ops.aten.split.Tensor", "torch.ops.aten.convolution.default"),
    *("torch.ops.aten.native_layer_norm.default", "torch.ops.aten.index.Tensor"),
    *("torch.ops.prim.RaiseException.default", "torch.ops.aten.append.t", "torch.ops.a.b.c"),
)
_KINDS = (
    *("as_none", "as_tensor", "as_tensors", "as_int", "as_ints", "as_float", "as_floats"),
    *("as_string", "as_bool", "as_sym_int", "as_sym_ints", "as_sym_float", "as_sym_bool"),
    *("as_scalar_type", "as_memory_format", "as_layout", "as_device", "as_optional_tensors"),
    *("as_graph", "as_custom_obj", "as_nested_tensors", "as_string_to_argument", "as_complex"),
)
_EXPRESSIONS = (
    *("s0", "2*s0", "s0**s0", "9**9**9", "s0//0", "Symbol('s0')", "Mod(Symbol('s0'), Integer(0))"),
    *("Pow(Integer(9), Integer(99999999))", "(" * 40, "-" * 4000, "1+" * 2000 + "1", "f()", "s0.x"),
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a file with its program, its tables of weights or its records changed."""
    if rng.random() < 0.05:
        return raw.mutate(data, rng)
    try:
        entries = zips.unpack(data)
    except ValueError:
        return raw.mutate(data, rng)
    if not entries or rng.random() < 0.06:
        return zips.spoil(entries, rng)
    weights = [_weight(entry.name) for entry in entries]
    place = rng.choices(range(len(entries)), weights)[0]
    entries[place] = _change(entries[place], rng)
    return zips.pack(entries)


def _weight(name: bytes) -> int:
    if b"/models/" in name or name == _OLD:
        return 40
    return 8 if name.endswith((b"_config.json", b"state_dict.pt")) else 1


def _change(entry: Entry, rng: random.Random) -> Entry:
    is_program = b"/models/" in entry.name or entry.name == _OLD
    if entry.name.endswith(b".pt") and rng.random() < 0.8:
        return replace(entry, content=_mutate_saved(entry.content, rng))
    if is_program and rng.random() < 0.8:
        return replace(entry, content=_mutate_program(entry.content, rng))
    if entry.name.endswith(b".json"):
        return replace(entry, content=mutate_json(entry.content, rng))
    match rng.randrange(5):
        case 0:
            return replace(entry, content=entry.content[: rng.randrange(len(entry.content) + 1)])
        case 1:
            return replace(entry, content=entry.content + rng.randbytes(rng.choice((1, 4, 4096))))
        case 2:
            return replace(entry, method=zipfile.ZIP_DEFLATED)
        case 3:
            return replace(entry, content=raw.pick_text(rng).encode("utf-8", "replace"))
        case _:
            return replace(entry, content=raw.mutate(entry.content, rng))


def _mutate_saved(data: bytes, rng: random.Random) -> bytes:
    """Returns a file of torch.save with its pickle or its archive changed."""
    try:
        entries = zips.unpack(data)
    except ValueError:
        return raw.mutate(data, rng)
    if not entries or rng.random() < 0.2:
        return zips.spoil(entries, rng)
    place = rng.randrange(len(entries))
    change = pickles.mutate if entries[place].name.endswith(b".pkl") else raw.mutate
    entries[place] = replace(entries[place], content=change(entries[place].content, rng))
    return zips.pack(entries)


def _mutate_program(text: bytes, rng: random.Random) -> bytes:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return raw.mutate(text, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        document = _mutate_document(document, rng)
    return json.dumps(document).encode()


def _mutate_document(document: Any, rng: random.Random) -> Any:
    places = list(walk(document))
    match rng.randrange(8):
        case 0:
            return mutate_value(document, rng)
        case 1:
            _set(places, ("target",), lambda _: rng.choice(_TARGETS), rng)
        case 2:
            names = [container[key] for container, key in places if key == "name"]
            _set(places, ("name", "as_name"), lambda _: rng.choice([*names, ""]), rng)
        case 3:
            _set(places, ("expr_str",), lambda _: rng.choice(_EXPRESSIONS), rng)
        case 4:
            _set(places, ("in_spec", "out_spec"), lambda old: _mutate_spec(old, rng), rng)
        case 5:
            _change_kind(places, rng)
        case 6:
            _rearrange(places, rng)
        case _:
            _nest_graph(places, rng)
    return document


def _of(places: list[tuple[Any, Any]], keys: tuple[str, ...]) -> Iterator[tuple[Any, Any]]:
    for container, key in places:
        if isinstance(container, dict) and key in keys:
            yield container, key


def _set(places: list, keys: tuple[str, ...], make: Any, rng: random.Random) -> None:
    if found := list(_of(places, keys)):
        container, key = rng.choice(found)
        container[key] = make(container[key])


def _mutate_spec(text: Any, rng: random.Random) -> Any:
    try:
        return json.dumps(mutate_value(json.loads(text), rng))
    except (TypeError, ValueError, RecursionError):
        return raw.pick_text(rng)


def _change_kind(places: list[tuple[Any, Any]], rng: random.Random) -> None:
    """Gives an argument another kind, mostly with a value of the old one."""
    if found := list(_of(places, _KINDS)):
        container, key = rng.choice(found)
        container[rng.choice(_KINDS)] = container.pop(key)


def _rearrange(places: list[tuple[Any, Any]], rng: random.Random) -> None:
    """Repeats, drops or exchanges nodes, arguments, results, inputs or outputs."""
    lists = [c[k] for c, k in places if k in ("nodes", "inputs", "outputs", "input_specs",
             "output_specs", "sizes", "strides") and isinstance(c[k], list) and c[k]]  # fmt: skip
    if not lists:
        return
    chosen = rng.choice(lists)
    at = rng.randrange(len(chosen))
    match rng.randrange(4):
        case 0:
            del chosen[at]
        case 1:
            chosen.insert(at, chosen[rng.randrange(len(chosen))])
        case 2:
            rng.shuffle(chosen)
        case _:
            chosen[at] = rng.choice(rng.choice(lists) or [0])


def _nest_graph(places: list[tuple[Any, Any]], rng: random.Random) -> None:
    """Makes an argument of a whole graph, as higher-order operators have them."""
    graphs = [c[k] for c, k in places if k == "graph" and isinstance(c[k], dict)]
    arguments = list(_of(places, ("arg",)))
    if not graphs or not arguments:
        return
    graph = json.dumps(rng.choice(graphs))
    container, key = rng.choice(arguments)
    if len(graph) < 1 << 16:
        container[key] = {"as_graph": {"name": "g", "graph": json.loads(graph)}}
