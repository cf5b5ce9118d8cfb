"""Small models that tests start from."""

from __future__ import annotations

import struct
from pathlib import Path

from builder.lite.model import Argument, Callee, Function, Instruction, LiteModel
from builder.lite.objects import ScriptObject, Storage, Tensor

DATA = Path(__file__).parents[2] / "data/models"
RECORDED = tuple(sorted(path.name for path in DATA.glob("*.ptl")))


def make_tensor(*numbers: float, **changes: object) -> Tensor:
    content = memoryview(struct.pack(f"<{len(numbers)}f", *numbers))
    storage = Storage(dtype="float32", elements=len(numbers), read=lambda: content)
    values = {"storage": storage, "sizes": (len(numbers),), "strides": (1,)}
    return Tensor(**{**values, **changes})


def make_function(name: str = "__torch__.M.forward", **changes: object) -> Function:
    values = {
        "name": name,
        "instructions": (Instruction("LOAD", 1), Instruction("OP", 0, 0), Instruction("RET")),
        "callees": (Callee("aten::relu", "", 1), Callee("aten::add", "Tensor")),
        "constants": (),
        "types": ("List[int]",),
        "registers": 2,
        "arguments": (Argument("self", "__torch__.M"), Argument("x", "Tensor")),
        "results": (Argument("", "Tensor"),),
    }
    return Function(**{**values, **changes})


def make_model(attributes: dict[str, object] | None = None, **changes: object) -> LiteModel:
    values = {
        "bytecode_version": 8,
        "operator_version": 3,
        "functions": (make_function(),),
        "root": ScriptObject("__torch__.M", attributes or {}),
    }
    return LiteModel(**{**values, **changes})
