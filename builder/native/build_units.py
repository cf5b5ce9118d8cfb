"""The units of one build: upstream's, limited in what they register, and builder's own."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from builder.core.backends import Backend
from builder.core.cores import Core, has_plain_kernels
from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.plan import Interface
from builder.core.selection import Selection
from builder.core.toolchain import CxxLibrary
from builder.core.units import TranslationUnit, UnitGraph
from builder.native.build_folders import Layout
from builder.native.interfaces import LIBRARIES, Library
from builder.system.files import digest_files, write_if_changed

LIBRARY = "torchlite"
_OWN_CORE = f"{LIBRARY}-core"
"""The same sources are other units there, since they are compiled with another definition."""
_FOR_OWN_CORE = "-DTORCHLITE_OWN_CORE"
_INSTEAD, _PLAIN = "core/instead", "core/plain"
"""Folders of units that stand for upstream's in runtimes with the own core; paths are upstream's.
Those of the second are for few dtypes, with operators of their own."""
_PLAIN_OPERATORS = ("arithmetic", "loops", "pooling")
_XNNPACK_OPERATORS, _RUNS = "third_party/XNNPACK/src/operators/", "core/xnnpack_runs.h"
_UNWINDING = ("unwinding.S", "unwinding.cpp")
RUNNER_UNIT = f"{LIBRARY}/runner.cpp"
SMALL_CXX_UNITS = {
    CxxLibrary.LIBSTDCXX: f"{LIBRARY}/small_libstdcxx.cpp",
    CxxLibrary.LIBCXX: f"{LIBRARY}/small_libcxx.cpp",
}
REGISTRATIONS_UNIT = f"{LIBRARY}/registrations.cpp"
_ATEN = "aten/src/ATen/"
_KERNEL_COPIES = ("generated/aten/src/ATen/native/", "generated/aten/src/ATen/UfuncCPUKernel_")
"""Upstream's CMake writes one per CPU kernel file, also for that of `add`, which torchgen makes;
the text of each is one include."""
_LIKE = "torch/csrc/jit/mobile/import.cpp"
"""Our own units see what this unit of the lite interpreter sees."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BuildUnits:
    """Units by id, and what a unit of upstream is called in this build."""

    graph: UnitGraph
    variants: dict[str, str]
    """Upstream unit id -> id of the variant that carries an allowlist."""
    known: int
    """How many units upstream and builder have, variants not counted."""

    def resolve(self, unit_id: str) -> str:
        """Returns the id to compile where upstream's `unit_id` is wanted."""
        return self.variants.get(unit_id, unit_id)


def make_units(
    graph: UnitGraph,
    selection: Selection,
    layout: Layout,
    *,
    runtime: Path,
    version: str,
    dtypes: DtypeSet = EVERYTHING,
    interface: Library = LIBRARIES[Interface.C],
    headers: Sequence[Path] = (),
    backends: Iterable[Backend] = (),
    core: Core = Core.UPSTREAM,
) -> BuildUnits:
    """Writes generated sources and headers, and returns all units a build can draw from.

    Args:
        graph: upstream's units.
        selection: what to register.
        layout: where to write.
        runtime: builder's own C++ (`cmake/runtime`).
        version: PyTorch version that torchlite_version() answers with.
        dtypes: what kernels are compiled for.
        interface: whose units to add.
        headers: folders of headers that only these units see.
        backends: what these units are told that the runtime has.
        core: what these units are compiled for.
    """
    # Equal registrations share their source and their object, whichever operator list they come
    # from.
    digest = _digest(selection.registrations)
    registrations = layout.registrations / f"{digest}.cpp"
    write_if_changed(registrations, selection.registrations)
    flags = (*graph.units[_LIKE].flags, f"-I{runtime}", _name_sources(runtime))
    # Builder's own units are compiled for the chosen backends; upstream's are not.
    backends = tuple(backends)
    told = (f"-D{name}" for one in backends for name in one.runtime_defines)
    names = (*interface.units, *(name for one in backends for name in one.runtime_units))
    # Only builder's own units see the version: upstream's objects stay the same when it changes.
    for_core = (_FOR_OWN_CORE,) if core is Core.OWN else ()
    folders = (f"-I{folder}" for folder in headers)
    offered = (*flags, _version(version), *folders, *told, *for_core)
    own = (
        *(_own(name_own_unit(name, core), runtime / name, offered) for name in names),
        _own(RUNNER_UNIT, runtime / "runner.cpp", (*flags,)),
        _own(
            SMALL_CXX_UNITS[CxxLibrary.LIBSTDCXX],
            runtime / "small_libstdcxx.cpp",
            (*flags, "-D_GLIBCXX_USE_CXX11_ABI=0", "-fno-access-control"),
        ),
        _own(SMALL_CXX_UNITS[CxxLibrary.LIBCXX], runtime / "small_libcxx.cpp", flags),
        *(_own_unwinding(runtime, flags) if core is Core.OWN else ()),
        _own(f"{REGISTRATIONS_UNIT}@{digest}", registrations, (*flags, *for_core)),
    )
    units = dict(graph.units) | {unit.id: unit for unit in own}
    variants = {REGISTRATIONS_UNIT: own[-1].id}
    if core is Core.OWN:
        replaced = _replace_units(graph, runtime, _INSTEAD) | _ask_for_runs(graph, runtime)
        for unit_id, replacement in replaced.items():
            units[replacement.id] = replacement
            variants[unit_id] = replacement.id
    limited = _limit_to(dtypes, runtime, layout)
    changed = limit_dtypes(graph, dtypes, limited)
    if has_plain_kernels(core, dtypes):
        for name in list_plain_units(core, dtypes):
            source = runtime / _PLAIN / f"{Path(name).name}"
            units[name] = _own(name, source, (*offered, *limited))
        changed |= _replace_units(graph, runtime, _PLAIN, limited)
    for unit_id, text in selection.limits.items():
        changed[unit_id] = _limit(changed.get(unit_id, graph.units[unit_id]), text, layout)
    # A unit can have both limits: its dtypes first, then its operators.
    for unit_id, variant in changed.items():
        units[variant.id] = variant
        variants[unit_id] = variant.id
    known = len(graph) + len(own)
    return BuildUnits(graph=UnitGraph(units=units), variants=variants, known=known)


def name_own_unit(name: str, core: Core) -> str:
    """Returns the id of the unit of builder's own source `name`, below `cmake/runtime`."""
    return f"{_OWN_CORE if core is Core.OWN else LIBRARY}/{name}"


def list_plain_units(core: Core, dtypes: DtypeSet) -> tuple[str, ...]:
    """Returns the units with operators by plain loops; none in most runtimes."""
    names = _PLAIN_OPERATORS if has_plain_kernels(core, dtypes) else ()
    return tuple(f"{_OWN_CORE}/{_PLAIN}/{name}.cpp" for name in names)


def list_unwinding_units() -> tuple[str, ...]:
    """Returns the units that find entries of frames without an index of them."""
    return tuple(f"{_OWN_CORE}/core/{name}" for name in _UNWINDING)


def _ask_for_runs(graph: UnitGraph, runtime: Path) -> dict[str, TranslationUnit]:
    """Returns XNNPACK's operators, each of which brings the ways it is spread over threads."""
    return {
        name: dataclasses.replace(
            unit,
            id=f"{unit.id}@runs",
            flags=(*unit.flags, _name_sources(runtime), "-include", str(runtime / _RUNS)),
        )
        for name, unit in graph.units.items()
        if name.startswith(_XNNPACK_OPERATORS)
    }


def _replace_units(
    graph: UnitGraph, runtime: Path, where: str, more: tuple[str, ...] = ()
) -> dict[str, TranslationUnit]:
    """Returns upstream id -> the unit with builder's own source for it, compiled like it."""
    folder = runtime / where
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.c*"))]
    return {
        name: dataclasses.replace(
            graph.units[name],
            id=f"{_OWN_CORE}/{where}/{name}",
            source=str(folder / name),
            flags=(*graph.units[name].flags, f"-I{runtime}", _name_sources(runtime), *more),
        )
        for name in names
        if name in graph.units
    }


def limit_dtypes(
    graph: UnitGraph, dtypes: DtypeSet, flags: tuple[str, ...]
) -> dict[str, TranslationUnit]:
    """Returns upstream id -> variant with kernels for `dtypes` only; nothing without a limit.

    A unit that reaches the dispatch macros in another way keeps all its kernels, which is sound.

    Args:
        graph: upstream's units.
        dtypes: what kernels are compiled for.
        flags: include the check before everything else.
    """
    mask = dtypes.mask
    if mask is None:
        return {}
    return {
        unit.id: dataclasses.replace(
            unit, id=f"{unit.id}@dtypes-{mask:x}", flags=(*unit.flags, *flags)
        )
        for unit in graph.units.values()
        if _dispatches(unit)
    }


def _limit_to(dtypes: DtypeSet, runtime: Path, layout: Layout) -> tuple[str, ...]:
    """Returns the flags that limit kernels to `dtypes`, and writes the header that they name."""
    if dtypes.mask is None:
        return ()
    # A mask of bits is short, and a compile-time test of it needs no code.
    check = (runtime / "selected_dtypes.h").read_text()
    return _include(_write_limit(f"#define TORCHLITE_DTYPES {dtypes.mask:#x}ULL\n{check}", layout))


def _include(header: Path) -> tuple[str, ...]:
    return ("-include", str(header))


def _dispatches(unit: TranslationUnit) -> bool:
    # Only these folders have kernels, so the thousands of other files need not be read.
    if unit.language != "CXX" or not unit.id.startswith((_ATEN, *_KERNEL_COPIES)):
        return False
    if unit.id.startswith(_KERNEL_COPIES):
        return True
    text = Path(unit.source).read_text()
    # A patch may ask for dtypes where nothing dispatches by them.
    return "AT_DISPATCH_" in text or "TORCHLITE_DTYPES" in text


def _own(unit_id: str, source: Path, flags: tuple[str, ...]) -> TranslationUnit:
    language = "ASM" if source.suffix == ".S" else "CXX"
    return TranslationUnit(
        id=unit_id, library=LIBRARY, language=language, source=str(source), flags=flags
    )


def _own_unwinding(runtime: Path, flags: tuple[str, ...]) -> Iterator[TranslationUnit]:
    for name in _UNWINDING:
        # Flags for C++ say nothing to a file of assembly.
        of_source = () if name.endswith(".S") else flags
        yield _own(f"{_OWN_CORE}/core/{name}", runtime / "core" / name, of_source)


def _name_sources(runtime: Path) -> str:
    """Returns a flag that changes with builder's own sources.

    ninja compiles what is newer than its object; what a package manager puts in place may be older.
    """
    digest = digest_files(runtime, suffixes=(".cpp", ".cc", ".c", ".h", ".S"))
    return f"-DTORCHLITE_SOURCES={digest[:12]}"


def _version(version: str) -> str:
    return f'-DTORCHLITE_PYTORCH_VERSION="{version}"'


def _limit(unit: TranslationUnit, allowlist: str, layout: Layout) -> TranslationUnit:
    header = _write_limit(allowlist, layout)
    return dataclasses.replace(
        unit,
        id=f"{unit.id}@{header.stem}",
        # The allowlist is searched at compile time for each operator, beyond clang's default of a
        # million steps.
        flags=(*unit.flags, "-fconstexpr-steps=100000000", *_include(header)),
    )


def _write_limit(text: str, layout: Layout) -> Path:
    # Named by its content: units depend on it, and stay as they are where builder is installed
    # again.
    header = layout.limits / f"{_digest(text)}.h"
    write_if_changed(header, text)
    return header


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
