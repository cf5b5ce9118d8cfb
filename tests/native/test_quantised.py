"""A quantised model on a runtime of its own: QNNPACK, and static dispatch to two backends."""

import json

import pytest

from .conftest import ABI, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]


def test_a_quantised_model_gives_pytorchs_numbers_on_its_runtime(tmp_path):
    model = tmp_path / "quantised.ptl"
    run_builder("export", "models:quantised", "--shape", "1,3,16,16", "-o", model)
    (plan,) = json.loads(run_builder("plan", model, "--abi", ABI, "--json").stdout)
    assert plan["static_dispatch"] == ["CPU", "QuantizedCPU"]
    run_builder("build", model, "--abi", ABI, "-o", tmp_path / "out")
    said = run_builder("verify", model, "--runtime", tmp_path / "out", "--json")
    (output,) = json.loads(said.stdout)["outputs"]
    assert output["max_relative"] <= 1e-4
    size = json.loads(run_builder("size", tmp_path / "out", "--json").stdout)["runtime"]
    assert size["parts"]["QNNPACK"] > 10_000
