"""Writes the instructions of one function."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from builder.core.operator_schemas import Schemas
from builder.graph.encode import Encoder
from builder.graph.graph import CONSTANT, IF, LOOP, Block, Graph, Node, Value
from builder.graph.placing import MOST_REGISTERS, Registers, count_uses, find_inline
from builder.lite.model import Function, Instruction

_Steps = Generator["_Steps", None, None]
"""What is still to be written: each generator yields others that come first. So the nesting of a
model does not nest calls of Python."""


def emit_function(
    graph: Graph, schemas: Schemas, operator_version: int, bytecode_version: int
) -> Function:
    """Returns the bytecode of a graph; raises ModelError as `lower_program` does."""
    return _Emitter(graph, Encoder(graph.name, schemas, operator_version, bytecode_version)).emit()


@dataclass(slots=True, eq=False)
class _Emitter:
    graph: Graph
    encoder: Encoder
    code: list[Instruction] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    handle: int = -1
    registers: Registers = field(default_factory=Registers)
    places: dict[Value, int] = field(default_factory=dict)
    """The register of each value that is in one."""
    depths: dict[Value, int] = field(default_factory=dict)
    """How many nodes surround the block of each value that is in a register."""
    around: list[list[Value]] = field(default_factory=list)
    """For each node that surrounds the current block: values whose last use was inside of it."""
    uses: dict[Value, int] = field(default_factory=dict)
    """How many uses of each value are still to come."""
    inline: set[Node] = field(default_factory=set)

    def emit(self) -> Function:
        graph = self.graph
        self.uses = count_uses(graph, self.encoder.inputs)
        self.inline = find_inline(graph, self.encoder.inputs, self.uses)
        _run(self._block(graph.block))
        self.handle = -1
        self._write("RET")
        if self.registers.size > MOST_REGISTERS:
            raise self.encoder.refuse(f"it needs more than {MOST_REGISTERS:,} registers")
        known = any(handle != -1 for handle in self.handles)
        arguments = graph.arguments
        typed = all(argument.type for argument in arguments)
        return Function(
            name=graph.name,
            instructions=tuple(self.code),
            callees=tuple(self.encoder.callees),
            constants=tuple(self.encoder.constants),
            types=tuple(self.encoder.types),
            registers=self.registers.size,
            # Where a file of an old version did not tell them, no types are written either.
            arguments=arguments if typed else None,
            results=graph.results if typed else None,
            debug_handles=tuple(self.handles) if known else None,
        )

    # Blocks and nodes

    def _block(self, block: Block) -> _Steps:
        self._store(block.inputs)
        for node in block.nodes:
            # Constants are loaded where they are used, and inline nodes are written by their user.
            if node.operator != CONSTANT and node not in self.inline:
                yield self._node(node)
                self._store(node.outputs)
                self.handle = -1
        for value in block.outputs:
            yield from self._use(value)

    def _node(self, node: Node) -> _Steps:
        """Writes a node with the nodes that leave their outputs on the stack for it."""
        self.handle = node.debug_handle
        # The lite interpreter counts turns in a value on the stack, which starts with 0.
        if node.operator == LOOP:
            self._write("LOADC", self.encoder.constant(0))
        for value in self.encoder.inputs(node):
            self.handle = node.debug_handle
            yield from self._use(value)
        self.handle = node.debug_handle
        if node.operator == IF:
            yield self._if(node)
        elif node.operator == LOOP:
            yield self._loop(node)
        else:
            step = self.encoder.encode(node)
            self._write(step.opcode, step.x, step.n)

    def _use(self, value: Value) -> _Steps:
        """Puts a value onto the stack."""
        producer = value.producer
        if producer is not None and producer.operator == CONSTANT:
            self._write("LOADC", self.encoder.constant(producer.attributes["value"]))
            return
        if producer in self.inline:
            # Its result has one use, so it goes to the stack without a register.
            yield self._node(producer)
            return
        register = self.places[value]
        self.uses[value] -= 1
        last = not self.uses[value]
        depth = self.depths[value]
        if last and depth == len(self.around):
            self._write("MOVE", register)
            self.registers.release(register)
            return
        self._write("LOAD", register)
        if last:
            # A loop may read it again, and the other branch does not clear it.
            self.around[depth].append(value)

    def _if(self, node: Node) -> _Steps:
        # The distance is not known before the block is written; `_patch` fills it in.
        start = self._write("JF")
        self.around.append([])
        yield self._block(node.blocks[0])
        self.handle = node.debug_handle
        skip = self._write("JMP")
        self._patch(start, len(self.code) - start)
        yield self._block(node.blocks[1])
        self.handle = node.debug_handle
        self._patch(skip, len(self.code) - skip)
        self._clear(self.around.pop())

    def _loop(self, node: Node) -> _Steps:
        start = self._write("LOOP", 0, self.encoder.number(len(node.inputs)))
        self.around.append([])
        yield self._block(node.blocks[0])
        self.handle = node.debug_handle
        self._write("JMP", start - len(self.code))
        self._patch(start, len(self.code) - start)
        self._clear(self.around.pop())

    def _clear(self, values: Sequence[Value]) -> None:
        for value in values:
            self._write("DROPR", self.places[value])
            self.registers.release(self.places[value])

    def _store(self, values: Sequence[Value]) -> None:
        """Stores what is on the stack in registers; drops what nobody uses."""
        if len(values) == 1 and not self.uses.get(values[0]):
            self._write("DROP")
            return
        if not values:
            return
        # STOREN writes to registers in a row.
        first = self.registers.take(self.encoder.number(len(values)))
        if len(values) == 1:
            self._write("STORE", first)
        else:
            self._write("STOREN", first, len(values))
        for register, value in enumerate(values, first):
            self.places[value] = register
            self.depths[value] = len(self.around)
        # They are stored first, since one instruction stores all results of a node.
        self._clear([value for value in values if not self.uses.get(value)])

    # Writing

    def _write(self, opcode: str, x: int = 0, n: int = 0) -> int:
        self.code.append(Instruction(opcode, x, n))
        self.handles.append(self.handle)
        return len(self.code) - 1

    def _patch(self, index: int, distance: int) -> None:
        step = self.code[index]
        self.code[index] = Instruction(step.opcode, distance, step.n)


def _run(steps: _Steps) -> None:
    waiting = [steps]
    while waiting:
        try:
            waiting.append(next(waiting[-1]))
        except StopIteration:
            waiting.pop()
