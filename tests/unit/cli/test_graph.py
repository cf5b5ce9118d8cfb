from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder.cli.graph import command
from builder.errors import ConfigurationError, ModelError

DATA = Path(__file__).parents[2] / "data" / "models"


def invoke(*arguments: object):
    return CliRunner().invoke(
        command, [str(argument) for argument in arguments], catch_exceptions=False
    )


def test_text_has_a_line_for_each_step():
    result = invoke(DATA / "quantised.ptl")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith("graph __torch__.")
    assert lines[0].endswith(" -> Tensor:")
    assert lines[-1].startswith("  return (%")
    (line,) = (line for line in lines if "quantized::conv2d_relu.new(" in line)
    assert " : Tensor = quantized::conv2d_relu.new(%" in line


@pytest.mark.parametrize("name", ["control", "control_flatbuffer"])
def test_all_functions_or_one(name):
    path = DATA / f"{name}.ptl"
    every = invoke(path).output
    assert every.count("graph __torch__") == 3
    one = invoke(path, "--method", "decide").output
    assert one.count("graph __torch__") == 1
    assert one in every
    qualified = one.split("(")[0].removeprefix("graph ")
    assert invoke(path, "--method", qualified).output == one


def test_a_program_of_torch_export():
    lines = invoke(DATA.parent / "pt2/layer.pt2").output.splitlines()
    assert lines[0].startswith("graph __torch__.ExportedProgram.forward(")
    assert lines[-1].startswith("  return (%")


def test_json_has_values_and_blocks():
    result = json.loads(invoke(DATA / "control.ptl", "--json", "--method", "forward").output)
    (graph,) = result["graphs"]
    assert result["model"] == "control.ptl"
    assert [one["name"] for one in graph["arguments"]] == ["self", "text", "x"]
    nodes = [node for block in graph["blocks"] for node in block["nodes"]]
    inner = [number for node in nodes for number in node["blocks"]]
    assert sorted(inner) == list(range(1, len(graph["blocks"])))
    used = {name for node in nodes for name in (*node["inputs"], *node["outputs"])}
    assert used <= graph["values"].keys()
    (made,) = (node for node in nodes if node["attributes"].get("value") == "!")
    assert graph["values"][made["outputs"][0]]["type"] == "str"


def test_dot_is_balanced():
    text = invoke(DATA / "control.ptl", "--format", "dot").output
    assert text.startswith("digraph {")
    assert text.count("{") == text.count("}")
    assert '[label="prim::Loop' in text


def test_what_does_not_exist():
    with pytest.raises(ModelError, match="has no method backward") as caught:
        invoke(DATA / "control.ptl", "--method", "backward")
    assert caught.value.hint == "its methods are: decide, forward, lengths"
    with pytest.raises(ModelError, match="does not exist"):
        invoke("missing.ptl")
    with pytest.raises(ConfigurationError, match=r"0\.9"):
        invoke(DATA / "conv.ptl", "--pytorch", "0.9")
    result = invoke(DATA / "conv.ptl", "--json", "--format", "dot")
    assert (result.exit_code, "exclude each other" in result.output) == (2, True)
