"""The rounds of a build: what the chooser wants is compiled and linked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.toolchain import LTO_LINK
from builder.native.build_units import BuildUnits
from builder.native.link_elf import link_library
from builder.native.link_macho import Dylib, link_dylib, merged_path
from builder.native.ninja import CompileFolder, render_ninja, write_ninja
from builder.native.preludes import choose_preludes, write_headers
from builder.native.slices import Slices
from builder.native.static_elf import merged_path as merged_object_path
from builder.native.together import Compile, Link, Steps
from builder.system.trees import make_folders

if TYPE_CHECKING:
    from builder.core.units import TranslationUnit
    from builder.native.job import NativeBuild
    from builder.native.link_elf import LinkAttempt
    from builder.native.preludes import Prelude


@dataclass(slots=True, kw_only=True)
class Linker:
    """Compiles and links sets of units; what is undefined comes back. It counts what it does."""

    build: NativeBuild
    units: BuildUnits
    slices: Slices
    folder: CompileFolder
    output: Path
    rounds: int = 0
    """Links of `link` so far."""
    waves: int = 0
    """Calls of the compiler's driver so far; each has a log."""
    compiled: int = 0
    """Units compiled so far."""

    def link(self, wanted: frozenset[str]) -> Steps[tuple[str, ...]]:
        """Compiles and links `wanted` by their machine code; returns undefined names, demangled."""
        self.rounds += 1
        count = len(self.resolve(wanted))
        self.build.progress.step(
            f"round {self.rounds}: {count} of {self.units.known} units reached"
        )
        return (yield from self._link(wanted, merge=False))

    def optimise(self, wanted: frozenset[str]) -> Steps[tuple[str, ...]]:
        """The same with link-time optimisation."""
        self.build.progress.step("optimising the whole library at link time")
        return (yield from self._link(wanted, merge=True))

    def _link(self, wanted: frozenset[str], *, merge: bool) -> Steps[tuple[str, ...]]:
        ids = self.resolve(wanted)
        yield from self.compile(ids)
        make_folders(self.output.parent)
        find = self.folder.find_bitcode if merge else self.folder.find_object
        attempt = self._prepare_attempt(tuple(map(find, ids)), merge=merge)
        undefined: tuple[str, ...] = yield Link(run=lambda: attempt().undefined, is_long=merge)
        return undefined

    def _prepare_attempt(
        self, objects: tuple[Path, ...], *, merge: bool
    ) -> Callable[[], LinkAttempt]:
        """Returns the call of the linker; it changes nothing of this object."""
        build, log = self.build, self.build.layout.logs / "link.log"
        if not build.plan.target.is_apple:
            return partial(
                link_library,
                objects,
                self.output,
                build.toolchain,
                flags=(*build.tuning.link, *(LTO_LINK[build.toolchain.bitcode] if merge else ())),
                soname=build.library_name,
                version_script=build.interface.version_script,
                merged=self._merged_object if merge else None,
                runner=build.runner,
                log=log,
            )
        dylib = Dylib(
            objects=objects,
            output=self.output,
            exports=build.interface.exports,
            merged=merged_path(self.output) if merge else None,
        )
        return partial(link_dylib, dylib, build.toolchain, runner=build.runner, log=log)

    def _preludes(self, known: Mapping[str, TranslationUnit]) -> Mapping[str, Prelude]:
        headers = write_headers(self.build.runtime, self.folder.root)
        return choose_preludes(known.values(), self.build.toolchain, headers, self.folder.relocate)

    def _list_known(self) -> dict[str, TranslationUnit]:
        known = (*self.units.graph.units.values(), *self.slices.units)
        return {unit.id: unit for unit in known}

    @property
    def _merged_object(self) -> Path | None:
        """Where the object for a static library goes; None where none is wanted."""
        return merged_object_path(self.output) if self.build.archive_tools else None

    def compile(self, ids: list[str]) -> Steps[None]:
        """Compiles units of which there is no object, or none as it was compiled.

        Raises:
            NativeBuildError: one does not compile.
        """
        self.waves += 1
        known = self._list_known()
        preludes = self._preludes(known)
        text = render_ninja(known.values(), self.build.toolchain, self.folder, preludes)
        write_ninja(text, self.folder)
        self.compiled += yield Compile(
            build=self.build,
            folder=self.folder,
            known=known,
            preludes=preludes,
            ids=tuple(ids),
            log=self.build.layout.logs / f"compile-{self.waves:02}.log",
        )

    def resolve(self, wanted: frozenset[str]) -> list[str]:
        """Returns the ids of what is compiled for `wanted`, sorted."""
        units = map(self.units.resolve, self.slices.add(wanted))
        # Slices are compiled for the groups of torchgen's code that were asked for by name.
        return sorted((*units, *(unit.id for unit in self.slices.units)))
