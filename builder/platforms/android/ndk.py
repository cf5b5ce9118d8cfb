"""Android's NDK: found, its version read."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
_REVISION = re.compile(r"^Pkg\.Revision\s*=\s*([\d.]+)", re.MULTILINE)


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
    tried_releases: tuple[int, ...]
    install: str
    """How to get an NDK, for hints."""
    hosts: Mapping[str, str]
    """`sys.platform` -> folder of the compilers."""
    abis: Mapping[str, AbiFacts]
    loaders: tuple[LoaderFacts, ...]
    """Oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ApiLevels:
    """What is read of `_API_LEVELS` in an NDK; other keys are ignored."""

    min: Size
    max: Size


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


def load_facts(abi: str, api: int) -> AndroidFacts:
    """Returns what holds for `abi` from API level `api` on."""
    table = load_table()
    facts = table.abis[abi]
    # The entries are sorted by API level, so the last one that fits is the newest.
    loader = [entry for entry in table.loaders if entry.since <= api][-1]
    return AndroidFacts(
        triple=f"{facts.triple}{api}",
        libraries=facts.libraries,
        page_size=facts.page_size,
        hash_style=loader.hash_style,
        pack=loader.pack,
    )


def locate_ndk(runner: Runner, chosen: Path | None = None) -> Ndk:
    """Returns the NDK: `chosen`, else that of the environment, else the newest of the SDK.

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
    return _refuse_old(max(found, key=lambda ndk: ndk.revision))


def is_tried(ndk: Ndk) -> bool:
    """Says whether builder was tried with this release."""
    return ndk.revision[0] in load_table().tried_releases


def _read_named(folder: Path, shown: str) -> Ndk:
    ndk = _read_ndk(folder.absolute())
    if ndk is None:
        raise ToolchainError(
            f"{shown} is not an Android NDK with compilers for this machine "
            "(source.properties, toolchains/llvm/prebuilt)",
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
    host = load_table().hosts.get(sys.platform, "")
    compilers = root / "toolchains/llvm/prebuilt" / host
    try:
        found = _REVISION.search((root / "source.properties").read_text())
        # No folder of the sysroot tells the levels: some levels have none (20 and 25).
        levels = parse_json((root / _API_LEVELS).read_text(), _ApiLevels, _API_LEVELS)
        revision = parse_version(found[1]) if found else ()
    except (OSError, ValueError):
        return None
    if not revision or not host or not (compilers / "bin").is_dir():
        return None
    return Ndk(
        root=root,
        compilers=compilers,
        revision=revision,
        oldest_api=levels.min,
        newest_api=levels.max,
    )


def _list_sdk_folders(runner: Runner) -> Iterator[Path]:
    for sdk in _find_sdks(runner):
        yield from sorted((sdk / "ndk").glob("*"))
        # Where older SDK managers put the only NDK.
        yield sdk / "ndk-bundle"


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
