"""What a user chooses of the packages of all platforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from builder.core.setting_fields import Setting
from builder.platforms.android.package import AarOptions
from builder.platforms.apple.package import AppleOptions
from builder.platforms.linux.package import LinuxOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOptions:
    """What a user chooses of packages; each platform reads its own."""

    assets: Annotated[tuple[Path, ...], Setting(path="file")] = ()
    """Files for the AAR's assets and the Swift package's resources, e.g. the model."""
    android: AarOptions = field(default_factory=AarOptions)
    apple: AppleOptions = field(default_factory=AppleOptions)
    linux: LinuxOptions = field(default_factory=LinuxOptions)
