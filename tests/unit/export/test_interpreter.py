"""What builder makes of the answers of its child; tests/contract has a real one."""

from __future__ import annotations

import pytest

from builder.core.arrays import sample_inputs
from builder.core.hint_json import describe_hint
from builder.core.nesting import parse_input
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.errors import Hint, ModelError, Run, ToolchainError, Use, VerificationError
from builder.export import interpreter as module
from builder.export.interpreter import Interpreter, InterpreterEndedError
from builder.export.samples import Sample
from builder.system.children import ChildEndedError, ChildLateError
from builder.system.frames import Frame
from builder.system.limits import Limits

PAIR = TensorSpec(DType.INT16, (2,))
GOOD = {"torch": "9", "outputs": [[["int16", [2]]]], "seconds": 0.5}


class FakeChild:
    """Gives prepared answers, and counts how often one is started."""

    answer: Frame | Exception = Frame(header=GOOD, blobs=(b"abcd",))
    started = 0
    jobs: list[Frame]

    def __init__(self, name: str) -> None:
        type(self).started += 1
        self.is_alive = True

    def ask(self, job: Frame, *, seconds: int, limit: int) -> Frame:
        self.jobs.append(job)
        if isinstance(self.answer, Exception):
            self.is_alive = False
            raise self.answer
        return self.answer

    def close(self) -> None:
        self.is_alive = False


@pytest.fixture(autouse=True)
def child(monkeypatch):
    monkeypatch.setattr(module, "PythonChild", FakeChild)
    monkeypatch.setattr(FakeChild, "started", 0)
    monkeypatch.setattr(FakeChild, "jobs", [], raising=False)
    monkeypatch.setattr(module, "check_boundary", lambda: None)

    def answering(header=GOOD, blobs=(b"abcd",), *, error=None):
        monkeypatch.setattr(FakeChild, "answer", error or Frame(header=header, blobs=blobs))
        return FakeChild

    return answering


def run(*, confined: bool = True):
    return Interpreter(Limits(seconds=7, memory=8 << 20), confined=confined).run(b"lite", [SAMPLE])


SPECS = (parse_input("float32[2]"), parse_input('{"a": [1, 2.5]}'))
SAMPLE = Sample(specs=SPECS, leaves=sample_inputs(SPECS, seed=0))


def test_outputs_come_back_as_tensors(child):
    found = run()
    assert found.outputs == ((Tensor(PAIR, b"abcd"),),)
    assert (found.seconds, found.torch_version) == (0.5, "9")


def test_the_job_says_all_that_the_child_needs(child):
    run()
    (job,) = FakeChild.jobs
    assert job.header["task"] == "run"
    assert (job.header["confined"], job.header["seconds"]) == (True, 7)
    assert job.header["memory"] == 8 << 20
    (sample,) = job.header["samples"]
    assert parse_input(sample["structure"]).items == SPECS
    assert [len(blob) for blob in job.blobs] == [4, 8, 8, 8]


def test_one_model_per_confined_child(child):
    interpreter = Interpreter(Limits(), confined=True)
    for _ in range(3):
        interpreter.run(b"lite", [SAMPLE])
    assert FakeChild.started == 3


def test_an_export_keeps_its_child_until_that_ends(child):
    interpreter = Interpreter(Limits(), confined=False)
    for _ in range(3):
        interpreter.run(b"lite", [SAMPLE])
    assert FakeChild.started == 1
    child(error=ChildEndedError("was ended by SIGSEGV"))
    for _ in range(2):
        with pytest.raises(InterpreterEndedError):
            interpreter.run(b"lite", [SAMPLE])
    assert FakeChild.started == 2


@pytest.mark.parametrize(
    ("error", "by_limit", "hint"),
    [
        (ChildEndedError("was ended by SIGSEGV"), False, "is damaged"),
        (ChildLateError("took more than 7 seconds of CPU time"), True, "limits.seconds"),
    ],
)
def test_an_end_is_an_error_with_a_remedy(child, error, by_limit, hint):
    child(error=error)
    with pytest.raises(InterpreterEndedError) as caught:
        run()
    assert caught.value.message == f"torch, running the lite file, {error.message}"
    assert caught.value.by_limit is by_limit
    assert hint in (caught.value.hint or "")


def test_hints_of_the_child_keep_their_settings_and_commands(child):
    hint = Hint("give one with ", Use("shapes"), ", or ", Run("export", ("MODEL",)))
    child({"error": "ModelError", "message": "", "hint": describe_hint(hint)}, ())
    with pytest.raises(ModelError) as caught:
        run()
    assert caught.value.hint.parts == hint.parts


@pytest.mark.parametrize("hint", ["text", 3, [3], [{"setting": "a"}], [{"command": "ops"}]])
def test_a_hint_of_another_form_is_left_out(child, hint):
    child({"error": "ModelError", "message": "no model", "hint": hint}, ())
    with pytest.raises(ModelError, match="no model") as caught:
        run()
    assert caught.value.hint is None


def test_memory_is_named_with_its_limit(child):
    child({"error": "MemoryError", "message": "", "hint": None}, ())
    with pytest.raises(InterpreterEndedError, match="took more memory than 8 MiB") as caught:
        run()
    assert caught.value.by_limit


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("ModelError", ModelError),
        ("ToolchainError", ToolchainError),
        ("VerificationError", VerificationError),
        ("SystemExit", VerificationError),
        (3, VerificationError),
    ],
)
def test_errors_of_the_child_keep_their_kind_and_lose_control_characters(child, kind, error):
    child({"error": kind, "message": "a\x1b[2Jb", "hint": ["c\rd"]}, ())
    with pytest.raises(error) as caught:
        run()
    assert type(caught.value) is error
    assert (caught.value.message, caught.value.hint) == (r"a\x1b[2Jb", r"c\rd")


@pytest.mark.parametrize(
    ("header", "blobs"),
    [
        ({}, ()),
        ({**GOOD, "outputs": None}, ()),
        ({**GOOD, "outputs": [[["int16"]]]}, (b"abcd",)),
        ({**GOOD, "outputs": [[["int99", [2]]]]}, (b"abcd",)),
        ({**GOOD, "outputs": [[["int16", [-2, -1]]]]}, (b"abcd",)),
        ({**GOOD, "outputs": [[["int16", [True, 2]]]]}, (b"abcd",)),
        ({**GOOD, "outputs": [[["int16", ["2"]]]]}, (b"abcd",)),
        ({**GOOD, "outputs": [[["int16", [1 << 62, 4]]]]}, (b"abcd",)),
        ({**GOOD, "outputs": [[["int16", [3]]]]}, (b"abcd",)),
        ({**GOOD, "outputs": []}, ()),
        ({**GOOD, "outputs": [[["int16", [2]]], []]}, (b"abcd",)),
        (GOOD, ()),
        (GOOD, (b"abcd", b"abcd")),
        ({**GOOD, "seconds": "x"}, (b"abcd",)),
        ({**GOOD, "seconds": [10**400]}, (b"abcd",)),
        ({**GOOD, "seconds": 10**400}, (b"abcd",)),
    ],
)
def test_answers_that_make_no_sense_are_errors(child, header, blobs):
    child(header, blobs)
    with pytest.raises(InterpreterEndedError, match="cannot read"):
        run()


def test_a_conversion_gives_one_file(child):
    child({"torch": "9"}, (b"lite",))
    assert Interpreter(confined=True).convert(b"script") == b"lite"
    child({"torch": "9"}, ())
    with pytest.raises(InterpreterEndedError, match="cannot read"):
        Interpreter(confined=True).convert(b"script")


def test_trying_says_only_that_it_crashes(child):
    interpreter = Interpreter(confined=False)
    child({"error": "ModelError", "message": "no TorchScript", "hint": None}, ())
    interpreter.try_loading(b"script")
    child(error=ChildEndedError("was ended by SIGSEGV"))
    with pytest.raises(InterpreterEndedError):
        interpreter.try_loading(b"script")


def test_without_a_boundary_nothing_is_started(child, monkeypatch):
    def refuse() -> None:
        raise ToolchainError("no seccomp")

    monkeypatch.setattr(module, "check_boundary", refuse)
    with pytest.raises(ToolchainError):
        run()
    assert FakeChild.started == 0
    run(confined=False)
