"""Lifted and lowered models compute what they computed, by torch's own lite interpreter."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from builder.core.model_facts import ModelFormat
from builder.graph.lift import lift_program
from builder.graph.lower import BYTECODE_VERSIONS, lower_program
from builder.graph.well_formed import check_program
from builder.lite.model import LiteModel
from builder.lite.read import read_lite
from builder.lite.write import write_lite
from builder.sources.schemas import load_schemas
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


def load(path: Path) -> Any:
    return mobile._load_for_lite_interpreter(str(path))


def save(model: LiteModel, path: Path) -> Path:
    write_lite(model, path, kind=ModelFormat.LITE_ZIP)
    return path


@pytest.mark.parametrize("name", cases.CASES)
def test_module(name: str, tmp_path: Path) -> None:
    make, inputs = cases.CASES[name]
    torch.manual_seed(1)
    module = torch.jit.script(make().eval())
    path = tmp_path / "model.ptl"
    module._save_for_lite_interpreter(str(path), _save_mobile_debug_info=True)
    model = read_lite(path)
    lowered = transform(model)
    old, new = load(path), load(save(lowered, tmp_path / "lowered.ptl"))
    for given in inputs:
        assert outcome(new, given) == outcome(old, given)
    # Code that builder writes is not longer than upstream's.
    for one, other in zip(model.functions, lowered.functions, strict=True):
        assert len(other.instructions) <= len(one.instructions)
        assert other.registers <= one.registers
        assert one.debug_handles is not None
        assert set(other.debug_handles or ()) <= {-1, *one.debug_handles}


@pytest.mark.parametrize("version", BYTECODE_VERSIONS[:-1])
@pytest.mark.parametrize("name", cases.CASES)
def test_older_bytecode(name: str, version: int, tmp_path: Path) -> None:
    make, inputs = cases.CASES[name]
    torch.manual_seed(1)
    module = torch.jit.script(make().eval())
    path = tmp_path / "model.ptl"
    module._save_for_lite_interpreter(str(path))
    lowered = lower_program(lift_program(read_lite(path), SCHEMAS), SCHEMAS, version)
    older = save(lowered, tmp_path / "older.ptl")
    assert mobile._get_model_bytecode_version(str(older)) == version
    old, new = load(path), load(older)
    for given in inputs:
        assert outcome(new, given) == outcome(old, given)
    again = lower_program(lift_program(read_lite(older), SCHEMAS), SCHEMAS, version)
    for one, other in zip(lowered.functions, again.functions, strict=True):
        assert (one.instructions, one.callees) == (other.instructions, other.callees)


FILES = sorted(MODELS.glob("*.ptl"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file(path: Path, tmp_path: Path) -> None:
    lowered = transform(read_lite(path))
    old, new = load(path), load(save(lowered, tmp_path / "lowered.ptl"))
    for given in bundled(path):
        assert outcome(new, given) == outcome(old, given)
    if path.stem.startswith("control"):
        for name, value in (("lengths", ["a", "bcd"]), ("decide", torch.rand(3))):
            assert new.run_method(name, value) == old.run_method(name, value)


def bundled(path: Path) -> list[tuple[Any, ...]]:
    """Returns inputs that the file's model accepts."""
    torch.manual_seed(2)
    match path.stem.removesuffix("_flatbuffer"):
        case "conv":
            return [(torch.rand(1, 3, 8, 8),)]
        case "quantised":
            return [(torch.rand(2, 3, 8, 8),)]
        case "lstm":
            return [(torch.rand(1, 5, 4),), (torch.rand(2, 3, 4),)]
        case "control":
            return [("one two three", torch.rand(3)), ("", torch.rand(3))]
        case "hooked":
            return [(torch.rand(3),)]
    raise AssertionError(path)
