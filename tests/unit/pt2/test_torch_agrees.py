"""Programs of torch 2.15 compute what they computed there; features one by one, by torch 1.13."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from pt2_files import LEAF, Pt2, dict_of, list_of, make_features, meta, pack, tuple_of

from builder.core.model_facts import ModelFormat
from builder.core.operator_schemas import Schemas
from builder.graph.lower import lower_program
from builder.lite.write import write_lite
from builder.pt2.read import read_program

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch")
np = pytest.importorskip("numpy")

from graph_evaluator import leaves, run_method  # noqa: E402 - imports torch
from torch.jit.mobile import _load_for_lite_interpreter  # noqa: E402

ROOT = Path(__file__).parents[3]
CASES = sorted((ROOT / "tests/data/pt2").glob("*.pt2"))
SCHEMAS = Schemas((ROOT / "third_party/2.6.0/schemas.txt").read_text())


@pytest.fixture
def run(tmp_path):
    """Runs a file that a test made."""

    def run_file(file, *inputs):
        program = read_program(file.write(tmp_path), SCHEMAS).program
        return run_method(program, *inputs)

    return run_file


def floats(*values):
    return torch.tensor(values, dtype=torch.float32)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_programs_of_a_real_torch(path):
    case = np.load(path.with_suffix(".npz"))
    inputs = [torch.from_numpy(case[name]) for name in case.files if name.startswith("in")]
    wanted = [torch.from_numpy(case[name]) for name in case.files if name.startswith("out")]
    found = leaves(run_method(read_program(path, SCHEMAS).program, *inputs))
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(torch.as_tensor(one), other, rtol=1e-5, atol=1e-5)


def load(path, folder, name="model.ptl"):
    """Returns torch's lite interpreter on the lite file that a program becomes."""
    lite = folder / name
    program = read_program(path, SCHEMAS).program
    write_lite(lower_program(program, SCHEMAS), lite, kind=ModelFormat.LITE_ZIP)
    return _load_for_lite_interpreter(str(lite))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_lite_files_of_programs(path, tmp_path):
    if path.stem == "layer" and not hasattr(torch.ops.aten, "scaled_dot_product_attention"):
        pytest.skip("torch 1.13 does not have the operator")
    case = np.load(path.with_suffix(".npz"))
    inputs = [torch.from_numpy(case[name]) for name in case.files if name.startswith("in")]
    wanted = [torch.from_numpy(case[name]) for name in case.files if name.startswith("out")]
    for one, other in zip(leaves(load(path, tmp_path)(*inputs)), wanted, strict=True):
        torch.testing.assert_close(torch.as_tensor(one), other, rtol=1e-5, atol=1e-5)


def test_a_lite_file_with_all_features(tmp_path):
    path = make_features().write(tmp_path)
    model = load(path, tmp_path)
    evaluated = read_program(path, SCHEMAS).program
    for rows in (2, 6):
        given = {"x": torch.arange(6.0 * rows).view(2 * rows, 3), "y": torch.ones(rows, 3)}
        found, wanted = model(given), run_method(evaluated, given)
        assert len(leaves(found)) == 4
        for one, other in zip(leaves(found), leaves(wanted), strict=True):
            torch.testing.assert_close(torch.as_tensor(one), torch.as_tensor(other))


def test_a_lite_file_keeps_its_buffers(tmp_path):
    file = Pt2()
    file.user("x", sizes=(2,))
    count = file.state("count", [0.0, 10.0], (2,), kind="buffer")
    tail = file.state("tail", None, (1,), kind="buffer", record="weight_0", offset=1)
    file.call("aten.add.Tensor", "%new", self=count, other="%x")
    file.call("aten.add.Tensor", "%y", self="%new", other=tail)
    file.mutation("buffer", "count", "%new")
    model = load(file.result("%y").write(tmp_path), tmp_path)
    assert model(floats(1, 1)).tolist() == [11, 21]
    # The tail is the second element of the other buffer, which is 11 now.
    assert model(floats(1, 1)).tolist() == [13, 23]


def test_both_branches():
    program = read_program(ROOT / "tests/data/pt2/branch.pt2", SCHEMAS).program
    assert run_method(program, floats(1, 2, 3)).tolist() == [2, 4, 6]
    assert run_method(program, floats(-1, -2, -3)).tolist() == [-2, -3, -4]


def test_another_size():
    exported = read_program(ROOT / "tests/data/pt2/speech_frames.pt2", SCHEMAS)
    ((spec,),) = [[one.spec({"s76": 20}) for one in exported.inputs]]
    assert spec.shape == (1, 4, 40)
    result = run_method(exported.program, torch.ones(spec.shape))
    assert result.shape == (1, 20, 5)


@pytest.mark.parametrize(
    ("target", "more", "device", "copies"),
    [
        ("aten.to.device", {"device": {"as_device": {"type": "cuda", "index": 0}}, "dtype": "f"},
         "cuda", True),
        ("aten.to.device", {"device": {"as_device": {"type": "cpu", "index": None}}, "dtype": "f"},
         "cpu", False),
        ("aten.pin_memory.default", {}, "cpu", True),
        ("prims.convert_element_type.default", {"dtype": "f"}, "cpu", True),
    ],
)  # fmt: skip
def test_a_copy_is_changed_in_place_without_its_source(run, target, more, device, copies):
    file = Pt2()
    file.user("x", sizes=(2,))
    given = {name: {"as_scalar_type": 7} if one == "f" else one for name, one in more.items()}
    name = "a" if target.startswith("prims") else "self"
    file.call(target, "%y", **{name: "%x"}, **given)
    file.tensors["y"] = meta("float32", (2,), device=device)
    file.call("aten.mul_.Scalar", "%z", self="%y", other=2.0)
    file.call("aten.add.Tensor", "%s", self="%x", other="%z")
    assert run(file.result("%s"), floats(1, 2)).tolist() == ([3, 6] if copies else [4, 8])


def test_sizes_are_computed(run):
    file = Pt2()
    file.user("x", sizes=(("s0", 2), 3))
    file.call("aten.sym_size.int", "$n", self="%x", dim=0)
    file.call("_operator.mul", "$m", a="$n", b=3)
    file.call("_operator.floordiv", "$h", a="$m", b=2)
    file.call("_operator.mod", "$r", a="$m", b=2)
    file.call("_operator.add", "$k", a="$h", b="$r")
    file.call("torch.sym_max", "$w", a="$k", b=1)
    file.call("_operator.ge", {"as_sym_bool": {"as_name": "ok"}}, a="$n", b=2)
    file.call("aten._assert_scalar.default", self={"as_sym_bool": {"as_name": "ok"}},
              assert_msg="too small")  # fmt: skip
    file.call("aten.view.default", "%v", self="%x", size=["$m"])
    file.call("aten.full.default", "%f", size=[2, "$w"], fill_value=7.0)
    file.result("%v", "%f", "$w")
    for rows in (2, 5):
        view, full, wide = run(file, torch.ones(rows, 3))
        assert view.shape == (3 * rows,)
        assert wide == (3 * rows) // 2 + (3 * rows) % 2
        assert full.tolist() == [[7] * wide] * 2


def test_checks_leave_nothing_behind(tmp_path):
    file = Pt2()
    file.user("x")
    file.call("aten.sym_size.int", "$n", self="%x", dim=0)
    file.call("_operator.ge", {"as_sym_bool": {"as_name": "ok"}}, a="$n", b=2)
    file.call("aten._assert_scalar.default", self={"as_sym_bool": {"as_name": "ok"}}, assert_msg="")
    file.call("aten.relu.default", "%y", self="%x")
    graph = read_program(file.result("%y").write(tmp_path), SCHEMAS).program.method("forward")
    assert [node.operator for node in graph.block.nodes] == ["aten::relu"]


def test_floats_of_sizes(run):
    file = Pt2()
    file.user("x")
    file.call("aten.sym_size.int", "$n", self="%x", dim=0)
    real = {"as_sym_float": {"as_name": "half"}}
    file.call("_operator.truediv", real, a="$n", b=4)
    file.call("torch.sym_float", {"as_sym_float": {"as_name": "f"}}, a="$n")
    file.call("math.ceil", "$c", x=real)
    file.call("_operator.neg", "$m", a="$c")
    file.call("aten.mul.Tensor", "%y", self="%x", other=real)
    file.call("aten.add.Tensor", "%z", self="%y", other={"as_sym_float": {"as_name": "f"}})
    file.result("%z", "$m")
    result, number = run(file, torch.ones(2, 3))
    assert result.tolist() == [[2.5] * 3] * 2
    assert number == -1


def test_numbers_in_the_place_of_tensors(run):
    file = Pt2()
    file.user("x")
    file.call("aten.pow.Tensor_Tensor", "%a", self="%x", exponent=2)
    # No overload takes a number there.
    file.call("aten.maximum.default", "%b", self="%a", other=5)
    file.call("aten.where.self", "%c", condition="%k", self="%b", other=0.5)
    file.nodes.insert(2, file.nodes.pop())
    file.call("aten.gt.Tensor", "%k", self="%b", other=5)
    file.nodes.insert(2, file.nodes.pop())
    result = run(file.result("%c"), floats(1, 2, 3))
    assert result.dtype is torch.float32
    assert result.tolist() == [0.5, 0.5, 9]


def test_items_of_tensors(run):
    file = Pt2()
    file.user("x", sizes=(3,))
    file.call("aten.select.int", "%f", self="%x", dim=0, index=0)
    file.call("aten.item.default", {"as_sym_float": {"as_name": "number"}}, self="%f")
    file.call("aten.nonzero.default", "%z", self="%x")
    file.call("aten.sym_size.int", "$count", self="%z", dim=0)
    file.call("aten.sym_constrain_range_for_size.default", size="$count")
    file.call("aten.new_zeros.default", "%n", self="%x", size=["$count"])
    file.call("aten.add.Tensor", "%y", self="%n", other={"as_sym_float": {"as_name": "number"}})
    assert run(file.result("%y"), floats(5, 0, 1)).tolist() == [5, 5]


def test_lists_of_tensors(run):
    file = Pt2()
    file.user("x", sizes=(2, 4))
    index = file.state("i", [3, 0], (2,), "int64", kind="tensor_constant")
    file.call("aten.split.Tensor", ["%a", "%b"], self="%x", split_size=2, dim=1)
    file.call("aten.cat.default", "%c", tensors=["%b", "%a"], dim=1)
    file.call("aten.index.Tensor", "%d", self="%c", indices=[None, index])
    result = run(file.result("%d"), torch.arange(8.0).view(2, 4))
    assert result.tolist() == [[1, 2], [5, 6]]


def test_containers_in_and_out(run):
    file = Pt2()
    for name in ("a", "b", "c", "d"):
        file.user(name, sizes=(2,))
    file.fixed("mode", "fast")
    file.in_spec = tuple_of(
        tuple_of(LEAF, dict_of(left=LEAF, right=LEAF)), dict_of(more=list_of(LEAF), mode=LEAF)
    )
    file.names = ["first", "pair", "more", "mode"]
    file.call("aten.sub.Tensor", "%s", self="%b", other="%c")
    file.call("aten.mul.Tensor", "%m", self="%a", other="%d")
    file.result(
        "%s", "%m", None, 3, spec=dict_of(main=dict_of(s=LEAF, m=LEAF), rest=list_of(LEAF, LEAF))
    )
    result = run(file, floats(1, 2), {"left": floats(3, 4), "right": floats(1, 1)}, [floats(5, 6)])
    assert isinstance(result, tuple)  # a dict and a tuple do not fit into one dict
    main, rest = result
    assert {key: value.tolist() for key, value in main.items()} == {"s": [2, 3], "m": [5, 12]}
    assert rest == (None, 3)


def test_buffers_keep_their_values(tmp_path):
    file = Pt2()
    file.user("x", sizes=(2,))
    count = file.state("count", [0.0, 10.0], (2,), kind="buffer")
    # The second half of the buffer's memory, under a name of its own.
    tail = file.state("tail", None, (1,), kind="buffer", record="weight_0", offset=1)
    file.call("aten.add.Tensor", "%new", self=count, other="%x")
    file.call("aten.add.Tensor", "%y", self="%new", other=tail)
    file.mutation("buffer", "count", "%new")
    exported = read_program(file.result("%y").write(tmp_path), SCHEMAS)
    assert run_method(exported.program, floats(1, 1)).tolist() == [11, 21]
    assert list(exported.program.root.attributes) == ["state_0", "state_1"]
    assert exported.notes == ("A call changes what the next one starts with: 'count', 'tail'.",)
    # The evaluator makes one tensor of each attribute, so memory is not shared here.
    assert run_method(exported.program, floats(1, 1)).tolist()[0] == 12


def test_operators_that_change_buffers(tmp_path):
    file = Pt2()
    count = file.state("count", [1.0, 2.0], (2,), kind="buffer")
    file.call("aten.select.int", "%v", self=count, dim=0, index=0)
    file.call("aten.add_.Tensor", "%w", self="%v", other=1)
    file.call("aten.clone.default", "%y", self=count)
    program = read_program(file.result("%y").write(tmp_path), SCHEMAS).program
    assert run_method(program).tolist() == [2, 2]
    assert run_method(program).tolist() == [3, 2]


def test_inputs_that_change(tmp_path):
    file = Pt2()
    file.user("x", sizes=(2,))
    file.call("aten.neg.default", "%y", self="%x")
    file.mutation("user_input", "x", "%y")
    exported = read_program(file.result("%y").write(tmp_path), SCHEMAS)
    given = floats(1, 2)
    run_method(exported.program, given)
    assert given.tolist() == [-1, -2]
    assert exported.notes == ("forward changes its inputs in place: 'x'.",)


def branch(operator, other):
    file = Pt2()
    file.user("x", sizes=(2,))
    file.call(f"aten.{operator}.Tensor", "%r", self="%x", other=other)
    return file.result("%r", "%x").subgraph()


def test_conditions(run):
    for condition, wanted in (("%c", [2, 4]), (True, [2, 4]), (False, [0, 1])):
        file = Pt2()
        file.user("x", sizes=(2,))
        file.call("aten.gt.Scalar", "%g", self="%x", other=0)
        file.call("aten.any.default", "%c", self="%g")
        given = [condition, branch("mul", 2), branch("sub", 1), ["%x"]]
        file.higher("cond", given, ["%r", "%same"])
        file.call("aten.add.Tensor", "%y", self="%r", other=0)
        assert run(file.result("%y"), floats(1, 2)).tolist() == wanted
    assert run(file, floats(-1, -2)).tolist() == [-2, -3]


def test_loops(run):
    test = Pt2()
    test.user("i", "int64", ())
    test.user("x", sizes=(2,))
    test.call("aten.lt.Scalar", "%t", self="%i", other=3)
    body = Pt2()
    body.user("i", "int64", ())
    body.user("x", sizes=(2,))
    body.call("aten.add.Tensor", "%j", self="%i", other=1)
    body.call("aten.mul.Tensor", "%y", self="%x", other=2)
    file = Pt2()
    file.user("i", "int64", ())
    file.user("x", sizes=(2,))
    given = [test.result("%t").subgraph(), body.result("%j", "%y").subgraph(), ["%i", "%x"], []]
    given[3] = {"as_tensors": []}
    file.higher("while_loop", given, ["%n", "%r"])
    file.result("%n", "%r")
    for start, times in ((0, 8), (2, 2), (5, 1)):
        number, result = run(file, torch.tensor(start), floats(1, 3))
        assert number.item() == max(start, 3)
        assert result.tolist() == [times, 3 * times]


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("wrap_with_set_grad_enabled", [False]),
        ("wrap_with_autocast", ["cpu", None, False, None]),
        ("invoke_subgraph", []),
        ("tag_activation_checkpoint", []),
    ],
)
def test_wrappers_are_inlined(run, name, before):
    file = Pt2()
    file.user("x", sizes=(2,))
    between = ["subgraph_0"] if name == "invoke_subgraph" else []
    file.higher(name, [*before, branch("mul", 2), *between, "%x"], ["%r", "%s"])
    assert run(file.result("%r"), floats(1, 2)).tolist() == [2, 4]


def image(*sizes):
    return torch.arange(float(np.prod(sizes))).view(sizes).cos()


ROWS = {
    "convolution.default": {
        "input": image(1, 4, 5, 5), "weight": image(6, 2, 3, 3), "bias": image(6),
        "stride": [2, 1], "padding": [1, 0], "dilation": [1, 1], "transposed": False,
        "output_padding": [0, 0], "groups": 2,
    },
    "convolution.default ": {
        "input": image(1, 4, 5), "weight": image(4, 3, 3), "bias": None, "stride": [2],
        "padding": [1], "dilation": [1], "transposed": True, "output_padding": [1], "groups": 1,
    },
    "native_layer_norm.default": {
        "input": image(2, 3), "normalized_shape": [3], "weight": image(3), "bias": None,
        "eps": 1e-5,
    },
    "native_group_norm.default": {
        "input": image(2, 4, 3), "weight": image(4), "bias": image(4), "N": 2, "C": 4, "HxW": 3,
        "group": 2, "eps": 1e-5,
    },
    "_softmax.default": {"self": image(2, 3), "dim": -1, "half_to_float": False},
    "_log_softmax.default": {"self": image(2, 3), "dim": -1, "half_to_float": False},
    "_adaptive_avg_pool2d.default": {"self": image(1, 2, 5, 4), "output_size": [2, 2]},
    "_unsafe_view.default": {"self": image(2, 3), "size": [6]},
    "lift_fresh_copy.default": {"self": image(2)},
    "alias.default": {"self": image(2)},
    "detach.default": {"self": image(2)},
    "_to_copy.default": {"self": image(2), "dtype": {"as_scalar_type": 5}},
    "to.device": {"self": image(2), "device": {"as_device": {"type": "cuda", "index": 0}},
                  "dtype": {"as_scalar_type": 8}},
    "to.dtype_layout": {"self": image(2), "dtype": {"as_scalar_type": 8},
                        "layout": {"as_layout": 7}, "copy": True},
}  # fmt: skip
"""Operators of torch 1.13 that builder replaces -> arguments."""


@pytest.mark.parametrize("operator", ROWS)
def test_replacements_compute_the_same(run, operator):
    file, given, wanted = Pt2(), {}, {}
    for name, value in ROWS[operator].items():
        wanted[name] = value
        given[name] = value
        if isinstance(value, torch.Tensor):
            kind = "parameter" if name == "weight" else "buffer"
            given[name] = file.state(name, value.flatten().tolist(), value.shape, kind=kind)
    dtypes = {5: torch.int64, 8: torch.float64}
    if "dtype" in wanted:
        wanted["dtype"] = dtypes[wanted["dtype"]["as_scalar_type"]]
    wanted.pop("layout", None)
    if "device" in wanted:
        wanted["device"] = "cpu"
    results = ["%r0", "%r1", "%r2"] if "native_" in operator else ["%r0"]
    file.call(f"aten.{operator.strip()}", *results, **given)
    name, overload = operator.strip().split(".")
    function = getattr(getattr(torch.ops.aten, name), overload)
    named = {one.name for one in function._schema.arguments if one.kwarg_only}
    first = [value for key, value in wanted.items() if key not in named]
    other = function(*first, **{key: wanted[key] for key in named & wanted.keys()})
    found = run(file.result("%r0"))
    torch.testing.assert_close(found, other[0] if len(results) > 1 else other)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(2)
        self.w = torch.nn.Parameter(floats(1, 2, 3, 4)[1:3])


def saved(value):
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


@pytest.mark.parametrize("is_archive", [False, True], ids=["torch-2.6", "torch-2.8"])
def test_pickled_weights(tmp_path, is_archive):
    """Files of torch 2.5 to 2.8, whose weights torch.save wrote."""
    net = Net()
    file = Pt2(version=(8, 2))
    weight = file.state("w", None, (2,), record="none")
    mean = file.state("norm.running_mean", None, (2,), kind="buffer", record="none")
    constant = file.state("c", None, (2,), kind="tensor_constant", record="none")
    file.user("x", sizes=(2,))
    file.call("aten.mul.Tensor", "%a", self="%x", other=weight)
    file.call("aten.add.Tensor", "%b", self="%a", other=mean)
    file.call("aten.sub.Tensor", "%y", self="%b", other=constant)
    text = json.dumps(file.result("%y").document())
    weights, constants = saved(net.state_dict(keep_vars=True)), saved({"c": floats(1, 1)})
    if is_archive:
        names = ["m/models/model.json", "m/data/weights/model.pt", "m/data/constants/model.pt"]
        more = {"m/archive_format": "pt2", "m/archive_version": "0"}
    else:
        names = ["serialized_exported_program.json", "serialized_state_dict.pt",
                 "serialized_constants.pt"]  # fmt: skip
        more = {"version": "8.2"}
    path = tmp_path / "old.pt2"
    path.write_bytes(pack(dict(zip(names, (text, weights, constants), strict=True)) | more))
    program = read_program(path, SCHEMAS).program
    assert run_method(program, floats(10, 10)).tolist() == [19, 29]


def test_quantised_programs_of_pt2e(run):
    byte = {"as_scalar_type": 2}
    limits = {"quant_min": -128, "quant_max": 127, "dtype": byte}
    file = Pt2()
    weight = file.state("w", [10, -20, 30, 127], (2, 2), "int32")
    scales = file.state("s", [0.5, 0.25], (2,), kind="buffer")
    zeros = file.state("z", [0, 7], (2,), "int64", kind="buffer")
    file.user("x", sizes=(2, 2))
    space = "quantized_decomposed"
    file.call(f"{space}.quantize_per_tensor.default", "%q", input="%x", scale=0.1, zero_point=3,
              **limits)  # fmt: skip
    file.call(f"{space}.dequantize_per_tensor.default", "%d", input="%q", scale=0.1, zero_point=3,
              **limits)  # fmt: skip
    file.call(f"{space}.dequantize_per_channel.default", "%v", input=weight, scales=scales,
              zero_points=zeros, axis=-1, **limits)  # fmt: skip
    given = torch.tensor([[0.26, -0.31], [99.0, -99.0]])
    found, channels = run(file.result("%d", "%v"), given)
    wanted = torch.fake_quantize_per_tensor_affine(given, 0.1, 3, -128, 127)
    torch.testing.assert_close(found, wanted)
    assert channels.tolist() == [[5, -6.75], [15, 30]]
