from __future__ import annotations

import zipfile

import pytest
from android_samples import make_package

from builder.errors import ConfigurationError, VerificationError
from builder.platforms.android.aar import (
    check_contents,
    choose_aar,
    find_aar,
    find_aar_manifest,
    find_min_api,
    has_prefab,
    read_aar_manifest,
    read_binaries,
)
from builder.platforms.android.check import check_libraries
from builder.platforms.android.package import Prefab
from builder.platforms.android.repository import write_aar
from builder.platforms.package_manifest import MANIFEST
from builder.system.zips import open_zip


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path / "work")


def rewrite(aar, changes):
    """Writes the archive again with other contents; None leaves a file out."""
    with zipfile.ZipFile(aar) as stream:
        contents = {name: stream.read(name) for name in stream.namelist()}
    with zipfile.ZipFile(aar, "w") as stream:
        for name, content in (contents | changes).items():
            if content is not None:
                stream.writestr(name, content)
    return aar


def test_an_aar_is_found_by_itself_or_alone_in_an_output_folder(package, tmp_path):
    aar = write_aar(package, tmp_path / "out").aar
    assert find_aar(aar) == find_aar(tmp_path / "out") == aar
    assert find_aar(tmp_path / "work") is None
    (aar.parent / "second.aar").touch()
    with pytest.raises(ConfigurationError, match="2 AARs"):
        find_aar(tmp_path / "out")


def test_beside_runtimes_for_android_the_aar_is_meant(package, tmp_path):
    out = tmp_path / "out"
    aar = write_aar(package, out).aar
    for abi in ("arm64-v8a", "x86"):
        (out / abi).mkdir()
        (out / abi / "manifest.json").touch()
    assert choose_aar(out, host_abi="linux-x86_64") == aar
    assert choose_aar(out / "x86", host_abi="linux-x86_64") is None
    (out / "linux-x86_64").mkdir()
    (out / "linux-x86_64/manifest.json").touch()
    assert choose_aar(out, host_abi="linux-x86_64") is None


def test_it_is_known_by_what_it_says_of_itself(package, tmp_path):
    aar = write_aar(package, tmp_path / "out").aar
    manifest = read_aar_manifest(aar)
    assert manifest.coordinates == package.coordinates
    assert {abi: entry.runtime for abi, entry in manifest.libraries.items()} == {
        library.abi: library.manifest for library in package.libraries
    }
    with open_zip(aar) as archive:
        assert find_min_api(archive) == 21
        assert not has_prefab(archive)
        assert [(b.path, b.abi, b.contents) for b in read_binaries(archive)] == [
            (f"jni/{abi}/libpytorch_jni_lite.so", abi, f"library {abi}".encode())
            for abi in ("armeabi-v7a", "x86_64")
        ]


def test_libraries_of_the_prefab_package_are_checked_too(tmp_path):
    prefab = Prefab(headers={"torchlite.h": tmp_path / "work/torchlite.h"}, ndk=25)
    aar = write_aar(make_package(tmp_path / "work", prefab=prefab), tmp_path / "out").aar
    with open_zip(aar) as archive:
        assert has_prefab(archive)
        assert [binary.abi for binary in read_binaries(archive)] == ["armeabi-v7a", "x86_64"] * 2


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        (None, ConfigurationError, "does not say what it can run"),
        (b"{}", VerificationError, "is not a valid manifest"),
        (b"\xff", VerificationError, "is not a valid manifest"),
        (b'{"new":' * 100_000, VerificationError, "nested"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told(package, tmp_path, change, error, problem):
    aar = rewrite(write_aar(package, tmp_path / "out").aar, {MANIFEST: change})
    with pytest.raises(error, match=problem):
        read_aar_manifest(aar)


def test_what_is_no_archive_is_told(tmp_path):
    path = tmp_path / "a.aar"
    path.write_bytes(b"no zip")
    with pytest.raises(ConfigurationError, match="damaged"):
        read_aar_manifest(path)


def differences(aar):
    with open_zip(aar) as archive:
        manifest = find_aar_manifest(archive)
        assert manifest is not None
        return [f"{f.file} {f.found}" for f in check_contents(archive, manifest)]


def test_changed_missing_and_added_files_are_found(package, tmp_path):
    aar = write_aar(package, tmp_path / "out").aar
    assert differences(aar) == []
    changes = {"proguard.txt": b"", "R.txt": None, "lib/evil.so": b"", "classes.jar": b"x"}
    assert differences(rewrite(aar, changes)) == [
        *("R.txt missing", "classes.jar changed", "lib/evil.so not listed"),
        "proguard.txt changed",
    ]


def make_manifest(inside: str, coding: str = "utf-8") -> bytes:
    space = "xmlns:android='http://schemas.android.com/apk/res/android'"
    return f"<manifest {space}>{inside}</manifest>".encode(coding)


DECLARED = "<uses-sdk android:minSdkVersion='24'/>"
ELSEWHERE = "minSdkVersion='34'"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (None, None),
        (b"<manifest/>", None),
        (make_manifest(DECLARED), 24),
        (make_manifest(DECLARED, "utf-16"), 24),
        (make_manifest('<uses-sdk android:minSdkVersion = " 30 "/>'), 30),
        (make_manifest(f"<!-- {ELSEWHERE} -->{DECLARED}<!-- -->"), 24),
        (make_manifest(f'<meta-data android:value="{ELSEWHERE}"/>{DECLARED}'), 24),
        (make_manifest(f"<meta-data android:name='&lt;!--'/>{DECLARED}"), 24),
        (make_manifest(f"<![CDATA[<uses-sdk {ELSEWHERE}/>]]><?x {ELSEWHERE}?>{DECLARED}"), 24),
        (make_manifest(f"<application android:{ELSEWHERE}/>{DECLARED}"), 24),
        (make_manifest(f"<a><uses-sdk android:{ELSEWHERE}/></a>{DECLARED}"), 24),
        (make_manifest(f"<uses-sdk {ELSEWHERE}/>"), None),
    ],
)
def test_the_lowest_api_level_is_the_declared_one(package, tmp_path, text, level):
    aar = rewrite(write_aar(package, tmp_path / "out").aar, {"AndroidManifest.xml": text})
    with open_zip(aar) as archive:
        assert find_min_api(archive) == level


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"\x03\x00\x08\x00binary", b"minSdkVersion='34'", make_manifest(DECLARED)[:-1]),
        b"<uses-sdk android:minSdkVersion='24'/>",
        b"<!DOCTYPE manifest [<!ENTITY a 'b'>]>" + make_manifest(DECLARED),
        *(
            f"<?xml version='1.0' encoding='{name}'?>".encode() + make_manifest(DECLARED)
            for name in ("nosuch", "hex", "base64", "gb2312", "x" * 300)
        ),
    ],
)
def test_a_manifest_that_cannot_be_read_declares_nothing(package, tmp_path, text):
    aar = rewrite(write_aar(package, tmp_path / "out").aar, {"AndroidManifest.xml": text})
    with pytest.raises(ConfigurationError, match="cannot be read as XML: "):
        check_libraries(aar)
    assert check_libraries(aar, min_api=23).min_api == 23


def test_a_page_size_is_a_power_of_two(package, tmp_path):
    aar = write_aar(package, tmp_path / "out").aar
    assert check_libraries(aar, page_size=4096).min_api == 21
    with pytest.raises(ConfigurationError, match="5000 is not a page size") as caught:
        check_libraries(aar, page_size=5000)
    assert caught.value.hint == "for 64-bit libraries, 16 KB is usual: page_size=16384"


@pytest.mark.parametrize(
    "level", ["banana", "0", "", "1000000000", "-5", "2 1", "@integer/x", "\u0663"]
)
def test_what_is_no_level_is_named_unless_the_user_names_one(package, tmp_path, level):
    text = make_manifest(f"<uses-sdk android:minSdkVersion='{level}'/>")
    aar = rewrite(write_aar(package, tmp_path / "out").aar, {"AndroidManifest.xml": text})
    with pytest.raises(ConfigurationError, match="which is not an API level") as caught:
        check_libraries(aar)
    assert "has the minSdkVersion '" in caught.value.message
    assert level in caught.value.message or level == "\u0663"
    assert caught.value.hint == "name the lowest level that it is to run on: min_api=21"
    assert check_libraries(aar, min_api=23).min_api == 23
