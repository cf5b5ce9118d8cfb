"""The final link: sections collected, symbols hidden, undefined symbols refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.core.toolchain import Toolchain
from builder.errors import NativeBuildError
from builder.system.files import write_atomically
from builder.system.process import Completed, Runner, failure_text, find_remedy

_UNDEFINED = re.compile(r"error: undefined (?:\w+ )?symbol: (.+)$", re.MULTILINE)

# A limit of errors would hide undefined names that one round could have found; eager binding allows
# relro for the whole GOT.
LIBRARY_FLAGS = (
    "-shared",
    "-fuse-ld=lld",
    "-Wl,--gc-sections",
    "-Wl,--no-undefined",
    # By default lld stops after twenty names, and each round would find no more.
    "-Wl,--error-limit=0",
    "-Wl,--build-id=sha1",
    "-Wl,--as-needed",
    "-Wl,-z,relro",
    "-Wl,-z,now",
    "-Wl,-z,noexecstack",
    # Relocations in code are refused by Android's loader since API level 23.
    "-Wl,-z,text",
    "-Wl,--emit-relocs",  # stripped away again; prices of operators come from them
)

_LD_PATH_SINCE = 12
"""Release of clang (https://releases.llvm.org/12.0.0/tools/clang/docs/ReleaseNotes.html)."""


@dataclass(frozen=True, slots=True)
class LinkAttempt:
    """What one attempt to link said."""

    undefined: tuple[str, ...]
    """Demangled names that live sections need and no object defines; empty when it linked."""


def link_library(
    objects: Sequence[Path],
    output: Path,
    toolchain: Toolchain,
    *,
    flags: Sequence[str],
    soname: str,
    version_script: str,
    merged: Path | None = None,
    runner: Runner,
    log: Path,
) -> LinkAttempt:
    """Links `objects` into `output` (with `output`.map), or says what is undefined.

    Only undefined symbols that live sections refer to count: lld ignores those of sections that
    it drops. So what it names is what the operators really reach.

    Args:
        objects: of the units wanted.
        output: the unstripped library.
        toolchain: what to link with.
        flags: of the profile.
        soname: DT_SONAME.
        version_script: says which symbols it exports.
        merged: where to leave the object that link-time optimisation makes; nowhere when None.
        runner: runs the linker.
        log: takes all it says.

    Raises:
        NativeBuildError: the link failed for another reason.
    """
    # Files and not arguments: thousands of paths do not fit on a command line.
    exports = output.parent / "exports.map"
    write_atomically(exports, version_script)
    response = output.parent / "objects.rsp"
    write_atomically(response, "".join(f"{quote(str(path))}\n" for path in objects))
    # An object of an earlier link would count as one of this link.
    if merged:
        merged.unlink(missing_ok=True)
    command = (
        str(toolchain.cxx.path),
        *toolchain.system_flags,
        *LIBRARY_FLAGS,
        *toolchain.link_flags,
        *choose_linker(toolchain),
        *flags,
        # Programs that link the library remember this name, wherever the file lies.
        f"-Wl,-soname,{soname}",
        *("-Xlinker", f"--version-script={exports}"),  # -Wl would split a path at its commas
        *("-Xlinker", f"-Map={output}.map"),
        *(("-Xlinker", f"--lto-obj-path={merged}") if merged else ()),
        f"@{response}",
        "-pthread",
        "-ldl",
        "-lm",
        "-o",
        str(output),
    )
    completed = runner.run(command, log=log)
    undefined = parse_undefined(completed.output)
    if completed.returncode != 0 and not undefined:
        raise NativeBuildError(
            failure_text(f"linking {soname}", completed, log=log), hint=find_remedy(completed)
        )
    return LinkAttempt(undefined)


def map_path(output: Path) -> Path:
    """Returns where the link of `output` writes its map."""
    return output.with_name(f"{output.name}.map")


def parse_undefined(output: str) -> tuple[str, ...]:
    """Returns the sorted names that lld reports as undefined."""
    return tuple(sorted({name.strip() for name in _UNDEFINED.findall(output)}))


def link_program(
    objects: Sequence[Path],
    library: Path,
    output: Path,
    toolchain: Toolchain,
    *,
    runner: Runner,
    log: Path,
) -> None:
    """Links the runner; it finds the library in `../lib` beside its own folder.

    Raises:
        NativeBuildError: the link failed.
    """
    command = (
        str(toolchain.cxx.path),
        *toolchain.system_flags,
        *("-fuse-ld=lld", "-Wl,--as-needed", "-Wl,--gc-sections", "-Wl,-s"),
        *("-Wl,--build-id=sha1", "-Wl,-z,relro", "-Wl,-z,now", "-pie"),
        *toolchain.link_flags,
        *choose_linker(toolchain),
        # $ORIGIN is the folder of the program, so the package can be moved.
        "-Wl,-rpath,$ORIGIN/../lib",
        *map(str, objects),
        str(library),
        *("-o", str(output)),
    )
    runner.check(command, step=f"linking {output.name}", log=log)


def strip_library(unstripped: Path, output: Path, toolchain: Toolchain, *, runner: Runner) -> None:
    """Writes `unstripped` without symbol table and debug sections to `output`.

    Raises:
        NativeBuildError: the tool failed.
    """
    command = (str(toolchain.strip.path), "--strip-all", str(unstripped), "-o", str(output))
    completed: Completed = runner.run(command)
    if completed.returncode != 0:
        raise NativeBuildError(
            failure_text(f"stripping {output.name}", completed, log=None),
            hint=find_remedy(completed),
        )


def quote(path: str) -> str:
    """Returns a path as a line of a response file."""
    # The quoting of response files (clang's documentation, "@<file>"): backslashes protect quotes.
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def choose_linker(toolchain: Toolchain) -> tuple[str, ...]:
    """Returns the flag that names the toolchain's lld, where clang knows it."""
    if toolchain.compiler_major < _LD_PATH_SINCE:
        return ()  # -fuse-ld=lld takes the one beside the compiler
    return (f"--ld-path={toolchain.linker.path}",)
