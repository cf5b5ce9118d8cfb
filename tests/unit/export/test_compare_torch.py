"""What torch lacks for a lite file is told from what is wrong with the file."""

from __future__ import annotations

import io

import pytest

from builder.core.nesting import parse_input
from builder.core.operator_schemas import Schemas
from builder.errors import VerificationError
from builder.export.samples import Sample
from builder.graph.lower import lower_program
from builder.graph.passes.prepack import prepack
from builder.graph.program import Program
from builder.lite.model import Argument
from builder.lite.objects import ScriptObject
from builder.lite.zip_writer import write_zip_model
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch")

from builder.core.arrays import sample_inputs  # noqa: E402 - beside torch
from builder.export.compare import call_lite, load_lite  # noqa: E402 - imports torch
from builder.export.interpreter import LackingError  # noqa: E402

SCHEMAS = load_schemas()


def write(text: str, schemas: Schemas = SCHEMAS) -> bytes:
    made = f"(%self, %x: Tensor float32 ?,?,?,?)\n{text}\nyield %y"
    graph = read_graph(made, name="__torch__.Net.forward", W=ramp(4, 4, 3, 3))
    graph.arguments = (Argument("self", "__torch__.Net"), Argument("x", "Tensor"))
    graph.results = (Argument("", "Tensor"),)
    prepack(graph, SCHEMAS)
    root = ScriptObject("__torch__.Net", {})
    program = Program(root=root, graphs={graph.name: graph}, operator_version=10)
    stream = io.BytesIO()
    write_zip_model(lower_program(program, schemas), stream)
    return stream.getvalue()


def test_an_operator_that_torch_does_not_have_is_lacking():
    schemas = Schemas("aten::none_such(Tensor self) -> Tensor\n")
    with pytest.raises(LackingError, match="has no aten::none_such, which the lite file calls"):
        load_lite(write("%y = aten::none_such(%x)", schemas))


def test_a_packed_layer_that_fails_is_not_lacking():
    module = load_lite(write("%y = aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 1], 1)"))
    for shape, fails in (("1,4,6,6", False), ("4,6,6", True)):
        specs = (parse_input(f"float32[{shape}]"),)
        sample = Sample(specs=specs, leaves=sample_inputs(specs, seed=0))
        if not fails:
            assert call_lite(module, sample)[0].spec.shape == (1, 4, 4, 4)
            continue
        with pytest.raises(VerificationError, match="cannot run the lite file") as caught:
            call_lite(module, sample)
        assert not isinstance(caught.value, LackingError)
