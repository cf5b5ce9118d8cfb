"""The path through Xcode, with what its tools print, recorded from their documentation."""

from __future__ import annotations

import pytest
from apple_sdks import make_sdk
from toolchains.machines import Machine

from builder.core.targets import parse_target
from builder.core.toolchain import LinkerKind
from builder.errors import ToolchainError
from builder.platforms.apple.xcode import locate_xcode_toolchain, parse_xcode_version
from builder.system.process import Completed

VERSION = "Xcode 15.3\nBuild version 15E204a\n"
TOOLS = "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/bin"
DEVICE = parse_target("ios-arm64")
NO_XCODE = """\
xcode-select: error: tool 'xcodebuild' requires Xcode, but active developer directory \
'/Library/Developer/CommandLineTools' is a command line tools instance
"""
NO_SDK = 'xcrun: error: SDK "iphoneos" cannot be located\n'


class Mac(Machine):
    """A Mac whose xcrun answers as Xcode's does."""

    def with_environment(self, **_):
        return self

    def __init__(self, sdk, *, version=VERSION, known=True):
        programs = {"xcodebuild": version, "cmake": "cmake version 3.28\n", "ninja": "1.11\n"}
        super().__init__(programs)
        self.sdk, self.version, self.known = sdk, version, known

    def run(self, command):
        if command[0] == "xcrun":
            self.commands.append(command)
            if not self.known:
                return Completed(1, NO_SDK)
            answer = str(self.sdk) if "--show-sdk-path" in command else f"{TOOLS}/{command[-1]}"
            return Completed(0, f"{answer}\n")
        if command[1:] == ("-version",):
            return Completed(0 if "Build" in self.version else 1, self.version)
        return super().run(command)


@pytest.fixture
def sdk(tmp_path):
    return make_sdk(tmp_path / "iPhoneOS17.4.sdk", "iphoneos", version="17.4")


def locate(mac, tmp_path, **options):
    return locate_xcode_toolchain(mac, DEVICE, cmake_file=tmp_path / "ios.cmake", **options)


def test_tools_and_sdk_are_those_that_xcrun_names(sdk, tmp_path):
    mac = Mac(sdk)
    found = locate(mac, tmp_path)
    assert str(found.cxx.path) == f"{TOOLS}/clang++"
    assert found.cxx.version == "clang++ of Xcode 15.3 15E204a, iphoneos17.4"
    assert (found.linker.path.name, found.archiver.path.name) == ("ld", "libtool")
    assert found.linker_kind is LinkerKind.XCODE
    assert found.link_flags == ()
    assert found.system_flags == ("--target=arm64-apple-ios14.0", "-isysroot", str(sdk))
    assert all(
        command[1:3] == ("--sdk", "iphoneos") for command in mac.commands if "xcrun" in command
    )
    settings = dict(found.configuration)
    assert "TORCHLITE_LINKER" not in settings


def test_an_sdk_of_the_users_takes_the_place_of_xcodes(sdk, tmp_path):
    other = make_sdk(tmp_path / "other.sdk", "iphoneos", version="16.0")
    assert locate(Mac(sdk), tmp_path, chosen=other).sdk.name == "iphoneos16.0"


def test_without_xcode_the_remedy_is_to_install_it(sdk, tmp_path):
    with pytest.raises(ToolchainError, match="requires Xcode") as caught:
        locate(Mac(sdk, version=NO_XCODE), tmp_path)
    assert "xcode-select" in caught.value.hint
    with pytest.raises(ToolchainError, match="no xcodebuild on PATH"):
        locate(Machine({}), tmp_path)


def test_an_xcode_without_the_platform_says_how_to_get_it(sdk, tmp_path):
    with pytest.raises(ToolchainError, match='SDK "iphoneos" cannot be located') as caught:
        locate(Mac(sdk, known=False), tmp_path)
    assert "-downloadPlatform iOS" in caught.value.hint


def test_versions_of_xcode():
    assert parse_xcode_version(VERSION) == "Xcode 15.3 15E204a"
    assert parse_xcode_version(NO_XCODE) is None
