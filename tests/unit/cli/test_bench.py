from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from builder import api
from builder.cli.bench import command
from builder.core.artifacts import BenchReport, OperatorTime, Profile
from builder.verify.request import BenchRequest

PROFILE = Profile(
    calls=2,
    seconds=0.002,
    operators=(
        OperatorTime(name="aten::conv2d", calls=4, nanoseconds=1_500_000),
        OperatorTime(name="aten::add.Tensor", calls=1, nanoseconds=300_000),
    ),
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    def call(*options: str):
        def time(request: BenchRequest, *, progress: object) -> BenchReport:
            return BenchReport(
                model="m.ptl",
                abi="linux-x86_64",
                runs=(0.004, 0.002, 0.003),
                calls=request.calls,
                threads=request.threads,
                profile=PROFILE if request.profile else None,
            )

        monkeypatch.setattr(api, "bench", time)
        arguments = ["m.ptl", "--runtime", "out", *options]
        return CliRunner().invoke(command, arguments, catch_exceptions=False)

    return call


def test_report_for_people(run) -> None:
    shown = [line.split() for line in run().output.splitlines()]
    assert ["fastest", "call,", "ms", "2.00"] in shown
    assert ["median", "of", "the", "runs,", "ms", "3.00"] in shown
    assert ["threads", "the", "runtime's", "choice"] in shown


def test_report_for_programs(run) -> None:
    value = json.loads(run("--json", "--threads", "2", "--calls", "7").output)
    assert value == {
        "abi": "linux-x86_64",
        "calls": 7,
        "device": "cpu",
        "inputs": [],
        "median_seconds": 0.003,
        "method": "forward",
        "model": "m.ptl",
        "profile": None,
        "quickest_seconds": 0.002,
        "runs": [0.004, 0.002, 0.003],
        "schema": 1,
        "threads": 2,
    }
    assert json.loads(run("--json").output)["threads"] is None


def test_operators_for_people(run) -> None:
    shown = [line.split() for line in run("--profile").output.splitlines()]
    assert ["aten::conv2d", "2", "0.750", "75.0%"] in shown
    assert ["aten::add.Tensor", "0.5", "0.150", "15.0%"] in shown
    assert ["outside", "of", "operators", "0.100", "10.0%"] in shown


def test_operators_for_programs(run) -> None:
    profile = json.loads(run("--profile", "--json").output)["profile"]
    assert profile == {
        "calls": 2,
        "operators": [
            {"calls": 4, "name": "aten::conv2d", "seconds": pytest.approx(0.0015)},
            {"calls": 1, "name": "aten::add.Tensor", "seconds": pytest.approx(0.0003)},
        ],
        "rest_seconds": pytest.approx(0.0002),
        "seconds": 0.002,
    }


@pytest.fixture
def run_several(monkeypatch: pytest.MonkeyPatch):
    def call(devices: dict[str, str], inputs: dict[str, str], *options: str):
        def report(request: BenchRequest) -> BenchReport:
            name = request.model.name
            return BenchReport(
                model=name,
                abi="arm64-v8a",
                runs=(0.001 * len(name), 0.002 * len(name)),
                calls=request.calls,
                threads=request.threads,
                device=devices[name],
                inputs=(inputs[name],),
            )

        monkeypatch.setattr(
            api, "bench_together", lambda requests, *, progress: tuple(map(report, requests))
        )
        arguments = [*devices, "--runtime", "out", "--adb", *options]
        return CliRunner().invoke(command, arguments, catch_exceptions=False)

    return call


DEVICES = {"cpu_64.ptl": "cpu", "gpu_64.ptl_": "vulkan", "cpu_5": "cpu", "gpu_5.p": "vulkan"}
INPUTS = {name: f"float32[1,3,{'64,64' if '64' in name else '5,5'}]" for name in DEVICES}


def test_several_models_are_compared_by_inputs_and_devices(run_several) -> None:
    output = run_several(DEVICES, INPUTS).output
    shown = [line.split() for line in output.splitlines()]
    assert ["gpu_64.ptl_", "Vulkan", "11.00", "16.50"] in shown
    assert ["inputs", "CPU,", "ms", "Vulkan,", "ms"] in shown
    assert ["float32[1,3,64,64]", "10.00", "11.00"] in shown
    assert ["float32[1,3,5,5]", "5.00", "7.00"] in shown
    assert "(2 runs of 20 calls on arm64-v8a, threads: the runtime's choice)" in output


@pytest.mark.parametrize(
    ("devices", "inputs"),
    [
        ({**DEVICES, "gpu_5.p": "cpu"}, INPUTS),  # two for one device
        (DEVICES, {**INPUTS, "gpu_5.p": "float32[1,3,6,6]"}),  # other inputs
        (dict.fromkeys(DEVICES, "cpu"), {name: name for name in DEVICES}),  # one device
    ],
)
def test_models_that_are_no_pairs_are_listed_only(run_several, devices, inputs) -> None:
    output = run_several(devices, inputs).output
    assert "cpu_64.ptl" in output
    assert "inputs" not in output


def test_several_models_for_programs(run_several) -> None:
    value = json.loads(run_several(DEVICES, INPUTS, "--json").output)
    assert [(one["model"], one["device"]) for one in value["models"]] == list(DEVICES.items())
    assert value["models"][0]["inputs"] == ["float32[1,3,64,64]"]


def test_profiles_are_for_one_model(run_several) -> None:
    result = run_several(DEVICES, INPUTS, "--profile")
    assert result.exit_code == 2
    assert "--profile is for one model" in result.output
