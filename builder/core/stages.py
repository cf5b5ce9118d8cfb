"""Compares the stages of an export with one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from builder.core.arrays import to_array
from builder.core.artifacts import OutputDifference
from builder.core.tensors import DType, Tensor

_FLOATS = {DType.FLOAT16, DType.FLOAT32, DType.FLOAT64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How often two classifiers choose the same class."""

    same: int
    """Number of rows with the same class."""
    rows: int
    """Number of rows that were compared."""

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(same=self.same + other.same, rows=self.rows + other.rows)


class RanBy(StrEnum):
    """What runs a stage."""

    PYTHON = "python"
    TORCH = "torch"
    """The lite interpreter of the installed torch."""
    RUNTIME = "runtime"
    """A runtime that builder built for this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of the model on its way from eager mode to the lite file."""

    name: str
    size: int
    """Bytes of the lite file of this stage; in eager mode, bytes of parameters and buffers."""
    seconds: float | None = None
    """Seconds of the quickest call on this machine; None when the stage cannot run here."""
    by: RanBy | None = None
    """What ran the stage; None when nothing did."""
    samples: int = 0
    """On how many samples of inputs the stage was compared."""
    against: str = ""
    """Name of the stage that it is compared with; empty for the first stage."""
    differences: tuple[OutputDifference, ...] = ()
    agreement: Agreement | None = None
    """Agreement with the other stage; None unless the model is a classifier."""
    judged: bool = True
    """Whether differences make the stage fail; False for quantisation, which changes outputs."""
    remark: str = ""

    @property
    def ok(self) -> bool:
        """Whether all differences are within their tolerances, or are not judged."""
        return not self.judged or all(difference.ok for difference in self.differences)

    @property
    def max_absolute(self) -> float | None:
        """Largest absolute difference of all outputs; None when nothing was compared."""
        return max((d.max_absolute or 0.0 for d in self.differences), default=None)

    @property
    def max_relative(self) -> float | None:
        """Largest relative difference of all outputs; None when nothing was compared."""
        return max((d.max_relative or 0.0 for d in self.differences), default=None)


def find_agreement(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> Agreement | None:
    """Returns how many rows have their largest value in the same column.

    None unless both outputs are one float tensor of the same shape `[rows, classes]`, which is the
    output of classifiers.
    """
    if len(actual) != 1 or len(expected) != 1 or actual[0].spec != expected[0].spec:
        return None
    spec = expected[0].spec
    # With a single class, every row would agree.
    if spec.dtype not in _FLOATS or len(spec.shape) != 2 or 0 in spec.shape or spec.shape[1] == 1:
        return None
    left, right = (to_array(outputs[0]).argmax(axis=1) for outputs in (actual, expected))
    return Agreement(same=int((left == right).sum()), rows=spec.shape[0])


def widen_differences(
    kept: Sequence[OutputDifference], more: Sequence[OutputDifference]
) -> tuple[OutputDifference, ...]:
    """Returns for each output the worse of two comparisons of the same model."""
    # Another number of outputs is the worst difference; the longer list shows it.
    if len(kept) != len(more):
        return tuple(kept if len(kept) > len(more) else more)
    return tuple(max(pair, key=_badness) for pair in zip(kept, more, strict=True))


def _badness(difference: OutputDifference) -> tuple[bool, float]:
    return (not difference.ok, difference.max_relative or 0.0)
