"""Writes small `.pt2` files in the format of torch 2.15, from what its own files look like."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from dataclasses import dataclass, field
from math import prod

DTYPES = {"uint8": 1, "int32": 4, "int64": 5, "float16": 6, "float32": 7, "float64": 8, "bool": 12}
_FORMATS = {"uint8": "B", "int32": "i", "int64": "q", "float32": "f", "float64": "d", "bool": "?"}
_STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
)
PICKLED_TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n(" + _STORAGE + b"K\x01K\x02\x85K\x01\x85\x89NtR"
)
STATE_DICT = b"\x80\x02}q\x00(X\x01\x00\x00\x00w" + PICKLED_TENSOR + b"u."
"""The pickle of torch.save for a dict with a tensor `w`, of two of the four floats of a storage."""
LEAF = {"type": None, "context": None, "children_spec": []}


def tuple_of(*children):
    return {"type": "builtins.tuple", "context": "null", "children_spec": list(children)}


def list_of(*children):
    return {"type": "builtins.list", "context": "null", "children_spec": list(children)}


def dict_of(**children):
    keys = json.dumps(list(children))
    return {"type": "builtins.dict", "context": keys, "children_spec": list(children.values())}


def tensor(name):
    return {"as_tensor": {"name": name}}


def size(value):
    if isinstance(value, int):
        return {"as_int": value}
    text, hint = value
    return {"as_expr": {"expr_str": text, "hint": {"as_int": hint}}}


def meta(dtype, sizes, *, device="cpu", strides=None, offset=0):
    numbers = [one if isinstance(one, int) else one[1] for one in sizes]
    if strides is None:
        strides = [prod(numbers[at + 1 :]) for at in range(len(sizes))]
    return {
        "dtype": DTYPES.get(dtype, dtype),
        "sizes": [size(one) for one in sizes],
        "requires_grad": False,
        "device": {"type": device, "index": None},
        "strides": [size(one) for one in strides],
        "storage_offset": {"as_int": offset},
        "layout": 7,
    }


def arg(value):
    """Returns an argument: `%x` is a tensor, `$n` a symbolic int; a dict is one already."""
    match value:
        case None:
            return {"as_none": True}
        case bool():
            return {"as_bool": value}
        case int():
            return {"as_int": value}
        case float():
            return {"as_float": value}
        case str() if value.startswith("%"):
            return tensor(value[1:])
        case str() if value.startswith("$"):
            return {"as_sym_int": {"as_name": value[1:]}}
        case str():
            return {"as_string": value}
        case dict():
            return value
    return _list_arg(value)


def _list_arg(items):
    if any(isinstance(item, str) and item.startswith("$") for item in items):
        return {
            "as_sym_ints": [
                {"as_name": one[1:]} if isinstance(one, str) else {"as_int": one} for one in items
            ]
        }
    if any(item is None for item in items):
        return {
            "as_optional_tensors": [
                {"as_none": True} if one is None else tensor(one[1:]) for one in items
            ]
        }
    if all(isinstance(item, str) for item in items):
        return {"as_tensors": [{"name": one[1:]} for one in items]}
    kind = "as_bools" if isinstance(items[0], bool) else f"as_{type(items[0]).__name__}s"
    return {kind: list(items)}


@dataclass
class Pt2:
    """A file under construction."""

    inputs: list = field(default_factory=list)
    input_specs: list = field(default_factory=list)
    nodes: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    output_specs: list = field(default_factory=list)
    tensors: dict = field(default_factory=dict)
    ints: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)
    constants: dict = field(default_factory=dict)
    records: dict = field(default_factory=dict)
    in_spec: object = None
    out_spec: object = None
    names: list | None = None
    ranges: dict = field(default_factory=dict)
    version: tuple = (8, 20)
    opset: int = 10
    folder: str = "model"
    model: str = "model"
    compression: int = zipfile.ZIP_STORED
    changes: dict = field(default_factory=dict)
    """Keys of the document that are overwritten."""

    def user(self, name, dtype="float32", sizes=(2, 3), **more):
        self.tensors[name] = meta(dtype, sizes, **more)
        self.inputs.append(tensor(name))
        self.input_specs.append({"user_input": {"arg": tensor(name)}})
        return f"%{name}"

    def fixed(self, name, value):
        """Adds an input that was a number, a string or None when the program was exported."""
        self.inputs.append(arg(value))
        self.input_specs.append({"constant_input": {"name": name, "value": arg(value)}})

    def state(self, name, values, sizes, dtype="float32", kind="parameter", record=None, **more):
        """Adds a parameter, buffer or tensor constant; `values` are None for a shared record."""
        where = self.constants if kind == "tensor_constant" else self.weights
        prefix = "tensor_" if kind == "tensor_constant" else "weight_"
        record = record or f"{prefix}{len(where)}"
        if values is not None:
            data = struct.pack(f"<{len(values)}{_FORMATS[dtype]}", *values)
            folder = "constants" if kind == "tensor_constant" else "weights"
            self.records[f"data/{folder}/{record}"] = data
        described = meta(dtype, sizes, **more)
        where[name] = {"path_name": record, "is_param": kind == "parameter", "use_pickle": False,
                       "tensor_meta": described}  # fmt: skip
        short = f"{kind[0]}_{name.replace('.', '_')}"
        self.tensors[short] = described
        self.inputs.append(tensor(short))
        spec = {"arg": {"name": short}, f"{kind}_name": name}
        self.input_specs.append({kind: {**spec, "persistent": True} if kind == "buffer" else spec})
        return f"%{short}"

    def call(self, target, /, *results, **arguments):
        """Adds a node; results are named like arguments, or are outputs already."""
        if target.partition(".")[0] not in ("_operator", "torch", "math"):
            target = f"torch.ops.{target}"
        inputs = [{"name": name.rstrip("_"), "arg": arg(value), "kind": 1} for name, value in
                  arguments.items()]  # fmt: skip
        self.add(target, inputs, [arg(one) for one in results])
        return results[0] if len(results) == 1 else results

    def higher(self, name, arguments, results):
        """Adds a higher-order operator."""
        inputs = [{"name": "", "arg": arg(one), "kind": 1} for one in arguments]
        self.add(f"torch.ops.higher_order.{name}", inputs, [arg(one) for one in results])

    def add(self, target, inputs, outputs):
        self.nodes.append({"target": target, "inputs": inputs, "outputs": outputs, "metadata": {}})

    def result(self, *values, spec=None):
        for value in values:
            self.outputs.append(arg(value))
            self.output_specs.append({"user_output": {"arg": arg(value)}})
        self.out_spec = spec or (LEAF if len(values) == 1 else tuple_of(*[LEAF] * len(values)))
        return self

    def mutation(self, kind, name, value):
        """Adds the new value of a buffer or an input, before the results."""
        self.outputs.append(arg(value))
        key = "user_input_name" if kind == "user_input" else f"{kind}_name"
        spec = {"arg": {"name": value[1:]}, key: name}
        self.output_specs.append({f"{kind}_mutation": spec})

    def graph(self):
        return {"inputs": self.inputs, "outputs": self.outputs, "nodes": self.nodes,
                "tensor_values": self.tensors, "sym_int_values": self.ints,
                "sym_bool_values": {}, "is_single_tensor_return": False,
                "custom_obj_values": {}, "sym_float_values": {}}  # fmt: skip

    def subgraph(self, name="graph_0"):
        """Returns the whole as an argument of a higher-order operator."""
        return {"as_graph": {"name": name, "graph": self.graph()}}

    def document(self):
        users = sum(next(iter(one)) in ("user_input", "constant_input") for one in self.input_specs)
        in_spec = self.in_spec or tuple_of(tuple_of(*[LEAF] * users), dict_of())
        signature = {"inputs": [], "outputs": [], "in_spec": json.dumps([1, in_spec]),
                     "out_spec": json.dumps([1, self.out_spec or LEAF]),
                     "forward_arg_names": self.names}  # fmt: skip
        return {
            "graph_module": {
                "graph": self.graph(),
                "signature": {"input_specs": self.input_specs, "output_specs": self.output_specs},
                "module_call_graph": [{"fqn": "", "signature": signature}],
                "metadata": {},
            },
            "opset_version": {"aten": self.opset},
            "range_constraints": self.ranges,
            "schema_version": {"major": self.version[0], "minor": self.version[1]},
            "verifiers": ["TRAINING"],
            "torch_version": "2.15.0",
            **self.changes,
        }

    def contents(self):
        """Returns name in the archive -> content."""
        found = dict(self.records)
        for kind, config in (("weights", self.weights), ("constants", self.constants)):
            text = json.dumps({"config": config})
            found[f"data/{kind}/{self.model}_{kind}_config.json"] = text
        found[f"models/{self.model}.json"] = json.dumps(self.document())
        found |= {"archive_format": "pt2", "archive_version": "0", "byteorder": "little"}
        return {f"{self.folder}/{name}": data for name, data in found.items()}

    def data(self):
        """Returns the file."""
        return pack(self.contents(), self.compression)

    def write(self, folder, name="model.pt2"):
        path = folder / name
        path.write_bytes(self.data())
        return path


def pack(contents, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    return stream.getvalue()


def make_features():
    """Returns a program with sizes that vary, a changed buffer, branches, a loop and containers."""
    branches = []
    for operator in ("mul", "sub"):
        branch = Pt2()
        branch.user("x", sizes=(("s0", 2), 3))
        branch.call(f"aten.{operator}.Tensor", "%r", self="%x", other=2)
        branches.append(branch.result("%r").subgraph())
    test = Pt2()
    test.user("i", sizes=())
    test.call("aten.lt.Scalar", "%t", self="%i", other=3)
    body = Pt2()
    body.user("i", sizes=())
    body.call("aten.add.Tensor", "%j", self="%i", other=1)
    loop = [test.result("%t").subgraph(), body.result("%j").subgraph(), ["%m"], {"as_tensors": []}]
    file = Pt2(ranges={"s0": {"min_val": 2, "max_val": 64}})
    count = file.state("count", [1.0, 2.0, 3.0], (3,), kind="buffer")
    half = file.state("half", None, (1,), kind="buffer", record="weight_0", offset=2)
    file.state("table", [0, 1], (2,), "int64", kind="tensor_constant")
    expression = "Mul(Integer(2), Symbol('s0', positive=True, integer=True))"
    file.user("x", sizes=((expression, 4), 3))
    file.user("y", sizes=(("s0", 2), 3))
    file.fixed("mode", "fast")
    file.in_spec = tuple_of(tuple_of(dict_of(x=LEAF, y=LEAF)), dict_of(mode=LEAF))
    file.names = ["pair", "mode"]
    file.call("aten.sym_size.int", "$n", self="%y", dim=0)
    file.call("_operator.floordiv", "$h", a="$n", b=2)
    file.call("aten.full.default", "%f", size=["$h", 3], fill_value=1.0)
    file.call("aten.add.Tensor", "%new", self=count, other=half)
    file.call("aten.split.Tensor", ["%a", "%b"], self="%x", split_size="$n")
    file.call("aten.cat.default", "%c", tensors=["%a", "%f"])
    file.call("aten.index.Tensor", "%d", self="%b", indices=["%t_table", None])
    file.call("aten.mean.default", "%m", self="%c", dtype={"as_scalar_type": 7})
    file.call("aten.gt.Scalar", "%g", self="%m", other=0)
    file.higher("cond", ["%g", *branches, ["%y"]], ["%e"])
    file.higher("while_loop", loop, ["%k"])
    file.mutation("buffer", "count", "%new")
    return file.result(
        "%d", "%e", "%k", 3, spec=tuple_of(dict_of(d=LEAF, e=LEAF), list_of(LEAF, LEAF))
    )


def make_old():
    """Returns a file of torch 2.6, whose weights are a file of torch.save."""
    file = Pt2(version=(8, 2))
    weight = file.state("w", None, (2,), record="none")
    file.user("x", sizes=(2,))
    file.call("aten.mul.Tensor", "%y", self="%x", other=weight)
    weights = pack({"archive/data.pkl": STATE_DICT, "archive/data/0": bytes(range(16))})
    return pack(
        {
            "serialized_exported_program.json": json.dumps(file.result("%y").document()),
            "serialized_state_dict.pt": weights,
            "serialized_constants.pt": b"",
            "version": "8.2",
        }
    )
