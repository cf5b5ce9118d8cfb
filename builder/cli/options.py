"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.core.inputs import parse_specs  # imports NumPy
from builder.core.nesting import parse_input
from builder.errors import ConfigurationError

if TYPE_CHECKING:
    from builder.core.nesting import InputSpec


runtime_option = click.option(
    "--runtime",
    required=True,
    type=click.Path(path_type=Path),
    help="The output folder of `builder build`, the folder of one ABI in it, or the library file.",
)


def random_inputs_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --shape, --dtype and --input; `command` receives them as specifications, `inputs`."""
    shape = click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="N,N,...",
        help="Shape of one random input, or `scalar`; random inputs replace the saved ones.",
    )
    dtype = click.option(
        "--dtype", "dtypes", multiple=True, metavar="NAME", help="Dtype of the random inputs."
    )
    text = click.option(
        "--input",
        "texts",
        multiple=True,
        metavar="SPEC",
        help="One argument of any kind, instead of --shape: int64[1,16], 0.5, "
        '[float32[3,8,8], float32[3,9,9]], {"ids": int64[1,8]}.',
    )

    @functools.wraps(command)
    def with_inputs(
        *,
        shapes: tuple[str, ...],
        dtypes: tuple[str, ...],
        texts: tuple[str, ...],
        **others: object,
    ) -> object:
        return command(inputs=parse_inputs(shapes, dtypes, texts), **others)

    return shape(dtype(text(with_inputs)))


def parse_inputs(
    shapes: tuple[str, ...], dtypes: tuple[str, ...], texts: tuple[str, ...]
) -> tuple[InputSpec, ...]:
    """Returns the inputs that --input, or --shape and --dtype, describe.

    Raises:
        ConfigurationError: both are given, or one cannot be parsed.
    """
    if texts and (shapes or dtypes):
        raise ConfigurationError(
            "--input cannot be combined with --shape or --dtype: both describe the inputs",
            hint="describe all inputs with --input",
        )
    return tuple(map(parse_input, texts)) or parse_specs(shapes, dtypes)


def via_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --via and --adb; `command` receives one `via`."""
    commands = click.option(
        "--via",
        default="",
        metavar="COMMAND",
        help="The command that runs the runtime's programs, e.g. 'adb -s SERIAL shell' or an "
        "emulator.",
    )
    devices = click.option(
        "--adb", is_flag=True, help="Run on a device; short for --via 'adb shell'."
    )

    @functools.wraps(command)
    def with_via(*, via: str, adb: bool, **others: object) -> object:
        if via and adb:
            raise click.UsageError(
                "--adb means --via 'adb shell': give only one of the two options"
            )
        return command(via=via or ("adb shell" if adb else ""), **others)

    return commands(devices(with_via))


pytorch_option = click.option(
    "--pytorch",
    metavar="VERSION",
    help="The release of PyTorch that runtimes are built from, e.g. 2.6.0 (default: the one "
    "that this version of builder declares).",
)
