"""What an export is asked for, and what it gives; no torch is needed to name it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from builder.core.artifacts import OutputDifference
from builder.core.tensors import TensorSpec


class Capture(StrEnum):
    """How Python code becomes TorchScript."""

    AUTO = "auto"
    """Trace, unless the source is TorchScript already."""
    TRACE = "trace"
    SCRIPT = "script"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One export."""

    source: str
    """A torchvision model name, `package.module:factory`, or a TorchScript file."""
    output: Path
    folder: Path
    """Where `source` is relative to; first on the import path while a factory is loaded."""
    inputs: tuple[TensorSpec, ...] = ()
    """Empty: what the kind of source usually takes."""
    capture: Capture = Capture.AUTO
    optimize: bool = True
    reference: bool = True
    """Write the reference case beside the model."""
    tolerance: float | None = None
    """Largest relative difference for floats; None: the default of each dtype."""
    seed: int = 0
    """Of random weights and random inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """A written lite file and how it compares with eager PyTorch."""

    path: Path
    size: int
    """Bytes."""
    sha256: str
    reference: Path | None
    inputs: tuple[TensorSpec, ...]
    differences: tuple[OutputDifference, ...]
    """The lite file, run by the installed torch, beside the eager model."""
    capture: str
    """`trace`, `script`, or `as is` for a source that was TorchScript already."""
    optimized: bool
    torch_version: str
