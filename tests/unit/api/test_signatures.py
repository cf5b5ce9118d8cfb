"""What models say of their methods, joined with what their reference cases pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder import api
from builder.cli.ops import command
from builder.core.tensors import Call, DType, ReferenceCase, Tensor, TensorSpec
from builder.system.files import digest_file
from builder.system.reference_cases import write_reference
from builder.system.reference_headers import reference_path
from tests.json_schemas import check_output

DATA = Path(__file__).parents[2] / "data/models"
IMAGE = Tensor(TensorSpec(DType.FLOAT32, (1, 3)), bytes(12))


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copy(DATA / "conv.ptl", tmp_path / "model.ptl"))


def describe(*paths):
    return api.describe_methods(api.OperatorsRequest(models=paths))


def give(model, **changes):
    values = {"inputs": (IMAGE,), "outputs": (IMAGE,), "torch_version": "1"}
    case = ReferenceCase(**{**values, "model_sha256": digest_file(model), **changes})
    write_reference(reference_path(model), case)


def test_names_and_types_are_those_of_the_file(model):
    (described,) = describe(model)
    assert described.name == "model.ptl"
    (method,) = described.methods
    assert str(method.signature).startswith("forward(Tensor ")
    (one,) = method.inputs
    assert (str(one.argument.kind), one.example, one.tensor) == ("Tensor", None, None)


def test_dtypes_and_shapes_are_those_of_the_reference_case(model):
    give(model)
    (described,) = describe(model)
    assert described.methods[0].inputs[0].tensor == IMAGE.spec


def test_a_list_is_an_example_and_no_tensor(model):
    give(model, structure="([float32[1,3]],)")
    (described,) = describe(model)
    (one,) = described.methods[0].inputs
    assert (str(one.example), one.tensor) == ("[float32[1,3]]", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_sha256": "0" * 64},
        {"inputs": (), "methods": (Call(method="other", inputs=(IMAGE,), outputs=(IMAGE,)),)},
    ],
)
def test_what_says_nothing_of_the_method_is_left_out(model, changes):
    give(model, **changes)
    (described,) = describe(model)
    assert described.methods[0].inputs[0].example is None


def test_a_reference_case_that_cannot_be_read_is_no_obstacle(model):
    reference_path(model).write_bytes(b"\xff" * 100)
    (described,) = describe(model)
    assert described.methods[0].inputs[0].example is None


def test_operator_lists_have_no_methods(model, tmp_path):
    listed = tmp_path / "ops.txt"
    listed.write_text("aten::relu\n")
    assert [one.name for one in describe(listed, model)] == ["model.ptl"]


def test_the_command_prints_a_table_or_json(model):
    give(model)
    said = CliRunner().invoke(command, [str(model), "--signature"], catch_exceptions=False)
    assert said.exit_code == 0
    assert "method  forward(Tensor " in said.output
    assert said.output.splitlines()[-1].split()[-1] == "float32[1,3]"
    asked = ("ops", str(model), "--signature", "--json")
    said = CliRunner().invoke(command, asked[1:], catch_exceptions=False)
    check_output(asked, said.output)
    (described,) = json.loads(said.output)["models"]
    (method,) = described["signatures"]
    assert method["inputs"][0]["shape"] == [1, 3]
    assert method["outputs"] == ["Tensor"]
    plain = CliRunner().invoke(command, [str(model), "--json"], catch_exceptions=False)
    assert "signatures" not in json.loads(plain.output)["models"][0]


def test_the_table_of_a_model_without_signatures_says_so(tmp_path, monkeypatch):
    described = (api.DescribedModel("old.ptl", "0" * 64, ()),)
    monkeypatch.setattr(api, "describe_methods", lambda _: described)
    said = CliRunner().invoke(
        command, [str(DATA / "conv.ptl"), "--signature"], catch_exceptions=False
    )
    assert "its file has no signatures" in said.output
