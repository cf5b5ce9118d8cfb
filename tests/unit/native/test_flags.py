from __future__ import annotations

from dataclasses import replace

import pytest
from samples import make_tool, make_toolchain

from builder.core.plan import DispatchBackend, Flavour, Profile
from builder.core.targets import parse_target
from builder.core.toolchain import Bitcode, CxxLibrary
from builder.native.flags import COMMON, load_tuning, tune_flags

UPSTREAM = (
    *("-DNDEBUG", "-I", "/src/include", "-isystem", "/src/Wall", "-O2", "-O3", "-std=gnu++17"),
    *("-Wall", "-Werror=format", "-w", "-g", "-gdwarf-4", "-fvisibility-inlines-hidden"),
    *("-fno-math-errno", "-fcolor-diagnostics", "-Qunused-arguments", "-mavx2"),
)
KEPT = ("-DNDEBUG", "-I", "/src/include", "-isystem", "/src/Wall", "-std=gnu++17")
CPU = (DispatchBackend.CPU,)
OLD = make_toolchain()
NEW = make_toolchain(
    cxx=make_tool("clang++", "clang version 19.1.7, libstdc++ 20220819, glibc 2.36"),
    linker=make_tool("ld.lld", "LLD 19.1.7"),
    bitcode=Bitcode.INSIDE,
)
SIZE = load_tuning(Flavour(), OLD, CPU)


def tune(profile: str, unit_id: str, *, language: str = "CXX", toolchain=OLD):
    tuning = load_tuning(Flavour(profile=Profile(profile)), toolchain, CPU)
    return tune_flags(UPSTREAM, tuning, unit_id=unit_id, language=language)


def test_warnings_and_debug_information_go_and_the_rest_stays_in_order():
    flags = tune("size", "c10/core/Device.cpp")
    assert flags[: len(KEPT) + 2] == (*KEPT, "-fno-math-errno", "-mavx2")
    assert not {"-Wall", "-Werror=format", "-g", "-gdwarf-4", "-O2", "-O3"} & set(flags)
    assert set(COMMON) <= set(flags)
    assert "-fvisibility-inlines-hidden" in flags


@pytest.mark.parametrize(
    ("profile", "unit_id", "level"),
    [
        ("size", "c10/core/Device.cpp", "-Oz"),
        ("size", "torch/csrc/jit/mobile/import.cpp", "-Oz"),
        ("size", "aten/src/ATen/native/BinaryOps.cpp", "-Oz"),
        ("size", "generated/aten/src/ATen/native/cpu/BinaryOpsKernel.cpp.DEFAULT.cpp", "-O3"),
        ("size", "generated/aten/src/ATen/UfuncCPUKernel_add.cpp.DEFAULT.cpp", "-O3"),
        ("size", "generated/aten/src/ATen/UfuncCPU_add.cpp", "-Oz"),
        ("size", "generated/aten/src/ATen/native/quantized/cpu/kernels/Q.cpp.DEFAULT.cpp", "-O3"),
        ("size", "third_party/XNNPACK/src/init.c", "-O3"),
        ("size", "aten/src/ATen/native/quantized/cpu/qnnpack/src/conv-run.cc", "-O3"),
        ("speed", "c10/core/Device.cpp", "-O3"),
        ("debug", "c10/core/Device.cpp", "-O1"),
        ("debug", "third_party/XNNPACK/src/init.c", "-O1"),
    ],
)
def test_there_is_one_level_and_kernels_keep_the_one_that_upstream_gave_last(
    profile, unit_id, level
):
    flags = tune(profile, unit_id)
    assert [flag for flag in flags if flag.startswith("-O")] == [level]


def test_where_upstream_gives_no_level_there_is_one():
    assert "-O2" in tune_flags(("-DX",), SIZE, unit_id="third_party/XNNPACK/a.c", language="C")


def test_languages():
    c = tune("size", "third_party/cpuinfo/src/init.c", language="C")
    assert "-fvisibility-inlines-hidden" not in c
    assert "-fno-unwind-tables" in c
    assert "-ffunction-sections" in c
    assembly = tune_flags(("-DX", "-Wall"), SIZE, unit_id="third_party/a.S", language="ASM")
    assert assembly == ("-DX",)


def test_exceptions_can_pass_through_all_that_is_cpp():
    assert not {"-fno-unwind-tables", "-fno-exceptions"} & set(tune("size", "c10/a.cpp"))


def test_bitcode_goes_where_the_compiler_can_put_it():
    assert not load_tuning(Flavour(), OLD, CPU).lto
    beside = make_toolchain(bitcode=Bitcode.BESIDE)
    assert load_tuning(Flavour(), beside, CPU).lto
    assert "-flto=full" in tune("size", "c10/a.cpp", toolchain=beside)
    assert load_tuning(Flavour(), NEW, CPU).lto
    assert "-ffat-lto-objects" in tune("size", "c10/a.cpp", toolchain=NEW)
    assert "-flto" not in tune("speed", "c10/a.cpp", toolchain=NEW)


def test_relocations_are_packed_as_the_toolchain_can():
    toolchain = make_toolchain(packed_relocations=("-Wl,--pack",))
    assert "-Wl,--pack" in load_tuning(Flavour(), toolchain, CPU).link
    fast = Flavour(profile=Profile.SPEED)
    assert "-Wl,--pack" not in load_tuning(fast, toolchain, CPU).link


@pytest.mark.parametrize("library", [CxxLibrary.LIBSTDCXX, CxxLibrary.LIBCXX])
def test_a_cxx_library_that_is_linked_in_is_made_small(library):
    tuning = load_tuning(Flavour(), make_toolchain(cxx_library=library), CPU)
    assert tuning.small_cxx is library


@pytest.mark.parametrize("library", [CxxLibrary.LIBCXX_SHARED, CxxLibrary.SYSTEM])
def test_a_shared_cxx_library_stays_whole(library):
    shared = make_toolchain(cxx_library=library)
    assert load_tuning(Flavour(), shared, CPU).small_cxx is None


def test_error_messages_go_when_asked():
    terse = load_tuning(Flavour(strip_error_messages=True), OLD, CPU)
    flags = tune_flags(UPSTREAM, terse, unit_id="c10/a.cpp", language="CXX")
    assert "-DSTRIP_ERROR_MESSAGES" in flags
    assert "-DSTRIP_ERROR_MESSAGES" not in tune("size", "c10/a.cpp")


def test_messages_that_tell_what_to_do_stay():
    terse = load_tuning(Flavour(strip_error_messages=True), OLD, CPU)
    function = "torch/csrc/jit/mobile/function.cpp"
    assert "-DSTRIP_ERROR_MESSAGES" not in tune_flags(
        UPSTREAM, terse, unit_id=function, language="CXX"
    )


@pytest.mark.parametrize(
    ("dispatch", "quantised"),
    [(CPU, False), ((DispatchBackend.CPU, DispatchBackend.QUANTIZED_CPU), True)],
)
def test_kinds_of_tensors_follow_the_dispatch(dispatch, quantised):
    tuning = load_tuning(Flavour(), OLD, dispatch)
    flags = tune_flags(UPSTREAM, tuning, unit_id="c10/a.cpp", language="CXX")
    assert "-DTORCHLITE_STRIDED_ONLY" in flags
    assert ("-DTORCHLITE_NO_QUANTIZED" not in flags) is quantised


def test_an_architecture_of_cmakes_goes_since_the_toolchain_names_its_own():
    flags = ("-DA", "-arch", "arm64", "-I", "/src", "-O2")
    tuned = tune_flags(flags, SIZE, unit_id="c10/core/Device.cpp", language="CXX")
    assert tuned[:3] == ("-DA", "-I", "/src")
    assert not {"-arch", "arm64"} & set(tuned)


def test_outlined_functions_are_to_save_more_than_their_unwinding_entries():
    threshold = "-Wl,-mllvm,-outliner-benefit-threshold=24"
    assert threshold in load_tuning(Flavour(), NEW, CPU).link
    older = replace(NEW, cxx=make_tool("clang++", "clang version 18.1.8"))
    fast = load_tuning(Flavour(profile=Profile.SPEED), NEW, CPU)
    for one in (load_tuning(Flavour(), older, CPU), fast, SIZE):
        assert threshold not in one.link


def test_only_the_own_core_does_without_an_index_of_frames():
    own = load_tuning(Flavour(), NEW, CPU, own_unwinding=True)
    assert own.has_unwinding
    assert "-Wl,--no-eh-frame-hdr" in own.link
    android = replace(NEW, cxx_library=CxxLibrary.LIBCXX)
    assert load_tuning(Flavour(), android, CPU, own_unwinding=True).has_unwinding
    # The unwinder of a shared C++ library looks for the index itself.
    shared = replace(NEW, cxx_library=CxxLibrary.LIBCXX_SHARED)
    arm = replace(NEW, target=parse_target("armeabi-v7a"))
    fast = load_tuning(Flavour(profile=Profile.SPEED), NEW, CPU, own_unwinding=True)
    without = (load_tuning(Flavour(), one, CPU, own_unwinding=True) for one in (shared, arm))
    others = (SIZE, *without, fast)
    assert not any(one.has_unwinding or "-Wl,--no-eh-frame-hdr" in one.link for one in others)
