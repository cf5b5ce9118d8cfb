"""A quantised model on a runtime of such models: QNNPACK, and static dispatch to two backends."""

import json

import pytest

from .conftest import ABI, read_plan, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]


def test_a_quantised_model_gives_pytorchs_numbers_on_its_runtime(built_quantised):
    model, out = built_quantised.model, built_quantised.out
    plan = read_plan(model, "--abi", ABI)
    assert plan["static_dispatch"] == ["CPU", "QuantizedCPU"]
    said = run_builder("verify", model, "--runtime", out, "--json")
    (output,) = json.loads(said.stdout)["outputs"]
    assert output["max_relative"] <= 1e-4
    size = json.loads(run_builder("size", out, "--json").stdout)["runtime"]
    assert size["parts"]["QNNPACK"] > 10_000
