from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from android_samples import make_library, make_package
from samples import COMPONENTS

from builder.core.artifacts import CarriedLibrary
from builder.errors import ConfigurationError, PackagingError
from builder.packaging.result_folder import LISTING
from builder.platforms.android.manifest import AarManifest
from builder.platforms.android.maven import render_versions
from builder.platforms.android.package import Coordinates, Prefab
from builder.platforms.android.repository import refuse_foreign, write_aar
from builder.platforms.package_manifest import MANIFEST, SBOM, parse_package_manifest

GOLDEN = Path(__file__).parents[3] / "golden" / "aar"
VERSION = "2.6.0-1"
ABIS = ("armeabi-v7a", "x86_64")
ANDROID = "{http://schemas.android.com/apk/res/android}"


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path / "work")


def read_all(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def full(package, folder):
    """The same with all that is optional."""
    shared, whole = folder / "libc++_shared.so", folder / "unstripped/libc++_shared.so"
    whole.parent.mkdir()
    shared.write_text("C++ runtime")
    whole.write_text("C++ runtime with symbols")
    carried = CarriedLibrary(library=shared, unstripped=whole)
    return replace(
        package,
        libraries=tuple(
            replace(library, others=(carried,), other_components=COMPONENTS[1:2])
            for library in package.libraries
        ),
        assets={"models/model.ptl": folder / "work/model.ptl"},
        prefab=Prefab(headers={"torchlite.h": folder / "work/torchlite.h"}, ndk=25),
    )


def compare_with_golden(name, text):
    path = GOLDEN / name
    if os.environ.get("BUILDER_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("file", ["pom", "module"])
def test_metadata_is_as_recorded(package, tmp_path, file):
    written = write_aar(package, tmp_path / "out")
    text = written.aar.with_suffix(f".{file}").read_text()
    if file == "module":
        text = strip_sizes(text)
    compare_with_golden(f"artifact.{file}", text)


def strip_sizes(text):
    """Sizes and digests are those of zlib's output, which differs among its releases."""
    module = json.loads(text)
    for variant in module["variants"]:
        for file in variant["files"]:
            assert file.keys() == {"name", "url", "size", "md5", "sha1", "sha256", "sha512"}
            for key in file.keys() - {"name", "url"}:
                file[key] = "..."
    return json.dumps(module, indent=2) + "\n"


def test_contents_are_as_recorded(package, tmp_path):
    written = write_aar(full(package, tmp_path), tmp_path / "out")
    with zipfile.ZipFile(written.aar) as aar:
        assert aar.namelist() == sorted(aar.namelist())
        compare_with_golden("listing.txt", "".join(f"{name}\n" for name in aar.namelist()))
        manifest = json.loads(aar.read(MANIFEST))
        manifest["files"]["classes.jar"] = "..."
        compare_with_golden("manifest.json", json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def test_the_bill_of_materials_is_as_recorded_and_lies_beside_the_archive_too(package, tmp_path):
    written = write_aar(full(package, tmp_path), tmp_path / "out")
    with zipfile.ZipFile(written.aar) as aar:
        text = aar.read(SBOM).decode()
    compare_with_golden("sbom.cdx.json", text)
    beside = written.folder / f"pytorch_android_lite-{VERSION}-cyclonedx.json"
    assert beside.read_text() == text


def test_a_library_needs_what_is_in_the_library_beside_it(package, tmp_path):
    (shared,) = (one for one in COMPONENTS if one.prebuilt)
    libraries = tuple(replace(library, components=()) for library in package.libraries)
    written = write_aar(full(replace(package, libraries=libraries), tmp_path), tmp_path / "out")
    with zipfile.ZipFile(written.aar) as aar:
        dependencies = json.loads(aar.read(SBOM))["dependencies"]
    needs = {entry["ref"]: entry.get("dependsOn") for entry in dependencies}
    wanted = [f"pkg:generic/gcc/libstdc%2B%2B@{shared.version}"]
    for name in ("libpytorch_jni_lite.so", "libc++_shared.so"):
        assert needs[f"file:jni/x86_64/{name}"] == wanted


def test_the_manifest_tells_the_digest_of_every_other_file(package, tmp_path):
    written = write_aar(full(package, tmp_path), tmp_path / "out")
    with zipfile.ZipFile(written.aar) as aar:
        manifest = parse_package_manifest(aar.read(MANIFEST).decode(), AarManifest)
        assert {*manifest.files, MANIFEST} == set(aar.namelist())
        for name, file in manifest.files.items():
            content = aar.read(name)
            assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert {abi: entry.page_size for abi, entry in manifest.libraries.items()} == {
        "armeabi-v7a": 4096,
        "x86_64": 16384,
    }
    assert str(manifest.coordinates) == "org.pytorch:pytorch_android_lite:2.6.0-1"


def test_the_least_package_has_no_assets_and_no_prefab(package, tmp_path):
    with zipfile.ZipFile(write_aar(package, tmp_path / "out").aar) as aar:
        tops = {name.partition("/")[0] for name in aar.namelist()}
        assert {name for name in aar.namelist() if name.endswith(".so")} == {
            f"jni/{abi}/libpytorch_jni_lite.so" for abi in ABIS
        }
        sdk = ET.fromstring(aar.read("AndroidManifest.xml")).find("uses-sdk")
        assert sdk is not None
        assert sdk.get(f"{ANDROID}minSdkVersion") == "21"
    assert tops == {
        *("AndroidManifest.xml", "META-INF", "R.txt", "classes.jar"),
        *("jni", "proguard.txt", "torchlite"),
    }


def test_two_packagings_are_the_same_wherever_files_lie_and_whenever_they_were_written(tmp_path):
    for index, name in enumerate(("one", "an other")):
        work = tmp_path / name
        package = full(make_package(work / "work"), work)
        for path in work.rglob("*"):
            os.utime(path, (index * 10**9, index * 10**9))
        write_aar(package, work / "out")
    one, two = (read_all(tmp_path / name / "out") for name in ("one", "an other"))
    assert one == two
    assert not [name for name, content in one.items() if bytes(tmp_path) in content]


def test_every_file_has_its_checksums(package, tmp_path):
    written = write_aar(package, tmp_path / "out")
    files = read_all(written.folder.parent)
    del files[f"{VERSION}/{LISTING}"]
    contents = {
        name for name in files if name.rpartition(".")[2] not in hashlib.algorithms_available
    }
    stem = f"{VERSION}/pytorch_android_lite-{VERSION}"
    assert contents == {
        "maven-metadata.xml",
        *(f"{stem}{end}" for end in (".aar", ".pom", ".module", "-sources.jar", "-javadoc.jar")),
        f"{stem}-cyclonedx.json",
        f"{stem}-native-debug-symbols.zip",
    }
    for name in contents:
        for digest in ("md5", "sha1", "sha256", "sha512"):
            expected = hashlib.new(digest, files[name])
            assert files[f"{name}.{digest}"].decode() == expected.hexdigest()
    assert len(files) == 5 * len(contents)


def test_the_module_tells_the_size_and_digest_of_what_lies_beside_it(package, tmp_path):
    written = write_aar(package, tmp_path / "out")
    module = json.loads(written.aar.with_suffix(".module").read_text())
    names = set()
    for variant in module["variants"]:
        (file,) = variant["files"]
        content = (written.folder / file["url"]).read_bytes()
        assert file["size"] == len(content)
        assert file["sha512"] == hashlib.sha512(content).hexdigest()
        names.add(file["url"].removeprefix(f"pytorch_android_lite-{VERSION}"))
    assert names == {".aar", "-sources.jar", "-javadoc.jar"}


def test_symbols_lie_as_the_play_console_takes_them(package, tmp_path):
    with zipfile.ZipFile(write_aar(package, tmp_path / "out").symbols) as symbols:
        assert symbols.namelist() == [f"{abi}/libpytorch_jni_lite.so" for abi in ABIS]
        assert symbols.read("x86_64/libpytorch_jni_lite.so") == b"symbols x86_64"
    written = write_aar(full(package, tmp_path), tmp_path / "full")
    with zipfile.ZipFile(written.symbols) as symbols, zipfile.ZipFile(written.aar) as aar:
        assert symbols.read("x86_64/libc++_shared.so") == b"C++ runtime with symbols"
        assert aar.read("jni/x86_64/libc++_shared.so") == b"C++ runtime"


def test_the_other_versions_stay_and_are_listed_oldest_first(package, tmp_path):
    for version in ("2.6.0-10", "2.6.0-2", "2.6.0-rc1", "2.6.0", "2.6.0-2"):
        changed = replace(package, coordinates=Coordinates(version=version))
        folder = write_aar(changed, tmp_path / "out").folder.parent
    (folder / "no version").mkdir()
    written = write_aar(package, tmp_path / "out")
    metadata = ET.parse(written.folder.parent / "maven-metadata.xml")
    versions = [element.text for element in metadata.findall("versioning/versions/version")]
    assert versions == ["2.6.0-rc1", "2.6.0", "2.6.0-1", "2.6.0-2", "2.6.0-10"]
    assert metadata.findtext("versioning/release") == "2.6.0-10"


def test_versions_with_letters_of_xml_cannot_be():
    with pytest.raises(ValueError, match="version"):
        render_versions(Coordinates(version="1<2"), ["1"])


def test_a_file_that_is_missing_leaves_what_was_there(package, tmp_path):
    written = write_aar(package, tmp_path / "out")
    before = read_all(tmp_path / "out")
    shutil.rmtree(package.java.sources.parent)
    with pytest.raises(PackagingError, match=r"AAR cannot contain .*proguard\.txt"):
        write_aar(package, tmp_path / "out")
    (package.java.rules.parent).mkdir()
    package.java.rules.write_text("")
    package.libraries[0].unstripped.unlink()
    with pytest.raises(PackagingError, match="is not a file"):
        write_aar(package, tmp_path / "out")
    assert read_all(tmp_path / "out") == before
    assert written.aar.is_file()


def test_what_cannot_be_laid_out_is_refused(package, tmp_path):
    twice = (*package.libraries, make_library(tmp_path, "x86_64"))
    for libraries in ((), twice):
        with pytest.raises(PackagingError, match="one library per ABI"):
            write_aar(replace(package, libraries=libraries), tmp_path / "out")
    for name in ("../x", "/x", "a//b", "", "./x"):
        assets = {name: package.java.rules}
        with pytest.raises(PackagingError, match="folder assets"):
            write_aar(replace(package, assets=assets), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def change_aar(written):
    written.aar.write_bytes(b"signed by hand")


def add_file(written):
    (written.folder / "notes.txt").write_text("mine")


@pytest.mark.parametrize("change", [change_aar, add_file])
def test_what_builder_did_not_write_is_never_replaced(package, tmp_path, change):
    written = write_aar(package, tmp_path / "out")
    change(written)
    before = read_all(tmp_path / "out")
    with pytest.raises(ConfigurationError):
        refuse_foreign(package.coordinates, tmp_path / "out")
    with pytest.raises(ConfigurationError):
        write_aar(package, tmp_path / "out")
    assert read_all(tmp_path / "out") == before


def test_a_list_of_versions_that_maven_wrote_is_never_replaced(package, tmp_path):
    versions = tmp_path / "out/maven/org/pytorch/pytorch_android_lite/maven-metadata.xml"
    versions.parent.mkdir(parents=True)
    versions.write_text(
        "<metadata><version>1.0</version><lastUpdated>2026</lastUpdated></metadata>"
    )
    with pytest.raises(ConfigurationError, match="is not a list of versions that builder wrote"):
        write_aar(package, tmp_path / "out")
    assert "lastUpdated" in versions.read_text()
    assert not (versions.parent / VERSION).exists()


def test_what_builder_wrote_is_replaced(package, tmp_path):
    write_aar(package, tmp_path / "out")
    before = read_all(tmp_path / "out")
    refuse_foreign(package.coordinates, tmp_path / "out")
    shutil.rmtree(write_aar(package, tmp_path / "out").folder)
    write_aar(package, tmp_path / "out")
    assert read_all(tmp_path / "out") == before
