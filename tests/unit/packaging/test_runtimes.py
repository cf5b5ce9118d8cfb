from __future__ import annotations

from pathlib import Path

from cyclonedx.spdx import is_expression
from samples import make_toolchain

from builder.core.components import Component
from builder.core.toolchain import GnuLibraries, Ndk
from builder.packaging.runtimes import _load, find_archives, name_runtimes

GNU = make_toolchain(gnu=GnuLibraries(libstdcxx=20220819, glibc=(2, 36)))
NDK = Ndk(
    root=Path("/ndk"),
    compilers=Path("/ndk/llvm"),
    revision=(22, 0, 7026061),
    oldest_api=16,
    newest_api=30,
)
ANDROID = make_toolchain(ndk=NDK)


def test_archives_are_found_by_their_members():
    owners = (
        "/cache/objects/size/c10/a.cpp.o",
        "/usr/lib/gcc/x86_64-linux-gnu/12/libstdc++.a(vector.o)",
        "/usr/lib/gcc/x86_64-linux-gnu/12/libgcc_eh.a(unwind-dw2.o)",
        "/home/li b/libc++abi.a(a b.cpp.o)",
        "<internal>",
        "/usr/lib/crti.o",
        "/cache/objects/liba.a(x)/b.o",
    )
    assert find_archives(owners) == {"libstdc++.a", "libgcc_eh.a", "libc++abi.a"}


def test_libraries_of_gcc_have_the_date_of_its_release():
    eh, stdcxx = name_runtimes(["libstdc++.a", "libgcc_eh.a", "libgcc.a"], GNU)
    assert (stdcxx.name, stdcxx.group, stdcxx.version) == ("libstdc++", "gcc", "20220819")
    assert (eh.name, eh.group, eh.version) == ("libgcc", "gcc", "20220819")
    assert stdcxx.licence == "GPL-3.0-or-later WITH GCC-exception-3.1"
    assert stdcxx.prebuilt


def test_libraries_of_an_ndk_have_its_revision():
    names = ["libc++_static.a", "libgcc.a", "libclang_rt.builtins-aarch64-android.a"]
    found = name_runtimes(names, ANDROID)
    assert [one.name for one in found] == ["compiler-rt", "libc++", "libgcc"]
    assert {(one.group, one.version) for one in found} == {("android-ndk", "22.0.7026061")}
    (shared,) = name_runtimes(["libc++_shared.so"], ANDROID)
    assert shared in found


def test_what_is_not_known_is_listed_without_a_licence():
    assert name_runtimes(["libfoo.a"], GNU) == (Component(name="libfoo", prebuilt=True),)
    (nonshared,) = name_runtimes(["libc_nonshared.a"], GNU)
    assert (nonshared.group, nonshared.version, nonshared.licence) == ("glibc", "2.36", "")
    (stdcxx,) = name_runtimes(["libstdc++.a"], make_toolchain())
    assert (stdcxx.group, stdcxx.version) == ("", "")


def test_every_licence_is_a_valid_spdx_expression():
    told = {one.name: one.licence for one in _load() if one.licence}
    assert [name for name, licence in told.items() if not is_expression(licence)] == []
    assert {one.name for one in _load()} - set(told) == {"libc_nonshared"}
