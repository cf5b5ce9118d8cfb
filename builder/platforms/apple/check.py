"""Holds the slices of an xcframework against the rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.core.targets import Platform, Target, format_os_version
from builder.errors import Hint, ToolchainError, Use
from builder.formats.macho import MachFile, read_macho, read_members
from builder.formats.tbd import parse_stub
from builder.platforms.apple.package import FRAMEWORKS
from builder.platforms.apple.policies import ApplePolicies, StubPolicy, load_apple_policies
from builder.platforms.apple.rules import APPLE_CHECKS, Slice
from builder.verify.policy import Judge, PolicyFinding, PolicyReport, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleBinary:
    """A static library, and what its package says of it."""

    path: str
    """In the xcframework; names it in findings."""
    target: Target
    """With the deployment target."""
    arch: str
    contents: bytes
    frameworks: tuple[str, ...] = FRAMEWORKS
    """Those that its package links."""


def check_slices(binaries: Iterable[AppleBinary], sdks: Mapping[Platform, Path]) -> PolicyReport:
    """Returns what is wrong with static libraries, and what cannot be told.

    Args:
        binaries: all of one package.
        sdks: platform -> root of an SDK, whose stubs tell what systems have.
    """
    policies = load_apple_policies()
    listed = sorted(binaries, key=lambda binary: binary.path)
    findings = [found for one in listed for found in _check(one, policies, sdks)]
    versions = sorted({format_os_version(one.target.min_os) for one in listed})
    return PolicyReport(
        files=tuple(one.path for one in listed),
        rules=tuple(rule.name for rule in policies.rules),
        min_api=0,
        oldest=f"iOS {', '.join(versions)}",
        findings=tuple(findings),
    )


def read_system(
    sdk: Path, target: Target, arch: str, stubs: StubPolicy, frameworks: Iterable[str] = FRAMEWORKS
) -> dict[str, frozenset[str]]:
    """Returns library -> symbols for `target`, as the stubs of an SDK say.

    Frameworks that the SDK has not are left out.

    Raises:
        ValueError: a stub is missing or cannot be read.
    """
    platform = f"{arch}-{target.platform}"
    found: dict[str, frozenset[str]] = {}
    for library, candidates in stubs.libraries.items():
        path = next((sdk / one for one in candidates if (sdk / one).is_file()), None)
        if path is not None:
            found[library] = parse_stub(path.read_text(), platform)
        # Without a required stub, symbols that exist would count as missing.
        elif library not in stubs.optional:
            raise ValueError(f"{sdk.name} has no {candidates[0]}")
    for name in frameworks:
        path = sdk / stubs.framework.format(name=name)
        if path.is_file():
            found[name] = parse_stub(path.read_text(), platform)
    # Umbrella frameworks only re-export others, whose symbols stand in their own stubs.
    inside = (one.format(name=name) for name in frameworks for one in stubs.reexported)
    for pattern in (*stubs.inside, *inside):
        for path in sorted(sdk.glob(pattern)):
            found[path.name] = parse_stub(path.read_text(), platform)
    return found


def _check(
    binary: AppleBinary, policies: ApplePolicies, sdks: Mapping[Platform, Path]
) -> Iterator[PolicyFinding]:
    judge = _judge_of(binary, policies)
    try:
        members = dict(_read_members(binary.contents))
    except ValueError as error:
        yield judge.find(policies.rules[0], Verdict.VIOLATED, str(error))
        return
    # Without an SDK one rule cannot be checked; the others need none.
    sdk = sdks.get(binary.target.platform)
    names, stubs = binary.frameworks, policies.stubs
    try:
        system = read_system(sdk, binary.target, binary.arch, stubs, names) if sdk else None
    except (OSError, ValueError) as error:
        raise ToolchainError(
            f"the SDK at {sdk} cannot be read: {error}",
            hint=Hint("name another: ", Use("tools.apple_sdk", "DIR")),
        ) from error
    subject = Slice(
        target=binary.target,
        arch=binary.arch,
        members=members,
        system=system,
        frameworks=names,
        policies=policies,
    )
    yield from judge.judge(policies.rules, APPLE_CHECKS, subject)


def _read_members(contents: bytes) -> Iterator[tuple[str, MachFile | str]]:
    seen: dict[str, int] = {}
    for member in read_members(contents):
        count = seen[member.name] = seen.get(member.name, 0) + 1
        # Members of an archive may share a name; a finding has to tell which one it means.
        name = member.name if count == 1 else f"{member.name} ({count})"
        try:
            yield name, read_macho(member.contents)
        except ValueError as error:
            yield name, str(error)


def _judge_of(binary: AppleBinary, policies: ApplePolicies) -> Judge:
    return Judge(
        file=binary.path,
        values={
            "arch": binary.arch,
            "platform": str(binary.target.platform),
            "min_os": format_os_version(binary.target.min_os),
            "exports": ", ".join(policies.exports.allowed),
            "frameworks": ", ".join(binary.frameworks),
        },
    )
