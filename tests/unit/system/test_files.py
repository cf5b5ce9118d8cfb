from __future__ import annotations

import hashlib
import os

import pytest
from written_files import mode, names, write_half_and_stop

from builder.system import files
from builder.system.files import (
    describe_absent,
    describe_unreadable,
    digest_file,
    digest_files,
    free_bytes,
    read_regular,
    replacement,
    write_atomically,
    write_if_changed,
)


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


def test_what_is_absent_is_described_with_the_link_that_is_the_reason(tmp_path):
    (tmp_path / "link").symlink_to("gone/file")
    (tmp_path / "loop").symlink_to("loop")
    said = "is a link to gone/file, which does not exist"
    assert describe_absent(tmp_path / "none") == "does not exist"
    assert describe_absent(tmp_path / "link") == said
    inner = describe_absent(tmp_path / "link/a/b")
    assert inner == f"does not exist: {tmp_path / 'link'} {said}"
    looped = describe_absent(tmp_path / "loop")
    assert looped.startswith("is a link to loop, which cannot be followed (")
    error = FileNotFoundError(2, "No such file or directory")
    assert describe_unreadable(tmp_path / "link", error) == said
    assert describe_unreadable(tmp_path / "none", error) == f"cannot be read: {error.strerror}"
    inside = describe_unreadable(tmp_path / "link/x", error)
    assert inside == f"does not exist: {tmp_path / 'link'} {said}"
