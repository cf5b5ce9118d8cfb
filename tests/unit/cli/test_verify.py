import json
import math
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from builder import api
from builder.cli.verify import command
from builder.core.artifacts import OutputDifference, VerifyReport
from builder.core.nesting import parse_input
from builder.core.tensors import DType, TensorSpec
from builder.verify.request import VerifyRequest

GOOD = OutputDifference(
    index=0, spec="float32[1]", max_absolute=3e-6, max_relative=2e-6, tolerance=1e-4, ok=True
)
BAD = OutputDifference(
    index=1,
    spec="int64[]",
    max_absolute=math.inf,
    max_relative=math.inf,
    tolerance=0.0,
    ok=False,
    problem="expected int64[2]",
)
ONLY_RUNS = OutputDifference(
    index=0, spec="float32[1]", max_absolute=None, max_relative=None, tolerance=0.0, ok=True
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    def call(*differences: OutputDifference, options: tuple[str, ...] = ()) -> Result:
        def verify(request: VerifyRequest, *, progress: object) -> VerifyReport:
            call.request = request
            return VerifyReport(model="m", reference="none", outputs=differences, seconds=0.0123)

        monkeypatch.setattr(api, "verify", verify)
        arguments = ["m.ptl", "--runtime", "out", *options]
        return CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)

    return call


def test_exit_code_is_8_when_an_output_differs(run) -> None:
    assert run(GOOD).return_value == 0
    failed = run(GOOD, BAD)
    assert failed.return_value == 8
    assert "expected int64[2]" in failed.output


def test_report_for_people(run) -> None:
    output = run(GOOD).output
    assert "3e-06" in output
    assert "12.3 ms" in output


def test_report_says_when_nothing_was_compared(run) -> None:
    output = run(ONLY_RUNS).output
    assert "no expected outputs to compare with" in output
    assert "finite; not compared" in output


def test_json_is_strict(run) -> None:
    text = run(GOOD, BAD, options=("--json",)).stdout
    value = json.loads(text, parse_constant=pytest.fail)
    assert value["ok"] is False
    assert value["outputs"][1]["max_absolute"] is None


def test_every_option_reaches_the_request(run) -> None:
    options = "--tolerance 0.5 --shape 2 --dtype bool --seed 3 --repeat 4"
    run(GOOD, options=("--reference", "r"))
    assert run.request.reference == Path("r")
    run(GOOD, options=tuple(options.split()))
    assert run.request == VerifyRequest(
        model=Path("m.ptl"),
        runtime=Path("out"),
        tolerance=0.5,
        inputs=(TensorSpec(DType.BOOL, (2,)),),
        seed=3,
        repeat=4,
    )
    run(GOOD, options=("--input", "int64[1,8]", "--input", "0.5"))
    assert run.request.inputs == tuple(map(parse_input, ("int64[1,8]", "0.5")))


@pytest.mark.parametrize("tolerance", ["nan", "inf", "-1"])
def test_a_tolerance_that_nothing_exceeds_is_none(run, tolerance) -> None:
    with pytest.raises(click.UsageError):
        run(GOOD, options=("--tolerance", tolerance))


@pytest.mark.parametrize(
    "given",
    [
        ("--reference", "r", "--shape", "2"),
        ("--adb", "--via", "ssh"),
        ("--bundled-input", "0", "--shape", "2"),
        ("--bundled-input", "0", "--reference", "r"),
    ],
)
def test_what_would_be_ignored_is_refused(run, given) -> None:
    with pytest.raises(click.UsageError):
        run(GOOD, options=given)
