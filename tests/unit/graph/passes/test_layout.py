"""Images are kept as NHWC between operators of XNNPACK."""

from __future__ import annotations

import pytest

from builder.graph.graph import Graph
from builder.graph.passes.layout import keep_channels_last
from builder.graph.shapes import infer
from builder.graph.well_formed import check_graph
from builder.lite.objects import CustomObject, List
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph, write_graph

SCHEMAS = load_schemas()
ONES = List("List[int]", [1, 1])
ZEROS = List("List[int]", [0, 0])


def context(channels: int) -> CustomObject:
    state = (ramp(4, channels, 1, 1), None, ONES, ZEROS, ONES, 1, None, None)
    return CustomObject("xnnpack.Conv2dOpContext", state)


UP = CustomObject(
    "xnnpack.TransposeConv2dOpContext",
    (ramp(4, 4, 1, 1), None, ONES, ZEROS, ZEROS, ONES, 1, None, None),
)
LINEAR = CustomObject("xnnpack.LinearOpContext", (ramp(4, 4), None, None, None))
RUN = "prepacked::conv2d_clamp_run"


def run(text: str) -> tuple[Graph, tuple[str, ...]]:
    graph = read_graph(text, C=context(4), G=context(1), U=UP, L=LINEAR)
    infer(graph, SCHEMAS)
    found = keep_channels_last(graph, SCHEMAS)
    check_graph(graph)
    return graph, found.left


def lines(text: str) -> list[str]:
    graph, left = run(text)
    assert not left
    short = {
        "xnnpack.Conv2dOpContext": "C",
        "xnnpack.TransposeConv2dOpContext": "U",
        "xnnpack.LinearOpContext": "L",
    }
    found = write_graph(graph)
    for name, letter in short.items():
        found = [line.replace(name, letter) for line in found]
    return found


def behind(line: str, *, given: str = "%x: Tensor") -> list[str]:
    """Returns what stands behind two convolutions when `line` uses their result `%b`."""
    found = lines(f"""
        (%self, {given})
        %a = {RUN}(%x, C)
        %b = {RUN}(%a, C)
        {line}
    """)
    # The conversion of the input, and the two convolutions.
    return found[3:]


def test_the_input_is_converted_once_and_the_output_back():
    assert lines(f"""
        (%self, %x: Tensor)
        %a = {RUN}(%x, C)
        %b = {RUN}(%a, C)
        %c = aten::add.Tensor(%a, %b, 1)
        %d = {RUN}(%c, C)
        yield %d
    """) == [
        "%2 = aten::contiguous(%x, 2)",
        f"%3 = {RUN}(%2, C)",
        f"%4 = {RUN}(%3, C)",
        "%5 = aten::add.Tensor(%3, %4, 1)",
        f"%6 = {RUN}(%5, C)",
        "%7 = aten::contiguous(%6, 0)",
        "yield %7",
    ]


def test_one_convolution_does_not_pay():
    assert lines(f"(%self, %x: Tensor)\n%a = {RUN}(%x, C)\nyield %a") == [
        f"%2 = {RUN}(%x, C)",
        "yield %2",
    ]


def test_an_image_of_one_channel_is_both():
    assert lines(f"""
        (%self, %x: Tensor)
        %a = {RUN}(%x, G)
        %b = {RUN}(%a, C)
        yield %b
    """)[:3] == [
        f"%2 = {RUN}(%x, C)",
        "%3 = aten::contiguous(%2, 2)",
        f"%4 = {RUN}(%3, C)",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "aten::relu(%b)",
        "aten::leaky_relu_(%b, 0.1)",
        "aten::add.Scalar(%b, 1, 1)",
        "aten::mul.Tensor(%b, %b)",
        "aten::max_pool2d(%b, [2, 2], [2, 2], [0, 0], [1, 1], False)",
        "aten::channel_shuffle(%b, 2)",
    ],
)
def test_what_keeps_the_order_needs_no_conversion(line: str):
    found = behind(f"%c = {line}\n%d = {RUN}(%c, C)\n%e = aten::mean(%d, None)\nyield %c")
    assert found[:-3] == [f"%5 = {line.replace('%b', '%4')}", f"%6 = {RUN}(%5, C)"]


@pytest.mark.parametrize(
    "line",
    [
        "aten::add.Tensor(%b, %x, 1)",
        "aten::upsample_nearest2d(%b, [9, 9], None, None)",
        "aten::group_norm(%b, 2, None, None, 1e-05, True)",
        "prepacked::conv2d_transpose_clamp_run(%b, U)",
    ],
)
def test_what_may_change_the_order_is_converted_before_the_next_convolution(line: str):
    found = behind(f"%c = {line}\n%d = {RUN}(%c, C)\n%e = aten::mean(%d, None)\nyield %e")
    assert found[1:3] == ["%6 = aten::contiguous(%5, 2)", f"%7 = {RUN}(%6, C)"]


def test_a_view_becomes_a_reshape():
    assert behind("%c = aten::view(%b, [1, -1])\nyield %c")[0] == "%5 = aten::reshape(%4, [1, -1])"


def test_a_view_of_something_else_stays():
    assert behind("%c = aten::view(%x, [1, -1])\nyield %c")[0] == "%5 = aten::view(%x, [1, -1])"


@pytest.mark.parametrize(
    ("given", "converted"),
    [("float32 1,4,3,3", True), ("?", True), ("float32 4,4", False), ("float32 1,4,4", False)],
)
def test_linear_layers_get_rows(given: str, converted: bool):
    shape = {"float32 4,4": "[4, 4]", "float32 1,4,4": "[1, 4, 4]"}.get(given, "[1, 1, 4, 4]")
    given = "float32 1,4,2,2" if given.startswith("float32 1,4,3") else given
    found = behind(
        f"%c = aten::reshape(%b, {shape})\n%d = prepacked::linear_clamp_run(%c, L)\nyield %d"
    )
    assert ("aten::contiguous" in found[1]) == converted
    # The result of a linear layer is what it was.
    assert found[-1].startswith("yield")
    assert "aten::contiguous" not in found[-2]


def test_unknown_operators_and_containers_get_row_major_tensors():
    assert behind("%c = aten::median(%b)\n%t = prim::TupleConstruct(%b, %c)\nyield %t") == [
        "%5 = aten::contiguous(%4, 0)",
        "%6 = aten::median(%5)",
        "%7 = prim::TupleConstruct(%5, %6)",
        "yield %7",
    ]


def test_lists_for_cat_keep_the_order():
    assert behind(
        f"%l = prim::ListConstruct(%b, %b)\n%c = aten::cat(%l, 1)\n%d = {RUN}(%c, C)\nyield %d"
    ) == [
        "%5 = prim::ListConstruct(%4, %4)",
        "%6 = aten::cat(%5, 1)",
        f"%7 = {RUN}(%6, C)",
        "%8 = aten::contiguous(%7, 0)",
        "yield %8",
    ]


def test_branches_and_loops():
    assert behind(
        f"""%c = prim::If(%f)
          then
            %d = aten::relu(%b)
            yield %d
          else
            yield %b
        %e = prim::Loop(3, True, %c)
          do(%i, %g)
            %h = {RUN}(%g, C)
            yield True, %h
        yield %e""",
        given="%x: Tensor, %f: bool",
    ) == [
        "%6 = prim::If(%f)",
        "  block()",
        "    %7 = aten::relu(%5)",
        "    yield %7",
        "  block()",
        "    yield %5",
        "%8 = aten::contiguous(%6, 0)",
        "%9 = prim::Loop(3, True, %8)",
        "  block(%10, %11)",
        "    %12 = aten::contiguous(%11, 2)",
        f"    %13 = {RUN}(%12, C)",
        "    %14 = aten::contiguous(%13, 0)",
        "    yield True, %14",
        "yield %9",
    ]


@pytest.mark.parametrize(
    ("line", "obstacle"),
    [
        ("%c = aten::flatten.using_ints(%b, 1, -1)\n%d = aten::zero_(%c)\nyield %b", "in place"),
        ("%c = aten::view(%b, [4])\n%d = aten::zero_(%b)\nyield %c", "in place"),
        ("%c = aten::stride(%x)\nyield %c", "strides"),
        ("%c = aten::chunk(%b, 2, 1)\nyield %c", "in a list"),
        ("%c = custom::operator(%b)\nyield %c", "not known"),
    ],
)
def test_obstacles(line: str, obstacle: str):
    text = f"(%self, %x: Tensor)\n%a = {RUN}(%x, C)\n%b = {RUN}(%a, C)\n{line}"
    before = write_graph(read_graph(text, C=context(4)))
    graph, left = run(text)
    assert obstacle in left[0]
    assert write_graph(graph) == before


@pytest.mark.parametrize(
    "lines_",
    [
        ("%c = aten::ravel(%b)", "%d = aten::add_.Scalar(%c, 1, 1)"),
        ("%c = aten::unfold(%b, 3, 2, 2)", "%d = aten::add_.Scalar(%c, 1, 1)"),
        ("%c = aten::ravel(%b)", "%d = aten::add_.Scalar(%b, 1, 1)"),
        ("%c = prim::TupleConstruct(%b)", "%d = aten::add_.Scalar(%b, 1, 1)"),
    ],
)
def test_what_a_later_change_would_tell_from_its_copy_is_an_obstacle(lines_: tuple[str, str]):
    def left(*middle: str) -> tuple[str, ...]:
        text = "\n".join(f"        {line}" for line in middle)
        _, found = run(
            f"""
        (%self, %x: Tensor)
        %a = {RUN}(%x, C)
        %b = {RUN}(%a, C)
{text}
        yield %b, %c
            """
        )
        return found

    assert ["something else keeps or views" in one for one in left(*lines_)] == [True]
    # A change that comes first is in the copy too.
    assert left("%d = aten::add_.Scalar(%b, 1, 1)", lines_[0]) == ()


def test_a_change_before_a_reshape_is_no_obstacle():
    assert behind("%c = aten::relu_(%b)\n%d = aten::flatten.using_ints(%c, 1, -1)\nyield %d")


def test_changed_tensors_are_converted_each_time():
    found = lines(f"""
        (%self, %x: Tensor)
        %y = aten::clone(%x, None)
        %a = {RUN}(%y, C)
        %w = aten::zero_(%y)
        %b = {RUN}(%y, C)
        %c = aten::add.Tensor(%a, %b, 1)
        %s = aten::sum(%c, None)
        yield %s
    """)
    assert sum("aten::contiguous(%2, 2)" in line for line in found) == 2


def test_chunks_are_unpacked_and_used():
    found = behind(f"""%l = aten::chunk(%b, 2, 1)
        %c, %d = prim::ListUnpack(%l)
        %e = {RUN}(%c, C)
        yield %e, %d""")
    assert found == [
        "%5 = aten::chunk(%4, 2, 1)",
        "%6, %7 = prim::ListUnpack(%5)",
        "%8 = aten::contiguous(%6, 2)",
        f"%9 = {RUN}(%8, C)",
        "%10 = aten::contiguous(%9, 0)",
        "%11 = aten::contiguous(%7, 0)",
        "yield %10, %11",
    ]


@pytest.mark.parametrize("state", [(), None, (ramp(4, 4, 1, 1),), (3,) * 8])
def test_damaged_packed_weights_are_passed_on(state: object):
    damaged = CustomObject("xnnpack.Conv2dOpContext", state)
    graph = read_graph(
        f"(%self, %x: Tensor)\n%a = {RUN}(%x, D)\n%b = {RUN}(%a, D)\nyield %b", D=damaged
    )
    assert keep_channels_last(graph, SCHEMAS).changed == 2
    check_graph(graph)
