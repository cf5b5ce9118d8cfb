"""The path through `xcodebuild -create-xcframework`, with a program of ours in its place."""

from __future__ import annotations

import plistlib
import shutil
from pathlib import Path

import pytest

from builder.errors import PackagingError
from builder.platforms.apple.manifest import XcframeworkManifest
from builder.platforms.apple.repository import write_apple
from builder.platforms.package_manifest import MANIFEST, parse_package_manifest
from builder.system.process import Completed

from .test_repository import read_all

REFUSED = "error: unable to determine the platform for the given binary 'libTorchLite.a'.\n"


class FakeXcode:
    """Takes the options that xcodebuild takes, and lays out what it lays out.

    The platform, which Xcode reads from the objects, is told by the sample's text.
    """

    def __init__(self, *, backwards=False, suffix="", refuses=False):
        self.backwards, self.suffix, self.refuses = backwards, suffix, refuses
        self.commands = []

    def run(self, command):
        self.commands.append(command)
        if self.refuses:
            return Completed(70, REFUSED)
        assert command[:2] == ("xcodebuild", "-create-xcframework")
        pairs = list(zip(command[2::2], command[3::2], strict=True))
        assert {name for name, _ in pairs} == {"-library", "-headers", "-output"}
        folder = Path(dict(pairs)["-output"])
        assert folder.suffix == ".xcframework"
        assert not folder.exists()
        libraries = [Path(value) for name, value in pairs if name == "-library"]
        headers = [Path(value) for name, value in pairs if name == "-headers"]
        entries = [self.add(folder, *both) for both in zip(libraries, headers, strict=True)]
        info = {"AvailableLibraries": entries[::-1] if self.backwards else entries}
        info |= {"CFBundlePackageType": "XFWK", "XCFrameworkFormatVersion": "1.0"}
        (folder / "Info.plist").write_bytes(plistlib.dumps(info))
        return Completed(0, f"xcframework successfully written out to: {folder}\n")

    def add(self, folder, library, headers):
        simulator = "simulator" in library.read_text()
        identifier = ("ios-arm64-simulator" if simulator else "ios-arm64") + self.suffix
        shutil.copytree(headers, folder / identifier / "Headers")
        shutil.copy(library, folder / identifier)
        variant = {"SupportedPlatformVariant": "simulator"} if simulator else {}
        return {
            "BinaryPath": library.name,
            "HeadersPath": "Headers",
            "LibraryIdentifier": identifier,
            "LibraryPath": library.name,
            "SupportedArchitectures": ["arm64"],
            "SupportedPlatform": "ios",
            **variant,
        }


def test_what_xcode_writes_is_completed_with_licences_and_manifest(package, tmp_path):
    xcode = FakeXcode()
    framework = write_apple(package, tmp_path / "out", xcode=xcode).framework
    assert len(xcode.commands) == 1
    manifest = parse_package_manifest((framework / MANIFEST).read_text(), XcframeworkManifest)
    assert set(manifest.files) == set(read_all(framework)) - {MANIFEST}
    assert manifest.slices["ios-simulator-arm64"].path in manifest.files


def test_the_order_in_which_xcode_lists_slices_does_not_matter(package, tmp_path):
    written = [
        write_apple(package, tmp_path / str(backwards), xcode=FakeXcode(backwards=backwards))
        for backwards in (False, True)
    ]
    assert read_all(written[0].folder) == read_all(written[1].folder)


def test_without_xcode_the_same_files_are_written(package, tmp_path):
    """As far as the fake lays them out as Xcode does."""
    ours = write_apple(package, tmp_path / "ours")
    theirs = write_apple(package, tmp_path / "theirs", xcode=FakeXcode())
    assert read_all(ours.folder) == read_all(theirs.folder)


def test_a_library_that_xcode_refuses_leaves_nothing(package, tmp_path):
    with pytest.raises(PackagingError, match="unable to determine the platform"):
        write_apple(package, tmp_path / "out", xcode=FakeXcode(refuses=True))
    assert not (tmp_path / "out/apple").exists()


def test_slices_under_other_names_than_the_manifests_are_refused(package, tmp_path):
    with pytest.raises(PackagingError, match="Xcode put the libraries in ios-arm64-new/"):
        write_apple(package, tmp_path / "out", xcode=FakeXcode(suffix="-new"))
