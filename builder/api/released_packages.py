"""Fills the folder of a release: packages, bills of materials, sizes, checksums and the report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.api.build_report import BuildReport
from builder.api.measuring import MeasuredRuntime, render_size_page
from builder.api.release_document import describe_release
from builder.api.release_report import (
    CHECKSUMS,
    MARKDOWN,
    PAGE,
    REPORT,
    PublishedFile,
    ReleaseReport,
)
from builder.errors import ConfigurationError
from builder.formats.documents import render_html, render_markdown
from builder.packaging.result_folder import LISTING
from builder.packaging.runtime_archive import write_tar
from builder.packaging.sbom import SBOM
from builder.system.files import copy_file, digest_file, write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltProduct:
    """A product of builder.yaml with what was built for it."""

    name: str
    """Empty where the file has no products."""
    report: BuildReport


def fill_release(
    folder: Path, products: Sequence[BuiltProduct], report: ReleaseReport
) -> tuple[PublishedFile, ...]:
    """Writes packages and report to an empty folder; returns the packages."""
    for product in products:
        _write_packages(folder / product.name, product)
    files = tuple(_list_files(folder))
    write_reports(folder, replace(report, files=files))
    lines = (f"{one.sha256}  {one.path}\n" for one in _list_files(folder))
    write_atomically(folder / CHECKSUMS, "".join(lines))
    return files


def write_reports(folder: Path, report: ReleaseReport) -> None:
    """Writes the report in its three forms."""
    document = describe_release(report)
    text = json.dumps(report.to_json(), indent=1, sort_keys=True, ensure_ascii=True)
    write_atomically(folder / REPORT, text + "\n")
    write_atomically(folder / MARKDOWN, render_markdown(document))
    write_atomically(folder / PAGE, render_html(document))


def _write_packages(folder: Path, product: BuiltProduct) -> None:
    report = product.report
    for runtime in report.runtimes:
        root, abi = runtime.package.root, runtime.plan.target.abi
        # A static library is in the xcframework already, and of no use without it.
        if not runtime.plan.target.is_apple:
            write_tar(root, folder / f"torchlite-{abi}.tar.gz", abi)
        copy_file(root / SBOM, folder / f"sbom/{abi}.cdx.json")
        measured = MeasuredRuntime(root=root, abi=abi, report=runtime.size)
        try:
            write_atomically(folder / f"sizes/{abi}.html", render_size_page(measured))
        except ConfigurationError:
            continue  # a runtime without a reference graph has no picture
    if report.aar:
        written = report.aar.written
        _copy_folder(written.folder, folder / "maven" / written.coordinates.folder, below=True)
    if report.apple:
        _copy_folder(report.apple.written.folder, folder / "apple")


def _copy_folder(source: Path, target: Path, *, below: bool = False) -> None:
    target = target / source.name if below else target
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name != LISTING:
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            copy_file(path, target / path.relative_to(source), mode=mode)


def _list_files(folder: Path) -> Iterator[PublishedFile]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield PublishedFile(
                path=path.relative_to(folder).as_posix(),
                size=path.stat().st_size,
                sha256=digest_file(path),
            )
