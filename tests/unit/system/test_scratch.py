from __future__ import annotations

import errno
import os
import tempfile

import pytest

from builder.system import scratch
from builder.system.scratch import PREFIX, scratch_file, scratch_folder, sweep


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def orphans(tmp_path):
    """What a killed run leaves: the names without the locks."""
    (tmp_path / f"{PREFIX}folder_1/deep").mkdir(parents=True)
    (tmp_path / f"{PREFIX}folder_1/deep/file").touch()
    (tmp_path / f"{PREFIX}file_123").touch()
    (tmp_path / "mine").touch()
    return tmp_path


def test_a_scratch_folder_is_gone_at_the_end(tmp_path):
    def work(folder):
        (folder / "file").touch()
        assert folder.parent == tmp_path
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path) as folder:
        work(folder)
    assert names(tmp_path) == []


def test_without_a_place_it_is_where_temporary_files_go(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_folder() as folder:
        assert folder.parent == tmp_path


def test_the_next_run_removes_what_a_killed_one_left(orphans):
    with scratch_folder(orphans) as folder:
        assert names(orphans) == sorted([folder.name, "mine"])
    assert names(orphans) == ["mine"]


def test_what_a_living_run_works_with_stays(tmp_path):
    with scratch_folder(tmp_path) as folder, scratch_file(tmp_path) as file:
        assert sweep(tmp_path) == 0
        assert names(tmp_path) == sorted([folder.name, file.name])


def test_sweeping_counts(orphans):
    assert sweep(orphans) == 2
    assert sweep(orphans / "not there") == 0


def test_a_link_is_not_followed(orphans):
    link = orphans / f"{PREFIX}link_123"
    link.symlink_to(orphans / "mine")
    sweep(orphans)
    assert (orphans / "mine").exists()
    assert not link.is_symlink()


def test_another_users_files_stay(orphans, monkeypatch):
    monkeypatch.setattr(scratch.os, "geteuid", lambda: os.getuid() + 1)
    assert sweep(orphans) == 0


def test_where_nothing_can_be_locked_nothing_is_swept(orphans, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(scratch.fcntl, "flock", refuse)
    with scratch_folder(orphans):
        assert len(names(orphans)) == 4
    assert len(names(orphans)) == 3


def test_what_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    lock = scratch.fcntl.flock
    made = []

    def late(descriptor, how):
        if not made:
            made.extend(names(tmp_path))
            (tmp_path / made[0]).rmdir()
        lock(descriptor, how)

    monkeypatch.setattr(scratch.fcntl, "flock", late)
    with scratch_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert made != [folder.name]


@pytest.mark.parametrize("name", [".builder-tmp-notes", ".builder-tmp-a-b-c-d", ".builder-tmp"])
def test_names_that_only_look_alike_stay(tmp_path, name):
    (tmp_path / name).touch()
    assert sweep(tmp_path) == 0
    assert (tmp_path / name).exists()
