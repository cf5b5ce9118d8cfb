from __future__ import annotations

import pytest
from samples import FakeRunner, make_info

from builder.core.input_descriptions import parse_specs
from builder.errors import ConfigurationError
from builder.system.process import Completed
from builder.system.progress import Silent
from builder.verify.request import BenchRequest
from builder.verify.timing import time_model, time_models

from .fakes import make_runtime

HOST = "linux-x86_64"


def ask(tmp_path, *seconds, **changes):
    make_runtime(tmp_path, HOST)
    said = iter(seconds)
    runner = FakeRunner(answer=lambda _: Completed(0, f'{{"outputs":[],"seconds":{next(said)}}}'))
    request = BenchRequest(model=tmp_path / "m.ptl", runtime=tmp_path, via="nice", **changes)
    report = time_model(request, make_info(), host_abi=HOST, runner=runner, progress=Silent())
    return report, runner


def test_each_run_counts_once(tmp_path):
    shapes = parse_specs(("1,2",), ("float32",))
    report, runner = ask(tmp_path, 0.3, 0.1, 0.2, inputs=shapes, runs=3, calls=7, threads=1)
    assert (report.quickest, report.median, report.runs) == (0.1, 0.2, (0.3, 0.1, 0.2))
    assert (report.abi, report.model, report.calls) == (HOST, "m.ptl", 7)
    assert all(command[0] == "nice" for command in runner.commands)
    assert runner.commands[0][-4:] == ("--repeat", "7", "--threads", "1")


def test_operators_are_measured_in_a_run_of_their_own(tmp_path):
    make_runtime(tmp_path, HOST)
    profiled = '{"outputs":[],"profile":{"calls":1,"operators":[],"seconds":9},"seconds":9}'

    def answer(command):
        return Completed(
            0, profiled if command[-1] == "--profile" else '{"outputs":[],"seconds":1}'
        )

    runner = FakeRunner(answer=answer)
    shapes = parse_specs(("1,2",), ("float32",))
    request = BenchRequest(
        model=tmp_path / "m.ptl", runtime=tmp_path, inputs=shapes, runs=2, profile=True, via="nice"
    )
    report = time_model(request, make_info(), host_abi=HOST, runner=runner, progress=Silent())
    assert report.runs == (1, 1)
    assert report.profile is not None
    assert report.profile.seconds == 9


def test_without_inputs_it_says_how_to_describe_them(tmp_path):
    with pytest.raises(ConfigurationError, match="no reference case") as caught:
        ask(tmp_path)
    assert "inputs=" in caught.value.hint


def test_several_models_run_in_turn(tmp_path):
    make_runtime(tmp_path, HOST)
    times = iter((0.3, 0.5, 0.1, 0.4, 0.2))
    runner = FakeRunner(answer=lambda _: Completed(0, f'{{"outputs":[],"seconds":{next(times)}}}'))
    requests = [
        BenchRequest(
            model=tmp_path / name,
            runtime=tmp_path,
            inputs=parse_specs(("1,2",), ("float32",)),
            runs=runs,
            via="nice",
        )
        for name, runs in (("a.ptl", 3), ("b.ptl", 2))
    ]
    infos = [make_info(), make_info(marks=("optimized_for_vulkan",))]
    one, other = time_models(requests, infos, host_abi=HOST, runner=runner, progress=Silent())
    assert (one.runs, other.runs) == ((0.3, 0.1, 0.2), (0.5, 0.4))
    assert (one.device, other.device) == ("cpu", "vulkan")
    assert one.inputs == ("float32[1,2]",)


def test_what_runs_is_copied_to_a_device_once(tmp_path):
    make_runtime(tmp_path, "linux-aarch64")
    told = '{"outputs":[],"seconds":0.1}'
    runner = FakeRunner(answer=lambda command: Completed(0, told if "shell" in command else ""))
    requests = [
        BenchRequest(
            model=tmp_path / name,
            runtime=tmp_path,
            inputs=parse_specs(("1,2",), ("float32",)),
            runs=3,
            via="adb shell",
        )
        for name in ("a.ptl", "b.ptl")
    ]
    infos = [make_info(), make_info()]
    time_models(requests, infos, host_abi=HOST, runner=runner, progress=Silent())
    pushed = [command[2] for command in runner.commands if command[1] == "push"]
    assert [sum(name.endswith(model) for name in pushed) for model in ("a.ptl", "b.ptl")] == [1, 1]
    assert sum(name.endswith("torchlite-run") for name in pushed) == 2
    assert [command[-1].split()[0] for command in runner.commands[-2:]] == ["rm", "rm"]
