"""Headers that are compiled once for all units with the same flags.

Most of the time of a unit goes into headers. Those that nearly all units of PyTorch include are
compiled ahead (`cmake/runtime/preludes`), once for each set of flags, and each unit of the set
begins with them. Which units do is decided by all units of a configuration, and not by those of one
build, so that the same unit is compiled in the same way in each.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from builder.core.toolchain import Toolchain
from builder.core.units import TranslationUnit
from builder.system.files import digest_file, write_if_changed
from builder.system.trees import make_folders

FOLDER = "tmp/preludes"
"""Where they are compiled to, relative to the compile folder; empty when a run begins."""
_KEPT = "preludes/compiled"
"""Where they are between runs."""
HEADERS = "preludes"
"""Folder of the headers, below builder's own C++ and in the compile folder."""
_SINCE = 11
"""Release of clang that instantiates templates ahead
(https://releases.llvm.org/11.0.0/tools/clang/docs/ReleaseNotes.html)."""
_FEWEST = 5
"""Units with the same flags that are worth it."""
_ATEN = ("aten/src/", "caffe2/", "generated/", "torch/csrc/")
"""Beginnings of the ids of units that include ATen, unless they are of another library."""
_GENERATED = "/configured/aten/src"
"""End of the folder of ATen's generated headers, which such units are told of."""
_C10 = "c10/"
_OF_RUNTIME = "-DTORCHLITE_PYTORCH_VERSION="
"""What builder's own units that are like those of ATen are compiled with."""
_KERNEL = "-DCPU_CAPABILITY="
_LISTS = "limits"
"""Folder of lists of operators, which a unit includes first; no header in a prelude reads them."""
PRELUDE_FLAGS = ("-fpch-instantiate-templates", "-Xclang", "-fno-pch-timestamp", "-x", "c++-header")
"""What compiles a header. Its templates are instantiated once, and not again in each unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prelude:
    """A header with the flags that it is compiled with."""

    header: Path
    flags: tuple[str, ...]

    @property
    def compiled(self) -> str:
        """The file with the compiled header, relative to the compile folder, POSIX."""
        text = "\0".join((*self.header.parts[-2:], *self.flags))
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{FOLDER}/{self.header.stem}-{digest}.pch"


def write_headers(runtime: Path, root: Path) -> Path:
    """Copies the headers to a folder that their content names, and returns it.

    Units depend on them, and stay as they are where builder is installed again.

    Args:
        runtime: builder's own C++ (`cmake/runtime`).
        root: the compile folder.
    """
    texts = {path.name: path.read_text() for path in sorted((runtime / HEADERS).glob("*.h"))}
    digest = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:12]
    folder = root / HEADERS / digest
    for name, text in texts.items():
        write_if_changed(folder / name, text)
    return folder


def choose_preludes(
    units: Iterable[TranslationUnit],
    toolchain: Toolchain,
    headers: Path,
    relocate: Callable[[str], str],
) -> Mapping[str, Prelude]:
    """Returns unit id -> what it begins with; units that are compiled as they are have none.

    Args:
        units: all of a configuration.
        toolchain: what compiles. Programs that send units to other machines do not send a compiled
            header with them.
        headers: what `write_headers` has written.
        relocate: makes a flag relative to the compile folder.
    """
    launcher = toolchain.launcher
    if toolchain.compiler_major < _SINCE or (launcher is not None and not launcher.is_local):
        return {}
    wanted = {unit.id: prelude for unit in units if (prelude := _find_prelude(unit, headers))}
    counts = Counter(wanted.values())
    named: dict[Prelude, Prelude] = {}
    for prelude, count in counts.items():
        if count >= _FEWEST:
            named[prelude] = replace(prelude, flags=tuple(map(relocate, prelude.flags)))
    return {unit_id: named[prelude] for unit_id, prelude in wanted.items() if prelude in named}


def _find_prelude(unit: TranslationUnit, headers: Path) -> Prelude | None:
    name = _name_header(unit)
    # Debug information would name the headers by where they are on this machine.
    is_debug = any(flag.startswith("-g") and flag != "-g0" for flag in unit.flags)
    if name is None or is_debug:
        return None
    return Prelude(header=headers / name, flags=tuple(_without_lists(unit.flags)))


def _name_header(unit: TranslationUnit) -> str | None:
    if unit.language != "CXX":
        return None
    if unit.id.startswith(_C10):
        return "c10.h"
    if not any(flag.endswith(_GENERATED) for flag in unit.flags):
        return None
    if any(flag.startswith(_KERNEL) for flag in unit.flags):
        return "kernels.h"
    is_own = any(flag.startswith(_OF_RUNTIME) for flag in unit.flags)
    return "aten.h" if is_own or unit.id.startswith(_ATEN) else None


def _without_lists(flags: Sequence[str]) -> Iterator[str]:
    """Yields `flags` without what gives a unit its list of operators."""
    rest = iter(flags)
    for flag in rest:
        if flag.startswith("-fconstexpr-steps="):
            continue
        if flag != "-include":
            yield flag
        elif Path(header := next(rest)).parent.name != _LISTS:
            yield from (flag, header)


def find_kept(prelude: Prelude, root: Path) -> bool:
    """Puts a compiled header that an earlier run has kept in its place, if it is still right.

    Right is one that is as it was compiled, in this folder, from the headers that are here now.
    """
    kept, compiled = root / _KEPT / Path(prelude.compiled).name, root / prelude.compiled
    try:
        written = _Kept(*_beside(kept, "kept").read_text().split("\n"))
        is_right = written == _describe(prelude, root, kept)
    except (OSError, TypeError, ValueError):
        return False
    if not is_right:
        return False
    _move(kept, compiled)
    return True


def keep(root: Path) -> None:
    """Keeps the headers that were compiled in a run for later ones; no object depends on them."""
    for compiled in sorted((root / FOLDER).glob("*.pch")):
        if _beside(compiled, "kept").is_file():
            _move(compiled, root / _KEPT / compiled.name)
    shutil.rmtree(root / FOLDER, ignore_errors=True)


def write_summary(prelude: Prelude, root: Path) -> None:
    """Writes what is known of a header that was just compiled.

    A compiler cache knows it by the digest of what was compiled: its bytes name folders of this
    machine, which change nothing of what is compiled with it.
    """
    compiled = root / prelude.compiled
    described = _describe(prelude, root, compiled)
    _beside(compiled, "sum").write_text(described.summary)
    _beside(compiled, "kept").write_text("\n".join(described))


class _Kept(NamedTuple):
    """What a compiled header was made from, and what it is."""

    root: str
    summary: str
    content: str


def _describe(prelude: Prelude, root: Path, compiled: Path) -> _Kept:
    return _Kept(str(root), _summarise(prelude, root, compiled), digest_file(compiled))


def _summarise(prelude: Prelude, root: Path, compiled: Path) -> str:
    listed = _beside(compiled, "d").read_text()
    _, _, names = listed.replace("\\\n", " ").partition(": ")
    digest = hashlib.sha256("\0".join(prelude.flags).encode())
    for name in re.split(r"(?<!\\)\s+", names.strip()):
        path = re.sub(r"\\(.)", r"\1", name).replace("$$", "$")
        digest.update((root / path).read_bytes())
    return digest.hexdigest()


def _move(source: Path, target: Path) -> None:
    """Moves a compiled header with what is known of it."""
    make_folders(target.parent)
    for suffix in ("", "d", "sum", "kept"):
        _beside(source, suffix).replace(_beside(target, suffix))


def _beside(compiled: Path, suffix: str) -> Path:
    return compiled.with_name(f"{compiled.name}.{suffix}") if suffix else compiled
