"""The request and the result of an export; this module does not need torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from builder.core.artifacts import OutputDifference
from builder.core.nesting import InputSpec, MethodInputs
from builder.core.release import Release
from builder.core.setting_fields import Setting, Text
from builder.core.stages import Stage
from builder.errors import VerificationError
from builder.system.limits import Limits


class Capture(StrEnum):
    """How Python code becomes a program without Python."""

    AUTO = "auto"
    """torch.export where torch and the model can do it, and otherwise a trace."""
    EXPORT = "export"
    TRACE = "trace"
    SCRIPT = "script"


class MobileBackend(StrEnum):
    """Backends that models can be made for: by builder, and METAL and NNAPI by torch."""

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
    """Passes on the graph of a model that can be left out."""

    FREEZE = "freeze"
    """Make constants of attributes, and compute what depends on constants only."""
    FOLD_BATCH_NORMS = "fold-batch-norms"
    """Fold batch norms into the layers beside them."""
    PREPACK = "prepack"
    """Give convolutions and linear layers to XNNPACK, with the clamps behind them."""
    CHANNELS_LAST = "channels-last"
    """Keep images in the memory format NHWC between operators of XNNPACK."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantisation:
    """How to quantise; the engine is always QNNPACK."""

    method: Method
    """Quantise for QNNPACK. dynamic: the weights of Linear, LSTM and GRU. static: the activations
    too."""
    flow: Flow | None = None
    """How PyTorch quantises. eager: for static quantisation, the model must contain QuantStub. fx:
    PyTorch finds the places itself. (default: fx for static, eager for dynamic)."""
    per_channel: bool = False
    """Use one scale per output channel of the weights, or one per tensor (default: per tensor)."""

    def __post_init__(self) -> None:
        if self.flow is None:
            usual = Flow.FX if self.method is Method.STATIC else Flow.EAGER
            # A default that depends on another field can only be set here, and the class is frozen.
            object.__setattr__(self, "flow", usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """How to rewrite the graph of the model."""

    enabled: bool = True
    """Rewrite the model for mobile (default: yes)."""
    left_out: frozenset[Pass] = frozenset()
    """Passes to leave out."""
    backend: MobileBackend = MobileBackend.CPU
    """The backend to optimise for. builder makes models for the CPU and for Vulkan with any torch;
    for the others, the installed torch must support it."""
    allow_cpu: bool = False
    """With the backend vulkan: let operators that Vulkan does not run stay on the CPU, between
    transfers. Without it, such a model is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """How to write the lite file."""

    format: LiteFormat = LiteFormat.ZIP
    """Container of the lite file."""
    bytecode_version: Annotated[int | None, Setting(placeholder="N")] = None
    """Write an older bytecode version (zip only; default: the version that torch writes)."""
    bundle_inputs: bool = False
    """Store the inputs in the lite file, for get_all_bundled_inputs()."""
    extra_files: Annotated[tuple[tuple[str, Path], ...], Setting(placeholder="NAME=PATH")] = ()
    """Other files to store in the lite file, e.g. labels.txt=labels.txt."""

    def read_extra_files(self) -> dict[str, bytes]:
        """Returns the contents of `extra_files`."""
        return {name: path.read_bytes() for name, path in self.extra_files}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One export."""

    source: str
    """A torchvision model name, `package.module:factory`, a program of torch.export (.pt2), a
    TorchScript or a lite file."""
    output: Path
    """The lite file to write."""
    folder: Annotated[Path, Setting(internal=True)] = Path()
    """Folder that `source` is relative to, by default the current one; it comes first on the import
    path while a factory is loaded."""
    arguments: Annotated[tuple[tuple[str, str], ...], Setting(placeholder="NAME=VALUE")] = ()
    """Arguments for the factory or for the torchvision model, e.g. num_classes=10."""
    weights: Path | None = None
    """A state dict to load (.pt, .pth, .safetensors); code in the file is not executed. For a
    torchvision model also the name of pretrained weights, such as DEFAULT, which torchvision
    downloads (default: random weights, and no download)."""
    inputs: tuple[InputSpec, ...] = ()
    """The inputs of the model, e.g. float32[1,3,224,224] (default: the inputs of `calibrate`, or
    those that this kind of source usually takes)."""
    second_inputs: tuple[InputSpec, ...] = ()
    """Inputs of other shapes, for which a traced model is compared too (default: a larger batch and
    larger inputs, if the model accepts them)."""
    calibrate: Annotated[str | None, Setting(placeholder="FOLDER|MODULE:LOADER")] = None
    """Real inputs for calibration and comparison: a folder of images, .npy or .npz files, or a
    Python object that gives inputs one by one."""
    quantisation: Quantisation | None = None
    capture: Capture = Capture.AUTO
    """How Python code becomes a program without Python. export: torch.export (torch 2.5 and newer).
    trace: record one run of the model. script: compile the model with its control flow. auto:
    export where torch and the model can do it, and otherwise trace."""
    methods: Annotated[tuple[Text[MethodInputs], ...], Setting(placeholder="NAME[=INPUTS]")] = ()
    """Methods to keep in addition to forward, with their inputs, e.g. decode=float32[2,3], 2
    (default: none for a method that needs none, and otherwise the inputs of forward)."""
    channels_last: bool = False
    """Use the memory format NHWC for images."""
    optimisation: Optimisation = field(default_factory=Optimisation)
    saving: Annotated[Saving, Setting(inline=True)] = field(default_factory=Saving)
    reference: bool = True
    """Save the inputs and the outputs of eager PyTorch next to the model, for `builder verify`
    (default: yes)."""
    tolerance: Annotated[float | None, Setting(least=0)] = None
    """Largest relative difference that is allowed for floating-point outputs (default: 1e-4 for
    float32)."""
    limits: Limits = field(default_factory=Limits)
    prove: bool = False
    """Also run the file on a runtime of builder before it is written, and compare it: on `runtime`,
    or on one that is built for this machine."""
    runtime: Annotated[Path | None, Setting(path="folder")] = None
    """A runtime that builder has built, to prove the file on: the output folder of `builder build`,
    or the folder of one ABI in it."""
    keep: bool = False
    """Write the file even if its outputs differ by more than allowed."""
    pytorch: Annotated[Release | None, Setting(placeholder="VERSION", lookup="release")] = None
    """The release of PyTorch whose runtimes are to run the file, e.g. 2.6.0 (default: the one
    that this version of builder declares)."""
    seed: int = 0
    """Seed for the random weights and inputs."""

    @property
    def wants_proof(self) -> bool:
        """Whether a runtime is to run the file; a runtime that is named says so too."""
        return self.prove or self.runtime is not None

    @property
    def method_names(self) -> tuple[str, ...]:
        """The methods to keep in addition to forward."""
        return tuple(method.name for method in self.methods)


@dataclass(frozen=True, slots=True, kw_only=True)
class VulkanSplit:
    """Where the operators of a model for Vulkan run."""

    gpu: int
    """Calls of operators that run on the GPU."""
    cpu: int
    """Calls of operators that run on the CPU because Vulkan does not run them."""
    transfers: int
    """Transfers of tensors between both in the model, without those of its inputs and outputs."""
    on_cpu: tuple[str, ...] = ()
    """The operators that run on the CPU, each with the reason and how often it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """A lite file, and how the file and each earlier stage compare with eager PyTorch."""

    path: Path | None
    """None if the file was not written because its outputs differ."""
    size: int
    """Bytes."""
    sha256: str
    """Digest of the file, in lower-case hexadecimal."""
    bytecode_version: int
    reference: Path | None
    """The file with inputs and expected outputs; None if it was not written."""
    inputs: tuple[InputSpec, ...]
    """The inputs that the model was compared with."""
    differences: tuple[OutputDifference, ...]
    """Differences between the lite file and the eager model; the file ran on the runtime of the
    proof, or else in the installed torch. Empty if it did not run."""
    stages: tuple[Stage, ...]
    """The forms of the model, from eager PyTorch to the lite file."""
    remarks: tuple[str, ...]
    """Remarks on the model for the user, from the lints and the other steps."""
    capture: str
    """`export`, `trace`, `script`, or `as is` for a source that was a program already."""
    optimized: bool
    """Whether the model was rewritten for mobile."""
    torch_version: str
    """Empty if no torch took part."""
    vulkan: VulkanSplit | None = None
    """Of a model that was exported for Vulkan; None for others."""
    failure: VerificationError | None = None
    """Why the outputs of the file are not right; None if they are."""
