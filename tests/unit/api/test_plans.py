from pathlib import Path

import pytest

from builder.api.plans import list_inputs
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
