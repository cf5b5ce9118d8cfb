"""Follows which tensors share the memory of parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from builder.graph.graph import Value


@dataclass(slots=True, eq=False)
class Memory:
    """Which tensors may share the memory of which parameters and buffers, and which change.

    Parameters whose memory one tensor may share are taken for one, so that the cost stays small.
    """

    _groups: dict[Value, Value] = field(default_factory=dict)
    """Tensor -> another one of its group, or itself."""
    _changed: list[Value] = field(default_factory=list)

    def add(self, parameter: Value) -> None:
        """Adds a parameter or buffer."""
        self._groups[parameter] = parameter

    def share(self, tensors: Iterable[Value], results: Iterable[Value]) -> None:
        """Notes that `results` may share the memory of `tensors`."""
        known = [self._find(one) for one in tensors if one in self._groups]
        if known:
            self._groups.update(dict.fromkeys([*known, *results], known[0]))

    def change(self, tensors: Iterable[Value]) -> None:
        """Notes that a node writes into `tensors`."""
        self._changed += (one for one in tensors if one in self._groups)

    def changed(self, parameters: Iterable[Value]) -> list[Value]:
        """Returns those of `parameters` that a node may change."""
        groups = {self._find(one) for one in self._changed}
        return [one for one in parameters if self._find(one) in groups]

    def _find(self, tensor: Value) -> Value:
        while self._groups[tensor] is not tensor:
            # Each step on the way shortens the next one.
            self._groups[tensor] = self._groups[self._groups[tensor]]
            tensor = self._groups[tensor]
        return tensor
