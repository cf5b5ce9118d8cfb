from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from builder.core.model import BytecodeVersions
from builder.errors import ConfigurationError
from builder.sources import facts
from builder.sources.facts import list_releases, load_bytecode_versions, locate_release
from builder.sources.releases import load_release, read_facts, read_release
from builder.system.folders import data_folder

NEWEST = load_release()


@pytest.fixture
def root(tmp_path):
    """A folder with copies of the newest release, under several versions."""
    for version in ("2.10.0", "2.9.1", "2.9.1+mine"):
        folder = tmp_path / version
        shutil.copytree(NEWEST.folder, folder, ignore=shutil.ignore_patterns("symbols*"))
        lock = folder / "sources.lock.toml"
        lock.write_text(lock.read_text().replace(f'"{NEWEST.version}"', f'"{version}"', 1))
    (tmp_path / "2.11.0").mkdir()  # without facts.toml, so it is not a release
    shutil.copytree(NEWEST.folder, tmp_path / "draft")
    return tmp_path


def test_releases_are_ordered_by_number_and_variants_follow_their_release(root):
    assert list_releases(root) == ("2.9.1", "2.9.1+mine", "2.10.0")
    assert load_release(root=root).version == "2.10.0"
    assert load_release("2.9.1", root=root).folder == root / "2.9.1"


@pytest.mark.parametrize("version", ["2.9", "2.11.0", "draft", "..", "2.9.1/patches"])
def test_a_release_that_does_not_exist_is_refused_with_those_that_do(root, version):
    with pytest.raises(ConfigurationError, match=r"2\.9\.1, 2\.9\.1\+mine, 2\.10\.0") as caught:
        load_release(version, root=root)
    assert caught.value.hint.endswith("--pytorch 2.10.0")


def test_an_installation_without_releases_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="no folder with a release") as caught:
        locate_release(root=tmp_path)
    assert caught.value.hint == "reinstall builder"


def test_the_folder_has_the_name_of_the_version_in_the_lock(root):
    (root / "2.9.1").rename(root / "2.9.2")
    with pytest.raises(ConfigurationError, match=r"is for PyTorch 2\.9\.1, and its folder is 2"):
        read_release(root / "2.9.2")


def test_what_ships_with_builder_is_read_whole():
    assert data_folder("third_party") / NEWEST.version == NEWEST.folder
    assert NEWEST.lock.version == NEWEST.version == "2.6.0"
    assert load_bytecode_versions() == load_bytecode_versions("2.6.0") == NEWEST.facts.bytecode
    assert NEWEST.facts.bytecode == BytecodeVersions(min=4, max=9)
    assert set(NEWEST.indexes) == {"", "android", "ios"}
    assert all(path.is_file() for path in (*NEWEST.indexes.values(), NEWEST.rules))
    assert NEWEST.operators.is_file()


def test_a_second_reading_is_the_same_value(root):
    one = load_release("2.9.1", root=root)
    assert one == load_release("2.9.1", root=root)
    assert one.source_digest == NEWEST.source_digest
    assert replace(one, lock=replace(one.lock, patches=())).source_digest != one.source_digest


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "[bytecode]",
            "[bytecodes]",
            "facts.toml: unknown key 'bytecodes'; did you mean 'bytecode'",
        ),
        ("min = 4", "least = 4", "facts.toml: bytecode: unknown key 'least'"),
        ("min = 4\n", "", "facts.toml: bytecode: .*missing required field `min`"),
        ("min = 4", 'min = "4"', "facts.toml: bytecode.min: Expected `int`, got `str`"),
        ("CPU = 166", 'CPU = "166"', "facts.toml: scanned.without_kernel.*: Expected `int`"),
        ("CPU = 166", "CPU = true", "facts.toml: scanned.without_kernel.*: Expected `int`"),
        ('USE_MPI = "OFF"', "USE_MPI = false", "facts.toml: cmake_options.*: Expected `str`"),
        ("[scanned]", "scanned", "facts.toml: Expected '='"),
        ("[bytecode]\nmin = 4\nmax = 9", "bytecode = 4", "facts.toml: bytecode: Expected `object`"),
    ],
)
def test_facts_that_cannot_be_meant_are_refused_with_the_file(root, before, after, message):
    path = root / "2.9.1/facts.toml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_facts(root / "2.9.1")
    assert str(path) in caught.value.message


def test_a_backend_that_cannot_be_meant_is_refused_with_the_folder(root):
    (root / "2.9.1/backends/turbo.toml").write_text('label = "X"')
    with pytest.raises(
        ConfigurationError, match=r"2\.9\.1/backends: turbo\.toml: .* field `chosen`"
    ):
        load_release("2.9.1", root=root)


@pytest.mark.parametrize("text", ["", "bytecode = 4", "[bytecode]\nmin = 4", "bytecode"])
def test_facts_without_the_bytecode_versions_are_refused(root, monkeypatch, text):
    (root / "2.9.1/facts.toml").write_text(text)
    monkeypatch.setattr(facts, "data_folder", lambda _: root)
    with pytest.raises(ConfigurationError, match=r"2\.9\.1/facts\.toml cannot be read"):
        load_bytecode_versions("2.9.1")
