"""A real runtime for iOS and its simulator, from open headers; nothing here runs it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from builder import api
from builder.core.targets import parse_target
from builder.core.toolchain import ToolchainOptions
from builder.formats.macho import read_macho, read_members
from builder.system.progress import Silent

from .conftest import drop_operators

pytestmark = [pytest.mark.apple]
MODEL = Path(__file__).parents[1] / "data/models/conv.ptl"
ABIS = ("ios-arm64", "ios-simulator-arm64")
DROPPED = "aten::mean.dim"
SHARE, PAGE = 0.05, 4096
"""What a price may be off by; the table of unwinding grows by pages."""
APP = """\
#include <LibTorchLite/torchlite.h>
int main(int argc, char** argv) {
  torchlite_module* module = 0;
  torchlite_result* result = 0;
  if (torchlite_load(argv[1], &module) || torchlite_forward(module, 0, 0, &result)) return 1;
  torchlite_result_free(result);
  torchlite_module_free(module);
  return argc;
}
"""
SYSTEM = {
    "/usr/lib/libSystem.B.dylib",
    "/usr/lib/libc++.1.dylib",
    "/System/Library/Frameworks/Accelerate.framework/Accelerate",
}


@pytest.fixture(scope="module", params=ABIS)
def built(request, tmp_path_factory):
    output = tmp_path_factory.mktemp("out")
    asked = api.BuildRequest(inputs=(MODEL,))
    target = parse_target(request.param)
    report = api.build(asked, [target], output, progress=Silent())
    return report.runtimes[0], report.apple


def test_every_object_is_for_its_platform(built):
    outcome, packed = built
    assert packed.report.findings == ()
    for member in read_members(outcome.package.library.read_bytes()):
        file = read_macho(member.contents)
        assert (file.architecture, file.min_os) == ("arm64", 140000)
        assert file.platform == str(outcome.plan.target.platform)


def test_it_is_a_mobile_build(built):
    """C10_MOBILE hangs on TARGET_OS_IPHONE, and the allocator on that (CPUAllocator.cpp)."""
    data = built[0].package.library.read_bytes()
    assert b"DefaultMobileCPUAllocator" in data
    assert b"19DefaultCPUAllocator" not in data


def test_an_app_links_against_it_and_keeps_the_registrations(built, tmp_path):
    outcome, packed = built
    toolchain = api.locate_toolchain(outcome.plan.target, options=ToolchainOptions(launcher="none"))
    (tmp_path / "app.c").write_text(APP)
    (slice_folder,) = packed.written.framework.glob("ios-*")
    command = (
        *(str(toolchain.cxx.path), *toolchain.system_flags, *toolchain.link_flags),
        *(f"--ld-path={toolchain.linker.path}", "-Wl,-dead_strip", *toolchain.frameworks),
        *(f"-I{slice_folder}/Headers", "-x", "c", str(tmp_path / "app.c"), "-x", "none"),
        *(str(slice_folder / "libTorchLite.a"), "-o", str(tmp_path / "app")),
    )
    completed = subprocess.run(command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr[-2000:]
    app = read_macho((tmp_path / "app").read_bytes())
    assert app.platform == str(outcome.plan.target.platform)
    assert set(app.libraries) <= SYSTEM
    starts = sum(s.size for s in app.sections if s.name in {"__mod_init_func", "__init_offsets"})
    assert starts >= 4 * 10
    texts = b"".join(section.content for section in app.sections)
    assert b"prepacked::conv2d_clamp_run" in texts


def test_built_twice_the_bytes_are_the_same(built, tmp_path):
    outcome, packed = built
    request = api.BuildRequest(inputs=(MODEL,))
    report = api.build(request, [outcome.plan.target], tmp_path, progress=Silent())
    (again,) = report.runtimes
    assert again.package.library.read_bytes() == outcome.package.library.read_bytes()
    repacked = report.apple
    digest = hashlib.sha256(repacked.written.archive.read_bytes()).hexdigest()
    assert digest == repacked.written.checksum == packed.written.checksum


def test_the_price_is_what_goes(built, tmp_path):
    outcome, _ = built
    price = api.price_set(api.size(outcome.package.root), [DROPPED])
    less = drop_operators(outcome.package.root, tmp_path / "less.yaml", DROPPED)
    request = api.BuildRequest(inputs=(less,), dtypes=outcome.plan.dtypes)
    report = api.build(request, [outcome.plan.target], tmp_path, progress=Silent())
    (without,) = report.runtimes
    gone = count_content(outcome.size) - count_content(without.size)
    assert gone > 5_000
    assert abs(price - gone) <= SHARE * gone + PAGE


def count_content(report):
    """Returns the bytes of sections: in the file, segments are rounded up to 16 KB."""
    return report.file - report.sections["headers and padding"]


def test_every_operator_has_a_price(built):
    outcome, _ = built
    report = api.size(outcome.package.root).report
    manifest = json.loads(outcome.package.manifest.read_text())
    assert set(report.operators) == set(manifest["operators"])
    for price in report.operators.values():
        assert 0 < price.exclusive < price.inclusive < report.file
