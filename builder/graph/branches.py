"""Finds the branches and loops of bytecode, and joins what their paths leave."""

from __future__ import annotations

from collections.abc import Callable

from builder.graph.graph import IF, LOOP, Block, Node, Value
from builder.graph.merges import forget_types, join
from builder.graph.stack_machine import Branch, Frame, Machine
from builder.lite.model import Instruction


def close_blocks(machine: Machine) -> None:
    """Ends the second blocks of `prim::If` that end here: no instruction marks their ends."""
    # Several of them can end at one place.
    while (frame := machine.frame).first is not None and frame.end == machine.at:
        _end_if(machine, frame, frame.first)


def _jump_if_false(machine: Machine, step: Instruction) -> None:
    frame = machine.frame
    condition = machine.pop()
    otherwise = machine.at - 1 + step.x
    # The block that runs if the condition holds ends with a jump over the other block.
    skip = machine.find_step(otherwise - 1, "JMP") if machine.at < otherwise <= frame.end else None
    end = 0 if skip is None else otherwise - 1 + skip.x
    # A jump to anywhere else has no form as nested blocks.
    if not otherwise <= end <= frame.end:
        raise machine.refuse("a branch has another form than upstream's")
    node = machine.add(IF, [condition], blocks=[Block(), Block()])
    machine.frames.append(Frame(node.blocks[0], otherwise - 1, node))


def _jump(machine: Machine, step: Instruction) -> None:
    frame = machine.frame
    # JMP ends a first branch or a turn of a loop; nothing else contains one.
    if frame.node is None or frame.first is not None or frame.end != machine.at - 1:
        raise machine.refuse("a jump belongs to no branch and no loop")
    if frame.node.operator == LOOP:
        _end_loop(machine, frame, frame.node)
        return
    machine.frames.pop()
    other = Frame(frame.node.blocks[1], machine.at - 1 + step.x, frame.node)
    other.first = _end_branch(machine, frame)
    machine.frames.append(other)


def _end_branch(machine: Machine, frame: Frame) -> Branch:
    """Returns how a branch ended, and gives the registers the values from before it."""
    machine.spend(len(frame.before))
    ended = {register: machine.registers.get(register) for register in frame.before}
    for register, value in frame.before.items():
        machine.restore(register, value)
    return Branch(frame.stack, ended)


def _end_if(machine: Machine, frame: Frame, first: Branch) -> None:
    node = frame.node
    assert node is not None
    machine.frames.pop()
    second = _end_branch(machine, frame)
    if len(first.stack) != len(second.stack):
        raise machine.refuse("the two branches leave different numbers of values")
    for block, branch in zip(node.blocks, (first, second), strict=True):
        block.outputs.extend(branch.stack)
    for pair in zip(first.stack, second.stack, strict=True):
        machine.frame.stack.append(node.add_output(join(*pair)))
    for register in first.registers | second.registers:
        # A branch that does not change the register leaves what was there before.
        before = machine.registers.get(register)
        one, other = (b.registers.get(register, before) for b in (first, second))
        machine.set(register, machine.merges.join_branches(node, one, other))


def _loop(machine: Machine, step: Instruction) -> None:
    start = machine.at - 1
    exit_ = start + step.x
    back = machine.find_step(exit_ - 1, "JMP") if start + 1 < exit_ <= machine.frame.end else None
    if back is None or exit_ - 1 + back.x != start or step.n < 2:
        raise machine.refuse("a loop has another form than upstream's")
    # The compiler puts the number of the turn, the largest number, the condition and what is
    # carried onto the stack.
    turn, *inputs = machine.pop_many(step.n + 1)
    if not turn.is_constant or type(turn.constant) is not int or turn.constant:
        raise machine.refuse("a loop does not begin with turn 0")
    body = Block([Value("int"), *(Value(value.type, name=value.name) for value in inputs[2:])])
    node = machine.add(LOOP, inputs, blocks=[body])
    frame = Frame(body, exit_ - 1, node, stack=list(body.inputs))
    machine.frames.append(frame)
    # What a turn changes has to be known before it is read: at its beginning, a register may hold
    # the value of the last turn.
    for register in _changed(machine, machine.at, exit_ - 1):
        before = machine.registers.get(register)
        # A register that is empty before the loop is written first in each turn, so nothing is
        # carried in it.
        if before is not None:
            frame.carried[register] = Value(before.type, name=before.name)
            machine.set(register, frame.carried[register])


def _changed(machine: Machine, start: int, end: int) -> list[int]:
    """Returns the registers that instructions change, each once."""
    machine.spend(end - start)
    found: dict[int, None] = {}
    for step in machine.function.instructions[start:end]:
        match step.opcode:
            case "STORE" | "MOVE" | "DROPR":
                found[step.x] = None
            case "STOREN":
                machine.spend(step.n)
                found |= dict.fromkeys(range(step.x, step.x + step.n))
    return list(found)


def _end_loop(machine: Machine, frame: Frame, node: Node) -> None:
    machine.frames.pop()
    if len(frame.stack) != len(node.inputs) - 1:
        raise machine.refuse("a turn of a loop leaves another number of values than it takes")
    body = node.blocks[0]
    body.outputs.extend(frame.stack)
    ended = _end_branch(machine, frame).registers
    for value in node.inputs[2:]:
        machine.frame.stack.append(node.add_output(Value(value.type, name=value.name)))
    forget_types(node)
    for register, last in ended.items():
        start = machine.registers.get(register)
        turn = frame.carried.get(register)
        merged = None
        if start is not None and turn is not None:
            merged = machine.merges.join_turns(node, start, turn, last)
        machine.set(register, merged)


def _return(machine: Machine, step: Instruction) -> None:
    del step
    frame = machine.frames[0]
    if len(machine.frames) != 1 or machine.at != frame.end:
        raise machine.refuse("RET does not stand at the end")
    frame.block.outputs.extend(frame.stack)


BRANCHES: dict[str, Callable[[Machine, Instruction], None]] = {
    "JF": _jump_if_false,
    "JMP": _jump,
    "LOOP": _loop,
    "RET": _return,
}
"""Opcode -> what it does."""
