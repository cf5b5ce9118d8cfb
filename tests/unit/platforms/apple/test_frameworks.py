"""Metal and Core ML in SDKs: a folder laid out as Apple's, and the open one."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from apple_sdks import add_frameworks
from samples import make_toolchain

from builder.core.targets import parse_target
from builder.core.toolchain import AppleSdk, LinkerKind
from builder.errors import ToolchainError
from builder.platforms.apple.frameworks import (
    list_frameworks,
    refuse_without_frameworks,
    with_frameworks,
)
from builder.platforms.apple.sdk import describe_open_sdk
from builder.sources.releases import load_release

BACKENDS = load_release().backends
METAL, COREML = BACKENDS["metal"], BACKENDS["coreml"]
NAMES = ("CoreFoundation", "CoreML", "Foundation", "Metal", "MetalPerformanceShaders", "UIKit")


def make_sdk(root, *names):
    add_frameworks(root, *names)
    return AppleSdk(root=root, name="iphoneos17.4", newest=170400)


def test_frameworks_of_several_are_named_once():
    assert list_frameworks((METAL, COREML)) == NAMES
    assert list_frameworks(()) == ()
    assert "CoreML" not in list_frameworks((METAL,))


def test_an_sdk_of_apples_serves(tmp_path):
    refuse_without_frameworks(make_sdk(tmp_path, *NAMES), load_release().backends.values())


@pytest.mark.parametrize(
    ("lacking", "accelerator"), [("CoreML", COREML), ("MetalPerformanceShaders", METAL)]
)
def test_a_framework_that_is_not_there_is_named(tmp_path, lacking, accelerator):
    sdk = make_sdk(tmp_path, *(name for name in NAMES if name != lacking))
    with pytest.raises(ToolchainError, match=rf"iphoneos17.4 lacks parts.*{lacking}\.framework"):
        refuse_without_frameworks(sdk, (accelerator,))


def test_an_sdk_without_objective_c_is_told(tmp_path):
    sdk = make_sdk(tmp_path, *NAMES)
    (tmp_path / "usr/include/objc/objc.h").unlink()
    with pytest.raises(ToolchainError, match="Objective-C's headers"):
        refuse_without_frameworks(sdk, (METAL,))


@pytest.mark.parametrize("accelerator", [METAL, COREML])
def test_the_open_headers_are_refused_with_the_reason(accelerator):
    with pytest.raises(ToolchainError, match=accelerator.label) as caught:
        refuse_without_frameworks(describe_open_sdk(Path("open-1")), (accelerator,))
    assert "open headers contain no frameworks" in caught.value.message
    assert "tools.apple_sdk" in caught.value.hint


def make_apple_toolchain(sdk, **changes):
    target = parse_target("ios-arm64")
    frameworks = ("-framework", "Accelerate", "-Wl,-dead_strip_dylibs")
    return make_toolchain(target=target, sdk=sdk, frameworks=frameworks, **changes)


def test_links_name_the_frameworks_and_objective_cs_library(tmp_path):
    toolchain = make_apple_toolchain(make_sdk(tmp_path, *NAMES), linker_kind=LinkerKind.XCODE)
    linked = with_frameworks(toolchain, (METAL,)).frameworks
    named = [name for flag, name in itertools.pairwise(linked) if flag == "-framework"]
    assert set(named) == {*list_frameworks((METAL,)), "Accelerate"}
    assert "-lobjc" in linked
    assert linked[-1] == "-Wl,-dead_strip_dylibs"
    assert not any(flag.startswith("-Wl,-U") for flag in linked)  # Xcode's clang has it


def test_lld_leaves_open_what_clangs_library_for_apple_would_have(tmp_path):
    toolchain = make_apple_toolchain(make_sdk(tmp_path, *NAMES))
    assert "-Wl,-U,___isPlatformVersionAtLeast" in with_frameworks(toolchain, (COREML,)).frameworks


def test_without_any_a_toolchain_stays_as_it_is(tmp_path):
    toolchain = make_apple_toolchain(make_sdk(tmp_path))
    assert with_frameworks(toolchain, ()) is toolchain
    with pytest.raises(ToolchainError):
        with_frameworks(toolchain, (METAL,))
