"""What `builder build` builds: the models on the command line, or the products of a file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.api.settings import CONFIGURATION
from builder.cli.console import ConsoleProgress, echo, format_bytes
from builder.cli.gates import refuse_idle_budgets, refuse_idle_options
from builder.cli.plan import locate_targets, refuse_no_models

if TYPE_CHECKING:
    from builder.api.products import Configuration, Values
    from builder.api.settings import BuildSettings
    from builder.core.targets import Target
    from builder.export.request import ExportRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationAsked:
    """What the command line says about a file."""

    path: Path | None
    """The file; None where it is not named."""
    products: tuple[str, ...]
    """Names of products; none for all."""
    export: bool
    """Whether its exports are to run first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenProduct:
    """What one call of `api.build` gets."""

    name: str
    """Its name in the file; empty where it has none."""
    settings: BuildSettings
    targets: tuple[Target, ...]


def configuration_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options about a file; the command receives their values as `asked`."""

    @functools.wraps(command)
    def with_asked(
        config: Path | None, product: tuple[str, ...], export: bool, **given: object
    ) -> object:
        asked = ConfigurationAsked(path=config, products=product, export=export)
        return command(asked=asked, **given)

    for option in (
        click.option(
            "--export",
            is_flag=True,
            help="First run the exports of the file. This runs code of the models: see builder "
            "export.",
        ),
        click.option(
            "--product",
            multiple=True,
            metavar="NAME",
            help="Build this product of the file (default: all). Repeat the option for several "
            "values.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            metavar="FILE",
            help=f"Read settings from this file (default: {CONFIGURATION} in this folder, if no "
            "model is given).",
        ),
    ):
        with_asked = option(with_asked)
    return with_asked


def choose_products(
    settings: BuildSettings, given: Values, asked: ConfigurationAsked
) -> tuple[ChosenProduct, ...]:
    """Returns what to build; BuilderError for settings that do not go together.

    Args:
        settings: what the command line alone describes.
        given: those settings that the user has given.
        asked: which file to read.
    """
    configuration = _find_configuration(settings, asked)
    if configuration is None:
        refuse_no_models(
            settings, f", or a file {CONFIGURATION} in this folder, which builder init writes"
        )
        targets = locate_targets(settings)
        refuse_idle_options(targets)
        refuse_idle_budgets(settings.budgets, [target.abi for target in targets])
        return (ChosenProduct(name="", settings=settings, targets=targets),)
    chosen = configuration.choose(asked.products)
    if asked.export:
        if not configuration.exports:
            raise click.UsageError("--export has no effect: the file has no exports.")
        _run_exports(configuration.exports)
    made = [(one.name, configuration.make_settings(one, given)) for one in chosen]
    if len(made) > 1 and ("output",) in given:
        raise click.UsageError("-o is one folder, and each product needs its own.")
    products = tuple(
        ChosenProduct(name=name, settings=one, targets=locate_targets(one)) for name, one in made
    )
    refuse_idle_options([target for one in products for target in one.targets])
    for one in products:
        abis = [target.abi for target in one.targets]
        if any(path[0] == "budgets" for path in given):
            refuse_idle_budgets(one.settings.budgets, abis)
    return products


def _find_configuration(settings: BuildSettings, asked: ConfigurationAsked) -> Configuration | None:
    if asked.path is not None:
        return api.read_configuration(asked.path)
    request, usual = settings.request, Path(CONFIGURATION)
    has_models = bool(request.inputs or request.ops_lists)
    if not has_models and usual.is_file():
        return api.read_configuration(usual)
    if asked.products or asked.export:
        raise click.UsageError(
            "--product and --export need a file: name it with --config, or leave out MODEL."
        )
    return None


def _run_exports(exports: Sequence[ExportRequest]) -> None:
    for request in exports:
        api.refuse_model(request.output, request.source)
        result = api.export(request, progress=ConsoleProgress())
        for remark in result.remarks:
            echo(f"note: {remark}", err=True)
        if result.failure is not None:
            raise result.failure
        echo(f"wrote {result.path}: {format_bytes(result.size)} bytes", err=True)
