"""A compiler with everything around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from builder.core.setting_fields import Setting
from builder.core.targets import Target


class Bitcode(StrEnum):
    """Where link-time optimisation finds bitcode; machine code tells what is reached."""

    NONE = "none"
    INSIDE = "inside"
    """In the object, beside the machine code (https://llvm.org/docs/FatLTO.html)."""
    BESIDE = "beside"
    """In a file beside the object, which is made of it."""


# Full and not thin: the library is optimised as one module.
BITCODE_ONLY = "-flto=full"
"""Flag of units whose bitcode goes beside the object."""
LTO_COMPILE = {Bitcode.INSIDE: ("-flto", "-ffat-lto-objects"), Bitcode.BESIDE: (BITCODE_ONLY,)}
"""Flags of compilations whose bitcode is wanted."""
LTO_LINK = {
    Bitcode.INSIDE: (*LTO_COMPILE[Bitcode.INSIDE], "-Wl,--fat-lto-objects"),
    Bitcode.BESIDE: ("-flto",),
}
"""Flags of a link of bitcode, for ELF.

Where objects hold both, the linker is told by name: clang does so only where its file is called
`ld.lld`, not `ld.lld-19` (addLTOOptions in clang/lib/Driver/ToolChains/CommonArgs.cpp); lld would
take the machine code then.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One program, by absolute path, with the version it reports."""

    name: str
    path: Path
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTools:
    """What makes a static library for Linux."""

    objcopy: Tool
    archiver: Tool
    """Understands `rcsD`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """What compilations are handed to: a compiler cache, a distributing program, or both."""

    tools: tuple[Tool, ...]
    """The first stands in front of the compiler and hands on to the next."""
    environment: tuple[tuple[str, str], ...] = ()
    """What makes it do so."""
    jobs: int | None = None
    """Compilations at once that it has room for; None where it does not say."""
    fallback: str = ""
    """Regular expression for what it prints when a unit is compiled on this machine after all."""

    @property
    def name(self) -> str:
        """As the command line calls it, e.g. `ccache+distcc`."""
        return "+".join(tool.name for tool in self.tools)

    @property
    def is_local(self) -> bool:
        """Whether this machine compiles, and files beside a source can be read."""
        return self.name == "ccache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Jdk:
    """A Java development kit."""

    home: Path
    version: str
    """As `javac -version` prints it."""

    @property
    def headers(self) -> tuple[Path, ...]:
        """Folders of `jni.h` and of what it includes."""
        return (self.home / "include", self.home / "include/linux")

    def tool(self, name: str) -> Path:
        """Returns the path of one of its programs."""
        return self.home / "bin" / name


@dataclass(frozen=True, slots=True, kw_only=True)
class Ndk:
    """Android's native development kit."""

    root: Path
    compilers: Path
    """Folder that holds `bin` and `sysroot`."""
    revision: tuple[int, ...]
    """Release, its update, its build, e.g. (22, 0, 7026061)."""
    oldest_api: int
    newest_api: int
    aliases: tuple[tuple[int, int], ...] = ()
    """API levels without libraries of their own, and the level whose libraries stand for them."""
    prerelease: str = ""
    """What `source.properties` adds to the revision, e.g. `beta1`; empty for a release."""

    @property
    def version(self) -> str:
        """As `source.properties` spells it."""
        revision = ".".join(map(str, self.revision))
        return f"{revision}-{self.prerelease}" if self.prerelease else revision

    def libraries_of(self, api: int) -> int:
        """Returns the API level whose libraries an app for `api` is linked with."""
        return dict(self.aliases).get(api, api)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleSdk:
    """Headers and stub libraries of one of Apple's platforms."""

    root: Path
    name: str
    """With its version, never a path, e.g. `iphoneos17.2`."""
    newest: int
    """The newest deployment target it knows, as in `Target.min_os`."""
    is_open: bool = False
    """Assembled by builder from open headers: no Objective-C, no frameworks but a shim."""


class Stl(StrEnum):
    """C++ libraries that an Android library can use, as CMake's `ANDROID_STL` calls them."""

    STATIC = "c++_static"
    SHARED = "c++_shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolchainOptions:
    """What a user chooses of a toolchain; the rest is found."""

    launcher: Annotated[str, Setting(placeholder="NAME", environment="BUILDER_LAUNCHER")] = "auto"
    """The program that starts the compiler: ccache, sccache, distcc, icecc, ccache+distcc,
    ccache+icecc or none. auto uses ccache or sccache if one is installed."""
    ndk: Annotated[Path | None, Setting(path="folder")] = None
    """Folder of the Android NDK (default: ANDROID_NDK_HOME, ANDROID_NDK_ROOT, or the newest NDK in
    the Android SDK)."""
    stl: Stl = Stl.STATIC
    """C++ library for Android: linked into the runtime (c++_static), or a second library in the AAR
    (c++_shared)."""
    page_size: int | None = None
    """Page size in bytes to which Android libraries are aligned (default: 16384 on 64-bit ABIs)."""
    apple_sdk: Annotated[Path | None, Setting(path="folder")] = None
    """An Apple SDK, or a folder with several (default: Xcode's SDKs on macOS, Apple's open headers
    on Linux)."""
    sysroot: Annotated[Path | None, Setting(path="folder")] = None
    """For Linux: the root folder of an older system with its C and C++ library, so that the runtime
    also runs there (default: the libraries of this machine)."""


class CxxLibrary(StrEnum):
    """C++ standard libraries, and how they get into a runtime."""

    LIBSTDCXX = "libstdc++"
    LIBCXX = "libc++"
    """Linked in."""
    LIBCXX_SHARED = "libc++_shared"
    """`libc++_shared.so` has to be beside the runtime."""
    SYSTEM = "system"
    """The one that every system of the platform has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GnuLibraries:
    """The C++ and C library of a toolchain for Linux, whose headers are part of every object."""

    libstdcxx: int
    """Date of the release of GCC as a number, e.g. 20220819 (`__GLIBCXX__`)."""
    glibc: tuple[int, int]
    """E.g. (2, 36)."""

    @property
    def glibc_version(self) -> str:
        """The version of glibc as text, e.g. `2.36`."""
        return f"{self.glibc[0]}.{self.glibc[1]}"

    def __str__(self) -> str:
        return f"libstdc++ {self.libstdcxx}, glibc {self.glibc_version}"


class LinkerKind(StrEnum):
    """Which linker a toolchain has."""

    LLD = "lld"
    XCODE = "xcode"
    """Apple's own, which clang of Xcode starts by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolVersions:
    """What of a toolchain decides the bytes of a build: versions and flags, and no paths."""

    target: str
    """`Target.id`."""
    cc: str
    cxx: str
    """With the versions of its libraries and SDK."""
    linker: str
    strip: str
    archiver: str = ""
    shader_compiler: str = ""
    """Empty where no backend of the build has shaders."""
    shader_headers: str = ""
    cmake: str
    bitcode: Bitcode = Bitcode.NONE
    system_flags: tuple[str, ...] = ()
    packed_relocations: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """The parts that objects depend on, as a plan has them; the link flags are not in it."""
        return (
            self.target,
            self.cc,
            self.cxx,
            self.linker,
            self.strip,
            *((self.archiver,) if self.archiver else ()),
            *((self.shader_compiler,) if self.shader_compiler else ()),
            *((f"Vulkan headers {self.shader_headers}",) if self.shader_headers else ()),
            self.cmake,
            *(() if self.bitcode is Bitcode.INSIDE else (f"bitcode {self.bitcode}",)),
            *self.system_flags,
            *self.packed_relocations,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """What compiles and links for one target."""

    target: Target
    cc: Tool
    cxx: Tool
    linker: Tool
    """It reports undefined symbols of live sections only, which selection relies on."""
    cmake: Tool
    ninja: Tool
    python: Tool
    strip: Tool
    linker_kind: LinkerKind = LinkerKind.LLD
    gnu: GnuLibraries | None = None
    """For Linux; their versions are also in the version of `cxx`."""
    launcher: Launcher | None = None
    """Put in front of every compilation; changes no bytes."""
    system_flags: tuple[str, ...] = ()
    """Flags for every compilation and link, e.g. the target of clang."""
    link_flags: tuple[str, ...] = ()
    """Flags for every link, as the target's loader wants them."""
    bitcode: Bitcode = Bitcode.NONE
    packed_relocations: tuple[str, ...] = ()
    """Flags that pack relative relocations; empty where the target's loader cannot read them."""
    cxx_library: CxxLibrary = CxxLibrary.LIBSTDCXX
    page_size: int | None = None
    """Bytes that segments are aligned to; None where the linker's own default holds."""
    beside: tuple[Path, ...] = ()
    """Libraries of the toolchain that a runtime loads, so they are delivered with it."""
    ndk: Ndk | None = None
    """Whose compilers these are, for Android."""
    sdk: AppleSdk | None = None
    """What it compiles against, for Apple's platforms."""
    sysroot: Path | None = None
    """The system that it compiles against, for Linux; this machine's when None."""
    frameworks: tuple[str, ...] = ()
    """Flags for every link that name Apple's frameworks; a linker takes what is used."""
    shader_compiler: Tool | None = None
    """Compiles the shaders of a GPU's backend; None where no backend of the build has any."""
    shader_headers: str = ""
    """Version of Vulkan's headers; which code is compiled depends on what they declare."""
    archiver: Tool | None = None
    """Makes static libraries, for Apple's platforms; understands `-static -D -filelist`."""
    configuration: tuple[tuple[str, str], ...] = ()
    """CMake variables that describe the target where it is not this machine."""
    headers: tuple[Path, ...] = ()
    """Headers of the system that its versions were read from; none where that is not known."""

    @property
    def compiler_major(self) -> int:
        """The compiler's major release, 0 where its version names none."""
        # The version is the line that the compiler prints, e.g. `Debian clang version 14.0.6`.
        found = re.search(r"(\d+)\.\d+", self.cxx.version)
        return int(found[1]) if found else 0

    @property
    def system_root(self) -> Path | None:
        """The folder with the headers and libraries of another system; None for this machine's."""
        return self.sdk.root if self.sdk else self.sysroot

    @property
    def versions(self) -> ToolVersions:
        """Everything of it that decides the bytes of a build; no paths, and no launcher."""
        # A path would make the keys of two machines differ; the SDK's name is in the version of
        # `cxx`, and so are those of the libraries of a sysroot.
        sdk = str(self.system_root or "")
        return ToolVersions(
            target=self.target.id,
            cc=self.cc.version,
            cxx=self.cxx.version,
            linker=self.linker.version,
            strip=self.strip.version,
            archiver=self.archiver.version if self.archiver else "",
            shader_compiler=self.shader_compiler.version if self.shader_compiler else "",
            shader_headers=self.shader_headers,
            cmake=self.cmake.version,
            bitcode=self.bitcode,
            system_flags=tuple(
                flag.replace(sdk, "SDK") if sdk else flag for flag in self.system_flags
            ),
            packed_relocations=self.packed_relocations,
            link_flags=self.link_flags,
        )

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """The versions that decide the bytes of a build; no paths, and no launcher."""
        return self.versions.fingerprint
