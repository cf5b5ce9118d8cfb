"""Settings: what is listed of a dataclass, and how one is filled."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest

from builder.core.operators import Operator
from builder.core.setting_fields import Setting, Text, fill, list_settings, read_field_docs
from builder.core.toolchain import ToolchainOptions


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    needed: str
    colour: Colour = Colour.RED

    def __post_init__(self) -> None:
        if self.needed == "wrong":
            raise ValueError("it is wrong")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    several: frozenset[Colour] = frozenset()
    operator: Annotated[Text[Operator] | None, Setting(placeholder="OP")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    home: Path | None = None
    secret: Annotated[int, Setting(internal=True)] = 3
    inner: Inner | None = None
    plain: Annotated[Plain, Setting(inline=True)] = field(default_factory=Plain)
    rows: tuple[Inner, ...] = ()


def test_settings_are_listed_with_all_that_a_person_reads():
    listed = {".".join(one.path): one for one in list_settings(Outer)}
    assert list(listed) == [
        *("home", "inner.needed", "inner.colour", "plain.several", "plain.operator", "rows"),
    ]
    assert (listed["home"].kind, listed["home"].default) == (Path, None)
    needed = listed["inner.needed"]
    assert (needed.owner, needed.default, needed.group) == (Inner, MISSING, ("inner",))
    several = listed["plain.several"]
    assert (several.kind, several.several, several.group) == (Colour, True, ())
    operator = listed["plain.operator"]
    assert (operator.kind, operator.setting.placeholder) == (Operator, "OP")
    assert (listed["rows"].kind, listed["rows"].several) == (Inner, True)


def test_a_dataclass_is_filled_by_paths():
    assert fill(Outer, {}) == Outer()
    made = fill(Outer, {("inner", "needed"): "x", ("plain", "operator"): Operator("aten::relu")})
    assert made == Outer(inner=Inner(needed="x"), plain=Plain(operator=Operator("aten::relu")))
    with pytest.raises(ValueError, match="it is wrong"):
        fill(Outer, {("inner", "needed"): "wrong"})


def test_the_docstring_of_a_field_is_its_help_on_one_line():
    listed = {one.name: one.help for one in list_settings(ToolchainOptions)}
    assert listed["page_size"].startswith("Page size in bytes to which Android libraries are")
    assert listed["launcher"].endswith("auto uses ccache or sccache if one is installed.")
    assert all(listed.values())


def test_without_a_source_there_is_no_help():
    assert read_field_docs(type("Made", (), {"__module__": "sys"})) == {}
