"""Batch norms are folded, layers written in one way, packed for XNNPACK, and clamped there."""

from __future__ import annotations

import numpy as np
import pytest

from builder.graph.graph import Graph
from builder.graph.passes.batch_norm import fold_batch_norms
from builder.graph.passes.channel_shuffles import find_channel_shuffles
from builder.graph.passes.fuse_add_relu import fuse_add_relu
from builder.graph.passes.fuse_clamps import fuse_clamps
from builder.graph.passes.prepack import prepack
from builder.graph.passes.simplify_layers import simplify_layers
from builder.graph.shapes import infer
from builder.graph.well_formed import check_graph
from builder.lite.objects import CustomObject, Tensor
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph, tensor, values, write_graph

SCHEMAS = load_schemas()
NORM = {
    "G": tensor(0.5, 2.0, 1.0, 1.5),
    "H": tensor(0.1, -0.2, 0.3, 0.0),
    "M": tensor(1.0, 0.5, -1.0, 0.25),
    "V": tensor(4.0, 0.25, 1.0, 2.0),
}
SCALE = values(NORM["G"]).astype(np.float64) / np.sqrt(values(NORM["V"]).astype(np.float64) + 0.001)
SHIFT = values(NORM["H"]) - values(NORM["M"]) * SCALE


def norm(name: str, training: bool = False) -> str:
    return f"aten::batch_norm(%{name}, G, H, M, V, {training}, 0.1, 0.001, True)"


def graph(text: str, **names: object) -> Graph:
    made = read_graph(text, **NORM, **names)
    infer(made, SCHEMAS)
    return made


def lines(made: Graph) -> list[str]:
    check_graph(made)
    return write_graph(made)


def weights(made: Graph, at: int) -> tuple[np.ndarray, np.ndarray]:
    node = [n for n in made.block.nodes if n.operator != "prim::Constant"][at]
    return values(node.inputs[1].constant), values(node.inputs[2].constant)


# Batch norms


def test_a_norm_behind_a_grouped_convolution():
    weight, bias = ramp(4, 2, 3, 3), ramp(4)
    made = graph(
        f"""
        (%self, %x: Tensor float32 ?,?,?,?)
        %y = aten::conv2d(%x, W, B, [2, 2], [1, 1], [1, 1], 2)
        %z = {norm("y")}
        yield %z
        """,
        W=weight,
        B=bias,
    )
    assert fold_batch_norms(made, SCHEMAS).changed == 1
    folded, shifted = weights(made, 1)
    np.testing.assert_array_equal(
        folded, (values(weight) * SCALE.reshape(4, 1, 1, 1)).astype(np.float32)
    )
    np.testing.assert_array_equal(shifted, (values(bias) * SCALE + SHIFT).astype(np.float32))
    assert lines(made)[-1] == "yield %3"


def test_a_norm_behind_a_transposed_grouped_convolution_without_bias():
    weight = ramp(6, 2, 3, 3)
    made = graph(
        f"""
        (%self, %x: Tensor float32 ?,?,?,?)
        %y = aten::conv_transpose2d.input(%x, W, None, [2, 2], [1, 1], [0, 0], 2, [1, 1])
        %z = {norm("y")}
        yield %z
        """,
        W=weight,
    )
    assert fold_batch_norms(made, SCHEMAS).changed == 1
    folded, shifted = weights(made, 1)
    # Inputs 0 to 2 make outputs 0 and 1, the others make 2 and 3.
    scale = np.repeat(SCALE.reshape(2, 1, 2, 1, 1), 3, axis=1).reshape(6, 2, 1, 1)
    np.testing.assert_array_equal(folded, (values(weight) * scale).astype(np.float32))
    np.testing.assert_array_equal(shifted, SHIFT.astype(np.float32))


@pytest.mark.parametrize(
    ("given", "folds"), [("float32 ?,3", True), ("float32 ?,4,3", False), ("?", False)]
)
def test_a_norm_behind_a_linear_layer_needs_rows(given: str, folds: bool):
    made = graph(
        f"(%self, %x: Tensor {given})\n%y = aten::linear(%x, W, None)\n%z = {norm('y')}\nyield %z",
        W=ramp(4, 3),
    )
    found = fold_batch_norms(made, SCHEMAS)
    assert bool(found.changed) == folds
    assert bool(found.left) != folds


@pytest.mark.parametrize(
    "middle",
    [
        "%u = aten::relu(%y)",
        "%u = aten::add_.Tensor(%x, %x, 1)",
        "%u = aten::dim(%y)",
    ],
)
def test_a_norm_stays_if_something_else_needs_what_is_before(middle: str):
    made = graph(
        f"""
        (%self, %x: Tensor)
        %y = aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 1], 1)
        {middle}
        %z = {norm("y")}
        yield %z, %u
        """,
        W=ramp(4, 2, 1, 1),
    )
    found = fold_batch_norms(made, SCHEMAS)
    assert (found.changed, len(found.left)) == (0, 1)


def test_a_norm_that_trains_or_has_other_channels_stays():
    for weight, training in ((ramp(4, 2, 1, 1), True), (ramp(5, 2, 1, 1), False)):
        made = graph(
            f"""
            (%self, %x: Tensor)
            %y = aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 1], 1)
            %z = {norm("y", training)}
            yield %z
            """,
            W=weight,
        )
        assert fold_batch_norms(made, SCHEMAS).changed == 0


@pytest.mark.parametrize(("padding", "folds"), [(0, True), (1, False)])
def test_a_norm_in_front_of_a_convolution(padding: int, folds: bool):
    weight = ramp(6, 2, 3, 3)
    made = graph(
        f"""
        (%self, %x: Tensor float32 ?,?,?,?)
        %r = aten::relu(%x)
        %y = {norm("r")}
        %z = aten::conv2d(%y, W, B, [1, 1], [{padding}, {padding}], [1, 1], 2)
        yield %z
        """,
        W=weight,
        B=ramp(6),
    )
    assert bool(fold_batch_norms(made, SCHEMAS).changed) == folds
    if not folds:
        return
    folded, shifted = weights(made, 2)
    image = np.random.default_rng(0).standard_normal((4, 3, 3))
    normed = image * SCALE.reshape(4, 1, 1) + SHIFT.reshape(4, 1, 1)
    for output in range(6):
        first = output // 3 * 2
        wanted = (values(weight)[output] * normed[first : first + 2]).sum() + values(ramp(6))[
            output
        ]
        got = (folded[output] * image[first : first + 2]).sum() + shifted[output]
        assert got == pytest.approx(wanted, rel=1e-5)


def test_statistics_that_are_not_finite_stay():
    made = read_graph(
        f"""
        (%self, %x: Tensor)
        %y = aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 1], 1)
        %z = {norm("y")}
        yield %z
        """,
        **(NORM | {"V": tensor(-1.0, 1.0, 1.0, 1.0)}),
        W=ramp(4, 2, 1, 1),
    )
    assert fold_batch_norms(made, SCHEMAS).changed == 0


# One way of writing layers


def test_convolutions_of_tracing():
    made = graph(
        """
        (%self, %x: Tensor)
        %a = aten::_convolution(%x, W, None, [2, 2], [1, 1], [3, 3], False, [0, 0], 2, FLAGS, True)
        %b = aten::_convolution.deprecated(%a, U, None, [2], [1], [3], True, [1], 2, FLAGS)
        %c = aten::_convolution(%b, %x, None, [2], [1], [3], True, [1], 2, FLAGS, True)
        yield %c
        """.replace("FLAGS", "False, False, True"),
        W=ramp(4, 2, 1, 1),
        U=ramp(4, 2, 1),
    )
    assert simplify_layers(made, SCHEMAS).changed == 2
    assert lines(made)[:2] == [
        "%2 = aten::conv2d(%x, float32[4, 2, 1, 1], None, [2, 2], [1, 1], [3, 3], 2)",
        "%3 = aten::conv_transpose1d(%2, float32[4, 2, 1], None, [2], [1], [1], 2, [3])",
    ]


@pytest.mark.parametrize(
    ("name", "size", "padding"),
    [("valid", 3, 0), ("same", 3, 2), ("same", 2, 1), ("same", 4, 3)],
)
def test_padding_by_name(name: str, size: int, padding: int):
    made = graph(
        f"""
        (%self, %x: Tensor)
        %y = aten::conv2d.padding(%x, W, None, [1, 1], {name!r}, [2, 2], 1)
        yield %y
        """,
        W=ramp(4, 2, size, size),
    )
    simplify_layers(made, SCHEMAS)
    shape = f"float32[4, 2, {size}, {size}]"
    assert lines(made)[0] == (
        f"%2 = aten::conv2d(%x, {shape}, None, [1, 1], [{padding}, {padding}], [2, 2], 1)"
    )


def test_padding_that_is_not_the_same_on_both_sides_is_added_before():
    made = graph(
        """
        (%self, %x: Tensor)
        %y = aten::conv2d.padding(%x, W, None, [1, 1], 'same', [1, 1], 1)
        yield %y
        """,
        W=ramp(4, 2, 3, 2),
    )
    assert simplify_layers(made, SCHEMAS).changed == 1
    assert lines(made)[:2] == [
        "%2 = aten::constant_pad_nd(%x, [0, 1, 0, 0], 0)",
        "%3 = aten::conv2d(%2, float32[4, 2, 3, 2], None, [1, 1], [1, 0], [1, 1], 1)",
    ]
    check_graph(made)


def test_products_with_constants_are_linear_layers():
    made = graph(
        """
        (%self, %x: Tensor)
        %a = aten::matmul(%x, W)
        %b = aten::add.Tensor(%a, B, 1)
        %c = aten::addmm(B, %b, W, 1, 1)
        %d = aten::addmm(B, %c, W, 2, 1)
        %e = aten::matmul(W, %d)
        yield %e
        """,
        W=ramp(3, 3),
        B=ramp(3),
    )
    assert simplify_layers(made, SCHEMAS).changed == 3
    found = [line for line in lines(made) if "aten::linear" in line]
    assert found == [
        "%2 = aten::linear(%x, float32[3, 3], None)",
        "%3 = aten::linear(%x, float32[3, 3], float32[3])",
        "%4 = aten::linear(%3, float32[3, 3], float32[3])",
    ]
    np.testing.assert_array_equal(weights(made, 1)[0], values(ramp(3, 3)).T)


# XNNPACK


def test_a_layer_that_writes_into_a_given_tensor_stays():
    made = graph(
        "(%self, %x: Tensor float32 2,3, %o: Tensor)\n"
        "%y = aten::linear.out(%x, W, None, %o)\nyield %o",
        W=ramp(4, 3),
    )
    assert prepack(made, SCHEMAS).changed == 0


def context(made: Graph, class_name: str = "xnnpack.Conv2dOpContext") -> tuple[object, ...]:
    found = [
        node.attributes["value"]
        for _, node in made.block.walk()
        if isinstance(node.attributes.get("value"), CustomObject)
    ]
    assert [one.class_name for one in found] == [class_name]
    return tuple(getattr(item, "items", item) for item in found[0].state)


def test_a_convolution_is_packed():
    made = graph(
        "(%self, %x: Tensor float32 ?,?,?,?)\n"
        "%y = aten::conv2d(%x, W, B, [2, 1], [1, 0], [1, 3], 2)\nyield %y",
        W=ramp(4, 2, 3, 5),
        B=ramp(4),
    )
    assert prepack(made, SCHEMAS).changed == 1
    weight, bias, *rest = context(made)
    assert isinstance(weight, Tensor)
    assert weight.sizes == (4, 2, 3, 5)
    # The channels are last in memory, as XNNPACK packs them.
    assert weight.strides == (30, 1, 10, 2)
    np.testing.assert_array_equal(values(weight), values(ramp(4, 2, 3, 5)))
    np.testing.assert_array_equal(values(bias), values(ramp(4)))
    assert rest == [[2, 1], [1, 0], [1, 3], 2, None, None]
    assert lines(made) == [
        "%2 = prepacked::conv2d_clamp_run(%x, xnnpack.Conv2dOpContext)",
        "yield %2",
    ]


def test_a_transposed_convolution_is_packed():
    made = graph(
        """
        (%self, %x: Tensor float32 ?,?,?,?)
        %y = aten::conv_transpose2d.input(%x, W, B, [2, 3], [1, 0], [1, 2], 2, [1, 4])
        yield %y
        """,
        W=ramp(4, 3, 3, 5),
        B=ramp(6),
    )
    assert prepack(made, SCHEMAS).changed == 1
    assert context(made, "xnnpack.TransposeConv2dOpContext")[2:] == (
        [2, 3], [1, 0], [1, 2], [1, 4], 2, None, None,
    )  # fmt: skip


def test_a_linear_layer_is_packed():
    made = graph("(%self, %x: Tensor)\n%y = aten::linear(%x, W, None)\nyield %y", W=ramp(4, 3))
    assert prepack(made, SCHEMAS).changed == 1
    assert context(made, "xnnpack.LinearOpContext")[1:] == (None, None, None)


@pytest.mark.parametrize(
    ("given", "format_", "copies"),
    [
        ("%x: Tensor float32 ?,?,?,8", "", 1),
        ("%x: Tensor float32 ?,?,8", "", 0),
        ("%x: Tensor", "", 1),
        ("%x: Tensor float32 ?,?", "", 0),
        # Channels last, where it is not known how many dimensions there are.
        ("%x: Tensor", "%a = aten::contiguous(%x, 2)", 1),
    ],
)
def test_a_packed_linear_layer_gets_rows(given: str, format_: str, copies: int):
    made = graph(
        f"(%self, {given})\n{format_}\n%y = aten::linear(%{'a' if format_ else 'x'}, W, None)\n"
        "%z = aten::linear(%y, U, None)\nyield %z",
        W=ramp(5, 8),
        U=ramp(5, 5),
    )
    assert prepack(made, SCHEMAS).changed == 2
    # What a packed layer has made are rows already.
    found = [node for node in made.block.nodes if node.operator == "aten::contiguous"]
    assert [node.inputs[1].constant for node in found] == [2] * bool(format_) + [0] * copies
    check_graph(made)


def test_a_convolution_over_one_dimension_is_one_over_two():
    made = graph(
        "(%self, %x: Tensor float32 ?,?,?)\n"
        "%y = aten::conv1d(%x, W, None, [2], [1], [3], 1)\nyield %y",
        W=ramp(4, 2, 5),
    )
    prepack(made, SCHEMAS)
    weight, *rest = context(made)
    assert isinstance(weight, Tensor)
    assert weight.sizes == (4, 2, 1, 5)
    assert rest == [None, [1, 2], [0, 1], [1, 3], 1, None, None]
    assert lines(made) == [
        "%2 = aten::unsqueeze(%x, 2)",
        "%3 = prepacked::conv2d_clamp_run(%2, xnnpack.Conv2dOpContext)",
        "%4 = aten::squeeze.dim(%3, 2)",
        "yield %4",
    ]


def test_a_norm_of_images_is_a_convolution_of_each_channel():
    made = graph(f"(%self, %x: Tensor float32 ?,4,?,?)\n%y = {norm('x')}\nyield %y")
    assert prepack(made, SCHEMAS).changed == 1
    weight, bias, *rest = context(made)
    np.testing.assert_array_equal(values(weight), SCALE.astype(np.float32).reshape(4, 1, 1, 1))
    np.testing.assert_array_equal(values(bias), SHIFT.astype(np.float32))
    assert rest == [[1, 1], [0, 0], [1, 1], 4, None, None]


@pytest.mark.parametrize("given", ["float32 ?,4,?", "?", "float64 ?,4,?,?"])
def test_a_norm_of_something_else_stays(given: str):
    made = graph(f"(%self, %x: Tensor {given})\n%y = {norm('x')}\nyield %y")
    assert prepack(made, SCHEMAS).left


REFUSED = [
    ("float32 4,8,8", "aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 1], 1)"),
    ("float64 1,4,8,8", "aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 1], 1)"),
    ("float32 1,4,0,8", "aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 1], 1)"),
    ("?", "aten::conv2d(%x, %w, None, [1, 1], [0, 0], [1, 1], 1)"),
    ("?", "aten::conv2d(%x, D, None, [1, 1], [0, 0], [1, 1], 1)"),
    ("?", "aten::conv2d(%x, W, B, [1, 1], [0, 0], [1, 1], 1)"),
    ("?", "aten::conv2d(%x, W, %w, [1, 1], [0, 0], [1, 1], 1)"),
    ("?", "aten::conv2d(%x, W, None, [0, 1], [0, 0], [1, 1], 1)"),
    ("?", "aten::conv2d(%x, W, None, [1, 1], [-1, 0], [1, 1], 1)"),
    ("?", "aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 1], 3)"),
    ("?", "aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 65536], 1)"),
    ("?", "aten::conv_transpose2d.input(%x, W, None, [1, 1], [0, 0], [1, 1], 1, [1, 1])"),
    ("?", "aten::linear(%x, D, None)"),
    ("?", "aten::linear(%x, L, W)"),
    ("int64 2,4", "aten::linear(%x, L, None)"),
]


@pytest.mark.parametrize(("given", "line"), REFUSED)
def test_what_xnnpack_does_not_take_stays(given: str, line: str):
    made = graph(
        f"(%self, %x: Tensor {given}, %w: Tensor)\n%y = {line}\nyield %y",
        W=ramp(4, 4, 3, 3),
        L=ramp(4, 4),
        B=ramp(5),
        D=tensor(*range(4), shape=(1, 4, 1, 1), dtype="float64"),
    )
    before = lines(made)
    prepack(made, SCHEMAS)
    assert lines(made) == before


def test_equal_layers_share_their_packed_weights():
    made = graph(
        """
        (%self, %x: Tensor)
        %y = aten::linear(%x, W, None)
        %z = aten::linear(%y, W, None)
        yield %z
        """,
        W=ramp(4, 4),
    )
    prepack(made, SCHEMAS)
    first, second = [n for n in made.block.nodes if n.operator.startswith("prepacked")]
    assert first.inputs[1].constant is second.inputs[1].constant


# Clamps

CLAMPS = [
    ("aten::relu(%y)", (0.0, None)),
    ("aten::relu_(%y)", (0.0, None)),
    ("aten::relu6(%y)", (0.0, 6.0)),
    ("aten::hardtanh(%y, -2, 2.5)", (-2.0, 2.5)),
    ("aten::hardtanh_(%y, -1.0, 1.0)", (-1.0, 1.0)),
    ("aten::clamp(%y, 0, None)", (0.0, None)),
    ("aten::clamp(%y, None, 3)", (None, 3.0)),
    ("aten::clamp_min(%y, 1)", (1.0, None)),
    ("aten::clamp_max_(%y, 1)", (None, 1.0)),
    ("aten::clamp(%y, 1, 1)", None),
    ("aten::clamp_min(%y, 1e39)", None),
    ("aten::clamp_max(%y, -1e39)", None),
    ("aten::clamp(%y, 1.0, 1.00000001)", None),
    ("aten::clamp(%y, 2, 1)", None),
    ("aten::clamp(%y, %a, 1)", None),
    ("aten::leaky_relu(%y, 0.1)", None),
]


def packed(text: str, **names: object) -> Graph:
    made = graph(text, **names)
    prepack(made, SCHEMAS)
    return made


@pytest.mark.parametrize(("line", "limits"), CLAMPS)
def test_clamps(line: str, limits: tuple[object, object] | None):
    made = packed(
        f"(%self, %x: Tensor, %a: float)\n%y = aten::linear(%x, W, None)\n%z = {line}\nyield %z",
        W=ramp(4, 3),
    )
    assert bool(fuse_clamps(made, SCHEMAS).changed) == (limits is not None)
    check_graph(made)
    last = made.block.outputs[0].producer
    assert last is not None
    if limits is None:
        assert not last.operator.startswith("prepacked")
    else:
        assert last.inputs[1].constant.state[2:] == limits


def test_clamps_behind_clamps_and_behind_one_dimension():
    made = packed(
        """
        (%self, %x: Tensor float32 ?,?,?)
        %y = aten::conv1d(%x, W, None, [1], [0], [1], 1)
        %z = aten::relu(%y)
        %w = aten::clamp(%z, -1, 5)
        %v = aten::clamp(%w, 6, 7)
        yield %v
        """,
        W=ramp(4, 2, 3),
    )
    assert fuse_clamps(made, SCHEMAS).changed == 2
    assert [line.split(" = ")[-1] for line in lines(made)][-3:] == [
        "aten::squeeze.dim(%4, 2)".replace("%4", lines(made)[-3].split("(")[1].split(",")[0]),
        f"aten::clamp({lines(made)[-3].split(' = ')[0]}, 6, 7)",
        f"yield {lines(made)[-2].split(' = ')[0]}",
    ]
    state = made.block.outputs[0].producer.inputs[0].producer.inputs[0].producer.inputs[1].constant
    assert state.state[-2:] == (0.0, 5.0)


@pytest.mark.parametrize("middle", ["%u = aten::cos(%y)", "%u = aten::add_.Tensor(%x, %x, 1)"])
def test_a_clamp_stays_if_something_else_needs_what_is_before(middle: str):
    made = packed(
        f"""
        (%self, %x: Tensor)
        %y = aten::linear(%x, W, None)
        {middle}
        %z = aten::relu(%y)
        yield %z, %u
        """,
        W=ramp(4, 4),
    )
    assert fuse_clamps(made, SCHEMAS).changed == 0


# Sums

SUMS = [
    ("add.Tensor(%a, %x, 1)", "relu", "aten::_add_relu.Tensor(%3, %x, 1)"),
    ("add.Tensor(%a, %x, 2)", "relu_", "aten::_add_relu.Tensor(%3, %x, 2)"),
    ("add_.Tensor(%a, %x, 1)", "relu", "aten::_add_relu_.Tensor(%3, %x, 1)"),
    # Others may see the sum before the relu.
    ("add_.Tensor(%x, %a, 1)", "relu_", None),
    ("add_.Tensor(%v, %x, 1)", "relu_", None),
    ("add.Tensor(%a, %i, 1)", "relu", None),
    ("sub.Tensor(%a, %x, 1)", "relu", None),
]


@pytest.mark.parametrize(("line", "clamp", "fused"), SUMS)
def test_sums(line: str, clamp: str, fused: str | None):
    made = graph(f"""
        (%self, %x: Tensor float32 2,3, %i: Tensor int64 2,3)
        %a = aten::cos(%x)
        %b = aten::sin(%x)
        %v = aten::view(%b, [2, 3])
        %s = aten::{line}
        %r = aten::{clamp}(%s)
        yield %r
    """)
    assert fuse_add_relu(made, SCHEMAS).changed == (fused is not None)
    found = lines(made)
    assert (fused in found[-2]) if fused else (clamp in found[-2])


def test_a_sum_that_is_used_elsewhere_stays():
    made = graph("""
        (%self, %x: Tensor float32 2,3)
        %s = aten::add.Tensor(%x, %x, 1)
        %r = aten::relu(%s)
        yield %r, %s
    """)
    assert fuse_add_relu(made, SCHEMAS).changed == 0


def test_a_sum_that_grows_in_a_loop_stays():
    made = graph("""
        (%self, %x: Tensor float32 2,3)
        %a = aten::cos(%x)
        %o = prim::Loop(2, True, %x)
            do(%i, %j)
                %s = aten::add_.Tensor(%a, %x, 1)
                %r = aten::relu(%s)
                yield True, %r
        yield %o
    """)
    for _, node in made.block.walk():
        for value in node.outputs if node.operator == "aten::add_.Tensor" else ():
            value.info = made.block.inputs[1].info
    assert fuse_add_relu(made, SCHEMAS).changed == 0


# Channel shuffles

SHUFFLE = """
    (%self, %x: Tensor float32 ?,8,?,?, %n: int)
    %b = aten::size.int(%x, 0)
    %s = aten::size(%x)
    %h = aten::__getitem__.t(%s, -2)
    %w = aten::size.int(%x, {w})
    %l = prim::ListConstruct(%b, {g}, 4, %h, %w)
    %y = aten::view(%x, %l)
    %t = aten::transpose.int(%y, {dims})
    %c = aten::contiguous(%t, 0)
    %m = prim::ListConstruct({first}, -1, %h, %w)
    %z = aten::view(%c, %m)
    %r = aten::relu(%z)
    yield %r
"""


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, True),
        ({"dims": "2, 1"}, True),
        ({"w": "-1"}, True),
        ({"g": "%n"}, False),
        ({"w": "2"}, False),
        ({"dims": "1, 3"}, False),
        ({"first": "%n"}, False),
    ],
)
def test_channel_shuffles(change: dict[str, str], found: bool):
    usual = {"w": "3", "g": "2", "dims": "1, 2", "first": "%b"}
    made = graph(SHUFFLE.format(**(usual | change)))
    assert bool(find_channel_shuffles(made, SCHEMAS).changed) == found
    assert any("aten::channel_shuffle(%x, 2)" in line for line in lines(made)) == found
