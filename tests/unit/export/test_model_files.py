"""Which sources are files is known before torch is imported."""

from __future__ import annotations

import os

import pytest

from builder.export.model_files import find_file


@pytest.mark.parametrize(
    "source", ["gone/net", "/dev/zero", "net/x", "gone.ptl", "pipe", "net", "."]
)
def test_sources_that_are_files(tmp_path, source):
    (tmp_path / "net").touch()
    os.mkfifo(tmp_path / "pipe")
    assert find_file(source, tmp_path) == (None if source == "." else tmp_path / source)


@pytest.mark.parametrize("source", ["mobilenet_v2", "package.module:factory", "a/b.py:factory"])
def test_sources_that_are_names(tmp_path, source):
    (tmp_path / "mobilenet_v2").mkdir()  # a folder of results may have the name of a model
    assert find_file(source, tmp_path) is None
