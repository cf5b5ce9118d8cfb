"""Options of `builder export`: the inputs, how the model is rewritten, and the file to write."""

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
    """An option value of the form `name=value`."""

    name = "NAME=VALUE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Returns name and value; raises click's error when the text has another form."""
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

    return _stack(
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


def quantise_options(command: Command) -> Command:
    """Adds --quantize and related options; `command` receives one `quantisation`."""

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
            help="Quantise for QNNPACK. dynamic: the weights of Linear, LSTM and GRU. static: the "
            "activations too.",
        ),
        click.option(
            "--quantize-flow",
            "flow",
            type=_choice(Flow),
            help="How PyTorch quantises. eager: for static quantisation, the model must contain "
            "QuantStub. fx: PyTorch finds the places itself. (default: fx for static, eager for "
            "dynamic).",
        ),
        click.option(
            "--per-channel/--per-tensor",
            default=False,
            help="Use one scale per output channel of the weights, or one per tensor (default: per "
            "tensor).",
        ),
    )


def optimise_options(command: Command) -> Command:
    """Adds --optimize and related options; `command` receives one `optimisation`."""

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
            help="Leave out this pass of optimize_for_mobile; repeat the option for more passes.",
        ),
        click.option(
            "--backend",
            type=_choice(Backend),
            default=str(Backend.CPU),
            show_default=True,
            help="The backend to optimise for; the installed torch must support it.",
        ),
    )


def saving_options(command: Command) -> Command:
    """Adds --format and the other options for the file; `command` receives one `saving`."""

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
            help="Write an older bytecode version (zip only; default: the version that torch "
            "writes).",
        ),
        click.option(
            "--bundle-inputs",
            is_flag=True,
            help="Store the inputs in the lite file, for get_all_bundled_inputs().",
        ),
        click.option(
            "--extra-file",
            "extra_files",
            multiple=True,
            type=PairType(),
            metavar="NAME=PATH",
            help="Store another file in the lite file, e.g. labels.txt=labels.txt.",
        ),
    )
