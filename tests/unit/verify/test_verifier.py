from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import make_info

from builder.core.artifacts import VerifyReport
from builder.core.differences import BY_SHAPE
from builder.core.model_facts import ModelInfo
from builder.core.nesting import Named, Number
from builder.core.operators import Operator
from builder.core.signatures import make_signature
from builder.core.tensors import Call, DType, ReferenceCase, Tensor, TensorSpec
from builder.errors import BuilderError, ConfigurationError, ModelError, VerificationError
from builder.system.process import Completed
from builder.system.progress import Silent
from builder.system.reference_cases import read_reference, write_reference
from builder.system.reference_headers import reference_path
from builder.verify import verifier
from builder.verify.request import VerifyRequest
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


def drawing(*, by_seed: bool) -> FakeRunner:
    """A runner whose outputs depend on the seed, or on the number of the call."""
    calls: list[object] = []

    def write(command: tuple[str, ...]) -> None:
        calls.append(command)
        number = int(command[command.index("--seed") + 1]) if by_seed else len(calls)
        folder = command[command.index("--output-dir") + 1]
        Path(folder, "o.bin").write_bytes(np.array([number, 7], np.float32).tobytes())

    line = {"outputs": [{"dtype": "float32", "shape": [2], "file": "o.bin"}], "seconds": 0.5}
    answers = [Completed(0, json.dumps(line)) for _ in range(4)]
    return FakeRunner.of(*answers, before=write)


@pytest.mark.parametrize(
    ("operator", "by_seed", "ok"),
    [("aten::rand", True, True), ("aten::rand", False, False), ("aten::relu", True, False)],
)
def test_only_models_that_draw_numbers_are_judged_by_shape(
    request_: VerifyRequest,
    monkeypatch: pytest.MonkeyPatch,
    operator: str,
    by_seed: bool,
    ok: bool,
) -> None:
    info = make_info(operator)
    monkeypatch.setattr(verifier, "find_missing_operators", lambda *_, **__: ())
    monkeypatch.setattr(verifier, "check_served", lambda *_, **__: None)
    save_case(request_, info.sha256)
    report = verify(request_, drawing(by_seed=by_seed), info)
    assert report.ok == ok
    assert (report.outputs[0].problem == BY_SHAPE) == ok


def test_tolerance_is_the_users(request_: VerifyRequest) -> None:
    save_case(request_)
    assert verify(replace(request_, tolerance=0.5), giving(EXPECTED + 0.1)).ok


def test_reference_of_another_file_is_refused(request_: VerifyRequest) -> None:
    save_case(request_, sha256="b" * 64)
    with pytest.raises(VerificationError, match="belongs to another file") as caught:
        verify(request_, giving(EXPECTED))
    assert "export(" in (caught.value.hint or "")


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
        assert (report.ok, report.reference) == (ok, "torch 9, seeded random inputs")


BUNDLING = replace(
    INFO,
    signatures=(
        make_signature("forward", [("self", "M", None), ("x", "Tensor", None)], ["Tensor"]),
        make_signature("get_all_bundled_inputs", [("self", "M", None)], ["List[Tuple[Tensor]]"]),
    ),
)
BUNDLED = np.array([5.0, 6.0], np.float32)


def giving_bundled(*answers: np.ndarray) -> tuple[FakeRunner, list[bytes]]:
    """A runner whose program gives each of `answers`, and the inputs that it gets."""
    runner = giving(EXPECTED)
    given: list[bytes] = []
    rest = iter(answers)

    def write(command: tuple[str, ...]) -> None:
        if "--input" in command:
            path = command[command.index("--input") + 1].rpartition(":")[2]
            given.append(Path(path).read_bytes())
        Path(command[command.index("--output-dir") + 1], "o.bin").write_bytes(next(rest).tobytes())

    return replace(runner, answers=runner.answers * 2, before=write), given


def test_inputs_that_the_file_bundles_are_given_to_the_method(request_: VerifyRequest) -> None:
    save_case(request_)  # of other inputs
    asked = []

    def oracle(model, specs, inputs):
        asked.append((specs, [tensor.data for tensor in inputs]))
        return "torch 9", (Tensor(SPEC, EXPECTED.tobytes()),)

    runner, given = giving_bundled(BUNDLED, EXPECTED)
    report = verify(replace(request_, bundled_input=0), runner, BUNDLING, oracle)
    assert (report.ok, report.reference) == (True, "torch 9, bundled inputs 0")
    assert given == [BUNDLED.tobytes()]
    assert asked == [((SPEC,), given)]
    assert "get_all_bundled_inputs" in runner.commands[0]
    assert "--method" not in runner.commands[1]


def test_the_export_knows_the_outputs_of_the_inputs_that_it_bundled(
    request_: VerifyRequest,
) -> None:
    save_case(request_)
    for outputs, ok in ((EXPECTED, True), (BUNDLED, False)):
        runner, _ = giving_bundled(EXPECTED, outputs)
        report = verify(replace(request_, bundled_input=0), runner, BUNDLING)
        assert report.ok == ok
        assert "eager PyTorch 1.13, bundled inputs 0" in report.reference


def test_a_case_of_another_file_says_nothing_of_bundled_inputs(request_: VerifyRequest) -> None:
    save_case(request_, "b" * 64)
    runner, _ = giving_bundled(EXPECTED, EXPECTED)
    report = verify(replace(request_, bundled_input=0), runner, BUNDLING)
    assert (report.ok, report.reference) == (True, "none")


def test_bundled_inputs_that_the_method_does_not_take_are_refused(
    request_: VerifyRequest,
) -> None:
    forward = make_signature(
        "forward", [("self", "M", None), ("x", "Tensor", None), ("n", "int", None)], ["Tensor"]
    )
    info = replace(BUNDLING, signatures=(forward, *BUNDLING.signatures[1:]))
    runner, given = giving_bundled(BUNDLED)
    with pytest.raises(ConfigurationError, match="forward takes 2 inputs"):
        verify(replace(request_, bundled_input=0), runner, info, refuse_to_run)
    assert given == []


def test_a_model_without_a_case_is_said_to_bundle_inputs(request_: VerifyRequest) -> None:
    with pytest.raises(ConfigurationError, match="no reference case") as caught:
        verify(request_, giving(EXPECTED), BUNDLING)
    assert "bundled_input=0" in (caught.value.hint or "")


def refuse_to_run(*_: object) -> None:
    pytest.fail("torch was asked")


def test_torch_is_not_asked_for_operators_that_the_runtime_lacks(request_: VerifyRequest) -> None:
    request = replace(request_, inputs=(SPEC,))
    runner = FakeRunner.of(Completed(0, "aten::relu\n"))
    info = replace(INFO, operators=(Operator("aten::from_file"),))
    with pytest.raises(VerificationError, match="aten::from_file"):
        verify(request, runner, info, oracle=refuse_to_run)


TAKES_TWO = replace(
    INFO,
    signatures=(
        make_signature("decide", [("self", "M", None)], []),
        make_signature(
            "forward", [("self", "M", None), ("x", "Tensor", None), ("n", "float", None)], []
        ),
    ),
)


def test_inputs_that_do_not_fit_run_nowhere(request_: VerifyRequest) -> None:
    runner = FakeRunner.of()
    request = replace(request_, inputs=(SPEC,))
    with pytest.raises(ConfigurationError) as caught:
        verify(request, runner, TAKES_TWO, oracle=refuse_to_run)
    assert caught.value.message == (
        "m.ptl: forward takes 2 inputs: (Tensor x, float n); 1 was given"
    )
    assert "inputs=" in (caught.value.hint or "")
    assert runner.commands == []


@pytest.mark.parametrize("arguments", [[], [("n", "int", 2)], [("x", "Optional[Tensor]", None)]])
def test_what_needs_no_inputs_runs_without_any(request_: VerifyRequest, arguments) -> None:
    signature = make_signature("forward", [("self", "M", None), *arguments], [])
    info = replace(INFO, signatures=(signature,))
    tensor = Tensor(SPEC, EXPECTED.tobytes())
    runner = giving(EXPECTED)
    report = verify(request_, runner, info, oracle=lambda m, s, i: ("torch 9", (tensor,)))
    assert (report.ok, report.reference) == (True, "torch 9")
    assert "--input" not in runner.commands[0]


CODER = replace(
    INFO,
    signatures=(
        make_signature("__setstate__", [("self", "M", None)], []),
        make_signature("decode", [("self", "M", None), ("x", "Tensor", None)], []),
        make_signature("forward", [("self", "M", None), ("x", "Tensor", None)], []),
        make_signature("initial", [("self", "M", None)], []),
    ),
)


def test_another_method_runs_on_its_own_inputs(request_: VerifyRequest) -> None:
    save_case(request_)
    path = reference_path(request_.model)
    two = Tensor(TensorSpec(DType.FLOAT32, (1,)), EXPECTED[:1].tobytes())
    call = Call(method="decode", inputs=(two,), outputs=(two,))
    write_reference(path, replace(read_reference(path), methods=(call,)))
    runner = giving(EXPECTED[:1])
    report = verify(replace(request_, method="decode"), runner, CODER)
    assert (report.ok, report.method) == (True, "decode")
    command = runner.commands[0]
    assert command[command.index("--method") + 1] == "decode"
    assert command[command.index("--input") + 1].startswith("float32:1:")


def test_a_method_without_a_saved_call(request_: VerifyRequest) -> None:
    save_case(request_)
    report = verify(replace(request_, method="initial"), giving(EXPECTED), CODER)
    assert (report.ok, report.reference) == (True, "none")
    with pytest.raises(ConfigurationError, match="has no call of decode") as caught:
        verify(replace(request_, method="decode"), giving(EXPECTED), CODER)
    assert "methods=decode=" in (caught.value.hint or "")
    given = replace(request_, method="decode", inputs=(SPEC,))
    assert verify(given, giving(EXPECTED), CODER).ok
    with pytest.raises(ConfigurationError, match="has no method 'encode'") as caught:
        verify(replace(request_, method="encode"), giving(EXPECTED), CODER)
    assert caught.value.hint == "it has these: method=decode, method=forward, method=initial"


def test_inputs_with_names_become_positions(request_: VerifyRequest) -> None:
    runner = giving(EXPECTED)
    inputs = (Named("n", Number(2)), Named("x", SPEC))
    assert verify(replace(request_, inputs=inputs), runner, TAKES_TWO).ok
    command = runner.commands[0]
    assert command.index("--input") < command.index("--int")
    for wrong, words in (("y", "y is no argument of it"), ("x", "is given twice")):
        request = replace(request_, inputs=(*inputs, Named(wrong, SPEC)))
        with pytest.raises(ConfigurationError, match=words):
            verify(request, runner, TAKES_TWO)
    with pytest.raises(ConfigurationError, match="does not name the arguments"):
        verify(replace(request_, inputs=inputs), runner, INFO)


def test_reference_cases_that_do_not_fit_run_nowhere(request_: VerifyRequest) -> None:
    save_case(request_)
    with pytest.raises(VerificationError, match="takes 2 inputs"):
        verify(request_, FakeRunner.of(), TAKES_TWO)


def test_torch_gets_the_numbers_that_the_method_takes(request_: VerifyRequest) -> None:
    asked: list[tuple[object, ...]] = []

    def oracle(model: Path, specs: object, leaves: object) -> None:
        asked.append((specs, leaves))

    request = replace(request_, inputs=(SPEC, Number(2)))
    assert verify(request, giving(EXPECTED), TAKES_TWO, oracle=oracle).ok
    (specs, leaves) = asked[0]
    assert specs == (SPEC, Number(2.0))
    assert leaves[1].spec == TensorSpec(DType.FLOAT64, ())


def test_missing_operators_are_named_all_before_anything_runs(request_: VerifyRequest) -> None:
    save_case(request_)
    runner = FakeRunner.of(Completed(0, "aten::relu\naten::size\n"))
    wanted = ("aten::relu", "aten::size", "aten::topk", "aten::add.Scalar")
    info = replace(INFO, operators=tuple(map(Operator.parse, wanted)))
    with pytest.raises(VerificationError, match="2 operators") as caught:
        verify(request_, runner, info)
    assert "aten::add.Scalar, aten::topk" in caught.value.message
    assert f"targets.abis={HOST}" in (caught.value.hint or "")
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
        ({"bytecode_version": None}, ModelError, "is not a lite file"),
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
