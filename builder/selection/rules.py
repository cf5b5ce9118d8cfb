"""The data of rules.toml and of the backends' files, typed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from builder.backends.loader import load_backends
from builder.core.backends import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRules:
    """What selection knows beyond the sources' own text; see rules.toml and `Backend`."""

    always: frozenset[str]
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
    unbuildable: Mapping[str, str]
    raising: Mapping[str, str]
    libraries: Mapping[str, str]
    backends: tuple[Backend, ...] = ()
    delegates: str = ""
    """Namespace of the custom classes that whole models are handed to."""


@cache
def load_rules() -> SelectionRules:
    """Returns the rules that ship with builder."""
    text = resources.files("builder.selection").joinpath("rules.toml").read_text()
    data = tomllib.loads(text)
    backends = tuple(load_backends().values())
    return SelectionRules(
        always=frozenset(data["always"]),
        ignored=frozenset(data["ignored"]),
        preferred=frozenset(data["preferred"]),
        custom_classes=_join(data["custom_classes"], *(one.units_by_class for one in backends)),
        made_of={name: frozenset(classes) for name, classes in data["made_of"].items()},
        by_name=_join(*(one.units_by_operator for one in backends)),
        printing_unit=data["printing"]["unit"],
        printing=frozenset(data["printing"]["operators"]),
        unbuildable=dict(data["unbuildable"]),
        raising=dict(data["raising"]),
        libraries=dict(data["libraries"]),
        backends=backends,
        delegates=data["delegates"],
    )


def _join(*tables: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Returns namespace -> the units that one of `tables` gives to it."""
    joined: dict[str, frozenset[str]] = {}
    for table in tables:
        for name, units in table.items():
            joined[name] = joined.get(name, frozenset()).union(units)
    return joined
