"""How much work a model may ask of its reader: in proportion to its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from builder.errors import ModelError

_FREE, _PACKED_RATIO = 1_500_000, 4


@dataclass(slots=True)
class Effort:
    """Steps that are left: one for an opcode of a pickle, several for what is walked afterwards.

    A pickle of some bytes can refer to one of its parts many times, and each reference is read.
    Files that PyTorch writes take less than a step for each byte, and share no parts.
    """

    left: int

    @classmethod
    def of(cls, size: int) -> Effort:
        """Returns what records of `size` bytes, as they stand in the file, may ask for."""
        effort = cls(_FREE)
        effort.allow(size, packed=size)
        return effort

    def allow(self, size: int, *, packed: int) -> None:
        """Adds what a record may ask for that has `size` bytes, in the file `packed`."""
        self.left += min(size, _PACKED_RATIO * packed)

    def spend(self, steps: int) -> None:
        """Counts steps; ModelError when there are more than the file may ask for."""
        self.left -= steps
        if self.left < 0:
            raise too_much()


def too_much() -> ModelError:
    """Returns the error of a file that asks for more work than any model of its size."""
    return ModelError(
        "it takes more steps to read than any model of its size: it refers to the same parts "
        "again and again, or consists of opcodes without content",
        hint="do not use this file; export the model again from a source you trust",
    )
