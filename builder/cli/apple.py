"""Prints packages for Apple's systems on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from builder.cli.console import echo, format_bytes, print_table
from builder.core.counts import number_of
from builder.verify.policy import describe_findings

if TYPE_CHECKING:
    from builder.api import AppleResult
    from builder.platforms.apple.manifest import XcframeworkManifest


def print_apple(result: AppleResult) -> None:
    """Prints which files were written, their sizes, and the lines that a project needs."""
    written = result.written
    print_table(
        ("xcframework", str(written.framework)),
        (
            *(
                (
                    f"{abi} in bytes",
                    f"{format_bytes(size.file)} in an app, compressed "
                    f"{format_bytes(size.compressed)}, static library "
                    f"{format_bytes(result.archives[abi])}",
                )
                for abi, size in result.sizes.items()
            ),
            ("checksum of the zip", written.checksum),
            (
                "rules kept",
                f"{len(result.report.rules)} on "
                f"{number_of(len(result.report.files), 'static library', 'static libraries')}",
            ),
        ),
    )
    for line in describe_findings(result.report.unchecked):
        echo(line)
    echo("to use it from SwiftPM or CocoaPods, add:")
    echo(f'  .package(path: "{written.folder}")')
    # The pod has the name of PyTorch's own, so that a Podfile needs another source only.
    echo(f"  pod 'LibTorch-Lite', :path => '{written.folder}'")


def describe_apple(result: AppleResult) -> dict[str, object]:
    """Returns what `print_apple` shows as values for JSON."""
    written = result.written
    return {
        "checksum": written.checksum,
        "path": str(written.framework),
        "rules": list(result.report.rules),
        "rules_unchecked": describe_findings(result.report.unchecked),
        "sizes": {
            abi: {
                "archive": result.archives[abi],
                "compressed_size": size.compressed,
                "size": size.file,
            }
            for abi, size in result.sizes.items()
        },
        "version": written.version,
        "zip": str(written.archive),
    }


def print_slices(manifest: XcframeworkManifest, other: XcframeworkManifest | None) -> None:
    """Prints what each ABI of an xcframework adds to an app, next to another if given."""
    if other is None:
        print_table(("abi", "in an app", "compressed", "static library"), _rows(manifest))
        return
    print_table(
        ("abi", "in an app", "against", "compressed", "against"),
        (
            (
                abi,
                _bytes(manifest, abi, "linked"),
                _bytes(other, abi, "linked"),
                _bytes(manifest, abi, "compressed"),
                _bytes(other, abi, "compressed"),
            )
            # An ABI that only one of both has is shown with a dash, not left out.
            for abi in sorted({*manifest.slices, *other.slices})
        ),
    )


def slices_json(manifest: XcframeworkManifest) -> Mapping[str, object]:
    """Returns the sizes of each ABI as values for JSON."""
    return {
        abi: {
            "archive": manifest.files[entry.path].size,
            "compressed": entry.compressed,
            "linked": entry.linked,
        }
        for abi, entry in manifest.slices.items()
    }


def _rows(manifest: XcframeworkManifest) -> list[tuple[str, str, str, str]]:
    return [
        (
            abi,
            format_bytes(entry.linked),
            format_bytes(entry.compressed),
            format_bytes(manifest.files[entry.path].size),
        )
        for abi, entry in manifest.slices.items()
    ]


def _bytes(manifest: XcframeworkManifest, abi: str, field: str) -> str:
    entry = manifest.slices.get(abi)
    return "-" if entry is None else format_bytes(getattr(entry, field))
