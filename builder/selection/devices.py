"""Backends beside the CPU: what their units register, and whether models want them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.core.backends import Backend, Chosen, Dispatch, find_needed
from builder.core.model_facts import OperatorList
from builder.core.operators import Operator
from builder.errors import Hint, ModelError, Run, Use
from builder.selection.catalogue import COMMENT
from builder.selection.release_rules import SelectionRules

# Only implementations (m.impl) with a selective name: what a backend defines itself is in its
# schemas.
_KERNEL = re.compile(r'\bm\.impl\(\s*TORCH_SELECTIVE_NAME\("([^"]+)"\)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The units of one backend that register kernels themselves, all of which are linked."""

    units: frozenset[str]
    operators: frozenset[Operator]
    """The operators that they have kernels for, by exact name."""
    dispatch: Dispatch | None = None
    """How the tensors of the device are found."""


def read_device(units: Mapping[str, Path], dispatch: Dispatch | None) -> Device:
    """Returns what `units`, id -> file, register kernels for."""
    # A kernel that is commented out would be promised and not be there.
    texts = (COMMENT.sub("", path.read_text()) for path in units.values())
    names = (name for text in texts for name in _KERNEL.findall(text))
    return Device(
        units=frozenset(units),
        operators=frozenset(map(Operator.parse, names)),
        dispatch=dispatch,
    )


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
    used = find_needed(asked, wanted.operators, wanted.custom_classes)
    return [
        f"no model uses an operator or a class of {one.label}; was a model exported for it?"
        for one in asked
        if one not in used
    ]
