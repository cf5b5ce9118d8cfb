from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import make_info

from builder.core.artifacts import VerifyReport
from builder.core.model import ModelInfo
from builder.core.operators import Operator
from builder.core.tensors import DType, ReferenceCase, Tensor, TensorSpec
from builder.errors import BuilderError, ConfigurationError, ModelError, VerificationError
from builder.system.process import Completed
from builder.system.progress import Silent
from builder.system.reference_headers import reference_path
from builder.system.references import read_reference, write_reference
from builder.verify.requests import VerifyRequest
from builder.verify.verifier import verify_model

from .fakes import FakeRunner, make_runtime

HOST = "linux-x86_64"
SPEC = TensorSpec(DType.FLOAT32, (2,))
EXPECTED = np.array([1.0, 2.0], np.float32)
INFO = make_info("aten::relu")


@pytest.fixture
def request_(tmp_path: Path) -> VerifyRequest:
    make_runtime(tmp_path / "out", HOST)
    return VerifyRequest(model=tmp_path / "m.ptl", runtime=tmp_path / "out")


def save_case(request: VerifyRequest, sha256: str = INFO.sha256) -> None:
    tensor = Tensor(SPEC, EXPECTED.tobytes())
    case = ReferenceCase(
        inputs=(tensor,), outputs=(tensor,), torch_version="1.13", model_sha256=sha256
    )
    write_reference(reference_path(request.model), case)


def giving(values: np.ndarray) -> FakeRunner:
    """A runner whose program gives `values` as its only output."""

    def write(command: tuple[str, ...]) -> None:
        folder = command[command.index("--output-dir") + 1]
        Path(folder, "o.bin").write_bytes(values.tobytes())

    line = {
        "outputs": [{"dtype": values.dtype.name, "shape": list(values.shape), "file": "o.bin"}],
        "seconds": 0.5,
    }
    return FakeRunner.of(Completed(0, json.dumps(line)), before=write)


def verify(
    request: VerifyRequest,
    runner: FakeRunner,
    info: ModelInfo = INFO,
    oracle=lambda model, specs, inputs: None,
) -> VerifyReport:
    return verify_model(
        request, info, host_abi=HOST, runner=runner, oracle=oracle, progress=Silent()
    )


def test_same_outputs_are_ok(request_: VerifyRequest) -> None:
    save_case(request_)
    report = verify(request_, giving(EXPECTED))
    assert report.ok
    assert report.seconds == 0.5
    assert "eager PyTorch 1.13" in report.reference


def test_another_processors_runtime_runs_through_the_emulator(tmp_path: Path) -> None:
    make_runtime(tmp_path / "out", "linux-riscv64")
    request = VerifyRequest(model=tmp_path / "m.ptl", runtime=tmp_path / "out")
    save_case(request)
    emulator = tmp_path / "qemu-riscv64"
    emulator.write_text("")
    emulator.chmod(0o755)
    runner = replace(giving(EXPECTED), environment={"PATH": str(tmp_path)})
    assert verify(request, runner).ok
    assert runner.commands[0][:3] == (str(emulator), "-L", "/usr/riscv64-linux-gnu")


@pytest.mark.parametrize("values", [EXPECTED + 0.1, EXPECTED[:1], EXPECTED.astype(np.float64)])
def test_other_outputs_are_not(request_: VerifyRequest, values: np.ndarray) -> None:
    save_case(request_)
    assert not verify(request_, giving(values)).ok


def test_tolerance_is_the_users(request_: VerifyRequest) -> None:
    save_case(request_)
    assert verify(replace(request_, tolerance=0.5), giving(EXPECTED + 0.1)).ok


def test_reference_of_another_file_is_refused(request_: VerifyRequest) -> None:
    save_case(request_, sha256="b" * 64)
    with pytest.raises(VerificationError, match="belongs to another file") as caught:
        verify(request_, giving(EXPECTED))
    assert "builder export" in (caught.value.hint or "")


def test_nested_inputs_are_passed_as_the_model_takes_them(request_: VerifyRequest) -> None:
    save_case(request_)
    path = reference_path(request_.model)
    write_reference(path, replace(read_reference(path), structure="([float32[2]],)"))
    runner = giving(EXPECTED)
    assert verify(request_, runner).ok
    command = runner.commands[-1]
    begin = command.index("--list")
    assert command[begin + 1] == "--input"
    assert command[begin + 2].startswith("float32:2:")
    assert command[begin + 3] == "--end"


def test_without_reference_and_shapes_there_is_nothing_to_run(request_: VerifyRequest) -> None:
    with pytest.raises(ConfigurationError, match="no reference case"):
        verify(request_, giving(EXPECTED))


def test_without_reference_and_torch_only_finiteness_is_reported(request_: VerifyRequest) -> None:
    request = replace(request_, inputs=(SPEC,))
    report = verify(request, giving(EXPECTED))
    assert (report.ok, report.reference) == (True, "none")
    assert report.outputs[0].max_absolute is None
    assert not verify(request, giving(np.array([np.nan], np.float32))).ok


def test_without_reference_torch_is_asked(request_: VerifyRequest) -> None:
    request = replace(request_, inputs=(SPEC,))
    tensor = Tensor(SPEC, EXPECTED.tobytes())
    for values, ok in ((EXPECTED, True), (EXPECTED + 1, False)):
        report = verify(request, giving(values), oracle=lambda m, s, i: ("torch 9", (tensor,)))
        assert (report.ok, report.reference) == (ok, "torch 9")


def test_missing_operators_are_named_all_before_anything_runs(request_: VerifyRequest) -> None:
    save_case(request_)
    runner = FakeRunner.of(Completed(0, "aten::relu\naten::size\n"))
    wanted = ("aten::relu", "aten::size", "aten::topk", "aten::add.Scalar")
    info = replace(INFO, operators=tuple(map(Operator.parse, wanted)))
    with pytest.raises(VerificationError, match="2 operators") as caught:
        verify(request_, runner, info)
    assert "aten::add.Scalar, aten::topk" in caught.value.message
    assert f"--abi {HOST}" in (caught.value.hint or "")
    assert len(runner.commands) == 1


def test_operators_that_every_runtime_has_are_not_missing(request_: VerifyRequest) -> None:
    save_case(request_)
    running = giving(EXPECTED)
    runner = FakeRunner.of(
        Completed(0, "aten::size\n"),
        *running.answers,
        before=lambda command: running.before(command) if "--output-dir" in command else None,
    )
    info = replace(INFO, operators=(Operator("aten::size"),))
    assert verify(request_, runner, info).ok


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"bytecode_version": None}, ModelError, "no lite file"),
        ({"bytecode_version": 3}, VerificationError, "4 to 9"),
        ({"bytecode_version": 10}, VerificationError, "4 to 9"),
        ({"custom_classes": ("ns.Cls",)}, VerificationError, "ns.Cls"),
    ],
)
def test_models_that_the_runtime_cannot_serve_are_refused(
    request_: VerifyRequest, change: dict[str, object], error: type[BuilderError], words: str
) -> None:
    save_case(request_)
    runner = FakeRunner.of()
    with pytest.raises(error, match=words):
        verify(request_, runner, replace(INFO, **change))
    assert runner.commands == []
