from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.formats.tbd import parse_stub
from builder.platforms.apple.open_sdk import digest_parts, locate_open_sdk, read_names
from builder.system.folders import data_folder

TARGETS = ("arm64-ios", "arm64-ios-simulator")
SYSTEM = """\
--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
install-name:    '/usr/lib/libSystem.B.dylib'
exports:
  - targets:         [ arm64-macos ]
    symbols:         [ _strlen ]
  - targets:         [ x86_64-macos ]
    symbols:         [ '_open$INODE64' ]
...
"""


@pytest.fixture
def tree(tmp_path):
    """Returns a tree of the feature `apple` with one header of each kind."""
    root = tmp_path / "apple-0123"
    lib = root / "third_party/darwin-headers/lib"
    for folder, text in (("any-macos-any", "old"), ("any-macos.13-any", "newer")):
        (lib / "libc/include" / folder).mkdir(parents=True)
        (lib / "libc/include" / folder / "stdio.h").write_text(text)
    (lib / "libc/include/aarch64-macos.13-none").mkdir()
    (lib / "libc/include/any-macos-any/TargetConditionals.h").write_text("wrong")
    for library in ("libcxx", "libcxxabi"):
        (lib / library / "include").mkdir(parents=True)
        (lib / library / f"include/{library}.h").touch()
    (lib / "libc/darwin").mkdir()
    (lib / "libc/darwin/libSystem.13.tbd").write_text(SYSTEM)
    return root


@pytest.fixture
def own(tmp_path):
    return shutil.copytree(data_folder("cmake") / "apple", tmp_path / "own")


def test_headers_are_merged_and_ours_come_last(tree, own, tmp_path):
    root = locate_open_sdk(tree, own, tmp_path / "cache")
    assert (root / "usr/include/stdio.h").read_text() == "newer"
    assert "TARGET_OS_IPHONE 1" in (root / "usr/include/TargetConditionals.h").read_text()
    assert (root / "usr/include/c++/v1/libcxxabi.h").is_file()
    headers = root / "System/Library/Frameworks/Accelerate.framework/Headers"
    assert "cblas_sgemm" in (headers / "Accelerate.h").read_text()


@pytest.mark.parametrize("target", TARGETS)
def test_stubs_serve_for_device_and_simulator(tree, own, tmp_path, target):
    root = locate_open_sdk(tree, own, tmp_path / "cache")
    system = parse_stub((root / "usr/lib/libSystem.tbd").read_text(), target)
    assert system == {"_strlen"}
    library = parse_stub((root / "usr/lib/libc++.tbd").read_text(), target)
    assert {"__Znwm", "___cxa_throw"} <= library


def test_what_the_framework_stub_has_the_header_declares(tree, own, tmp_path):
    root = locate_open_sdk(tree, own, tmp_path / "cache") / "System/Library/Frameworks"
    stub = parse_stub((root / "Accelerate.framework/Accelerate.tbd").read_text(), TARGETS[0])
    header = (root / "Accelerate.framework/Headers/Accelerate.h").read_text()
    assert len(stub) == 12
    assert all(f"void {name[1:]}(" in header for name in stub)


def test_it_is_assembled_once_and_again_when_a_part_changes(tree, own, tmp_path):
    first = locate_open_sdk(tree, own, tmp_path / "cache")
    made = first.stat().st_ino
    assert locate_open_sdk(tree, own, tmp_path / "cache").stat().st_ino == made
    (own / "libc++.txt").write_text("# a comment\n\n_one\n")
    assert read_names(own / "libc++.txt") == ("_one",)
    other = locate_open_sdk(tree, own, tmp_path / "cache")
    assert other != first
    assert other.name == f"open-{digest_parts(tree, own)}"


def test_the_list_of_the_cxx_library_has_no_newer_name_of_a_whole_header():
    names = read_names(Path(data_folder("cmake") / "apple/libc++.txt"))
    assert names == tuple(sorted(set(names)))
    assert not [name for name in names if "filesystem" in name or "verbose_abort" in name]


@pytest.mark.parametrize("change", ["edit", "remove", "add"])
def test_headers_that_were_changed_are_put_together_anew(tree, own, tmp_path, change):
    root = locate_open_sdk(tree, own, tmp_path / "cache")
    header = root / "usr/include/stdio.h"
    match change:
        case "edit":
            header.write_text("edited")
        case "remove":
            header.unlink()
        case "add":
            (root / "usr/include/shadow.h").touch()
    assert locate_open_sdk(tree, own, tmp_path / "cache") == root
    assert header.read_text() == "newer"
    assert not (root / "usr/include/shadow.h").exists()
