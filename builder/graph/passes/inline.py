"""Puts the graphs of methods and functions where they are called."""

from __future__ import annotations

from collections import Counter

from builder.graph.attributes import find_objects
from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.operands import CALLS
from builder.graph.passes.pass_result import PassResult, describe
from builder.graph.program import Program
from builder.graph.rewriting import MOST_NESTED, Rewriter, nesting
from builder.lite.objects import ScriptObject

_MOST_NODES = 100_000
"""Nodes that are copied, in all graphs together: calls of calls can double them each time."""
_DEEPEST = 32
"""Calls inside of calls."""


def inline(program: Program) -> PassResult:
    """Replaces calls of known methods and functions by the nodes of their graphs.

    A reason to leave it out: a function that is called often is stored once for each call.
    """
    inliner = _Inliner(program)
    changed = 0
    for graph in program.graphs.values():
        # A call may bring calls with it. A function that calls itself in a circle ends here.
        for _ in range(_DEEPEST):
            times = inliner.inline_once(graph)
            changed += times
            if not times:
                break
    return PassResult(changed, describe(inliner.reasons))


def copy_block(block: Block, copies: dict[Value, Value]) -> Block:
    """Returns a copy of `block`; `copies` has what stands for the values from outside of it."""
    inputs = [_copy_value(value, copies) for value in block.inputs]
    nodes = []
    for node in block.nodes:
        given = [copies.get(value, value) for value in node.inputs]
        blocks = [copy_block(inner, copies) for inner in node.blocks]
        made = [_copy_value(value, copies) for value in node.outputs]
        nodes.append(
            Node(
                node.operator,
                given,
                made,
                dict(node.attributes),
                blocks,
                debug_handle=node.debug_handle,
            )
        )
    return Block(inputs, nodes, [copies.get(value, value) for value in block.outputs])


def _copy_value(value: Value, copies: dict[Value, Value]) -> Value:
    copies[value] = Value(type=value.type, info=value.info, name=value.name)
    return copies[value]


class _Inliner:
    def __init__(self, program: Program) -> None:
        self.reasons: Counter[str] = Counter()
        self._program = program
        self._left = _MOST_NODES
        self._sizes = {name: _count(graph) for name, graph in program.graphs.items()}
        self._nesting = {name: nesting(graph) for name, graph in program.graphs.items()}

    def inline_once(self, graph: Graph) -> int:
        """Inlines the calls in a graph, but not those that come with them."""
        # Most graphs have no call after the first round, and the analysis below walks the whole
        # graph.
        if not any(node.operator in CALLS for _, node in graph.block.walk()):
            return 0
        objects = find_objects(graph, self._program.root)
        depths = _find_depths(graph)
        rewriter = Rewriter(graph)

        def rule(node: Node) -> list[Value] | None:
            if node.operator not in CALLS:
                return None
            name = _callee(node, objects)
            callee = None if name is None else self._program.graphs.get(name)
            if name is None or callee is None or not _fits(callee, node) or callee is graph:
                self.reasons["a call whose function is not in the file, or calls itself"] += 1
                return None
            if self._sizes[name] > self._left:
                self.reasons["a call of a function that is large, or is called often"] += 1
                return None
            if depths[node] + self._nesting[name] > MOST_NESTED:
                self.reasons["a call after which branches and loops would be nested too deep"] += 1
                return None
            self._left -= self._sizes[name]
            # The arguments take the place of the inputs.
            given = dict(zip(callee.block.inputs, node.inputs, strict=True))
            copied = copy_block(Block([], callee.block.nodes, callee.block.outputs), given)
            rewriter.splice(copied.nodes)
            return copied.outputs

        changed = rewriter.run(rule)
        # Others may call this graph, which is larger now.
        self._sizes[graph.name] = _count(graph)
        self._nesting[graph.name] = nesting(graph)
        return changed


def _count(graph: Graph) -> int:
    return sum(1 for _ in graph.block.walk())


def _find_depths(graph: Graph) -> dict[Node, int]:
    """Returns in how many blocks of other nodes each call stands."""
    depths = {graph.block: 0}
    found: dict[Node, int] = {}
    for block, node in graph.block.walk():
        if node.operator in CALLS:
            found[node] = depths[block]
        depths |= dict.fromkeys(node.blocks, depths[block] + 1)
    return found


def _fits(callee: Graph, node: Node) -> bool:
    return len(callee.block.inputs) == len(node.inputs) and len(callee.block.outputs) == len(
        node.outputs
    )


def _callee(node: Node, objects: dict[Value, ScriptObject]) -> str | None:
    name = node.attributes.get("name")
    if not isinstance(name, str) or (node.operator == "prim::CallMethod" and not node.inputs):
        return None
    if node.operator == "prim::CallFunction":
        return name
    # The method that runs is that of the object's class, which is known only for objects below the
    # root.
    owner = objects.get(node.inputs[0])
    return None if owner is None else f"{owner.class_name}.{name}"
