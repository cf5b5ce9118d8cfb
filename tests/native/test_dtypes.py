"""A runtime has kernels for the dtypes that its models can have, and names the others."""

import json

import pytest

from .conftest import read_plan, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]


def test_the_runtime_has_the_dtypes_of_its_models(built):
    manifest = json.loads((built.root / "manifest.json").read_text())
    assert manifest["dtypes"] == ["uint8", "int32", "int64", "float32", "float64", "bool"]
    plan = read_plan(built.models["scaling"])
    assert plan["dtypes"] == manifest["dtypes"]
    assert "scaling.ptl has float32" in plan["dtypes_reason"]


@pytest.mark.parametrize("name", ["scaling", "scaling_int32"])
def test_a_dtype_that_is_there_gives_pytorchs_numbers(built, name):
    said = run_builder("verify", built.models[name], "--runtime", built.out, "--json")
    (output,) = json.loads(said.stdout)["outputs"]
    assert output["max_relative"] <= 1e-6


def test_a_dtype_that_was_left_out_is_refused_by_name(built):
    model = built.models["scaling_int16"]
    said = run_builder("verify", model, "--runtime", built.out, check=False)
    assert said.returncode == 8
    assert "without kernels for dtype int16, and " in said.stderr
    assert "--dtypes uint8,int32,int64,float32,float64,bool,int16" in said.stderr


def test_check_names_it_without_running_anything(built):
    said = run_builder("check", built.models["scaling_int16"], built.out, check=False)
    assert said.returncode == 8
    assert said.stdout.startswith(
        "missing dtype: int16\nbuild a runtime that has them: builder build "
    )
    assert run_builder("check", built.models["scaling"], built.out).returncode == 0
