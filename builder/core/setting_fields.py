"""What a user can decide: fields of dataclasses, with all that a person reads about them.

A setting is a field whose docstring is its manual. Options of the command line, the schema of
`builder.yaml` and the reference page are made from `list_settings`, so that each setting is
declared once. A field whose type is a dataclass is a group of settings.
"""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from functools import cache
from itertools import takewhile
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

_T = TypeVar("_T")

if TYPE_CHECKING:
    Text = Annotated[_T, "written as text"]
else:

    class Text:
        """`Text[Operator]` is the type `Operator` for a value that is written as text.

        Its class method `parse` reads the text. msgspec would want an object with the fields of a
        dataclass. So the annotation is a class of which msgspec knows nothing: it then asks
        `builder.core.typed`, and accepts what is an instance.
        """

        def __class_getitem__(cls, kind: type) -> type:
            """Returns the class that stands for `kind` in annotations."""
            return _text_class(kind)


class TextClass(type):
    """The class of what `Text[...]` makes; `kind` is the type in the brackets."""

    kind: Any

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.kind)


@cache
def _text_class(kind: type) -> type:
    return TextClass(kind.__name__, (), {"kind": kind})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the type of a setting does not say; it stands in `Annotated` beside the type."""

    placeholder: str = ""
    """What stands for the value where the usage is shown, e.g. `SIZE`; a group has none."""
    absent: str = ""
    """The word for None, e.g. `auto`, where a user can write it."""
    least: int | None = None
    most: int | None = None
    """Bounds of a number, both included."""
    environment: str = ""
    """The environment variable that is read where the setting is not given."""
    path: Literal["", "file", "folder", "new file", "new folder"] = ""
    """What a path has to name before anything starts; something new may be there already."""
    lookup: Literal["", "release", "backends"] = ""
    """What the command line reads from files to make the value: the release that has the version
    given, or the backends of which a flag is given."""
    inline: bool = False
    """Whether the settings of this group belong to the group around it in `builder.yaml`."""
    internal: bool = False
    """Whether the field is not a setting: commands fill it in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingField:
    """One setting of a dataclass or of a group in it."""

    path: tuple[str, ...]
    """Names of the fields that lead to it from the outermost dataclass, its own name last."""
    group: tuple[str, ...]
    """Its place in `builder.yaml`: `path` without its own name and without inline groups."""
    owner: type
    """The dataclass that has the field."""
    kind: Any
    """Its type, without `Annotated`, `None` and `Text`; of several values, that of one."""
    several: bool
    """Whether it holds several values."""
    default: Any
    """The value where nothing is given; `dataclasses.MISSING` where there must be one."""
    help: str
    """The docstring, its lines joined."""
    setting: Setting = field(default_factory=Setting)

    @property
    def name(self) -> str:
        """The name of the field."""
        return self.path[-1]


def list_settings(kind: type) -> Iterator[SettingField]:
    """Yields the settings of the dataclass `kind` and of the groups in it, in their order."""
    yield from _walk(kind, (), ())


def _walk(kind: type, path: tuple[str, ...], group: tuple[str, ...]) -> Iterator[SettingField]:
    hints, texts = _read_hints(kind), read_field_docs(kind)
    for one in dataclasses.fields(kind):
        hint, setting = _take_setting(hints[one.name])
        if setting.internal:
            continue
        hint, several = _strip(hint)
        inner = (*path, one.name)
        # With a placeholder, a dataclass is one value that a user writes as one word.
        if is_group(hint) and not several and not setting.placeholder:
            yield from _walk(hint, inner, group if setting.inline else (*group, one.name))
            continue
        make = one.default_factory
        yield SettingField(
            path=inner,
            group=group,
            owner=kind,
            kind=getattr(hint, "kind", hint),
            several=several,
            default=one.default if make is MISSING else make(),
            help=texts.get(one.name, ""),
            setting=setting,
        )


@cache
def _read_hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


def is_group(hint: object) -> bool:
    """Says whether a type without `Annotated` and `None` is a group of settings."""
    # A class that parses text is a value, such as a target or a size in bytes.
    return dataclasses.is_dataclass(hint) and not hasattr(hint, "parse")


def _take_setting(hint: Any) -> tuple[Any, Setting]:  # noqa: ANN401 - type hints have no type
    if get_origin(hint) is Annotated:
        base, *others = get_args(hint)
        return base, next((one for one in others if isinstance(one, Setting)), Setting())
    return hint, Setting()


def _strip(hint: Any) -> tuple[Any, bool]:  # noqa: ANN401 - type hints have no type
    """Returns the type of one value, and whether there can be several."""
    # The settings use `X | None` only, never a choice between two types.
    if get_origin(hint) is UnionType:
        hint = next(one for one in get_args(hint) if one is not type(None))
    arguments = get_args(hint)
    if get_origin(hint) in {tuple, frozenset} and (len(arguments) == 1 or arguments[-1] is ...):
        return arguments[0], True
    return hint, False


def fill(kind: type[_T], values: Mapping[tuple[str, ...], object]) -> _T:
    """Returns the dataclass `kind` with `values`, by path; fields without a value keep theirs.

    A group that may be None is made only where a value of its is given.

    Raises:
        ValueError, TypeError: the dataclass, or one in it, does not accept the values.
    """
    filled: _T = _fill(kind, values, ())
    return filled


def _fill(kind: Any, values: Mapping[tuple[str, ...], object], path: tuple[str, ...]) -> Any:  # noqa: ANN401
    hints = _read_hints(kind)
    given = {}
    for one in dataclasses.fields(kind):
        place = (*path, one.name)
        hint, several = _strip(_take_setting(hints[one.name])[0])
        if place in values:
            given[one.name] = values[place]
        # A group of which nothing is given keeps its default, which may be None.
        elif is_group(hint) and not several and _has_below(place, values):
            given[one.name] = _fill(hint, values, place)
    return kind(**given)


def _has_below(place: tuple[str, ...], values: Iterable[tuple[str, ...]]) -> bool:
    return any(known[: len(place)] == place for known in values)


@cache
def read_field_docs(kind: type) -> Mapping[str, str]:
    """Returns field -> docstring of a dataclass, each on one line.

    Python does not keep the docstrings of fields, so they are read from the source of the module,
    which a wheel has. Without a source, there is no help and everything else works.
    """
    # The docstring of an inherited field stands in the class that declares it.
    inherited = (read_field_docs(base) for base in kind.__bases__ if dataclasses.is_dataclass(base))
    return {name: text for docs in inherited for name, text in docs.items()} | _read_own_docs(kind)


def _read_own_docs(kind: type) -> dict[str, str]:
    module = sys.modules[kind.__module__]
    read: Callable[[str], str | None] = getattr(module.__loader__, "get_source", lambda _: None)
    source = _class_source(read(module.__name__) or "", kind.__name__)
    return {
        statement.target.id: " ".join(text.value.value.split())
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        # The docstring of a field is the statement right behind it.
        for statement, text in zip(node.body, node.body[1:], strict=False)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _class_source(source: str, name: str) -> str:
    """Returns the lines of a class at the top level of a module; nothing if it has no such class.

    Every command reads these docstrings, and parsing the whole module would cost several times as
    much time and memory.
    """
    lines = iter(source.splitlines())
    head = next(
        (line for line in lines if line.startswith((f"class {name}:", f"class {name}("))), ""
    )
    # The class ends at the next line that is not indented.
    return "\n".join((head, *takewhile(lambda line: not line or line[0].isspace(), lines)))
