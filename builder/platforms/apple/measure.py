"""How much an xcframework adds to an app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from builder.platforms.apple.xcframework import choose_xcframework, read_manifest
from builder.size.budget_check import refuse_package_excess
from builder.system.machine import host_abi

if TYPE_CHECKING:
    from builder.core.budgets import Budgets
    from builder.platforms.apple.manifest import XcframeworkManifest


def measure_xcframework(path: Path) -> XcframeworkManifest | None:
    """Returns what the xcframework at `path`, or in that output folder, says; None without one.

    Raises:
        ConfigurationError: builder did not build it.
        VerificationError: its manifest cannot be read.
    """
    framework = choose_xcframework(path, host_abi=host_abi())
    return None if framework is None else read_manifest(framework)


def refuse_slice_excess(manifest: XcframeworkManifest, budgets: Budgets, *, path: Path) -> None:
    """Raises VerificationError when what an app grows by is larger than a budget allows."""
    measured = {abi: (entry.linked, entry.compressed) for abi, entry in manifest.slices.items()}
    refuse_package_excess(measured, budgets, path=path)
