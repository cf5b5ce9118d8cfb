"""AARs, our own and others: found, known by their manifest, taken apart into libraries."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.parsers.expat import ExpatError, ParserCreate

from builder.core.targets import MIN_API
from builder.errors import ConfigurationError, Hint, Run, Use, VerificationError
from builder.platforms.android.manifest import AarManifest
from builder.platforms.package_manifest import MANIFEST, parse_package_manifest
from builder.system.zips import Zip, open_zip
from builder.verify.listing import compare_contents
from builder.verify.policy import Binary, PolicyFinding
from builder.verify.runtime import has_runtime

SUFFIX = ".aar"
_MAX_TEXT = 64 << 20
_ANDROID_MANIFEST = "AndroidManifest.xml"
_ATTRIBUTE = "http://schemas.android.com/apk/res/android minSdkVersion"
_LEVEL = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
"""An API level; the newest ones have two digits."""
_PREFAB = "prefab/"


def find_aar(path: Path) -> Path | None:
    """Returns the AAR at `path`: itself, or the only one in an output folder; None without.

    Raises:
        ConfigurationError: the folder holds several.
    """
    if path.suffix.lower() == SUFFIX and not path.is_dir():
        return path
    # builder writes no name that would break a message's line.
    found = sorted(
        item
        for item in path.glob(f"maven/**/*{SUFFIX}")
        if str(item.relative_to(path)).isprintable()
    )
    if len(found) > 1:
        raise ConfigurationError(f"{path} holds {len(found)} AARs", hint=f"choose one: {found[-1]}")
    return found[0] if found else None


def choose_aar(path: Path, *, host_abi: str) -> Path | None:
    """Returns the AAR that is meant by `path`; None where it is a runtime of this machine.

    A build for Android leaves a folder for each ABI beside the AAR, which stands for all of them.

    Raises:
        ConfigurationError: the folder holds several.
    """
    return None if has_runtime(path, host_abi=host_abi) else find_aar(path)


def read_aar_manifest(path: Path) -> AarManifest:
    """Returns what an AAR says of itself.

    Raises:
        ConfigurationError: it cannot be read, or has no manifest: somebody else built it.
        VerificationError: its manifest cannot be read.
    """
    with open_zip(path) as archive:
        manifest = find_aar_manifest(archive)
    if manifest is None:
        raise ConfigurationError(
            f"{path} does not say what it can run: it has no {MANIFEST}",
            hint=Hint(
                Run("build", ("MODEL", Use("targets.abis", "arm64-v8a"), Use("output", "out"))),
                " makes one that does",
            ),
        )
    return manifest


def find_aar_manifest(archive: Zip) -> AarManifest | None:
    """Returns the manifest in an open AAR; None where there is none.

    Raises:
        ConfigurationError: the archive is damaged.
        VerificationError: the manifest cannot be read.
    """
    if MANIFEST not in archive.names:
        return None
    try:
        return parse_package_manifest(archive.read(MANIFEST, limit=_MAX_TEXT).decode(), AarManifest)
    except ValueError as error:
        raise VerificationError(
            f"{MANIFEST} in {archive.name} is not a valid manifest: {error}",
            hint="build the AAR again",
        ) from error


def read_binaries(archive: Zip) -> Iterator[Binary]:
    """Yields every shared library in an AAR; its folder names the ABI."""
    for path in archive.names:
        if path.endswith(".so"):
            # prefab names its folders `android.<ABI>`, jni/ has plain ABIs.
            folder = path.rpartition("/")[0].rpartition("/")[2]
            abi = folder.removeprefix("android.") if path.startswith(_PREFAB) else folder
            yield Binary(path=path, abi=abi, contents=archive.read(path))


def find_min_api(archive: Zip) -> int | None:
    """Returns the lowest API level that an AAR declares; None when it declares none.

    Raises:
        ConfigurationError: what it declares is not an API level, the manifest is not XML, or the
            archive is damaged.
    """
    if _ANDROID_MANIFEST not in archive.names:
        return None
    where = f"{_ANDROID_MANIFEST} in {archive.name}"
    hint = Hint("name the lowest level that it is to run on: ", Use("min_api", MIN_API))
    try:
        declared = _find_min_sdk(archive.read(_ANDROID_MANIFEST, limit=_MAX_TEXT))
    except (ExpatError, ValueError, LookupError) as error:
        raise ConfigurationError(f"{where} cannot be read as XML: {error}", hint=hint) from None
    if declared is None:
        return None
    level = declared.strip()
    if not _LEVEL.fullmatch(level):
        raise ConfigurationError(
            f"{where} has the minSdkVersion {level!r:.80}, which is not an API level", hint=hint
        )
    return int(level)


def _find_min_sdk(text: bytes) -> str | None:
    """Returns the value in the first `uses-sdk` of a manifest; None where there is none.

    Raises:
        ExpatError, ValueError: it is not XML, or has a document type, whose entities may be costly.
        LookupError: Python does not know its encoding.
    """
    # The manifest in an AAR is text; only the one in an APK is binary.
    parser = ParserCreate(namespace_separator=" ")
    found: list[str] = []
    open_elements = 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal open_elements
        if (open_elements, name) == (1, "uses-sdk") and _ATTRIBUTE in attributes:
            found.append(attributes[_ATTRIBUTE])
        open_elements += 1

    def end(_: str) -> None:
        nonlocal open_elements
        open_elements -= 1

    def refuse(*_: object) -> None:
        raise ValueError("it has a document type")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(text, True)
    return found[0] if found else None


def has_prefab(archive: Zip) -> bool:
    """Returns whether C++ users may link against the libraries."""
    return any(name.startswith(_PREFAB) for name in archive.names)


def check_contents(archive: Zip, manifest: AarManifest) -> Iterator[PolicyFinding]:
    """Yields the files that are not those which the manifest lists."""

    def digest(name: str) -> str:
        return hashlib.sha256(archive.read(name)).hexdigest()

    return compare_contents(archive.names, manifest.files, digest, manifest=MANIFEST, package="AAR")
