"""Each rule about graphs is checked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.program import Program
from builder.graph.well_formed import MalformedGraphError, check_graph, check_program
from builder.lite.model import Argument
from builder.lite.objects import ScriptObject


def make() -> Graph:
    x, flag = Value("Tensor"), Value("bool")
    one, other = Node("aten::relu", [x], [Value()]), Node("aten::neg", [x], [Value()])
    blocks = [Block([], [one], [one.output]), Block([], [other], [other.output])]
    branch = Node("prim::If", [flag], [Value()], {}, blocks)
    most = Node("prim::Constant", [], [Value()], {"value": 3})
    body = Block([Value(), Value()], [])
    body.outputs = [flag, body.inputs[1]]
    loop = Node("prim::Loop", [most.output, flag, branch.output], [Value()], {}, [body])
    return Graph(
        name="f",
        block=Block([x, flag], [branch, most, loop], [loop.output]),
        arguments=(Argument("x", "Tensor"), Argument("flag", "bool")),
        results=(Argument("", "Tensor"),),
    )


def test_a_good_graph():
    check_graph(make())


def nodes(graph: Graph) -> tuple[Node, Node, Node]:
    branch, most, loop = graph.block.nodes
    return branch, most, loop


def swap_order(graph: Graph) -> None:
    graph.block.nodes.reverse()


def use_inner(graph: Graph) -> None:
    graph.block.outputs = [nodes(graph)[0].blocks[0].nodes[0].output]


def use_other_branch(graph: Graph) -> None:
    branch = nodes(graph)[0]
    branch.blocks[1].outputs = branch.blocks[0].outputs


def use_own_output(graph: Graph) -> None:
    loop = nodes(graph)[2]
    loop.blocks[0].outputs[1] = loop.output


def define_twice(graph: Graph) -> None:
    graph.block.nodes.append(graph.block.nodes[0])


def define_in_two_nodes(graph: Graph) -> None:
    graph.block.nodes.append(Node("t::x", [], [graph.block.nodes[0].output]))


def wrong_producer(graph: Graph) -> None:
    graph.block.nodes[0].output.producer = None


def branch_with_one_block(graph: Graph) -> None:
    nodes(graph)[0].blocks.pop()


def branch_with_input(graph: Graph) -> None:
    nodes(graph)[0].blocks[0].inputs.append(Value())


def branch_without_result(graph: Graph) -> None:
    nodes(graph)[0].blocks[1].outputs.clear()


def loop_without_input(graph: Graph) -> None:
    nodes(graph)[2].inputs.pop()


def loop_without_condition(graph: Graph) -> None:
    nodes(graph)[2].blocks[0].outputs.pop()


def constant_without_value(graph: Graph) -> None:
    nodes(graph)[1].attributes.clear()


def operator_with_block(graph: Graph) -> None:
    nodes(graph)[0].blocks[0].nodes[0].blocks.append(Block())


def without_argument(graph: Graph) -> None:
    graph.arguments = graph.arguments[:1]


def without_result(graph: Graph) -> None:
    graph.block.outputs.clear()


@pytest.mark.parametrize(
    "spoil",
    [
        *(swap_order, use_inner, use_other_branch, use_own_output, define_twice),
        *(define_in_two_nodes, wrong_producer, branch_with_one_block, branch_with_input),
        *(branch_without_result, loop_without_input, loop_without_condition),
        *(constant_without_value, operator_with_block, without_argument, without_result),
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_rules(spoil: Callable[[Graph], None]) -> None:
    graph = make()
    spoil(graph)
    with pytest.raises(MalformedGraphError, match=r"^f: "):
        check_graph(graph)


def test_names_of_a_program() -> None:
    program = Program(root=ScriptObject("m"), graphs={"g": make()}, operator_version=10)
    with pytest.raises(MalformedGraphError, match="is called f"):
        check_program(program)
