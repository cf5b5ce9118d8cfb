"""The graph of a function: values, nodes and blocks in static single assignment form.

The names of nodes are those of TorchScript. An operator keeps its own name with its overload, such
as `aten::add.Tensor`. These are not operators of ATen:

| node | inputs | attributes | outputs |
|---|---|---|---|
| `prim::Constant` | | `value` | the value |
| `prim::If` | condition | | what both blocks yield |
| `prim::Loop` | largest number of turns, condition, carried values | | carried values |
| `prim::GetAttr` | object | `slot` | the attribute |
| `prim::SetAttr` | object, value | `slot` | |
| `prim::ListConstruct`, `prim::DictConstruct` | items; keys and values in turn | `type` | one |
| `prim::TupleConstruct` | items | `type` for a named tuple | the tuple |
| `prim::ListUnpack` | list | | the items |
| `prim::TupleSlice` | tuple | `begin`, `end` | a tuple |
| `prim::TupleIndex`, `prim::DictIndex` | container, index | | the item |
| `prim::CreateObject` | | `type` | the object |
| `prim::isinstance` | value | `types` | a bool |
| `prim::CallMethod` | object, arguments | `name` | results |
| `prim::CallFunction` | arguments | `name` | results |
| `prim::Enter`, `prim::Exit` | object | | what `__enter__` gives; nothing |
| `prim::RaiseException` | message | | |
| `prim::Uninitialized` | | | a value that nothing reads |

The blocks of a `prim::If` have no inputs: the first runs if the condition is true. The block of a
`prim::Loop` has the number of the turn and the carried values as inputs, and yields the condition
for the next turn and the carried values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from builder.lite.model import Argument

CONSTANT = "prim::Constant"
IF = "prim::If"
LOOP = "prim::Loop"
GET_ATTR = "prim::GetAttr"
SET_ATTR = "prim::SetAttr"


MOST_DIMENSIONS = 64
"""Reductions and views with named dimensions take no more in ATen (`dim_bitset_size`)."""
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What is known about a tensor before the model runs.

    A size that no tensor can have becomes None, as do sizes of more than 64 dimensions. So what
    rules about shapes compute cannot grow from node to node.
    """

    dtype: str | None = None
    """Scalar type; None if it is unknown."""
    sizes: tuple[int | None, ...] | None = None
    """None in the place of a size that depends on the inputs; None for an unknown rank."""

    def __post_init__(self) -> None:
        if self.sizes is None:
            return
        sizes = None
        if len(self.sizes) <= MOST_DIMENSIONS:
            sizes = tuple(map(_possible_size, self.sizes))
        # The class is frozen; this is the only way to normalise a field.
        object.__setattr__(self, "sizes", sizes)


def _possible_size(size: int | None) -> int | None:
    return size if size is not None and 0 <= size <= _LARGEST else None


@dataclass(slots=True, eq=False)
class Value:
    """What a node makes and other nodes use. Two values are one only if they are one object."""

    type: str = ""
    """In TorchScript's syntax, such as `Optional[Tensor]`; empty if it is unknown."""
    info: TensorInfo | None = None
    """Of a tensor."""
    name: str = ""
    """A hint for people; names need not be unique, and printing makes them so."""
    producer: Node | None = None
    """None for an input of a block."""

    @property
    def constant(self) -> object:
        """The value itself, of the output of a `prim::Constant`.

        Raises:
            ValueError: the value is not constant; `is_constant` tells.
        """
        if not self.is_constant:
            raise ValueError("the value is not a constant")
        assert self.producer is not None
        return self.producer.attributes["value"]

    @property
    def is_constant(self) -> bool:
        """Whether a `prim::Constant` makes this value."""
        return self.producer is not None and self.producer.operator == CONSTANT


@dataclass(slots=True, eq=False)
class Node:
    """One step: an operator, or a construct of the language (see the table of this module)."""

    operator: str
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    attributes: dict[str, object] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    debug_handle: int = -1
    """Key of the debug map; -1 if there is none."""

    def __post_init__(self) -> None:
        for output in self.outputs:
            # A value knows its producer, and not its users: users change often, and `Graph.uses`
            # finds them for all values in one walk.
            output.producer = self

    @property
    def output(self) -> Value:
        """The only output."""
        (output,) = self.outputs
        return output

    def add_output(self, value: Value) -> Value:
        """Adds `value` as the last output, and returns it."""
        value.producer = self
        self.outputs.append(value)
        return value


@dataclass(slots=True, eq=False)
class Block:
    """A list of nodes that run in order."""

    inputs: list[Value] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[Block, Node]]:
        """Yields each node with the block that it stands in, outer nodes before inner ones.

        Nodes may be added to or removed from a block once the walk has passed that block.
        """
        waiting = [self]
        while waiting:
            block = waiting.pop()
            # The copy lets the caller change the list while the walk is in it.
            for node in tuple(block.nodes):
                yield block, node
                waiting.extend(node.blocks)


@dataclass(slots=True, eq=False, kw_only=True)
class Graph:
    """A function as a graph; the inputs of `block` are its arguments, with `self` first."""

    name: str
    """Qualified name, such as `__torch__.Net.forward`."""
    block: Block = field(default_factory=Block)
    arguments: tuple[Argument, ...]
    results: tuple[Argument, ...]

    def uses(self) -> dict[Value, list[tuple[Node | Block, int]]]:
        """Returns where each value is used: in which input of a node, or output of a block."""
        found: dict[Value, list[tuple[Node | Block, int]]] = {}
        blocks = [self.block]
        while blocks:
            block = blocks.pop()
            for index, value in enumerate(block.outputs):
                found.setdefault(value, []).append((block, index))
            for node in block.nodes:
                blocks.extend(node.blocks)
                for index, value in enumerate(node.inputs):
                    found.setdefault(value, []).append((node, index))
        return found

    def replace(self, value: Value, by: Value) -> None:
        """Uses `by` wherever `value` is used; the producer of `value` stays."""
        for user, index in self.uses().get(value, ()):
            values = user.outputs if isinstance(user, Block) else user.inputs
            values[index] = by
