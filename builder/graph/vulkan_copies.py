"""Whether a model can tell a copy of a tensor on the other device from the tensor itself."""

from __future__ import annotations

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases, is_alone, is_silent, makes_new_memory
from builder.graph.effects import find_statistics
from builder.graph.graph import Block, Graph, Node, Value
from builder.graph.operands import Call

_STRIDED = frozenset({"aten::contiguous", "aten::flatten", "aten::reshape", "aten::reshape_as"})
"""Operators that make a view or a copy, and the strides decide which."""
_ASKING = frozenset(
    {
        "aten::as_strided",
        "aten::as_strided_",
        "aten::as_strided_copy",
        "aten::as_strided_scatter",
        "aten::is_contiguous",
        "aten::storage_offset",
        "aten::stride",
    }
)
"""Operators whose results depend on strides."""


class Copies:
    """Tells where memory may be copied that the model believes to be shared.

    A transfer makes a copy, and so does what makes a view on the CPU when it runs on the GPU. The
    rule: nothing writes into memory after it was copied, neither by the copy nor by the source, so
    both have the same elements for as long as the model runs. Memory that outlives the call is
    never written at all. What shares memory is what `Aliases` finds in the graph as it was; the
    copies are in the same set as their sources there, because it is asked for the values that the
    model has, and not for those that transfers make.
    """

    def __init__(self, graph: Graph, schemas: Schemas) -> None:
        self._schemas = schemas
        self._aliases = Aliases(graph, schemas)
        self._uses = {value: len(users) for value, users in graph.uses().items()}
        self._homes: dict[Node, Block] = {node: block for block, node in graph.block.walk()}

    def memory(self, value: Value) -> object:
        """Returns what stands for all values that may share memory with `value`."""
        return self._aliases.memory(value)

    def is_written(self, value: Value) -> bool:
        """Whether anything writes into what `value` refers to."""
        return self._aliases.is_written(value)

    def is_told_apart(self, value: Value, node: Node) -> bool:
        """Whether a write shows that `value` was copied, in front of `node` or by it."""
        return self._aliases.is_told_apart(value, node)

    def is_alone(self, value: Value, node: Node) -> bool:
        """Whether nothing but `node` can see a tensor that it changes in place."""
        uses, home = self._uses, self._homes
        return is_alone(value, node, self._schemas, lambda one: uses.get(one, 0), home.get)

    def makes_written_view(self, call: Call) -> bool:
        """Whether a call makes a view, and something writes into its memory later."""
        if not call.schema.is_pure or makes_new_memory(call):
            return False
        return any(self.is_told_apart(one, call.node) for one in call.node.outputs)

    def depends_on_strides(self, call: Call) -> bool:
        """Whether strides decide what a call on the CPU computes, or what later writes change.

        What comes from the GPU is contiguous there, whatever strides it had in the model.
        """
        if call.name in _ASKING:
            return True
        return (call.name in _STRIDED or is_silent(call)) and self.makes_written_view(call)


def writes(call: Call, index: int) -> bool:
    """Whether a call changes its input number `index`."""
    if call.schema.arguments[index].mutable:
        return True
    return any(value is call.node.inputs[index] for value in find_statistics(call))
