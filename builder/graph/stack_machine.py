"""The stack machine that runs on symbols: what `builder.graph.lift` knows at one instruction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from builder.core.operator_schemas import Schemas
from builder.errors import Hint, ModelError, Run
from builder.graph.graph import CONSTANT, Block, Node, Value
from builder.graph.members import Members
from builder.graph.merges import Merges
from builder.graph.types import info_of, type_of
from builder.lite.model import Function, Instruction
from builder.lite.objects import List

_Entry = TypeVar("_Entry")

_FREE_STEPS, _STEPS = 1_000_000, 64
"""Steps that the bytecode of a function may cause, and steps for each of its instructions."""


@dataclass(slots=True, eq=False)
class Frame:
    """A block while its instructions are read."""

    block: Block
    end: int
    """The index of the instruction behind the block."""
    node: Node | None = None
    """The `prim::If` or `prim::Loop`; None for the function itself."""
    stack: list[Value] = field(default_factory=list)
    before: dict[int, Value | None] = field(default_factory=dict)
    """What each register held before the block changed it; None: nothing that may be read."""
    first: Branch | None = None
    """For the second block of a `prim::If`: how the first one ended."""
    carried: dict[int, Value] = field(default_factory=dict)
    """For the block of a loop: the registers that it changes, with their values in a new turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """How a block ended."""

    stack: list[Value]
    registers: dict[int, Value | None]
    """What each register that the branch changed holds at its end."""


@dataclass(slots=True, eq=False)
class Machine:
    """The state while the instructions of one function are read, and what each of them may do."""

    function: Function
    schemas: Schemas
    members: Members
    version: int
    at: int = 0
    """Index of the instruction behind the one that is read."""
    frames: list[Frame] = field(default_factory=list)
    registers: dict[int, Value] = field(default_factory=dict)
    constants: dict[object, Node] = field(default_factory=dict)
    loaded: dict[int, Value] = field(default_factory=dict)
    """Number of a constant in the file -> its value."""
    merges: Merges = field(default_factory=Merges)
    left: int = field(init=False)
    """Steps that are left: work that grows faster than the code is counted."""

    def __post_init__(self) -> None:
        self.left = _FREE_STEPS + _STEPS * len(self.function.instructions)

    @property
    def frame(self) -> Frame:
        """The innermost block that is being read."""
        return self.frames[-1]

    def add(
        self,
        operator: str,
        inputs: list[Value],
        kinds: Sequence[str] = (),
        attributes: dict[str, object] | None = None,
        blocks: list[Block] | None = None,
    ) -> Node:
        """Adds a node with outputs of these types to the innermost block."""
        node = Node(
            operator,
            inputs,
            [Value(kind) for kind in kinds],
            attributes or {},
            blocks or [],
            self._handle(),
        )
        self.frame.block.nodes.append(node)
        return node

    def _handle(self) -> int:
        handles = self.function.debug_handles
        # A damaged file may have fewer handles than instructions; they only help to find a line of
        # the source.
        return -1 if handles is None or self.at > len(handles) else handles[self.at - 1]

    def push(self, node: Node) -> None:
        """Puts the outputs of a node onto the stack."""
        self.frame.stack.extend(node.outputs)

    def pop(self) -> Value:
        """Takes one value from the stack of the innermost block."""
        return self.pop_many(1)[0]

    def pop_many(self, count: int) -> list[Value]:
        """Takes values from the stack of the innermost block; the last one was on top."""
        stack = self.frame.stack
        if not 0 <= count <= len(stack):
            raise self.refuse("it takes more values than its block has made")
        first = len(stack) - count
        values = stack[first:]
        del stack[first:]
        return values

    def constant(self, value: object) -> Value:
        """Returns the value of a constant: one for all plain ones that are equal."""
        key: object = id(value)
        if isinstance(value, (type(None), bool, int, str)):
            # True, 1 and 1.0 are equal in Python and would otherwise become one constant.
            key = (type(value), value)
        elif isinstance(value, (float, complex)):
            # The text tells -0.0 from 0.0, and equals itself for nan.
            key = (type(value), repr(value))
        return self._keep(key, value)

    def default(self, value: object) -> Value:
        """Returns the value of a default; no operator changes a list that is a default."""
        if isinstance(value, List):
            # The type is a part of the key, since an empty list of ints equals one of floats.
            return self._keep((value.type, *value.items), value)
        return self.constant(value)

    def _keep(self, key: object, value: object) -> Value:
        if key not in self.constants:
            output = Value(type_of(value), info_of(value))
            self.constants[key] = Node(CONSTANT, [], [output], {"value": value})
        return self.constants[key].output

    def set(self, register: int, value: Value | None) -> None:
        """Gives a register a value, and notes what it held before the current block."""
        self.spend(1)
        # Only the first write in a block matters: it covers what the code behind the block saw
        # before.
        self.frame.before.setdefault(register, self.registers.get(register))
        self.restore(register, value)

    def restore(self, register: int, value: Value | None) -> None:
        """Gives a register a value; None: nothing that may be read."""
        if value is None:
            self.registers.pop(register, None)
        else:
            self.registers[register] = value

    def entry(self, table: Sequence[_Entry], index: int, what: str) -> _Entry:
        """Returns an entry of a table that an instruction refers to."""
        if not 0 <= index < len(table):
            raise self.refuse(f"there is no {what} {index}")
        return table[index]

    def find_step(self, index: int, opcode: str) -> Instruction | None:
        """Returns the instruction at `index` if it has this opcode."""
        step = self.function.instructions[index]
        return step if step.opcode == opcode else None

    def spend(self, steps: int) -> None:
        """Counts steps; raises ModelError when there are too many."""
        self.left -= steps
        if self.left < 0:
            raise self.refuse("it takes more steps to read than any code of its size")

    def refuse(self, why: str) -> ModelError:
        """Returns the error for code that cannot be read."""
        return ModelError(
            f"the bytecode of {self.function.name} cannot be read as a graph: {why} "
            # `at` is behind the instruction already, and 0 before the first one.
            f"(instruction {max(self.at - 1, 0)})",
            hint=Hint("export the model again with ", Run("export", ("SOURCE",))),
        )
