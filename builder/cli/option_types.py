"""Types of values on the command line, besides those of click."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

EMPTY = "it is empty; was a variable not set?"
"""What is said of an empty text."""


class PathType(click.Path):
    """A path; an empty text, as of an unset variable, is not taken for the current folder."""

    def __init__(self, **checks: Any) -> None:  # noqa: ANN401 - those of click.Path
        """Takes what click.Path takes, but for the type of the result."""
        super().__init__(path_type=Path, **checks)

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - as click has it
        """Returns the path; raises click's error when there is no text or a check fails."""
        if value == "":
            self.fail(EMPTY, param, ctx)
        return super().convert(value, param, ctx)


class FilledText(click.types.StringParamType):
    """A text that is not empty, as that of an unset variable is."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Returns the text; raises click's error when there is none."""
        text = super().convert(value, param, ctx)
        if not text:
            self.fail(EMPTY, param, ctx)
        return str(text)


class FiniteRange(click.FloatRange):
    """A finite number in a range; `nan` and `inf` are refused, since no limit works with them."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Returns the number; raises click's error when the text is not a finite number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class TextType(click.ParamType):  # type: ignore[type-arg]
    """A value of a type that has a class method `parse`, which raises ValueError."""

    def __init__(self, kind: Any, name: str, *, absent: str = "") -> None:  # noqa: ANN401 - a type
        """Takes the type, what stands for a value in usage lines, and the word for None."""
        self.name = name or kind.__name__.upper()
        self._kind = kind
        self._absent = absent

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Returns the value; raises click's error when the text is not one."""
        # click converts defaults too, and these are values already.
        if isinstance(value, self._kind):
            return value
        if self._absent and value == self._absent:
            return None
        try:
            return self._kind.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PairType(click.ParamType):  # type: ignore[type-arg]
    """An option value of the form `name=value`."""

    name = "NAME=VALUE"

    def __init__(self, kind: Any = str) -> None:  # noqa: ANN401 - a type
        """Takes the type of the value, which is called with the text."""
        self._kind = kind

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, object]:
        """Returns name and value; raises click's error when the text has another form."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not name or not equals:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        if not text and self._kind is Path:
            self.fail(f"the path of {name!r} is empty; was a variable not set?", param, ctx)
        return name, self._kind(text)
