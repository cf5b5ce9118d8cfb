"""Times of operators, through the C API and through `builder bench --profile`."""

import json
import subprocess

import pytest

from .conftest import run_builder
from .test_abuse import compile_program

pytestmark = [pytest.mark.torch, pytest.mark.host]


def test_a_c_program_learns_which_operators_its_calls_took(built, tmp_path):
    program = compile_program(built, "profiling", tmp_path)
    command = [program, built.models["scaling"]]
    said = subprocess.run(command, capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "aten::mul.Scalar 3\naten::add.Scalar 3\n")


def test_bench_shows_what_each_operator_takes(built):
    model = built.models["mobilenet_v2"]
    command = ("bench", model, "--runtime", built.out, "--runs", 1, "--calls", 3, "--profile")
    profile = json.loads(run_builder(*command, "--json").stdout)["profile"]
    calls = {each["name"]: each["calls"] for each in profile["operators"]}
    # MobileNetV2 has 52 convolutions and 10 residual additions.
    assert (calls["prepacked::conv2d_clamp_run"], calls["aten::add.Tensor"]) == (156, 30)
    taken = sum(each["seconds"] for each in profile["operators"])
    assert 0 < taken <= profile["seconds"]
    assert profile["calls"] == 3
    assert "prepacked::linear_clamp_run" in run_builder(*command).stdout
