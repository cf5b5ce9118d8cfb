"""The plan of a build: one value whose key is the name of the build folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from builder.core.backends import Backend, Chosen
from builder.core.cores import Core, CoreChoice
from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.model_facts import OperatorList
from builder.core.release import Release
from builder.core.setting_fields import Setting, Text
from builder.core.targets import Target
from builder.core.toolchain import ToolchainOptions


class DispatchBackend(StrEnum):
    """Backends that static dispatch can choose (torchgen `--static_dispatch_backend`)."""

    CPU = "CPU"
    QUANTIZED_CPU = "QuantizedCPU"


JNI_SONAME = "libpytorch_jni_lite.so"
"""File name of the library that the Java classes load (org.pytorch.NativeLibrary)."""


class Interface(StrEnum):
    """The interface through which programs call a runtime."""

    C = "c"
    """The C API, `torchlite.h`."""
    JNI = "jni"
    """The native methods of the Java classes in `java/`."""
    JNI_AND_C = "jni+c"
    """Both interfaces in one library."""

    @property
    def has_jni(self) -> bool:
        """Whether Java can call the runtime."""
        return self is not Interface.C


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Everything that decides the bytes of one runtime."""

    target: Target
    operator_list: OperatorList
    """The operators, with everything else that the models need."""
    static_dispatch: tuple[DispatchBackend, ...]
    """The backends that static dispatch chooses from."""
    flavour: Flavour
    release: Release
    """The release of PyTorch that is built."""
    features: tuple[tuple[str, str], ...] = ()
    """The features of the release's lock that `backends` take, and the digests of their trees."""
    toolchain: tuple[str, ...]
    """The tools, from `Toolchain.fingerprint`."""
    link_flags: tuple[str, ...] = ()
    """The flags from `Toolchain.link_flags`."""
    configuration: tuple[str, ...]
    """CMake options of PyTorch, `NAME=VALUE`, sorted."""
    native_digest: str
    """Digest of the files of builder and the release that decide bytes (api/key_files.py)."""
    dtypes: DtypeSet = EVERYTHING
    """The dtypes that kernels are compiled for."""
    dtypes_reason: str = "as asked"
    """Why these dtypes were chosen, for people; it is not part of the key."""
    interface: Interface = Interface.C
    """How programs call the runtime."""
    backends: tuple[Backend, ...] = ()
    """The backends that the runtime has, sorted by name; their files decide the bytes."""
    core: Core = Core.UPSTREAM
    """What loads and interprets models."""
    core_reason: str = "as asked"
    """Why this core was chosen, for people; it is not part of the key."""

    @property
    def accelerators(self) -> tuple[Backend, ...]:
        """Those of `backends` that the user asked for."""
        return tuple(one for one in self.backends if one.chosen is Chosen.OPTION)

    @property
    def objects_key(self) -> str:
        """Name of the folder of objects that builds share; flags are compared by ninja."""
        return _digest(
            self.target.id,
            self.release.source_digest,
            [str(b) for b in self.static_dispatch],
            list(self.toolchain),
            list(self.configuration),
            # Vulkan's units are compiled for it too.
            str(self.flavour.vulkan_precision),
        )[:16]

    @property
    def generated_key(self) -> str:
        """Name of the folder of generated sources, which targets and profiles share."""
        # torchgen's output depends on nothing else: registrations come from builder
        # (`native.configure`).
        return _digest(self.release.source_digest, [str(b) for b in self.static_dispatch])[:16]

    @property
    def shaders_key(self) -> str:
        """Name of the folder of compiled shaders, which targets and profiles share."""
        return _digest(
            self.release.source_digest,
            [(one.name, one.text) for one in self.release.shader_patches],
            # Their compiler is one of the tools.
            list(self.toolchain),
            str(self.flavour.vulkan_precision),
        )[:16]

    @property
    def key(self) -> str:
        """Name of the build folder: a digest of everything that decides the bytes."""
        return _digest(
            self.objects_key,
            self.release.version,
            self.flavour.name,
            self.native_digest,
            # The order is that of the set, which is sorted: models in another order are the same
            # plan.
            [str(o) for o in self.operator_list.operators],
            list(self.operator_list.custom_classes),
            self.dtypes.to_json(),
            dict(self.features),
            str(self.interface),
            list(self.link_flags),
            [one.name for one in self.backends],
            str(self.core),
            *([self.shaders_key] if any(one.shaders for one in self.backends) else []),
        )[:16]

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as `builder plan --json` prints it; it has no paths."""
        listed = self.operator_list
        return {
            "abi": self.target.abi,
            "accelerators": [one.name for one in self.accelerators],
            "configuration": list(self.configuration),
            "core": str(self.core),
            "core_reason": self.core_reason,
            "bytecode_versions": list(listed.bytecode_versions),
            "custom_classes": list(listed.custom_classes),
            "dtypes": self.dtypes.to_json(),
            "dtypes_reason": self.dtypes_reason,
            "features": dict(self.features),
            "interface": str(self.interface),
            "key": self.key,
            "link_flags": list(self.link_flags),
            "min_os": self.target.min_os,
            "native_digest": self.native_digest,
            "objects_key": self.objects_key,
            "profile": str(self.flavour.profile),
            "operators": {str(o): list(listed.operators.sources(o)) for o in listed.operators},
            "source_digest": self.release.source_digest,
            "source_version": self.release.version,
            "static_dispatch": [str(b) for b in self.static_dispatch],
            "strip_error_messages": self.flavour.strip_error_messages,
            "toolchain": list(self.toolchain),
            "vulkan_precision": str(self.flavour.vulkan_precision),
        }


def _digest(*parts: object) -> str:
    # JSON, because the text of Python objects may change between versions.
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Profile(StrEnum):
    """Names of the sets of compiler and linker options in builder/native/profiles.toml."""

    SIZE = "size"
    SPEED = "speed"
    DEBUG = "debug"


class VulkanPrecision(StrEnum):
    """Floating-point numbers in the images that Vulkan's kernels read and write."""

    FP32 = "fp32"
    FP16 = "fp16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """The way in which the objects of a build are compiled."""

    profile: Profile = Profile.SIZE
    """What the compiler optimises for."""
    strip_error_messages: bool = False
    """Make the library smaller: messages of failed checks in PyTorch contain only condition and
    file."""
    vulkan_precision: VulkanPrecision = VulkanPrecision.FP32
    """What models for Vulkan keep their weights and tensors in on the GPU. fp16 takes half of the
    memory, and has about three decimal digits. It has no effect on models for the CPU."""

    @property
    def name(self) -> str:
        """Name of the folder of its objects."""
        return f"{self.profile}-terse" if self.strip_error_messages else str(self.profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """The settings of a build that are the same for all of its targets."""

    inputs: tuple[Path, ...] = ()
    """Lite files (.ptl) and operator lists (.yaml, .txt) that the runtime has to run."""
    ops_lists: Annotated[tuple[str, ...], Setting(placeholder="NAME")] = ()
    """Operator lists: names of those that ship with builder, e.g. mobilenet_v2, or files."""
    pytorch: Annotated[Release | None, Setting(placeholder="VERSION", lookup="release")] = None
    """The release of PyTorch to build, e.g. 2.6.0 (default: the one that this version of builder
    declares)."""
    flavour: Annotated[Flavour, Setting(inline=True)] = field(default_factory=Flavour)
    dtypes: Annotated[Text[DtypeSet] | None, Setting(placeholder="LIST", absent="auto")] = None
    """Compile kernels only for these dtypes, e.g. float32,int64,bool. all: for every dtype. auto:
    for the dtypes that can occur in the models, or for all if that is unknown."""
    core: CoreChoice = CoreChoice.UPSTREAM
    """What loads and interprets models. upstream: the lite interpreter of PyTorch. own: a core of
    builder, which is smaller; a build fails if the models need what it lacks. auto: own where it
    has all that the models need, otherwise upstream."""
    jobs: Annotated[int | None, Setting(least=1, most=10_000)] = None
    """How many compilations and links run at the same time."""
    tools: ToolchainOptions = field(default_factory=ToolchainOptions)
    accelerators: Annotated[tuple[Backend, ...], Setting(lookup="backends")] = ()
    """Backends to add to the CPU; targets whose platform does not have one leave it out."""
    skip_unknown: bool = False
    """Leave out operators that cannot be built and print their names, instead of failing."""
    lock_timeout: Annotated[float | None, Setting(least=0)] = None
    """Seconds to wait for another builder process that uses the same object files; by default,
    there is no limit."""
