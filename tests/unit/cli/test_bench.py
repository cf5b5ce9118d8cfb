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
