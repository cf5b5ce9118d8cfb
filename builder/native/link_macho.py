"""The link for Apple's platforms: the same judge as on ELF, then one object for a static library.

An app takes of a static library the objects that it refers to, and no option of that link should be
needed to keep others. The last link here therefore merges all units that it finds alive into one
object, with link-time optimisation: static initialisers, which register operators, come along with
any function of the API, and everything but the API is local to the object.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.core.toolchain import LinkerKind, Toolchain
from builder.errors import NativeBuildError
from builder.formats.macho import read_macho, rename_symbols
from builder.native.link_elf import LinkAttempt, map_path, parse_undefined
from builder.native.ninja import CompileFolder
from builder.system.files import replacement, write_atomically
from builder.system.process import Runner, failure_text, find_remedy
from builder.system.scratch import scratch_folder
from builder.system.trees import make_folders

DYLIB = "libTorchLite.dylib"
"""What is linked to learn what is alive; it is not shipped."""
ARCHIVE = "libTorchLite.a"
_OWN = "_torchlite_"
"""How names of the API begin, as Mach-O has them."""
SHARED = f"{_OWN}own"
"""How names begin that objects of the library share; the old name follows."""
_LIBRARY_FLAGS = (
    "-dynamiclib",
    # As --gc-sections does on ELF: without it every undefined symbol counts, used or not.
    "-Wl,-dead_strip",
    "-Wl,-no_adhoc_codesign",  # a signature has the name of the file, which is a temporary one
)
_LLD_FLAGS = ("-Wl,--error-limit=0",)
# Lines of the map of a link: files with their numbers, then symbols with these.
_MAPPED = re.compile(r"^\[ *(\d+)\] (.+)$")
_SYMBOL = re.compile(r"^0x[0-9A-Fa-f]+\t0x[0-9A-Fa-f]+\t\[ *(\d+)\] ", re.MULTILINE)
_APPLE_UNDEFINED = re.compile(r'^ {2}"?(?P<name>[^"\n]+?)"?, referenced from:$', re.MULTILINE)
"""How Xcode's linkers put it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticLibrary:
    """What `write_static` leaves."""

    archive: Path
    image: Path
    """The library of the last link, stripped."""
    merged: Path
    """What that link made of all bitcode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dylib:
    """What to link, and where to."""

    objects: tuple[Path, ...]
    """Machine code, or bitcode where `merged` is given."""
    output: Path
    exports: tuple[str, ...]
    """Patterns of the symbols to keep, as C spells them."""
    merged: Path | None = None
    """Folder for the object that link-time optimisation makes; without, machine code is linked."""


def link_dylib(dylib: Dylib, toolchain: Toolchain, *, runner: Runner, log: Path) -> LinkAttempt:
    """Links `dylib` (with a map beside it), or says what is undefined.

    With `-dead_strip`, only undefined symbols of what stays alive count.

    Raises:
        NativeBuildError: the link failed for another reason.
    """
    folder = dylib.output.parent
    exports = folder / "exports.txt"
    # Mach-O puts an underscore in front of names of C.
    write_atomically(exports, "".join(f"_{name}\n" for name in dylib.exports))
    response = folder / "objects.rsp"
    write_atomically(response, "".join(f"{path}\n" for path in dylib.objects))
    # An object of an earlier link in the folder would count as one of this link.
    if dylib.merged:
        shutil.rmtree(dylib.merged, ignore_errors=True)
        make_folders(dylib.merged.parent)
        dylib.merged.mkdir()
    merging = ("-flto=full", *_pass_on("-object_path_lto", dylib.merged)) if dylib.merged else ()
    command = (
        str(toolchain.cxx.path),
        *toolchain.system_flags,
        *_LIBRARY_FLAGS,
        *choose_linker(toolchain),
        *merging,
        f"-Wl,-install_name,@rpath/{dylib.output.name}",
        *_pass_on("-exported_symbols_list", exports),
        *_pass_on("-map", map_path(dylib.output)),
        *_pass_on("-filelist", response),
        *toolchain.frameworks,
        *("-o", str(dylib.output)),
    )
    completed = runner.run(command, log=log)
    # lld has one form of the message, Apple's linkers have another.
    undefined = parse_undefined(completed.output) or parse_apple_undefined(completed.output)
    if completed.returncode != 0 and not undefined:
        raise NativeBuildError(
            failure_text(f"linking {dylib.output.name}", completed, log=log),
            hint=find_remedy(completed),
        )
    return LinkAttempt(undefined)


def _pass_on(option: str, path: Path) -> tuple[str, ...]:
    """Returns an option for the linker; -Wl would split the path at its commas."""
    return ("-Xlinker", option, "-Xlinker", str(path))


def parse_apple_undefined(output: str) -> tuple[str, ...]:
    """Returns the sorted names that Xcode's linkers report as undefined; C names as C has them."""
    found = (match["name"].strip() for match in _APPLE_UNDEFINED.finditer(output))
    return tuple(sorted({name.removeprefix("_") for name in found}))


def choose_linker(toolchain: Toolchain) -> tuple[str, ...]:
    """Returns the flags that make clang take the toolchain's linker; none for Xcode's own."""
    if toolchain.linker_kind is LinkerKind.XCODE:
        return toolchain.link_flags
    return (*toolchain.link_flags, f"--ld-path={toolchain.linker.path}", *_LLD_FLAGS)


def parse_alive(map_text: str) -> tuple[str, ...]:
    """Returns the paths of the files of which a link's map says that something stayed, sorted."""
    # The first part lists all files, whether something of them was kept or not.
    head, _, symbols = map_text.partition("# Symbols:")
    files = {m[1]: m[2] for line in head.splitlines() if (m := _MAPPED.match(line))}
    alive = symbols.partition("# Dead Stripped Symbols:")[0]
    used = {match[1] for match in _SYMBOL.finditer(alive)}
    return tuple(sorted(files[number] for number in used if number in files))


def merged_path(linked: Path) -> Path:
    """Returns the folder where the last link of `linked` leaves what it makes of all bitcode."""
    return linked.with_suffix(".merged")


def find_merged(folder: Path) -> Path:
    """Returns the one object that the last link left; NativeBuildError where it left more or none.

    Linkers choose its name (lld/MachO/LTO.cpp: `0.arm64.lto.o`).
    """
    found = sorted(folder.glob("*.o"))
    # One unit of code generation makes one object; more would be a linker with other defaults.
    if len(found) != 1:
        raise NativeBuildError(f"the last link left {len(found)} objects in {folder}, not one")
    return found[0]


def write_static(
    linked: Path, plan_folder: Path, folder: CompileFolder, toolchain: Toolchain, runner: Runner
) -> StaticLibrary:
    """Writes the static library of the last link, and what that link made, stripped.

    Raises:
        NativeBuildError: a tool failed.
    """
    merged = find_merged(merged_path(linked))
    made = StaticLibrary(archive=plan_folder / ARCHIVE, image=plan_folder / DYLIB, merged=merged)
    members = list_members(merged, linked, folder.root / folder.objects)
    archive(rename_shared(members), made.archive, toolchain, runner=runner)
    with replacement(made.image) as temporary:
        # Local symbols and debug information go, as from the executable of an app.
        command = (str(toolchain.strip.path), "-x", "-S", str(linked), "-o", str(temporary))
        completed = runner.run(command)
        if completed.returncode != 0:
            raise NativeBuildError(failure_text(f"stripping {DYLIB}", completed, log=None))
    return made


def rename_shared(members: Sequence[tuple[str, Path]]) -> list[tuple[str, bytes]]:
    """Returns the objects of `members`, with names of builder's own for what they share.

    Micro-kernels in assembly are objects of their own, and the merged object calls them by name. An
    app may have a library with the same ones, and then two symbols of one name.

    Raises:
        NativeBuildError: an object is damaged.
    """
    contents = [(name, path.read_bytes()) for name, path in members]
    try:
        files = [read_macho(data) for _, data in contents]
        shared = frozenset[str]().union(*(file.exports | file.shared for file in files))
        # Linkers know classes of Objective-C by their names.
        kept = (_OWN, "_OBJC_")
        renamed = {one: f"{SHARED}{one}" for one in shared if not one.startswith(kept)}
        return [(name, rename_symbols(data, renamed)) for name, data in contents]
    except ValueError as error:
        raise NativeBuildError(f"an object of the static library is damaged: {error}") from error


def archive(
    members: Sequence[tuple[str, bytes]], output: Path, toolchain: Toolchain, *, runner: Runner
) -> None:
    """Writes a static library of `members` (name and object), in this order, with no times.

    Raises:
        NativeBuildError: the tool failed.
    """
    assert toolchain.archiver is not None
    with scratch_folder(output.parent) as folder:
        # Archives keep file names, and objects of one name would be told apart by nothing.
        for member, content in members:
            (folder / member).write_bytes(content)
        listed = folder / "members.txt"
        # A list in a file: commands have a limited length.
        listed.write_text("".join(f"{folder / member}\n" for member, _ in members))
        with replacement(output) as temporary:
            command = (str(toolchain.archiver.path), "-static", "-D", "-filelist", str(listed))
            completed = runner.run((*command, "-o", str(temporary)))
            if completed.returncode != 0:
                raise NativeBuildError(
                    failure_text(f"archiving {output.name}", completed, log=None)
                )


def list_members(merged: Path, linked: Path, objects: Path) -> list[tuple[str, Path]]:
    """Returns what belongs in the static library: the merged object, and assembly that it calls.

    Args:
        merged: of the last link.
        linked: the library of that link; its map tells what stayed alive.
        objects: folder of the objects.
    """
    alive = (Path(path) for path in parse_alive(map_path(linked).read_text(errors="replace")))
    # Objects of bitcode are in the merged one already.
    machine = [path for path in alive if path.is_relative_to(objects) and path.suffix == ".o"]
    names = [path.relative_to(objects).as_posix().replace("/", "_") for path in machine]
    return [("torchlite.o", merged), *zip(names, machine, strict=True)]
