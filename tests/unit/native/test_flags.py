from __future__ import annotations

import pytest

from builder.native.flags import COMMON, tune_flags

UPSTREAM = (
    *("-DNDEBUG", "-I", "/src/include", "-isystem", "/src/Wall", "-O2", "-O3", "-std=gnu++17"),
    *("-Wall", "-Werror=format", "-w", "-g", "-gdwarf-4", "-fvisibility-inlines-hidden"),
    *("-fno-math-errno", "-fcolor-diagnostics", "-Qunused-arguments", "-mavx2"),
)
KEPT = ("-DNDEBUG", "-I", "/src/include", "-isystem", "/src/Wall", "-std=gnu++17")


def test_warnings_and_debug_information_go_and_the_rest_stays_in_order():
    flags = tune_flags(UPSTREAM, unit_id="c10/core/Device.cpp", language="CXX")
    assert flags[: len(KEPT) + 2] == (*KEPT, "-fno-math-errno", "-mavx2")
    assert not {"-Wall", "-Werror=format", "-g", "-gdwarf-4", "-O2", "-O3"} & set(flags)
    assert set(COMMON) <= set(flags)
    assert "-fvisibility-inlines-hidden" in flags


@pytest.mark.parametrize(
    ("unit_id", "level"),
    [
        ("c10/core/Device.cpp", "-Os"),
        ("torch/csrc/jit/mobile/import.cpp", "-Os"),
        ("aten/src/ATen/native/BinaryOps.cpp", "-Os"),
        ("generated/aten/src/ATen/native/cpu/BinaryOpsKernel.cpp.DEFAULT.cpp", "-O3"),
        ("generated/aten/src/ATen/native/quantized/cpu/kernels/Q.cpp.DEFAULT.cpp", "-O3"),
        ("third_party/XNNPACK/src/init.c", "-O3"),
        ("aten/src/ATen/native/quantized/cpu/qnnpack/src/conv-run.cc", "-O3"),
    ],
)
def test_only_kernels_keep_the_level_that_upstream_gave_last(unit_id, level):
    flags = tune_flags(UPSTREAM, unit_id=unit_id, language="CXX")
    assert [flag for flag in flags if flag.startswith("-O")] == [level]


def test_a_kernel_without_a_level_is_small():
    assert "-Os" in tune_flags(("-DX",), unit_id="third_party/XNNPACK/a.c", language="C")


def test_languages():
    c = tune_flags(UPSTREAM, unit_id="third_party/cpuinfo/src/init.c", language="C")
    assert "-fvisibility-inlines-hidden" not in c
    assert "-ffunction-sections" in c
    assembly = tune_flags(("-DX", "-Wall", "-O2"), unit_id="third_party/a.S", language="ASM")
    assert assembly == ("-DX",)
