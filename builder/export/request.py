"""The request and the result of an export; this module does not need torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from builder.core.artifacts import OutputDifference
from builder.core.nesting import InputSpec
from builder.core.stages import Stage
from builder.errors import VerificationError
from builder.system.children import Limits


class Capture(StrEnum):
    """How Python code becomes TorchScript."""

    AUTO = "auto"
    """Trace, unless the source is TorchScript already."""
    TRACE = "trace"
    SCRIPT = "script"


class Backend(StrEnum):
    """Backends for which `optimize_for_mobile` can rewrite a model."""

    CPU = "cpu"
    VULKAN = "vulkan"
    METAL = "metal"
    NNAPI = "nnapi"


class LiteFormat(StrEnum):
    """Containers that the lite interpreter reads."""

    ZIP = "zip"
    FLATBUFFER = "flatbuffer"


class Method(StrEnum):
    """Which values are quantised, and when."""

    DYNAMIC = "dynamic"
    """Weights are quantised by the export, activations at run time."""
    STATIC = "static"
    """Weights and activations are quantised by the export, after a calibration."""


class Flow(StrEnum):
    """Which of PyTorch's two implementations quantises."""

    EAGER = "eager"
    FX = "fx"


class Pass(StrEnum):
    """Passes of `optimize_for_mobile` that can be left out (torch/utils/mobile_optimizer.py)."""

    CONV_BN_FUSION = "conv-bn-fusion"
    INSERT_FOLD_PREPACK_OPS = "insert-fold-prepack-ops"
    REMOVE_DROPOUT = "remove-dropout"
    FUSE_ADD_RELU = "fuse-add-relu"
    HOIST_CONV_PACKED_PARAMS = "hoist-conv-packed-params"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantisation:
    """How to quantise; the engine is always QNNPACK."""

    method: Method
    flow: Flow
    per_channel: bool = False
    """Whether weights have one scale per output channel, and not one per tensor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """How to rewrite the TorchScript."""

    enabled: bool = True
    backend: Backend = Backend.CPU
    left_out: frozenset[Pass] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """How to write the lite file."""

    format: LiteFormat = LiteFormat.ZIP
    bytecode_version: int | None = None
    """None: the version that torch writes."""
    bundle_inputs: bool = False
    """Store the inputs in the model, for `get_all_bundled_inputs()`."""
    extra_files: tuple[tuple[str, Path], ...] = ()
    """Names in the lite file, and the files with their contents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One export."""

    source: str
    """A torchvision model name, `package.module:factory`, a TorchScript or a lite file."""
    output: Path
    folder: Path = Path()
    """Folder that `source` is relative to, by default the current one; it comes first on the import
    path while a factory is loaded."""
    arguments: tuple[tuple[str, str], ...] = ()
    """Names and values, as strings, of arguments for a factory or a torchvision model."""
    weights: Path | None = None
    """A state dict to load."""
    inputs: tuple[InputSpec, ...] = ()
    """Empty: the inputs of `calibrate`, or those that this kind of source usually takes."""
    second_inputs: tuple[InputSpec, ...] = ()
    """Inputs of other shapes, for the check of a trace; empty: builder tries some shapes."""
    calibrate: str | None = None
    """A folder or `package.module:loader` with real inputs."""
    quantisation: Quantisation | None = None
    capture: Capture = Capture.AUTO
    methods: tuple[str, ...] = ()
    """Methods to keep in addition to `forward`."""
    channels_last: bool = False
    optimisation: Optimisation = field(default_factory=Optimisation)
    saving: Saving = field(default_factory=Saving)
    reference: bool = True
    """Write the reference case next to the model."""
    tolerance: float | None = None
    """Largest relative difference for floating-point outputs; None: the default of each dtype."""
    keep: bool = False
    """Write the file even if its outputs differ by more than the tolerance."""
    seed: int = 0
    """Seed for random weights and random inputs."""
    limits: Limits = field(default_factory=Limits)
    """Limits of each run on torch's lite interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """A lite file, and how the file and each earlier stage compare with eager PyTorch."""

    path: Path | None
    """None if the file was not written because its outputs differ."""
    size: int
    """Bytes."""
    sha256: str
    bytecode_version: int
    reference: Path | None
    inputs: tuple[InputSpec, ...]
    differences: tuple[OutputDifference, ...]
    """Differences between the lite file, run by the installed torch, and the eager model; empty
    if the file cannot run here."""
    stages: tuple[Stage, ...]
    remarks: tuple[str, ...]
    """Remarks on the model for the user, from the lints and the other steps."""
    capture: str
    """`trace`, `script`, or `as is` for a source that was TorchScript already."""
    optimized: bool
    torch_version: str
    failure: VerificationError | None = None
    """Why the outputs of the file are not right; None if they are."""
