"""Everything that `builder build` lets a user decide, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from builder.core.budgets import Budgets
from builder.core.plan import BuildRequest
from builder.core.setting_fields import Setting
from builder.platforms.package_options import PackageOptions
from builder.system.machine import host_abi

CONFIGURATION = "builder.yaml"
"""Name of the file with settings that `builder build` reads without being told."""

LOCK = "builder.lock"
"""Name of the file that `builder lock` writes beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """What to build for."""

    abis: Annotated[tuple[str, ...], Setting(placeholder="ABI")] = field(
        default_factory=lambda: (host_abi(),)
    )
    """The ABIs to build for; `builder doctor` lists all ABIs."""
    min_api: int | None = None
    """Oldest API level of Android that the runtime must support (default: 21)."""
    min_ios: Annotated[str | None, Setting(placeholder="VERSION")] = None
    """Oldest iOS version that the runtime must support, the deployment target (default: 14.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """The settings of a build; see docs/reference/settings.md."""

    targets: TargetSettings = field(default_factory=TargetSettings)
    request: Annotated[BuildRequest, Setting(inline=True)] = field(default_factory=BuildRequest)
    output: Annotated[Path, Setting(path="new folder")] = Path("out")
    """Folder for the results: <abi>/ for each ABI, maven/ for Android, apple/ for Apple's
    systems."""
    packages: Annotated[PackageOptions, Setting(inline=True)] = field(
        default_factory=PackageOptions
    )
    budgets: Budgets = field(default_factory=Budgets)
