from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from builder import api
from builder.cli.bench import command
from builder.core.artifacts import BenchReport
from builder.verify.request import BenchRequest


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
        "quickest_seconds": 0.002,
        "runs": [0.004, 0.002, 0.003],
        "schema": 1,
        "threads": 2,
    }
    assert json.loads(run("--json").output)["threads"] is None
