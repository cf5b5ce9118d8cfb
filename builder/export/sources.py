"""From the SOURCE of the command line to a module in eval mode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.nesting import InputSpec
from builder.errors import ConfigurationError, ModelError
from builder.export.arguments import parse_arguments
from builder.export.factories import call_factory
from builder.export.request import ExportRequest, Quantisation
from builder.export.torchscript_files import load_torchscript

if TYPE_CHECKING:
    import torch

_FILE_SUFFIXES = {".pt", ".pth", ".ptl", ".torchscript"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModule:
    """A module, and what its kind usually takes."""

    module: torch.nn.Module
    """In eval mode."""
    usual_inputs: tuple[InputSpec, ...] = ()
    """Empty when only the user can know."""
    quantisation: Quantisation | None = None
    """What its name promises."""
    trained: bool = False
    """It came in training mode."""


def load_module(
    source: str,
    *,
    folder: Path,
    seed: int,
    arguments: tuple[tuple[str, str], ...] = (),
    settle: bool = True,
) -> LoadedModule:
    """Returns the module that `source` names, in eval mode; weights made at random use `seed`.

    Nothing is downloaded. Files are read by `torch.jit.load` only, which executes no pickled
    code, but the TorchScript in the file; a factory is the user's own code and is executed.

    Args:
        source: as in `ExportRequest`.
        folder: where it is relative to.
        seed: of random weights.
        arguments: names and values for a factory.
        settle: give random weights of torchvision's models outputs that tell something.

    Raises:
        ConfigurationError: arguments for a file.
        ModelError: there is no such model or file, or the user's code raised.
        ToolchainError: torchvision is needed and missing.
    """
    import torch

    torch.manual_seed(seed)
    path = find_file(source, folder)
    values = parse_arguments(arguments)
    if path is not None:
        if values:
            raise ConfigurationError(f"--arg says nothing to a file: {source}")
        module, usual = load_torchscript(path)
        loaded = LoadedModule(module=module, usual_inputs=usual)
    elif ":" in source:
        module = call_factory(source, folder, values)
        loaded = LoadedModule(module=module, trained=module.training)
    else:
        from builder.export.torchvision_models import make_torchvision

        named = make_torchvision(source, values, settle=settle)
        loaded = LoadedModule(
            module=named.module, usual_inputs=named.inputs, quantisation=named.quantisation
        )
    loaded.module.eval()
    return loaded


def find_file(source: str, folder: Path) -> Path | None:
    """Returns the file that `source` names, there or not; None when it names something else."""
    path = folder / source
    return path if path.suffix in _FILE_SUFFIXES or path.is_file() else None


def load_requested(request: ExportRequest) -> LoadedModule:
    """Returns the module that `request` names, with the weights that it names.

    Raises:
        ConfigurationError, ModelError, ToolchainError: as `load_module` and `load_weights` do.
    """
    import torch

    from builder.export.checkpoints import load_weights

    loaded = load_module(
        request.source,
        folder=request.folder,
        seed=request.seed,
        arguments=request.arguments,
        settle=request.weights is None,
    )
    if request.weights is not None:
        if isinstance(loaded.module, torch.jit.ScriptModule):
            raise ModelError(
                f"{request.source} is TorchScript, which has its weights already",
                hint="--weights is for package.module:factory and torchvision's names",
            )
        load_weights(loaded.module, request.folder / request.weights)
    return loaded


def choose_inputs(
    source: str, loaded: LoadedModule, inputs: tuple[InputSpec, ...]
) -> tuple[InputSpec, ...]:
    """Returns the user's `inputs`, else the usual ones; ConfigurationError without either."""
    if chosen := inputs or loaded.usual_inputs:
        return chosen
    raise ConfigurationError(
        f"the inputs of {source} are unknown",
        hint=f"builder export {source} -o model.ptl --shape 1,3,224,224 --dtype float32 "
        "(once per input)",
    )
