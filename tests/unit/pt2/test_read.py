"""What is read of `.pt2` files, and what is refused: all that is wrong at once, and by name."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from pt2_files import LEAF, Pt2, dict_of, list_of, meta, pack, tuple_of

from builder.core.nesting import Number
from builder.core.operator_schemas import Schemas
from builder.errors import ConfigurationError, ModelError
from builder.pt2.read import read_program
from builder.selection.release_rules import read_rules
from builder.sources.releases import load_release

ROOT = Path(__file__).parents[3]
SCHEMAS = Schemas((ROOT / "third_party/2.6.0/schemas.txt").read_text())


def simple(**more):
    file = Pt2(**more)
    file.user("x")
    file.call("aten.relu.default", "%y", self="%x")
    return file.result("%y")


@pytest.fixture
def read(tmp_path):
    def read_file(file):
        return read_program(file if isinstance(file, Path) else file.write(tmp_path), SCHEMAS)

    return read_file


@pytest.fixture
def refuse(tmp_path):
    def refusal(data):
        path = tmp_path / "model.pt2"
        path.write_bytes(data if isinstance(data, bytes) else data.data())
        with pytest.raises(ModelError) as error:
            read_program(path, SCHEMAS)
        assert error.value.message.startswith(f"{path}: ")
        return error.value.message.removeprefix(f"{path}: ")

    return refusal


def nodes(exported):
    return exported.program.method("forward").block.nodes


def test_arguments_are_in_the_order_of_the_schema_with_its_defaults(read):
    file = Pt2()
    image = file.user("x", sizes=(1, 2, 4, 4))
    weight = file.state("w", [0.0] * 18, (1, 2, 3, 3))
    file.call("aten.conv2d.default", "%y", input=image, groups=1, weight=weight, padding=[1, 1])
    exported = read(file.result("%y"))
    call = nodes(exported)[-1]
    assert call.operator == "aten::conv2d"
    values = [one.constant for one in call.inputs[2:]]
    shown = [getattr(value, "items", value) for value in values]
    assert shown == [None, [1, 1], [1, 1], [1, 1], 1]
    assert call.inputs[1].constant.sizes == (1, 2, 3, 3)
    assert call.output.info is None  # nothing was said about y
    assert exported.torch_version == "2.15.0"
    assert exported.program.operator_version == 10


def test_defaults_of_the_release_are_used_where_the_program_has_none(read):
    graph = read(simple()).program.method("forward")
    assert [one.name for one in graph.arguments] == ["self", "x"]
    assert [one.type for one in graph.results] == ["Tensor"]


def test_weights_share_memory_as_they_did(read):
    file = Pt2()
    first = file.state("a", [1.0, 2.0, 3.0, 4.0], (4,))
    second = file.state("b", None, (2,), record="weight_0", offset=1, strides=(2,))
    file.call("aten.cat.default", "%y", tensors=[first, second])
    constants = [node.output.constant for node in nodes(read(file.result("%y")))[:2]]
    assert constants[0].storage is constants[1].storage
    assert bytes(constants[0].storage.read())[4:8] == b"\x00\x00\x00\x40"
    assert (constants[1].sizes, constants[1].strides, constants[1].offset) == ((2,), (2,), 1)


def test_weights_are_read_when_they_are_wanted(read, tmp_path):
    file = Pt2()
    file.state("a", [1.0] * 64, (64,))
    file.call("aten.relu.default", "%y", self="%p_a")
    data = bytearray(file.result("%y").data())
    at = data.find(b"\x00\x00\x80\x3f" * 64)
    data[at] ^= 1
    path = tmp_path / "model.pt2"
    path.write_bytes(data)
    (constant, _) = nodes(read_program(path, SCHEMAS))
    with pytest.raises(ModelError, match=r"weight_0.*damaged"):
        constant.output.constant.storage.read()


def test_unused_weights_are_left_out(read):
    file = simple()
    file.state("a", [1.0], (1,))
    assert len(nodes(read(file))) == 1


def test_inputs_are_described(read):
    file = Pt2(ranges={"s0": {"min_val": 2, "max_val": 9}, "2*s0": {"min_val": 4, "max_val": 18}})
    wide = "Mul(Integer(2), Symbol('s0', positive=True, integer=True))"
    file.user("ids", "int64", (1, (wide, 8)))
    file.user("mask", "float32", (("s0 + 1", 5),))
    file.fixed("scale", 3)
    file.fixed("past", None)
    file.ints["n"] = {"as_expr": {"expr_str": "s1", "hint": {"as_int": 7}}}
    number = {"as_sym_int": {"as_name": "n"}}
    file.inputs.append(number)
    file.input_specs.append({"user_input": {"arg": number}})
    file.in_spec = tuple_of(
        tuple_of(LEAF, dict_of(mask=LEAF, scale=LEAF)), dict_of(past=LEAF, n=LEAF)
    )
    file.names = ["input_ids", "options", "past", "n"]
    file.call("aten.add.Tensor", "%y", self="%ids", other="%mask")
    exported = read(file.result("%y"))
    arguments = exported.program.method("forward").arguments[1:]
    assert [(one.name, one.type) for one in arguments] == [
        ("input_ids", "Tensor"),
        ("options", "Tuple[Tensor, int]"),
        ("n", "int"),
    ]
    assert exported.notes == (
        "forward does not take what was the same for every call: 'past=None'.",
    )
    (symbol,) = exported.symbols
    assert (symbol.name, symbol.value, symbol.least, symbol.most) == ("s0", 4, 2, 9)
    ids, options, count = exported.inputs
    assert str(ids.spec({"s0": 5})) == "int64[1,10]"
    assert str(options.spec({"s0": 5})) == "(float32[6], 3)"
    assert count.spec({}) == Number(7)
    assert [str(one) for one in ids.leaves[0].dimensions] == ["1", "2*s0"]
    with pytest.raises(ConfigurationError, match=r"ids.*s0 has no value"):
        ids.spec({})


def test_names_of_inputs_are_identifiers(read):
    file = Pt2(names=["a b", "x", "self"])
    for name in ("x", "y", "self"):
        file.user(name)
    file.call("aten.add.Tensor", "%r", self="%x", other="%y")
    arguments = read(file.result("%r")).program.method("forward").arguments
    assert [one.name for one in arguments] == ["self", "x", "y", "input_0"]


def test_results_of_classes_become_dicts(read):
    file = simple()
    context = '["last_hidden_state"]'
    name = "transformers.modeling_outputs.BaseModelOutput"
    file.out_spec = {"type": name, "context": context, "children_spec": [LEAF]}
    exported = read(file)
    last = nodes(exported)[-1]
    assert (last.operator, last.output.type) == ("prim::DictConstruct", "Dict[str, Tensor]")
    assert exported.notes == (f"Objects of these classes become dicts or tuples: '{name}'.",)
    # A dataclass: the names of its fields, then of those that were None.
    file.out_spec |= {"type": "app.Result", "context": '[["box"], ["mask"]]'}
    assert nodes(read(file))[-1].inputs[0].constant == "box"
    file.out_spec |= {"type": "app.Other", "context": '"?"'}
    assert nodes(read(file))[-1].operator == "prim::TupleConstruct"


def test_results_in_lists_and_with_number_keys(read):
    file = simple()
    file.out_spec = list_of(LEAF)
    assert nodes(read(file))[-1].output.type == "List[Tensor]"
    file.out_spec = {"type": "builtins.dict", "context": "[3]", "children_spec": [LEAF]}
    assert nodes(read(file))[-1].output.type == "Dict[int, Tensor]"
    factory = {"default_factory_module": "os", "default_factory_name": "system"}
    context = json.dumps({**factory, "dict_context": ["a"]})
    file.out_spec = {"type": "collections.defaultdict", "context": context, "children_spec": [LEAF]}
    assert nodes(read(file))[-1].output.type == "Dict[str, Tensor]"


def test_other_devices_and_half_precision_are_noted(read):
    file = Pt2()
    file.user("x", "float16", device="cuda")
    file.call("aten.zeros.default", "%z", size=[2],
              device={"as_device": {"type": "cuda", "index": 0}})  # fmt: skip
    file.call("aten.add.Tensor", "%y", self="%x", other="%z")
    exported = read(file.result("%y"))
    assert exported.notes[0] == "The program will run on the CPU, not on: 'cuda'."
    assert "float16" in exported.notes[1]
    devices = [
        node.output.constant.name for node in nodes(exported) if node.outputs[0].type == "Device"
    ]
    assert devices == ["cpu"]


def test_training_is_noted(read):
    for train in (True, False):
        file = Pt2()
        file.user("x")
        file.call("aten.dropout.default", "%y", input="%x", p=0.5, train=train)
        notes = read(file.result("%y")).notes
        wanted = "The program was exported in training mode (dropout); model.eval() comes first."
        assert notes == ((wanted,) if train else ())


def test_everything_that_cannot_be_converted_is_named_at_once(refuse):
    file = Pt2()
    file.user("x")
    for _ in range(2):
        file.call("mylib.nms.default", "%k", boxes="%x", scores="%x")
    file.call("aten.brand_new.default", "%a", self="%k")
    file.call("aten.relu.default", "%r", self="%a")
    file.call("aten.add.brand_new", "%b", self="%r")
    file.call("aten.relu.default", "%c", self="%b", power=3)
    file.call("aten.scaled_dot_product_attention.default", "%d", query="%x", key="%x", value="%x",
              enable_gqa=True, attn_mask=None)  # fmt: skip
    file.higher("scan", ["%x"], ["%e"])
    file.call("aten.to.dtype", "%f", self="%x", dtype={"as_scalar_type": 28})
    file.call("aten.to.device", "%g", self="%x", device={"as_device": {"type": "meta"}})
    file.call("aten.relu.default", "%h", self="%nothing")
    file.call("math.bessel", "$n", x=1)
    message = refuse(file.result("%e"))
    assert message.startswith("9 parts of the program cannot be converted for the release:\n")
    lines = message.splitlines()[1:]
    assert any("mylib::nms: it is a custom operator" in one and "(2 times)" in one for one in lines)
    for part in (
        "aten::brand_new: it is newer than the release",
        "aten::add.brand_new: the release has other overloads only",
        "aten::relu: the release does not have its argument 'power'",
        "torch.ops.higher_order.scan: builder does not convert this higher-order operator",
        "aten::to.dtype: no runtime has uint16",
        "aten::to.device: a tensor on the device meta has no values",
        "aten::relu: no value is called 'nothing'",
        "math.bessel: builder does not know this function",
    ):
        assert any(part in one for one in lines), part


def test_arguments_that_a_release_lacks_may_have_their_newer_default(tmp_path):
    file = Pt2()
    file.user("x")
    file.call("aten.scaled_dot_product_attention.default", "%y", query="%x", key="%x", value="%x",
              enable_gqa=False)  # fmt: skip
    older = Schemas(
        "aten::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? "
        "attn_mask=None, float dropout_p=0.0, bool is_causal=False) -> Tensor"
    )
    path = file.result("%y").write(tmp_path)
    (call,) = [one for one in nodes(read_program(path, older)) if one.operator.startswith("aten")]
    assert len(call.inputs) == 6
    file.nodes[0]["inputs"][-1]["arg"] = {"as_bool": True}
    with pytest.raises(ModelError, match="its argument enable_gqa, which is not False here"):
        read_program(file.write(tmp_path), older)


def test_results_for_training_are_refused_where_they_are_used(refuse, read):
    file = Pt2()
    file.user("x")
    given = {"input": "%x", "normalized_shape": [3], "weight": None, "bias": None, "eps": 1e-5}
    file.call("aten.native_layer_norm.default", "%y", "%mean", "%rstd", **given)
    read(replace(file, outputs=[], output_specs=[]).result("%y"))
    assert "'rstd' is a result for training" in refuse(file.result("%rstd"))


def test_mixed_precision_and_training_are_refused(refuse):
    file = simple()
    branch = simple().subgraph()
    file.higher("wrap_with_autocast", ["cpu", None, True, None, branch, "%x"], ["%z"])
    assert "automatic mixed precision" in refuse(file)
    file = simple()
    file.output_specs[0] = {"loss_output": {"arg": {"name": "y"}}}
    assert "it is for training (loss_output)" in refuse(file)


def test_custom_objects_are_refused(refuse):
    file = simple()
    obj = {"name": "o", "class_fqn": "__torch__.Foo"}
    file.inputs.append({"as_custom_obj": obj})
    file.input_specs.append({"custom_obj": {"arg": obj, "custom_obj_name": "o"}})
    assert "the input 'o': it is an object of a custom class" in refuse(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": (9, 0)}, "schema version 9.0; builder reads 7 and 8"),
        ({"opset": 11}, "its operators have version 11, newer than 10"),
        ({"changes": {"graph_module": 3}}, "Expected `object`"),
        ({"changes": {"schema_version": {}}}, "missing required field `major`"),
        ({"in_spec": LEAF}, "in_spec does not describe"),
        ({"in_spec": tuple_of(tuple_of(LEAF, LEAF), dict_of())}, "2 leaves for 1 inputs"),
        ({"out_spec": tuple_of(LEAF, LEAF)}, "out_spec has 2 leaves for 1 outputs"),
        ({"output_specs": []}, "the signature has 0 outputs, the graph 1"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(refuse, change, message):
    assert message in refuse(replace(simple(), **change))


def test_other_files_are_named(refuse, tmp_path):
    assert "damaged or truncated" in refuse(b"nothing")
    assert "not a file of torch.export.save" in refuse(pack({"a/b": b""}))
    assert "not a file of torch.export.save" in refuse(pack({"b": b""}))
    assert "the file is empty" in refuse(b"")
    contents = simple().contents()
    assert "version newer than 0" in refuse(pack(contents | {"model/archive_version": "1"}))
    assert "not little-endian" in refuse(pack(contents | {"model/byteorder": "big"}))
    assert "it has 2 programs ('b', 'model')" in refuse(
        pack({"model/models/b.json": "{}"} | contents)
    )
    compiled = {"m/archive_format": "pt2", "m/data/aotinductor/model/a.so": b""}
    assert "it has 0 programs" in refuse(pack(compiled))
    with pytest.raises(ModelError, match="does not exist"):
        read_program(tmp_path / "missing.pt2", SCHEMAS)


def payload(**changes):
    file = Pt2()
    weight = file.state("w", [1.0] * 4, (4,))
    file.call("aten.relu.default", "%y", self=weight)
    where = file.weights["w"]
    for name, value in changes.items():
        (where if name in where else where["tensor_meta"])[name] = value
    return file.result("%y")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": [{"as_int": 5}]}, "'w' is larger than its record"),
        ({"strides": [{"as_int": 2}]}, "'w' is larger than its record"),
        ({"storage_offset": {"as_int": 1}}, "'w' is larger than its record"),
        ({"sizes": [{"as_int": -1}]}, "the sizes of 'w' are not known"),
        ({"strides": [{"as_int": -1}]}, "the sizes of 'w' are not known"),
        ({"sizes": [{"as_expr": {"expr_str": "s0"}}]}, "the sizes of 'w' are not known"),
        ({"strides": []}, "'w' has 1 sizes and 0 strides"),
        ({"sizes": [{"as_int": 1 << 40}], "strides": [{"as_int": 0}]}, "of which 4 are stored"),
        ({"dtype": 28}, "'w' is uint16, which no runtime has"),
        ({"dtype": 99}, "'w' is dtype 99, which no runtime has"),
        ({"dtype": 11, "sizes": [{"as_int": 1}]}, ""),
        ({"layout": 1}, "'w' is not a dense tensor"),
        ({"use_pickle": True}, "'w' is pickled"),
        ({"tensor_meta": None}, "'w' is pickled"),
        ({"path_name": "weight_9"}, "does not contain data/weights/weight_9"),
        ({"path_name": "../weights/weight_0"}, "the record of 'w' has a malformed name"),
        ({"path_name": "a\x1b[2J"}, "the record of 'w' has a malformed name"),
        (
            {"sizes": [{"as_int": 1}] * 65, "strides": [{"as_int": 1}] * 65},
            "of length <= 64",
        ),
    ],
)
def test_weights_that_do_not_fit_their_records(refuse, read, change, message):
    if not message:
        assert read(payload(**change))
    else:
        assert message in refuse(payload(**change))


def test_records_that_do_not_fit_their_dtype(refuse):
    file = payload()
    file.records["data/weights/weight_0"] = b"12345"
    assert "does not consist of elements of float32" in refuse(file)
    file.records["data/weights/weight_0"] = b""
    assert "'w' has no bytes in the file" in refuse(file)
    del file.weights["w"]
    assert "the file has no values for 'w'" in refuse(file)


def test_a_compressed_document_may_not_be_a_bomb(refuse):
    contents = simple().contents()
    contents["model/models/model.json"] += " " * (6 << 20)
    assert "more than" in refuse(pack(contents, zipfile.ZIP_DEFLATED))
    contents["model/models/model.json"] = contents["model/models/model.json"].strip()
    assert simple(compression=zipfile.ZIP_DEFLATED).data()[:4] == b"PK\x03\x04"


def test_deep_nesting_is_refused(refuse):
    for text in ("[" * 100_000, '{"graph_module":' * 10_000):
        contents = simple().contents()
        contents["model/models/model.json"] = text
        assert refuse(pack(contents))
    tree = LEAF
    for _ in range(40):
        tree = tuple_of(tree)
    assert "nested too deeply" in refuse(replace(simple(), out_spec=tree))
    inner = simple()
    for _ in range(20):
        outer = simple()
        outer.higher("tag_activation_checkpoint", [inner.subgraph(), "%x"], ["%z"])
        inner = outer
    assert "graphs are nested too deeply" in refuse(inner)


def test_keys_that_no_file_can_hold_are_refused(refuse):
    tree = {**dict_of(x=LEAF), "context": '["\\ud800"]'}
    assert "keys of a dict are neither" in refuse(replace(simple(), out_spec=tree))


def test_infinities(read, refuse, tmp_path):
    for text in ('"-Infinity"', "-Infinity"):
        file = simple()
        file.call("aten.masked_fill.Scalar", "%m", self="%x", mask="%x", value=1.25)
        file.outputs, file.output_specs = [], []
        document = file.result("%m").document() | {"torch_version": 'say "Infinity, \\" NaN'}
        contents = file.contents()
        contents["model/models/model.json"] = json.dumps(document).replace("1.25", text)
        path = tmp_path / "infinite.pt2"
        path.write_bytes(pack(contents))
        exported = read(path)
        (value,) = [
            one.output.constant for one in nodes(exported) if one.operator.startswith("prim")
        ]
        assert value == float("-inf")
        assert exported.torch_version == 'say "Infinity, \\" NaN'
    file = simple()
    file.call("aten.add.Scalar", "%z", self="%x", other={"as_float": "1e5"})
    assert "not a number: '1e5'" in refuse(file)


def test_symbols_are_never_evaluated_as_python(refuse):
    for text in ("__import__('os').system('true')", "s0.x", "[1]", "lambda: 0", "(" * 99, "1" * 99):
        file = simple()
        file.tensors["x"] = meta("float32", ((text, 2), 3))
        assert "the size of an input: " in refuse(file)


def test_arguments_of_one_kind_only(refuse):
    for argument in ({}, {"as_int": 1, "as_bool": True}, {"as_brand_new": 1}, {"as_int": 1 << 70}):
        file = simple()
        file.nodes[0]["inputs"][0]["arg"] = argument
        assert refuse(file)


def test_a_program_that_is_cut_while_it_is_read_is_damaged(read, tmp_path):
    file = Pt2()
    image = file.user("x", sizes=(1, 2, 4, 4))
    weight = file.state("w", [0.0] * 18, (1, 2, 3, 3))
    file.call("aten.conv2d.default", "%y", input=image, weight=weight)
    path = file.result("%y").write(tmp_path)
    (tensor,) = (one.attributes["value"] for one in nodes(read(path))[:1])
    assert len(tensor.storage.read()) == 72
    os.truncate(path, 0)
    with pytest.raises(ModelError, match="damaged"):
        tensor.storage.read()


def test_operators_that_raise_in_every_runtime_are_refused_all_at_once(tmp_path):
    raising = read_rules(load_release()).raising
    file = Pt2()
    file.user("x")
    file.call("aten.linalg_inv_ex.default", "%y", "%info", A="%x")
    file.call("aten._linalg_svd.default", "%u", "%s", "%v", A="%y")
    file.call("aten.linalg_vector_norm.default", "%n", self="%u")
    path = file.result("%n").write(tmp_path)
    assert read_program(path, SCHEMAS).program
    with pytest.raises(ModelError) as error:
        read_program(path, SCHEMAS, raising)
    assert "aten::linalg_inv_ex" in error.value.message
    assert "aten::_linalg_svd" in error.value.message
    assert "needs LAPACK" in error.value.message
    assert "norm" not in error.value.message
