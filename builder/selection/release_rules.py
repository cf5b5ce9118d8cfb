"""The rules of a release, `rules.toml` and those of its backends, typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.core.backends import Backend
from builder.core.release import Release
from builder.core.typed import parse_toml
from builder.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRules:
    """What selection knows beyond the sources' own text; see rules.toml and `Backend`."""

    always: frozenset[str]
    always_own: frozenset[str]
    """The same for runtimes with builder's own core."""
    ignored: frozenset[str]
    preferred: frozenset[str]
    custom_classes: Mapping[str, frozenset[str]]
    """Namespace -> units that register the classes, of rules.toml and of every backend."""
    made_of: Mapping[str, frozenset[str]]
    by_name: Mapping[str, frozenset[str]]
    """Namespace of operators -> units that backends give to them; see `units_by_operator`."""
    printing_unit: str
    printing: frozenset[str]
    """Names of operators that print values of tensors."""
    raising: Mapping[str, str]
    """Patterns of names of operators that raise when called -> why; see `find_reason`."""
    libraries: Mapping[str, str]
    backends: tuple[Backend, ...] = ()
    delegates: str = ""
    """Namespace of the custom classes that whole models are handed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Printing:
    unit: str
    operators: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _RulesFile:
    """The content of rules.toml, which says what each key means."""

    always: frozenset[str]
    always_own: frozenset[str]
    ignored: frozenset[str]
    preferred: frozenset[str]
    delegates: str
    custom_classes: Mapping[str, frozenset[str]]
    made_of: Mapping[str, frozenset[str]]
    printing: _Printing
    raising: Mapping[str, frozenset[str]]
    libraries: Mapping[str, str]


def read_rules(release: Release) -> SelectionRules:
    """Returns the rules for the sources of `release`.

    Raises:
        ConfigurationError: rules.toml cannot be read, or a key is missing, unknown or of another
            type.
    """
    try:
        text = release.rules.read_text(encoding="utf-8")
        file = parse_toml(text, _RulesFile, release.rules.name)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{release.rules} cannot be read: {error}") from error
    backends = tuple(release.backends.values())
    return SelectionRules(
        always=file.always,
        always_own=file.always_own,
        ignored=file.ignored,
        preferred=file.preferred,
        custom_classes=_join(file.custom_classes, *(one.units_by_class for one in backends)),
        made_of=file.made_of,
        by_name=_join(*(one.units_by_operator for one in backends)),
        printing_unit=file.printing.unit,
        printing=file.printing.operators,
        raising={name: why for why, names in file.raising.items() for name in names},
        libraries=file.libraries,
        backends=backends,
        delegates=file.delegates,
    )


def _join(*tables: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Returns namespace -> the units that one of `tables` gives to it."""
    joined: dict[str, frozenset[str]] = {}
    for table in tables:
        for name, units in table.items():
            # Several backends may register classes in one namespace.
            joined[name] = joined.get(name, frozenset()).union(units)
    return joined
