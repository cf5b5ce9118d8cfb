"""Lifted and lowered models compute what they computed, by torch's own lite interpreter."""

from __future__ import annotations

import copy
import io
import re
from pathlib import Path
from typing import Any

import pytest

from builder.graph.check import check_program
from builder.graph.lift import lift_program
from builder.graph.lower import lower_program
from builder.lite.model import LiteModel
from builder.sources.schemas import load_schemas
from tests.unit.graph.bridge import read_model, replace_functions
from tests.unit.graph.same import describe

torch = pytest.importorskip("torch", reason="needs torch")
cases = pytest.importorskip("tests.unit.graph.script_modules")
mobile = pytest.importorskip("torch.jit.mobile")

SCHEMAS = load_schemas()
# Without this, methods that are called through an interface are not saved.
torch._C._enable_mobile_interface_call_export()
MODELS = Path(__file__).parents[2] / "data" / "models"


def transform(model: LiteModel) -> LiteModel:
    """Lifts and lowers; the graph must be the same after another time."""
    program = lift_program(model, SCHEMAS)
    check_program(program)
    lowered = lower_program(program, SCHEMAS)
    again = lift_program(lowered, SCHEMAS)
    check_program(again)
    assert list(map(describe, program.graphs.values())) == list(
        map(describe, again.graphs.values())
    )
    assert lower_program(again, SCHEMAS) == lowered
    return lowered


def outcome(module: Any, inputs: tuple[Any, ...]) -> Any:
    torch.manual_seed(0)
    given = copy.deepcopy(inputs)
    try:
        return plain(module(*given)), plain(given)
    except Exception as error:  # noqa: BLE001 - which exception it is belongs to the outcome
        return type(error).__name__, re.sub(r"0x\w+|\{\d*:?-?\d*\}", "", str(error).split("\n")[0])


def plain(value: Any) -> Any:
    """Returns something that is equal only if all bits are."""
    if isinstance(value, torch.Tensor):
        value = value.detach().contiguous()
        return value.dtype, tuple(value.shape), bytes(value.numpy().tobytes())
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(item) for item in value]
    if isinstance(value, dict):
        return [(key, plain(item)) for key, item in value.items()]
    return type(value).__name__, repr(value)


@pytest.mark.parametrize("name", cases.CASES)
def test_module(name: str) -> None:
    make, inputs = cases.CASES[name]
    torch.manual_seed(1)
    module = torch.jit.script(make().eval())
    stream = io.BytesIO(module._save_to_buffer_for_lite_interpreter())
    data = stream.getvalue()
    model = read_model(data)
    lowered = transform(model)
    changed = replace_functions(data, lowered)
    old, new = (mobile._load_for_lite_interpreter(io.BytesIO(d)) for d in (data, changed))
    for given in inputs:
        assert outcome(new, given) == outcome(old, given)
    # Code that builder writes is not longer than upstream's.
    for one, other in zip(model.functions, lowered.functions, strict=True):
        assert len(other.instructions) <= len(one.instructions)
        assert other.registers <= one.registers
