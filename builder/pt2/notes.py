"""Sentences for a user about what a program does, or what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from builder.graph.graph import Block
from builder.pt2.document import TensorMeta

_MOST_SHOWN = 25
_HALF = ("float16", "bfloat16")
_TRAINING = {"aten::dropout": 2, "aten::dropout_": 2, "aten::feature_dropout": 2}
_TRAINING |= {"aten::alpha_dropout": 2, "aten::batch_norm": 5}
"""Operator -> index of the argument that says whether it trains."""


def list_names(what: str, names: Sequence[str]) -> Iterator[str]:
    """Yields a sentence about names that are in the file, if there are any."""
    if names:
        shown = ", ".join(f"{name!r:.80}" for name in names[:_MOST_SHOWN])
        others = f" and {len(names) - _MOST_SHOWN} others" if len(names) > _MOST_SHOWN else ""
        yield f"{what}: {shown}{others}."


def note_dtypes(tensors: Iterable[TensorMeta]) -> Iterator[str]:
    """Yields a sentence for each dtype that the CPU has few kernels for."""
    found = {meta.dtype_name for meta in tensors}
    for dtype in _HALF:
        if dtype in found:
            yield (
                f"The program computes in {dtype}, for which not all operators have kernels on the "
                "CPU; model.float() before the export avoids it."
            )


def note_training(block: Block) -> Iterator[str]:
    """Yields a sentence if the program behaves as in training."""
    found = set()
    for _, node in block.walk():
        index = _TRAINING.get(node.operator)
        if index is not None and node.inputs[index].is_constant and node.inputs[index].constant:
            found.add(node.operator.partition("::")[2])
    if found:
        shown = ", ".join(sorted(found))
        yield f"The program was exported in training mode ({shown}); model.eval() comes first."
