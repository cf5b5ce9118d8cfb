"""Compiling through ninja: what to compile is ours, when and how many at once is ninja's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.core.toolchain import BITCODE_ONLY, Bitcode, Launcher, Toolchain
from builder.core.units import TranslationUnit
from builder.errors import NativeBuildError
from builder.native.preludes import PRELUDE_FLAGS, Prelude, find_kept, write_summary
from builder.system.files import write_if_changed
from builder.system.process import Runner, failure_text, find_remedy
from builder.system.progress import Progress

# An environment variable keeps the launcher out of the command, so objects stay valid without it.
_LAUNCHER = '$${BUILDER_COMPILE_WITH:+"$$BUILDER_COMPILE_WITH"}'
"""Expanded by the shell: ninja compares commands, and another launcher makes no other objects."""
_FILE_PREFIX_MAP_SINCE = 10
"""Release of clang (https://releases.llvm.org/10.0.0/tools/clang/docs/ReleaseNotes.html)."""
# Two steps: the optimised bitcode stays beside the object, and the object is made of it.
_BITCODE = (
    "-o $out.bc && {clang} -Qunused-arguments -O2 -fPIC -ffunction-sections -fdata-sections "
    "-Xclang -disable-llvm-passes -x ir -c $out.bc -o $out"
)
_TWOFOLD = "_BITCODE"
_AHEAD = "_AHEAD"
"""Rules for units that begin with a compiled header, and the rule that compiles it."""
# A compiled header names what it was compiled from by absolute paths.
_RELATIVE = (
    '&& HERE="$$(pwd -P)" awk -f torchlite/preludes/relative.awk $out.d > $out.dep '
    "&& mv $out.dep $out.d"
)
_CACHED = (
    # What the cache needs to know of compiled headers
    # (https://ccache.dev/manual/latest.html#_precompiled_headers).
    ("CCACHE_SLOPPINESS", "pch_defines,time_macros"),
    ("CCACHE_PCH_EXTSUM", "1"),
)
_STATUS = re.compile(r"^\[(\d+)/(\d+)\] (.*)$")


@dataclass(frozen=True, slots=True)
class Prefix:
    """A folder that units refer to, and what stands for it in commands and in objects.

    Commands are relative to the compile folder, so that they, and what a compiler cache makes of
    them, are the same wherever the cache is.
    """

    absolute: Path
    relative: str
    """In commands, from the compile folder."""
    shown: str = ""
    """In `__FILE__` and debug information; as in commands when empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileFolder:
    """Where objects of one configuration live, and the ninja file that makes them."""

    root: Path
    """Ninja's working folder and the home of its logs."""
    ninja_file: Path
    """Relative to `root`."""
    objects: str
    """Folder of the objects, relative to `root`, POSIX."""
    prefixes: tuple[Prefix, ...]
    """Nested ones before those that hold them."""

    def relocate(self, text: str) -> str:
        """Returns `text` (a path, or a flag with one) relative to `root`."""
        for prefix in self.prefixes:
            absolute = str(prefix.absolute)
            if absolute in text:
                # Only whole folders: `/src` is no prefix of `/src-2`.
                parts = re.split(re.escape(absolute) + r"(?=/|$)", text)
                text = prefix.relative.join(parts)
        return text

    def map_prefixes(self, toolchain: Toolchain) -> tuple[str, ...]:
        """Returns flags that show every folder as it is called elsewhere.

        Clang before release 10 maps folders in debug information only; `__FILE__` names them as
        commands do there, which is relative too.
        """
        old = 0 < toolchain.compiler_major < _FILE_PREFIX_MAP_SINCE
        # Without it, objects of two machines would differ in the paths that messages show.
        option = "-fdebug-prefix-map" if old else "-ffile-prefix-map"
        return tuple(
            f"{option}={p.relative}={p.shown}"
            for p in self.prefixes
            if p.shown not in {"", p.relative}
        )

    def object_path(self, unit_id: str) -> str:
        """Returns the object of a unit, relative to `root`."""
        return f"{self.objects}/{unit_id}.o"

    def find_object(self, unit_id: str) -> Path:
        """Returns the object of a unit."""
        return self.root / self.object_path(unit_id)

    def find_bitcode(self, unit_id: str) -> Path:
        """Returns the file with the bitcode of a unit: beside its object, else the object."""
        compiled = self.find_object(unit_id)
        bitcode = compiled.with_name(f"{compiled.name}.bc")
        return bitcode if bitcode.is_file() else compiled


def render_ninja(
    units: Iterable[TranslationUnit],
    toolchain: Toolchain,
    folder: CompileFolder,
    preludes: Mapping[str, Prelude] | None = None,
) -> str:
    """Returns the ninja file that can compile each of `units`; equal input, equal text.

    The launcher is not part of it: see `_launcher_environment`.

    Args:
        units: what it can compile.
        toolchain: what compiles.
        folder: where it compiles.
        preludes: unit id -> what the unit begins with.
    """
    preludes = preludes or {}
    # Toolchains name an SDK by its place; commands name a link to it.
    system = map(folder.relocate, toolchain.system_flags)
    common = " ".join(map(_quote, (*system, *folder.map_prefixes(toolchain))))
    # builddir is where ninja keeps its log of commands and headers.
    lines = ["ninja_required_version = 1.10", "builddir = .", ""]
    # clang compiles assembly with the C preprocessor.
    tools = {"C": toolchain.cc, "CXX": toolchain.cxx, "ASM": toolchain.cc}
    if toolchain.target.is_apple:
        tools["OBJCXX"] = toolchain.cxx  # clang knows it by the file's name
    for language, tool in tools.items():
        clang = f"{_quote(str(tool.path))} {common}"
        outputs = {"": "-o $out"}
        if language != "ASM" and toolchain.bitcode is Bitcode.BESIDE:
            outputs[_TWOFOLD] = _BITCODE.format(clang=clang)
        for kind, output in outputs.items():
            lines += _render_rule(f"{language}{kind}", clang, output)
            if language == "CXX" and preludes:
                lines += _render_rule(f"{language}{kind}{_AHEAD}", clang, f"{output} {_RELATIVE}")
        if language == "CXX" and preludes:
            lines += (
                f"rule {_AHEAD}",
                f"  command = {clang} $flags {' '.join(PRELUDE_FLAGS)} -MD -MF $out.d $in -o $out",
                "  description = $out",
            )
    for prelude in sorted({*preludes.values()}, key=lambda one: one.compiled):
        lines += (
            f"build {prelude.compiled}: {_AHEAD} {_escape(folder.relocate(str(prelude.header)))}",
            f"  flags = {' '.join(map(_quote, prelude.flags))}",
        )
    # Always in one order, so that the same units give the same text.
    for unit in sorted(units, key=lambda u: (_rank(u), u.id)):
        rule = f"{unit.language}{_TWOFOLD if BITCODE_ONLY in unit.flags else ''}"
        flags = tuple(map(folder.relocate, unit.flags))
        if unit.id in preludes:
            rule += _AHEAD
            flags = (*flags, "-include-pch", preludes[unit.id].compiled)
        lines += [
            f"build {_escape(folder.object_path(unit.id))}: {rule} "
            f"{_escape(folder.relocate(unit.source))}",
            f"  flags = {' '.join(map(_quote, flags))}",
            f"  unit = {_escape(unit.id)}",
        ]
    return "\n".join(lines) + "\n"


def _rank(unit: TranslationUnit) -> int:
    """Returns a small number for a unit that takes long.

    Of those that can be compiled, ninja begins with what its file has first; a long one that comes
    last would keep the others waiting for it.
    """
    if any(flag.startswith("-DCPU_CAPABILITY=") for flag in unit.flags):
        return 0
    if unit.language == "CXX":
        return 2 if unit.id.startswith("c10/") else 1
    return 3


def _render_rule(name: str, clang: str, output: str) -> tuple[str, ...]:
    return (
        f"rule {name}",
        f"  command = {_LAUNCHER} {clang} $flags -MD -MF $out.d -MT $out -c $in {output}",
        "  depfile = $out.d",
        # clang writes the headers that it read; ninja keeps them and removes the file.
        "  deps = gcc",
        "  description = $unit",
    )


def write_ninja(text: str, folder: CompileFolder) -> None:
    """Writes the ninja file unless it is there already."""
    write_if_changed(folder.root / folder.ninja_file, text)


def compile_units(
    unit_ids: Sequence[str],
    toolchain: Toolchain,
    folder: CompileFolder,
    *,
    runner: Runner,
    jobs: int | None,
    progress: Progress,
    log: Path,
    keep_going: bool = False,
    on_compiled: Callable[[str], None] = lambda _: None,
    preludes: Mapping[str, Prelude] | None = None,
) -> int:
    """Brings the objects of `unit_ids` up to date; returns how many were compiled.

    `on_compiled` is told of each as soon as it is done. With `keep_going` the others are compiled
    too when one fails. Says when the launcher could not
    hand units on to other machines. `preludes` are those of the ninja file; what the units that
    are compiled begin with is compiled first.

    Raises:
        NativeBuildError: a unit did not compile; carries the compiler's last lines.
    """
    compiled: list[str] = []

    def on_line(line: str) -> None:
        # Other lines are what the compiler prints.
        match = _STATUS.match(line)
        if match:
            done, total, unit = int(match[1]), int(match[2]), match[3]
            compiled.append(unit)
            on_compiled(unit)
            progress.advance(done, total, unit)

    parallel = (*(("-j", str(jobs)) if jobs else ()), *(("-k", "0") if keep_going else ()))
    # ninja gets paths of objects, because a unit's id is not a target.
    targets = [folder.object_path(unit_id) for unit_id in sorted(unit_ids)]
    command = (str(toolchain.ninja.path), "-f", str(folder.ninja_file), *parallel, *targets)
    launcher = toolchain.launcher
    ninja = runner.with_environment(
        NINJA_STATUS="[%f/%t] ",
        **_launcher_environment(launcher),
        **_cache_environment(folder, preludes or {}),
    )
    if preludes:
        _compile_ahead(unit_ids, preludes, folder, ninja, command, log)
    completed = ninja.run(command, cwd=folder.root, log=log, on_line=on_line)
    fallback = launcher.fallback if launcher else ""
    # The launcher says for each unit that it had to compile it here.
    here = len(re.findall(fallback, completed.output)) if fallback else 0
    if here:
        progress.note(f"this machine compiled {here} units, because no helper could; see {log}")
    if completed.returncode != 0:
        # Newer releases of ninja put the exit code in front of the name.
        failed = re.search(r"^FAILED: (?:\[code=\d+\] )?(\S+)", completed.output, re.MULTILINE)
        step = f"compiling {failed[1]}" if failed else "compiling"
        hint = find_remedy(completed) or "see the log for the failing command"
        raise NativeBuildError(failure_text(step, completed, log=log), hint=hint)
    return len(compiled)


def _compile_ahead(
    unit_ids: Sequence[str],
    preludes: Mapping[str, Prelude],
    folder: CompileFolder,
    ninja: Runner,
    command: tuple[str, ...],
    log: Path,
) -> None:
    """Compiles the preludes of units that ninja is about to compile, unless this run has done so.

    No unit depends on the file: units depend on its headers.
    """
    if all((folder.root / one.compiled).is_file() for one in preludes.values()):
        return
    planned = ninja.run((*command, "-n"), cwd=folder.root)
    stale = {match[3] for line in planned.output.splitlines() if (match := _STATUS.match(line))}
    wanted = {preludes[unit_id] for unit_id in unit_ids if unit_id in stale and unit_id in preludes}
    there = (one for one in wanted if not (folder.root / one.compiled).is_file())
    missing = [one for one in there if not find_kept(one, folder.root)]
    if not missing:
        return
    options = command[: len(command) - len(unit_ids)]
    targets = sorted(one.compiled for one in missing)
    log = log.with_name(f"{log.stem}-ahead.log")
    completed = ninja.run((*options, *targets), cwd=folder.root, log=log)
    if completed.returncode != 0:
        raise NativeBuildError(
            failure_text("compiling headers ahead", completed, log=log),
            hint=find_remedy(completed) or "see the log for the failing command",
        )
    for one in missing:
        write_summary(one, folder.root)


def _cache_environment(folder: CompileFolder, preludes: Mapping[str, Prelude]) -> Mapping[str, str]:
    # Lists of dependencies in the cache name no folder of this machine, either.
    return {**dict(_CACHED), "CCACHE_BASEDIR": str(folder.root)} if preludes else {}


def _launcher_environment(launcher: Launcher | None) -> dict[str, str]:
    path = str(launcher.tools[0].path) if launcher else ""
    return {"BUILDER_COMPILE_WITH": path, **dict(launcher.environment if launcher else ())}


def _quote(text: str) -> str:
    # ninja expands `$` before the shell sees the command.
    return shlex.quote(text).replace("$", "$$")


def _escape(text: str) -> str:
    # Spaces and colons end a path in a build line (ninja's manual, "Lexical syntax").
    return text.replace("$", "$$").replace(" ", "$ ").replace(":", "$:")
