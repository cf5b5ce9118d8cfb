from __future__ import annotations

import hashlib
import os
import stat

import pytest

from builder.system import files
from builder.system.files import (
    digest_file,
    digest_files,
    free_bytes,
    link_folder,
    read_regular,
    replacement,
    replacement_folder,
    swap_folder,
    write_atomically,
    write_if_changed,
)


class StopError(Exception):
    pass


@pytest.fixture
def umask():
    """The usual one, whatever the tests are run with."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def write_half_and_stop(path, error: type[BaseException]) -> None:
    path.write_text("half")
    raise error


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["tëxt\n", b"\0bytes"])
def test_a_file_is_written_whole_with_its_folders(tmp_path, umask, content):
    path = tmp_path / "new folder" / "é.txt"
    write_atomically(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert mode(path) == 0o644
    assert names(path.parent) == ["é.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomically(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_data_are_on_disk_before_the_rename(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    seen = []
    monkeypatch.setattr(files.os, "fsync", lambda _: seen.append(path.exists()))
    write_atomically(path, "new")
    assert seen == [False]


def test_an_interrupted_replacement_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacement(tmp_path / "a") as temporary:
        write_half_and_stop(temporary, KeyboardInterrupt)
    assert names(tmp_path) == []


def test_programs_stay_executable(tmp_path, umask):
    with replacement(tmp_path / "run") as temporary:
        temporary.write_text("#!/bin/sh\n")
        temporary.chmod(0o700)
    assert mode(tmp_path / "run") == 0o755


def test_an_unchanged_file_keeps_its_time(tmp_path):
    path = tmp_path / "a.txt"
    assert write_if_changed(path, "one")
    os.utime(path, (1, 1))
    assert not write_if_changed(path, "one")
    assert path.stat().st_mtime == 1
    assert write_if_changed(path, "two")
    assert path.read_text() == "two"


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
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
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


@pytest.mark.parametrize("content", [b"", b"a", b"\0" * ((1 << 20) + 1)])
def test_digests_are_sha256(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert digest_file(path) == hashlib.sha256(content).hexdigest()


def test_a_digest_of_folders_sees_names_contents_and_nothing_else(tmp_path):
    def digest(number, *, text="one", name="a.py", other="x"):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_text(text)
        (folder / "skipped.pyc").write_text(other)
        return digest_files(folder, suffixes=(".py",))

    assert digest(0) == digest(1, other="y")
    assert len({digest(2), digest(3, text="two"), digest(4, name="b.py")}) == 3


def test_a_digest_does_not_depend_on_where_the_folder_is(tmp_path):
    for name in ("one", "other place"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub/a.py").write_text("same")
    one, other = (digest_files(tmp_path / n, suffixes=(".py",)) for n in ("one", "other place"))
    assert one == other


def test_free_space_of_a_folder_that_is_not_there_yet(tmp_path):
    assert free_bytes(tmp_path / "not/yet/there") > 0


def test_a_regular_file_is_read_up_to_its_limit(tmp_path):
    path, link = tmp_path / "a", tmp_path / "link"
    path.write_bytes(b"12345")
    link.symlink_to(path)
    assert read_regular(path, 5) == read_regular(link, 5) == b"12345"
    with pytest.raises(ValueError, match="more than 4 bytes"):
        read_regular(path, 4)
    with pytest.raises(OSError, match="gone"):
        read_regular(tmp_path / "gone", 4)


def test_devices_pipes_and_folders_are_never_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            read_regular(tmp_path / name, 10)
    with pytest.raises((ValueError, OSError)):
        read_regular(tmp_path, 10)
