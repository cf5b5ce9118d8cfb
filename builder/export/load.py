"""Loads the SOURCE of the command line as a module in eval mode."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from builder.core.nesting import InputSpec
from builder.errors import ConfigurationError, Hint, ModelError, Run, Use
from builder.export.checkpoints import load_weights
from builder.export.factories import call_factory
from builder.export.model_files import find_file
from builder.export.parameters import needs_inputs
from builder.export.request import ExportRequest, Quantisation
from builder.export.torchscript_files import load_torchscript
from builder.export.torchvision_models import make_torchvision

_PRETRAINED = re.compile(r"[A-Z][A-Z0-9_]*")
"""How torchvision names pretrained weights, such as DEFAULT and IMAGENET1K_V2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModule:
    """A module, and the inputs that this kind of module usually takes."""

    module: torch.nn.Module
    """The module, in eval mode."""
    usual_inputs: tuple[InputSpec, ...] = ()
    """Empty if only the user knows the inputs."""
    quantisation: Quantisation | None = None
    """How to quantise the module, if its name says that it is quantised."""
    trained: bool = False
    """Whether the module came in training mode."""


def load_module(
    source: str,
    *,
    folder: Path,
    seed: int,
    arguments: tuple[tuple[str, str], ...] = (),
    settle: bool = True,
) -> LoadedModule:
    """Returns the module that `source` names, in eval mode.

    Nothing is downloaded. Files are read only by `torch.jit.load`, which does not execute pickled
    code, but does execute the TorchScript in the file. A factory is the user's own code, and is
    executed.

    Args:
        source: see `ExportRequest.source`.
        folder: the folder to which `source` is relative.
        seed: seed for random weights.
        arguments: names and values for a factory.
        settle: change the random weights of a torchvision model so that its outputs are not
            trivial, such as all zero.

    Raises:
        ConfigurationError: arguments are given for a file.
        ModelError: the model or file does not exist, or the user's code raised.
        ToolchainError: torchvision is needed, but missing.
    """
    # Before the model is made: its random weights then are the same each time.
    torch.manual_seed(seed)
    path = find_file(source, folder)
    values = parse_arguments(arguments)
    # A file comes first: a name with a known suffix never is a module.
    if path is not None:
        if values:
            raise ConfigurationError(
                f"arguments have no effect on a file: {source}",
                hint=Hint("leave out ", Use("arguments")),
            )
        module, usual = load_torchscript(path)
        loaded = LoadedModule(module=module, usual_inputs=usual)
    elif ":" in source:
        module = call_factory(source, folder, values)
        loaded = LoadedModule(module=module, trained=module.training)
    else:
        named = make_torchvision(source, values, settle=settle)
        loaded = LoadedModule(
            module=named.module, usual_inputs=named.inputs, quantisation=named.quantisation
        )
    # Dropout and batch norms behave differently in training.
    loaded.module.eval()
    return loaded


def load_requested(request: ExportRequest) -> LoadedModule:
    """Returns the module of `request`, with the weights that the request names.

    Raises:
        ConfigurationError, ModelError, ToolchainError: as `load_module` and `load_weights` do.
    """
    pretrained = _name_pretrained(request)
    loaded = load_module(
        request.source,
        folder=request.folder,
        seed=request.seed,
        arguments=(*request.arguments, *pretrained),
        # Weights that are loaded afterwards would overwrite what was settled.
        settle=request.weights is None,
    )
    if request.weights is not None and not pretrained:
        if isinstance(loaded.module, torch.jit.ScriptModule):
            raise ModelError(
                f"{request.source} is TorchScript, which has its weights already",
                hint=Hint(
                    *("use ", Use("weights")),
                    " with package.module:factory or the name of a torchvision model",
                ),
            )
        load_weights(loaded.module, request.folder / request.weights)
    return loaded


def _name_pretrained(request: ExportRequest) -> tuple[tuple[str, str], ...]:
    """Returns torchvision's argument for pretrained weights, if that is what the weights name."""
    name = str(request.weights or "")
    of_torchvision = find_file(request.source, request.folder) is None and ":" not in request.source
    is_file = (request.folder / name).exists()
    if of_torchvision and not is_file and _PRETRAINED.fullmatch(name):
        return (("weights", name),)
    return ()


def choose_inputs(
    source: str, loaded: LoadedModule, inputs: tuple[InputSpec, ...]
) -> tuple[InputSpec, ...]:
    """Returns the user's `inputs`, or else the usual ones; none if forward() needs none.

    Raises:
        ConfigurationError: forward() needs inputs, and they are not known.
    """
    chosen = inputs or loaded.usual_inputs
    if chosen or not needs_inputs(loaded.module.forward):
        return chosen
    raise ConfigurationError(
        f"the inputs of {source} are unknown",
        hint=Hint(
            "describe each input: ",
            Run(
                "export",
                (source, Use("output", "model.ptl"), Use("inputs", "float32[1,3,224,224]")),
            ),
        ),
    )


def parse_arguments(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Returns the values by name: a Python literal is parsed, any other text stays a string.

    No code in the text is evaluated.

    Raises:
        ConfigurationError: a name is not a valid Python name, or is given twice.
    """
    values: dict[str, Any] = {}
    for name, text in pairs:
        if not name.isidentifier():
            raise ConfigurationError(
                f"{name!r} is not a valid name of an argument",
                hint=Hint("write ", Use("arguments", "name=value")),
            )
        if name in values:
            raise ConfigurationError(f"the argument {name} is given twice")
        values[name] = _parse(text)
    return values


def _parse(text: str) -> Any:  # noqa: ANN401 - any Python literal
    try:
        return ast.literal_eval(text)
    # All that ast.literal_eval may raise, says its documentation.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
