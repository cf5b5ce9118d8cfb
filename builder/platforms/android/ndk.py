"""Android's NDK: found, its version read."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from builder.core.toolchain import Ndk
from builder.core.typed import Size, parse_json, parse_toml
from builder.errors import ToolchainError
from builder.system.process import Runner
from builder.toolchains.tools import parse_version

NAMED_BY = ("ANDROID_NDK_HOME", "ANDROID_NDK_ROOT")
"""Variables that name an NDK."""
SDKS = ("ANDROID_HOME", "ANDROID_SDK_ROOT")
"""Variables that name an SDK, which may hold NDKs in `ndk/<version>`."""
_API_LEVELS = "meta/platforms.json"
_PREBUILT, _MOST_HOSTS = "toolchains/llvm/prebuilt", 5
_REVISION = re.compile(r"^Pkg\.Revision\s*=\s*([\d.]+)(?:-([\w.-]{1,40}))?", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbiFacts:
    """One ABI of ndk.toml."""

    triple: str
    """clang's target, without the API level."""
    libraries: str
    """Folder of the sysroot with the ABI's libraries."""
    page_size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderFacts:
    """What the loader of Android reads since an API level."""

    since: int
    hash_style: str
    pack: tuple[str, ...]
    """Flags that pack relocations as the loader reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NdkTable:
    """The content of ndk.toml."""

    oldest_release: int
    tried: Mapping[str, str]
    """Release -> what was done with it."""
    install: str
    """How to get an NDK, for hints."""
    hosts: Mapping[str, tuple[str, ...]]
    """`sys.platform`, with `-` and the machine where that matters -> folders of the compilers."""
    abis: Mapping[str, AbiFacts]
    loaders: tuple[LoaderFacts, ...]
    """Oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ApiLevels:
    """What is read of `_API_LEVELS` in an NDK; other keys are ignored."""

    min: Size
    max: Size
    aliases: Mapping[str, Size] = field(default_factory=dict)
    """Of levels (`25`) and of the names of Android's versions (`N-MR1`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AndroidFacts:
    """One ABI and API level of ndk.toml."""

    triple: str
    """With the API level, e.g. `aarch64-linux-android21`."""
    libraries: str
    """Folder of the sysroot with the ABI's libraries."""
    page_size: int
    """Bytes."""
    hash_style: str
    pack: tuple[str, ...]
    """Flags that pack relocations as the loader reads them."""


@cache
def load_table() -> NdkTable:
    """Returns the content of ndk.toml."""
    text = resources.files("builder.platforms.android").joinpath("ndk.toml").read_text()
    return parse_toml(text, NdkTable, "ndk.toml")


def load_facts(abi: str, api: int, libraries: int | None = None) -> AndroidFacts:
    """Returns what holds for `abi` from API level `api` on.

    Args:
        abi: one of Android's.
        api: API level.
        libraries: the level whose libraries are linked with; `api` when None.
    """
    table = load_table()
    facts = table.abis[abi]
    # The entries are sorted by API level, so the last one that fits is the newest.
    loader = [entry for entry in table.loaders if entry.since <= api][-1]
    return AndroidFacts(
        triple=f"{facts.triple}{api if libraries is None else libraries}",
        libraries=facts.libraries,
        page_size=facts.page_size,
        hash_style=loader.hash_style,
        pack=loader.pack,
    )


def locate_ndk(runner: Runner, chosen: Path | None = None) -> Ndk:
    """Returns the NDK: `chosen`, else that of the environment, else the newest release of the SDK.

    A beta of the SDK is taken where there is no release.

    Args:
        runner: its environment is asked.
        chosen: folder of an NDK (the setting `tools.ndk`).

    Raises:
        ToolchainError: there is none, or the one that is named is none or is too old.
    """
    environment = runner.environment
    named = ((name, environment[name]) for name in NAMED_BY if environment.get(name))
    # What is named is taken or refused: another NDK in its place would surprise.
    if chosen:
        return _read_named(chosen, str(chosen))
    if wanted := next(named, None):
        name, value = wanted
        return _read_named(Path(value), f"{name}={value}")
    found = [ndk for folder in _list_sdk_folders(runner) if (ndk := _read_ndk(folder))]
    if not found:
        raise ToolchainError(
            f"there is no Android NDK: {', '.join(NAMED_BY)} are not set, and nothing is in "
            + ", ".join(_describe_sdk_folders(runner)),
            hint=load_table().install,
        )
    return _refuse_old(max(found, key=lambda ndk: (not ndk.prerelease, ndk.revision)))


def describe_trials(ndk: Ndk) -> str:
    """Says what builder was tried with, as ndk.toml does, where that is not all of `ndk`."""
    tried = load_table().tried
    release = str(ndk.revision[0])
    if release in tried:
        return f"r{release}: {tried[release]}"
    others = ", ".join(f"r{name}" for name in tried)
    return f"builder was not tried with this release (it was with {others})"


def _read_named(folder: Path, shown: str) -> Ndk:
    ndk = _read_ndk(folder.absolute())
    if ndk is None:
        hosts = sorted(path.name for path in (folder / _PREBUILT).glob("*-*"))[:_MOST_HOSTS]
        others = f"; it has some for {', '.join(hosts)}" if hosts else ""
        raise ToolchainError(
            f"{shown} is not an Android NDK with compilers for this machine "
            f"(source.properties, {_PREBUILT}){others}",
            hint=load_table().install,
        )
    return _refuse_old(ndk)


def _refuse_old(ndk: Ndk) -> Ndk:
    oldest = load_table().oldest_release
    if ndk.revision[0] < oldest:
        raise ToolchainError(
            f"NDK {ndk.version} in {ndk.root} is too old, r{oldest} is needed",
            hint=load_table().install,
        )
    return ndk


def _read_ndk(root: Path) -> Ndk | None:
    compilers = _find_compilers(root)
    try:
        found = _REVISION.search((root / "source.properties").read_text())
        # No folder of the sysroot tells the levels: some levels have none (20 and 25).
        levels = parse_json((root / _API_LEVELS).read_text(), _ApiLevels, _API_LEVELS)
        revision = parse_version(found[1]) if found else ()
    except (OSError, ValueError):
        return None
    if not found or not revision or compilers is None:
        return None
    return Ndk(
        root=root,
        compilers=compilers,
        revision=revision,
        oldest_api=levels.min,
        newest_api=levels.max,
        aliases=_read_aliases(levels),
        prerelease=found[2] or "",
    )


def _read_aliases(levels: _ApiLevels) -> tuple[tuple[int, int], ...]:
    numbers = ((name, level) for name, level in levels.aliases.items() if name.isdecimal())
    return tuple(sorted((int(name), level) for name, level in numbers if len(name) < 4))


def _find_compilers(root: Path) -> Path | None:
    """Returns the folder of the compilers for this machine; None where the NDK has none."""
    hosts, machine = load_table().hosts, platform.machine()
    names = hosts.get(f"{sys.platform}-{machine}") or hosts.get(sys.platform, ())
    folders = (root / _PREBUILT / name for name in names)
    return next((folder for folder in folders if (folder / "bin").is_dir()), None)


def list_stub_levels(ndk: Path, api: int) -> tuple[int, ...]:
    """Returns `api`, and the level whose libraries the NDK in `ndk` has in its place."""
    try:
        levels = parse_json((ndk / _API_LEVELS).read_text(), _ApiLevels, _API_LEVELS)
    except (OSError, ValueError):
        return (api,)  # only the stubs were copied
    return tuple(dict.fromkeys((api, dict(_read_aliases(levels)).get(api, api))))


def _list_sdk_folders(runner: Runner) -> Iterator[Path]:
    for sdk in _find_sdks(runner):
        try:
            # The last one is where older SDK managers put the only NDK.
            folders = [*sorted((sdk / "ndk").glob("*")), sdk / "ndk-bundle"]
        except PermissionError:  # the home of somebody else
            continue
        yield from folders


def _describe_sdk_folders(runner: Runner) -> list[str]:
    known = {str(sdk) for sdk in _find_sdks(runner)}
    unset = [f"${name}/ndk" for name in SDKS if not runner.environment.get(name)]
    return [*(f"{sdk}/ndk" for sdk in sorted(known)), *unset]


def _find_sdks(runner: Runner) -> list[Path]:
    environment = runner.environment
    named = [Path(environment[name]) for name in SDKS if environment.get(name)]
    home = environment.get("HOME")
    usual = "Library/Android/sdk" if sys.platform == "darwin" else "Android/Sdk"
    return [*named, Path(home) / usual] if home else named  # where Android Studio puts it
