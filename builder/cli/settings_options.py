"""Makes click's options from settings, which are declared once (core/setting_fields.py)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import MISSING
from enum import Enum, EnumType
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from click.core import ParameterSource

from builder import api
from builder.cli.option_types import FilledText, FiniteRange, PairType, PathType, TextType
from builder.core.setting_fields import SettingField, fill, list_settings

if TYPE_CHECKING:
    from builder.core.backends import Backend

Command = Callable[..., Any]
_OPTIONS = {
    "AarOptions.version": ("--aar-version",),
    "AppleOptions.url": ("--xcframework-url",),
    "AppleOptions.version": ("--pod-version",),
    "BenchRequest.inputs": ("--input", "--shape", "--dtype"),
    "BuildRequest.jobs": ("--jobs", "-j"),
    "BuildSettings.output": ("-o", "--output"),
    "CacheRequest.kinds": ("--only",),
    "ExportRequest.arguments": ("--arg",),
    "ExportRequest.capture": ("--via",),
    "ExportRequest.inputs": ("--input", "--shape", "--dtype"),
    "ExportRequest.output": ("-o", "--output"),
    "ExportRequest.reference": ("--reference/--no-reference",),
    "ExportRequest.second_inputs": ("--second-shape",),
    "FetchRequest.source_folder": ("--from",),
    "InputTexts.specs": ("--input",),
    "Limits.memory": ("--memory-limit",),
    "Limits.seconds": ("--time-limit",),
    "PublishSettings.output": ("-o", "--output"),
    "OperatorsRequest.output": ("-o", "--output"),
    "Optimisation.enabled": ("--optimize/--no-optimize",),
    "Optimisation.left_out": ("--skip-pass",),
    "Quantisation.flow": ("--quantize-flow",),
    "Quantisation.method": ("--quantize",),
    "Quantisation.per_channel": ("--per-channel/--per-tensor",),
    "SizeOptions.removed": ("--what-if",),
    "VerifyRequest.inputs": ("--input", "--shape", "--dtype"),
}
"""Settings whose option has another name than the field, or that several options give together:
`Class.field` -> names for click."""
_ARGUMENTS = {
    "BenchRequest.model": "MODEL",
    "BuildRequest.inputs": "MODEL...",
    "CacheRequest.action": "info|prune|clear",
    "ExportRequest.source": "SOURCE",
    "GraphOptions.model": "MODEL",
    "OperatorsRequest.models": "MODEL...",
    "SizeOptions.runtime": "RUNTIME",
    "VerifyRequest.model": "MODEL",
}
"""Settings that are arguments instead of options: `Class.field` -> how the usage shows them."""
_REPEAT = "Repeat the option for several values."


def settings_options(
    kind: type, name: str, *, without: Collection[str] = (), typed: str = ""
) -> Callable[[Command], Command]:
    """Adds an option for each setting of `kind`; the command receives the value as `name`.

    Args:
        kind: the dataclass with the settings.
        name: the parameter of the command that receives a `kind`.
        without: dotted paths of settings, or of groups, that get no option here. A decorator above
            this one, or a parameter of click, can give them a value by their `parameter_name`.
        typed: the parameter of the command that receives the values that the user has given, by
            path, without defaults; none when empty.
    """
    settings = tuple(list_settings(kind))
    options = [one for one in settings if not _is_below(one.path, without)]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(**given: object) -> object:
            values: dict[tuple[str, ...], object] = {}
            for one in settings:
                # What a user did not give is left out, so that the default of the dataclass is the
                # only one.
                if (value := _take(one, given)) is not None:
                    values[one.path] = value
            _refuse_lonely(options, values)
            try:
                made: object = fill(kind, values)
            except ValueError as error:
                raise click.UsageError(str(error)) from None
            if typed:
                given[typed] = {path: value for path, value in values.items() if _is_typed(path)}
            return command(**{name: made}, **given)

        with_settings.settings = (  # type: ignore[attr-defined] # for `list_command_settings`
            *getattr(command, "settings", ()),
            *settings,
        )
        # Decorators apply from the innermost outwards, and the help lists options in the order of
        # the fields.
        for option in reversed([made for one in options for made in _make_options(one)]):
            option(with_settings)
        return with_settings

    return decorate


def _is_typed(path: tuple[str, ...]) -> bool:
    """Says whether a value is from the command line or the environment, and is no default."""
    context, name = click.get_current_context(), parameter_name(path)
    parameters = [str(one.name) for one in context.command.params]
    # A setting with one option for each value has parameters below its own name.
    own = [one for one in parameters if one == name or one.startswith(f"{name}__")]
    given = {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}
    return any(context.get_parameter_source(one) in given for one in own)


def list_command_settings(command: click.Command) -> tuple[SettingField, ...]:
    """Returns the settings of a command, also those that get no option of their own."""
    listed: tuple[SettingField, ...] = getattr(command.callback, "settings", ())
    return listed


def parameter_name(path: tuple[str, ...]) -> str:
    """Returns click's name for the parameter that gives the setting at `path` its value."""
    return "__".join(path)


def argument_name(one: SettingField) -> str:
    """Returns how the usage shows a setting that is an argument; nothing for an option."""
    return _ARGUMENTS.get(f"{one.owner.__name__}.{one.name}", "")


def option_names(one: SettingField) -> tuple[str, ...]:
    """Returns the names of the option of a setting, e.g. `-o` and `--output`."""
    plain = one.name.removesuffix("s") if one.several else one.name
    usual = (f"--{plain.replace('_', '-')}",)
    return _OPTIONS.get(f"{one.owner.__name__}.{one.name}", usual)


def _is_below(path: tuple[str, ...], groups: Collection[str]) -> bool:
    return any(".".join(path[:length]) in groups for length in range(1, len(path) + 1))


def _make_options(one: SettingField) -> Iterator[Callable[[Command], Command]]:
    if one.setting.lookup == "backends":
        for backend in _list_backends():
            name = _flag_name(one, backend)
            yield click.option(f"--{backend.name}", name, is_flag=True, help=backend.help)
        return
    if metavar := argument_name(one):
        yield click.argument(
            parameter_name(one.path),
            metavar=metavar,
            nargs=-1 if one.several else 1,
            required=one.default is MISSING,
            type=_make_type(one),
        )
        return
    names, absent = option_names(one), one.setting.absent
    default = absent or _show(one.default)
    # Newer versions of click take a default of None for a value, which satisfies `required`.
    shown: dict[str, Any] = {} if default is None else {"default": default}
    # `--a/--b` is click's way to write an option with an opposite.
    is_pair = "/" in names[0]
    plain = one.default not in {None, MISSING, (), frozenset(), ""} and one.kind is not bool
    yield click.option(
        *names,
        parameter_name(one.path),
        # A setting of a group is needed only where the group is used, which `_refuse_lonely`
        # checks.
        required=one.default is MISSING and len(one.path) == 1,
        multiple=one.several,
        is_flag=None if one.kind is not bool or is_pair else True,
        type=None if one.kind is bool else _make_type(one),
        metavar=one.setting.placeholder or None,
        envvar=one.setting.environment or None,
        show_envvar=bool(one.setting.environment),
        show_default=plain or bool(absent),
        help=f"{one.help} {_REPEAT}" if one.several else one.help,
        **shown,
    )


def _show(default: object) -> object:
    """Returns a default as click has to know it; an enum would be shown by the name in Python."""
    if default is MISSING or default in ((), frozenset()):
        return None
    return str(default) if isinstance(default, Enum) else default


def _make_type(one: SettingField) -> click.ParamType | type:  # type: ignore[type-arg]
    least, most = one.setting.least, one.setting.most
    if isinstance(one.kind, EnumType):
        return click.Choice([str(value) for value in list[Any](one.kind)])
    if one.kind is Path:
        what = one.setting.path
        return PathType(
            exists=what in {"file", "folder"},
            file_okay=what not in {"folder", "new folder"},
            dir_okay=what not in {"file", "new file"},
        )
    if one.kind is int:
        return click.IntRange(least, most) if (least, most) != (None, None) else int
    if one.kind is float:
        return FiniteRange(min=least, max=most)
    if hasattr(one.kind, "parse"):
        return TextType(one.kind, one.setting.placeholder, absent=one.setting.absent)
    if one.setting.lookup == "release":
        return str
    # An empty text that is a default says that nothing was chosen.
    if one.kind is str and one.default != "":
        return FilledText()
    if len(get_args(one.kind)) == 2:  # a name and a value
        return PairType(get_args(one.kind)[1])
    return one.kind  # type: ignore[no-any-return]


def _take(one: SettingField, given: dict[str, object]) -> object:
    """Takes the value of a setting out of click's parameters; None where it keeps its default."""
    if one.setting.lookup == "backends":
        return tuple(known for known in _list_backends() if given.pop(_flag_name(one, known), None))
    value = given.pop(parameter_name(one.path), None)
    if one.several and isinstance(value, tuple):
        if not value:
            return None
        made = (_convert(one, item) for item in value)
        return frozenset(made) if isinstance(one.default, frozenset) else tuple(made)
    return None if value is None else _convert(one, value)


def _convert(one: SettingField, value: object) -> object:
    if one.setting.lookup == "release":
        return api.load_release(str(value))
    return one.kind(value) if isinstance(one.kind, EnumType) else value


def _refuse_lonely(options: list[SettingField], values: dict[tuple[str, ...], object]) -> None:
    """Raises UsageError for an option of a group whose required option is not given."""
    context = click.get_current_context()
    for needed in options:
        if needed.default is not MISSING or needed.path in values:
            continue
        group = [one for one in options if one.path[:-1] == needed.path[:-1] and one is not needed]
        lonely = [
            one
            for one in group
            if context.get_parameter_source(parameter_name(one.path)) is ParameterSource.COMMANDLINE
        ]
        if lonely:
            names = " and ".join(option_names(one)[0].partition("/")[0] for one in lonely)
            raise click.UsageError(f"{names} cannot be used without {option_names(needed)[0]}.")
        for one in group:
            # Values here are defaults of click, and would make a group that the user did not ask
            # for.
            values.pop(one.path, None)


@functools.cache  # a release is read from many files, and options are made and taken by it
def _list_backends() -> tuple[Backend, ...]:
    return api.list_optional_backends()


def _flag_name(one: SettingField, backend: Backend) -> str:
    return parameter_name((*one.path, backend.name))
