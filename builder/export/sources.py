"""From the SOURCE of the command line to a module in eval mode."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.core.tensors import DType, TensorSpec
from builder.errors import ConfigurationError, ModelError
from builder.export.capabilities import import_torchvision
from builder.export.messages import describe_exception, shorten
from builder.export.weights import fill_zero_weights, settle_batch_norms

if TYPE_CHECKING:
    import torch

_FILE_SUFFIXES = {".pt", ".pth", ".ptl", ".torchscript"}
_IMAGE = TensorSpec(DType.FLOAT32, (1, 3, 224, 224))
_NOT_CLASSIFICATION = {"detection", "optical_flow", "segmentation", "video"}
_NOT_A_SOURCE = "a torchvision name, package.module:factory, or a TorchScript file"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModule:
    """A module, and the inputs that its kind usually takes."""

    module: torch.nn.Module
    """In eval mode."""
    usual_inputs: tuple[TensorSpec, ...] = ()
    """Empty when only the user can know."""


def load_module(source: str, *, folder: Path, seed: int) -> LoadedModule:
    """Returns the module that `source` names, in eval mode; weights made at random use `seed`.

    Nothing is downloaded. Files are read by `torch.jit.load` only, which executes no pickled
    code; a factory is the user's own code and is executed.

    Raises:
        ModelError: there is no such model or file, or the user's code raised.
        ToolchainError: torchvision is needed and missing.
    """
    import torch

    torch.manual_seed(seed)
    path = folder / source
    if path.suffix in _FILE_SUFFIXES or path.is_file():
        loaded = LoadedModule(module=_load_torchscript(path))
    elif ":" in source:
        loaded = LoadedModule(module=_call_factory(source, folder))
    else:
        loaded = _make_torchvision(source)
    loaded.module.eval()
    return loaded


def choose_inputs(
    source: str, loaded: LoadedModule, inputs: tuple[TensorSpec, ...]
) -> tuple[TensorSpec, ...]:
    """Returns the user's `inputs`, else the usual ones; ConfigurationError without either."""
    if chosen := inputs or loaded.usual_inputs:
        return chosen
    raise ConfigurationError(
        f"the inputs of {source} are unknown",
        hint=f"builder export {source} -o model.ptl --shape 1,3,224,224 --dtype float32 "
        "(once per input)",
    )


def _load_torchscript(path: Path) -> torch.nn.Module:
    import torch

    if not path.is_file():
        raise ModelError(f"no such file: {path}", hint=f"SOURCE is {_NOT_A_SOURCE}")
    load = functools.partial(torch.jit.load, str(path), map_location="cpu")
    try:
        try:
            return load()
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            import_torchvision()  # registers the operators that the file needs
            return load()
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"{path} is not TorchScript: {shorten(str(error))}",
            hint="weights or a pickled module need the code that builds the model: write a "
            "function that returns it, and export package.module:function",
        ) from error


def _call_factory(source: str, folder: Path) -> torch.nn.Module:
    import torch

    name, _, attribute = source.partition(":")
    with _first_on_import_path(folder):
        factory = _import_factory(name, attribute, source)
        if isinstance(factory, torch.nn.Module):
            return factory
        if not callable(factory):
            raise ModelError(f"{source} is a {type(factory).__name__}, not a function or class")
        try:
            module = factory()
        except Exception as error:
            raise ModelError(
                f"{source} raised {describe_exception(error)}",
                hint="it is called without arguments and has to return a torch.nn.Module",
            ) from error
    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f"{source} returned a {type(module).__name__}, not a torch.nn.Module",
            hint="return the model itself",
        )
    return module


def _import_factory(name: str, attribute: str, source: str) -> Any:  # noqa: ANN401 - user's object
    if not name or not attribute or not all(part.isidentifier() for part in name.split(".")):
        raise ModelError(f"not a source: {source!r}", hint="write it as package.module:factory")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(missing + "."):
            raise _import_failed(name, error) from error
        raise ModelError(
            f"no module {missing!r} to import for {source}",
            hint="run builder in the folder that holds it, or install it",
        ) from error
    except Exception as error:
        raise _import_failed(name, error) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        near = difflib.get_close_matches(attribute, dir(module), n=3)
        hint = f"did you mean {' or '.join(f'{name}:{match}' for match in near)}?" if near else None
        raise ModelError(f"module {name} has no {attribute!r}", hint=hint) from None


def _import_failed(name: str, error: Exception) -> ModelError:
    return ModelError(f"importing {name} raised {describe_exception(error)}")


def _make_torchvision(name: str) -> LoadedModule:
    models = import_torchvision().models
    names = models.list_models()
    if name not in names:
        near = difflib.get_close_matches(name.lower(), names, n=5, cutoff=0.5)
        guess = f"near names: {', '.join(near)}. " if near else ""
        raise ModelError(
            f"torchvision has no model {name!r}", hint=f"{guess}SOURCE is {_NOT_A_SOURCE}"
        )
    build = models.get_model_builder(name)
    options = {"weights": None}
    if "weights_backbone" in inspect.signature(build).parameters:
        options["weights_backbone"] = None  # its default is a download
    module = build(**options)
    kinds = set(build.__module__.split("."))
    if kinds & _NOT_CLASSIFICATION:
        return LoadedModule(module=module)
    fill_zero_weights(module)
    settle_batch_norms(module, _IMAGE)
    return LoadedModule(module=module, usual_inputs=(_IMAGE,))


@contextmanager
def _first_on_import_path(folder: Path) -> Iterator[None]:
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
