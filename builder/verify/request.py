"""The requests of a verification and of a benchmark."""

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
    """The output folder of `builder build`, the folder of one ABI in it, or the library file."""
    reference: Path | None = None
    """None: the file next to the model, if there is one."""
    tolerance: float | None = None
    """Largest relative difference for floating-point outputs; None: the default of each dtype."""
    inputs: tuple[InputSpec, ...] = ()
    """Specifications of random inputs, which replace the reference case."""
    via: str = ""
    """The command that runs the runtime's programs, or `adb shell`; empty: builder finds one."""
    seed: int = 0
    """Seed of the random inputs."""
    repeat: int = 1
    """Number of forward calls; with more than one, the fastest call gives the time."""
    limits: Limits = field(default_factory=Limits)
    """Limits of torch's lite interpreter, which runs the model if there is no reference case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """One model whose time is measured on one built runtime."""

    model: Path
    runtime: Path
    """The output folder of `builder build`, the folder of one ABI in it, or the library file."""
    inputs: tuple[InputSpec, ...] = ()
    """Specifications of random inputs; empty: the inputs of the reference case."""
    via: str = ""
    """The command that runs the runtime's programs, or `adb shell`; empty: builder finds one."""
    runs: int = 5
    """How many times the program is started."""
    calls: int = 20
    """Number of forward calls in each run."""
    threads: int | None = None
    """Number of threads; None: the runtime chooses."""
