"""A compiler with everything around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from builder.core.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One program, by absolute path, with the version it reports."""

    name: str
    path: Path
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """What compiles and links for one target."""

    target: Target
    cc: Tool
    cxx: Tool
    linker: Tool
    """lld: it reports undefined symbols of live sections only, which selection relies on."""
    cmake: Tool
    ninja: Tool
    python: Tool
    strip: Tool
    launcher: Tool | None = None
    """Compiler cache (ccache or sccache) put in front of every compilation, or None."""
    system_flags: tuple[str, ...] = ()
    """Flags for every compilation and link, e.g. `--target=`."""
    configuration: tuple[tuple[str, str], ...] = ()
    """CMake variables that describe the target where it is not this machine."""

    @property
    def compiler_major(self) -> int:
        """The compiler's major release, 0 where its version names none."""
        found = re.search(r"\d+", self.cxx.version)
        return int(found[0]) if found else 0

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """What of the toolchain decides the bytes: versions, never paths; no launcher."""
        return (
            self.target.abi,
            self.cc.version,
            self.cxx.version,
            self.linker.version,
            self.strip.version,
            self.cmake.version,
            *self.system_flags,
        )
