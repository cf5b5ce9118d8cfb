"""What a release found and wrote: one value, of which the JSON, Markdown and HTML are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from builder.core.artifacts import SizeReport
from builder.core.budgets import Budget, Budgets, Growth, find_budget
from builder.core.typed import Sha256, Size, parse_json, to_json
from builder.errors import BuilderError, ConfigurationError, ExitCode
from builder.system.files import describe_unreadable, read_regular

SCHEMA = 1
"""Version of the JSON, as in builder/schemas/release.json."""
REPORT = "report.json"
"""File name of the report in a release; it is also what the next release is compared with."""
MARKDOWN, PAGE = "report.md", "report.html"
"""File names of the other forms of the report."""
CHECKSUMS = "SHA256SUMS"
"""File name of the list of digests."""
_FAILED = "-failed"
"""What the name of the folder ends with that has the report of a release that failed."""
_MOST = 64 << 20
"""Bytes of a report, which has the sizes of all translation units of each library."""
_LARGEST = 1 << 50
"""Bytes that no library has."""


class Gate(StrEnum):
    """What a release has to pass, in this order."""

    EXPORT = "export"
    BUILD = "build"
    VERIFY = "verify"
    CHECK = "check"
    SIZE = "size"
    PACKAGE = "package"


class Outcome(StrEnum):
    """How a gate ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It was not asked for, or a gate before it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What one gate found."""

    gate: Gate
    outcome: Outcome
    details: tuple[str, ...] = ()
    """Sentences: what was done, or why it failed."""
    exit_code: int = 0
    """The exit code of the command if this is the first gate that failed; else 0."""
    error: BuilderError | None = None
    """The error; None if the gate did not fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """One model that ran on one runtime."""

    product: str
    abi: str
    model: str
    reference: str
    """Where the expected outputs come from."""
    largest: float | None
    """Largest relative difference of an output; None if nothing was compared."""
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedModel:
    """A model that a library was made for."""

    name: str
    sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedLibrary:
    """What an app gets for one ABI."""

    product: str
    """Name in builder.yaml; empty where the file has no products."""
    abi: str
    size: SizeReport
    facts: Mapping[str, str]
    """What it was made with, by name, e.g. `compiler`."""
    models: tuple[ReleasedModel, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Product and ABI, by which releases are compared."""
        return self.product, self.abi

    @property
    def title(self) -> str:
        """Product and ABI in words."""
        return f"{self.product} {self.abi}".strip()


def list_published(output: Path) -> tuple[Path, Path]:
    """Returns the folders that a release writes: its own, and that for the report of a failure."""
    return output, output.with_name(output.name + _FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A library beside that of the last release, and its budgets."""

    library: ReleasedLibrary
    before: ReleasedLibrary | None = None
    """None if the last release had none, or nothing is compared."""
    budgets: Budgets = field(default_factory=Budgets)
    growth: Growth | None = None
    """The growth that is allowed."""

    @property
    def max_size(self) -> Budget | None:
        """The budget for its bytes."""
        return find_budget(self.budgets.max_size, self.library.abi)

    @property
    def max_compressed(self) -> Budget | None:
        """The budget for its bytes when they are compressed."""
        return find_budget(self.budgets.max_compressed, self.library.abi)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file of the release; paths are relative to its folder."""

    path: str
    size: Size
    sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReport:
    """What a release found and wrote."""

    builder: str
    """The version of builder."""
    key: str = ""
    """Digest of all that decides the release; empty if its builds failed."""
    gates: tuple[GateResult, ...]
    libraries: tuple[Compared, ...] = ()
    runs: tuple[ModelRun, ...] = ()
    files: tuple[PublishedFile, ...] = ()
    growth: Growth | None = None
    """The growth that is allowed where a product has no limit of its own."""
    against: str = ""
    """What the sizes are compared with, in words; empty if with nothing."""
    folder: Path = field(default_factory=Path)
    """Where it was written; not in the JSON, which may be moved."""
    is_reused: bool = False
    """Whether the folder had it already."""

    @property
    def error(self) -> BuilderError | None:
        """The error of the first gate that failed; None if none did."""
        return next((one.error for one in self.gates if one.error), None)

    @property
    def ok(self) -> bool:
        """Whether no gate failed."""
        return self.error is None

    def to_json(self) -> dict[str, object]:
        """Returns the report as builder/schemas/release.json describes it."""
        return {
            "against": self.against,
            "builder": self.builder,
            "files": to_json(self.files),
            "gates": [
                {
                    "details": list(one.details),
                    "exit_code": one.exit_code,
                    "gate": str(one.gate),
                    "outcome": str(one.outcome),
                }
                for one in self.gates
            ],
            "key": self.key,
            "libraries": [_describe(one) for one in self.libraries],
            "max_growth": self.growth.text if self.growth else None,
            "ok": self.ok,
            "runs": to_json(self.runs),
            "schema": SCHEMA,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRelease:
    """What is read of the report of an earlier release."""

    builder: str = ""
    key: str = ""
    libraries: tuple[ReleasedLibrary, ...]

    def find(self, library: ReleasedLibrary) -> ReleasedLibrary | None:
        """Returns the same library of that release."""
        return next((one for one in self.libraries if one.key == library.key), None)


def parse_report(text: str | bytes) -> LastRelease:
    """Returns what the report of an earlier release says; ValueError if it is none."""
    read = parse_json(text, LastRelease, "report of a release", newest=SCHEMA, most=_MOST)
    if not read.libraries:
        raise ValueError("report of a release: it has no libraries")
    for one in read.libraries:
        if not all(0 < number < _LARGEST for number in (one.size.file, one.size.compressed)):
            raise ValueError("report of a release: its sizes are not those of libraries")
    if len({one.key for one in read.libraries}) < len(read.libraries):
        raise ValueError("report of a release: a product has an ABI twice")
    return read


def read_report(path: Path) -> LastRelease:
    """Returns what the report at `path`, or in that folder, says; ConfigurationError if it is none.

    A file that is absent raises FileNotFoundError.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        return parse_report(read_regular(file, _MOST))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        said = f"is not the report of a release: {error}"
        if isinstance(error, OSError):
            said = describe_unreadable(file, error)
        raise ConfigurationError(
            f"{file} {said}", hint=f"keep {REPORT} of a release, and name it"
        ) from None


def finish_gates(done: tuple[GateResult, ...]) -> tuple[GateResult, ...]:
    """Returns a result for every gate; those that were not reached are skipped."""
    known = {one.gate: one for one in done}
    reason = "a gate before it failed"
    return tuple(
        known.get(gate, GateResult(gate=gate, outcome=Outcome.SKIPPED, details=(reason,)))
        for gate in Gate
    )


def fail(gate: Gate, error: BuilderError, details: tuple[str, ...] = ()) -> GateResult:
    """Returns the result of a gate that an error ended."""
    return GateResult(
        gate=gate,
        outcome=Outcome.FAILED,
        details=details or (error.message,),
        exit_code=int(error.exit_code or ExitCode.VERIFICATION),
        error=error,
    )


def _describe(one: Compared) -> dict[str, object]:
    library, before = one.library, one.before
    return {
        **to_json(library),
        "before": None
        if before is None
        else {"compressed": before.size.compressed, "file": before.size.file},
        "budgets": {
            "max_compressed": one.max_compressed.limit if one.max_compressed else None,
            "max_size": one.max_size.limit if one.max_size else None,
        },
        "max_growth": one.growth.text if one.growth else None,
    }
