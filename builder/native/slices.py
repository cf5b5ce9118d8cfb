"""What a build compiles of torchgen's operator code: one source for each round that needs more."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection
from pathlib import Path

from builder.core.units import TranslationUnit, UnitGraph
from builder.native.generated import GeneratedCode
from builder.system.files import write_if_changed

_PREFIX = "generated/aten/src/ATen/reached"
_LIKE = "generated/aten/src/ATen/Operators_0.cpp"
"""Slices are compiled as this unit would be."""


class Slices:
    """The slices of one build. Sources are named by content: equal ones share their object."""

    def __init__(self, generated: GeneratedCode, graph: UnitGraph, folder: Path) -> None:
        """Starts without slices; their sources will be written to `folder`."""
        self._generated = generated
        self._like = graph.units[_LIKE]
        self._folder = folder
        self._done: frozenset[str] = frozenset()
        self.units: tuple[TranslationUnit, ...] = ()

    def add(self, wanted: Collection[str]) -> frozenset[str]:
        """Adds a slice unless all of `wanted` is there; returns what in `wanted` is no group."""
        groups = self._generated.groups.keys() & set(wanted)
        # What was cut in an earlier round stays as it is, so its object need not be compiled again.
        if groups - self._done:
            cut = self._generated.cut(groups, self._done)
            digest = hashlib.sha256(cut.text.encode()).hexdigest()[:12]
            source = self._folder / f"{digest}.cpp"
            write_if_changed(source, cut.text)
            # Its id has the digest, because the source of a slice depends on what the rounds asked
            # for.
            unit = dataclasses.replace(self._like, id=f"{_PREFIX}@{digest}", source=str(source))
            self.units = (*self.units, unit)
            self._done |= cut.groups
        return frozenset(wanted) - groups
