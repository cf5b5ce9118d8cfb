"""Options of `builder export`, in groups: what goes in, how it is rewritten, what is written."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from builder.cli.options import parse_inputs
from builder.core.inputs import parse_specs
from builder.export.request import (
    Backend,
    Flow,
    LiteFormat,
    Method,
    Optimisation,
    Pass,
    Quantisation,
    Saving,
)

Command = Callable[..., Any]


class PairType(click.ParamType):  # type: ignore[type-arg]
    """`name=value`."""

    name = "NAME=VALUE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Returns both, or fails as click has it."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not name or not equals:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name, text


def _choice(kind: Any) -> click.Choice:  # type: ignore[type-arg]  # noqa: ANN401 - an enum
    return click.Choice([str(value) for value in kind])


def _stack(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def input_options(command: Command) -> Command:
    """Adds --shape, --dtype, --input, --second-shape, which `command` gets as specs."""

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

    return _stack(
        with_inputs,
        click.option(
            "--shape",
            "shapes",
            multiple=True,
            metavar="N,N,...",
            help="Shape of one input, or `scalar`; repeat it for several inputs.",
        ),
        click.option(
            "--dtype",
            "dtypes",
            multiple=True,
            metavar="NAME",
            help="Type of the inputs: one for all (default float32), or one per --shape.",
        ),
        click.option(
            "--input",
            "texts",
            multiple=True,
            metavar="SPEC",
            help="One argument of any kind, in place of --shape: int64[1,16], 0.5, "
            '[float32[3,8,8], float32[3,9,9]], {"ids": int64[1,8]}.',
        ),
        click.option(
            "--second-shape",
            "second_shapes",
            multiple=True,
            metavar="N,N,...",
            help="Other shapes on which a trace has to agree as well, once per input (default: a "
            "larger batch and larger inputs, where the model takes them).",
        ),
    )


def quantise_options(command: Command) -> Command:
    """Adds --quantize and what belongs to it, which `command` gets as one `quantisation`."""

    @functools.wraps(command)
    def with_quantisation(
        *, quantize: str | None, flow: str | None, per_channel: bool, **others: object
    ) -> object:
        if quantize is None and (flow or per_channel):
            raise click.UsageError("--quantize-flow and --per-channel need --quantize.")
        wanted = None
        if quantize is not None:
            usual = Flow.FX if quantize == Method.STATIC else Flow.EAGER
            wanted = Quantisation(
                method=Method(quantize), flow=Flow(flow or usual), per_channel=per_channel
            )
        return command(quantisation=wanted, **others)

    return _stack(
        with_quantisation,
        click.option(
            "--quantize",
            type=_choice(Method),
            help="For QNNPACK. dynamic: weights of Linear, LSTM, GRU. static: activations too.",
        ),
        click.option(
            "--quantize-flow",
            "flow",
            type=_choice(Flow),
            help="eager needs QuantStub in the model for static; fx finds out by itself "
            "(default: fx for static, eager for dynamic).",
        ),
        click.option(
            "--per-channel/--per-tensor",
            default=False,
            help="A scale per output channel of the weights (default: per tensor).",
        ),
    )


def optimise_options(command: Command) -> Command:
    """Adds --optimize and what belongs to it, which `command` gets as one `optimisation`."""

    @functools.wraps(command)
    def with_optimisation(
        *, optimize: bool, backend: str, left_out: tuple[str, ...], **others: object
    ) -> object:
        if not optimize and (left_out or Backend(backend) is not Backend.CPU):
            raise click.UsageError("--skip-pass and --backend have no effect with --no-optimize")
        wanted = Optimisation(
            enabled=optimize, backend=Backend(backend), left_out=frozenset(map(Pass, left_out))
        )
        return command(optimisation=wanted, **others)

    return _stack(
        with_optimisation,
        click.option(
            "--optimize/--no-optimize",
            default=True,
            help="Run optimize_for_mobile (default: yes).",
        ),
        click.option(
            "--skip-pass",
            "left_out",
            multiple=True,
            type=_choice(Pass),
            help="A pass of optimize_for_mobile to leave out; repeat it for several.",
        ),
        click.option(
            "--backend",
            type=_choice(Backend),
            default=str(Backend.CPU),
            show_default=True,
            help="What to optimise for, as far as the installed torch can.",
        ),
    )


def saving_options(command: Command) -> Command:
    """Adds --format and what else decides the file, which `command` gets as one `saving`."""

    @functools.wraps(command)
    def with_saving(
        *,
        lite_format: str,
        bytecode_version: int | None,
        bundle_inputs: bool,
        extra_files: tuple[tuple[str, str], ...],
        **others: object,
    ) -> object:
        saving = Saving(
            format=LiteFormat(lite_format),
            bytecode_version=bytecode_version,
            bundle_inputs=bundle_inputs,
            extra_files=tuple((name, Path(path)) for name, path in extra_files),
        )
        return command(saving=saving, **others)

    return _stack(
        with_saving,
        click.option(
            "--format",
            "lite_format",
            type=_choice(LiteFormat),
            default=str(LiteFormat.ZIP),
            show_default=True,
            help="Container of the lite file.",
        ),
        click.option(
            "--bytecode-version",
            type=int,
            metavar="N",
            help="Write an older bytecode (zip only; default: what torch writes).",
        ),
        click.option(
            "--bundle-inputs",
            is_flag=True,
            help="Put the inputs into the file, for get_all_bundled_inputs().",
        ),
        click.option(
            "--extra-file",
            "extra_files",
            multiple=True,
            type=PairType(),
            metavar="NAME=PATH",
            help="Put a file into the lite file, e.g. labels.txt=labels.txt.",
        ),
    )
