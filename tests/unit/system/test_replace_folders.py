from __future__ import annotations

import pytest
from written_files import mode, names, write_half_and_stop

from builder.system import replace_folders
from builder.system.replace_folders import link_folder, replacement_folder, swap_folder


class StopError(Exception):
    pass


def test_a_folder_takes_the_place_of_the_old_one(tmp_path, umask):
    path = tmp_path / "out"
    (path / "sub").mkdir(parents=True)
    (path / "sub/stale").write_text("old")
    with replacement_folder(path) as folder:
        (folder / "fresh").write_text("new")
        assert (path / "sub/stale").exists()
    assert names(path) == ["fresh"]
    assert mode(path) == 0o755
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt])
def test_a_failed_folder_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "out"
    path.mkdir()
    (path / "kept").write_text("old")
    with pytest.raises(error), replacement_folder(path) as folder:
        write_half_and_stop(folder / "half", error)
    assert names(path) == ["kept"]
    assert names(tmp_path) == ["out"]


def test_a_first_folder_that_fails_is_not_there(tmp_path):
    with pytest.raises(StopError), replacement_folder(tmp_path / "deep/out"):
        raise StopError
    assert names(tmp_path / "deep") == []


@pytest.fixture(params=[True, False])
def exchanging(request, monkeypatch):
    """Whether the system can exchange two names at once."""
    if not request.param:
        monkeypatch.setattr(replace_folders, "_exchange", lambda *_: False)
    return request.param


def test_swap_replaces_what_stands_there(tmp_path, exchanging):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    swap_folder(tmp_path / "new", tmp_path / "old")
    assert names(tmp_path / "old") == ["new"]
    assert names(tmp_path) == (["new", "old"] if exchanging else ["old"])


def test_a_first_folder_gets_its_name(tmp_path, exchanging):
    (tmp_path / "new").mkdir()
    swap_folder(tmp_path / "new", tmp_path / "out")
    assert names(tmp_path) == ["out"]


def test_at_no_moment_the_folder_is_absent(tmp_path):
    """What the system is asked for is one call, so there is nothing between two renames."""
    folder = tmp_path / "out"
    folder.mkdir()
    inode = folder.stat().st_ino
    with replacement_folder(folder) as new:
        fresh = new.stat().st_ino
        assert folder.stat().st_ino == inode
    assert folder.stat().st_ino == fresh
    assert names(tmp_path) == ["out"]


def test_a_swap_that_is_refused_is_no_reason_to_do_it_in_two_steps(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(FileNotFoundError):
        swap_folder(tmp_path / "gone", tmp_path / "old")
    assert names(tmp_path) == ["old"]


def test_what_must_not_be_replaced_is_not(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    (path / "mine").touch()

    def refuse(folder):
        assert folder == path
        raise StopError

    with pytest.raises(StopError), replacement_folder(path, refuse=refuse) as folder:
        (folder / "fresh").touch()
    assert names(path) == ["mine"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("there", ["nothing", "link", "folder", "dangling"])
def test_a_link_is_made_whatever_stands_there(tmp_path, there):
    link = tmp_path / "pytorch"
    if there == "folder":  # what some programs make of a link when they copy it
        link.mkdir()
        (link / "copied").touch()
    elif there != "nothing":
        link.symlink_to("." if there == "link" else "gone")
    link_folder(link, "target")
    assert str(link.readlink()) == "target"
    assert names(tmp_path) == ["pytorch"]
