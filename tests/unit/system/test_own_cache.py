"""A folder is marked as builder's cache only if nobody else has anything there."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from builder.errors import ConfigurationError
from builder.system import own_cache
from builder.system.own_cache import (
    TAG,
    claim_cache,
    is_marked,
    list_foreign,
    list_parts,
    refuse_unusable,
)


def test_a_cache_that_cannot_be_read_or_made_is_refused(tmp_path, monkeypatch):
    refuse_unusable(tmp_path)
    refuse_unusable(tmp_path / "new")
    with pytest.raises(ConfigurationError, match="cannot be used: it cannot be read"):
        refuse_unusable(tmp_path / ("y" * 300))

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(own_cache.os, "scandir", refuse)
    with pytest.raises(ConfigurationError, match=r"it cannot be read \(Permission denied\)"):
        refuse_unusable(tmp_path)


def test_an_absent_or_empty_folder_and_one_of_builders_shape_are_marked(tmp_path):
    (tmp_path / "old/native").mkdir(parents=True)
    (tmp_path / "old/downloads.lock").touch()
    (tmp_path / "old/.builder-tmp-abcdefgh").touch()
    (tmp_path / "empty").mkdir()
    for name in ("absent/folder", "empty", "old"):
        assert claim_cache(tmp_path / name) == ""
        assert is_marked(tmp_path / name)
        assert list_foreign(tmp_path / name) == ()
    # 43 bytes, as the specification says.
    assert (tmp_path / "old" / TAG).read_bytes()[:44] == (
        b"Signature: 8a477f597d28d172789f06886806bc55\n"
    )
    time = (tmp_path / "old" / TAG).stat().st_ctime_ns
    claim_cache(tmp_path / "old")
    assert (tmp_path / "old" / TAG).stat().st_ctime_ns == time


@pytest.mark.parametrize(
    "name", ["letter.txt", "native/", "downloads.lock/", ".builder-tmp-mine", "native.lock", TAG]
)
def test_a_folder_with_anything_else_is_not(tmp_path, name):
    if name == "native/":
        (tmp_path / "native").symlink_to(tmp_path)
    elif name.endswith("/"):
        (tmp_path / name).mkdir()
    else:
        # Programs tag their own caches with the same file.
        (tmp_path / name).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# of another\n")
    before = [*tmp_path.iterdir()]
    said = claim_cache(tmp_path)
    assert said.startswith(f"{tmp_path} gets no mark, so builder cache will remove nothing from it")
    assert before[0].name in said
    assert not is_marked(tmp_path)
    assert [*tmp_path.iterdir()] == before == [*list_foreign(tmp_path)]


def test_a_mark_that_is_a_link_or_a_pipe_marks_nothing(tmp_path):
    claim_cache(tmp_path / "one")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / TAG).symlink_to(tmp_path / "one" / TAG)
    assert not is_marked(tmp_path / "other")
    (tmp_path / "other" / TAG).unlink()
    os.mkfifo(tmp_path / "other" / TAG)
    assert not is_marked(tmp_path / "other")


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    assert "Not a directory" in claim_cache(tmp_path / "file")
    assert "Not a directory" in claim_cache(tmp_path / "file/cache")
    assert (tmp_path / "file").read_bytes() == b""


def test_links_are_no_parts(tmp_path):
    (tmp_path / "native").mkdir()
    (tmp_path / "sources").symlink_to(tmp_path / "native")
    (tmp_path / "git").touch()
    assert list_parts(tmp_path) == (tmp_path / "native",)
    assert stat.S_ISDIR((tmp_path / "native").lstat().st_mode)
