from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from apple_sdks import make_sdk

from builder.core.targets import parse_target
from builder.errors import ToolchainError
from builder.platforms.apple.sdk import describe_open_sdk, parse_settings, read_sdk, refuse_closed

DEVICE, SIMULATOR = parse_target("ios-arm64"), parse_target("ios-simulator-arm64")
INTEL = parse_target("ios-simulator-x86_64")
DEVELOPER = "Contents/Developer/Platforms"


@pytest.fixture
def xcode(tmp_path):
    root = tmp_path / "Xcode.app"
    make_sdk(root / f"{DEVELOPER}/iPhoneOS.platform/Developer/SDKs/iPhoneOS.sdk", "iphoneos")
    make_sdk(
        root / f"{DEVELOPER}/iPhoneSimulator.platform/Developer/SDKs/iPhoneSimulator.sdk",
        "iphonesimulator",
        archs=("x86_64", "arm64"),
    )
    return root


def test_each_platform_has_its_sdk(xcode):
    found = read_sdk(xcode, DEVICE)
    assert (found.name, found.newest, found.is_open) == ("iphoneos17.2", 170200, False)
    assert found.root.name == "iPhoneOS.sdk"
    assert read_sdk(xcode, INTEL).name == "iphonesimulator17.2"


def test_an_sdk_itself_can_be_named(xcode):
    (device,) = xcode.rglob("iPhoneOS.sdk")
    assert read_sdk(device, DEVICE).root == device
    with pytest.raises(ToolchainError, match=r"iphonesimulator.*SDKs there: iPhoneOS.sdk"):
        read_sdk(device, SIMULATOR)


def test_a_folder_without_any_says_so(tmp_path):
    with pytest.raises(ToolchainError, match="SDKs there: none") as caught:
        read_sdk(tmp_path, DEVICE)
    assert "tools.apple_sdk" in caught.value.hint


@pytest.mark.parametrize("version", [110000, 180000])
def test_a_deployment_target_that_the_sdk_lacks_is_refused(xcode, version):
    with pytest.raises(
        ToolchainError, match=r"iphoneos17.2 builds for 12.0 to 17.2, not 1"
    ) as caught:
        read_sdk(xcode, replace(DEVICE, min_os=version))
    assert "targets.min_ios" in caught.value.hint


def test_a_processor_that_the_sdk_lacks_is_refused(tmp_path):
    make_sdk(tmp_path / "s.sdk", "iphonesimulator", archs=("arm64",))
    with pytest.raises(ToolchainError, match="has no x86_64, it has arm64"):
        read_sdk(tmp_path, INTEL)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"SupportedTargets": {"iphoneos": 1}}'])
def test_settings_that_say_nothing_are_passed_over(text):
    assert parse_settings(text, "iphoneos") is None


def test_the_open_headers_serve_for_arm64_of_their_age():
    sdk = describe_open_sdk(Path("/cache/apple/open-12ab"))
    assert (sdk.name, sdk.is_open) == ("open headers 12ab", True)
    refuse_closed(DEVICE)
    refuse_closed(SIMULATOR)
    with pytest.raises(ToolchainError, match="ios-simulator-x86_64 needs an SDK of Apple:"):
        refuse_closed(INTEL)
    with pytest.raises(ToolchainError, match=r"up to 16.9, not 17.0"):
        refuse_closed(replace(DEVICE, min_os=170000))
