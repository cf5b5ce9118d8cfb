import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builder import api
from builder.cli.export import command
from builder.core.artifacts import OutputDifference
from builder.core.tensors import DType, TensorSpec
from builder.errors import ConfigurationError
from builder.export.requests import Capture, ExportRequest, ExportResult

asked: list[ExportRequest] = []


@pytest.fixture(autouse=True)
def _exported(monkeypatch: pytest.MonkeyPatch) -> None:
    asked.clear()

    def export(request: ExportRequest, *, progress: object) -> ExportResult:
        asked.append(request)
        difference = OutputDifference(
            index=0,
            spec="float32[1]",
            max_absolute=1e-6,
            max_relative=2e-6,
            tolerance=1e-4,
            ok=True,
        )
        return ExportResult(
            path=request.output,
            size=1234567,
            sha256="a" * 64,
            reference=Path("m.ptl.reference.safetensors") if request.reference else None,
            inputs=request.inputs,
            differences=(difference,),
            capture="trace",
            optimized=request.optimize,
            torch_version="1.13",
        )

    monkeypatch.setattr(api, "export_model", export)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_defaults() -> None:
    assert run("mobilenet_v2", "-o", "m.ptl").exit_code == 0
    (request,) = asked
    assert request == ExportRequest(source="mobilenet_v2", output=Path("m.ptl"), folder=Path.cwd())


def test_every_option_reaches_the_request() -> None:
    options = "--shape 1,2 --shape scalar --dtype int64 --dtype bool --script --no-optimize"
    run(
        "p.m:f",
        "-o",
        "m.ptl",
        *options.split(),
        "--no-reference",
        "--tolerance",
        "0.5",
        "--seed",
        "7",
    )
    (request,) = asked
    assert request.inputs == (TensorSpec(DType.INT64, (1, 2)), TensorSpec(DType.BOOL, ()))
    assert request.capture is Capture.SCRIPT
    assert (request.optimize, request.reference) == (False, False)
    assert (request.tolerance, request.seed) == (0.5, 7)


def test_result_for_people() -> None:
    output = run("m", "-o", "my model.ptl").output
    assert "1,234,567 bytes" in output
    assert "1e-06" in output
    assert "builder build 'my model.ptl' --abi " in output


def test_result_for_programs() -> None:
    value = json.loads(run("m", "-o", "m.ptl", "--shape", "1,2", "--json").stdout)
    assert value["inputs"] == [{"dtype": "float32", "shape": [1, 2]}]
    assert value["outputs"][0]["max_absolute"] == 1e-6
    assert value["size"] == 1234567


def test_bad_shape_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        run("m", "-o", "m.ptl", "--shape", "one")
    assert run("m").exit_code == 2
    assert asked == []
