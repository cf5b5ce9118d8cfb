"""Prices of a small library for iOS beside what goes when it is linked without an operator."""

from __future__ import annotations

from pathlib import Path

import pytest
from apple_tools import TOOLS, make_apple_toolchain, weigh_image, write_sdk
from priced_library import PRIMS, REGISTRY, name_operators
from samples import make_unit

from builder.native.link_elf import map_path
from builder.native.link_macho import Dylib, link_dylib, merged_path, write_static
from builder.native.ninja import CompileFolder, compile_units, render_ninja, write_ninja
from builder.size.linked_graph import build_graph
from builder.size.macho.linked import read_image
from builder.size.prices import price_operators, price_set
from builder.system.process import Runner
from builder.system.progress import Silent

pytestmark = pytest.mark.skipif(TOOLS is None, reason="needs clang and ld64.lld of one release")

HEADER = """
struct Library { int count; };
using Kernel = int (*)(int);
struct Entry { const char* schema; Kernel kernel; };
void add(const char* name, Kernel kernel);
void add_all(const Entry* entries, int count);
int einsum(int); int cumsum(int);
[[gnu::noinline]] int common(int);
[[gnu::noinline]] int long_table(int);
extern "C" int getpid();
extern "C" int kernel(int);
struct Problem { int x; virtual ~Problem(); virtual int what(); };
"""
SOURCES = {
    "torchlite/api.cpp": """
static Entry table[64];
static int used;
void add(const char* name, Kernel kernel) {
  if (getpid()) { table[used++] = {name, kernel}; }  // else the optimiser runs the initialisers
}
void add_all(const Entry* entries, int count) {
  for (int i = 0; i < count; ++i) { if (entries[i].schema) table[used++] = entries[i]; }
}
extern "C" __attribute__((visibility("default"))) int torchlite_run(int x) {
  for (int i = 0; i < used; ++i) { x = table[i].kernel(x) + table[i].schema[x & 3]; }
  return x;
}
""",
    "torchlite/registrations.cpp": """
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
    "einsum.cpp": """
Problem::~Problem() {}
int Problem::what() { return x; }
static const int paths[4000] = {1, 2, 3};
static int start = getpid();  // an initialiser of the unit
struct Guard { int& x; ~Guard() { x += getpid(); } };
[[gnu::noinline]] static int refuse(int x) {
  if (x > 100) { throw Problem(); }
  return kernel(x);
}
int einsum(int x) {
  Guard guard{start};
  switch (x) { case 0: return 7; case 1: return getpid(); case 2: return 1; case 3: return 90;
               case 4: return long_table(3); case 5: return long_table(x * x); case 6: return x; }
  try { x = refuse(x); } catch (Problem& problem) { return problem.what(); }
  return common(x) + paths[x & 1023] + start;
}
""",
    "cumsum.cpp": """
int cumsum(int x) { return common(x) * long_table(x); }
""",
    "common.cpp": """
static const char text[6000] = "shared by both";
int common(int x) { return text[x % 5999]; }
static const double values[1000] = {1.5};
int long_table(int x) { return int(values[x % 999] * 1.2345678); }
""",
    "prims.cpp": PRIMS,
}
KERNEL = """
.text
.globl _kernel
.private_extern _kernel
.p2align 2
_kernel:
.fill 300, 4, 0
.subsections_via_symbols
"""
SYSTEM = ("_getpid", "dyld_stub_binder")
CXX = (
    *("___cxa_throw", "___cxa_allocate_exception", "___cxa_begin_catch", "___cxa_end_catch"),
    *("___gxx_personality_v0", "__Unwind_Resume", "__ZdlPv", "__ZdlPvm", "__ZSt9terminatev"),
    "__ZTVN10__cxxabiv117__class_type_infoE",
)
TOLERANCE, LOADING = 32, 300
"""Bytes: alignment and registration code; what tells the loader of ten imports that go too."""


class Project:
    """The small library, with or without some operators."""

    def __init__(self, folder, abi):
        self.folder, self.runner = folder, Runner.inherit()
        sdk = write_sdk(folder / "s d k", SYSTEM, CXX)
        self.toolchain = make_apple_toolchain(sdk, abi)
        (folder / "lib.h").write_text(HEADER)

    def build(self, *without, unused=()):
        """Returns the folder with the library."""
        root = self.folder / "-".join(("without", *without))
        sources = {n: t for n, t in {**SOURCES, "kernel.S": KERNEL}.items() if n not in unused}
        defines = tuple(f"-DWITHOUT_{operator}" for operator in without)
        tuned = ("-flto=full", "-Oz", "-std=c++17", "-fvisibility=hidden")
        options = (*tuned, "-include", f"{self.folder}/lib.h")
        units = []
        for name, text in sources.items():
            source = root / "sources" / name
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(text)
            assembly = name.endswith(".S")
            language, flags = ("ASM", ()) if assembly else ("CXX", (*options, *defines))
            units.append(make_unit(name, source=str(source), flags=flags, language=language))
        folder = CompileFolder(
            root=root, ninja_file=Path("b.ninja"), objects="objects", prefixes=()
        )
        write_ninja(render_ninja(units, self.toolchain, folder), folder)
        asked = {"runner": self.runner, "jobs": 1, "progress": Silent(), "log": root / "log"}
        compile_units(list(sources), self.toolchain, folder, **asked)
        linked = root / "unstripped/libTorchLite.dylib"
        linked.parent.mkdir()
        self.link(folder, linked, sources, merged=None)
        map_path(linked).replace(root / "units.map")
        self.link(folder, linked, sources, merged=merged_path(linked))
        made = write_static(linked, root, folder, self.toolchain, self.runner)
        return Made(root, made, map_path(linked))

    def link(self, folder, output, names, *, merged):
        objects = tuple(map(folder.find_bitcode if merged else folder.find_object, names))
        dylib = Dylib(objects=objects, output=output, exports=("torchlite_*",), merged=merged)
        log = folder.root / "link.log"
        outcome = link_dylib(dylib, self.toolchain, runner=self.runner, log=log)
        assert outcome.undefined == ()


class Made:
    """A library that was built."""

    def __init__(self, root, static, map_file):
        self.image = static.image
        linked = read_image(
            static.image, map_file, static.merged, root / "objects", units_map=root / "units.map"
        )
        self.graph = build_graph(linked, REGISTRY)

    @property
    def size(self):
        return weigh_image(self.image.read_bytes())


@pytest.fixture(scope="module", params=["ios-arm64", "ios-simulator-arm64", "ios-simulator-x86_64"])
def project(request, tmp_path_factory):
    return Project(tmp_path_factory.mktemp("prices with space"), request.param)


@pytest.fixture(scope="module")
def whole(project):
    return project.build()


@pytest.mark.parametrize(
    ("without", "unused", "tolerance"),
    [
        (("einsum",), ("einsum.cpp",), LOADING),
        (("cumsum",), ("cumsum.cpp",), TOLERANCE),
        (("einsum", "cumsum"), ("einsum.cpp", "cumsum.cpp", "common.cpp"), LOADING),
        (("length",), (), TOLERANCE),
        (("startswith",), (), TOLERANCE),
    ],
)
def test_the_price_is_what_goes(project, whole, without, unused, tolerance):
    price = price_set(whole.graph, name_operators(without))
    gone = whole.size - project.build(*without, unused=unused).size
    assert abs(price - gone) <= tolerance


def test_shared_bytes_are_inclusive_only(whole):
    prices = price_operators(whole.graph, {})
    for name in ("aten::einsum", "aten::cumsum.out"):
        assert prices[name].inclusive > prices[name].exclusive + 14_000


def test_nearly_every_byte_has_a_node(whole):
    assert 0 <= whole.size - sum(whole.graph.sizes) < 1024
