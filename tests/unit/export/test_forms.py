"""What a lite file that fails is judged to be: one that this torch cannot run, or a wrong one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from builder.core.stages import Stage
from builder.core.tensors import DRAWS_SEED, DType, Tensor, TensorSpec
from builder.errors import BuilderError, ToolchainError, VerificationError
from builder.export.forms import Form, measure_if_runnable
from builder.export.interpreter import InterpreterEndedError, LackingError, LiteRun
from builder.export.samples import Sample

SPEC = TensorSpec(DType.FLOAT32, (1,))
OUTPUTS = ((Tensor(SPEC, bytes(4)),),)
SAMPLE = Sample(specs=(SPEC,), leaves=(Tensor(SPEC, bytes(4)),))
BASE = Form(name="source", outputs=OUTPUTS, stage=Stage(name="source", size=6))


class Runs:
    """Runs all files but those that fail."""

    def __init__(self, **failures: BuilderError) -> None:
        self.failures = failures

    def run(
        self,
        content: bytes,
        samples: Sequence[Sample],
        *,
        method: str = "forward",
        timed: bool = False,
        seed: int = DRAWS_SEED,
    ) -> LiteRun:
        if failure := self.failures.get(content.decode()):
            raise failure
        return LiteRun(outputs=OUTPUTS, seconds=0)


def measure(**failures: BuilderError) -> Stage:
    return measure_if_runnable(
        "lite",
        b"packed",
        [SAMPLE],
        BASE,
        tolerance=None,
        interpreter=Runs(**failures),
        source=b"source",
    )


def test_a_file_that_fails_where_its_source_runs_is_wrong():
    assert measure().ok
    assert measure().against == "source"
    with pytest.raises(VerificationError, match="lite: a dimension is missing") as caught:
        measure(packed=VerificationError("a dimension is missing"))
    assert "optimisation.left_out=prepack" in str(caught.value.hint)


@pytest.mark.parametrize(
    "failures",
    [
        {"packed": LackingError("no XNNPACK")},
        {"packed": ToolchainError("no torchvision")},
        {"packed": VerificationError("bad"), "source": VerificationError("bad")},
    ],
)
def test_a_file_that_this_torch_cannot_run_is_not_judged(failures: dict[str, BuilderError]):
    stage = measure(**failures)
    assert (stage.judged, stage.against) == (False, "")
    assert stage.remark == f"not run: {failures['packed'].message}"


def test_a_crash_is_told_as_it_is():
    with pytest.raises(InterpreterEndedError):
        measure(packed=InterpreterEndedError("torch crashed"))
