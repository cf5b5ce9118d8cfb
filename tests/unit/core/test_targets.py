from __future__ import annotations

import pytest

from builder.core.targets import TARGETS, format_os_version, parse_os_version, parse_target


def test_targets_are_sorted_and_found_by_their_names():
    names = [target.abi for target in TARGETS]
    assert names == sorted(set(names))
    assert all(parse_target(target.abi) is target for target in TARGETS)
    assert "linux-x86_64" in map(str, TARGETS)


def test_other_names_are_no_targets():
    for name in ("", "armv7l", "linux", "linux-", "Linux-x86_64", "linux-x86_64 "):
        assert parse_target(name) is None


def test_androids_abis_have_androids_names():
    android = [target for target in TARGETS if target.is_android]
    assert [t.abi for t in android] == ["arm64-v8a", "armeabi-v7a", "x86", "x86_64"]
    assert parse_target("x86").architecture == "i686"
    assert parse_target("arm64-v8a").id == "android-arm64-v8a-21"
    assert parse_target("linux-aarch64").id == "linux-aarch64"


def test_apples_abis_carry_a_deployment_target():
    apple = [target for target in TARGETS if target.is_apple]
    names = ["ios-arm64", "ios-simulator-arm64", "ios-simulator-x86_64"]
    assert [target.abi for target in apple] == names
    assert parse_target("ios-arm64").id == "ios-arm64-14.0"
    assert parse_target("ios-simulator-arm64").id == "ios-simulator-arm64-14.0"


@pytest.mark.parametrize(
    ("text", "number"), [("14.0", 140000), ("15", 150000), ("16.4.1", 160401), ("9.3", 90300)]
)
def test_versions_are_numbered_as_apples_headers_do(text, number):
    assert parse_os_version(text) == number
    assert parse_os_version(format_os_version(number)) == number


@pytest.mark.parametrize("text", ["", "14.", "14.0.0.0", "iOS 14", "-1", "140"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(ValueError, match="not a version of iOS"):
        parse_os_version(text)
