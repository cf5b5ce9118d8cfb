from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder.cli.hints import show_hint
from builder.cli.ops import command
from builder.core.operators import Operator
from builder.errors import ConfigurationError, ModelError
from builder.oplists.read import read_op_list
from builder.system import files

DATA = Path(__file__).parents[2] / "data" / "models"


def invoke(*arguments: object):
    return CliRunner().invoke(
        command, [str(argument) for argument in arguments], catch_exceptions=False
    )


def test_the_table_names_model_version_classes_and_operators():
    result = invoke(DATA / "conv.ptl")
    assert result.exit_code == 0
    assert "conv.ptl (bytecode version 8, sha256 " in result.output
    assert "xnnpack.Conv2dOpContext, xnnpack.LinearOpContext" in result.output
    assert "prepacked::conv2d_clamp_run  conv.ptl" in result.output


def test_json_is_the_union_with_provenance():
    result = invoke(DATA / "control.ptl", DATA / "lstm_flatbuffer.ptl", "--json")
    found = json.loads(result.output)
    assert found["bytecode_versions"] == [8, 9]
    assert [model["name"] for model in found["models"]] == ["control.ptl", "lstm_flatbuffer.ptl"]
    assert found["operators"]["aten::lstm.input"] == ["lstm_flatbuffer.ptl"]
    assert len(found["operators"]) == 16 + 3
    assert found["custom_classes"] == []


def test_models_and_lists_mix(tmp_path):
    written = tmp_path / "my ops.yaml"
    assert invoke(DATA / "conv.ptl", "-o", written).exit_code == 0
    plain = tmp_path / "plain.txt"
    plain.write_text("aten::mean.dim\naten::tanh\n")
    found = json.loads(invoke(written, plain, DATA / "hooked.ptl", "--json").output)
    assert found["operators"]["aten::mean.dim"] == ["conv.ptl", "plain.txt"]
    assert found["operators"]["aten::tanh"] == ["hooked.ptl", "plain.txt"]
    assert [model["name"] for model in found["models"]] == ["conv.ptl", "hooked.ptl"]


def test_output_is_an_operator_list_and_replaces_the_table(tmp_path):
    path = tmp_path / "ops.yaml"
    result = invoke(DATA / "quantised.ptl", "-o", path)
    assert "quantized::conv2d" not in result.output
    op_list = read_op_list(path)
    assert Operator("quantized::conv2d", "new") in op_list.operators
    assert op_list.custom_classes == ("quantized.LinearPackedParamsBase",)
    assert op_list.bytecode_versions == (8,)


def test_different_models_of_one_name_are_told_apart(tmp_path):
    other = tmp_path / "conv.ptl"
    shutil.copy(DATA / "control.ptl", other)
    found = json.loads(invoke(DATA / "conv.ptl", other, DATA / "conv.ptl", "--json").output)
    names = [model["name"] for model in found["models"]]
    assert names == [f"conv.ptl@{model['sha256'][:8]}" for model in found["models"]]
    assert len(set(names)) == 2


def test_nothing_is_written_after_an_error(tmp_path):
    path = tmp_path / "ops.yaml"
    with pytest.raises(ModelError, match=r"torch\.save"):
        invoke(DATA / "conv.ptl", DATA / "state_dict.pt", "-o", path)
    assert not path.exists()


def test_a_model_is_not_overwritten_by_a_list(tmp_path):
    model = tmp_path / "conv.ptl"
    shutil.copy(DATA / "conv.ptl", model)
    with pytest.raises(ConfigurationError, match="is YAML"):
        invoke(model, "-o", model)
    assert model.read_bytes() == (DATA / "conv.ptl").read_bytes()


@pytest.mark.parametrize("name", ["control.pt", "control.ptl", "no suffix"])
def test_torchscript_is_refused_whatever_it_is_called(tmp_path, name):
    """A process would be needed to run it, and unit tests start none."""
    path = tmp_path / name
    shutil.copy(DATA / "control.pt", path)
    with pytest.raises(ModelError, match="nothing was run") as caught:
        invoke(path)
    assert "builder export" in show_hint(caught.value.hint, "ops")


def test_signatures_of_methods_are_shown():
    shown = "method        forward(str text, Tensor x) -> Dict(str, Tensor)\n"
    assert shown in invoke(DATA / "control.ptl").output
    found = json.loads(invoke(DATA / "control_flatbuffer.ptl", "--json").output)
    (model,) = found["models"]
    assert model["methods"] == [
        "decide(Tensor x) -> int",
        "forward(str text, Tensor x) -> Dict(str, Tensor)",
        "lengths(str[] texts) -> int[]",
    ]


@pytest.mark.parametrize("option", [("--time-limit", "3"), ("--memory-limit", "1GiB")])
def test_limits_without_anything_to_limit_are_refused(option):
    result = invoke(DATA / "conv.ptl", *option)
    assert result.exit_code == 2
    assert "only with --run-torchscript" in result.output


@pytest.mark.parametrize("size", ["much", "0", "0.5"])
def test_a_limit_of_memory_is_a_size(size):
    result = invoke(DATA / "conv.ptl", "--run-torchscript", "--memory-limit", size)
    assert result.exit_code == 2


def test_lite_files_need_no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert invoke(DATA / "conv.ptl", DATA / "conv_flatbuffer.ptl").exit_code == 0


def test_a_model_must_be_named():
    assert invoke().exit_code == 2


def test_a_file_that_is_no_list_of_builders_is_not_replaced(tmp_path):
    path = tmp_path / "ops.yaml"
    path.write_text("mine: true\n")
    with pytest.raises(ConfigurationError, match="is not an operator list that builder wrote"):
        invoke(DATA / "conv.ptl", "-o", path)
    assert path.read_text() == "mine: true\n"


def test_a_list_of_builders_is_replaced_even_by_one_made_from_it(tmp_path):
    path = tmp_path / "ops.yaml"
    invoke(DATA / "conv.ptl", "-o", path)
    assert invoke(path, DATA / "lstm.ptl", "-o", path).exit_code == 0
    assert Operator("aten::lstm", "input") in read_op_list(path).operators


def test_an_output_that_cannot_be_written_is_noticed_before_models_are_read(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot write"):
        invoke("no such model.ptl", "-o", tmp_path / "file/ops.yaml")


def test_a_full_disk_is_named_by_its_folder(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(ConfigurationError, match="no space is left for") as caught:
        invoke(DATA / "conv.ptl", "-o", tmp_path / "ops.yaml")
    assert str(tmp_path) in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_names_of_models_in_a_list_cannot_forge_lines(tmp_path):
    model, made = tmp_path / "a\nerror: b.ptl", tmp_path / "made.yaml"
    shutil.copy(DATA / "conv.ptl", model)
    assert invoke(model, "-o", made).exit_code == 0
    assert invoke(made).output.startswith(r"model         a\x0aerror: b.ptl (")
