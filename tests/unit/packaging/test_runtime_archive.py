"""Archives of runtimes: equal bytes for equal files, with modes and the links between libraries."""

from __future__ import annotations

import os
import tarfile

from builder.packaging.runtime_archive import write_tar


def make(folder):
    (folder / "lib").mkdir(parents=True)
    (folder / "lib/libtorchlite.so.1").write_bytes(b"library")
    (folder / "lib/libtorchlite.so").symlink_to("libtorchlite.so.1")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    return folder


def test_files_modes_and_links_are_kept(tmp_path):
    write_tar(make(tmp_path / "a"), tmp_path / "a.tar.gz", "linux-x86_64")
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        archive.extractall(tmp_path / "out")
    root = tmp_path / "out/linux-x86_64"
    assert (root / "lib/libtorchlite.so").read_bytes() == b"library"
    assert str((root / "lib/libtorchlite.so").readlink()) == "libtorchlite.so.1"
    assert os.access(root / "run", os.X_OK)
    assert not os.access(root / "lib/libtorchlite.so.1", os.X_OK)


def test_equal_folders_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_tar(make(tmp_path / name), tmp_path / f"{name}.tar.gz", "x")
        os.utime(tmp_path / "a/run", (1, 1))
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
