"""What of Apple's devices a runtime can hand operators or whole models to, beside the processor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from builder.core.operators import Operator


class Accelerator(StrEnum):
    """What PyTorch has kernels or a delegate for on Apple's systems: `--metal`, `--coreml`."""

    COREML = "coreml"
    METAL = "metal"

    @property
    def label(self) -> str:
        """As Apple writes it."""
        return "Core ML" if self is Accelerator.COREML else "Metal"

    @property
    def option(self) -> str:
        """What asks for it on the command line."""
        return f"--{self}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorUse:
    """What in a model tells that it was exported for an accelerator."""

    accelerator: Accelerator
    operators: tuple[str, ...]
    """Starts of full names."""
    classes: tuple[str, ...]
    """Starts of names of custom classes, `namespace.Class`."""


def find_used(
    operators: Iterable[Operator], classes: Iterable[str], uses: Iterable[AcceleratorUse]
) -> tuple[Accelerator, ...]:
    """Returns which accelerators a model with these operators and classes needs, sorted."""
    names, held = tuple(map(str, operators)), tuple(classes)
    return tuple(
        sorted(
            use.accelerator
            for use in uses
            if any(name.startswith(use.operators) for name in names)
            or any(name.startswith(use.classes) for name in held)
        )
    )
