from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from machos import make_object
from samples import FakeRunner, make_tool, make_toolchain

from builder.core.plan import DispatchBackend, Flavour
from builder.core.targets import parse_target
from builder.core.toolchain import Bitcode, CxxLibrary, LinkerKind
from builder.errors import NativeBuildError
from builder.formats.macho import read_macho
from builder.native.flags import load_tuning
from builder.native.link_macho import (
    Dylib,
    archive,
    find_merged,
    link_dylib,
    list_members,
    merged_path,
    parse_alive,
    parse_apple_undefined,
    rename_shared,
    write_static,
)
from builder.native.ninja import CompileFolder
from builder.system.process import Completed

UNDEFINED = """\
ld64.lld: error: undefined symbol: at::detail::getCPUHooks()
>>> referenced by c10/a.cpp:3
>>>               /o/a.o:(symbol _f+0x8)

ld64.lld: error: undefined symbol: malloc
>>> referenced by /o/a.o:(symbol _f+0x10)
clang: error: linker command failed with exit code 1 (use -v to see invocation)
"""
XCODE_UNDEFINED = """\
Undefined symbols for architecture arm64:
  "at::detail::getCPUHooks()", referenced from:
      _f in a.o
  "_malloc", referenced from:
      _f in a.o
ld: symbol(s) not found for architecture arm64
"""
MAP = """\
# Path: /plan/unstripped/libTorchLite.dylib
# Arch: arm64
# Object files:
[  0] linker synthesized
[  1] {folder}/libTorchLite.merged/0.arm64.lto.o
[  2] {folder}/objects/third_party/XNNPACK/src/gemm.S.o
[  3] {folder}/objects/third_party/XNNPACK/src/dead.S.o
# Sections:
# Address\tSize    \tSegment\tSection
0x00004000\t0x00000020\t__TEXT\t__text
# Symbols:
# Address\tSize    \tFile  Name
0x00004000\t0x00000010\t[  1] _torchlite_load
0x00004010\t0x00000010\t[  2] _xnn_gemm
# Dead Stripped Symbols:
#        \tSize    \tFile  Name
<<dead>>\t0x00000010\t[  3] _xnn_dead
"""


def apple(**changes):
    return make_toolchain(
        target=parse_target("ios-arm64"),
        linker=make_tool("ld64.lld"),
        archiver=make_tool("llvm-libtool-darwin"),
        link_flags=("-fuse-ld=lld",),
        frameworks=("-framework", "Accelerate"),
        cxx_library=CxxLibrary.SYSTEM,
        bitcode=Bitcode.BESIDE,
        **changes,
    )


@pytest.fixture
def dylib(tmp_path):
    return Dylib(
        objects=(tmp_path / "a.cpp.o", tmp_path / "b.S.o"),
        output=tmp_path / "out/libTorchLite.dylib",
        exports=("torchlite_*",),
    )


def test_what_lld_finds_undefined_comes_back(dylib, tmp_path):
    runner = FakeRunner.saying(UNDEFINED, 1)
    outcome = link_dylib(dylib, apple(), runner=runner, log=tmp_path / "log")
    assert outcome.undefined == ("at::detail::getCPUHooks()", "malloc")
    (command,) = runner.commands
    assert {"-Wl,-dead_strip", "-dynamiclib", "-fuse-ld=lld", "Accelerate"} <= set(command)
    assert (tmp_path / "out/exports.txt").read_text() == "_torchlite_*\n"


def test_so_does_what_xcodes_linker_finds(dylib, tmp_path):
    assert parse_apple_undefined(XCODE_UNDEFINED) == ("at::detail::getCPUHooks()", "malloc")
    runner = FakeRunner.saying(XCODE_UNDEFINED, 1)
    toolchain = replace(apple(), linker_kind=LinkerKind.XCODE, link_flags=())
    outcome = link_dylib(dylib, toolchain, runner=runner, log=tmp_path / "log")
    assert outcome.undefined == ("at::detail::getCPUHooks()", "malloc")
    assert not [flag for flag in runner.commands[0] if "lld" in flag or "error-limit" in flag]


def test_another_failure_is_an_error(dylib, tmp_path):
    runner = FakeRunner.saying("ld64.lld: error: unknown argument\n", 1)
    with pytest.raises(NativeBuildError, match=r"linking libTorchLite.dylib failed"):
        link_dylib(dylib, apple(), runner=runner, log=tmp_path / "log")


def test_the_last_link_merges_into_a_folder_of_its_own(dylib, tmp_path):
    merged = replace(dylib, merged=tmp_path / "out/merged")
    (tmp_path / "out/merged").mkdir(parents=True)
    (tmp_path / "out/merged/0.old.lto.o").touch()
    runner = FakeRunner.saying("")
    assert link_dylib(merged, apple(), runner=runner, log=tmp_path / "log").undefined == ()
    (command,) = runner.commands
    assert command[command.index("-object_path_lto") + 2] == f"{tmp_path}/out/merged"
    assert list((tmp_path / "out/merged").iterdir()) == []
    inputs = (tmp_path / "out/objects.rsp").read_text().splitlines()
    assert inputs == [f"{tmp_path}/a.cpp.o", f"{tmp_path}/b.S.o"]


def test_assembly_that_stays_alive_goes_beside_the_merged_object(tmp_path):
    text = MAP.format(folder=tmp_path)
    assert [Path(path).name for path in parse_alive(text)] == ["0.arm64.lto.o", "gemm.S.o"]
    linked = tmp_path / "libTorchLite.dylib"
    (tmp_path / "libTorchLite.dylib.map").write_text(text)
    assert list_members(tmp_path / "merged.o", linked, tmp_path / "objects") == [
        ("torchlite.o", tmp_path / "merged.o"),
        (
            "third_party_XNNPACK_src_gemm.S.o",
            tmp_path / "objects/third_party/XNNPACK/src/gemm.S.o",
        ),
    ]


def test_a_static_library_has_no_times_and_members_in_order(tmp_path):
    runner = FakeRunner(answer=lambda command: Completed(0, Path(command[4]).read_text()))
    archive([("a.o", b"one")], tmp_path / "lib.a", apple(), runner=runner)
    (command,) = runner.commands
    assert command[1:4] == ("-static", "-D", "-filelist")
    assert (tmp_path / "lib.a").is_file()
    with pytest.raises(NativeBuildError, match=r"archiving lib.a"):
        archive([], tmp_path / "lib.a", apple(), runner=FakeRunner.saying("no\n", 1))


def test_names_that_objects_share_are_builders_own(tmp_path):
    api, kernel, other = (tmp_path / f"{name}.o" for name in ("api", "kernel", "other"))
    api.write_bytes(make_object(undefined=("_xnn_gemm", "_malloc")))
    kernel.write_bytes(make_object(exports=("_xnn_gemm",), private=("_xnn_table",)))
    other.write_bytes(make_object(exports=(), private=("_xnn_more", "_OBJC_CLASS_$_A")))
    members = [("a.o", api), ("k.o", kernel), ("o.o", other)]
    made = {name: read_macho(data) for name, data in rename_shared(members)}
    assert made["a.o"].undefined == {"_torchlite_own_xnn_gemm", "_malloc"}
    assert made["a.o"].exports == {"_torchlite_load", "_torchlite_forward"}
    assert made["k.o"].exports == {"_torchlite_own_xnn_gemm"}
    assert made["k.o"].private == {"_torchlite_own_xnn_table"}
    assert made["o.o"].private == {"_torchlite_own_xnn_more", "_OBJC_CLASS_$_A"}
    assert made["k.o"].sections == read_macho(kernel.read_bytes()).sections


def test_a_damaged_object_of_a_static_library_is_an_error(tmp_path):
    (tmp_path / "a.o").write_bytes(make_object()[:200])
    with pytest.raises(NativeBuildError, match="an object of the static library is damaged"):
        rename_shared([("a.o", tmp_path / "a.o")])


def test_the_link_is_stripped_for_its_size_only(tmp_path):
    linked = tmp_path / "unstripped/libTorchLite.dylib"
    linked.parent.mkdir()
    merged_path(linked).mkdir()
    with pytest.raises(NativeBuildError, match="left 0 objects"):
        find_merged(merged_path(linked))
    (merged_path(linked) / "0.arm64.lto.o").write_bytes(make_object())
    linked.with_name("libTorchLite.dylib.map").write_text(MAP.format(folder="/gone"))
    folder = CompileFolder(root=tmp_path, ninja_file=Path("n"), objects="objects", prefixes=())
    runner = FakeRunner.saying("")
    made = write_static(linked, tmp_path, folder, apple(), runner)
    assert (made.archive.name, made.image.name) == ("libTorchLite.a", "libTorchLite.dylib")
    assert runner.commands[-1][1:4] == ("-x", "-S", str(linked))
    failing = FakeRunner(answer=lambda c: Completed(int("-x" in c), "damaged\n"))
    with pytest.raises(NativeBuildError, match="stripping"):
        write_static(linked, tmp_path, folder, apple(), failing)


def test_every_profile_merges_and_takes_no_option_of_elf():
    for profile in ("size", "speed", "debug"):
        tuning = load_tuning(Flavour(profile=profile), apple(), (DispatchBackend.CPU,))
        assert tuning.lto
        assert tuning.link == ()
        assert tuning.compile[-1:] == ("-flto=full",)
        assert tuning.small_cxx is None
