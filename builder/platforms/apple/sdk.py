"""SDKs of Apple's that the user has: found, their settings read. builder ships and fetches none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.core.targets import Target, format_os_version, parse_os_version
from builder.core.toolchain import AppleSdk
from builder.core.typed import parse_json
from builder.errors import Hint, ToolchainError, Use
from builder.platforms.apple.facts import AppleFacts, load_facts, load_table

_SETTINGS = "SDKSettings.json"
_FOLDERS = (
    *("", "*.sdk", "SDKs/*.sdk", "*.platform/Developer/SDKs/*.sdk"),
    "Platforms/*.platform/Developer/SDKs/*.sdk",
    "Contents/Developer/Platforms/*.platform/Developer/SDKs/*.sdk",
)
"""Where SDKs are below a folder that the user names: itself, one of many, or Xcode's."""
_TRIED = "an iPhoneOS.sdk and an iPhoneSimulator.sdk are in Xcode.app/Contents/Developer/Platforms"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SupportedTarget:
    """A platform in `SDKSettings.json`; the names are Apple's."""

    MinimumDeploymentTarget: str
    MaximumDeploymentTarget: str
    Archs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SettingsFile:
    """What is read of `SDKSettings.json`; other keys are ignored."""

    Version: str
    SupportedTargets: Mapping[str, _SupportedTarget]


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkSettings:
    """What an SDK says of one platform."""

    name: str
    oldest: int
    newest: int
    """Deployment targets, as in `Target.min_os`."""
    archs: tuple[str, ...]


def read_sdk(folder: Path, target: Target) -> AppleSdk:
    """Returns the SDK for `target` in the folder that the user named.

    Raises:
        ToolchainError: there is none for the platform or the CPU architecture, or it lacks
            the deployment target.
    """
    facts = load_facts(target)
    there = sorted(_list_settings(folder))
    # Names end with the version, so the last one is usually the newest.
    for root, text in reversed(there):
        settings = parse_settings(text, facts.sdk)
        if settings is not None:
            refuse_unfit(settings, target, facts)
            return AppleSdk(root=root.absolute(), name=settings.name, newest=settings.newest)
    names = ", ".join(root.name for root, _ in there) or "none"
    raise ToolchainError(
        f"{folder} has no SDK for {facts.sdk}, which {target} needs; SDKs there: {names}",
        hint=Hint("name a folder with one: ", Use("tools.apple_sdk", "DIR"), f"; {_TRIED}"),
    )


def parse_settings(text: str, sdk: str) -> SdkSettings | None:
    """Returns what `SDKSettings.json` says of the platform that xcrun calls `sdk`; None without."""
    try:
        data = parse_json(text, _SettingsFile, _SETTINGS)
        described = data.SupportedTargets[sdk]
        return SdkSettings(
            name=f"{sdk}{data.Version}",
            oldest=parse_os_version(described.MinimumDeploymentTarget),
            # Apple writes 17.2.99 for every 17.2.
            newest=parse_os_version(described.MaximumDeploymentTarget.removesuffix(".99")),
            archs=described.Archs,
        )
    except (ValueError, KeyError):
        return None


def refuse_unfit(settings: SdkSettings, target: Target, facts: AppleFacts) -> None:
    """Raises ToolchainError when an SDK lacks the CPU architecture or the deployment target."""
    version = format_os_version(target.min_os)
    if facts.arch not in settings.archs:
        raise ToolchainError(
            f"{settings.name} has no {facts.arch}, it has {', '.join(settings.archs)}",
            hint=Hint("name another: ", Use("tools.apple_sdk", "DIR")),
        )
    # The last two digits are the patch release, of which an SDK allows all.
    if not settings.oldest <= target.min_os <= settings.newest + 99:
        raise ToolchainError(
            f"{settings.name} builds for {format_os_version(settings.oldest)} to "
            f"{format_os_version(settings.newest)}, not {version}",
            hint=Hint("choose another deployment target: ", Use("targets.min_ios", "VERSION")),
        )


def refuse_closed(target: Target) -> None:
    """Raises ToolchainError where the SDK of open headers does not support `target`."""
    newest = load_table().open.newest
    if not load_facts(target).open:
        raise ToolchainError(
            f"{target} needs an SDK of Apple: the open headers do not support its CPU",
            hint=Hint("name one: ", Use("tools.apple_sdk", "DIR"), ", or leave out this ABI"),
        )
    if target.min_os > parse_os_version(newest):
        raise ToolchainError(
            f"the open headers support iOS up to {newest}, not {format_os_version(target.min_os)}",
            hint=Hint(
                "choose an older deployment target: ",
                *(Use("targets.min_ios", "VERSION"), ", or ", Use("tools.apple_sdk", "DIR")),
            ),
        )


def describe_open_sdk(root: Path) -> AppleSdk:
    """Returns the SDK of open headers that is assembled at `root`."""
    facts = load_table().open
    return AppleSdk(
        root=root,
        name=f"{facts.name} {root.name.rpartition('-')[2]}",
        newest=parse_os_version(facts.newest),
        is_open=True,
    )


def _list_settings(folder: Path) -> Iterator[tuple[Path, str]]:
    for pattern in _FOLDERS:
        for root in folder.glob(pattern) if pattern else (folder,):
            settings = root / _SETTINGS
            # Xcode has links such as iPhoneOS17.2.sdk beside iPhoneOS.sdk.
            if settings.is_file() and not root.is_symlink():
                yield root, settings.read_text(errors="replace")
