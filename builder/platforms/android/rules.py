"""What each rule of policies.toml finds wrong with a library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import zip_longest

from builder.core.counts import number_of
from builder.formats.elf import Segment
from builder.platforms.android.libraries import (
    GNU_RELRO,
    GNU_STACK,
    SEGMENT_EXECUTABLE,
    SEGMENT_WRITABLE,
    BinaryFacts,
)
from builder.platforms.android.policies import ExportPolicy, Policies
from builder.verify.policy import UncheckedError, some

_GONE = "its section headers are gone, and the symbols with them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One library, and what it is held against."""

    name: str
    """File name."""
    facts: BinaryFacts
    abi: str
    min_api: int
    page_size: int
    beside: Mapping[str, BinaryFacts]
    """The other libraries of its ABI, by file name."""
    has_prefab: bool
    stubs: Callable[[str], frozenset[str] | None]
    """Symbols of a system library at `min_api`; None when that is not known."""
    stubs_missing: str
    """Why symbols of system libraries are not known; empty when they are."""
    policies: Policies

    @property
    def exports(self) -> ExportPolicy | None:
        """What it must export; None when nothing is said of it."""
        return self.policies.exports.get(self.name)


def _check_abi(subject: Subject) -> Iterator[str]:
    machine = subject.policies.abis[subject.abi].machine
    if subject.facts.machine != machine:
        yield f"machine {subject.facts.machine}, that of {subject.abi} is {machine}"


def _check_page_size(subject: Subject) -> Iterator[str]:
    # The loader maps LOAD segments page by page, so each has to be aligned for the largest page.
    sizes = [load.alignment for load in subject.facts.loads]
    if not sizes:
        yield "no LOAD segment"
    elif min(sizes) < subject.page_size:
        yield f"LOAD segments aligned to {min(sizes)} bytes"
    # mmap maps whole pages: offset and address have to agree in the bits below the alignment.
    if any((load.address - load.offset) % max(load.alignment, 1) for load in subject.facts.loads):
        yield "a LOAD segment whose place in the file does not fit its address"


def _check_needed(subject: Subject) -> Iterator[str]:
    since = subject.policies.system_libraries
    for name in subject.facts.needed:
        # A library of the same AAR lies beside this one in the app.
        if name in subject.beside:
            continue
        if name not in since:
            yield f"{name}, which is not a public system library"
        elif since[name] > subject.min_api:
            yield f"{name}, which exists since API level {since[name]}"


def _check_exports(subject: Subject) -> Iterator[str]:
    policy = subject.exports
    if policy is None:
        return
    exports = subject.facts.exports
    if exports is None:
        raise UncheckedError(_GONE)
    missing = sorted(set(policy.required) - set(exports))
    if missing:
        yield f"{', '.join(missing)} not exported"
    # Users of C++ need the C API, which others must not see.
    allowed = policy.required + (policy.with_prefab if subject.has_prefab else ())
    too_many = [name for name in exports if not any(fnmatchcase(name, p) for p in allowed)]
    if too_many:
        yield f"{number_of(len(too_many), 'other symbol')} exported: {some(too_many)}"


def _check_undefined(subject: Subject) -> Iterator[str]:
    facts = subject.facts
    if facts.undefined is None:
        raise UncheckedError(_GONE)
    if subject.stubs_missing:
        raise UncheckedError(subject.stubs_missing)
    there: set[str] = set()
    for name in facts.needed:
        beside = subject.beside.get(name)
        there |= set((beside.exports or ()) if beside else (subject.stubs(name) or ()))
    missing = sorted(set(facts.undefined) - there)
    if missing:
        yield f"{number_of(len(missing), 'symbol')} that none of them has: {some(missing)}"


def _check_loader(subject: Subject) -> Iterator[str]:
    facts = subject.facts
    kinds = {segment.kind for segment in facts.segments}
    for feature in subject.policies.loader:
        # A feature shows as a segment or as a tag; an older form beside it makes it harmless.
        has = feature.segment in kinds or feature.tag in facts.tags
        if has and feature.unless not in facts.tags and subject.min_api < feature.since:
            yield f"{feature.what}, understood since API level {feature.since}"


def _check_relro(subject: Subject) -> Iterator[str]:
    if not any(segment.kind == GNU_RELRO for segment in subject.facts.segments):
        yield "no GNU_RELRO segment"
    # Without it the loader has to keep the table of functions writable.
    if not subject.facts.bind_now:
        yield "symbols bound when they are first used"


def _check_relro_place(subject: Subject) -> Iterator[str]:
    # The loader makes whole pages read-only. So the range has to end where its pages end, or where
    # nothing follows that is written to.
    facts, size = subject.facts, subject.page_size
    if facts.bits != 64:
        return  # devices with large pages have no 32-bit libraries
    relros = [segment for segment in facts.segments if segment.kind == GNU_RELRO]
    # No linker writes several; each is compared with all sections, so their number is bounded.
    if len(relros) > 1:
        yield f"{len(relros)} GNU_RELRO segments"
    elif relros:
        yield from _compare_relro(relros[0], facts, size)


def _compare_relro(relro: Segment, facts: BinaryFacts, size: int) -> Iterator[str]:
    begin, end = f"{relro.address:#x}", f"{relro.end:#x}"
    if not relro.memory:
        raise UncheckedError("its GNU_RELRO segment is empty")
    loads = facts.loads
    if loads and not any(one.address < relro.end and relro.address < one.end for one in loads):
        yield f"RELRO, from {begin} to {end}, is outside of every LOAD segment"
        return
    load = _find_load(relro, facts, size)
    if load is None:
        raise UncheckedError(f"RELRO, from {begin} to {end}, is not within one LOAD segment")
    if not load.flags & SEGMENT_WRITABLE:
        raise UncheckedError(f"RELRO, from {begin} to {end}, is in a segment that is not writable")
    found = []
    if relro.address % size and relro.address != load.address:
        found.append(f"RELRO is not a prefix and its start, {begin}, is not aligned to {size}")
    if relro.end % size and relro.end != load.end:
        found.append(f"RELRO is not a suffix and its end, {end}, is not aligned to {size}")
    if not found:
        return
    # Where the two have the same sections, the place of the LOAD segment decides.
    placed = _list_placed(load, facts)
    if not placed:
        raise UncheckedError("no section headers tell what lies beside RELRO")
    if placed != _list_placed(relro, facts):
        yield from found


def _find_load(relro: Segment, facts: BinaryFacts, size: int) -> Segment | None:
    """Returns the LOAD segment that `relro` lies in.

    It may end in the gap before the next segment, and on the last page of the last one.
    """
    loads = sorted(facts.loads, key=lambda load: load.address)
    for load, following in zip_longest(loads, loads[1:]):
        limit = following.address if following else -(-load.end // size) * size
        if load.address <= relro.address and relro.end <= limit:
            return load
    return None


def _list_placed(segment: Segment, facts: BinaryFacts) -> list[tuple[int, int]]:
    return [
        (start, end)
        for start, end in facts.placed
        if segment.address <= start and end <= segment.end
    ]


def _check_stack(subject: Subject) -> Iterator[str]:
    stacks = [segment for segment in subject.facts.segments if segment.kind == GNU_STACK]
    if not stacks:
        yield "no GNU_STACK segment"
    if any(stack.flags & SEGMENT_EXECUTABLE for stack in stacks):
        yield "an executable stack"
    # Android's loader refuses such segments since API level 26 (bionic,
    # android-changes-for-ndk-developers.md).
    both = SEGMENT_EXECUTABLE | SEGMENT_WRITABLE
    if any(load.flags & both == both for load in subject.facts.loads):
        yield "a segment that is writable and executable"


def _check_text_relocations(subject: Subject) -> Iterator[str]:
    if subject.facts.text_relocations:
        yield "relocations in code (DT_TEXTREL)"


def _check_soname(subject: Subject) -> Iterator[str]:
    if subject.facts.soname != subject.name:
        yield f"DT_SONAME is {subject.facts.soname or 'missing'}"
    for path in subject.facts.runpaths:
        yield f"a run path: {path}"


def _check_build_id(subject: Subject) -> Iterator[str]:
    if not subject.facts.sections:
        raise UncheckedError("its section headers are gone")
    if not subject.facts.build_id:
        yield "no .note.gnu.build-id"


def _check_stripped(subject: Subject) -> Iterator[str]:
    facts = subject.facts
    if facts.has_symbol_table:
        yield "a symbol table"
    debug = sorted(n for n in facts.sections if n.startswith((".debug_", ".zdebug_")))
    # Minidebuginfo and links to separate files are debug information too.
    debug += sorted({".gnu_debugdata", ".gnu_debuglink"} & facts.sections)
    if debug:
        yield f"debug information: {some(debug)}"


def _check_paths(subject: Subject) -> Iterator[str]:
    allowed = subject.policies.paths.device + subject.policies.paths.ndk
    foreign = [path for path in subject.facts.paths if not path.startswith(allowed)]
    if foreign:
        yield f"{number_of(len(foreign), 'path')}: {some(foreign)}"


CHECKS: Mapping[str, Callable[[Subject], Iterator[str]]] = {
    "abi": _check_abi,
    "page-size": _check_page_size,
    "needed": _check_needed,
    "exports": _check_exports,
    "undefined": _check_undefined,
    "loader": _check_loader,
    "relro": _check_relro,
    "relro-place": _check_relro_place,
    "no-exec-stack": _check_stack,
    "text-relocations": _check_text_relocations,
    "soname": _check_soname,
    "build-id": _check_build_id,
    "stripped": _check_stripped,
    "paths": _check_paths,
}
"""Rule -> yields what is wrong; UncheckedError when that cannot be told."""
