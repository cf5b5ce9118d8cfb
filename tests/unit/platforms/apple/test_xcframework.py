from __future__ import annotations

import hashlib
import plistlib

import pytest
from machos import make_archive, make_object
from samples import make_manifest

from builder.core.runtime_manifest import ManifestFile
from builder.errors import ConfigurationError, VerificationError
from builder.formats.macho import join_architectures
from builder.platforms.apple.manifest import SliceEntry, XcframeworkManifest
from builder.platforms.apple.xcframework import (
    check_contents,
    choose_xcframework,
    find_manifest,
    find_xcframework,
    read_binaries,
    read_manifest,
)
from builder.platforms.package_manifest import MANIFEST, parse_package_manifest

PATH = "ios-arm64-simulator/libX.a"


@pytest.fixture
def framework(tmp_path):
    root = tmp_path / "out/apple/X.xcframework"
    (root / "ios-arm64-simulator").mkdir(parents=True)
    both = {"arm64": make_archive(a_o=make_object()), "x86_64": make_archive(b_o=b"intel")}
    (root / PATH).write_bytes(join_architectures(both))
    write_info(root)
    return root


def write_info(root, **changes):
    entry = {
        "LibraryIdentifier": "ios-arm64-simulator",
        "LibraryPath": "libX.a",
        "SupportedArchitectures": ["arm64", "x86_64"],
        "SupportedPlatform": "ios",
        "SupportedPlatformVariant": "simulator",
        **changes,
    }
    (root / "Info.plist").write_bytes(plistlib.dumps({"AvailableLibraries": [entry]}))


def make_xcframework_manifest(root):
    data = (root / PATH).read_bytes()
    info = (root / "Info.plist").read_bytes()
    return XcframeworkManifest(
        version="2.6.0.1",
        pins={},
        slices={
            "ios-simulator-arm64": SliceEntry(
                path=PATH,
                arch="arm64",
                min_os=150000,
                flags=(),
                linked=10,
                compressed=5,
                runtime=make_manifest(abi="ios-simulator-arm64"),
            )
        },
        files={
            name: ManifestFile(size=len(content), sha256=hashlib.sha256(content).hexdigest())
            for name, content in {PATH: data, "Info.plist": info}.items()
        },
    )


def write_manifest(root):
    (root / MANIFEST).parent.mkdir(exist_ok=True)
    (root / MANIFEST).write_text(make_xcframework_manifest(root).to_text())


def test_it_is_found_by_itself_and_in_an_output_folder(framework, tmp_path):
    assert find_xcframework(framework) == framework
    assert find_xcframework(tmp_path / "out") == framework
    assert find_xcframework(tmp_path) is None
    assert choose_xcframework(tmp_path / "out", host_abi="linux-x86_64") == framework
    (tmp_path / "out/linux-x86_64").mkdir()
    (tmp_path / "out/linux-x86_64/manifest.json").touch()
    assert choose_xcframework(tmp_path / "out", host_abi="linux-x86_64") is None


def test_every_cpu_of_a_slice_is_a_library_of_its_own(framework):
    arm, intel = read_binaries(framework)
    assert (arm.target.abi, arm.arch) == ("ios-simulator-arm64", "arm64")
    assert (intel.target.abi, intel.path) == ("ios-simulator-x86_64", f"{PATH} (x86_64)")
    assert arm.contents == make_archive(a_o=make_object())
    assert arm.target.min_os == 140000


def test_ours_says_which_deployment_target_it_has(framework):
    write_manifest(framework)
    targets = {one.arch: one.target.min_os for one in read_binaries(framework)}
    assert targets["arm64"] == 150000
    assert find_manifest(framework) == parse_package_manifest(
        (framework / MANIFEST).read_text(), XcframeworkManifest
    )


def test_the_frameworks_that_a_slice_links_are_asked_of_what_it_says(framework):
    def list_frameworks(manifest):
        return ("all",) if manifest is None else (manifest.abi,)

    assert [one.frameworks for one in read_binaries(framework, list_frameworks)] == [("all",)] * 2
    write_manifest(framework)
    arm, intel = read_binaries(framework, list_frameworks)
    assert (arm.frameworks, intel.frameworks) == (("ios-simulator-arm64",), ("all",))


def test_somebody_elses_says_nothing(framework):
    assert find_manifest(framework) is None
    with pytest.raises(ConfigurationError, match="does not say what it can run"):
        read_manifest(framework)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 99}', '{"schema": 1, "slices": {}}'])
def test_a_damaged_manifest_is_refused(framework, text):
    (framework / MANIFEST).parent.mkdir()
    (framework / MANIFEST).write_text(text)
    with pytest.raises(VerificationError, match="is not a valid manifest"):
        find_manifest(framework)


@pytest.mark.parametrize(
    "changes",
    [
        {"LibraryPath": "gone.a"},
        {"LibraryPath": "../../../X"},
        {"SupportedPlatform": "tvos"},
        {"LibraryIdentifier": "/etc"},
    ],
)
def test_a_slice_that_cannot_be_read_is_refused(framework, changes):
    write_info(framework, **changes)
    with pytest.raises(ConfigurationError, match="a slice that cannot be read"):
        list(read_binaries(framework))


@pytest.mark.parametrize("data", [b"", b"<plist", b"bplist00", plistlib.dumps({})])
def test_an_xcframework_without_its_list_is_none(framework, data):
    (framework / "Info.plist").write_bytes(data)
    with pytest.raises(ConfigurationError, match="is not an xcframework"):
        list(read_binaries(framework))


def test_files_that_changed_came_or_went_are_found(framework):
    write_manifest(framework)
    manifest = read_manifest(framework)
    assert list(check_contents(framework, manifest)) == []
    (framework / PATH).write_bytes(b"other")
    (framework / "Info.plist").unlink()
    (framework / "added").touch()
    found = {one.file: one.found for one in check_contents(framework, manifest)}
    assert found == {PATH: "changed", "Info.plist": "missing", "added": "not listed"}


HEAD = b'<?xml version="1.0"?><plist version="1.0">'


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"<date>2026</date></plist>",
        HEAD + b"</dict></plist>",
        HEAD + b"<dict></array></dict></plist>",
        HEAD + b"<integer>x</integer></plist>",
        HEAD + b"<integer></integer></plist>",
        HEAD + b"<dict><integer>1</integer><true/></dict></plist>",
        b'<?xml version="1.0" encoding="UTG-8"?><plist version="1.0"></plist>',
        b"bplist00" + bytes(100),
        plistlib.dumps([]),
        plistlib.dumps({"AvailableLibraries": [1]}),
        plistlib.dumps({"AvailableLibraries": "ab"}),
        plistlib.dumps({"AvailableLibraries": [[[]]]}),
        plistlib.dumps(7, fmt=plistlib.FMT_BINARY),
        HEAD + b"<string>" + b"x" * (1 << 20) + b"</string></plist>",
        plistlib.dumps({"a": "x" * (1 << 13)}, fmt=plistlib.FMT_BINARY),
    ],
)
def test_a_damaged_list_is_said_to_be_that(framework, data):
    (framework / "Info.plist").write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"Info\.plist cannot be read"):
        list(read_binaries(framework))


def test_a_list_nested_without_end_is_damaged(framework):
    value: object = []
    for _ in range(900):
        value = [value]
    deep = plistlib.dumps({"AvailableLibraries": value}, fmt=plistlib.FMT_BINARY)
    (framework / "Info.plist").write_bytes(deep)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        list(read_binaries(framework))


@pytest.mark.parametrize(
    "changes",
    [
        {"SupportedArchitectures": []},
        {"SupportedArchitectures": {}},
        {"SupportedArchitectures": [1]},
        {"SupportedArchitectures": 5},
        {"LibraryPath": 5},
        {"LibraryIdentifier": b"a"},
        {"LibraryPath": "a\0b"},
        {"LibraryPath": "n" * 300},
        {"LibraryPath": "."},
        {"SupportedPlatform": ["ios"]},
    ],
)
def test_entries_of_other_types_are_a_slice_that_cannot_be_read(framework, changes):
    (framework / PATH).write_bytes(make_archive(a_o=make_object()))  # for one CPU
    if b"\0" not in repr(changes).encode() and "\0" not in str(changes.get("LibraryPath", "")):
        write_info(framework, **changes)
    else:
        value = {"LibraryIdentifier": "i", "SupportedArchitectures": ["arm64"], **changes}
        value["SupportedPlatform"] = "ios"
        (framework / "Info.plist").write_bytes(
            plistlib.dumps({"AvailableLibraries": [value]}, fmt=plistlib.FMT_BINARY)
        )
    with pytest.raises(ConfigurationError, match="a slice that cannot be read"):
        list(read_binaries(framework))


def test_a_library_is_that_of_one_slice(framework):
    info = plistlib.loads((framework / "Info.plist").read_bytes())
    (entry,) = info["AvailableLibraries"]
    again = {**entry, "LibraryPath": "./libX.a"}
    info["AvailableLibraries"] = [entry, again]
    (framework / "Info.plist").write_bytes(plistlib.dumps(info))
    with pytest.raises(ConfigurationError, match="of another slice too"):
        list(read_binaries(framework))


@pytest.mark.parametrize("target", ["/dev/zero", "../../../outside.a"])
def test_a_link_that_leads_out_is_not_followed(framework, target):
    (framework.parent.parent / "outside.a").write_bytes(make_archive(a_o=make_object()))
    (framework / PATH).unlink()
    (framework / PATH).symlink_to(target)
    with pytest.raises(ConfigurationError, match="leads out of the xcframework"):
        list(read_binaries(framework))
