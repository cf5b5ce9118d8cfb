"""Upstream's flags, made ours: tuned by profile, reproducible, without warnings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from builder.core.plan import DispatchBackend, Flavour
from builder.core.toolchain import LTO_COMPILE, Bitcode, CxxLibrary, Toolchain
from builder.core.typed import parse_toml

# Warnings, levels, visibility and debug information are decided here, not by upstream.
_DROPPED = re.compile(
    r"-W.*|-w|-g.*|-O.|-fcolor-diagnostics|-fvisibility.*|-ffunction-sections|-fdata-sections"
    r"|-Qunused-arguments|-pedantic|--target=.*|-f(no-)?addrsig|-no-canonical-prefixes"
    # It forbids headers to units, and is no reason to compile these headers once more.
    r"|-DTORCH_ASSERT_ONLY_METHOD_OPERATORS"
)
# clang gets --target from the toolchain; -arch beside it would be a second answer.
_PAIRS = ("-arch",)
"""Flags with a value behind them that the toolchain gives itself."""
_OPTIMISATION = re.compile(r"-O.")
_KERNEL = re.compile(
    r"aten/src/ATen/native/(quantized/)?cpu/(kernels/)?[^/]+\.(DEFAULT|NEON|ZVECTOR)\.cpp$"
    r"|aten/src/ATen/UfuncCPUKernel_[^/]+\.cpp$"
    r"|third_party/|/qnnpack/"
)
"""Units whose speed is the model's speed; `UfuncCPUKernel_add` is what torchgen makes for `add`."""
_STRIDED_ONLY = "-DTORCHLITE_STRIDED_ONLY"
_NO_QUANTISED = "-DTORCHLITE_NO_QUANTIZED"
"""Kinds of tensors that cannot occur; see the patch 0006-tensor-kinds."""
_INFERENCE = "-DTORCHLITE_INFERENCE"
"""See the patch 0015-inference-only."""
_NO_INDEX = "-Wl,--no-eh-frame-hdr"
"""No index of frames; see cmake/runtime/core/unwinding.cpp."""
_OUTLINED, _OUTLINED_SINCE = "-Wl,-mllvm,-outliner-benefit-threshold=24", 19
"""At -Oz for AArch64, LLVM makes functions of code that repeats. Each has an unwinding entry of 20
bytes, which it does not count, so it has to save more. The release is the oldest that was tried."""
_OTHER_TABLE = "armv7l"
"""The architecture whose unwinders read another table of frames, .ARM.exidx."""
_STRIP_MESSAGES = "-DSTRIP_ERROR_MESSAGES"

COMMON = (
    "-w",
    "-ffunction-sections",
    "-fdata-sections",
    "-fvisibility=hidden",
    "-fno-ident",
    "-fPIC",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Profile:
    """One table of profiles.toml, which says what each key means."""

    level: str | None = None
    kernels: str | None = None
    compile: tuple[str, ...]
    c: tuple[str, ...]
    cxx: tuple[str, ...]
    dropped: frozenset[str]
    link: tuple[str, ...]
    relr: bool
    small_cxx: bool
    lto: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProfilesFile:
    """The content of profiles.toml: a table for each `Profile`."""

    with_messages: frozenset[str]
    size: _Profile
    speed: _Profile
    debug: _Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """One profile of profiles.toml, for one toolchain."""

    level: str | None = None
    kernels: str | None = None
    compile: tuple[str, ...] = ()
    c: tuple[str, ...] = ()
    cxx: tuple[str, ...] = ()
    dropped: frozenset[str] = frozenset()
    with_messages: frozenset[str] = frozenset()
    """Units whose error messages stay in any case."""
    link: tuple[str, ...] = ()
    small_cxx: CxxLibrary | None = None
    """The C++ library that a small replacement of its parts is linked in front of."""
    has_unwinding: bool = False
    """Whether the library finds the entries of its frames itself, and has no index of them."""
    lto: bool = False
    """Whether the objects carry bitcode and the last link optimises it as a whole."""


def load_tuning(
    flavour: Flavour,
    toolchain: Toolchain,
    dispatch: Sequence[DispatchBackend],
    *,
    own_unwinding: bool = False,
) -> Tuning:
    """Returns how `flavour` tunes flags, as far as `toolchain` can.

    Args:
        flavour: names the profile.
        toolchain: what will compile and link.
        dispatch: backends of static dispatch; they decide which kinds of tensors there can be.
        own_unwinding: whether the library may find the entries of its frames itself.
    """
    text = resources.files("builder.native").joinpath("profiles.toml").read_text()
    file = parse_toml(text, _ProfilesFile, "profiles.toml")
    profile: _Profile = getattr(file, flavour.profile)
    apple = toolchain.target.is_apple
    # On Apple's platforms the last link makes one object of all bitcode, so it is always there.
    lto = (apple or profile.lto) and toolchain.bitcode is not Bitcode.NONE
    packed = toolchain.packed_relocations if profile.relr else ()
    messages = (_STRIP_MESSAGES,) if flavour.strip_error_messages else ()
    quantised = DispatchBackend.QUANTIZED_CPU in dispatch
    # A shared C++ library brings these functions anyway, so a smaller copy would only add to them.
    linked_in = toolchain.cxx_library in {CxxLibrary.LIBSTDCXX, CxxLibrary.LIBCXX}
    # Without a backend for quantised tensors, code for them is compiled out.
    kinds = (_STRIDED_ONLY,) if quantised else (_STRIDED_ONLY, _NO_QUANTISED)
    small_cxx = toolchain.cxx_library if linked_in and profile.small_cxx else None
    # An unwinder that is linked in with the C++ library serves this library alone.
    reads_frames = small_cxx is not None and toolchain.target.architecture != _OTHER_TABLE
    has_unwinding = own_unwinding and reads_frames
    index = (_NO_INDEX,) if has_unwinding else ()
    outlined = (_OUTLINED,) if lto and toolchain.compiler_major >= _OUTLINED_SINCE else ()
    return Tuning(
        level=profile.level,
        kernels=profile.kernels,
        compile=(*profile.compile, *(LTO_COMPILE[toolchain.bitcode] if lto else ())),
        c=profile.c,
        cxx=(*profile.cxx, _INFERENCE, *kinds, *messages),
        with_messages=file.with_messages,
        dropped=profile.dropped,
        link=() if apple else (*profile.link, *packed, *index, *outlined),
        small_cxx=small_cxx,
        has_unwinding=has_unwinding,
        lto=lto,
    )


def tune_flags(
    upstream: tuple[str, ...], tuning: Tuning, *, unit_id: str, language: str
) -> tuple[str, ...]:
    """Returns the flags builder compiles a unit with.

    Args:
        upstream: definitions, include folders and options as upstream's CMake gives them.
        tuning: the profile.
        unit_id: tells kernels from the rest.
        language: `C`, `CXX` or `ASM`.
    """
    kept = [
        f for f in _drop_pairs(upstream) if not _DROPPED.fullmatch(f) and f not in tuning.dropped
    ]
    # Options of the optimiser and of C++ say nothing to a file of assembly.
    if language == "ASM":
        return tuple(kept)
    # The last level counts, as for the compiler.
    levels = [flag for flag in upstream if _OPTIMISATION.fullmatch(flag)]
    chosen = tuning.kernels if _KERNEL.search(unit_id) else tuning.level
    level = chosen or (levels[-1] if levels else "-O2")
    only = tuning.cxx if language == "CXX" else tuning.c
    if unit_id in tuning.with_messages:
        only = tuple(flag for flag in only if flag != _STRIP_MESSAGES)
    return (*kept, level, *COMMON, *tuning.compile, *only)


def _drop_pairs(flags: tuple[str, ...]) -> list[str]:
    """Returns `flags` without _PAIRS and their values."""
    before = ("", *flags)
    # A flag of a pair and the value behind it are both dropped.
    return [flag for last, flag in zip(before, flags, strict=False) if not {last, flag} & {*_PAIRS}]
