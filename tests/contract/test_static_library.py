"""The static library for Linux, made of a small shared one by the installed clang, lld and LLVM."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from samples import make_unit

from builder import api
from builder.core.plan import Interface
from builder.core.toolchain import LTO_COMPILE, LTO_LINK, Bitcode
from builder.errors import BuilderError
from builder.formats.elf import LOCAL, Elf
from builder.native.interfaces import LIBRARIES
from builder.native.link_elf import link_library
from builder.native.ninja import CompileFolder, compile_units, render_ninja, write_ninja
from builder.native.static_elf import list_exports, merged_path, write_static
from builder.system.machine import host_abi
from builder.system.process import Runner
from builder.system.progress import Silent
from builder.toolchains.clang import locate_archive_tools

pytestmark = pytest.mark.host

SOURCES = {
    "api.cpp": """
        #include <stdexcept>
        #include <string>
        namespace at { int run(int); }
        extern "C" int xnn_gemm_asm(void);
        extern "C" __attribute__((visibility("default"))) int torchlite_run(int n) {
          try {
            return at::run(n) + xnn_gemm_asm();
          } catch (const std::runtime_error& error) {
            return error.what() == std::string("refused") ? -1 : -2;
          }
        }
        extern "C" __attribute__((visibility("default"))) int torchlite_more(void) { return 1; }
    """,
    "operators.cpp": """
        #include <map>
        #include <stdexcept>
        #include <string>
        namespace at {
        std::map<std::string, int>& table() { static std::map<std::string, int> all; return all; }
        int run(int n) {
          if (!n) throw std::runtime_error("refused");
          return table().at("add") + n;
        }
        }
    """,
    "registrations.cpp": """
        #include <map>
        #include <string>
        namespace at {
        std::map<std::string, int>& table();
        struct Register { Register() { table()["add"] = 40; } };
        static Register one;
        }
    """,
    "kernel.S": """
        .section .text.xnn_gemm_asm,"ax",@progbits
        .globl xnn_gemm_asm
        xnn_gemm_asm:
          KERNEL
        .section .note.GNU-stack,"",@progbits
    """.replace("KERNEL", {"x86_64": "mov $1, %eax\n ret"}.get(host_abi()[6:], "mov w0, #1\n ret")),
}
PROGRAM = "int torchlite_run(int); int main(void) { return torchlite_run(1) != 42; }"
OTHER = """
    int xnn_gemm_asm(void) { return 1000; }
    int other_run(void) { return xnn_gemm_asm(); }
"""


@pytest.fixture(scope="module", params=["merged", "apart"])
def static(request, tmp_path_factory):
    """A shared library and a static one of the same, with link-time optimisation and without."""
    root = tmp_path_factory.mktemp("static, library")
    toolchain = api.locate_toolchain(api.locate_target(host_abi()))
    try:
        tools = locate_archive_tools(Runner.inherit(), toolchain.compiler_major)
    except BuilderError as error:
        pytest.skip(str(error))
    lto = request.param == "merged"
    if lto and toolchain.bitcode is Bitcode.NONE:
        pytest.skip("needs a clang that builder uses bitcode of")
    more = LTO_COMPILE[toolchain.bitcode] if lto else ()
    flags = ("-O2", "-fPIC", "-ffunction-sections", "-fvisibility=hidden", *more)
    units = []
    for name, text in SOURCES.items():
        (root / name).write_text(text)
        own = ("ASM", ()) if name.endswith(".S") else ("CXX", flags)
        units.append(make_unit(name, source=str(root / name), flags=own[1], language=own[0]))
    folder = CompileFolder(root=root, ninja_file=Path("b.ninja"), objects="objects", prefixes=())
    write_ninja(render_ninja(units, toolchain, folder), folder)
    compile_units(
        list(SOURCES),
        toolchain,
        folder,
        runner=Runner.inherit(),
        jobs=1,
        progress=Silent(),
        log=root / "log",
    )
    linked = root / "libtorchlite.so"
    outcome = link_library(
        [(folder.find_bitcode if lto else folder.find_object)(name) for name in SOURCES],
        linked,
        toolchain,
        flags=LTO_LINK[toolchain.bitcode] if lto else (),
        soname="libtorchlite.so",
        version_script=LIBRARIES[Interface.C].version_script,
        merged=merged_path(linked) if lto else None,
        runner=Runner.inherit(),
        log=root / "link.log",
    )
    assert outcome.undefined == ()
    assert merged_path(linked).is_file() == lto

    def write(output):
        objects = folder.root / folder.objects
        log = root / "static.log"
        runner = Runner.inherit()
        write_static(linked, output, objects, toolchain, tools, runner=runner, log=log)
        return output

    return linked, write(root / "libtorchlite.a"), write


def run(*command):
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def read_member(archive, folder):
    run("ar", "x", archive, "--output", folder)
    return Elf((folder / "torchlite.o").read_bytes())


def test_only_the_api_has_a_name(static, tmp_path):
    linked, archive, _ = static
    assert list_exports(linked) == ["torchlite_more", "torchlite_run"]
    member = read_member(archive, tmp_path)
    defined = {s.name for s in member.symbols if s.section and s.binding != LOCAL}
    assert defined == {"torchlite_more", "torchlite_run"}
    # A group is dropped for another one of its name, which an app may have.
    assert ".group" not in {section.name for section in member.sections}


@pytest.mark.parametrize("linker", ["bfd", "gold", "lld"])
def test_a_c_program_needs_no_option_to_keep_the_registrations(static, tmp_path, linker):
    toolchain = api.locate_toolchain(api.locate_target(host_abi()))
    chosen = f"--ld-path={toolchain.linker.path}" if linker == "lld" else f"-fuse-ld={linker}"
    (tmp_path / "main.c").write_text(PROGRAM)
    program = tmp_path / "main"
    more = ("-lm", "-pthread", "-ldl", "-o", program)
    run(toolchain.cc.path, chosen, tmp_path / "main.c", static[1], *more)
    run(program)
    assert "libstdc++" not in run("readelf", "--dynamic", program)
    stack = next(line for line in run("readelf", "-lW", program).splitlines() if "STACK" in line)
    assert "RWE" not in stack


def test_a_library_with_the_same_names_does_not_meet_it(static, tmp_path):
    """All of both archives is linked in, as apps do with -force_load and --whole-archive."""
    toolchain = api.locate_toolchain(api.locate_target(host_abi()))
    clang = toolchain.cc.path
    (tmp_path / "other.c").write_text(OTHER)
    run(clang, "-c", tmp_path / "other.c", "-o", tmp_path / "other.o")
    run("ar", "rcs", tmp_path / "libother.a", tmp_path / "other.o")
    (tmp_path / "main.cpp").write_text("""
        #include <map>
        #include <stdexcept>
        #include <string>
        extern "C" int torchlite_run(int);
        extern "C" int other_run(void);
        int main() {
          std::map<std::string, int> own{{"add", 7}};
          try {
            own.at("sub");
          } catch (const std::out_of_range&) {
            own["caught"] = 1;
          }
          // 0 makes the library throw, and catch.
          bool fits = torchlite_run(1) == 42 && torchlite_run(0) == -1 && other_run() == 1000;
          return fits && own.at("caught") == 1 ? 0 : 1;
        }
    """)
    whole = ("-Wl,--whole-archive", static[1], tmp_path / "libother.a", "-Wl,--no-whole-archive")
    program = tmp_path / "main"
    more = ("-lm", "-pthread", "-ldl", "-o", program)
    run(
        toolchain.cxx.path,
        f"--ld-path={toolchain.linker.path}",
        tmp_path / "main.cpp",
        *whole,
        *more,
    )
    run(program)


def test_written_twice_the_bytes_are_the_same(static, tmp_path):
    _, archive, write = static
    assert write(tmp_path / "again.a").read_bytes() == archive.read_bytes()


def test_the_tools_are_of_the_release_of_the_compiler():
    with pytest.raises(BuilderError, match="llvm-objcopy of release 7"):
        locate_archive_tools(Runner.inherit(), 7)
