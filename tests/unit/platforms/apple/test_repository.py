from __future__ import annotations

import hashlib
import plistlib
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from builder.core.targets import Platform
from builder.errors import PackagingError
from builder.platforms.apple.manifest import XcframeworkManifest
from builder.platforms.apple.package import AppleOptions, AppleSlice, default_version
from builder.platforms.apple.repository import write_apple
from builder.platforms.apple.specs import render_package, render_pod
from builder.platforms.package_manifest import MANIFEST, SBOM, parse_package_manifest

URL = "https://example.org/LibTorchLite.xcframework.zip"


def read_all(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_the_xcframework_has_a_slice_for_each_platform(package, tmp_path):
    written = write_apple(package, tmp_path / "out")
    assert written.framework == tmp_path / "out/apple/LibTorchLite.xcframework"
    info = plistlib.loads((written.framework / "Info.plist").read_bytes())
    assert (info["CFBundlePackageType"], info["XCFrameworkFormatVersion"]) == ("XFWK", "1.0")
    device, simulator = info["AvailableLibraries"]
    assert device["LibraryIdentifier"] == "ios-arm64"
    assert "SupportedPlatformVariant" not in device
    assert simulator["LibraryIdentifier"] == "ios-arm64-simulator"
    assert simulator["SupportedPlatformVariant"] == "simulator"
    for entry in (device, simulator):
        folder = written.framework / entry["LibraryIdentifier"]
        assert entry["SupportedArchitectures"] == ["arm64"]
        assert (folder / entry["LibraryPath"]).is_file()
        assert entry["BinaryPath"] == entry["LibraryPath"]
        module = folder / entry["HeadersPath"] / "LibTorchLite/module.modulemap"
        assert module.read_text().startswith("module LibTorchLite {")
        assert (module.parent / "torchlite.h").is_file()


def test_frameworks_are_linked_whichever_way_an_app_takes_it(package, tmp_path):
    names = ("Accelerate", "CoreML", "Metal")
    package = replace(package, frameworks=names, options=AppleOptions(url=URL))
    written = write_apple(package, tmp_path / "out")
    module = written.framework / "ios-arm64/Headers/LibTorchLite/module.modulemap"
    assert re.findall(r'^  link framework "(\w+)"$', module.read_text(), re.M) == list(names)
    for file in ("Package.swift", "release/Package.swift"):
        text = (written.folder / file).read_text()
        assert re.findall(r'\.linkedFramework\("(\w+)"\)', text) == list(names)
        assert '[.linkedLibrary("c++"), .linkedFramework("Accelerate"), ' in text
    pod = (written.folder / "LibTorch-Lite.podspec").read_text()
    assert "s.frameworks = 'Accelerate', 'CoreML', 'Metal'\n" in pod


def test_without_accelerators_it_is_accelerate_alone(package, tmp_path):
    written = write_apple(package, tmp_path / "out")
    module = written.framework / "ios-arm64/Headers/LibTorchLite/module.modulemap"
    assert module.read_text() == (
        'module LibTorchLite {\n  header "torchlite.h"\n  link "c++"\n'
        '  link framework "Accelerate"\n  export *\n}\n'
    )


def test_processors_of_one_platform_share_a_slice():
    both = AppleSlice(platform=Platform.IOS_SIMULATOR, archs=("arm64", "x86_64"), archive=Path("a"))
    assert both.path == "ios-arm64_x86_64-simulator/libTorchLite.a"


def test_it_says_of_itself_what_it_holds(package, tmp_path):
    framework = write_apple(package, tmp_path / "out").framework
    manifest = parse_package_manifest((framework / MANIFEST).read_text(), XcframeworkManifest)
    entry = manifest.slices["ios-simulator-arm64"]
    assert entry.path == "ios-arm64-simulator/libTorchLite.a"
    assert (entry.min_os, entry.linked, entry.runtime.abi) == (140000, 1000, "ios-simulator-arm64")
    listed = {name: file.sha256 for name, file in manifest.files.items()}
    there = {n: hashlib.sha256(data).hexdigest() for n, data in read_all(framework).items()}
    assert listed == {name: digest for name, digest in there.items() if name != MANIFEST}
    assert str(tmp_path) not in (framework / MANIFEST).read_text()


def test_the_bill_of_materials_is_as_recorded(package, tmp_path, golden):
    framework = write_apple(package, tmp_path / "out").framework
    text = (framework / SBOM).read_text()
    golden(Path(__file__).parents[3] / "golden/sbom/apple.json", text)


def test_the_checksum_is_that_of_the_zip_archive(package, tmp_path):
    written = write_apple(package, tmp_path / "out")
    assert written.checksum == hashlib.sha256(written.archive.read_bytes()).hexdigest()
    with zipfile.ZipFile(written.archive) as archive:
        names = archive.namelist()
    assert names == sorted(names)
    assert "LibTorchLite.xcframework/Info.plist" in names


def test_packaged_twice_all_bytes_are_the_same(package, tmp_path):
    first = write_apple(package, tmp_path / "one")
    second = write_apple(package, tmp_path / "two")
    assert read_all(first.folder) == read_all(second.folder)


def test_the_package_takes_the_folder_beside_it_and_the_one_for_release_the_url(package, tmp_path):
    with_url = replace(package, options=replace(package.options, url=URL))
    written = write_apple(with_url, tmp_path / "out")
    local = (written.folder / "Package.swift").read_text()
    assert 'path: "LibTorchLite.xcframework"' in local
    remote = (written.folder / "release/Package.swift").read_text()
    assert f'checksum: "{written.checksum}"' in remote
    assert f'url: "{URL}"' in remote


def test_what_is_released_names_archives_that_hold_what_it_reads(package, tmp_path):
    with_url = replace(package, options=replace(package.options, url=URL))
    folder = write_apple(with_url, tmp_path / "out").folder
    pod = (folder / "release/LibTorch-Lite.podspec").read_text()
    digest = hashlib.sha256((folder / "LibTorch-Lite.zip").read_bytes()).hexdigest()
    assert f":http => 'https://example.org/LibTorch-Lite.zip', :sha256 => '{digest}'" in pod
    with zipfile.ZipFile(folder / "LibTorch-Lite.zip") as archive:
        names = set(archive.namelist())
    assert {
        "LibTorchLite.xcframework/Info.plist",
        "LibTorchLite.xcframework/torchlite/licenses/pytorch-LICENSE.txt",
        "Sources/TorchLite/Module.swift",
        "Sources/TorchLite/Resources/model.ptl",
    } <= names
    sources = read_all(folder / "release/Sources")
    assert sources == read_all(folder / "Sources")
    assert "Sources/TorchLite" in (folder / "release/Package.swift").read_text()
    local = (folder / "LibTorch-Lite.podspec").read_text()
    assert f"\"file://#{{__dir__}}/LibTorch-Lite.zip\", :sha256 => '{digest}'" in local


def test_a_model_is_a_resource_of_the_swift_module(package, tmp_path):
    folder = write_apple(package, tmp_path / "out").folder
    assert (folder / "Sources/TorchLite/Resources/model.ptl").read_text() == "model.ptl"
    assert '.copy("Resources")' in (folder / "Package.swift").read_text()
    assert "Resources/*" in (folder / "LibTorch-Lite.podspec").read_text()
    assert (folder / "Sources/TorchLite/Module.swift").is_file()


def test_without_resources_neither_names_any():
    assert "resources" not in render_package(min_os=140000)
    assert "resource" not in render_pod(version="2.6.0.1", min_os=140000, checksum="0" * 64)


def test_brackets_pair_in_what_swift_and_ruby_read():
    texts = [
        render_package(min_os=150000, url=URL, checksum="0" * 64, resources=["a"]),
        render_package(min_os=150000),
    ]
    for text in texts:
        for left, right in ("()", "[]"):
            assert text.count(left) == text.count(right)
        assert '.iOS("15.0")' in text
    pod = render_pod(version="1.0", min_os=150000, checksum="", resources=["a"])
    assert pod.count("{") == pod.count("}")
    assert pod.count("'") % 2 == 1  # one apostrophe, in the description


def test_the_podspec_keeps_the_rules_of_pod_lib_lint():
    """Those of Pod::Specification::Linter that need no Mac."""
    text = render_pod(version="2.6.0.1", min_os=140000, checksum="0" * 64)
    values = dict(re.findall(r"^  s\.(\w+) = '([^']*)'$", text, re.MULTILINE))
    required = {"name", "version", "summary", "homepage"}
    assert required <= set(values)
    assert len(values["summary"]) < 140
    assert values["name"] == "LibTorch-Lite"
    assert re.fullmatch(r"\d+(\.\d+)+", values["version"])
    assert all(f"  s.{name} = " in text for name in ("license", "authors", "source", "platform"))
    assert "s.authors = ['the builder authors']" in text
    description = text.partition("<<-DESC\n")[2].partition("DESC")[0]
    assert len(description) > len(values["summary"])
    assert text.startswith("Pod::Spec.new do |s|\n")
    assert text.endswith("\nend\n")


def test_what_cannot_be_packaged_is_refused(package, tmp_path):
    with pytest.raises(PackagingError, match="one library per platform"):
        write_apple(replace(package, slices=package.slices[:1] * 2), tmp_path / "out")
    (tmp_path / "work/LICENSE").unlink()
    with pytest.raises(PackagingError, match=r"cannot contain .*LICENSE: it is not a file"):
        write_apple(package, tmp_path / "out")
    assert not (tmp_path / "out/apple").exists()


@pytest.mark.parametrize(
    "options", [{"version": "v2"}, {"version": "2"}, {"url": "http://a/b.zip"}, {"url": "x.zip"}]
)
def test_versions_and_urls_that_nobody_takes_are_refused(options):
    with pytest.raises(ValueError, match=r"not a version of a pod|not an https URL"):
        AppleOptions(**options)
    assert default_version("2.6.0") == "2.6.0.1"
    assert AppleOptions(version=default_version("2.6.0"), url=URL).url == URL
