from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import ConfigurationError
from builder.system import folders as places
from builder.system.folders import (
    cache_folder,
    data_folder,
    locate_licence,
    package_folder,
)


def test_data_of_a_checkout():
    assert (data_folder("cmake") / "runtime/torchlite.h").is_file()
    assert (data_folder("third_party") / "2.6.0/sources.lock.toml").is_file()
    assert (package_folder("native") / "profiles.toml").is_file()


def test_installed_data_come_first(tmp_path, monkeypatch):
    for folder in ("builder/data/cmake", "cmake", "third_party"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(places, "_PACKAGE", tmp_path / "builder")
    assert data_folder("cmake") == tmp_path / "builder/data/cmake"
    assert data_folder("third_party") == tmp_path / "third_party"


def test_the_licence_lies_where_the_data_do(tmp_path, monkeypatch):
    assert "the builder authors" in locate_licence().read_text()
    monkeypatch.setattr(places, "_PACKAGE", tmp_path / "builder")
    with pytest.raises(ConfigurationError, match="'LICENSE' is missing"):
        locate_licence()
    for folder in (tmp_path, tmp_path / "builder/data"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "LICENSE").touch()
        assert locate_licence() == folder / "LICENSE"


def test_missing_data_are_named():
    with pytest.raises(ConfigurationError, match="'nothing' is missing") as caught:
        data_folder("nothing")
    assert caught.value.hint


def test_the_cache_is_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "my cache"))
    assert cache_folder() == tmp_path / "my cache"
    monkeypatch.setenv("BUILDER_CACHE", "relative")
    assert cache_folder() == Path.cwd() / "relative"


@pytest.mark.parametrize("value", [None, ""])
def test_the_cache_is_the_users_otherwise(tmp_path, monkeypatch, value):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if value is None:
        monkeypatch.delenv("BUILDER_CACHE", raising=False)
    else:
        monkeypatch.setenv("BUILDER_CACHE", value)
    assert cache_folder() == tmp_path / "builder"
