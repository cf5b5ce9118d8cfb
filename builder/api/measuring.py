"""Measuring built runtimes, and what operators cost in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.release_report import REPORT, ReleasedLibrary
from builder.core.artifacts import SizeReport
from builder.core.typed import MAX_JSON, parse_json
from builder.errors import ConfigurationError
from builder.packaging.result_folder import MANIFEST
from builder.packaging.runtime_folder import REFERENCES, SIZE_REPORT, parse_size_report
from builder.platforms.android import measure as aars
from builder.platforms.android.aar import choose_aar
from builder.platforms.android.sizes import AarSizes
from builder.size import prices as pricing
from builder.size.page import is_own_page, render_page
from builder.size.reference_graph import parse_references
from builder.system.files import read_regular
from builder.system.machine import host_abi
from builder.system.outputs import refuse_foreign_file, refuse_unwritable
from builder.verify.runtime import locate_runtime

if TYPE_CHECKING:
    from builder.core.budgets import Budgets
    from builder.size.reference_graph import ReferenceGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptReport:
    """What `builder size --json` prints, or the report of a release; one of the fields."""

    runtime: SizeReport | None = None
    aar: AarSizes | None = None
    abi: str = ""
    libraries: tuple[ReleasedLibrary, ...] = ()

    def choose(self, abi: str) -> SizeReport | None:
        """Returns the library of a release for `abi`; ValueError if there is none, or several."""
        found = [one.size for one in self.libraries if one.abi == abi]
        if self.libraries and len(found) != 1:
            how = "several products with" if found else "no library for"
            raise ValueError(f"it is the report of a release that has {how} {abi}")
        return found[0] if found else None


_MOST_KEPT = 64 << 20
"""Bytes of a report, which may have many libraries."""
_MARK_AND_BLANKS = b"\xef\xbb\xbf \t\r\n"
"""What may stand before a report: the mark of UTF-8, and blanks."""
_BLANKS = 1 << 10
"""Bytes in which a report begins, behind blanks."""
_MAX_REFERENCES = 64 << 20
"""How many bytes a compressed reference graph may have."""
_SCHEMA = 1
"""Newest version of a kept report."""
_LARGEST = 1 << 50
"""Bytes that no library has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRuntime:
    """A built runtime and where its bytes go."""

    root: Path
    """The folder of its ABI."""
    abi: str
    report: SizeReport
    """Sizes of the library and of its parts."""


def size(path: Path) -> MeasuredRuntime:
    """Returns the size report of a built runtime; it is a file in the runtime's folder.

    Raises:
        ConfigurationError: there is no runtime, or its report cannot be read.
        VerificationError: its manifest cannot be read.
    """
    # A runtime for another machine can be measured too.
    runtime = locate_runtime(path, host_abi=host_abi(), to_run=False)
    file = runtime.root / SIZE_REPORT
    try:
        report = parse_size_report(read_regular(file, MAX_JSON).decode())
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise ConfigurationError(
                f"{path} has no sizes of a runtime: {file} is not there",
                hint="name the output folder of builder build, or what was kept of an earlier one",
            ) from None
        raise ConfigurationError(
            f"{file} is not a valid size report: {error}", hint="build the runtime again"
        ) from error
    return MeasuredRuntime(root=runtime.root, abi=runtime.manifest.abi, report=report)


def size_before(path: Path, abi: str) -> MeasuredRuntime:
    """Returns the sizes of an earlier runtime, from its folder or from a file that was kept of it.

    The file is what `builder size --json` printed, the report.json of a release, or a runtime's
    size.json or manifest.json. A
    size.json does not say its ABI, which is then taken to be `abi`.

    Raises:
        ConfigurationError: it is none of these, or a report of a package.
    """
    if (released := path / REPORT).is_file():
        path = released
    if not path.is_file() or path.name == MANIFEST:
        return size(path.parent if path.name == MANIFEST else path)
    try:
        text = _read_json(path)
        kept = parse_json(text, _KeptReport, "size report", most=_MOST_KEPT)
        report = _refuse_senseless(kept.runtime or kept.choose(abi) or parse_size_report(text))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} is not a size report of a runtime: {error}",
            hint="keep what builder size --json prints for the earlier runtime",
        ) from error
    return MeasuredRuntime(root=path.parent, abi=kept.abi or abi, report=report)


def _read_json(path: Path) -> str:
    content = read_regular(path, _MOST_KEPT)
    try:
        # Of another kind of file, such as a library, there is nothing to tell but this.
        if content[:_BLANKS].lstrip(_MARK_AND_BLANKS).startswith(b"{"):
            return content.decode()
    except UnicodeDecodeError:
        pass
    raise ValueError("it is no JSON")


def _refuse_senseless(report: SizeReport) -> SizeReport:
    if not all(0 < one < _LARGEST for one in (report.file, report.compressed)):
        raise ValueError("its sizes are not those of a library")
    return report


def aar_before(path: Path) -> AarSizes | None:
    """Returns the sizes of an earlier AAR, from the AAR or from `builder size --json` of it.

    None where `path` is neither of them.
    """
    if path.suffix != ".json":
        return measure_aar(path)
    try:
        text = read_regular(path, MAX_JSON).decode()
        sizes = parse_json(text, _KeptReport, "size report", newest=_SCHEMA).aar
    except (OSError, ValueError):
        return None
    if sizes is not None and not _has_sizes(sizes):
        raise ConfigurationError(
            f"{path} is not a size report of an AAR: its sizes are not those of libraries",
            hint="keep what builder size --json prints for the earlier AAR",
        )
    return sizes


def _has_sizes(sizes: AarSizes) -> bool:
    return bool(sizes.libraries) and all(
        0 < one < _LARGEST for total in sizes.totals.values() for one in total
    )


def measure_aar(path: Path) -> AarSizes | None:
    """Returns what the AAR at `path`, or in that output folder, adds to an app; None without one.

    Raises:
        ConfigurationError: it is damaged, there are several, or it has no libraries.
    """
    aar = choose_aar(path, host_abi=host_abi())
    # The path may hold a runtime instead, which is asked next.
    return None if aar is None else aars.measure_aar(aar)


def refuse_aar_excess(sizes: AarSizes, budgets: Budgets, *, path: Path) -> None:
    """Raises VerificationError when the libraries of an ABI are larger than a budget allows."""
    aars.refuse_aar_excess(sizes, budgets, path=path)


def price_set(runtime: MeasuredRuntime, operators: Sequence[str]) -> int:
    """Returns the bytes that the library would lose without all of `operators`.

    Raises:
        ConfigurationError: the runtime has no reference graph.
        ModelError: it has no such operator.
    """
    return pricing.price_set(read_references(runtime.root), operators)


def render_size_page(runtime: MeasuredRuntime) -> str:
    """Returns a self-contained HTML page with a treemap of the library and operator prices.

    Raises:
        ConfigurationError: the runtime has no reference graph.
    """
    return render_page(runtime.abi, runtime.report, read_references(runtime.root))


def read_references(root: Path) -> ReferenceGraph:
    """Returns the reference graph of the runtime in the folder of its ABI.

    Raises:
        ConfigurationError: there is none, or it is damaged.
    """
    file = root / REFERENCES
    try:
        return parse_references(read_regular(file, _MAX_REFERENCES))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error}", hint="build the runtime again"
        ) from error


def refuse_page(path: Path) -> None:
    """Raises ConfigurationError when a page of sizes cannot be written to `path`."""
    refuse_unwritable(path)
    refuse_foreign_file(path, is_own_page, "page that builder wrote")
