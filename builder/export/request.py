"""What an export is asked for, and what it gives; no torch is needed to name it."""

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
    """What `optimize_for_mobile` rewrites a model for."""

    CPU = "cpu"
    VULKAN = "vulkan"
    METAL = "metal"
    NNAPI = "nnapi"


class LiteFormat(StrEnum):
    """Containers that the lite interpreter reads."""

    ZIP = "zip"
    FLATBUFFER = "flatbuffer"


class Method(StrEnum):
    """What is quantised."""

    DYNAMIC = "dynamic"
    """Weights; activations at run time."""
    STATIC = "static"
    """Weights and activations, after a calibration."""


class Flow(StrEnum):
    """Which of PyTorch's ways quantises."""

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
    """How to quantise, always for QNNPACK."""

    method: Method
    flow: Flow
    per_channel: bool = False
    """Weights have a scale per output channel."""


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
    """None: as torch writes it."""
    bundle_inputs: bool = False
    """Put the inputs into the model, as `get_all_bundled_inputs()`."""
    extra_files: tuple[tuple[str, Path], ...] = ()
    """Name in the file, and where its content is."""


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
    """Names and values, as texts, that a factory or torchvision's builder gets."""
    weights: Path | None = None
    """A state dict to load."""
    inputs: tuple[InputSpec, ...] = ()
    """Empty: those of `calibrate`, or what the kind of source usually takes."""
    second_inputs: tuple[InputSpec, ...] = ()
    """Of other shapes, for the check of a trace; empty: some are tried."""
    calibrate: str | None = None
    """A folder or `package.module:loader` with real inputs."""
    quantisation: Quantisation | None = None
    capture: Capture = Capture.AUTO
    methods: tuple[str, ...] = ()
    """To keep beside `forward`."""
    channels_last: bool = False
    optimisation: Optimisation = field(default_factory=Optimisation)
    saving: Saving = field(default_factory=Saving)
    reference: bool = True
    """Write the reference case beside the model."""
    tolerance: float | None = None
    """Largest relative difference for floats; None: the default of each dtype."""
    keep: bool = False
    """Write the file even if it differs."""
    seed: int = 0
    """Of random weights and random inputs."""
    limits: Limits = field(default_factory=Limits)
    """Of each run on torch's lite interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """A lite file and how it and what it was made of compare with eager PyTorch."""

    path: Path | None
    """None when it differs and was not to be kept."""
    size: int
    """Bytes."""
    sha256: str
    bytecode_version: int
    reference: Path | None
    inputs: tuple[InputSpec, ...]
    differences: tuple[OutputDifference, ...]
    """The lite file, run by the installed torch, beside the eager model; empty where it cannot
    run here."""
    stages: tuple[Stage, ...]
    remarks: tuple[str, ...]
    """What the lints found."""
    capture: str
    """`trace`, `script`, or `as is` for a source that was TorchScript already."""
    optimized: bool
    torch_version: str
    failure: VerificationError | None = None
    """Why the file is not right."""
