"""What was found when libraries were held against the rules of their platform."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from builder.errors import VerificationError


class Verdict(StrEnum):
    """What a finding means."""

    VIOLATED = "violated"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """One library and where it is to be loaded."""

    path: str
    """In the AAR; names it in findings."""
    abi: str
    contents: bytes

    @property
    def name(self) -> str:
        """Its file name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFinding:
    """One rule that one library does not keep, or that could not be checked."""

    rule: str
    file: str
    verdict: Verdict
    found: str
    wanted: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """All that was found."""

    files: tuple[str, ...]
    """What was checked, sorted."""
    rules: tuple[str, ...]
    """What it was checked for."""
    min_api: int
    """Android's API level; 0 on other platforms."""
    findings: tuple[PolicyFinding, ...]
    """By file, then in the order of the rules."""
    oldest: str = ""
    """The oldest system they were checked for, where it is no API level."""

    @property
    def violations(self) -> tuple[PolicyFinding, ...]:
        """The findings that fail a build."""
        return tuple(one for one in self.findings if one.verdict is Verdict.VIOLATED)

    @property
    def unchecked(self) -> tuple[PolicyFinding, ...]:
        """The findings that say what is not known."""
        return tuple(one for one in self.findings if one.verdict is Verdict.UNCHECKED)


def describe_findings(findings: Iterable[PolicyFinding]) -> list[str]:
    """Returns lines for people: what was found in which file, then what was wanted and how."""
    return [
        line
        for one in findings
        for line in (
            f"{one.file}: {one.rule} {one.verdict}: {one.found}",
            f"    wanted: {one.wanted}",
            *((f"    remedy: {one.remedy}",) if one.remedy else ()),
        )
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, as it is worded for people."""

    name: str
    wanted: str
    remedy: str
    source: str = ""


S = TypeVar("S")
"""What a platform's rules look at."""
_SHOWN = 5
"""Names in one finding; more are counted."""


class UncheckedError(Exception):
    """A rule cannot be checked; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """One library, with the values that the texts of rules have placeholders for."""

    file: str
    values: Mapping[str, object]

    def judge(
        self, rules: Iterable[Rule], checks: Mapping[str, Callable[[S], Iterator[str]]], subject: S
    ) -> Iterator[PolicyFinding]:
        """Yields what `checks`, rule -> check, find wrong with `subject` or cannot tell."""
        for rule in rules:
            try:
                for found in checks[rule.name](subject):
                    yield self.find(rule, Verdict.VIOLATED, found)
            except UncheckedError as error:
                yield self.find(rule, Verdict.UNCHECKED, str(error))

    def find(self, rule: Rule, verdict: Verdict, found: str) -> PolicyFinding:
        """Returns one finding, in the words of the rule."""
        return PolicyFinding(
            rule=rule.name,
            file=self.file,
            verdict=verdict,
            found=found,
            wanted=rule.wanted.format(**self.values),
            remedy=rule.remedy.format(**self.values) if verdict is Verdict.VIOLATED else "",
        )


def some(names: Iterable[str]) -> str:
    """Returns the first few of `names`, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return ", ".join(f"{name:.120}" for name in listed[:_SHOWN]) + more


def merge_reports(report: PolicyReport, found: tuple[PolicyFinding, ...]) -> PolicyReport:
    """Returns the report with what was found wrong with the AAR itself."""
    return replace(report, rules=(*report.rules, "contents"), findings=(*report.findings, *found))


def refuse_violations(report: PolicyReport, what: str, *, platform: str = "Android") -> None:
    """Raises VerificationError when `what` breaks a rule; says all that was found."""
    if report.violations:
        lines = describe_findings(report.violations)
        count = len({one.rule for one in report.violations})
        rules = "1 rule" if count == 1 else f"{count} rules"
        raise VerificationError(
            "\n".join((f"{what} breaks {rules} for libraries on {platform}:", *lines)),
            hint="the rules: builder check --help",
        )
