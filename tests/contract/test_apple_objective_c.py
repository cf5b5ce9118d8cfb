"""Objective-C++ in a static library for iOS, compiled and merged as Metal's units are; no SDK."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from apple_sdks import add_frameworks
from samples import make_unit

from builder.core.toolchain import AppleSdk
from builder.formats.macho import read_macho, read_members
from builder.formats.tbd import render_stub
from builder.native.link_macho import write_static
from builder.native.ninja import CompileFolder, compile_units, render_ninja, write_ninja
from builder.platforms.apple.check import AppleBinary, check_slices
from builder.platforms.apple.facts import load_facts
from builder.platforms.apple.frameworks import list_frameworks, with_frameworks
from builder.sources.releases import load_release
from builder.system.process import Runner
from builder.system.progress import Silent

from .test_apple_link import link, pytestmark, sdk, toolchain

__all__ = ["pytestmark", "sdk", "toolchain"]

API = """\
namespace at { int shade(int); extern int registered; }
extern "C" __attribute__((visibility("default"))) int torchlite_forward(int n) {
  return at::registered + at::shade(n);
}
extern "C" __attribute__((visibility("default"))) int torchlite_load(void) { return 1; }
"""
SHADER = """\
__attribute__((objc_root_class)) @interface NSObject { Class isa; }
+ (instancetype)new;
@end
@interface Shader : NSObject
- (int)run:(int)n;
@end
@implementation Shader
- (int)run:(int)n { return n + 1; }
@end
@interface NSObject (More)
- (int)more;
@end
@implementation NSObject (More)
- (int)more { return 2; }
@end
extern "C" int getpid();
namespace at {
int registered;
struct Register { Register() { registered += getpid(); } };
static Register one;
int shade(int n) {
  if (@available(iOS 15.4, *)) { return [[Shader new] run:n]; }
  return [[NSObject new] more];
}
}
"""
LIBRARY = """\
--- !tapi-tbd
tbd-version:     4
targets:         [ {targets} ]
install-name:    '/usr/lib/libobjc.A.dylib'
exports:
  - targets:         [ {targets} ]
    symbols:         [ __objc_empty_cache, _objc_msgSend, _objc_opt_new, _objc_release,
                       _objc_autoreleasePoolPop, _objc_autoreleasePoolPush ]
    objc-classes:    [ NSObject ]
...
"""
TARGETS = ("arm64-ios", "arm64-ios-simulator", "x86_64-ios-simulator")
METAL = (load_release().backends["metal"],)
ARC = ("-fobjc-arc", "-fno-objc-exceptions")


@pytest.fixture
def with_metal(sdk, toolchain):
    """The toolchain for an SDK that has stubs of Metal's frameworks, empty ones."""
    names = list_frameworks(METAL)
    add_frameworks(sdk, *names)
    (sdk / "usr/lib/libobjc.tbd").write_text(LIBRARY.format(targets=", ".join(TARGETS)))
    for name in names:
        stub = sdk / f"System/Library/Frameworks/{name}.framework/{name}.tbd"
        stub.write_text(render_stub(f"/{name}", (f"_{name}",), TARGETS))
    described = AppleSdk(root=sdk, name="iphoneos17.4", newest=170400)
    return with_frameworks(replace(toolchain, sdk=described), METAL)


@pytest.fixture
def library(tmp_path, with_metal) -> Path:
    """Compiles both units, links them, and writes the static library, as a build would."""
    root = tmp_path / "native"
    root.mkdir()
    texts = {"api.cpp": (API, "CXX", ()), "Sha+der.mm": (SHADER, "OBJCXX", ARC)}
    units = []
    for name, (text, language, flags) in texts.items():
        (root / name).write_text(text)
        common = ("-flto=full", "-O2", "-fvisibility=hidden", "-fno-exceptions", *flags)
        units.append(make_unit(name, source=str(root / name), language=language, flags=common))
    where = CompileFolder(root=root, ninja_file=Path("b.ninja"), objects="objects", prefixes=())
    write_ninja(render_ninja(units, with_metal, where), where)
    runner, log = Runner.inherit(), root / "log"
    compile_units(list(texts), with_metal, where, runner=runner, jobs=1, progress=Silent(), log=log)
    assert link(where, with_metal, "api.cpp")[1] == ("at::registered", "at::shade(int)")
    output, undefined = link(where, with_metal, *texts, merged=True)
    assert undefined == ()
    return write_static(output, root, where, with_metal, runner).archive


def test_classes_categories_and_registrations_are_in_the_one_object(library):
    (member,) = read_members(library.read_bytes())
    file = read_macho(member.contents)
    assert file.exports == {"_torchlite_load", "_torchlite_forward"}
    sections = {section.name: section.size for section in file.sections}
    assert sections["__objc_classlist"] == sections["__objc_catlist"] == 8
    assert sections["__mod_init_func"]
    assert "_OBJC_CLASS_$_Shader" not in file.undefined
    assert "___isPlatformVersionAtLeast" in file.undefined


def test_what_it_imports_is_in_the_stubs_of_its_frameworks(library, with_metal):
    target = with_metal.target
    binary = AppleBinary(
        path="a",
        target=target,
        arch=load_facts(target).arch,
        contents=library.read_bytes(),
        frameworks=("Accelerate", *list_frameworks(METAL)),
    )
    assert check_slices([binary], {target.platform: with_metal.sdk.root}).findings == ()
