"""What each rule of policies.toml finds wrong with the static library of a slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from builder.core.counts import number_of
from builder.core.targets import Target, format_os_version
from builder.formats.macho import INITIALISERS, INSTRUCTIONS, OBJECT, MachFile
from builder.platforms.apple.policies import ApplePolicies
from builder.verify.policy import UncheckedError, find_paths, some

_BITCODE = ("__LLVM", "__bitcode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The static library for one platform and CPU architecture, and what it is checked against."""

    target: Target
    """With the deployment target that the package declares."""
    arch: str
    members: Mapping[str, MachFile | str]
    """File of the library -> what it says, or why it cannot be read."""
    system: Mapping[str, frozenset[str]] | None
    """Library of the system -> its symbols; None when that is not known."""
    frameworks: tuple[str, ...] = ()
    """What of them may be frameworks."""
    policies: ApplePolicies

    @property
    def objects(self) -> dict[str, MachFile]:
        """The members that can be read."""
        return {n: file for n, file in self.members.items() if isinstance(file, MachFile)}

    @property
    def exports(self) -> frozenset[str]:
        """What all members together offer."""
        return frozenset[str]().union(*(file.exports for file in self.objects.values()))

    @property
    def undefined(self) -> frozenset[str]:
        """What must come from the system."""
        needed = frozenset[str]().union(*(file.undefined for file in self.objects.values()))
        inside = frozenset[str]().union(*(file.private for file in self.objects.values()))
        # One object may need what another one in the library has.
        return needed - self.exports - inside


def _check_members(subject: Slice) -> Iterator[str]:
    if not subject.members:
        yield "no object at all"
    for name, file in subject.members.items():
        if isinstance(file, str):
            yield f"{name}: {file}"
        elif file.kind != OBJECT:
            yield f"{name} is not an object (type {file.kind})"
        elif file.architecture != subject.arch:
            yield f"{name} is for {file.architecture}"


def _check_platform(subject: Slice) -> Iterator[str]:
    others = [
        f"{name} for {file.platform or 'none'}"
        for name, file in subject.objects.items()
        # Linkers accept objects for the simulator in an archive for devices, and say nothing.
        if file.platform != subject.target.platform
    ]
    if others:
        yield f"{number_of(len(others), 'object')}: {some(others)}"


def _check_min_os(subject: Slice) -> Iterator[str]:
    newer = [
        f"{name} for {format_os_version(file.min_os)}"
        for name, file in subject.objects.items()
        # An older version is fine: the code runs on everything newer.
        if file.min_os > subject.target.min_os
    ]
    if newer:
        yield f"{number_of(len(newer), 'object')}: {some(newer)}"


def _check_exports(subject: Slice) -> Iterator[str]:
    missing = sorted(set(subject.policies.exports.required) - subject.exports)
    if missing:
        yield f"{', '.join(missing)} not exported"
    allowed = subject.policies.exports.allowed
    others = sorted(n for n in subject.exports if not any(fnmatchcase(n, a) for a in allowed))
    if others:
        yield f"{number_of(len(others), 'other symbol')} exported: {some(others)}"


def _check_shared_names(subject: Slice) -> Iterator[str]:
    # Classes of Objective-C keep their names.
    allowed = (*subject.policies.exports.allowed, *subject.policies.objective.patterns)
    # -force_load takes all objects of a library, and two private symbols of one name are an error.
    shared = frozenset[str]().union(*(file.shared for file in subject.objects.values()))
    others = sorted(name for name in shared if not _matches(name, allowed))
    if others:
        yield f"{number_of(len(others), 'other name')} shared: {some(others)}"


def _check_imports(subject: Slice) -> Iterator[str]:
    if subject.system is None:
        raise UncheckedError("needs an SDK of Apple's, or its open headers")
    policies = subject.policies
    there = frozenset(policies.linker.symbols).union(*subject.system.values())
    absent = sorted(set(subject.frameworks) - set(subject.system))
    # Symbols of a framework that the SDK lacks can be judged by nobody.
    untold = policies.objective.patterns if absent else ()
    given = (*policies.linker.patterns, *untold)
    unknown = [name for name in sorted(subject.undefined - there) if not _matches(name, given)]
    if unknown:
        yield f"{number_of(len(unknown), 'symbol')} that none of them has: {some(unknown)}"
    for since in policies.since:
        if subject.target.min_os < since.min_os:
            newer = [n for n in sorted(subject.undefined) if _matches(n, since.patterns)]
            if newer:
                symbols = number_of(len(newer), "symbol")
                yield f"{symbols} not there before {since.version}: {some(newer)}"
    # This comes last, so that what could be found is told before the rule ends as unchecked.
    if any(_matches(name, untold) for name in subject.undefined - there):
        raise UncheckedError(f"symbols of frameworks need an SDK that has {', '.join(absent)}")


def _check_registrations(subject: Slice) -> Iterator[str]:
    required = subject.policies.exports.required
    # A linker takes an object from an archive only if something refers to it, and apps refer to the
    # API alone.
    api = [file for file in subject.objects.values() if not file.exports.isdisjoint(required)]
    if not any(s.kind in INITIALISERS and s.size for file in api for s in file.sections):
        yield "no static initialiser beside the API: an app's link would drop all operators"
    apart = [
        name
        for name, file in subject.objects.items()
        if file not in api and any(s.kind in INITIALISERS for s in file.sections)
    ]
    if apart:
        yield f"static initialisers in objects that nothing refers to: {some(apart)}"


def _check_bitcode(subject: Slice) -> Iterator[str]:
    found = [
        name
        for name, file in subject.objects.items()
        # Xcode 14 and newer refuse bitcode in uploads.
        if any((s.segment, s.name) == _BITCODE for s in file.sections)
    ]
    if found:
        yield f"bitcode in {some(found)}"


def _check_paths(subject: Slice) -> Iterator[str]:
    allowed = subject.policies.paths.device
    found = {
        path
        for file in subject.objects.values()
        for section in file.sections
        # Instructions hold any bytes, and some look like paths.
        if not section.flags & INSTRUCTIONS
        for path in find_paths(section.content)
    }
    foreign = sorted(path for path in found if not path.startswith(allowed))
    if foreign:
        yield f"{number_of(len(foreign), 'path')}: {some(foreign)}"


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


APPLE_CHECKS: Mapping[str, Callable[[Slice], Iterator[str]]] = {
    "members": _check_members,
    "platform": _check_platform,
    "min-os": _check_min_os,
    "exports": _check_exports,
    "shared-names": _check_shared_names,
    "imports": _check_imports,
    "registrations": _check_registrations,
    "bitcode": _check_bitcode,
    "paths": _check_paths,
}
"""Rule -> yields what is wrong; UncheckedError when that cannot be told."""
