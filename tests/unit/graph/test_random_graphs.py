"""Random graphs are equal after lowering and lifting, and lowering is deterministic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builder.core.operator_schemas import Schemas
from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.lift import lift_program
from builder.graph.lower import lower_program
from builder.graph.program import Program
from builder.graph.well_formed import check_graph
from builder.lite.model import Argument
from builder.lite.objects import ScriptObject
from tests.unit.graph.same import describe

SCHEMAS = Schemas(
    """\
t::make() -> Tensor
t::one(Tensor a) -> Tensor
t::two(Tensor a, Tensor b, *, Scalar alpha=1, bool[2] mask=True, float eps=1) -> Tensor
t::none(Tensor a) -> ()
t::pair(Tensor a) -> (Tensor, Tensor)
t::out(Tensor a, int n=3, *, Tensor(a!) out) -> Tensor(a!)
t::any(str self, ...) -> str
prim::TupleUnpack(Any tup) -> ...
"""
)
CONSTANTS = (None, True, False, 0, 1, 1.0, -0.0, 0.0, float("nan"), "", "x", 1 << 40)


class Builder:
    """Draws the nodes of a graph; `values` are those that may be used where it stands."""

    def __init__(self, draw: Callable[..., Any], budget: int) -> None:
        self.draw = draw
        self.left = budget

    def block(self, values: list[Value], depth: int, block: Block) -> Block:
        inside = [*values, *block.inputs]
        for _ in range(self.draw(st.integers(0, 6))):
            if self.left <= 0:
                break
            self.left -= 1
            node = self.node(inside, depth, block)
            node.debug_handle = self.draw(st.integers(-1, 3))
            block.nodes.append(node)
            inside.extend(node.outputs)
        self.inside = inside
        return block

    def outputs(self, block: Block, values: list[Value], count: int) -> None:
        block.outputs.extend(self.value(values, block) for _ in range(count))

    def value(self, values: list[Value], block: Block) -> Value:
        # Recent values are used in order most often, so that some stay on the stack.
        kind = self.draw(st.integers(0, 5))
        if kind == 0 or not values:
            return self.constant(block, self.draw(st.sampled_from(CONSTANTS)))
        if kind == 1:
            return self.draw(st.sampled_from(values))
        return values[-1 - self.draw(st.integers(0, min(3, len(values) - 1)))]

    def constant(self, block: Block, value: object) -> Value:
        node = Node("prim::Constant", outputs=[Value()], attributes={"value": value})
        block.nodes.append(node)
        return node.output

    def node(self, values: list[Value], depth: int, block: Block) -> Node:
        def some(count: int) -> list[Value]:
            return [self.value(values, block) for _ in range(count)]

        choices = [
            lambda: Node("t::make", [], [Value()]),
            lambda: Node("t::one", some(1), [Value()]),
            lambda: Node("t::two", self.two(some(2), block), [Value()]),
            lambda: Node("t::none", some(1)),
            lambda: Node("t::pair", some(1), [Value(), Value()]),
            lambda: Node("t::out", some(3), [Value()]),
            lambda: Node("t::any", some(self.draw(st.integers(1, 3))), [Value()]),
            # Not an empty one, which no code unpacks to values.
            lambda: Node("prim::TupleConstruct", some(self.draw(st.integers(1, 3))), [Value()]),
            lambda: Node("prim::TupleUnpack", some(1), self.fresh(1, 3)),
            lambda: Node("prim::ListUnpack", some(1), self.fresh(0, 3)),
            lambda: Node("prim::ListConstruct", some(2), [Value()], {"type": "List[int]"}),
            lambda: Node("prim::GetAttr", some(1), [Value()], {"slot": 2}),
            lambda: Node("prim::SetAttr", some(2), [], {"slot": 1}),
            lambda: Node("prim::isinstance", some(1), [Value()], {"types": ("int", "List[int]")}),
            lambda: Node("prim::CallMethod", some(2), [Value()], {"name": "step"}),
            lambda: Node("aten::dim", some(1), [Value()]),
            lambda: Node("prim::RaiseException", some(2)),
            lambda: Node("aten::warn", some(2), [], {"id": -1}),
        ]
        if depth < 4:
            choices += [lambda: self.branch(values, depth, some(1))] * 4
            choices += [lambda: self.loop(values, depth, some)] * 4
        return self.draw(st.sampled_from(choices))()

    def two(self, first: list[Value], block: Block) -> list[Value]:
        from builder.lite.objects import List

        rest = [
            self.draw(st.sampled_from([1, 2, 1.0])),
            List("List[bool]", [True, True]),
            self.draw(st.sampled_from([1.0, 2.0])),
        ]
        return first + [self.constant(block, one) for one in rest]

    def fresh(self, least: int, most: int) -> list[Value]:
        return [Value() for _ in range(self.draw(st.integers(least, most)))]

    def branch(self, values: list[Value], depth: int, condition: list[Value]) -> Node:
        outputs = self.fresh(0, 3)
        blocks = []
        for _ in range(2):
            block = self.block(values, depth + 1, Block())
            self.outputs(block, self.inside, len(outputs))
            blocks.append(block)
        return Node("prim::If", condition, outputs, {}, blocks)

    def loop(self, values: list[Value], depth: int, some: Callable[[int], list[Value]]) -> Node:
        outputs = self.fresh(0, 3)
        inputs = some(2 + len(outputs))
        body = Block([Value() for _ in range(1 + len(outputs))])
        self.block(values, depth + 1, body)
        self.outputs(body, self.inside, 1 + len(outputs))
        return Node("prim::Loop", inputs, outputs, {}, [body])


@st.composite
def graphs(draw: Callable[..., Any]) -> Graph:
    count = draw(st.integers(1, 3))
    arguments = tuple(Argument(f"a{n}", "Tensor") for n in range(count))
    block = Block([Value("Tensor", name=one.name) for one in arguments])
    builder = Builder(draw, budget=40)
    builder.block([], 0, block)
    builder.outputs(block, builder.inside, 1)
    return Graph(name="m.forward", block=block, arguments=arguments, results=(Argument("", ""),))


@settings(max_examples=300)
@given(graphs())
def test_lifting_undoes_lowering(graph: Graph) -> None:
    check_graph(graph)
    before = describe(graph)
    program = Program(root=ScriptObject("m"), graphs={graph.name: graph}, operator_version=10)
    model = lower_program(program, SCHEMAS)
    assert describe(graph) == before, "lowering changes no graph"
    lifted = lift_program(model, SCHEMAS)
    (found,) = lifted.graphs.values()
    check_graph(found)
    handles = any(step[-1] != -1 for step in before[-1] if len(step) == 5)
    assert describe(found) == before
    assert lower_program(lifted, SCHEMAS) == model
    assert (model.functions[0].debug_handles is not None) >= handles
