from pathlib import Path

import pytest

from builder.api.plans import list_inputs, locate_op_list
from builder.core.plan import BuildRequest
from builder.errors import ConfigurationError
from builder.system.folders import data_folder


def test_models_and_lists_of_the_zoo_may_be_mixed():
    shipped = data_folder("ops_lists") / "mobilenet_v2.yaml"
    model = Path("a.ptl")
    assert list_inputs(BuildRequest(inputs=(model,))) == (model,)
    both = BuildRequest(inputs=(model,), ops_lists=("mobilenet_v2", str(shipped)))
    assert list_inputs(both) == (model, shipped, shipped)


def test_nothing_or_an_unknown_list_is_refused():
    with pytest.raises(ConfigurationError, match="no model and no operator list"):
        list_inputs(BuildRequest())
    with pytest.raises(ConfigurationError, match="no operator list 'mobilenet'"):
        list_inputs(BuildRequest(ops_lists=("mobilenet",)))


def test_operator_lists_are_files_or_names_of_the_zoo(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("")
    assert locate_op_list(str(mine)) == mine
    assert locate_op_list("mobilenet_v2") == data_folder("ops_lists") / "mobilenet_v2.yaml"
    with pytest.raises(ConfigurationError, match="mobilenet_v22") as caught:
        locate_op_list("mobilenet_v22")
    assert "mobilenet_v2" in caught.value.hint
