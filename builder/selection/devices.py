"""Backends beside the CPU: what their units register, and whether models want them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.core.backends import Backend, Chosen, Dispatch, find_needed
from builder.core.cxx_source import read_registrations
from builder.core.model_facts import OperatorList
from builder.core.operators import Operator
from builder.errors import Hint, ModelError, Run, SourceError, Use
from builder.selection.release_rules import SelectionRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A backend with units that are always linked, and the operators that it has kernels for."""

    units: frozenset[str]
    """Units that are always linked."""
    operators: frozenset[Operator]
    """The operators that they have kernels for, by exact name."""
    dispatch: Dispatch | None = None
    """How the tensors of the device are found."""

    @property
    def is_looked_up(self) -> bool:
        """Whether the dispatcher finds its kernels, by the names of their operators."""
        return self.dispatch is None or not self.dispatch.kernels


def read_device(
    roots: Iterable[str], kernels: Mapping[str, Path], dispatch: Dispatch | None
) -> Device:
    """Returns a backend with the operators that its files have kernels for.

    Args:
        roots: the units that are always linked.
        kernels: id -> file of the units that may have kernels.
        dispatch: how its tensors are found; kernels under another key do not count. None where it
            has no tensors of its own.

    Raises:
        SourceError: a file registers a kernel in a way that builder cannot read.
    """
    found: set[Operator] = set()
    for unit, path in kernels.items():
        try:
            read = read_registrations(path.read_text())
        except ValueError as error:
            raise SourceError(f"{unit}: {error}") from error
        found.update(one.operator for one in read if dispatch and one.key == dispatch.key)
    return Device(units=frozenset(roots), operators=frozenset(found), dispatch=dispatch)


def refuse_absent(wanted: OperatorList, chosen: Iterable[Backend], rules: SelectionRules) -> None:
    """Raises ModelError where a model is handed to a delegate that the runtime will not have."""
    # Delegates take whole models as custom classes; operators say nothing about them.
    served = tuple(chosen)
    delegates = (n for n in wanted.custom_classes if n.partition(".")[0] == rules.delegates)
    absent = [name for name in delegates if not any(one.has_class(name) for one in served)]
    if not absent:
        return
    needed = find_needed(rules.backends, (), absent)
    hint = Hint("export the model for the CPU: ", Run("export", ("MODEL",)))
    if needed:
        hint = Hint(propose_backends(needed))
    raise ModelError(
        f"the model uses a delegate that this build does not have: {', '.join(absent)}",
        hint=hint,
    )


def propose_backends(backends: Iterable[Backend]) -> Run:
    """Returns the command that builds a model with accelerators of Apple's systems."""
    options = (Use("accelerators", one.name) for one in backends)
    return Run("build", ("MODEL", Use("targets.abis", "ios-arm64"), *options))


def warn_unused(wanted: OperatorList, chosen: Iterable[Backend]) -> list[str]:
    """Returns what to say of backends that were asked for, and that no model seems to need."""
    # A backend that every build has was not asked for, so it needs no remark.
    asked = tuple(one for one in chosen if one.chosen is Chosen.OPTION)
    used = find_needed(asked, wanted.operators, wanted.custom_classes, wanted.marks)
    return [
        f"no model uses an operator or a class of {one.label}; was a model exported for it?"
        for one in asked
        if one not in used
    ]
