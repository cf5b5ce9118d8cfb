"""The stages of an export beside the model that they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.core.arrays import to_array
from builder.core.artifacts import OutputDifference
from builder.core.tensors import DType, Tensor

_FLOATS = {DType.FLOAT16, DType.FLOAT32, DType.FLOAT64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How often two classifiers choose the same class."""

    same: int
    rows: int

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(same=self.same + other.same, rows=self.rows + other.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One form of the model on its way to the lite file."""

    name: str
    size: int
    """Bytes: of the lite file that this form makes, of parameters and buffers in eager mode."""
    seconds: float | None = None
    """Of the quickest call here; None when it cannot run here."""
    against: str = ""
    """The stage that it is compared with; empty for the first."""
    differences: tuple[OutputDifference, ...] = ()
    agreement: Agreement | None = None
    """Of classifiers."""
    judged: bool = True
    """False where a difference is the price of the stage, as in quantisation."""
    remark: str = ""

    @property
    def ok(self) -> bool:
        """False when the stage differs by more than it may."""
        return not self.judged or all(difference.ok for difference in self.differences)

    @property
    def max_absolute(self) -> float | None:
        """The largest of all outputs; None when nothing was compared."""
        return max((d.max_absolute or 0.0 for d in self.differences), default=None)

    @property
    def max_relative(self) -> float | None:
        """The largest of all outputs; None when nothing was compared."""
        return max((d.max_relative or 0.0 for d in self.differences), default=None)


def find_agreement(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> Agreement | None:
    """Returns how many rows have their largest value in the same place.

    None unless both are one float tensor `[rows, classes]` of the same shape, which is what
    classifiers return.
    """
    if len(actual) != 1 or len(expected) != 1 or actual[0].spec != expected[0].spec:
        return None
    spec = expected[0].spec
    if spec.dtype not in _FLOATS or len(spec.shape) != 2 or 0 in spec.shape or spec.shape[1] == 1:
        return None
    left, right = (to_array(outputs[0]).argmax(axis=1) for outputs in (actual, expected))
    return Agreement(same=int((left == right).sum()), rows=spec.shape[0])


def widen_differences(
    kept: Sequence[OutputDifference], more: Sequence[OutputDifference]
) -> tuple[OutputDifference, ...]:
    """Returns, output by output, the worse of two comparisons of the same model."""
    if len(kept) != len(more):
        return tuple(kept if len(kept) > len(more) else more)
    return tuple(max(pair, key=_badness) for pair in zip(kept, more, strict=True))


def _badness(difference: OutputDifference) -> tuple[bool, float]:
    return (not difference.ok, difference.max_relative or 0.0)
