"""The chooser on a small library with the installed clang, ninja and lld."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from builder import api
from builder.core.plan import Interface
from builder.core.units import SymbolIndex, TranslationUnit, UnitGraph
from builder.errors import NativeBuildError
from builder.native.closure import Closure, close
from builder.native.index import index_symbols, parse_symbols
from builder.native.interfaces import LIBRARIES
from builder.native.link_elf import link_library, link_program, strip_library
from builder.native.ninja import CompileFolder, Prefix, compile_units, render_ninja, write_ninja
from builder.native.together import Link, Steps, run_together
from builder.size.measure import LINKER_PART, measure
from builder.system.machine import host_abi
from builder.system.process import Runner
from builder.system.progress import Silent

pytestmark = pytest.mark.host

HEADER = """\
#include <ostream>
#include <string>
#include <vector>
namespace lib {
using Fn = void (*)(int&, std::vector<std::vector<int>> const&);
template <class F, class T> struct Stub { static int DEFAULT; };
struct add_stub;
template <> int Stub<Fn, add_stub>::DEFAULT;
struct Shape {
  virtual ~Shape();
  bool operator()(int) const;
  explicit operator bool() const;
};
std::ostream& operator<<(std::ostream&, Shape const&);
std::string name();
template <class T> long wrap(T);
int used(int);
int unused(int);
}
"""
SOURCES = {
    "root.cpp": """
extern "C" __attribute__((visibility("default"))) int torchlite_run(std::ostream* out) {
  lib::Shape shape;
  *out << shape << lib::name() << __FILE__;
  int stub = lib::Stub<lib::Fn, lib::add_stub>::DEFAULT;
  return shape(1) + bool(shape) + lib::wrap(2) + lib::used(3) + stub;
}
int forgotten(int x) { return lib::unused(x); }
""",
    "shape.cpp": "lib::Shape::~Shape() {}\n"
    "bool lib::Shape::operator()(int x) const { return x; }\n"
    "lib::Shape::operator bool() const { return true; }\n",
    "print.cpp": "std::ostream& lib::operator<<(std::ostream& o, Shape const&) { return o; }\n",
    "name of it.cpp": 'std::string lib::name() { return "n"; }\n',
    "wrap.cpp": "template <class T> long lib::wrap(T x) { return x; }\n"
    "template long lib::wrap<int>(int);\n",
    "used.cpp": "int lib::used(int x) { return x; }\n",
    "unused.cpp": "int lib::unused(int x) { return x; }\n",
    "stub.cpp": "template <> int lib::Stub<lib::Fn, lib::add_stub>::DEFAULT = 5;\n",
    "runner.cpp": """
#include <iostream>
extern "C" int torchlite_run(std::ostream*);
int main() { return torchlite_run(&std::cout) == 0; }
""",
}
REACHED = set(SOURCES) - {"unused.cpp", "runner.cpp"}


class Project:
    """The small library, compiled on demand below a folder with a blank in its name."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source tree"
        self.runner = Runner.inherit()
        self.toolchain = api.locate_toolchain(api.locate_target(host_abi()))
        root = folder / "my objects"
        relative = os.path.relpath(self.source, root)
        self.folder = CompileFolder(
            root=root,
            ninja_file=Path("build.ninja"),
            objects="objects",
            prefixes=(Prefix(root, ".", "."), Prefix(self.source, relative, "sample")),
        )
        self.source.mkdir()
        (self.source / "lib.h").write_text(HEADER)
        for name, text in SOURCES.items():
            (self.source / name).write_text(text)
        header = str(self.source / "lib.h")
        flags = ("-Os", "-fPIC", "-fvisibility=hidden", "-ffunction-sections", "-include", header)
        self.graph = UnitGraph(
            units={
                name: TranslationUnit(
                    id=name,
                    library="lib",
                    language="CXX",
                    source=str(self.source / name),
                    flags=flags,
                )
                for name in SOURCES
            }
        )
        write_ninja(
            render_ninja(self.graph.units.values(), self.toolchain, self.folder), self.folder
        )

    def object(self, name: str) -> Path:
        return self.folder.root / self.folder.object_path(name)

    def compile(self, names: list[str]) -> int:
        return compile_units(
            names,
            self.toolchain,
            self.folder,
            runner=self.runner,
            jobs=2,
            progress=Silent(),
            log=self.folder.root / "compile.log",
        )

    def index(self) -> SymbolIndex:
        nm = self.runner.find_program("llvm-nm") or self.runner.find_program("nm")
        options = ("--extern-only", "--demangle", "--format=bsd")
        symbols = [
            (name, parse_symbols(self.runner.check((str(nm), *options, path), step="nm")))
            for name in SOURCES
            if (path := str(self.object(name)))
        ]
        defined: dict[str, list[str]] = {}
        for name, found in index_symbols(symbols).items():
            for symbol in found:
                defined.setdefault(symbol, []).append(name)
        listed = {symbol: tuple(units) for symbol, units in defined.items()}
        return SymbolIndex(defined_in=listed)

    def link(self, names: frozenset[str], output: Path) -> tuple[str, ...]:
        self.compile(sorted(names))
        outcome = link_library(
            [self.object(name) for name in sorted(names)],
            output,
            self.toolchain,
            flags=("-Wl,--icf=safe",),
            soname="libsample.so",
            version_script=LIBRARIES[Interface.C].version_script,
            runner=self.runner,
            log=output.with_suffix(".log"),
        )
        return outcome.undefined

    def close(self, index: SymbolIndex, output: Path) -> Closure:
        def try_link(units: frozenset[str]) -> Steps[tuple[str, ...]]:
            undefined: tuple[str, ...] = yield Link(run=lambda: self.link(units, output))
            return undefined

        (found,) = run_together([close(["root.cpp"], index, try_link=try_link)], jobs=2)
        return found


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("host, link"))
    assert project.compile(list(SOURCES)) == len(SOURCES)
    return project


@pytest.fixture(scope="module")
def linked(project):
    output = project.folder.root / "lib" / "libsample.so"
    output.parent.mkdir()
    closure = project.close(project.index(), output)
    return closure, output


def test_the_link_takes_what_is_reached_and_nothing_else(linked):
    """`forgotten` needs unused.cpp, but nothing reaches it."""
    closure, _ = linked
    assert closure.units == REACHED


def test_the_runtime_runs_stripped_and_knows_no_folder(project, linked):
    _, output = linked
    library = project.folder.root / "lib" / "stripped.so"
    strip_library(output, library, project.toolchain, runner=project.runner)
    program = project.folder.root / "bin" / "run"
    program.parent.mkdir()
    link_program(
        [project.object("runner.cpp")],
        output,
        program,
        project.toolchain,
        runner=project.runner,
        log=project.folder.root / "run.log",
    )
    said = subprocess.run([program], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "nsample/root.cpp")
    assert str(project.source.parent).encode() not in library.read_bytes()
    assert library.stat().st_size < output.stat().st_size


def test_the_map_accounts_for_every_byte(project, linked):
    _, output = linked
    report = measure(output, Path(f"{output}.map"), project.folder.root / "objects")
    assert report.units["root.cpp"] > 0
    assert report.units["name of it.cpp"] > 0
    assert "unused.cpp" not in report.units
    assert report.units[LINKER_PART] > 0
    assert sum(report.units.values()) == report.file == output.stat().st_size


def test_only_the_c_api_is_exported(project, linked):
    nm = project.runner.find_program("llvm-nm") or project.runner.find_program("nm")
    command = (str(nm), "--dynamic", "--defined-only", str(linked[1]))
    names = project.runner.check(command, step="nm").split()[2::3]
    assert names == ["torchlite_run"]


def test_objects_are_compiled_once(project):
    assert project.compile(list(SOURCES)) == 0


def test_a_name_of_no_unit_is_named(project, tmp_path):
    index = SymbolIndex(defined_in={})
    with pytest.raises(NativeBuildError, match=r"lib::used\(int\)"):
        project.close(index, tmp_path / "libx.so")


def test_a_unit_that_does_not_compile_is_named(project):
    path = project.source / "used.cpp"
    text = path.read_text()
    path.write_text("this is no C++\n")
    try:
        with pytest.raises(NativeBuildError, match=r"used\.cpp\.o failed") as caught:
            project.compile(["used.cpp"])
    finally:
        path.write_text(text)
    assert "error:" in caught.value.message
