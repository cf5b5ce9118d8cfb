from __future__ import annotations

import pytest

from builder.system.python_packages import file_contains, find_package


def test_packages_are_found_without_being_imported(tmp_path, monkeypatch):
    package = tmp_path / "sample_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = find_package("sample_package")
    assert (found.name, found.version, found.folder) == ("sample_package", "unknown", package)
    (package / "version.py").write_text("x = 1\n__version__ = '1.2+local'\n")
    assert find_package("sample_package").version == "1.2+local"


def test_versions_come_from_metadata_first():
    assert find_package("pytest").version == pytest.__version__


def test_a_missing_package_and_a_module_are_no_packages(tmp_path, monkeypatch):
    (tmp_path / "sample_module.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert find_package("sample_module") is None
    assert find_package("sample_package_that_is_not_there") is None


def test_bytes_in_a_file(tmp_path):
    path = tmp_path / "library.so"
    assert not file_contains(path, b"x")
    path.write_bytes(b"")
    assert not file_contains(path, b"x")
    path.write_bytes(b"\0abc\0")
    assert file_contains(path, b"abc")
    assert not file_contains(path, b"abd")


@pytest.mark.parametrize("before", range((1 << 20) - 4, (1 << 20) + 2))
def test_bytes_across_parts_of_a_file(tmp_path, before):
    path = tmp_path / "library.so"
    path.write_bytes(bytes(before) + b"abc" + bytes(1 << 20))
    assert file_contains(path, b"abc")
    assert not file_contains(path, b"abd")
