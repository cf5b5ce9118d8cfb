"""Hints: in Python they name settings and commands of the API, on a terminal those of click."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import builder
from builder.cli.commands import COMMANDS
from builder.cli.hints import find_setting, show_hint
from builder.errors import Hint, Run, Use

PACKAGE = Path(builder.__file__).parent


@pytest.mark.parametrize(
    ("hint", "command", "python", "shown"),
    [
        (Use("targets.min_api"), "build", "targets.min_api", "--min-api"),
        (Use("targets.min_ios", "15.0"), "build", "targets.min_ios=15.0", "--min-ios 15.0"),
        (Use("android.version", "1"), "build", "android.version=1", "--aar-version 1"),
        (Use("accelerators", "metal"), "plan", "accelerators=metal", "--metal"),
        (Use("capture", "script"), "export", "capture=script", "--via script"),
        (Use("reference", False), "export", "reference=False", "--no-reference"),
        (Use("keep"), "export", "keep", "--keep"),
        (Use("inputs", "int64[1,8]"), "verify", "inputs=int64[1,8]", "--input 'int64[1,8]'"),
        (Use("tools.apple_sdk", "DIR"), "check", "tools.apple_sdk=DIR", "--apple-sdk DIR"),
        (Use("tools.stl"), "verify", "tools.stl", "--stl of builder build"),
        (Use("capture", "script"), "ops", "capture=script", "--via script of builder export"),
        (Use("no.such"), "ops", "no.such", "no.such"),
        (Run("doctor"), "build", "doctor()", "builder doctor"),
        (Run("x", (Use("jobs"),)), "build", "x(jobs)", "builder x jobs"),
        (
            Run("fetch", (Use("features", "apple"), Use("source_folder", "a b"))),
            "build",
            "fetch(features=apple, source_folder=a b)",
            "builder fetch --feature apple --from 'a b'",
        ),
        (
            Run("export", ("my model.pt", Use("output", "model.ptl"))),
            "ops",
            "export(my model.pt, output=model.ptl)",
            "builder export 'my model.pt' -o model.ptl",
        ),
    ],
)
def test_settings_and_commands_have_two_names(hint, command, python, shown):
    text = Hint("try ", hint, ".")
    assert (str(text), show_hint(text, command)) == (f"try {python}.", f"try {shown}.")
    inside = Hint("free some space, or ", text)
    assert show_hint(inside, command) == f"free some space, or try {shown}."


def test_a_text_without_names_is_shown_as_it_is():
    assert show_hint("apt install lld", "build") == "apt install lld"


def read_calls(name: str) -> Iterator[tuple[str, str]]:
    """Yields place and first argument of each `Use("key")` or `Run("command")` in builder."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if is_call and node.func.id == name and isinstance(node.args[0], ast.Constant):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.args[0].value


def test_every_setting_and_command_in_a_hint_exists():
    commands = sorted(COMMANDS.keys() - {"completion", "doctor"})
    settings, runs = dict(read_calls("Use")), dict(read_calls("Run"))
    assert len(settings) > 50
    unknown = [place for place, key in settings.items() if not any(_has(key, c) for c in commands)]
    assert unknown == []
    assert set(runs.values()) <= COMMANDS.keys()


def _has(key: str, command: str) -> bool:
    setting = find_setting(key, command)
    return setting is not None and key == ".".join((*setting.group, setting.name))
