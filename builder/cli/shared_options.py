"""Options of several commands that stand for a part of a setting, or for a usual value of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, TypeVar

import click

from builder.core.input_descriptions import parse_specs  # imports NumPy
from builder.core.nesting import parse_input
from builder.core.setting_fields import Setting
from builder.errors import ConfigurationError
from builder.verify.request import RunRequest

if TYPE_CHECKING:
    from builder.core.nesting import InputSpec

_Request = TypeVar("_Request", bound=RunRequest)
_ON_DEVICE = "adb shell"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTexts:
    """How the command line describes the inputs of a model."""

    shapes: Annotated[tuple[str, ...], Setting(placeholder="N,N,...")] = ()
    """Shape of one input, or `scalar`."""
    dtypes: Annotated[tuple[str, ...], Setting(placeholder="NAME")] = ()
    """Dtype of the inputs: one for all (default: float32), or one per --shape."""
    specs: Annotated[tuple[str, ...], Setting(placeholder="SPEC")] = ()
    """One argument of any kind, instead of --shape: int64[1,16], 0.5, "a text", None,
    [float32[3,8,8], float32[3,9,9]], {"ids": int64[1,8]}, or with its name: mask=int64[1,16]."""
    second_shapes: Annotated[tuple[str, ...], Setting(placeholder="N,N,...")] = ()
    """Other shapes for which a traced model is compared too, one per input (default: a larger batch
    and larger inputs, if the model accepts them)."""

    def parse(self) -> tuple[InputSpec, ...]:
        """Returns the specifications of the inputs; ConfigurationError for texts that are not one.

        They come either from `specs`, or from `shapes` and `dtypes`.
        """
        if self.specs and (self.shapes or self.dtypes):
            raise ConfigurationError(
                "--input cannot be combined with --shape or --dtype: both describe the inputs",
                hint="describe all inputs with --input",
            )
        return tuple(map(parse_input, self.specs)) or parse_specs(self.shapes, self.dtypes)

    def parse_second(self) -> tuple[InputSpec, ...]:
        """Returns the same of `second_shapes`."""
        return parse_specs(self.second_shapes, self.dtypes if self.second_shapes else ())


adb_option = click.option(
    "--adb", is_flag=True, help=f"Run on a device; short for --via '{_ON_DEVICE}'."
)


def complete(request: _Request, texts: InputTexts, *, adb: bool) -> _Request:
    """Returns `request` with the inputs that `texts` describe, and to run on a device for `adb`."""
    if request.via and adb:
        raise click.UsageError(
            f"--adb means --via '{_ON_DEVICE}': give only one of the two options"
        )
    via = _ON_DEVICE if adb else request.via
    return replace(request, inputs=texts.parse(), via=via)
