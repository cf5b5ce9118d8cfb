from __future__ import annotations

import os

import pytest

from builder.system import listings
from builder.system.listings import (
    Differences,
    compare,
    find_changes,
    list_files,
    parse_listing,
    render_listing,
    seal,
)

NONE = Differences()


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "a tree"
    for name in ("a.cpp", "deep/b  c.h", "deep/é.h", "__pycache__/x.pyc", "own/note"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}\n")
    (root / "link").symlink_to("deep")
    return root


@pytest.fixture
def sealed(tree, tmp_path):
    stamps = tmp_path / "stamps"
    return tree, seal(tree, stamps, ignored=("own",)), stamps


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read."""
    names = []
    digest = listings.digest_file
    monkeypatch.setattr(
        listings, "digest_file", lambda path: names.append(path.name) or digest(path)
    )
    return names


def changes(sealed):
    root, listing, stamps = sealed
    return find_changes(root, listing, stamps, ignored=("own",))


def test_a_listing_is_read_as_it_was_written(tree):
    files = list_files(tree, ignored=("own",))
    assert list(files) == ["a.cpp", "deep/b  c.h", "deep/é.h", "link"]
    assert parse_listing(render_listing(files)) == files
    assert compare(tree, render_listing(files), ignored=("own",)) == NONE


def test_nothing_is_read_where_nothing_changed(sealed, read):
    assert changes(sealed) == NONE
    assert read == []


def test_each_difference_is_named(sealed):
    root = sealed[0]
    (root / "a.cpp").write_text("edited by hand")
    (root / "deep/é.h").unlink()
    (root / "deep/new.h").touch()
    found = changes(sealed)
    assert found == Differences(missing=("deep/é.h",), changed=("a.cpp",), added=("deep/new.h",))
    assert str(found).splitlines() == [
        "  changed: a.cpp",
        "  missing: deep/é.h",
        "  added: deep/new.h",
    ]
    assert changes(sealed) == found, "once is not enough"


def test_an_edit_of_the_same_size_with_the_time_set_back_is_noticed(sealed):
    path = sealed[0] / "a.cpp"
    before = path.stat()
    path.write_text(path.read_text().swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert changes(sealed) == Differences(changed=("a.cpp",))


def test_a_link_to_elsewhere_is_noticed(sealed):
    link = sealed[0] / "link"
    link.unlink()
    link.symlink_to("a.cpp")
    assert changes(sealed) == Differences(changed=("link",))


def test_an_edit_that_was_taken_back_is_none(sealed, read):
    path = sealed[0] / "a.cpp"
    text = path.read_text()
    path.write_text("edited by hand")
    path.write_text(text)
    assert changes(sealed) == NONE
    assert read == ["a.cpp"]
    assert changes(sealed) == NONE
    assert read == ["a.cpp"], "what was read and is right is not read again"


def test_a_copy_elsewhere_is_read_once(sealed, tmp_path, read):
    root, listing, stamps = sealed
    moved = root.rename(tmp_path / "moved")
    for path in (p for p in moved.rglob("*") if p.is_file()):
        os.utime(path, (1, 1))
    assert changes((moved, listing, stamps)) == NONE
    assert len(read) == 3
    assert changes((moved, listing, stamps)) == NONE
    assert len(read) == 3


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"of another listing\n1 2 3 a.cpp\n"])
def test_stamps_that_say_nothing_make_it_read_everything(sealed, read, content):
    stamps = sealed[2]
    stamps.unlink()
    if content is not None:
        stamps.write_bytes(content)
    (sealed[0] / "a.cpp").write_text("edited by hand")
    assert changes(sealed) == Differences(changed=("a.cpp",))
    assert len(read) == 3


def test_stamps_need_not_be_written(sealed, monkeypatch):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    sealed[2].unlink()
    monkeypatch.setattr(listings, "write_atomically", refuse)
    assert changes(sealed) == NONE


def test_many_differences_are_counted():
    many = Differences(added=tuple(f"{n:02}.h" for n in range(30)))
    assert str(many).splitlines()[-2:] == ["  added: 19.h", "  and 10 more added"]
