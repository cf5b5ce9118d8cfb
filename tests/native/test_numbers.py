"""Numbers in streams are those of libstdc++ where a runtime has smaller functions for them."""

import subprocess

import pytest

from builder.api.toolchains import locate_target, locate_toolchain
from builder.core.toolchain import CxxLibrary
from builder.system.folders import data_folder

from .conftest import ABI, HERE

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def toolchain():
    return locate_toolchain(locate_target(ABI))


def test_numbers_by_printf_are_those_of_libstdcxx(toolchain, tmp_path):
    assert toolchain.cxx_library is CxxLibrary.LIBSTDCXX
    small = data_folder("cmake") / "runtime/small_libstdcxx.cpp"
    flags = ("-D_GLIBCXX_USE_CXX11_ABI=0", "-fno-access-control", "-std=c++17", "-O1", "-c")
    command = (toolchain.cxx.path, *flags, small, "-o", tmp_path / "small.o")
    subprocess.run(command, check=True)
    programs = [
        link(toolchain, tmp_path / name, units)
        for name, units in (("whole", ()), ("small", (tmp_path / "small.o",)))
    ]
    whole, smaller = (
        subprocess.run([one], check=True, capture_output=True, text=True).stdout for one in programs
    )
    assert smaller == whole
    assert whole.count("\n") == 15 * 84
    sizes = [one.stat().st_size for one in programs]
    assert sizes[1] < 0.8 * sizes[0]  # so the smaller functions are in it


def link(toolchain, program, units):
    flags = (*toolchain.system_flags, "-std=c++17", "-O1", "-static-libstdc++", "-fuse-ld=lld")
    linked = ("-Wl,-z,muldefs", "-Wl,--gc-sections", *units, HERE / "numbers.cpp", "-o", program)
    subprocess.run([toolchain.cxx.path, *flags, *linked], check=True)
    return program
