"""What a runtime offers to programs: which of builder's own units root it, what it exports."""

from __future__ import annotations

from dataclasses import dataclass

from builder.core.cores import Core
from builder.core.plan import JNI_SONAME, Interface
from builder.core.targets import Platform, Target

ABI_VERSION = 1
"""TORCHLITE_ABI_VERSION of `cmake/runtime/torchlite.h`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The shared library of one interface."""

    file_name: str
    """The name of its file, without a version."""
    units: tuple[str, ...]
    """Below `cmake/runtime`; the link starts from them."""
    exports: tuple[str, ...]
    """Symbols, as a version script names them; all others are hidden."""
    has_runner: bool
    """Whether the runner can call it."""
    is_versioned: bool = False
    """Whether its name on Linux has the version of the C API."""

    def name_for(self, target: Target) -> str:
        """Returns the name that programs remember (DT_SONAME), which is that of its file too."""
        # Android installs no files with another ending than .so.
        versioned = self.is_versioned and target.platform is Platform.LINUX
        return f"{self.file_name}.{ABI_VERSION}" if versioned else self.file_name

    @property
    def version_script(self) -> str:
        """What the linker is given to hide all but the exports."""
        # A version script (manual of GNU ld, "VERSION Command"): what is not global is local.
        listed = "".join(f" {name};" for name in self.exports)
        return f"{{\n  global:{listed}\n  local: *;\n}};\n"


_VERIFIER = ("code", "fault", "flatbuffer_model", "instructions", "pickle", "zip", "zip_model")
_SHARED = (
    *("calling.cpp", "cancellation.cpp", "crc32.cpp", "interpreting.cpp", "loading.cpp"),
    *("methods.cpp", "profile.cpp", "refusal.cpp"),
    *("pages.cpp", "records.cpp", "source.cpp", "upstream_text.cpp"),
    *(f"verifier/{name}.cpp" for name in _VERIFIER),
)
"""Models, as every interface loads, checks and calls them."""
_C = ("log.cpp", "torchlite.cpp", "values.cpp")
_JNI = tuple(f"jni/{name}.cpp" for name in ("calls", "images", "ivalues", "modules", "tensors"))

_OWN_VERIFIER = ("code", "fault", "instructions", "pickle", "zip", "zip_model")
_OWN_CORE = (
    *("builtins", "calling", "calls", "containers", "interpreter", "loading", "numbers"),
    *("prepacked", "printing", "table", "tensors", "type", "value"),
)
_OWN_SHARED = (
    *("calling.cpp", "cancellation.cpp", "crc32.cpp", "methods.cpp", "pages.cpp", "profile.cpp"),
    *("refusal.cpp", "source.cpp", "upstream_text.cpp"),
    *(f"verifier/{name}.cpp" for name in _OWN_VERIFIER),
    *(f"core/{name}.cpp" for name in _OWN_CORE),
)
"""The same with builder's own core, which has its own loader, values and interpreter."""
_OWN_C = ("core/border.cpp", "log.cpp", "torchlite.cpp")


def _list_libraries(
    shared: tuple[str, ...], c: tuple[str, ...], jni: tuple[str, ...]
) -> dict[Interface, Library]:
    return {
        Interface.C: Library(
            file_name="libtorchlite.so",
            units=(*shared, *c),
            exports=("torchlite_*",),
            has_runner=True,
            is_versioned=True,
        ),
        Interface.JNI: Library(
            # JNI_OnLoad registers the native methods, so none of them has to be exported.
            file_name=JNI_SONAME,
            units=(*shared, *jni),
            exports=("JNI_OnLoad",),
            has_runner=False,
        ),
        Interface.JNI_AND_C: Library(
            file_name=JNI_SONAME,
            units=(*shared, *c, *jni),
            exports=("JNI_OnLoad", "torchlite_*"),
            has_runner=True,
        ),
    }


LIBRARIES = _list_libraries(_SHARED, _C, _JNI)
OWN_LIBRARIES = _list_libraries(_OWN_SHARED, _OWN_C, _JNI)


def find_library(interface: Interface, core: Core) -> Library:
    """Returns the library of an interface, with one of the cores."""
    return (OWN_LIBRARIES if core is Core.OWN else LIBRARIES)[interface]
