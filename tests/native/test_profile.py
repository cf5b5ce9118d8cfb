"""Times of operators, through the C API and through `builder bench --profile`."""

import json
import subprocess

import pytest

from .conftest import run_builder
from .devices import make_adb
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


def test_operators_are_measured_on_a_device(built, tmp_path):
    via, log = make_adb(tmp_path)
    command = ("bench", built.models["scaling"], "--runtime", built.root, "--via", via)
    asked = ("--runs", 2, "--calls", 3, "--threads", 1, "--profile", "--json")
    profile = json.loads(run_builder(*command, *asked).stdout)["profile"]
    calls = {each["name"]: each["calls"] for each in profile["operators"]}
    assert calls == {"aten::mul.Scalar": 3, "aten::add.Scalar": 3}
    told = log.read_text().splitlines()
    runs = [line for line in told if "--repeat 3 --threads 1" in line]
    assert [line.endswith("--profile") for line in runs] == [False, False, True]
    assert told[-1].startswith("shell rm -rf /data/local/tmp/builder-")
    assert not list((tmp_path / "device").iterdir())
