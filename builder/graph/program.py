"""A whole model as graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.graph.graph import Graph
from builder.lite.objects import ScriptObject


@dataclass(slots=True, eq=False, kw_only=True)
class Program:
    """The graphs of a model and the module that they belong to."""

    root: ScriptObject
    """The module; `self` of its methods."""
    graphs: dict[str, Graph]
    """Qualified name -> graph. A method of the root is called `{root.class_name}.{method}`."""
    operator_version: int
    """Version of the operators that the graphs call; the runtime upgrades older ones."""
    extra_files: Mapping[str, bytes] = field(default_factory=dict)
    records: Mapping[str, bytes] = field(default_factory=dict)
    """Other records of the file; those that describe the old code are not written again."""

    def method(self, name: str) -> Graph | None:
        """Returns the method `name` of the root; None if there is none."""
        return self.graphs.get(f"{self.root.class_name}.{name}")
