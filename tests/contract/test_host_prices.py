"""Prices of a small library beside what really goes when it is linked without an operator."""

from __future__ import annotations

from pathlib import Path

import pytest
from priced_library import PRIMS, REGISTRY, name_operators

from builder import api
from builder.core.plan import Interface
from builder.formats.elf import Elf
from builder.native.interfaces import LIBRARIES
from builder.native.link_elf import link_library, strip_library
from builder.size.elf.linked import read_elf, read_elf_alone
from builder.size.linked_graph import Registry, build_graph
from builder.size.prices import price_operators, price_set
from builder.size.reasons import Reasons
from builder.system.machine import host_abi
from builder.system.process import Runner

pytestmark = pytest.mark.host

HEADER = r"""
#include <stdexcept>
#include <string>
#include <vector>
struct Library { std::vector<std::string> names; };
using Kernel = int (*)(int);
void add(const char* name, Kernel kernel);
struct Entry { const char* schema; Kernel kernel; };
void add_all(const Entry* entries, int count);
int einsum(int); int cumsum(int); int common(int);
[[gnu::noinline]] int long_table(int x);
"""
SOURCES = {
    "torchlite/api.cpp": r"""
std::vector<std::pair<std::string, Kernel>>& table() {
  static std::vector<std::pair<std::string, Kernel>> kernels;
  return kernels;
}
void add(const char* name, Kernel kernel) { table().emplace_back(name, kernel); }
void add_all(const Entry* entries, int count) {
  for (int i = 0; i < count; ++i) {
    if (entries[i].schema) { add(entries[i].schema, entries[i].kernel); }
  }
}
extern "C" __attribute__((visibility("default"))) int torchlite_run(int x) {
  for (auto& entry : table()) { x = entry.second(x); }
  return x;
}
""",
    "torchlite/registrations.cpp": r"""
extern "C" {
#ifndef WITHOUT_einsum
[[gnu::noinline, gnu::used]] static void register_operator_aten_ceinsum(Library&) {
  add("aten::einsum", einsum);
}
#endif
#ifndef WITHOUT_cumsum
[[gnu::noinline, gnu::used]] static void register_operator_aten_ccumsum_oout(Library&) {
  add("aten::cumsum.out", cumsum);
}
#endif
}
static Library library;
static const bool registered = [] {
#ifndef WITHOUT_einsum
  register_operator_aten_ceinsum(library);
#endif
#ifndef WITHOUT_cumsum
  register_operator_aten_ccumsum_oout(library);
#endif
  return true;
}();
""",
    "einsum.cpp": r"""
struct Base { virtual ~Base() = default; virtual int run(int) const = 0; };
struct Contraction : Base {
  int run(int x) const override {
    if (x < 0) { throw std::invalid_argument("einsum of less than nothing " + std::to_string(x)); }
    return common(x) + 5;
  }
};
static const int paths[4000] = {1, 2, 3};
static std::vector<int> cache(17, 4);  // an initialiser of the unit
int einsum(int x) {
  std::vector<int> seen(x, 1);
  const Base& base = *new Contraction;
  switch (x) { case 0: return 7; case 1: return 11; case 2: return 1; case 3: return 90;
               case 4: return long_table(3); case 5: return long_table(x * x); }
  return base.run(x) + paths[x & 4095] + cache[x & 15] + seen.at(0);
}
""",
    "cumsum.cpp": r"""
int cumsum(int x) {
  if (x > 100) { throw std::runtime_error("cumsum is too large"); }
  return common(x) * long_table(x);
}
""",
    "common.cpp": r"""
static const char text[6000] = "shared by both";
int common(int x) { return text[x % 5999]; }
static const double values[1000] = {1.5};
int long_table(int x) { return int(values[x % 999]); }
""",
    "prims.cpp": PRIMS,
}
FLAGS = ("-Os", "-fPIC", "-std=c++17", "-fvisibility=hidden", "-ffunction-sections")
NOTHING = Registry(operators=(), by_hand={}, always=frozenset(), limited=frozenset())
TOLERANCE = 96
"""Bytes: alignment, merged strings, registration code on the way between operators."""


class Project:
    """The small library, with or without some operators."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = Runner.inherit()
        self.toolchain = api.locate_toolchain(api.locate_target(host_abi()))
        (folder / "lib.h").write_text(HEADER)

    def build(self, *without: str, unused: tuple[str, ...] = (), flags: tuple[str, ...] = ()):
        """Returns the folder with the library."""
        root = self.folder / "-".join(("without", *without, *flags))
        objects = []
        for name, text in SOURCES.items():
            if name in unused:
                continue
            source = root / "sources" / name
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(text)
            target = root / "objects" / f"{name}.o"
            target.parent.mkdir(parents=True, exist_ok=True)
            header = ("-include", str(self.folder / "lib.h"))
            defines = (f"-DWITHOUT_{operator}" for operator in without)
            options = (*FLAGS, "-fdata-sections", *flags, *header, *defines)
            command = (str(self.toolchain.cxx.path), *options, "-c", str(source))
            self.runner.check((*command, "-o", str(target)), step=name)
            objects.append(target)
        outcome = link_library(
            objects,
            root / "lib.so",
            self.toolchain,
            flags=("-Wl,--icf=safe",),
            soname="lib.so",
            version_script=LIBRARIES[Interface.C].version_script,
            runner=self.runner,
            log=root / "link.log",
        )
        assert outcome.undefined == ()
        strip_library(root / "lib.so", root / "stripped.so", self.toolchain, runner=self.runner)
        return root

    def graph(self, root: Path):
        linked = read_elf(root / "lib.so", root / "lib.so.map", root / "objects")
        assert linked is not None
        return build_graph(linked, REGISTRY)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("prices with space"))


@pytest.fixture(scope="module")
def whole(project):
    return project.build()


def size(root: Path) -> int:
    return (root / "stripped.so").stat().st_size


@pytest.mark.parametrize(
    ("without", "unused"),
    [
        (("einsum",), ("einsum.cpp",)),
        (("cumsum",), ("cumsum.cpp",)),
        (("einsum", "cumsum"), ("einsum.cpp", "cumsum.cpp", "common.cpp")),
        (("length",), ()),
        (("startswith",), ()),
    ],
)
def test_the_price_is_what_goes(project, whole, without, unused):
    price = price_set(project.graph(whole), name_operators(without))
    gone = size(whole) - size(project.build(*without, unused=unused))
    assert gone > 1000
    assert abs(price - gone) <= TOLERANCE


def test_shared_bytes_are_inclusive_only(project, whole):
    prices = price_operators(project.graph(whole), {})
    for name in ("aten::einsum", "aten::cumsum.out"):
        assert prices[name].inclusive > prices[name].exclusive + 14_000


def test_nearly_every_byte_has_a_node(project, whole):
    graph = project.graph(whole)
    assert 0 <= size(whole) - sum(graph.sizes) < 4096


def test_nothing_of_the_relocations_is_shipped(whole):
    full, stripped = (Elf((whole / name).read_bytes()) for name in ("lib.so", "stripped.so"))
    assert any(section.name == ".rela.text" for section in full.sections)
    kept = {section.name for section in stripped.sections}
    assert {name for name in kept if name.startswith(".rela")} == {".rela.dyn", ".rela.plt"}


def test_with_link_time_optimisation(project):
    """The linker sees one object; what torchgen's operators register is still told apart."""
    lto = project.build(flags=("-flto",))
    less = project.build("einsum", unused=("einsum.cpp",), flags=("-flto",))
    price = price_set(project.graph(lto), ["aten::einsum"])
    gone = size(lto) - size(less)
    assert gone > 16_000
    assert abs(price - gone) <= 1024


def test_without_relocations_there_are_no_prices(project, whole):
    stripped = whole / "stripped.so"
    assert read_elf(stripped, whole / "lib.so.map", whole / "objects") is None


def test_a_library_alone_says_why_as_its_map_does(project, whole):
    """Without the map, the names are mangled and the units are sections; the graph is the same."""
    linked = read_elf_alone((whole / "lib.so").read_bytes())
    assert linked is not None
    alone = Reasons(build_graph(linked, NOTHING))
    by_name = alone.cut("einsum|Contraction").bytes
    by_unit = Reasons(project.graph(whole)).cut("^einsum.cpp$").bytes
    assert by_name > 16_000
    assert abs(by_name - by_unit) <= 1024
