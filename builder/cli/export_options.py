"""Options of `builder export` that are more than one setting: the inputs, and how to capture."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from builder.cli.options import parse_inputs
from builder.core.inputs import parse_specs
from builder.export.request import Capture

Command = Callable[..., Any]


def input_options(command: Command) -> Command:
    """Adds --shape, --dtype, --input and --second-shape; `command` receives specifications."""

    @functools.wraps(command)
    def with_inputs(
        *,
        shapes: tuple[str, ...],
        dtypes: tuple[str, ...],
        texts: tuple[str, ...],
        second_shapes: tuple[str, ...],
        **others: object,
    ) -> object:
        inputs = parse_inputs(shapes, dtypes, texts)
        second = parse_specs(second_shapes, dtypes if second_shapes else ())
        return command(inputs=inputs, second_inputs=second, **others)

    return stack(
        with_inputs,
        click.option(
            "--shape",
            "shapes",
            multiple=True,
            metavar="N,N,...",
            help="Shape of one input, or `scalar`; repeat the option for several inputs.",
        ),
        click.option(
            "--dtype",
            "dtypes",
            multiple=True,
            metavar="NAME",
            help="Dtype of the inputs: one for all (default: float32), or one per --shape.",
        ),
        click.option(
            "--input",
            "texts",
            multiple=True,
            metavar="SPEC",
            help="One argument of any kind, instead of --shape: int64[1,16], 0.5, "
            '[float32[3,8,8], float32[3,9,9]], {"ids": int64[1,8]}.',
        ),
        click.option(
            "--second-shape",
            "second_shapes",
            multiple=True,
            metavar="N,N,...",
            help="Other shapes for which a traced model is compared too, one per input (default: a "
            "larger batch and larger inputs, if the model accepts them).",
        ),
    )


def capture_options(command: Command) -> Command:
    """Adds --trace and --script; `command` receives one `capture`."""

    @functools.wraps(command)
    def with_capture(*, chosen: str | None, **others: object) -> object:
        return command(capture=Capture(chosen or Capture.AUTO), **others)

    return stack(
        with_capture,
        click.option(
            "--trace", "chosen", flag_value="trace", help="Record one run of the model (default)."
        ),
        click.option(
            "--script",
            "chosen",
            flag_value="script",
            help="Compile the model with its control flow.",
        ),
    )


def stack(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Returns `command` with `options`, which its help shows in this order."""
    for option in reversed(options):
        command = option(command)
    return command
