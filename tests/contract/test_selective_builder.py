"""Our operator lists through PyTorch's own reader of selective build YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import api
from builder.oplists.read import parse_op_list
from builder.oplists.write import write_op_list

pytestmark = pytest.mark.torch
selector = pytest.importorskip("torchgen.selective_build.selector", reason="needs torchgen")
DATA = Path(__file__).parents[1] / "data" / "models"


@pytest.fixture
def written(tmp_path):
    op_list = api.list_operators(
        api.OperatorsRequest(models=(DATA / "conv.ptl", DATA / "quantised.ptl"))
    )
    path = tmp_path / "two models.yaml"
    write_op_list(path, op_list)
    return op_list, path


def test_torchgen_selects_what_we_list_and_nothing_else(written):
    op_list, path = written
    selected = selector.SelectiveBuilder.from_yaml_path(str(path))
    assert set(selected.operators) == {str(operator) for operator in op_list.operators}
    for operator in op_list.operators:
        assert selected.is_root_operator(str(operator))
        assert not selected.is_operator_selected_for_training(str(operator))
    for other in ("aten::mean", "aten::mean.out", "quantized::conv2d", "aten::tanh"):
        assert not selected.is_operator_selected(other)
    assert not selected.include_all_operators
    assert not selected.include_all_non_op_selectives


def test_torchgen_sees_classes_and_who_wants_what(written):
    op_list, path = written
    selected = selector.SelectiveBuilder.from_yaml_path(str(path)).to_dict()
    assert set(selected["custom_classes"]) == set(op_list.custom_classes)
    assert tuple(selected["operators"]["aten::mean.dim"]["debug_info"]) == (
        "conv.ptl",
        "quantised.ptl",
    )
    assert selected["kernel_metadata"] == {}


def test_what_torchgen_writes_is_read_again(written):
    import yaml

    op_list, path = written
    selected = selector.SelectiveBuilder.from_yaml_path(str(path)).to_dict()
    for operator in selected["operators"].values():
        operator["debug_info"] = list(operator["debug_info"])
    assert parse_op_list(yaml.safe_dump(selected), source="x.yaml") == op_list
