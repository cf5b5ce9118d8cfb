"""Shows hints with the names that settings and commands have on the command line."""

from __future__ import annotations

import shlex
from importlib import import_module

import click

from builder.cli.commands import COMMANDS
from builder.cli.settings_options import argument_name, list_command_settings, option_names
from builder.core.setting_fields import SettingField
from builder.errors import Hint, Run, Use


def show_hint(text: str, command: str) -> str:
    """Returns a text as users of `builder command` write settings and commands."""
    parts = text.parts if isinstance(text, Hint) else ()
    return "".join(_show(part, command) for part in parts) or text


def _show(part: str | Use | Run, command: str) -> str:
    match part:
        case Use():
            setting = find_setting(part.key, command)
            if setting is not None:
                return _show_option(setting, part.value)
            return _show_elsewhere(part) if command in COMMANDS else str(part)
        case Run():
            words = (
                shlex.quote(one) if isinstance(one, str) else _show(one, part.command)
                for one in part.parts
            )
            return " ".join(("builder", part.command, *words))
        case _:
            return show_hint(part, command)


def _show_elsewhere(part: Use) -> str:
    """Returns a setting that only other commands have, with the first of them."""
    for command in COMMANDS:
        setting = _settings(command).get(part.key)
        if setting is not None:
            return f"{_show_option(setting, part.value)} of builder {command}"
    return str(part)


def find_setting(key: str, command: str) -> SettingField | None:
    """Returns the setting of a command that a key means; None if the command has none like it."""
    # A hint from a process that ran the code of a model can name anything.
    if command not in COMMANDS:
        return None
    keys = _settings(command)
    # Commands group the same setting in different ways: `tools.ndk` of build is `ndk` of check.
    alike = (one for one in keys.values() if one.name == key.rpartition(".")[2])
    return keys.get(key) or next(alike, None)


def _settings(command: str) -> dict[str, SettingField]:
    """Returns the settings of a command by their keys."""
    module = import_module(f"builder.cli.{command}")
    assert isinstance(module.command, click.Command)
    return {".".join((*one.group, one.name)): one for one in list_command_settings(module.command)}


def _show_option(setting: SettingField, value: object) -> str:
    names = option_names(setting)
    if argument_name(setting):
        return str(value)
    if setting.setting.lookup == "backends" or f"--{value}" in names:  # one option for each value
        return f"--{value}"
    if setting.kind is bool:
        yes, _, no = names[0].partition("/")
        return no if value is False else yes
    return names[0] if value == "" else f"{names[0]} {shlex.quote(str(value))}"
