"""Options that are made from settings: names, types, defaults, and what a command receives."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import click
import pytest
from click.testing import CliRunner

from builder.api.settings import BuildSettings
from builder.cli.settings_options import settings_options
from builder.core.dtypes import DtypeSet
from builder.core.setting_fields import Setting, Text, list_settings
from builder.core.targets import MIN_API, MIN_IOS, format_os_version
from builder.platforms.android.ndk import load_facts


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    width: Annotated[int, Setting(least=1, most=9)]
    tints: frozenset[Colour] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    title: str
    place: Annotated[Path | None, Setting(path="file")] = None
    colour: Colour = Colour.RED
    dtypes: Annotated[Text[DtypeSet] | None, Setting(placeholder="LIST", absent="auto")] = None
    pairs: tuple[tuple[str, Path], ...] = ()
    loud: bool = False
    weight: Annotated[float | None, Setting(least=0, environment="PICTURE_WEIGHT")] = None
    frame: Frame | None = None
    given: int = 0
    names: tuple[str, ...] = field(default_factory=lambda: ("x",))

    def __post_init__(self) -> None:
        if self.title == "wrong":
            raise ValueError("the title is wrong")


@pytest.fixture
def ask():
    """Returns what a command receives for arguments, or click's message."""

    def run(*arguments: str, **environment: str) -> Picture | str:
        seen = []

        @click.command()
        @click.argument("given", type=int)
        @settings_options(Picture, "picture", without=("given",))
        def command(picture: Picture) -> None:
            seen.append(picture)

        result = CliRunner().invoke(command, ["7", *arguments], env=environment)
        assert result.exit_code == (0 if seen else 2), result.exception
        return seen[0] if seen else result.output

    return run


def test_defaults_are_those_of_the_dataclass(ask):
    assert ask("--title", "t") == Picture(title="t", given=7)
    assert "Missing option '--title'" in ask()


def test_every_type_of_value_is_read(ask, tmp_path):
    here = tmp_path / "a"
    here.touch()
    assert ask(
        *("--title", "t", "--place", str(here), "--colour", "blue", "--dtypes", "int8,bool"),
        *("--pair", "a=b=c", "--pair", "d=e", "--loud", "--name", "p", "--name", "q"),
        *("--width", "3", "--tint", "red"),
        PICTURE_WEIGHT="2.5",
    ) == Picture(
        title="t",
        place=here,
        colour=Colour.BLUE,
        dtypes=DtypeSet.of(["int8", "bool"]),
        pairs=(("a", Path("b=c")), ("d", Path("e"))),
        loud=True,
        weight=2.5,
        frame=Frame(width=3, tints=frozenset({Colour.RED})),
        given=7,
        names=("p", "q"),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--title", "wrong"), "the title is wrong"),
        (("--title", "t", "--place", "/absent"), "does not exist"),
        (("--title", "t", "--colour", "green"), "'green' is not one of 'red', 'blue'"),
        (("--title", "t", "--dtypes", "float99"), "unknown dtypes: float99"),
        (("--title", "t", "--pair", "a"), "'a' is not NAME=VALUE"),
        (("--title", "t", "--weight", "nan"), "not a finite number"),
        (("--title", "t", "--weight", "-1"), "-1.0 is not in the range x>=0"),
        (("--title", "t", "--width", "10"), "10 is not in the range 1<=x<=9"),
        (("--title", "t", "--tint", "red"), "--tint cannot be used without --width"),
    ],
)
def test_what_does_not_fit_is_refused(ask, arguments, message):
    assert message in ask(*arguments)


@pytest.mark.parametrize(
    ("option", "default"),
    [
        ("min_api", str(MIN_API)),
        ("min_ios", format_os_version(MIN_IOS)),
        ("page_size", str(load_facts("arm64-v8a", MIN_API).page_size)),
    ],
)
def test_defaults_in_docstrings_are_the_facts(option, default):
    settings = {one.name: one for one in list_settings(BuildSettings)}
    assert f"(default: {default}" in " ".join(settings[option].help.split())
