"""What goes into an AAR, and where it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.core.artifacts import CarriedLibrary
from builder.core.components import Component
from builder.core.plan import JNI_SONAME
from builder.core.runtime_manifest import Manifest
from builder.errors import ConfigurationError, Hint, Use

GROUP = "org.pytorch"
ARTIFACT = "pytorch_android_lite"
"""The published artifact, so that an app changes the version and nothing else."""


REVISION = 1
"""Of the package around one PyTorch version; goes up when layout or Java classes change."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """What a Gradle dependency line names.

    ValueError when a part cannot be a folder of a Maven repository.
    """

    group: str = GROUP
    artifact: str = ARTIFACT
    version: str

    def __post_init__(self) -> None:
        for what, text in zip(("group", "artifact", "version"), self._parts, strict=True):
            # The parts become folders and file names of a repository.
            if not _NAME.fullmatch(text) or ".." in text or text.endswith("."):
                raise ValueError(f"{text!r} cannot be the {what} of a Maven artifact")
        # Gradle asks for snapshots again and again, since they may change.
        if self.version.endswith("-SNAPSHOT"):
            raise ValueError(
                f"{self.version!r} is a snapshot; a package never changes once written"
            )

    @property
    def folder(self) -> str:
        """Where the artifact's versions are in a Maven repository, POSIX."""
        return f"{self.group.replace('.', '/')}/{self.artifact}"

    @property
    def stem(self) -> str:
        """What the names of all its files start with."""
        return f"{self.artifact}-{self.version}"

    @property
    def _parts(self) -> tuple[str, str, str]:
        return self.group, self.artifact, self.version

    def __str__(self) -> str:
        return ":".join(self._parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AarOptions:
    """What a user chooses of an AAR; the rest follows from what is built."""

    group: str = GROUP
    """Maven group ID of the AAR."""
    artifact: str = ARTIFACT
    """Maven artifact ID of the AAR."""
    version: str | None = None
    """Version of the AAR (default: PyTorch's version with a revision)."""
    prefab: bool = False
    """Add a Prefab module to the AAR, so that C++ code of an app can use its C API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AndroidLibrary:
    """The native side for one ABI."""

    abi: str
    """The NDK's name of it: `arm64-v8a`, `armeabi-v7a`, `x86`, `x86_64`."""
    library: Path
    """The stripped library, which becomes `jni/<abi>/libpytorch_jni_lite.so`."""
    unstripped: Path
    """The same library with its symbols, for `native-debug-symbols.zip`."""
    manifest: Manifest
    """The manifest of the runtime, without a list of files."""
    page_size: int
    """Bytes that its LOAD segments are aligned to."""
    flags: tuple[str, ...] = ()
    """Other facts of how it was compiled and linked, e.g. `profile=size`; no paths."""
    others: tuple[CarriedLibrary, ...] = ()
    """Libraries that it needs beside it: `libc++_shared.so`, when the user chose it."""
    components: tuple[Component, ...] = ()
    """Third-party components in the library."""
    other_components: tuple[Component, ...] = ()
    """Third-party components in `others`."""

    @property
    def files(self) -> dict[str, CarriedLibrary]:
        """All libraries for the ABI, by their names in the AAR; the runtime first."""
        own = CarriedLibrary(library=self.library, unstripped=self.unstripped)
        return {JNI_SONAME: own, **{other.library.name: other for other in self.others}}


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaPart:
    """What `builder.platforms.android.java` made of the folder `java`."""

    sources: Path
    """`java/src`."""
    classes: Path
    """The folder that `compile_library` wrote."""
    javadoc: Path
    """The folder that `write_javadoc` wrote."""
    rules: Path
    """`java/proguard.txt`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefab:
    """What makes the AAR a package for C++ users too (https://google.github.io/prefab)."""

    headers: Mapping[str, Path]
    """The headers, by their paths below an include folder."""
    ndk: int
    """Major version of the NDK that the libraries were built with."""
    stl: str = "none"
    """C++ runtime as prefab names it; `none` when it is linked in, `c++_shared` otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AndroidPackage:
    """All that one AAR is made of."""

    coordinates: Coordinates
    min_api: int
    """`minSdkVersion`."""
    libraries: tuple[AndroidLibrary, ...]
    java: JavaPart
    licences: Mapping[str, Path]
    """Name -> text."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """Source -> commit or SHA-256 that it was pinned by."""
    assets: Mapping[str, Path] = field(default_factory=dict)
    """Path below `assets/`, POSIX -> file; a model that the app opens by that name."""
    prefab: Prefab | None = None
    """Given where the libraries export the C API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAar:
    """Where an AAR and what belongs to it were written."""

    coordinates: Coordinates
    """What a dependency line of Gradle names."""
    repository: Path
    """The Maven repository, for Gradle's `maven { url = uri(...) }`."""
    folder: Path
    """The folder of this version in the repository."""
    aar: Path
    """The AAR."""
    symbols: Path
    """The file `native-debug-symbols.zip`."""


def default_version(source_version: str) -> str:
    """Returns the version of an AAR of this PyTorch: `2.6.0-1`.

    A number behind a hyphen sorts behind the plain version and before the next one both in Maven
    (https://maven.apache.org/pom.html#version-order-specification) and in Gradle
    (https://docs.gradle.org/current/userguide/dependency_versions.html#sec:version-ordering);
    a word there is later than the plain version in Maven, and earlier in Gradle.
    """
    return f"{source_version}-{REVISION}"


def choose_coordinates(options: AarOptions, source_version: str) -> Coordinates:
    """Returns what the AAR is called; ConfigurationError for what Maven cannot have."""
    try:
        return Coordinates(
            group=options.group,
            artifact=options.artifact,
            version=options.version or default_version(source_version),
        )
    except ValueError as error:
        raise ConfigurationError(
            str(error),
            hint=Hint(
                *("see ", Use("android.group"), ", ", Use("android.artifact"), " and "),
                *(Use("android.version"), " in docs/reference/settings.md"),
            ),
        ) from None
