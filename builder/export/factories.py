"""Imports and calls the user's code for `package.module:factory`."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from builder.errors import ConfigurationError, Hint, ModelError, Use
from builder.export.error_texts import describe_exception


def call_factory(source: str, folder: Path, arguments: Mapping[str, Any]) -> torch.nn.Module:
    """Returns the module that `source` names, or that the factory `source` returns.

    Args:
        source: `package.module:factory`.
        folder: the first entry of the import path while the code runs.
        arguments: keyword arguments for the factory.

    Raises:
        ConfigurationError: there are arguments, but `source` is a module and not a factory.
        ModelError: the code cannot be imported, raises, or does not return a module.
    """
    with first_on_import_path(folder):
        factory = import_attribute(source)
        # Modules are callable, so this comes before the call.
        if isinstance(factory, torch.nn.Module):
            if arguments:
                raise ConfigurationError(
                    f"arguments have no effect on {source}: it is a module, not a factory",
                    hint=Hint("leave out ", Use("arguments")),
                )
            return factory
        if not callable(factory):
            raise ModelError(f"{source} is a {type(factory).__name__}, not a function or class")
        try:
            module = factory(**arguments)
        except Exception as error:
            given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            raise ModelError(
                f"{source} raised {describe_exception(error)}",
                hint=Hint(
                    f"builder calls it with ({given}) and expects a torch.nn.Module; ",
                    *(Use("arguments", "name=value"), " sets arguments"),
                ),
            ) from error
    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f"{source} returned a {type(module).__name__}, not a torch.nn.Module",
            hint="the factory must return the model itself",
        )
    return module


def import_attribute(source: str) -> Any:  # noqa: ANN401 - user's object
    """Returns the object that `package.module:attribute` names.

    Raises:
        ModelError: the text has another form, or the object cannot be imported.
    """
    name, _, attribute = source.partition(":")
    if not name or not attribute or not all(part.isidentifier() for part in name.split(".")):
        raise ModelError(
            f"{source!r} does not name an object of a module",
            hint="write it as package.module:factory",
        )
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the named module or one of its parents may be missing; otherwise its own imports
        # fail.
        missing = error.name or ""
        if name != missing and not name.startswith(missing + "."):
            raise _import_failed(name, error) from error
        raise ModelError(
            f"{source} needs the module {missing!r}, which cannot be found",
            hint="run builder in the folder that contains the module, or install it",
        ) from error
    except Exception as error:
        raise _import_failed(name, error) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        near = difflib.get_close_matches(attribute, dir(module), n=3)
        hint = f"did you mean {' or '.join(f'{name}:{match}' for match in near)}?" if near else None
        raise ModelError(f"module {name} has no {attribute!r}", hint=hint) from None


@contextmanager
def first_on_import_path(folder: Path) -> Iterator[None]:
    """Makes `folder` the first entry of the import path inside the block."""
    entry = str(folder)
    # First, as Python does for a script: a local module hides an installed one of the same name.
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def _import_failed(name: str, error: Exception) -> ModelError:
    return ModelError(f"importing {name} raised {describe_exception(error)}")
