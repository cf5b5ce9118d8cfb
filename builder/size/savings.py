"""What can be done about a library that is too large, and how many bytes it would save."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from builder.core.artifacts import SizeReport
from builder.core.plan import BuildPlan, Profile
from builder.core.typed import Size, parse_toml
from builder.errors import Hint, Use
from builder.size.prices import find_exclusive
from builder.size.reference_graph import ReferenceGraph

_COMMON_DTYPES = "float32,int64,bool"
_PACKED_SINCE = 23
"""API level of Android whose loader reads packed relocations (platforms/android/ndk.toml)."""
_SHOWN = 5
"""Models whose operators are priced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSaving:
    """A table of savings.toml."""

    bytes: tuple[Size, Size]
    compressed: tuple[Size, Size]
    """Before and after."""
    measured: str
    """The model, the ABI and the conditions, for people."""
    source: str
    """The page of the repository with the measurement."""

    def __str__(self) -> str:
        before, after = self.bytes
        share = 100 * (before - after) / before
        return f"{share:.0f} % where it was measured ({self.measured}; {self.source})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Savings:
    """The contents of savings.toml."""

    profile: RecordedSaving
    strip_error_messages: RecordedSaving
    dtypes: RecordedSaving
    min_api: RecordedSaving


@cache
def load_savings() -> Mapping[str, RecordedSaving]:
    """Returns setting -> what it saved where it was measured."""
    text = resources.files("builder.size").joinpath("savings.toml").read_text()
    read = parse_toml(text, _Savings, "savings.toml")
    return {name: getattr(read, name) for name in _Savings.__dataclass_fields__}


def list_savings(plan: BuildPlan, shares: Mapping[str, int]) -> Sequence[Hint]:
    """Returns what would make the library of a plan smaller, each with its price, as one line.

    Args:
        plan: what was built.
        shares: model -> bytes of this library that only its operators need; see `share_of_models`.
    """
    return (*_list_settings(plan), *_list_models(shares))


def _list_settings(plan: BuildPlan) -> Iterator[Hint]:
    known, profile = load_savings(), plan.flavour.profile
    if profile is Profile.SPEED:
        yield Hint(Use("profile", "size"), f": {known['profile']}")
    if profile is Profile.DEBUG:
        yield Hint(Use("profile", "size"), ": the profile debug is not for apps")
    if not plan.flavour.strip_error_messages:
        yield Hint(Use("strip_error_messages", True), f": {known['strip_error_messages']}")
    if plan.dtypes.names is None:
        reason = f"; this library has kernels for all, because {plan.dtypes_reason}"
        yield Hint(
            *(Use("dtypes", _COMMON_DTYPES), ", or those that your models need"),
            f": {known['dtypes']}{reason}",
        )
    if plan.target.is_android and plan.target.min_os < _PACKED_SINCE:
        yield Hint(Use("targets.min_api", _PACKED_SINCE), f": {known['min_api']}")


def _list_models(shares: Mapping[str, int]) -> Iterator[Hint]:
    for model, size in sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]:
        yield Hint(f"leave out {model}: {size:,} bytes of this library")


def share_of_models(report: SizeReport, graph: ReferenceGraph) -> dict[str, int]:
    """Returns model -> bytes that the library would lose without the operators of it alone.

    There is no answer for a library of one model, nor for a model without operators of its own.
    """
    wanted = {name: price.models for name, price in report.operators.items()}
    models = {one for several in wanted.values() for one in several}
    alone: dict[str, set[str]] = {one: set() for one in models if len(models) > 1}
    for name, several in wanted.items():
        if len(several) == 1 and several[0] in alone and name in graph.operators:
            alone[several[0]].add(name)
    return {
        model: graph.weigh(find_exclusive(graph, frozenset(names)))
        for model, names in alone.items()
        if names
    }
