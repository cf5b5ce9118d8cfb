from __future__ import annotations

import errno
import fcntl
import os

import pytest

from builder.errors import NativeBuildError, SourceError
from builder.system import locks
from builder.system.locks import folder_lock, list_held


@pytest.fixture
def held(tmp_path):
    """A folder whose lock somebody holds, and where that somebody says who it is."""
    folder = tmp_path / "my folder"
    with (tmp_path / "my folder.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder, tmp_path / "my folder.owner"


def test_the_folder_is_there_and_owned_while_the_lock_is_held(tmp_path):
    folder = tmp_path / "deep" / "folder"
    with folder_lock(folder):
        assert folder.is_dir()
        assert str(os.getpid()) in (tmp_path / "deep/folder.owner").read_text()
    assert not (tmp_path / "deep/folder.owner").exists()
    with folder_lock(folder, timeout=0):
        pass


def test_the_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), folder_lock(tmp_path / "f"):
        raise KeyboardInterrupt
    with folder_lock(tmp_path / "f", timeout=0):
        pass


def test_the_holder_is_named(held):
    folder, owner = held
    owner.write_text('{"pid": 4711}')
    waited = []
    with (
        pytest.raises(NativeBuildError, match=r"process 4711") as caught,
        folder_lock(folder, timeout=0.01, on_wait=waited.append),
    ):
        pytest.fail("two builders in one folder")
    assert str(folder) in caught.value.message
    assert "BUILDER_CACHE" in caught.value.hint
    assert waited == [caught.value.message]
    assert owner.exists(), "the waiting one took the owner's note away"


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", None])
def test_a_holder_that_says_nothing_is_still_one(held, note):
    folder, owner = held
    if note is not None:
        owner.write_text(note)
    with (
        pytest.raises(SourceError, match="another builder is using"),
        folder_lock(folder, timeout=0, error=SourceError),
    ):
        pytest.fail("two builders in one folder")


def test_who_inherits_a_descriptor_holds_the_lock(tmp_path):
    assert list_held() == ()
    with folder_lock(tmp_path / "f"):
        (descriptor,) = list_held()
        inherited = os.dup(descriptor)
    assert list_held() == ()
    with pytest.raises(NativeBuildError), folder_lock(tmp_path / "f", timeout=0):
        pytest.fail("the lock was free while an heir held it")
    os.close(inherited)
    with folder_lock(tmp_path / "f", timeout=0):
        pass


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with (
        pytest.raises(SourceError, match="cannot be locked: No locks") as caught,
        folder_lock(tmp_path / "f", error=SourceError),
    ):
        pytest.fail("nothing was locked")
    assert "BUILDER_CACHE" in caught.value.hint
