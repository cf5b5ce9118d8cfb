"""What a user asks to be built, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from builder.core.accelerators import Accelerator
from builder.core.dtypes import DtypeSet
from builder.core.profile import Flavour
from builder.core.toolchain import ToolchainOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """The same for every target of one build."""

    inputs: tuple[Path, ...]
    """Models and operator lists."""
    flavour: Flavour = field(default_factory=Flavour)
    dtypes: DtypeSet | None = None
    """What to compile kernels for; what can occur in the models when None."""
    tools: ToolchainOptions = field(default_factory=ToolchainOptions)
    jobs: int | None = None
    """Compilations at once; as many as the launcher or ninja deems right when None."""
    lock_timeout: float = -1
    """Seconds to wait for another builder on the same objects; below zero, for ever."""
    accelerators: tuple[Accelerator, ...] = ()
    """What Apple's targets are to use beside the processor; others take no notice."""
    skip_unknown: bool = False
    """Leaves out operators that cannot be built, and names them, instead of refusing."""
