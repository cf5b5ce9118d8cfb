"""Packed layers store their results like their inputs, which no view may meet."""

from __future__ import annotations

import pytest

from builder.graph.passes.settle_strides import settle_strides
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import read_graph

SCHEMAS = load_schemas()
TRANSPOSED = "%y = prepacked::conv2d_transpose_clamp_run(%x, %o)"
PLAIN = "%y = prepacked::conv2d_clamp_run(%x, %o)"
OVER_ONE = """%u = aten::unsqueeze(%x, 2)
%w = prepacked::conv2d_clamp_run(%u, %o)
%y = aten::squeeze.dim(%w, 2)"""
VIEW = "%v = aten::view(%y, [2, -1])"


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([PLAIN, VIEW], ["reshape"]),
        ([PLAIN, "%r = aten::relu(%y)", "%v = aten::view_as(%r, %x)"], ["reshape_as"]),
        ([TRANSPOSED, VIEW], ["reshape"]),
        ([OVER_ONE, VIEW], ["reshape"]),
        # A view that does not come from a layer.
        ([TRANSPOSED, "%v = aten::view(%x, [2, -1])"], ["view"]),
        (["%y = aten::relu(%x)", VIEW], ["view"]),
        # A view is changed in place, so it has to stay one.
        ([TRANSPOSED, VIEW, "%z = aten::relu_(%v)"], ["contiguous", "view"]),
        ([OVER_ONE, VIEW, "%z = aten::relu_(%y)"], ["contiguous", "view"]),
        # Results of ATen's own layer are stored like the input too.
        ([PLAIN, VIEW, "%z = aten::relu_(%v)"], ["view"]),
        ([TRANSPOSED, "%v = aten::flatten.using_ints(%y, 1, -1)"], []),
        (
            [TRANSPOSED, "%v = aten::flatten.using_ints(%y, 1, -1)", "%z = aten::relu_(%v)"],
            ["contiguous"],
        ),
        ([TRANSPOSED, "%v = aten::stride.int(%y, 1)"], ["contiguous"]),
        ([TRANSPOSED, "%v = some::operator(%y)"], ["contiguous"]),
        ([PLAIN, "%v = aten::stride.int(%y, 1)"], []),
    ],
)
def test_what_depends_on_the_order_in_memory(steps: list[str], wanted: list[str]):
    graph = read_graph("\n".join(["(%self, %x: Tensor, %o)", *steps, "yield %v"]))
    settle_strides(graph, SCHEMAS)
    names = [node.operator.removeprefix("aten::") for node in graph.block.nodes]
    looked_at = ("view", "reshape", "reshape_as", "view_as", "contiguous")
    assert [name for name in names if name in looked_at] == wanted


def test_the_layer_is_read_through_its_rows():
    graph = read_graph(
        f"(%self, %x: Tensor, %o)\n{TRANSPOSED}\n%s = aten::stride.int(%y, 1)\nyield %y"
    )
    assert settle_strides(graph, SCHEMAS).changed == 1
    *_, stride = graph.block.nodes
    assert stride.inputs[0] is graph.block.outputs[0]
    assert stride.inputs[0].producer is not None
    assert stride.inputs[0].producer.operator == "aten::contiguous"


def test_views_in_loops_and_of_lists():
    graph = read_graph(
        f"""
        (%self, %x: Tensor, %o)
        {TRANSPOSED}
        %l = prim::ListConstruct(%y, %x)
        %c = aten::cat(%l, 0)
        %d = prim::Loop(3, True, %x)
          do(%i, %e)
            %f = aten::view(%e, [2, -1])
            %g = aten::add.Tensor(%f, %c, 1)
            yield True, %g
        yield %d
        """
    )
    assert settle_strides(graph, SCHEMAS).changed == 1
    assert graph.block.nodes[-1].blocks[0].nodes[-2].operator != "aten::view"
