from __future__ import annotations

import re
from pathlib import Path

import pytest
from toolchains.machines import Machine, make_ndk

from builder.core.targets import TARGETS
from builder.errors import ToolchainError
from builder.platforms.android.ndk import (
    describe_trials,
    list_stub_levels,
    load_facts,
    load_table,
    locate_ndk,
)


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
    assert describe_trials(found).startswith("builder was not tried with this release (it was with")


def test_what_was_done_with_a_release_is_said(tmp_path):
    for release, done in load_table().tried.items():
        ndk = locate(make_ndk(tmp_path / release, f"{release}.1.2"))
        assert describe_trials(ndk) == f"r{release}: {done}"


def test_the_documents_say_the_same_of_releases_as_doctor():
    page = (Path(__file__).parents[4] / "docs/status.md").read_text()
    rows = [f"| r{release} | {done} |" for release, done in load_table().tried.items()]
    assert re.findall(r"^\| r\d+ \|.*", page, re.MULTILINE) == rows


def test_a_release_is_preferred_to_a_newer_beta(tmp_path):
    make_ndk(tmp_path / "ndk/28.0.1", "28.0.12433566-beta1")
    found = locate(ANDROID_HOME=str(tmp_path))
    assert (found.version, found.prerelease) == ("28.0.12433566-beta1", "beta1")
    make_ndk(tmp_path / "ndk/27.2.12479018", "27.2.12479018")
    assert locate(ANDROID_HOME=str(tmp_path)).version == "27.2.12479018"
    assert locate(tmp_path / "ndk/28.0.1").version == "28.0.12433566-beta1"


def test_levels_without_libraries_have_those_of_the_ndks_aliases(tmp_path):
    root = make_ndk(tmp_path / "ndk")
    levels = '{"min": 16, "max": 30, "aliases": {"20": 19, "25": 24, "N-MR1": 24, "9999": 1}}'
    (root / "meta/platforms.json").write_text(levels)
    ndk = locate(root)
    assert [ndk.libraries_of(api) for api in (20, 24, 25, 26)] == [19, 24, 24, 26]
    assert list_stub_levels(root, 25) == (25, 24)
    assert list_stub_levels(tmp_path, 25) == (25,)


@pytest.mark.parametrize(
    ("machine", "folders", "taken"),
    [
        ("aarch64", ("linux-x86_64", "linux-arm64"), "linux-arm64"),
        ("aarch64", ("linux-aarch64",), "linux-aarch64"),
        ("aarch64", ("linux-x86_64",), "linux-x86_64"),
        ("x86_64", ("linux-arm64", "linux-x86_64"), "linux-x86_64"),
    ],
)
def test_the_compilers_are_those_for_this_machine(tmp_path, monkeypatch, machine, folders, taken):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert locate(make_ndk(tmp_path / "ndk", hosts=folders)).compilers.name == taken


def test_an_ndk_for_other_machines_says_for_which(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(ToolchainError, match="it has some for windows-x86_64"):
        locate(make_ndk(tmp_path / "ndk", hosts=["windows-x86_64"]))


def test_that_of_android_studio_is_found(tmp_path):
    make_ndk(tmp_path / "Android/Sdk/ndk/22.0.7026061")
    assert locate(HOME=str(tmp_path)).version == "22.0.7026061"


def test_a_folder_of_somebody_else_is_passed_over(tmp_path, monkeypatch):
    make_ndk(tmp_path / "sdk/ndk/22.0.7026061")
    glob = Path.glob

    def refuse(path, pattern):
        if path.is_relative_to(tmp_path / "home"):
            raise PermissionError(13, "Permission denied", str(path))
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", refuse)
    sdk = str(tmp_path / "sdk")
    assert locate(HOME=str(tmp_path / "home"), ANDROID_HOME=sdk).version == "22.0.7026061"


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
