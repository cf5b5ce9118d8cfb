from __future__ import annotations

import errno
import os
import shutil

import pytest

from builder.errors import ConfigurationError, NativeBuildError, PackagingError
from builder.system import outputs
from builder.system.files import write_atomically
from builder.system.outputs import (
    is_full,
    refuse_foreign_file,
    refuse_unwritable,
    writing_into,
)
from builder.system.trees import remove_tree


def test_what_can_be_written_leaves_no_trace(tmp_path):
    refuse_unwritable(tmp_path / "not/yet/there", needed=1)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed(tmp_path):
    (tmp_path / ".builder-tmp-left_123").mkdir()
    refuse_unwritable(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["file/below", "file/deep/below", "x" * 300, f"{'y' * 300}/z"])
def test_what_can_never_be_a_file_is_refused(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot write") as caught:
        refuse_unwritable(tmp_path / path)
    assert "another path" in caught.value.hint


def test_a_path_of_many_folders_can_be_written_and_a_longer_one_is_refused_first(tmp_path):
    deep = tmp_path.joinpath(*["d"] * 1_500)
    refuse_unwritable(deep / "out.ptl")
    write_atomically(deep / "out.ptl", "x")
    assert (deep / "out.ptl").read_text() == "x"
    remove_tree(tmp_path / "d")
    with pytest.raises(ConfigurationError, match="its path has more than 3,500 bytes"):
        refuse_unwritable(tmp_path.joinpath(*["d"] * 2_000))
    assert list(tmp_path.iterdir()) == []


def test_below_a_dangling_link_nothing_can_be_written(tmp_path):
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(ConfigurationError, match="link is a link to gone, which does not exist"):
        refuse_unwritable(tmp_path / "link/out")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")  # noqa: PTH112
def test_a_file_system_that_takes_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no file can be created in /proc"):
        refuse_unwritable(outputs.Path("/proc/nope/out"))


def test_a_folder_without_rights_is_refused(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(outputs, "scratch_folder", refuse)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        refuse_unwritable(tmp_path / "out")


def test_too_little_space_is_a_matter_of_packaging(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "free_bytes", lambda _: 1 << 20)
    with pytest.raises(PackagingError, match=r"has 1\.0 MiB free, but out needs 4 MiB") as caught:
        refuse_unwritable(tmp_path / "out", needed=4 << 20)
    assert caught.value.exit_code == 7


def test_a_full_disk_is_noticed_when_it_is_tried(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(outputs, "scratch_folder", refuse)
    with pytest.raises(PackagingError, match="no space is left for"):
        refuse_unwritable(tmp_path / "out")


def test_no_file_is_made_where_a_link_leads(tmp_path):
    (tmp_path / "link").symlink_to("elsewhere/file")
    with pytest.raises(ConfigurationError, match="link is a link to elsewhere/file, which"):
        refuse_foreign_file(tmp_path / "link", is_mine, "list")


def is_mine(path):
    return path.read_text() == "builder's"


@pytest.mark.parametrize("text", [None, "", "builder's"])
def test_nothing_is_lost_with_a_file_of_builders(tmp_path, text):
    path = tmp_path / "ops.yaml"
    if text is not None:
        path.write_text(text)
    refuse_foreign_file(path, is_mine, "list")


@pytest.mark.parametrize("kind", ["text", "folder", "device", "pipe", "link"])
def test_anything_else_is_refused(tmp_path, kind):
    path = tmp_path / "ops.yaml"
    match kind:
        case "text":
            path.write_text("mine")
        case "folder":
            path.mkdir()
        case "device":
            path = outputs.Path("/dev/null")
        case "pipe":
            os.mkfifo(path)
        case "link":
            (tmp_path / "mine").write_text("mine")
            path.symlink_to("mine")
    with pytest.raises(ConfigurationError):
        refuse_foreign_file(path, is_mine, "list")


def test_through_a_link_the_file_behind_it_is_written(tmp_path):
    (tmp_path / "behind").write_text("builder's")
    link = tmp_path / "link"
    link.symlink_to("behind")
    write_atomically(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "behind").read_text() == "new"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]),
    ],
)
def test_a_full_disk_is_said_with_its_folder(tmp_path, error):
    assert is_full(error)
    with (
        pytest.raises(NativeBuildError, match="no space is left for") as caught,
        writing_into(tmp_path, NativeBuildError, hint="choose another cache"),
    ):
        raise error
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint == "free some space there, or choose another cache"


def test_other_errors_pass(tmp_path):
    with (
        pytest.raises(FileNotFoundError),
        writing_into(tmp_path, NativeBuildError, hint="choose another cache"),
    ):
        raise FileNotFoundError(errno.ENOENT, "gone")
