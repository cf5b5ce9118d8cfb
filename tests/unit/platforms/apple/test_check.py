from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from machos import INITIALISERS, SIMULATOR, STRINGS, TEXT, X86_64, make_archive, make_object

from builder.core.targets import parse_target
from builder.errors import VerificationError
from builder.formats.tbd import render_stub
from builder.platforms.apple.check import AppleBinary, check_slices, read_system
from builder.platforms.apple.policies import load_apple_policies, parse_apple_policies
from builder.platforms.apple.rules import APPLE_CHECKS
from builder.verify.policy import Verdict, refuse_violations

DEVICE = parse_target("ios-arm64")
STREAM = "__ZTVNSt3__115basic_stringbufIcNS_11char_traitsIcEENS_9allocatorIcEEEE"
FRAMEWORKS = "System/Library/Frameworks"
IMAGE = "_OBJC_CLASS_$_MPSImage"
METAL = ("_MTLCreateSystemDefaultDevice", "_objc_msgSend", IMAGE)
CODE = ("__TEXT", "__text", TEXT, b"\xc0\x03\x5f\xd6")
STARTS = ("__DATA", "__mod_init_func", INITIALISERS, bytes(8))


@pytest.fixture
def sdk(tmp_path):
    targets = ("arm64-ios", "arm64-ios-simulator")
    stubs = {
        "usr/lib/libSystem.tbd": ["_malloc"],
        "usr/lib/libc++.tbd": ["__Znwm", STREAM],
        "System/Library/Frameworks/Accelerate.framework/Accelerate.tbd": ["_cblas_sgemm"],
    }
    for name, symbols in stubs.items():
        (tmp_path / "sdk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sdk" / name).write_text(render_stub(f"/{name}", symbols, targets))
    return tmp_path / "sdk"


@pytest.fixture
def full_sdk(sdk):
    """The same with Objective-C's library and two frameworks."""
    stubs = {
        "usr/lib/libobjc.A.tbd": ["_objc_msgSend"],
        f"{FRAMEWORKS}/Metal.framework/Metal.tbd": ["_MTLCreateSystemDefaultDevice"],
        f"{FRAMEWORKS}/MPS.framework/MPS.tbd": [],
        f"{FRAMEWORKS}/MPS.framework/Frameworks/MPSCore.framework/MPSCore.tbd": [IMAGE],
    }
    for name, symbols in stubs.items():
        (sdk / name).parent.mkdir(parents=True, exist_ok=True)
        (sdk / name).write_text(render_stub(f"/{name}", symbols, ("arm64-ios",)))
    return sdk


def check_metal(sdk, *undefined, frameworks=("Accelerate", "MPS", "Metal")):
    binary = AppleBinary(
        path="ios-arm64/libTorchLite.a",
        target=DEVICE,
        arch="arm64",
        contents=make_archive(a_o=make_object(undefined=undefined)),
        frameworks=frameworks,
    )
    return check_slices([binary], {DEVICE.platform: sdk})


def check(sdk, target=DEVICE, **members):
    binary = AppleBinary(
        path="ios-arm64/libTorchLite.a",
        target=target,
        arch="arm64",
        contents=make_archive(**members),
    )
    return check_slices([binary], {target.platform: sdk} if sdk else {})


def broken(report):
    return {finding.rule: finding.found for finding in report.violations}


def test_a_sound_library_keeps_every_rule(sdk):
    sound = make_object(
        undefined=("_malloc", "__Znwm", "_cblas_sgemm", "_torchlite_ownh", "___dso_handle")
    )
    helper = make_object(exports=(), private=("_torchlite_ownh",), sections=(CODE,))
    report = check(sdk, torchlite_o=sound, helper_o=helper)
    assert report.findings == ()
    assert report.files == ("ios-arm64/libTorchLite.a",)
    assert (report.oldest, set(report.rules)) == ("iOS 14.0", set(APPLE_CHECKS))
    refuse_violations(report, "the xcframework", platform="Apple's systems")


@pytest.mark.parametrize(
    ("changes", "rule", "found"),
    [
        ({"cpu": X86_64}, "members", "a.o is for x86_64"),
        ({"kind": 6}, "members", "a.o is not an object"),
        ({"platform": SIMULATOR}, "platform", "a.o for ios-simulator"),
        ({"platform": None}, "platform", "a.o for none"),
        ({"version": 0x000F0000}, "min-os", "a.o for 15.0"),
        ({"exports": ("_torchlite_load",)}, "exports", "_torchlite_forward not exported"),
        (
            {"exports": ("_torchlite_load", "_torchlite_forward", "__ZN2at3addEv")},
            "exports",
            "1 other symbol exported: __ZN2at3addEv",
        ),
        ({"private": ("_xnn_gemm", IMAGE)}, "shared-names", "1 other name shared: _xnn_gemm"),
        ({"undefined": ("_objc_msgSend",)}, "imports", "1 symbol that none of them has"),
        ({"undefined": (STREAM,)}, "imports", "1 symbol not there before 15.0"),
        ({"sections": (CODE,)}, "registrations", "no static initialiser beside the API"),
        (
            {"sections": (CODE, STARTS, ("__LLVM", "__bitcode", 0, b"BC"))},
            "bitcode",
            "bitcode in a.o",
        ),
        (
            {
                "sections": (
                    CODE,
                    STARTS,
                    ("__TEXT", "__cstring", STRINGS, b"/home/me/pytorch/a.cpp\0"),
                )
            },
            "paths",
            "1 path: /home/me/pytorch/a.cpp",
        ),
    ],
)
def test_each_rule_finds_what_breaks_it(sdk, changes, rule, found):
    violations = broken(check(sdk, a_o=make_object(**changes)))
    assert set(violations) == {rule}
    assert found in violations[rule]


def test_paths_of_the_system_are_no_finding(sdk):
    text = ("__TEXT", "__cstring", STRINGS, b"/dev/urandom/x\0/System/Library/x\0")
    assert not broken(check(sdk, a_o=make_object(sections=(CODE, STARTS, text))))


def test_streams_are_there_for_a_newer_deployment_target(sdk):
    newer = replace(DEVICE, min_os=150000)
    assert not broken(check(sdk, newer, a_o=make_object(undefined=(STREAM,))))


def test_initialisers_that_nothing_refers_to_would_be_dropped(sdk):
    apart = make_object(exports=(), private=("_torchlite_f",))
    violations = broken(check(sdk, a_o=make_object(), apart_o=apart))
    assert violations == {
        "registrations": "static initialisers in objects that nothing refers to: apart.o"
    }


def test_two_members_of_one_name_are_both_read(sdk):
    data = make_archive(a_o=make_object())
    second = make_archive(a_o=make_object(platform=SIMULATOR))[8:]
    binary = AppleBinary(path="a", target=DEVICE, arch="arm64", contents=data + second)
    report = check_slices([binary], {DEVICE.platform: sdk})
    assert broken(report) == {"platform": "1 object: a.o (2) for ios-simulator"}


def test_what_cannot_be_read_is_a_finding(sdk):
    assert "torn.o: the Mach-O file cannot be read" in broken(check(sdk, torn_o=b"!"))["members"]
    binary = AppleBinary(path="a", target=DEVICE, arch="arm64", contents=b"")
    assert broken(check_slices([binary], {})) == {"members": "the file is not a static library"}


def test_without_an_sdk_imports_are_not_checked():
    report = check(None, a_o=make_object(undefined=("_objc_msgSend",)))
    assert not report.violations
    (finding,) = report.findings
    assert (finding.rule, finding.verdict) == ("imports", Verdict.UNCHECKED)


def test_a_slice_may_import_what_its_frameworks_have(full_sdk):
    needed = (*METAL, "_objc_msgSend$texture", "___isPlatformVersionAtLeast", "_malloc")
    assert check_metal(full_sdk, *needed).findings == ()


def test_a_slice_that_does_not_link_them_may_not(full_sdk):
    violations = broken(check_metal(full_sdk, *METAL, frameworks=("Accelerate",)))
    assert "2 symbols that none of them has" in violations["imports"]


def test_what_no_framework_has_is_found_beside_what_they_have(full_sdk):
    violations = broken(check_metal(full_sdk, *METAL, "_OBJC_CLASS_$_Nope"))
    assert violations == {
        "imports": "1 symbol that none of them has: _OBJC_CLASS_$_Nope",
    }


def test_an_sdk_without_frameworks_cannot_tell_of_theirs_and_tells_of_the_rest(sdk):
    report = check_metal(sdk, *METAL, "_malloc")
    assert not report.violations
    (finding,) = report.findings
    assert finding.verdict is Verdict.UNCHECKED
    assert finding.found == "symbols of frameworks need an SDK that has MPS, Metal"
    assert "_mallocs" in broken(check_metal(sdk, *METAL, "_mallocs"))["imports"]


def test_violations_are_refused_by_name(sdk):
    report = check(sdk, a_o=make_object(platform=SIMULATOR))
    with pytest.raises(VerificationError, match="breaks 1 rule for libraries on Apple's systems"):
        refuse_violations(report, "the xcframework", platform="Apple's systems")


def test_an_sdk_without_a_stub_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no usr/lib/libSystem.tbd"):
        read_system(tmp_path, DEVICE, "arm64", load_apple_policies().stubs)


def test_the_policies_are_complete():
    policies = load_apple_policies()
    assert [rule.name for rule in policies.rules] == list(APPLE_CHECKS)
    with pytest.raises((KeyError, ValueError)):
        parse_apple_policies("rules = []\n")


def test_every_rule_is_documented():
    text = (Path(__file__).parents[4] / "docs/reference/apple-package.md").read_text()
    assert [
        rule.name for rule in load_apple_policies().rules if f"| `{rule.name}` |" not in text
    ] == []
