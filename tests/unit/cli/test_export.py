import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builder import api
from builder.cli.export import command
from builder.core.artifacts import OutputDifference
from builder.core.nesting import Group, GroupKind, MethodInputs, Number
from builder.core.stages import Agreement, Stage
from builder.core.tensors import DType, TensorSpec
from builder.errors import ConfigurationError, VerificationError
from builder.export.request import (
    Capture,
    ExportRequest,
    ExportResult,
    Flow,
    LiteFormat,
    Method,
    MobileBackend,
    Optimisation,
    Pass,
    Quantisation,
    Saving,
)

DIFFERENCE = OutputDifference(
    index=0, spec="float32[1,9]", max_absolute=1e-6, max_relative=2e-6, tolerance=1e-4, ok=True
)
STAGES = (
    Stage(name="eager", size=2345678, seconds=0.0125),
    Stage(
        name="quantised",
        size=345678,
        seconds=0.0025,
        against="eager",
        differences=(replace(DIFFERENCE, max_relative=0.25, ok=False),),
        agreement=Agreement(same=7, rows=8),
        judged=False,
    ),
    Stage(name="lite", size=1234567, seconds=0.001, against="quantised", differences=(DIFFERENCE,)),
    Stage(name="other", size=7, remark="it cannot run here"),
)
asked: list[ExportRequest] = []


def result_of(request: ExportRequest, failure: VerificationError | None) -> ExportResult:
    return ExportResult(
        path=None if failure else request.output,
        size=1234567,
        sha256="a" * 64,
        bytecode_version=8,
        reference=Path("m.ptl.reference.safetensors") if request.reference else None,
        inputs=request.inputs,
        differences=(replace(DIFFERENCE, ok=failure is None),),
        stages=STAGES,
        remarks=("a float64 constant (nets.py:3)",),
        capture="trace",
        optimized=request.optimisation.enabled,
        torch_version="1.13",
        failure=failure,
    )


@pytest.fixture(autouse=True)
def _exported(monkeypatch: pytest.MonkeyPatch) -> None:
    asked.clear()

    def export(request: ExportRequest, *, progress: object) -> ExportResult:
        asked.append(request)
        failure = VerificationError("it differs") if request.source == "wrong" else None
        return result_of(request, failure)

    monkeypatch.setattr(api, "export", export)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def ask(options: str) -> ExportRequest:
    assert run("p.m:f", "-o", "m.ptl", *options.split()).exit_code == 0
    return asked[-1]


def test_defaults() -> None:
    assert run("mobilenet_v2", "-o", "m.ptl").exit_code == 0
    (request,) = asked
    assert request == ExportRequest(source="mobilenet_v2", output=Path("m.ptl"), folder=Path.cwd())


def test_every_option_reaches_the_request() -> None:
    request = ask(
        "--shape 1,2 --shape scalar --dtype int64 --dtype bool --script --no-optimize "
        "--second-shape 2,2 --second-shape scalar --no-reference --tolerance 0.5 --seed 7 --keep "
        "--arg a=1 --arg b=x=y --weights w.pt --calibrate photos --method encode --channels-last"
    )
    assert request.inputs == (TensorSpec(DType.INT64, (1, 2)), TensorSpec(DType.BOOL, ()))
    assert request.second_inputs == (TensorSpec(DType.INT64, (2, 2)), TensorSpec(DType.BOOL, ()))
    assert request.capture is Capture.SCRIPT
    assert (request.optimisation.enabled, request.reference) == (False, False)
    assert (request.tolerance, request.seed, request.keep) == (0.5, 7, True)
    assert request.arguments == (("a", "1"), ("b", "x=y"))
    assert (request.weights, request.calibrate) == (Path("w.pt"), "photos")
    assert (request.methods, request.channels_last) == ((MethodInputs("encode"),), True)


def test_grouped_options_reach_the_request() -> None:
    request = ask(
        "--quantize static --quantize-flow eager --per-channel --backend nnapi --skip-pass "
        "fold-batch-norms --format flatbuffer --bytecode-version 5 --bundle-inputs --extra-file a=b"
    )
    assert request.quantisation == Quantisation(
        method=Method.STATIC, flow=Flow.EAGER, per_channel=True
    )
    assert request.optimisation == Optimisation(
        backend=MobileBackend.NNAPI, left_out=frozenset({Pass.FOLD_BATCH_NORMS})
    )
    assert request.saving == Saving(
        format=LiteFormat.FLATBUFFER,
        bytecode_version=5,
        bundle_inputs=True,
        extra_files=(("a", Path("b")),),
    )


def test_the_usual_flow_depends_on_the_method() -> None:
    flows = [ask(f"--quantize {method}").quantisation.flow for method in ("static", "dynamic")]
    assert flows == [Flow.FX, Flow.EAGER]
    assert run("m", "-o", "m.ptl", "--per-channel").exit_code == 2


def test_nested_inputs() -> None:
    run("m", "-o", "m.ptl", "--input", "[float32[1,2], int64]", "--input", "3")
    pair = (TensorSpec(DType.FLOAT32, (1, 2)), TensorSpec(DType.INT64, ()))
    assert asked[0].inputs == (Group(GroupKind.LIST, pair), Number(3))
    with pytest.raises(ConfigurationError, match="both"):
        run("m", "-o", "m.ptl", "--input", "3", "--shape", "1")


def test_result_for_people() -> None:
    said = run("m", "-o", "my model.ptl")
    assert "1,234,567 bytes" in said.output
    assert "bytecode version 8" in said.output
    assert "builder build 'my model.ptl' --abi " in said.output
    assert "note: a float64 constant (nets.py:3)" in said.stderr
    rows = {line.split()[0]: line.split() for line in said.stdout.splitlines() if line.strip()}
    assert rows["eager"][1:4] == ["2,345,678", "12.5", "-"]
    assert rows["quantised"][3:] == ["eager", "1e-06", "0.25", "7", "of", "8", "for", "information"]
    assert rows["lite"][-1] == "ok"
    assert rows["other"][-2:] == ["not", "run"]
    assert "other: it cannot run here" in said.stdout


def test_result_for_programs() -> None:
    value = json.loads(run("m", "-o", "m.ptl", "--shape", "1,2", "--json").stdout)
    assert value["inputs"] == [{"dtype": "float32", "shape": [1, 2]}]
    assert value["outputs"][0]["max_absolute"] == 1e-6
    assert value["size"] == 1234567
    assert [stage["name"] for stage in value["stages"]] == ["eager", "quantised", "lite", "other"]
    assert value["stages"][1]["agreement"] == {"rows": 8, "same": 7}
    assert value["ok"] is True


def test_a_file_that_differs_shows_the_table_and_fails() -> None:
    said = CliRunner().invoke(command, ["wrong", "-o", "m.ptl"])
    assert isinstance(said.exception, VerificationError)
    assert "not written" in said.stdout
    assert "quantised" in said.stdout
    assert "next: " not in said.stdout
    value = json.loads(CliRunner().invoke(command, ["wrong", "-o", "m", "--json"]).stdout)
    assert (value["ok"], value["path"]) == (False, None)


@pytest.mark.parametrize("text", ["nonsense", "=1"])
def test_bad_pairs_are_refused(text: str) -> None:
    assert run("m", "-o", "m.ptl", "--arg", text).exit_code == 2
    assert asked == []


def test_bad_shape_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        run("m", "-o", "m.ptl", "--shape", "one")
    assert run("m").exit_code == 2
    assert asked == []


MODELS = Path(__file__).parents[2] / "data/models"


@pytest.mark.parametrize("content", [b"import torch\n", (MODELS / "control.pt").read_bytes()])
def test_what_is_no_lite_file_is_not_replaced(tmp_path, content):
    path = tmp_path / "model.py"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not a lite file, and would be overwritten"):
        CliRunner().invoke(command, ["net", "-o", str(path)], catch_exceptions=False)
    assert path.read_bytes() == content
    assert asked == []


def test_the_exported_model_itself_is_not_replaced(tmp_path):
    path = tmp_path / "model.ptl"
    path.write_bytes((MODELS / "conv.ptl").read_bytes())
    with pytest.raises(ConfigurationError, match="is the model to export"):
        CliRunner().invoke(command, [str(path), "-o", str(path)], catch_exceptions=False)
    assert CliRunner().invoke(command, ["net", "-o", str(path)]).exit_code == 0


def test_a_file_beside_the_model_that_is_no_reference_case_is_not_replaced(tmp_path):
    beside = tmp_path / "model.ptl.reference.safetensors"
    beside.write_text("mine")
    with pytest.raises(ConfigurationError, match="is not a reference case"):
        CliRunner().invoke(
            command, ["net", "-o", str(tmp_path / "model.ptl")], catch_exceptions=False
        )
    assert beside.read_text() == "mine"


@pytest.mark.parametrize("tolerance", ["nan", "inf", "-1"])
def test_a_tolerance_that_nothing_exceeds_is_none(tmp_path, tolerance):
    given = ["net", "-o", str(tmp_path / "m.ptl"), "--tolerance", tolerance]
    assert CliRunner().invoke(command, given).exit_code == 2
    assert asked == []


@pytest.mark.parametrize("given", [("--skip-pass", "conv_bn_fusion"), ("--backend", "vulkan")])
def test_options_of_the_optimisation_need_one(tmp_path, given):
    asking = ["net", "-o", str(tmp_path / "m.ptl"), "--no-optimize", *given]
    assert CliRunner().invoke(command, asking).exit_code == 2
    assert asked == []
