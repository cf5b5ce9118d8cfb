"""What a build will do, as one value whose key names its folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from builder.core.accelerators import Accelerator
from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.model import OperatorList
from builder.core.targets import Target
from builder.core.toolchain import ToolchainOptions


class DispatchBackend(StrEnum):
    """Backends that static dispatch may choose (torchgen `--static_dispatch_backend`)."""

    CPU = "CPU"
    QUANTIZED_CPU = "QuantizedCPU"


JNI_SONAME = "libpytorch_jni_lite.so"
"""What the Java classes load (org.pytorch.NativeLibrary)."""


class Interface(StrEnum):
    """What programs call a runtime through."""

    C = "c"
    """`torchlite.h`."""
    JNI = "jni"
    """The native methods of the Java classes in `java/`."""
    JNI_AND_C = "jni+c"

    @property
    def has_jni(self) -> bool:
        """Whether Java can call it."""
        return self is not Interface.C


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """All that decides the bytes of one runtime."""

    target: Target
    operator_list: OperatorList
    static_dispatch: tuple[DispatchBackend, ...]
    flavour: Flavour
    source_version: str
    source_digest: str
    features: tuple[tuple[str, str], ...] = ()
    """Features whose optional sources the operators need, and the digests of their trees."""
    toolchain: tuple[str, ...]
    """`Toolchain.fingerprint`."""
    link_flags: tuple[str, ...] = ()
    """`Toolchain.link_flags`."""
    configuration: tuple[str, ...]
    """Upstream's CMake options, `NAME=VALUE`, sorted."""
    native_digest: str
    """Digest of those of builder's own files that decide bytes (builder/api/key_files.py)."""
    dtypes: DtypeSet = EVERYTHING
    """What kernels are compiled for."""
    dtypes_reason: str = "as asked"
    """Why these; it decides no bytes."""
    interface: Interface = Interface.C
    accelerators: tuple[Accelerator, ...] = ()
    """What of Apple's devices it can use beside the processor, sorted."""

    @property
    def objects_key(self) -> str:
        """Names the folder of shared objects; flags are not in it, since ninja compares them."""
        return _digest(
            self.target.id,
            self.source_digest,
            [str(b) for b in self.static_dispatch],
            list(self.toolchain),
            list(self.configuration),
        )[:16]

    @property
    def generated_key(self) -> str:
        """Names the folder of generated sources, which targets and profiles share."""
        return _digest(self.source_digest, [str(b) for b in self.static_dispatch])[:16]

    @property
    def key(self) -> str:
        """Names the build folder: everything that decides the bytes."""
        return _digest(
            self.objects_key,
            self.flavour.name,
            self.native_digest,
            [str(o) for o in self.operator_list.operators],
            list(self.operator_list.custom_classes),
            self.dtypes.to_json(),
            dict(self.features),
            str(self.interface),
            list(self.link_flags),
            *([list(map(str, self.accelerators))] if self.accelerators else ()),
        )[:16]

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as `builder plan --json` prints it; sorted, no paths."""
        listed = self.operator_list
        return {
            "abi": self.target.abi,
            "accelerators": list(map(str, self.accelerators)),
            "configuration": list(self.configuration),
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
            "source_digest": self.source_digest,
            "source_version": self.source_version,
            "static_dispatch": [str(b) for b in self.static_dispatch],
            "strip_error_messages": self.flavour.strip_error_messages,
            "toolchain": list(self.toolchain),
        }


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Profile(StrEnum):
    """Sets of compiler and linker options; builder/native/profiles.toml says which."""

    SIZE = "size"
    SPEED = "speed"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """How the objects of a build are compiled."""

    profile: Profile = Profile.SIZE
    strip_error_messages: bool = False
    """Failed checks name their condition and file only, as upstream's STRIP_ERROR_MESSAGES does."""

    @property
    def name(self) -> str:
        """Names the folder of its objects."""
        return f"{self.profile}-terse" if self.strip_error_messages else str(self.profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """The same for every target of one build."""

    inputs: tuple[Path, ...]
    """Models and operator lists."""
    flavour: Flavour = field(default_factory=Flavour)
    dtypes: DtypeSet | None = None
    """What to compile kernels for; what can occur in the models when None."""
    tools: ToolchainOptions = field(default_factory=ToolchainOptions)
    jobs: int | None = None
    """Compilations at once; as many as the launcher or ninja deems right when None."""
    lock_timeout: float = -1
    """Seconds to wait for another builder on the same objects; below zero, for ever."""
    accelerators: tuple[Accelerator, ...] = ()
    """What Apple's targets are to use beside the processor; others take no notice."""
    skip_unknown: bool = False
    """Leaves out operators that cannot be built, and names them, instead of refusing."""
