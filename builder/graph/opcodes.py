"""The instructions that stand for one operator each, and how many values operators take.

Since bytecode version 8, upstream writes some operators as instructions of their own ("promoted
operators": torch/csrc/jit/mobile/promoted_prim_ops.cpp). Both forms become the same node, and
lowering writes the instruction.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plain:
    """An instruction without operands that takes and gives a fixed number of values."""

    operator: str
    takes: int
    gives: tuple[str, ...]
    """Types of the results; empty texts for unknown ones."""


TO_LIST, DICT_INDEX = "prim::tolist", "prim::DictIndex"
PLAIN = {
    "RAISE_EXCEPTION": Plain("prim::RaiseException", 2, ()),
    "TUPLE_INDEX": Plain("prim::TupleIndex", 2, ("",)),
    "DICT_INDEX": Plain(DICT_INDEX, 2, ("",)),
    "UN_INITIALIZED": Plain("prim::Uninitialized", 0, ("",)),
    "__IS__": Plain("aten::__is__", 2, ("bool",)),
    "__ISNOT__": Plain("aten::__isnot__", 2, ("bool",)),
    "__NOT__": Plain("aten::__not__", 1, ("bool",)),
    "DEVICE": Plain("prim::device", 1, ("Device",)),
    "DTYPE": Plain("prim::dtype", 1, ("int",)),
    "DIM": Plain("aten::dim", 1, ("int",)),
    "IS_CUDA": Plain("prim::is_cuda", 1, ("bool",)),
    "NUM_TO_TENSOR": Plain("prim::NumToTensor.Scalar", 1, ("Tensor",)),
    "TO_LIST": Plain(TO_LIST, 3, ("",)),
}
"""Opcode -> what it does. Results of unknown type have an empty text."""
OPCODES = {plain.operator: opcode for opcode, plain in PLAIN.items()}
FIRST_PROMOTED = 8
"""The bytecode version that brought these instructions, and FORMAT."""
FIRST_COUNTED, FIRST_WITH_OUT = 6, 7
"""The bytecode versions since which calls tell how many values they give, so that trailing defaults
can be left out; since the second also of operators with out arguments."""
DICT_GET = "aten::__getitem__.Dict_"
"""How the names of operators begin for which upstream writes DICT_INDEX."""
TUPLE_UNPACK = "prim::TupleUnpack"
FORMAT, WARN = "aten::format", "aten::warn"
UPGRADED = {
    **{f"aten::div{form}": (3, 2) for form in (".Scalar", ".Tensor", "_.Scalar", "_.Tensor")},
    **{
        f"aten::div{form}": (3, 3)
        for form in (".Scalar_mode", ".Tensor_mode", "_.Scalar_mode", "_.Tensor_mode", ".out")
    },
    "aten::div.out_mode": (3, 4),
    "aten::gelu": (9, 1),
    "aten::gelu.out": (9, 2),
    "aten::linspace": (7, 7),
    "aten::linspace.out": (7, 4),
    "aten::logspace": (8, 8),
    "aten::logspace.out": (8, 5),
}
"""Operator -> the last operator version whose calls the runtime replaces by an upgrader, and how
many values the upgrader takes (torch/csrc/jit/mobile/upgrader_mobile.cpp)."""


def upgraded_arguments(operator: str, operator_version: int) -> int | None:
    """Returns how many values a call takes if the runtime upgrades it; None if it does not."""
    # No operator version is below 0, so operators without an upgrader are never upgraded.
    last, count = UPGRADED.get(operator, (-1, 0))
    return count if operator_version <= last else None
