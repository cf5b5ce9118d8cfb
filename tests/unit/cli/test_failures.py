"""What is said of errors of the system: links, and the folder of the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder import api
from builder.api.models import OperatorsRequest
from builder.cli.failures import describe_failure
from builder.errors import BuilderError, ExitCode

HINT = "choose another folder for it: BUILDER_CACHE=<folder>"


def fail(path):
    try:
        Path(path).mkdir()
    except OSError as error:
        return describe_failure(error)
    raise AssertionError


def test_a_cache_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("gone")
    for cache, failing, said in (
        ("none/cache", "none/cache", f"No such file or directory: {tmp_path / 'none/cache'}"),
        ("file/cache", "file/cache/native", f"Not a directory: {tmp_path / 'file/cache/native'}"),
        ("file", "file", f"File exists: {tmp_path / 'file'}"),
        ("file/cache", "file", f"File exists: {tmp_path / 'file'}"),
        ("link", "link", f"{tmp_path / 'link'} is a link to gone, which does not exist"),
    ):
        monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / cache))
        failure = fail(tmp_path / failing)
        assert failure.exit_code == ExitCode.CONFIGURATION
        assert failure.message == f"the cache {tmp_path / cache} cannot be used: {said}"
        assert failure.hint == HINT


def test_other_files_have_nothing_to_do_with_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    failure = fail(tmp_path / "none/x")
    assert failure.message == f"No such file or directory: {tmp_path / 'none/x'}"
    assert failure.hint is None
    # A cache that can be used is not to blame either.
    (tmp_path / "cache").mkdir()
    assert fail(tmp_path / "cache/none/x").hint is None


def test_a_loop_of_links_is_told(tmp_path):
    link = tmp_path / "self"
    link.symlink_to("self")
    try:
        link.resolve(strict=True)
    except (RuntimeError, OSError) as error:  # the latter since Python 3.13
        failure = describe_failure(error)
    assert failure.exit_code == ExitCode.CONFIGURATION
    assert str(link) in failure.message


def test_a_name_that_is_too_long_is_told(tmp_path, monkeypatch):
    path = tmp_path / ("y" * 300)
    for failing in (path, path / "x"):
        monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
        failure = fail(failing)
        assert failure.exit_code == ExitCode.CONFIGURATION
        assert failure.message == f"File name too long: {failing}"
        monkeypatch.setenv("BUILDER_CACHE", str(path))
        assert fail(failing).hint == HINT


@pytest.mark.parametrize("name", ["d.ptl", "d.txt", "d.yaml", "d.lock", "d.so", "out"])
def test_a_link_that_leads_nowhere_is_called_so(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    link = Path(name)
    link.symlink_to(f"gone/{name}")
    read = {
        "d.ptl": lambda: api.list_operators(OperatorsRequest(models=(link,))),
        "d.txt": lambda: api.list_operators(OperatorsRequest(models=(link,))),
        "d.yaml": lambda: api.read_configuration(link),
        "d.lock": lambda: api.read_lock(link),
        "d.so": lambda: api.check_package(link),
        "out": lambda: api.size(link),
    }
    with pytest.raises((BuilderError, OSError)) as caught:
        read[name]()
    said = f"{os.fspath(link)} is a link to gone/{name}, which does not exist"
    assert describe_failure(caught.value).message.replace(": it is", f"{name} is").endswith(said)
