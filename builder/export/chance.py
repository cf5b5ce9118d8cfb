"""Finds out whether a model, and the file that was made of it, draw random numbers."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

import torch

from builder.core.differences import depends_on_seed
from builder.core.tensors import Tensor
from builder.errors import Hint, Use
from builder.export.compare import run_eager
from builder.export.prepare_model import twin
from builder.export.samples import Sample


class Chance(Enum):
    """What random numbers have to do with a difference."""

    NONE = auto()
    """The model always gives the same outputs."""
    BOTH_DRAW = auto()
    """The model and the file draw numbers from torch's generator, but not the same ones."""
    FROZEN = auto()
    """The model draws numbers from torch's generator, and the file always gives the same."""
    UNKNOWN = auto()
    """Two eager runs with the same seed differ."""


WHY = {
    Chance.FROZEN: Hint(
        "the model draws random numbers and the file does not: the trace froze a drawn number, "
        "for example by item(): try ",
        Use("capture", "script"),
    ),
    Chance.UNKNOWN: "two eager runs differ as well: the model keeps state, or it draws random "
    "numbers outside of torch, as with numpy.random, which a file cannot do",
}
"""Why a file differs, as hints."""


def find_chance(
    module: torch.nn.Module, sample: Sample, draw: Callable[[int], tuple[Tensor, ...]]
) -> Chance:
    """Returns what random numbers have to do with a difference between a module and its file.

    Args:
        module: the module; copies of it run.
        sample: the inputs.
        draw: runs the file on these inputs with a seed, and returns its outputs.
    """
    drawn = depends_on_seed(lambda seed: run_eager(twin(module), sample, seed=seed))
    if drawn is None:
        return Chance.UNKNOWN
    if not drawn:
        return Chance.NONE
    # A file that differs with the same seed reads memory that nobody wrote.
    return Chance.BOTH_DRAW if depends_on_seed(draw) else Chance.FROZEN
