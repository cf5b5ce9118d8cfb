"""Folders that are walked and removed, however deep they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.system.trees import make_folders, remove_tree, walk_tree

DEEP = 1_500
"""More levels than Python's recursion reaches."""


@pytest.fixture
def deep(tmp_path):
    start = Path.cwd()
    top = tmp_path / "top"
    top.mkdir()
    os.chdir(top)
    for _ in range(DEEP):
        Path("d").mkdir()
        os.chdir("d")
    Path("leaf").write_text("x")
    os.chdir(start)
    yield top
    # pytest cannot remove it.
    if top.exists():
        remove_tree(top)


def test_a_deep_folder_is_made(tmp_path):
    path = tmp_path.joinpath(*["d"] * DEEP)
    for _ in range(2):
        make_folders(path)
        assert path.is_dir()
    remove_tree(tmp_path / "d")


@pytest.mark.parametrize("place", ["file", "file/a/b", "link"])
def test_nothing_else_is_taken_for_a_folder(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(FileExistsError):
        make_folders(tmp_path / place)


def test_a_folder_through_a_link_is_made_behind_it(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    make_folders(tmp_path / "link/a/b")
    assert (tmp_path / "real/a/b").is_dir()


def test_empty_folders_are_listed_where_they_are_asked_for(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/file").touch()
    found = [path.relative_to(tmp_path) for path in walk_tree(tmp_path, empty_folders=True)]
    assert sorted(map(str, found)) == ["a/b", "c/file"]
    assert list(walk_tree(tmp_path / "a/b", empty_folders=True)) == []


def test_files_and_links_are_listed_and_links_are_not_entered(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    top = tmp_path / "top"
    for name in ("b/2", "a/1", "c"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("x")
    (top / "link").symlink_to(outside)
    found = [path.relative_to(top).as_posix() for path in walk_tree(top)]
    assert found == ["c", "link", "a/1", "b/2"]


def test_a_deep_folder_is_walked(deep):
    assert [path.name for path in walk_tree(deep)] == ["leaf"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    errors = []
    assert list(walk_tree(tmp_path / "absent", on_error=errors.append)) == []
    assert isinstance(errors[0], FileNotFoundError)
    assert list(walk_tree(tmp_path / "absent")) == []


def test_a_deep_folder_is_removed(deep):
    remove_tree(deep)
    assert not deep.exists()


def test_what_cannot_be_removed_is_an_error(tmp_path):
    # A link in place of the folder is not followed, and stays.
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(OSError, match="symbolic link"):
        remove_tree(tmp_path / "link")
    assert (tmp_path / "there").is_dir()
