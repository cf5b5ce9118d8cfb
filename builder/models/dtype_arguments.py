"""Finds the scalar types that a function passes to operators, by following constants.

Bytecode runs on a stack machine (torch/csrc/jit/runtime/instruction.h). It is read from the first
instruction to the last. Where control flow joins, or an effect is unknown, the values on the stack
become unknown. If an operator receives an unknown value as dtype, the whole result is unknown.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from builder.graph.opcodes import PLAIN
from builder.lite.model import Callee, Instruction
from builder.system.folders import package_folder

_UNKNOWN = object()
_DERIVED = object()
"""Marks the dtype of a tensor that the model already has: or the result of type promotion."""
_REGISTER_STEPS = 8
"""Steps of `Effort` for a register: it takes as much memory as some opcodes, and one instruction
can name 65,535 registers."""
_JUMPS = frozenset({"JF", "JMP", "LOOP"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DtypeArguments:
    """Operators with a scalar type among their arguments; dtype_arguments.toml explains them."""

    places: Mapping[str, tuple[int, ...]]
    derived: frozenset[str]


@cache
def load_dtype_arguments() -> DtypeArguments:
    """Returns the table dtype_arguments.toml of this package."""
    # importlib.resources would take longer to load than this file.
    data = tomllib.loads((package_folder("models") / "dtype_arguments.toml").read_text())
    places: dict[str, tuple[int, ...]] = {}
    for place, operators in data["places"].items():
        for operator in operators.split():
            places[operator] = (*places.get(operator, ()), int(place))
    return DtypeArguments(places=places, derived=frozenset(data["derived"]))


def find_dtype_codes(
    code: Sequence[Instruction],
    callees: Sequence[Callee],
    constants: Sequence[object],
    *,
    spend: Callable[[int], None] = lambda _: None,
) -> frozenset[int] | None:
    """Returns the codes of scalar types that operators receive; None if they are not known.

    Args:
        code: the instructions of one function.
        callees: the operators of the function, by number.
        constants: the constants of the function, by number; only ints and None matter.
        spend: is called with the cost, in steps, of work that the length of `code` does not bound.
    """
    # Most functions call no such operator, so their instructions need not be followed.
    if load_dtype_arguments().places.keys().isdisjoint(map(_name, callees)):
        return frozenset()
    reader = _Reader(callees, constants, spend)
    # Several paths lead to the target of a jump, each with other values on the stack.
    targets = {at + step.x for at, step in enumerate(code) if step.opcode in _JUMPS}
    for at, step in enumerate(code):
        if at in targets:
            reader.stack.clear()
        reader.read(step)
    return None if reader.lost else frozenset(reader.codes)


def _name(callee: Callee) -> str:
    return f"{callee.name}.{callee.overload}" if callee.overload else callee.name


@dataclass(slots=True)
class _Reader:
    callees: Sequence[Callee]
    constants: Sequence[object]
    spend: Callable[[int], None]
    stack: list[object] = field(default_factory=list)
    """The values at the top of the stack; everything below them is unknown."""
    registers: dict[int, object] = field(default_factory=dict)
    codes: set[int] = field(default_factory=set)
    lost: bool = False

    def read(self, step: Instruction) -> None:
        match step.opcode:
            case "LOADC":
                self.stack.append(_at(self.constants, step.x))
            case "LOAD" | "MOVE":
                self.stack.append(self.registers.get(step.x, _UNKNOWN))
            case "STORE":
                self._store(step.x)
            case "STOREN":
                self.spend(_REGISTER_STEPS * step.n)
                # STOREN takes n values from the stack; which ones is not followed.
                self.registers |= dict.fromkeys(range(step.x, step.x + step.n), _UNKNOWN)
                self.stack.clear()
            case "OP" | "OPN":
                self._call(_at(self.callees, step.x), step)
            case "LIST_CONSTRUCT" | "DICT_CONSTRUCT" | "NAMED_TUPLE_CONSTRUCT":
                self._replace(step.n, _UNKNOWN)
            case "GET_ATTR":
                self._replace(1, _UNKNOWN)
            case opcode if (plain := PLAIN.get(opcode)) is not None and plain.gives:
                self._replace(plain.takes, _DERIVED if opcode == "DTYPE" else _UNKNOWN)
            # DROPR forgets a register and leaves the stack; any other effect is unknown.
            case opcode if opcode != "DROPR":
                self.stack.clear()

    def _store(self, register: int) -> None:
        value = self.stack.pop() if self.stack else _UNKNOWN
        # Control flow decides which of two stored values a register contains.
        again = register in self.registers
        self.registers[register] = _UNKNOWN if again else value

    def _call(self, callee: object, step: Instruction) -> None:
        if not isinstance(callee, Callee):
            self.stack.clear()
            return
        known = load_dtype_arguments()
        count = step.n if step.opcode == "OPN" else callee.arguments
        for place in known.places.get(_name(callee), ()):
            if count is None or place < count:
                # The last argument is on top of the stack.
                self._give(None if count is None else count - place)
        if count is None:
            self.stack.clear()
        self._replace(count or 0, _DERIVED if _name(callee) in known.derived else _UNKNOWN)

    def _give(self, depth: int | None) -> None:
        known = depth is not None and depth <= len(self.stack)
        value = self.stack[-depth] if known and depth is not None else _UNKNOWN
        # A scalar type is an int in bytecode; True is no dtype, though bool is an int in Python.
        if isinstance(value, int) and not isinstance(value, bool):
            self.codes.add(value)
        # None leaves the dtype as it is, and a derived one is in the model already.
        elif value is not None and value is not _DERIVED:
            self.lost = True

    def _replace(self, count: int, value: object) -> None:
        del self.stack[max(len(self.stack) - count, 0) :]
        self.stack.append(value)


def _at(values: Sequence[object], index: int) -> object:
    return values[index] if 0 <= index < len(values) else _UNKNOWN
