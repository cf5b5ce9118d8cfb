from __future__ import annotations

from builder.core.targets import TARGETS, parse_target


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
