from __future__ import annotations

import pytest
from toolchains.machines import Machine, make_ndk

from builder.core.targets import TARGETS
from builder.errors import ToolchainError
from builder.platforms.android.ndk import is_tried, load_facts, load_table, locate_ndk


def locate(chosen=None, **environment):
    return locate_ndk(Machine({}, environment=environment), chosen)


def test_the_chosen_one_comes_before_the_environments(tmp_path):
    for name in ("chosen", "home", "root"):
        make_ndk(tmp_path / name)
    make_ndk(tmp_path / "sdk/ndk/22.0.1")
    named = {
        "ANDROID_NDK_HOME": str(tmp_path / "home"),
        "ANDROID_NDK_ROOT": str(tmp_path / "root"),
        "ANDROID_HOME": str(tmp_path / "sdk"),
    }
    assert locate(tmp_path / "chosen", **named).root == tmp_path / "chosen"
    for name, root in (("HOME", "home"), ("ROOT", "root")):
        assert locate(**named).root == tmp_path / root
        del named[f"ANDROID_NDK_{name}"]
    assert locate(**named).root == tmp_path / "sdk/ndk/22.0.1"


def test_the_newest_of_an_sdk_is_taken(tmp_path):
    for revision in ("9.0.1", "26.1.10909125", "25.2.9519653"):
        make_ndk(tmp_path / "ndk" / revision, revision)
    (tmp_path / "ndk/unfinished").mkdir()
    found = locate(ANDROID_SDK_ROOT=str(tmp_path))
    assert (found.version, found.revision[0]) == ("26.1.10909125", 26)
    assert (found.oldest_api, found.newest_api) == (16, 30)
    assert not is_tried(found)


def test_that_of_android_studio_is_found(tmp_path):
    make_ndk(tmp_path / "Android/Sdk/ndk/22.0.7026061")
    assert locate(HOME=str(tmp_path)).version == "22.0.7026061"


def test_without_one_it_says_where_it_looked(tmp_path):
    with pytest.raises(ToolchainError, match="ANDROID_NDK_HOME, ANDROID_NDK_ROOT") as caught:
        locate(ANDROID_HOME=str(tmp_path), HOME="/home/me")
    for place in (f"{tmp_path}/ndk", "/home/me/Android/Sdk/ndk", "$ANDROID_SDK_ROOT/ndk"):
        assert place in caught.value.message
    assert "sdkmanager" in caught.value.hint


@pytest.mark.parametrize("spoiled", ["source.properties", "meta/platforms.json"])
def test_a_folder_that_is_none_is_refused_by_its_variable(tmp_path, spoiled):
    (make_ndk(tmp_path / "ndk") / spoiled).write_text("nothing")
    with pytest.raises(ToolchainError, match=r"ANDROID_NDK_ROOT=.* is not an Android NDK"):
        locate(ANDROID_NDK_ROOT=str(tmp_path / "ndk"))


def test_one_for_another_machine_is_refused(tmp_path, monkeypatch):
    make_ndk(tmp_path / "ndk")
    monkeypatch.setattr("sys.platform", "sunos5")
    with pytest.raises(ToolchainError, match="not an Android NDK with compilers for this machine"):
        locate(tmp_path / "ndk")


def test_one_that_is_too_old_is_refused(tmp_path):
    with pytest.raises(ToolchainError, match=r"NDK 20.1.5948944 .* too old, r21 is needed"):
        locate(make_ndk(tmp_path / "ndk", "20.1.5948944"))


def test_every_abi_has_its_facts():
    android = [target for target in TARGETS if target.is_android]
    assert {target.abi for target in android} == set(load_table().abis)
    sizes = {t.abi: load_facts(t.abi, t.min_os).page_size for t in android}
    assert sizes == {"arm64-v8a": 16384, "armeabi-v7a": 4096, "x86": 4096, "x86_64": 16384}


@pytest.mark.parametrize(
    ("api", "hash_style", "packed"),
    [
        (21, "both", ()),
        (22, "both", ()),
        (23, "gnu", ("-Wl,--pack-dyn-relocs=android",)),
        (29, "gnu", ("-Wl,--pack-dyn-relocs=android+relr", "-Wl,--use-android-relr-tags")),
        (35, "gnu", ("-Wl,--pack-dyn-relocs=android+relr",)),
    ],
)
def test_what_the_loader_reads_follows_from_the_api_level(api, hash_style, packed):
    facts = load_facts("armeabi-v7a", api)
    assert facts.triple == f"armv7a-linux-androideabi{api}"
    assert (facts.hash_style, facts.pack) == (hash_style, packed)
