"""Runs bytecode on numbers, as torch/csrc/jit/mobile/interpreter.cpp does."""

from __future__ import annotations

from typing import Any

from builder.lite.model import Function

MOST_STEPS = 5_000


class TooLongError(Exception):
    pass


def run(  # noqa: C901 - one case each
    function: Function, *arguments: int, most: int = MOST_STEPS
) -> tuple[list[Any], list[Any]]:
    """Returns what is on the stack at the end, and the calls in their order."""
    stack: list[Any] = list(arguments)
    registers: dict[int, Any] = {}
    calls: list[Any] = []
    at = steps = 0
    while True:
        steps += 1
        if steps > most:
            raise TooLongError
        step = function.instructions[at]
        jump = 1
        match step.opcode:
            case "RET":
                return stack, calls
            case "LOADC":
                stack.append(function.constants[step.x])
            case "LOAD":
                stack.append(registers.get(step.x))
            case "MOVE":
                stack.append(registers.pop(step.x, None))
            case "STORE":
                registers[step.x] = stack.pop()
            case "STOREN":
                for register in reversed(range(step.x, step.x + step.n)):
                    registers[register] = stack.pop()
            case "DROP":
                stack.pop()
            case "DROPR":
                registers.pop(step.x, None)
            case "JF":
                jump = 1 if stack.pop() else step.x
            case "JMP":
                jump = step.x
            case "LOOP":
                base = len(stack) - step.n - 1
                turn, most, condition = stack[base : base + 3]
                if turn < most and condition:
                    stack[base + 2] = turn
                    stack[base] = turn + 1
                else:
                    del stack[base : base + 3]
                    jump = step.x
            case "OP":
                callee = function.callees[step.x]
                assert callee.arguments is not None
                first = len(stack) - callee.arguments
                taken = stack[first:]
                del stack[first:]
                calls.append((callee.name, taken))
                stack.extend(results(callee.name, taken))
            case opcode:
                raise AssertionError(opcode)
        at += jump


def results(name: str, taken: list[Any]) -> list[Any]:
    # Numbers that depend on each argument and on its place.
    mixed = sum((place + 3) * (hash(one) % 1009) for place, one in enumerate(taken)) % 1009
    return {"t::none": [], "t::pair": [mixed, mixed + 1]}.get(name, [mixed])
