"""Optional sources: which operators want them, and what they add to a build."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.core.operators import Operator
from builder.core.sources import SourceTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What builds take from the optional sources of one feature of the source lock."""

    name: str
    """As the source lock calls it."""
    operators: tuple[str, ...]
    """Starts of the full names of the operators that need it."""
    units: Mapping[str, tuple[str, ...]]
    """Dispatch backend -> globs of C++ files in its tree that the build may compile for it."""
    pytorch_includes: tuple[str, ...] = ()
    """Folders of PyTorch's tree where `units` look for headers beside the usual ones."""
    includes: tuple[str, ...] = ()
    """Folders of its tree that come first where `needed_by` looks for headers."""
    needed_by: tuple[str, ...] = ()
    """Units of PyTorch that cannot be compiled without it."""

    def serves(self, operator: Operator) -> bool:
        """True when `operator` needs this feature."""
        return str(operator).startswith(self.operators)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedFeature:
    """A feature and the tree with its sources."""

    feature: Feature
    tree: SourceTree


def choose_features(
    operators: Iterable[Operator], features: Iterable[Feature]
) -> tuple[Feature, ...]:
    """Returns those of `features` that one of `operators` needs, sorted by name."""
    wanted = tuple(operators)
    chosen = (feature for feature in features if any(map(feature.serves, wanted)))
    return tuple(sorted(chosen, key=lambda feature: feature.name))
