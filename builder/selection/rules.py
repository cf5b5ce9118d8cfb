"""The data of rules.toml, typed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from builder.core.accelerators import Accelerator, AcceleratorUse
from builder.core.features import Feature


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRules:
    """What selection knows beyond the sources' own text; see rules.toml."""

    always: frozenset[str]
    ignored: frozenset[str]
    preferred: frozenset[str]
    custom_classes: Mapping[str, frozenset[str]]
    made_of: Mapping[str, frozenset[str]]
    by_name: Mapping[str, frozenset[str]]
    printing_unit: str
    printing: frozenset[str]
    """Names of operators that print values of tensors."""
    unbuildable: Mapping[str, str]
    raising: Mapping[str, str]
    libraries: Mapping[str, str]
    features: tuple[Feature, ...] = ()
    accelerators: tuple[AcceleratorUse, ...] = ()
    delegates: str = ""
    """Namespace of the custom classes that whole models are handed to."""


@cache
def load_rules() -> SelectionRules:
    """Returns the rules that ship with builder."""
    text = resources.files("builder.selection").joinpath("rules.toml").read_text()
    data = tomllib.loads(text)
    return SelectionRules(
        always=frozenset(data["always"]),
        ignored=frozenset(data["ignored"]),
        preferred=frozenset(data["preferred"]),
        custom_classes={name: frozenset(units) for name, units in data["custom_classes"].items()},
        made_of={name: frozenset(classes) for name, classes in data["made_of"].items()},
        by_name={name: frozenset(units) for name, units in data["by_name"].items()},
        printing_unit=data["printing"]["unit"],
        printing=frozenset(data["printing"]["operators"]),
        unbuildable=dict(data["unbuildable"]),
        raising=dict(data["raising"]),
        libraries=dict(data["libraries"]),
        features=tuple(
            Feature(
                name=name,
                operators=tuple(feature["operators"]),
                units={b: tuple(globs) for b, globs in feature.get("units", {}).items()},
                pytorch_includes=tuple(feature.get("pytorch_includes", ())),
                includes=tuple(feature.get("includes", ())),
                needed_by=tuple(feature.get("needed_by", ())),
            )
            for name, feature in data["features"].items()
        ),
        accelerators=tuple(
            AcceleratorUse(
                accelerator=Accelerator(name),
                operators=tuple(use["operators"]),
                classes=tuple(use["classes"]),
            )
            for name, use in data["accelerators"].items()
        ),
        delegates=data["delegates"],
    )
