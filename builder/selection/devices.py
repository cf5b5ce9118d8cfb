"""Devices beside the processor: what their units register, and whether models want them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.core.accelerators import Accelerator, find_used
from builder.core.model import OperatorList
from builder.core.operators import Operator
from builder.errors import ModelError
from builder.selection.rules import SelectionRules

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_KERNEL = re.compile(r'\bm\.impl\(\s*TORCH_SELECTIVE_NAME\("([^"]+)"\)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """The units of all chosen accelerators."""

    units: frozenset[str]
    operators: frozenset[Operator]
    """What they have kernels for, exactly."""


NO_DEVICES = Devices(units=frozenset(), operators=frozenset())


def read_devices(units: Mapping[str, Path]) -> Devices:
    """Returns what `units`, id -> file, register kernels for."""
    texts = (_COMMENT.sub("", path.read_text()) for path in units.values())
    names = (name for text in texts for name in _KERNEL.findall(text))
    return Devices(units=frozenset(units), operators=frozenset(map(Operator.parse, names)))


def refuse_absent(
    wanted: OperatorList, chosen: Collection[Accelerator], rules: SelectionRules
) -> None:
    """Raises ModelError where a model is handed to a delegate that the runtime will not have."""
    served = tuple(
        start for use in rules.accelerators if use.accelerator in chosen for start in use.classes
    )
    delegates = (n for n in wanted.custom_classes if n.partition(".")[0] == rules.delegates)
    absent = [name for name in delegates if not name.startswith(served)]
    if not absent:
        return
    needed = find_used((), absent, rules.accelerators)
    hint = "export the model for the processor: builder export MODEL"
    if needed:
        hint = f"builder build MODEL --abi ios-arm64 {' '.join(one.option for one in needed)}"
    raise ModelError(
        f"the model is handed to a delegate that this build does not have: {', '.join(absent)}",
        hint=hint,
    )


def warn_unused(
    wanted: OperatorList, chosen: Iterable[Accelerator], rules: SelectionRules
) -> list[str]:
    """Returns what to say of accelerators that no model seems to be exported for."""
    used = find_used(wanted.operators, wanted.custom_classes, rules.accelerators)
    return [
        f"{one.option}: no model names an operator or a class of {one.label}'s; was one exported "
        "for it?"
        for one in chosen
        if one not in used
    ]
