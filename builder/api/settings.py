"""Everything that `builder build` lets a user decide, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from builder.core.budgets import Budgets, Growth
from builder.core.nesting import InputSpec
from builder.core.plan import BuildRequest
from builder.core.setting_fields import Setting, Text
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Where a release runs its models, and how."""

    enabled: bool = True
    """Run each model on the runtimes, and compare its outputs with PyTorch's."""
    abis: Annotated[tuple[str, ...], Setting(placeholder="ABI")] = ()
    """The ABIs whose runtimes run the models (default: this machine's, if it is built). A release
    fails if one of them cannot be run here."""
    via: Annotated[tuple[tuple[str, str], ...], Setting(placeholder="ABI=COMMAND")] = ()
    """For an ABI: the command that runs the runtime's programs, e.g. 'adb shell' or an emulator."""
    inputs: tuple[InputSpec, ...] = ()
    """Random inputs for models that have no reference case beside them."""
    tolerance: Annotated[float | None, Setting(least=0)] = None
    """Largest relative difference that is allowed for floating-point outputs (default: 1e-4 for
    float32)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCheck:
    """What to compare the libraries of a package with."""

    min_api: Annotated[int | None, Setting(least=1, most=999)] = None
    """For an AAR or a library: the lowest API level to check for (default: what the AAR
    declares)."""
    page_size: Annotated[int | None, Setting(least=4096, most=1 << 24)] = None
    """For an AAR or a library: the alignment in bytes that 64-bit libraries must have (default:
    16384)."""
    ndk: Annotated[Path | None, Setting(path="folder")] = None
    """For an AAR or a library: an Android NDK; its stub libraries list the symbols that devices
    have."""
    apple_sdk: Annotated[Path | None, Setting(path="folder")] = None
    """For an xcframework: an Apple SDK; its stub libraries list the symbols that devices have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthSettings:
    """How a release compares the sizes of a product with those of the last release."""

    max_growth: Annotated[Text[Growth] | None, Setting(placeholder="PERCENT|SIZE")] = None
    """For the libraries of this product, instead of `release.max_growth`. The option --max-growth
    counts for all products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSettings:
    """How a release shows that its packages work, and did not grow too much."""

    verify: RunSettings = field(default_factory=RunSettings)
    check: PackageCheck = field(default_factory=PackageCheck)
    size: GrowthSettings = field(default_factory=GrowthSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSettings:
    """What a release writes, and what it is compared with."""

    output: Annotated[Path, Setting(path="new folder")] = Path("release")
    """The folder to publish: packages, bills of materials, checksums and the report."""
    against: Annotated[Path | None, Setting(placeholder="FILE")] = None
    """The report.json of the last release, or the folder with it, to compare the sizes with."""
    first: bool = False
    """Accept that the file of `against` is absent, as before the first release; then nothing is
    compared."""
    max_growth: Annotated[Text[Growth] | None, Setting(placeholder="PERCENT|SIZE")] = None
    """With `against`: the release fails if the size or the compressed size of an ABI's libraries
    grew by more, e.g. 2% or 20KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSettings:
    """The settings of a release as a whole, beside those of its builds and proofs."""

    release: PublishSettings = field(default_factory=PublishSettings)
