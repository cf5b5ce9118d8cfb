"""Holds the libraries of an AAR against the rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from builder.core.policies import Binary, PolicyFinding, PolicyReport, Verdict, describe_findings
from builder.errors import ConfigurationError, VerificationError
from builder.verify.binaries import BinaryFacts, read_facts
from builder.verify.policies import Policies, Rule, load_policies
from builder.verify.rules import CHECKS, Subject, UncheckedError
from builder.verify.stubs import find_stubs

_LARGE_PAGE = 1 << 14


def check_libraries(
    binaries: Iterable[Binary],
    *,
    min_api: int,
    page_size: int | None = None,
    ndk: Path | None = None,
    has_prefab: bool = False,
) -> PolicyReport:
    """Returns what is wrong with libraries, and what cannot be told.

    Args:
        binaries: of all ABIs; those of one ABI may need each other.
        min_api: lowest API level that they are to run on.
        page_size: wanted on 64-bit ABIs, in bytes; that of policies.toml when None.
        ndk: an NDK, or its `sysroot/usr/lib`.
        has_prefab: whether C++ users may link them.

    Raises:
        ConfigurationError: there are none.
    """
    policies = load_policies()
    listed = sorted(binaries, key=lambda binary: binary.path)
    if not listed:
        raise ConfigurationError("there is no library in it to check")
    read = [(binary, _read(binary, policies)) for binary in listed]
    findings: list[PolicyFinding] = []
    for binary, facts in read:
        if isinstance(facts, str):
            findings.append(_finding(policies.rules[0], binary, Verdict.VIOLATED, facts))
            continue
        abi = policies.abis[binary.abi]
        system = find_stubs(ndk, abi.stubs, min_api)
        large = abi.page_size >= _LARGE_PAGE
        subject = Subject(
            name=binary.name,
            facts=facts,
            abi=binary.abi,
            min_api=min_api,
            page_size=page_size if page_size is not None and large else abi.page_size,
            beside=_find_beside(binary, read),
            has_prefab=has_prefab,
            stubs=system.symbols,
            stubs_missing=system.missing,
            policies=policies,
        )
        findings += _check(binary, subject)
    return PolicyReport(
        files=tuple(binary.path for binary in listed),
        rules=tuple(rule.name for rule in policies.rules),
        min_api=min_api,
        findings=tuple(findings),
    )


def merge_reports(report: PolicyReport, found: tuple[PolicyFinding, ...]) -> PolicyReport:
    """Returns the report with what was found wrong with the AAR itself."""
    return replace(report, rules=(*report.rules, "contents"), findings=(*report.findings, *found))


def guess_abi(contents: bytes) -> str:
    """Returns the ABI of a library by its processor; empty when it is for none of Android's."""
    try:
        machine = read_facts(contents).machine
    except ValueError:
        return ""
    abis = load_policies().abis
    return next((abi for abi, policy in abis.items() if policy.machine == machine), "")


def refuse_violations(report: PolicyReport, what: str, *, platform: str = "Android") -> None:
    """Raises VerificationError when `what` breaks a rule; says all that was found."""
    if report.violations:
        lines = describe_findings(report.violations)
        count = len(report.violations)
        raise VerificationError(
            "\n".join((f"{what} breaks {count} rules for libraries on {platform}:", *lines)),
            hint="the rules: builder check --help",
        )


def _read(binary: Binary, policies: Policies) -> BinaryFacts | str:
    """Returns the facts, or what keeps them from being judged."""
    try:
        facts = read_facts(binary.contents)
    except ValueError as error:
        return str(error)
    if binary.abi not in policies.abis:
        return f"{binary.abi!r:.40} is no ABI of Android"
    return facts


def _find_beside(
    binary: Binary, read: Iterable[tuple[Binary, BinaryFacts | str]]
) -> dict[str, BinaryFacts]:
    return {
        other.name: facts
        for other, facts in read
        if other.abi == binary.abi and isinstance(facts, BinaryFacts)
    }


def _check(binary: Binary, subject: Subject) -> Iterator[PolicyFinding]:
    for rule in subject.policies.rules:
        try:
            for found in CHECKS[rule.name](subject):
                yield _finding(rule, binary, Verdict.VIOLATED, found, subject)
        except UncheckedError as error:
            yield _finding(rule, binary, Verdict.UNCHECKED, str(error), subject)


def _finding(
    rule: Rule, binary: Binary, verdict: Verdict, found: str, subject: Subject | None = None
) -> PolicyFinding:
    values: dict[str, object] = {"file": binary.name, "page_size": "", "min_api": "", "exports": ""}
    if subject is not None:
        exports = subject.exports
        values |= {
            "page_size": subject.page_size,
            "min_api": subject.min_api,
            "exports": ", ".join(exports.required) if exports else "",
        }
    return PolicyFinding(
        rule=rule.name,
        file=binary.path,
        verdict=verdict,
        found=found,
        wanted=rule.wanted.format(**values),
        remedy=rule.remedy.format(**values) if verdict is Verdict.VIOLATED else "",
    )
