"""Findings and reports of checking libraries against the rules of their platform."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from builder.core.counts import number_of
from builder.errors import VerificationError

_PATH = re.compile(
    rb"(?<![\w./:@%*+~-])"
    rb"(?:/[A-Za-z][\w.+-]+(?:/[\w.+-]{2,})+/?|[A-Za-z]:[\\/]{1,2}\w[\w.+-]+[\\/][\w.+\\/-]+)"
)
"""An absolute path with at least two folders; shorter ones are too often words, as in `and/or`."""


class Verdict(StrEnum):
    """The result of checking one rule on one library, if it is not kept."""

    VIOLATED = "violated"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """One library and the ABI for which it is."""

    path: str
    """Path of the library in the AAR; findings name the library by it."""
    abi: str
    contents: bytes

    @property
    def name(self) -> str:
        """The file name of the library."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFinding:
    """A rule that a library does not keep, or that could not be checked."""

    rule: str
    """Name of the rule."""
    file: str
    """The library, as a path in the package."""
    verdict: Verdict
    found: str
    """What the library has, or why the rule was not checked."""
    wanted: str
    """What the rule requires."""
    remedy: str
    """How to change that; empty when builder knows no way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """All findings of one check."""

    files: tuple[str, ...]
    """The files that were checked, sorted."""
    rules: tuple[str, ...]
    """Names of the rules that were checked."""
    min_api: int
    """The API level of Android; 0 on other platforms."""
    findings: tuple[PolicyFinding, ...]
    """Findings, sorted by file, and for each file in the order of the rules."""
    oldest: str = ""
    """The oldest system that the files must support, on platforms without API levels."""

    @property
    def violations(self) -> tuple[PolicyFinding, ...]:
        """The findings that fail a build."""
        return tuple(each for each in self.findings if each.verdict is Verdict.VIOLATED)

    @property
    def unchecked(self) -> tuple[PolicyFinding, ...]:
        """The findings for rules that could not be checked."""
        return tuple(each for each in self.findings if each.verdict is Verdict.UNCHECKED)


def describe_findings(findings: Iterable[PolicyFinding]) -> list[str]:
    """Returns lines for people: file, rule and finding, then what is required, and the remedy."""
    return [
        line.replace("\n", "\\n")  # a name in a package must not forge a line of the report
        for each in findings
        for line in (
            f"{each.file}: {each.rule} {each.verdict}: {each.found}",
            f"    wanted: {each.wanted}",
            *((f"    remedy: {each.remedy}",) if each.remedy else ()),
        )
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, in words for people."""

    name: str
    wanted: str
    remedy: str
    source: str = ""


S = TypeVar("S")
"""What a platform's rules look at."""
_SHOWN = 5
"""How many names a message lists."""


class UncheckedError(Exception):
    """A rule cannot be checked; the message says why."""


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
            # A rule that cannot be checked is no violation: the report says both, and only one
            # fails.
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
    # Names in foreign libraries can have thousands of characters.
    return ", ".join(f"{name:.120}" for name in listed[:_SHOWN]) + more


def merge_reports(report: PolicyReport, found: tuple[PolicyFinding, ...]) -> PolicyReport:
    """Returns the report with findings about the contents of the package added."""
    return replace(report, rules=(*report.rules, "contents"), findings=(*report.findings, *found))


def refuse_violations(report: PolicyReport, what: str, *, platform: str = "Android") -> None:
    """Raises VerificationError when `what` breaks a rule; the message lists all violations."""
    if report.violations:
        lines = describe_findings(report.violations)
        # One rule can have many findings, and people count rules.
        rules = number_of(len({one.rule for one in report.violations}), "rule")
        raise VerificationError(
            "\n".join((f"{what} breaks {rules} for libraries on {platform}:", *lines)),
            hint="docs/how-to/check-packages.md says where the rules are described",
        )


def find_paths(data: bytes | memoryview) -> Iterator[str]:
    """Yields everything in the bytes of a file that looks like an absolute path."""
    yield from (match[0].decode(errors="replace") for match in _PATH.finditer(data))
