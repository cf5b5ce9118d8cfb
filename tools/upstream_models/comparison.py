"""How the outputs of a runtime compare with torch's, where some of them are random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from builder.core.differences import compare_outputs
from builder.core.tensors import Tensor


class Certainty(StrEnum):
    """How much of an output is decided."""

    EXACT = "by number"
    RANDOM = "random"
    SHAPE = "by shape only"
    """Memory that nobody has written to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call, and what torch's lite interpreter answers."""

    file: Path
    method: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    certain: tuple[Certainty, ...]
    """Per output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The outputs of one or more calls."""

    compared: int = 0
    shapes: int = 0
    largest: float = 0.0
    problems: tuple[str, ...] = ()


def judge(case: Case, outputs: Sequence[Tensor]) -> Judged:
    """Returns how `outputs` of a runtime compare with torch's.

    Random numbers count when the same seed gave the same; where it did not, another PyTorch may
    draw them in another way, and shape and dtype are what can be compared.
    """
    problems, numbers, shapes, largest = [], 0, 0, 0.0
    for difference in compare_outputs(outputs, case.outputs):
        index = difference.index
        known = index < len(case.certain) and index < len(outputs)
        same_spec = known and outputs[index].spec == case.outputs[index].spec
        if difference.ok:
            numbers += 1
            largest = max(largest, difference.max_relative or 0.0)
        elif same_spec and case.certain[index] is not Certainty.EXACT:
            shapes += 1
        else:
            what = difference.problem or f"difference {difference.max_relative:.3g}"
            problems.append(f"{case.method}, output {index}, {difference.spec}: {what}")
    return Judged(compared=numbers, shapes=shapes, largest=largest, problems=tuple(problems))
