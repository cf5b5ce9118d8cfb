"""What `builder build` builds: the models on the command line, or the products of a file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.api.settings import CONFIGURATION
from builder.cli.console import ConsoleProgress, echo, format_bytes
from builder.cli.gates import refuse_idle_budgets, refuse_idle_options
from builder.cli.hints import show_hint
from builder.cli.option_types import PathType
from builder.errors import name_export, name_product, naming

if TYPE_CHECKING:
    from builder.api import ProductBuild
    from builder.api.build_locks import LockedProduct
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

    def make_build(self, locked: LockedProduct | None = None) -> ProductBuild:
        """Returns the build of this product; `locked` is what it must be made with."""
        return api.ProductBuild(
            request=self.settings.request,
            targets=self.targets,
            output=self.settings.output,
            options=self.settings.packages,
            locked=locked,
            name=self.name,
        )


def configuration_options(
    *, export: bool = True, verb: str = "Build"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the options about a file; the command receives their values as `asked`.

    Args:
        export: whether the command can run the exports of the file.
        verb: what the command does with a product.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_asked(
            config: Path | None,
            product: tuple[str, ...],
            export: bool = False,
            **given: object,
        ) -> object:
            asked = ConfigurationAsked(path=config, products=product, export=export)
            return command(asked=asked, **given)

        for option in _make_options(verb)[0 if export else 1 :]:
            with_asked = option(with_asked)
        return with_asked

    return decorate


def _make_options(verb: str) -> tuple[Callable[[Any], Any], ...]:
    return (
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
            help=f"{verb} this product of the file (default: all). Repeat the option for several "
            "values.",
        ),
        click.option(
            "--config",
            type=PathType(dir_okay=False),
            metavar="FILE",
            help=f"Read settings from this file (default: {CONFIGURATION} in this folder, if no "
            "model is given).",
        ),
    )


def choose_products(
    settings: BuildSettings, given: Values, asked: ConfigurationAsked, *, locked: bool = False
) -> tuple[ChosenProduct, ...]:
    """Returns what to build; BuilderError for settings that do not go together.

    Args:
        settings: what the command line alone describes.
        given: those settings that the user has given.
        asked: which file to read.
        locked: whether the tools are those of a lock, so that none has to be on this machine.
    """
    configuration = _find_configuration(settings, asked)
    if configuration is None:
        _refuse_no_models(
            settings, f", or a file {CONFIGURATION} in this folder, which builder init writes"
        )
        targets = _locate_targets(settings, locked=locked)
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
    products = []
    for name, own in made:
        with naming(name_product(name, len(made))):
            targets = _locate_targets(own, locked=locked)
        products.append(ChosenProduct(name=name, settings=own, targets=targets))
    refuse_idle_options([target for one in products for target in one.targets])
    for one in products:
        abis = [target.abi for target in one.targets]
        if any(path[0] == "budgets" for path in given):
            with naming_product(one, products):
                refuse_idle_budgets(one.settings.budgets, abis)
    return tuple(products)


def naming_product(
    product: ChosenProduct, products: Sequence[ChosenProduct]
) -> AbstractContextManager[None]:
    """Puts the product before the message of an error in the block, where there are several."""
    return naming(name_product(product.name, len(products)))


def _refuse_no_models(settings: BuildSettings, advice: str) -> None:
    """Raises UsageError, which ends with `advice`, for a build of nothing."""
    if not settings.request.inputs and not settings.request.ops_lists:
        raise click.UsageError(f"Missing argument 'MODEL...', or --ops-list NAME{advice}.")


def _locate_targets(settings: BuildSettings, *, locked: bool) -> tuple[Target, ...]:
    """Returns the targets of a build; BuilderError for settings that do not go together."""
    request, wanted = settings.request, settings.targets
    api.list_inputs(request)  # an operator list that does not exist is refused before all else
    targets = api.locate_targets(wanted.abis, min_api=wanted.min_api, min_ios=wanted.min_ios)
    # An SDK without the frameworks would fail after everything else is compiled.
    if not locked:
        api.refuse_frameworks(request.accelerators, targets, request.tools.apple_sdk)
    return targets


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
        with naming(name_export(str(request.output), len(exports))):
            api.refuse_model(request.output, request.source)
            result = api.export(request, progress=ConsoleProgress())
            for remark in result.remarks:
                echo(f"note: {show_hint(remark, 'build')}", err=True)
            if result.failure is not None:
                raise result.failure
        echo(f"wrote {result.path}: {format_bytes(result.size)} bytes", err=True)
