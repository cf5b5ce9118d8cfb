"""What a verification is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from builder.core.nesting import InputSpec
from builder.system.children import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """One model to run on one built runtime."""

    model: Path
    runtime: Path
    """What `builder build -o` wrote, the folder of one ABI in it, or its library."""
    reference: Path | None = None
    """None: the file beside the model, when there is one."""
    tolerance: float | None = None
    """Largest relative difference for floats; None: the default of each dtype."""
    inputs: tuple[InputSpec, ...] = ()
    """For random inputs when there is no reference case."""
    via: str = ""
    """What runs the runtime's programs: a command, or `adb shell`; found when empty."""
    seed: int = 0
    repeat: int = 1
    """Forward calls; more than one measures time."""
    limits: Limits = field(default_factory=Limits)
    """Of torch's lite interpreter, where there is no reference case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """One model to time on one built runtime."""

    model: Path
    runtime: Path
    """As in `VerifyRequest`."""
    inputs: tuple[InputSpec, ...] = ()
    """For random inputs; those of the reference case when empty."""
    via: str = ""
    runs: int = 5
    """Starts of the program."""
    calls: int = 20
    """Forward calls in each."""
    threads: int | None = None
    """None: as many as the runtime chooses."""
