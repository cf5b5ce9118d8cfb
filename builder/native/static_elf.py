"""The static library for Linux: all that the last link took, as one object with the API's names.

A linker takes of an archive the objects that something refers to. So that no option is needed to
keep static initialisers, which register operators, all is one object. Every name but those of the
API is local to it: an app may have the same libraries in other versions, and another C++ library.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from builder.formats.elf import Elf
from builder.native.link_elf import choose_linker, map_path, quote
from builder.system.files import replacement, write_atomically
from builder.system.scratch import scratch_folder

if TYPE_CHECKING:
    from builder.core.toolchain import ArchiveTools, Toolchain
    from builder.system.process import Runner

ARCHIVE = "libtorchlite.a"
_MEMBER = "torchlite.o"
_NOT_NEEDED = (".group", ".comment", ".llvm_addrsig", ".note.stapsdt", ".stapsdt.base")
"""Sections. Those of SystemTap, in libstdc++, refer to a group and are for debuggers."""
_OWNER = re.compile(r"^ *[0-9a-f]+ +[0-9a-f]+ +[0-9a-f]+ +\d+ {9}(\S.*):\([^()]*\)$", re.MULTILINE)
"""A line of lld's map for an input section: addresses, size, alignment, and the file with it."""


def merged_path(linked: Path) -> Path:
    """Returns where the link of `linked` leaves the object that it makes of all bitcode."""
    return linked.with_suffix(".merged.o")


def write_static(
    linked: Path,
    output: Path,
    objects: Path,
    toolchain: Toolchain,
    tools: ArchiveTools,
    *,
    runner: Runner,
    log: Path,
) -> None:
    """Writes a static library of what is in a shared one, C++ library included.

    Programs need libc, libm, libdl and libpthread beside it, and the compiler's own library.

    Args:
        linked: the unstripped shared library, with the map of its link beside it.
        output: the archive.
        objects: folder of the objects of that link.
        toolchain: what linked it.
        tools: what the archive is made with.
        runner: runs them.
        log: takes what the linker says.

    Raises:
        NativeBuildError: a tool failed.
    """
    with scratch_folder(output.parent) as folder:
        whole, member, exports = folder / "whole.o", folder / _MEMBER, folder / "exports.txt"
        response = folder / "objects.rsp"
        lines = "".join(f"{quote(str(path))}\n" for path in list_objects(linked, objects))
        write_atomically(response, lines)
        command = (
            *(str(toolchain.cxx.path), *toolchain.system_flags, "-r", "-nostdlib", "-fuse-ld=lld"),
            *choose_linker(toolchain),
            # As in the link of the shared library, whose first definitions counted.
            *("-Wl,-z,muldefs", f"@{response}", "-Wl,-l:libstdc++.a", "-o", str(whole)),
        )
        runner.check(command, step=f"merging the objects of {output.name}", log=log)
        write_atomically(exports, "".join(f"{name}\n" for name in list_exports(linked)))
        renaming = (
            *(str(tools.objcopy.path), f"--keep-global-symbols={exports}", "--strip-unneeded"),
            # Linkers drop all but one of the groups of one name, whether the name is local or not.
            *(f"--remove-section={name}" for name in _NOT_NEEDED),
            *(str(whole), str(member)),
        )
        runner.check(renaming, step=f"hiding the names in {output.name}", log=log)
        with replacement(output) as temporary:
            temporary.unlink(missing_ok=True)  # an archiver adds to what is there
            # D: no times and owners, so that equal objects make equal archives.
            archiving = (str(tools.archiver.path), "rcsD", str(temporary), str(member))
            runner.check(archiving, step=f"archiving {output.name}", log=log)


def list_objects(linked: Path, objects: Path) -> list[Path]:
    """Returns what a link took machine code of, below the folder `objects`; sorted.

    The object that it made of bitcode comes first.
    """
    owners = set(_OWNER.findall(map_path(linked).read_text(errors="replace")))
    found = sorted(Path(name) for name in owners if Path(name).is_relative_to(objects))
    merged = merged_path(linked)
    return [*((merged,) if merged.is_file() else ()), *found]


def list_exports(linked: Path) -> list[str]:
    """Returns the names that a shared library offers, sorted."""
    return sorted(s.name for s in Elf(linked.read_bytes()).exported if s.section and s.name)
