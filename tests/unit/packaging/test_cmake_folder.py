from __future__ import annotations

import pytest

from builder.errors import ConfigurationError
from builder.packaging.cmake_folder import refuse_cmake_folder, write_cmake_folder
from builder.packaging.result_folder import LISTING
from builder.system.folders import data_folder

PACKAGE = data_folder("cmake") / "package"


def test_it_is_written_once(tmp_path):
    write_cmake_folder(tmp_path, PACKAGE)
    listing = tmp_path / "cmake" / LISTING
    before = listing.stat().st_ino
    config = tmp_path / "cmake/TorchLiteConfig.cmake"
    assert config.read_bytes() == (PACKAGE / "several/TorchLiteConfig.cmake").read_bytes()
    write_cmake_folder(tmp_path, PACKAGE)
    assert listing.stat().st_ino == before, "nothing was written again"


def test_one_of_an_older_builder_is_replaced(tmp_path):
    old = tmp_path / "old"
    (old / "several").mkdir(parents=True)
    for name in ("several/TorchLiteConfig.cmake", "TorchLiteConfigVersion.cmake"):
        (old / name).write_text("old")
    write_cmake_folder(tmp_path, old)
    write_cmake_folder(tmp_path, PACKAGE)
    assert (tmp_path / "cmake/TorchLiteConfig.cmake").read_text() != "old"


def test_what_others_wrote_stays(tmp_path):
    mine = tmp_path / "cmake/mine.cmake"
    mine.parent.mkdir()
    mine.write_text("mine")
    for refuse in (refuse_cmake_folder, lambda output: write_cmake_folder(output, PACKAGE)):
        with pytest.raises(ConfigurationError, match=r"not written by builder: mine\.cmake"):
            refuse(tmp_path)
    assert mine.read_text() == "mine"
