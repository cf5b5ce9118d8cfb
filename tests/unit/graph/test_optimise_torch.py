"""Optimised models compute what eager PyTorch computes, by torch's own lite interpreter."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builder.core.model_facts import ModelFormat
from builder.graph.lift import lift_program
from builder.graph.lower import lower_program
from builder.graph.optimise import Optimisations, optimise
from builder.graph.program import Program
from builder.graph.well_formed import check_program
from builder.lite.read import read_lite
from builder.lite.write import write_lite
from builder.sources.schemas import load_schemas
from tests.unit.graph.test_lift_torch import outcome

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch")
cases = pytest.importorskip("tests.unit.graph.passes.modules", reason="needs torch")
scripts = pytest.importorskip("tests.unit.graph.script_modules", reason="needs torch")
mobile = pytest.importorskip("torch.jit.mobile", reason="needs torch")

SCHEMAS = load_schemas()
needs_xnnpack = pytest.mark.skipif(
    not hasattr(torch.ops.prepacked, "conv2d_clamp_run"), reason="needs a torch with XNNPACK"
)


def rewrite(script: Any, path: Path, wanted: Optimisations | None = None) -> tuple[Any, Program]:
    script._save_for_lite_interpreter(str(path / "before.ptl"))
    program = lift_program(read_lite(path / "before.ptl"), SCHEMAS)
    optimise(program, SCHEMAS, wanted)
    check_program(program)
    lowered = lower_program(program, SCHEMAS)
    write_lite(lowered, path / "after.ptl", kind=ModelFormat.LITE_ZIP)
    return mobile._load_for_lite_interpreter(str(path / "after.ptl")), program


def leaves(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [leaf for item in value for leaf in leaves(item)]


def compare(got: Any, wanted: Any) -> None:
    for one, other in zip(leaves(got), leaves(wanted), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert float((one - other).abs().max()) <= 1e-5 * float(other.abs().max())


@needs_xnnpack
@pytest.mark.parametrize("way", ["trace", "script"])
@pytest.mark.parametrize("name", cases.CASES)
def test_module(name: str, way: str, tmp_path: Path) -> None:
    module, inputs, ways = cases.make(name)
    if way not in ways:
        pytest.skip(f"this module is not made by {way}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(module) if way == "script" else torch.jit.trace(module, inputs[0])
    loaded, program = rewrite(script, tmp_path)
    for given in inputs:
        with torch.no_grad():
            compare(loaded(given.clone()), module(given.clone()))
    found = Counter(
        node.operator for graph in program.graphs.values() for _, node in graph.block.walk()
    )
    for operator, count in cases.WANTED.get(name, {}).items():
        assert found[operator] == count, operator


@pytest.mark.parametrize("name", scripts.CASES)
def test_the_whole_language(name: str, tmp_path: Path) -> None:
    """The modules of the tests of lifting; those with numerics differ in the last bits."""
    make, inputs = scripts.CASES[name]
    torch.manual_seed(1)
    script = torch.jit.script(make().eval())
    loaded, _ = rewrite(script, tmp_path)
    before = mobile._load_for_lite_interpreter(str(tmp_path / "before.ptl"))
    for given in inputs:
        one, other = outcome(loaded, given), outcome(before, given)
        if one != other:
            compare(loaded(*copy.deepcopy(given)), before(*copy.deepcopy(given)))
