"""`builder export` proves files on real runtimes, without torch."""

from dataclasses import replace

import pytest

from builder.api.exports import export
from builder.core.tensors import DType, TensorSpec
from builder.errors import ToolchainError
from builder.export.interpreter import Interpreter
from builder.export.request import ExportRequest
from builder.graph import optimise
from builder.graph.passes.pass_result import PassResult
from builder.graph.rewriting import Rewriter
from builder.system.progress import Silent

pytestmark = [pytest.mark.torch, pytest.mark.host]


@pytest.fixture
def request_(built, monkeypatch, tmp_path):
    """An export of a file alone, as in an environment without torch, on the runtime for it."""

    def refuse(*_, **__):
        raise ToolchainError("torch is not installed")

    monkeypatch.setattr(Interpreter, "run", refuse)
    source = tmp_path / "control_flow.ptl"
    source.write_bytes(built.models["control_flow"].read_bytes())
    return ExportRequest(
        source=str(source),
        output=tmp_path / "out" / "model.ptl",
        runtime=built.out,
        inputs=(TensorSpec(DType.FLOAT32, (3, 8)),),
    )


def test_a_right_file_is_proven(request_):
    result = export(request_, progress=Silent())
    assert result.failure is None
    proven = result.stages[-1]
    assert (proven.name, proven.by, proven.samples) == ("runtime", "runtime", 3)
    assert proven.differences
    assert request_.output.is_file()


def test_a_wrong_pass_fails_the_proof(request_, monkeypatch):
    def drop_tanh(graph, schemas):
        del schemas
        rule = lambda node: [node.inputs[0]] if node.operator == "aten::tanh" else None  # noqa: E731
        return PassResult(Rewriter(graph).run(rule))

    monkeypatch.setattr(optimise, "merge_common", drop_tanh)
    result = export(request_, progress=Silent())
    assert result.failure is not None
    assert "on builder's runtime differs from the source" in result.failure.message
    assert not request_.output.exists()


def test_a_runtime_is_built_for_the_proof(request_, built):
    source = built.models["identity"]
    asked = replace(request_, source=str(source), runtime=None, prove=True, inputs=())
    result = export(asked, progress=Silent())
    assert result.failure is None
    # The reference case beside the source, and its sample with other signs.
    assert result.stages[-1].samples == 2
    assert result.reference is not None
