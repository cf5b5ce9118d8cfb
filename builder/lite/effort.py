"""Limits the work that reading a model may cause, in proportion to its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from builder.errors import ModelError

_FREE, _PACKED_RATIO = 1_500_000, 4
"""Steps that any file may cause, and steps per byte in a compressed file."""


@dataclass(slots=True)
class Effort:
    """The number of steps that are left: an opcode of a pickle costs one, other work several.

    A small pickle can refer to one of its parts many times, and each reference is read. Files that
    PyTorch writes need less than one step for each byte, and do not share parts.
    """

    left: int

    @classmethod
    def of(cls, size: int) -> Effort:
        """Returns the limit for records with `size` bytes in the file."""
        effort = cls(_FREE)
        effort.allow(size, packed=size)
        return effort

    def allow(self, size: int, *, packed: int) -> None:
        """Raises the limit for a record of `size` bytes that takes `packed` bytes in the file."""
        # A compressed record may claim to be large at no cost; bytes that are really in the file
        # count more.
        self.left += min(size, _PACKED_RATIO * packed)

    def spend(self, steps: int) -> None:
        """Counts steps; raises ModelError when there are more than the limit."""
        self.left -= steps
        if self.left < 0:
            raise too_much()


def too_much() -> ModelError:
    """Returns the error for a file that causes more work than any real model of its size."""
    return ModelError(
        "it takes more steps to read than any model of its size: it refers to the same parts "
        "again and again, or consists of opcodes without content",
        hint="do not use this file; export the model again from a source you trust",
    )
