"""The requests of a verification and of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from builder.core.nesting import InputSpec
from builder.core.setting_fields import Setting
from builder.system.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One model to run on one built runtime."""

    model: Path
    """The lite file to run."""
    runtime: Path
    """The output folder of `builder build`, the folder of one ABI in it, or the library file."""
    method: Annotated[str, Setting(placeholder="NAME")] = "forward"
    """The method of the model to run."""
    inputs: tuple[InputSpec, ...] = ()
    """Specifications of random inputs, which replace the saved ones."""
    via: Annotated[str, Setting(placeholder="COMMAND")] = ""
    """The command that runs the runtime's programs, e.g. 'adb -s SERIAL shell' or an emulator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest(RunRequest):
    """One model whose outputs on a built runtime are compared with PyTorch's."""

    reference: Path | None = None
    """A file with saved inputs and outputs (default: the one next to the model)."""
    tolerance: Annotated[float | None, Setting(least=0)] = None
    """Largest relative difference that is allowed for floating-point outputs (default: 1e-4 for
    float32)."""
    bundled_input: Annotated[int | None, Setting(least=0, most=10_000)] = None
    """Which of the inputs that the model file bundles replace the saved ones; the first are 0."""
    seed: int = 0
    """Seed for the random inputs."""
    repeat: Annotated[int, Setting(least=1, most=10_000)] = 1
    """How many times the method is called; the fastest call gives the time."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest(RunRequest):
    """One model whose time is measured on one built runtime."""

    runs: Annotated[int, Setting(least=1, most=1000)] = 5
    """How many times the program is started."""
    calls: Annotated[int, Setting(least=1, most=10_000)] = 20
    """Calls in each run; the fastest call is the result of the run."""
    threads: Annotated[int | None, Setting(least=1, most=1024)] = None
    """Threads of the runtime; by default, the runtime chooses how many."""
    profile: bool = False
    """Also show how long each operator takes, measured in one more run."""
