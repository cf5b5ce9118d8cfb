"""Captures a Python module with torch.export, and reads the program as graphs."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from builder.core.operator_schemas import Schemas
from builder.errors import Hint, ModelError, Use
from builder.export.error_texts import describe_exception
from builder.export.samples import Sample
from builder.export.values import to_call
from builder.pt2.convert_program import ExportedProgram
from builder.pt2.read import read_program
from builder.system.scratch import scratch_folder

_FIRST_TORCH = (2, 5)
"""The first version whose programs `builder.pt2` reads."""
_NUMBERS = re.compile(r"(\d+)\.(\d+)")


def has_torch_export() -> bool:
    """Returns whether the installed torch can capture programs that builder reads."""
    match = _NUMBERS.match(torch.__version__)
    return match is not None and (int(match[1]), int(match[2])) >= _FIRST_TORCH


def capture_program(module: torch.nn.Module, sample: Sample, schemas: Schemas) -> ExportedProgram:
    """Returns the program of `module` for inputs like `sample`, as graphs.

    The sizes of the inputs may vary where the code of the module allows it.

    Raises:
        ModelError: torch.export cannot capture the module, or builder cannot convert the program.
    """
    with scratch_folder() as folder, warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        path = folder / "program.pt2"
        torch.export.save(_capture(module, *to_call(sample)), path)
        try:
            return read_program(path, schemas)
        except ModelError as error:
            text = error.message.removeprefix(f"{path}: ")
            raise ModelError(text, hint=error.hint) from error


def _capture(module: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:  # noqa: ANN401
    # torch.export raises anything; the second attempt tells why.
    with contextlib.suppress(Exception):
        shapes = _vary(arguments)
        if named:
            bound = inspect.signature(module.forward).bind(*arguments, **named)
            shapes = _vary(dict(bound.arguments))
        return torch.export.export(module, arguments, named, dynamic_shapes=shapes, strict=False)
    try:
        return torch.export.export(module, arguments, named, strict=False)
    except Exception as error:
        # It runs the code of the model, so the deepest frame there shows the place.
        raise ModelError(
            f"torch.export cannot capture it: {describe_exception(error)}", hint=_remedy(str(error))
        ) from error


def _remedy(text: str) -> str:
    if "data-dependent" not in text:
        return Hint("try ", Use("capture", "trace"), " or ", Use("capture", "script"))
    return Hint(
        "a decision in the code depends on values of tensors: write it with torch.where or "
        "torch.cond, or keep it with ",
        Use("capture", "script"),
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides what torch.export logs and prints about attempts that fail: it is about its insides."""
    before, nowhere = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(before)


def _vary(value: object) -> Any:  # noqa: ANN401 - the structure of the arguments
    """Returns the dynamic shapes of arguments: torch decides for each size whether it may vary."""
    match value:
        case torch.Tensor():
            return (torch.export.Dim.AUTO,) * value.dim()
        case dict():
            return {key: _vary(item) for key, item in value.items()}
        case list():
            return [_vary(item) for item in value]
        case tuple():
            return tuple(_vary(item) for item in value)
        case _:
            return None
