"""What clang, lld and LLVM's tools make for iOS, without any SDK: sources that include nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from apple_tools import TOOLS, make_apple_toolchain, write_sdk

from builder.formats.macho import join_architectures, read_macho, read_members
from builder.formats.tbd import parse_stub
from builder.native.link_macho import (
    Dylib,
    archive,
    find_merged,
    link_dylib,
    list_members,
    merged_path,
    parse_alive,
    rename_shared,
    write_static,
)
from builder.native.ninja import CompileFolder, compile_units, render_ninja, write_ninja
from builder.platforms.apple.check import AppleBinary, check_slices
from builder.platforms.apple.facts import load_facts
from builder.size.macho.measure import measure_image, parse_macho_map
from builder.system.process import Runner
from builder.system.progress import Silent

SOURCES = {
    "api.cpp": """
        extern "C" void* malloc(unsigned long);
        namespace at { int add(int); int gone(); bool lookup(int); }
        extern "C" __attribute__((visibility("default"))) int torchlite_forward(int n) {
          return malloc(1) != nullptr && at::lookup(n) ? at::add(n) : 0;
        }
        extern "C" __attribute__((visibility("default"))) int torchlite_load(void) { return 1; }
        namespace at { int dead() { return gone(); } }
    """,
    "add.cpp": "namespace at { int add(int n) { return n + 1; } int unused() { return 42; } }",
    "registrations.cpp": """
        namespace at {
        struct Table { int operators[8]; int count; };
        Table table;
        bool lookup(int n) { return table.count > n && table.operators[n & 7] != n; }
        extern "C" int getpid();
        struct Register { Register(int n) { table.operators[table.count++] = n + getpid(); } };
        static Register one(7), two(8);
        }
    """,
    "kernel.S": """
        .text
        .globl _kernel
        .private_extern _kernel
        .p2align 2
        _kernel:
          ret
        .subsections_via_symbols
    """,
}
APP = 'extern "C" int torchlite_forward(int); int main() { return torchlite_forward(1); }'
SYSTEM = ("_getpid", "_malloc", "_exit", "dyld_stub_binder", "___cxa_atexit")


pytestmark = pytest.mark.skipif(TOOLS is None, reason="needs clang and ld64.lld of one release")


@pytest.fixture
def sdk(tmp_path):
    return write_sdk(tmp_path / "s d k", SYSTEM)


@pytest.fixture(params=["ios-arm64", "ios-simulator-arm64", "ios-simulator-x86_64"])
def toolchain(request, sdk):
    return make_apple_toolchain(sdk, request.param)


@pytest.fixture
def folder(tmp_path, toolchain):
    """Compiles SOURCES, as a build would."""
    return compile_sources(tmp_path / "native", toolchain, SOURCES)


def compile_sources(root, toolchain, sources):
    from samples import make_unit

    root.mkdir()
    units = []
    for name, text in sources.items():
        (root / name).write_text(text)
        language = "ASM" if name.endswith(".S") else "CXX"
        flags = (
            ()
            if language == "ASM"
            else ("-flto=full", "-Oz", "-fvisibility=hidden", "-fno-exceptions")
        )
        unit = make_unit(name, source=str(root / name), flags=flags, language=language)
        units.append(unit)
    where = CompileFolder(root=root, ninja_file=Path("b.ninja"), objects="objects", prefixes=())
    write_ninja(render_ninja(units, toolchain, where), where)
    compile_units(
        list(sources),
        toolchain,
        where,
        runner=Runner.inherit(),
        jobs=1,
        progress=Silent(),
        log=root / "log",
    )
    return where


def link(folder, toolchain, *names, merged=False):
    output = folder.root / "unstripped/libTorchLite.dylib"
    output.parent.mkdir(exist_ok=True)
    dylib = Dylib(
        objects=tuple(map(folder.find_bitcode if merged else folder.find_object, names)),
        output=output,
        exports=("torchlite_*",),
        merged=merged_path(output) if merged else None,
    )
    log = folder.root / "link.log"
    return output, link_dylib(dylib, toolchain, runner=Runner.inherit(), log=log).undefined


def build_static(folder, toolchain):
    output, undefined = link(folder, toolchain, *SOURCES, merged=True)
    assert undefined == ()
    return write_static(output, folder.root, folder, toolchain, Runner.inherit())


def test_only_what_live_code_needs_is_undefined(folder, toolchain):
    """`at::gone` is called by a function that nothing calls."""
    assert link(folder, toolchain, "api.cpp")[1] == ("at::add(int)", "at::lookup(int)")
    assert link(folder, toolchain, "api.cpp", "add.cpp", "registrations.cpp")[1] == ()


def test_the_map_tells_what_stayed(folder, toolchain):
    output, _ = link(folder, toolchain, *SOURCES)
    text = output.with_name(f"{output.name}.map").read_text()
    alive = [Path(path).name for path in parse_alive(text)]
    assert "api.cpp.o" in alive
    assert "kernel.S.o" not in alive
    names = {atom.name for atom in parse_macho_map(text)}
    assert "at::unused()" not in names
    assert not any("unused" in name for name in names)


def test_the_static_library_is_one_object_that_keeps_the_rules(folder, toolchain, sdk):
    made = build_static(folder, toolchain)
    (member,) = read_members(made.archive.read_bytes())
    file = read_macho(member.contents)
    assert (file.platform, file.min_os) == (str(toolchain.target.platform), 140000)
    assert file.exports == {"_torchlite_load", "_torchlite_forward"}
    assert not file.private
    binary = AppleBinary(
        path="a",
        target=toolchain.target,
        arch=load_facts(toolchain.target).arch,
        contents=made.archive.read_bytes(),
    )
    assert check_slices([binary], {toolchain.target.platform: sdk}).findings == ()


def test_an_app_keeps_the_registrations_without_force_load(folder, toolchain, tmp_path):
    made = build_static(folder, toolchain)
    (tmp_path / "app.cpp").write_text(APP)
    command = (
        *(str(toolchain.cxx.path), *toolchain.system_flags, "-fuse-ld=lld"),
        *(f"--ld-path={toolchain.linker.path}", "-Wl,-dead_strip"),
        *(str(tmp_path / "app.cpp"), str(made.archive), "-o", str(tmp_path / "app")),
    )
    completed = subprocess.run(command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    app = read_macho((tmp_path / "app").read_bytes())
    starts = [s for s in app.sections if s.name in {"__mod_init_func", "__init_offsets"} and s.size]
    assert starts
    assert app.undefined <= set(SYSTEM)
    assert {Path(path).name for path in app.libraries} <= {"libSystem.dylib", "libc++.dylib"}


def test_an_app_may_have_another_library_with_the_names_of_our_kernels(toolchain, sdk, tmp_path):
    """The API calls a kernel in assembly; so does a library of somebody else, by the same name."""
    calling = SOURCES["api.cpp"].replace("at::add(n)", "at::add(n) + kernel()")
    api = f'extern "C" int kernel(void);{calling}'
    folder = compile_sources(tmp_path / "native", toolchain, {**SOURCES, "api.cpp": api})
    made = build_static(folder, toolchain)
    files = {m.name: read_macho(m.contents) for m in read_members(made.archive.read_bytes())}
    assert set(files) == {"torchlite.o", "kernel.S.o"}
    assert files["kernel.S.o"].shared == {"_torchlite_own_kernel"}
    assert "_torchlite_own_kernel" in files["torchlite.o"].undefined
    binary = AppleBinary(
        path="a",
        target=toolchain.target,
        arch=load_facts(toolchain.target).arch,
        contents=made.archive.read_bytes(),
    )
    assert check_slices([binary], {toolchain.target.platform: sdk}).findings == ()
    system = (str(toolchain.cxx.path), *toolchain.system_flags)
    (tmp_path / "other.c").write_text("int kernel(void) { return 7; }")
    run(*system, "-x", "c", "-c", tmp_path / "other.c", "-o", tmp_path / "other.o")
    libtool = toolchain.archiver.path
    run(libtool, "-static", tmp_path / "other.o", "-o", tmp_path / "libother.a")
    (tmp_path / "app.cpp").write_text(APP)
    # As the objects were before they were renamed.
    output = folder.root / "unstripped/libTorchLite.dylib"
    members = list_members(find_merged(merged_path(output)), output, folder.root / folder.objects)
    plain = [(name, path.read_bytes()) for name, path in members]
    archive(plain, tmp_path / "plain.a", toolchain, runner=Runner.inherit())
    for library, fits in ((made.archive, True), (tmp_path / "plain.a", False)):
        command = (
            *(*system, "-fuse-ld=lld", f"--ld-path={toolchain.linker.path}", "-Wl,-all_load"),
            *(str(tmp_path / "app.cpp"), str(library), str(tmp_path / "libother.a")),
            *("-o", str(tmp_path / "app")),
        )
        completed = subprocess.run(command, capture_output=True, text=True)
        assert (completed.returncode == 0) == fits, completed.stderr
        assert fits or "duplicate symbol: kernel" in completed.stderr


def test_archived_twice_the_bytes_are_the_same(folder, toolchain):
    first = build_static(folder, toolchain).archive.read_bytes()
    output = folder.root / "unstripped/libTorchLite.dylib"
    members = list_members(find_merged(merged_path(output)), output, folder.root / folder.objects)
    again = folder.root / "again.a"
    archive(rename_shared(members), again, toolchain, runner=Runner.inherit())
    assert again.read_bytes() == first


def test_every_byte_of_the_image_is_accounted_for(folder, toolchain):
    output, _ = link(folder, toolchain, *SOURCES)
    units_map = output.with_suffix(".units.map")
    output.with_name(f"{output.name}.map").replace(units_map)
    made = build_static(folder, toolchain)
    map_file = output.with_name(f"{output.name}.map")
    report = measure_image(made.image, map_file, folder.root / folder.objects, units_map=units_map)
    assert sum(report.units.values()) == report.file == made.image.stat().st_size
    assert sum(report.sections.values()) == report.file
    assert report.units["registrations.cpp"] > 0


def test_the_stubs_that_builder_writes_are_those_that_llvm_reads(sdk, tmp_path):
    reader = TOOLS[2] / "llvm-readtapi"
    if not reader.is_file():
        pytest.skip("needs llvm-readtapi")
    output = tmp_path / "v5.tbd"
    stub = sdk / "usr/lib/libSystem.tbd"
    command = (str(reader), "--filetype=tbd-v5", str(stub), "-o", str(output))
    completed = subprocess.run(command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    assert parse_stub(output.read_text(), "arm64-ios") == set(SYSTEM)


def test_libraries_of_two_processors_become_one_that_llvm_reads(tmp_path):
    _, clang, tools = TOOLS
    (tmp_path / "one.c").write_text("int one(void) { return 1; }")
    libraries = {}
    for arch in ("arm64", "x86_64"):
        target, object_file = f"--target={arch}-apple-ios14.0-simulator", tmp_path / f"{arch}.o"
        run(clang, target, "-c", tmp_path / "one.c", "-o", object_file)
        run(tools / "llvm-libtool-darwin", "-static", "-o", tmp_path / f"{arch}.a", object_file)
        libraries[arch] = (tmp_path / f"{arch}.a").read_bytes()
    (tmp_path / "both.a").write_bytes(join_architectures(libraries))
    lipo = tools / "llvm-lipo"
    assert set(run(lipo, tmp_path / "both.a", "-archs").split()) == {"arm64", "x86_64"}
    for arch, library in libraries.items():
        run(lipo, tmp_path / "both.a", "-thin", arch, "-output", tmp_path / "thin.a")
        assert (tmp_path / "thin.a").read_bytes() == library


def run(*command):
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
