"""Reads upstream's build graph from the CMake File API (cmake-file-api(7), codemodel v2)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.core.units import TranslationUnit, UnitGraph
from builder.errors import NativeBuildError
from builder.native.flags import Tuning, tune_flags

QUERY = Path(".cmake/api/v1/query/codemodel-v2")
REPLY = Path(".cmake/api/v1/reply")
GENERATED = "generated"
_ROOT = Path("/")
_LIBRARIES = ("STATIC_LIBRARY", "OBJECT_LIBRARY", "SHARED_LIBRARY")


@dataclass(frozen=True, slots=True)
class Roots:
    """The two folders that unit ids are relative to, both in one cache."""

    source: Path
    binary: Path

    @property
    def cache(self) -> Path:
        """The folder that both are in, as `builder.native.build_folders` lays it out."""
        # `<cache>/native/<key>/configured`, see builder.native.build_folders.
        return self.binary.parents[2]

    def unit_id(self, path: Path) -> str:
        """Returns a name for `path` that is the same on every machine."""
        if path.is_relative_to(self.binary):
            return f"{GENERATED}/{path.relative_to(self.binary).as_posix()}"
        if path.is_relative_to(self.source):
            return path.relative_to(self.source).as_posix()
        raise NativeBuildError(f"upstream's build compiles a file outside its tree: {path}")


class Relocation:
    """What became of paths since CMake wrote them: it ran in another folder, or the cache moved."""

    def __init__(self, then: Roots, now: Roots) -> None:
        """Takes the folders as they were called when CMake ran, and as they are called now."""
        pairs = ((getattr(then, n), getattr(now, n)) for n in ("binary", "source", "cache"))
        self._moved = {str(old): str(new) for old, new in pairs if old not in {new, _ROOT}}
        # Nested folders first: the cache holds both others.
        longest = sorted(self._moved, key=len, reverse=True)
        self._pattern = re.compile(
            # A path stands at the start of a word or behind an option such as -I, and ends at a
            # separator.
            rf"(^(?:-[A-Za-z]+)?|[=:,;\"' ])({'|'.join(map(re.escape, longest))})(?=[/=:,;\"' ]|$)"
        )

    def apply(self, text: str) -> str:
        """Returns a path, or a flag with some, as it is now."""
        if not self._moved:
            return text
        return self._pattern.sub(lambda found: found[1] + self._moved[found[2]], text)


def read_unit_graph(roots: Roots, tuning: Tuning) -> UnitGraph:
    """Returns every compilation of every library of the configured build, flags tuned.

    Sources that upstream's own steps would still write (autograd's derivatives) are left out.

    Raises:
        NativeBuildError: the reply is missing or of another shape.
    """
    replies = sorted((roots.binary / REPLY).glob("codemodel-v2-*.json"))
    if not replies:
        raise NativeBuildError(
            f"CMake left no file-api reply in {roots.binary / REPLY}",
            hint="cmake 3.27 or newer is needed: pip install --upgrade cmake",
        )
    model = json.loads(replies[-1].read_text())
    paths = model["paths"]
    then = Roots(Path(paths["source"]), Path(paths["build"]))
    relocation = Relocation(then, roots)
    units: dict[str, TranslationUnit] = {}
    # The first target that compiles a source decides its flags, so the order has to be fixed.
    for target in sorted(model["configurations"][0]["targets"], key=lambda t: str(t["name"])):
        described = json.loads((roots.binary / REPLY / target["jsonFile"]).read_text())
        if described["type"] in _LIBRARIES:
            for unit in _units(described, roots, relocation, tuning):
                # Units of generators that builder does not run have no source.
                if Path(unit.source).is_file():
                    units.setdefault(unit.id, unit)
    return UnitGraph(units=units)


def _units(
    target: Mapping[str, Any], roots: Roots, relocation: Relocation, tuning: Tuning
) -> Iterator[TranslationUnit]:
    for source in target.get("sources", ()):
        # Headers are listed as sources too, without a group.
        if "compileGroupIndex" not in source:
            continue
        group = target["compileGroups"][source["compileGroupIndex"]]
        path = Path(relocation.apply(source["path"]))
        path = path if path.is_absolute() else roots.source / path
        unit_id = roots.unit_id(path)
        yield TranslationUnit(
            id=unit_id,
            library=target["name"],
            language=group["language"],
            source=str(path),
            flags=tune_flags(
                tuple(map(relocation.apply, _upstream_flags(group))),
                tuning,
                unit_id=unit_id,
                language=group["language"],
            ),
            generated=unit_id.startswith(f"{GENERATED}/"),
        )


def _upstream_flags(group: Mapping[str, Any]) -> tuple[str, ...]:
    flags = [f"-D{define['define']}" for define in group.get("defines", ())]
    for include in group.get("includes", ()):
        # System folders come later in the search, and their warnings are silenced.
        flags += ["-isystem" if include.get("isSystem") else "-I", include["path"]]
    for fragment in group.get("compileCommandFragments", ()):
        flags += shlex.split(fragment["fragment"])
    return tuple(flags)
