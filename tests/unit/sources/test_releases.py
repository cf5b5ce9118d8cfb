from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from builder.core.model_facts import BytecodeVersions
from builder.core.targets import parse_target
from builder.errors import ConfigurationError
from builder.sources import release_facts
from builder.sources.release_facts import list_releases, load_bytecode_versions, locate_release
from builder.sources.releases import (
    list_optional_backends,
    load_release,
    read_facts,
    read_release,
)
from builder.system.folders import data_folder

SHIPPED = load_release()
LOCK = "sources.lock.toml"


@pytest.fixture
def root(tmp_path):
    """A folder with copies of the default release, under several versions."""
    for version in ("2.10.0", "2.9.1", "2.9.1+mine"):
        folder = tmp_path / version
        shutil.copytree(SHIPPED.folder, folder, ignore=shutil.ignore_patterns("symbols*"))
        lock = folder / "sources.lock.toml"
        lock.write_text(lock.read_text().replace(f'"{SHIPPED.version}"', f'"{version}"', 1))
    shutil.copytree(SHIPPED.folder, tmp_path / "draft")
    declare(tmp_path, "2.9.1")
    return tmp_path


def declare(root, version):
    (root / "releases.toml").write_text(f'default = "{version}"\n')


def test_releases_are_ordered_by_number_and_variants_follow_their_release(root):
    assert list_releases(root) == ("2.9.1", "2.9.1+mine", "2.10.0")
    assert load_release("2.9.1", root=root).folder == root / "2.9.1"


def test_the_default_release_is_the_declared_one_whatever_else_is_there(root):
    assert load_release(root=root).version == "2.9.1"
    declare(root, "2.10.0")
    (root / "2.10.0+a").symlink_to("2.10.0")
    (root / "11.0").mkdir()
    assert load_release(root=root).version == "2.10.0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff", "cannot be read: .*codec"),
        (b"default", "releases.toml: Expected '='"),
        (b"", "must have the key `default`"),
        (b'default = ""', "must have the key `default`"),
        (b"default = 2.9", "must have the key `default`"),
        (b'default = "2.9.2"', "must have the key `default`"),
        (b'default = "draft"', "must have the key `default`"),
        (b'default = "2.9.1"\nother = 1', "must have the key `default`"),
    ],
)
def test_a_default_that_cannot_be_meant_is_refused_with_its_file(root, text, message):
    path = root / "releases.toml"
    path.unlink() if text is None else path.write_bytes(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_release(root=root)
    assert str(path) in caught.value.message
    assert load_release("2.10.0", root=root).version == "2.10.0"


def test_folders_and_links_to_folders_with_a_versions_name_are_releases(root):
    (root / "2.7.0").mkdir()
    (root / "2.8.0").write_text("a file")
    (root / "2.8.1").symlink_to("2.9.1")
    (root / "2.8.2").symlink_to("nowhere")
    (root / "2.8.3").symlink_to("2.8.3")
    for name in ("notes", "2", "2.", "v2.9.1", "2.9.1-rc1", "2.9.1+", "2.9.1+a b", "2.\u0669"):
        (root / name).mkdir()
    assert list_releases(root) == ("2.7.0", "2.8.1", "2.9.1", "2.9.1+mine", "2.10.0")


def test_a_link_to_a_release_is_read_as_a_folder(root, tmp_path):
    (root / "2.9.1").rename(tmp_path / "elsewhere")
    (root / "2.9.1").symlink_to(tmp_path / "elsewhere")
    assert load_release("2.9.1", root=root).source_digest == SHIPPED.source_digest


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_has_a_versions_name_and_is_no_folder_is_told(root, make):
    make(root / "2.8.0")
    with pytest.raises(ConfigurationError, match=r"PyTorch 2\.8\.0: .*/2\.8\.0 is not a folder"):
        load_release("2.8.0", root=root)


@pytest.mark.parametrize(
    "version", ["2.9", "2.11.0", "draft", "..", "2.9.1/patches", "", "2.9.1\n"]
)
def test_a_release_that_does_not_exist_is_refused_with_those_that_do(root, version):
    with pytest.raises(ConfigurationError, match=r"2\.9\.1, 2\.9\.1\+mine, 2\.10\.0") as caught:
        load_release(version, root=root)
    assert "pytorch" in caught.value.hint
    assert caught.value.exit_code == 2


def test_an_installation_without_releases_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match=r"releases\.toml cannot be read"):
        locate_release(root=tmp_path)


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def write(name, content):
    def damage(folder):
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(content)

    return damage


def replace_by_folder(name):
    def damage(folder):
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()

    return damage


DAMAGE = {
    "empty": (empty, "sources.lock.toml cannot be read: No such file"),
    "lock of another version": (
        write(LOCK, (SHIPPED.folder / LOCK).read_bytes()),
        "sources.lock.toml is for PyTorch 2.6.0, and its folder is 2.10.0",
    ),
    "lock that is no TOML": (write(LOCK, b"version"), "sources.lock.toml: Expected '='"),
    "lock that is no text": (write(LOCK, b"\xff"), "sources.lock.toml cannot be read: .*codec"),
    "lock that is a folder": (replace_by_folder(LOCK), "sources.lock.toml cannot be read: Is a"),
    "patch without a reason": (write("patches/0000-x.patch", b"--- a\n"), "0000-x.patch does not"),
    "patch that is no text": (
        write("patches/0000-x.patch", b"\xff"),
        "0000-x.patch cannot be read: .*codec",
    ),
    "patch that is a folder": (
        replace_by_folder("patches/0000-x.patch"),
        "0000-x.patch cannot be read: Is a",
    ),
    "no facts": (lambda folder: (folder / "facts.toml").unlink(), "facts.toml cannot be read: No"),
    "facts that are no text": (write("facts.toml", b"\xff"), "facts.toml cannot be read: .*codec"),
    "no backends": (lambda folder: shutil.rmtree(folder / "backends"), "backends is not a folder"),
    "backend that is no text": (
        write("backends/metal.toml", b"\xff"),
        "metal.toml cannot be read: .*codec",
    ),
    "backend that is a folder": (
        replace_by_folder("backends/metal.toml"),
        "metal.toml cannot be read: Is a",
    ),
    "backend with a name that is no option": (
        write("backends/my own.toml", b""),
        "backends: my own.toml: the name of a backend",
    ),
}
MANNERS = pytest.mark.parametrize("damage", DAMAGE)


@MANNERS
def test_what_is_wrong_with_a_release_is_told_with_file_and_reason(root, damage):
    change, message = DAMAGE[damage]
    change(root / "2.10.0")
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_release("2.10.0", root=root)
    assert str(root / "2.10.0") in caught.value.message


@MANNERS
def test_a_malformed_release_takes_nothing_from_the_others(root, damage):
    before = list_optional_backends(root)
    assert {one.name for one in before} == {"coreml", "metal"}
    DAMAGE[damage][0](root / "2.10.0")
    assert load_release(root=root) == load_release("2.9.1", root=root)
    assert list_optional_backends(root) == before


def test_options_are_of_all_releases_and_the_default_one_describes_them(root):
    for version, text in (("2.10.0", "Newest."), ("2.9.1", "Default."), ("2.9.1+mine", "Mine.")):
        path = root / version / "backends/metal.toml"
        path.write_text(re.sub('^help = ".*"', f'help = "{text}"', path.read_text(), flags=re.M))
    turbo = 'label = "T"\nchosen = "option"\nhelp = "Turbo."\n'
    (root / "2.10.0/backends/turbo.toml").write_text(turbo)
    (root / "2.9.1/backends/fast.toml").write_text(turbo.replace("Turbo", "Fast"))
    told = {one.name: one.help for one in list_optional_backends(root)}
    coreml = SHIPPED.backends["coreml"].help
    assert told == {"coreml": coreml, "fast": "Fast.", "metal": "Default.", "turbo": "Turbo."}
    (root / "2.9.1/backends/metal.toml").write_text("")
    assert {one.name: one.help for one in list_optional_backends(root)}["metal"] == "Newest."
    (root / "releases.toml").unlink()
    assert {one.name for one in list_optional_backends(root)} == set(told)


def test_the_folder_has_the_name_of_the_version_in_the_lock(root):
    (root / "2.9.1").rename(root / "2.9.2")
    with pytest.raises(ConfigurationError, match=r"is for PyTorch 2\.9\.1, and its folder is 2"):
        read_release(root / "2.9.2")


@pytest.mark.parametrize(
    ("abi", "name"),
    [
        ("linux-x86_64", "symbols.txt"),
        ("arm64-v8a", "symbols-android.txt"),
        ("ios-arm64", "symbols-ios.txt"),
        ("ios-simulator-arm64", "symbols-ios.txt"),
    ],
)
def test_a_symbol_index_that_a_target_needs_and_that_is_missing_is_told(root, abi, name):
    folder, target = root / "2.9.1", parse_target(abi)
    for index in {"symbols.txt", "symbols-android.txt", "symbols-ios.txt"} - {name}:
        (folder / index).touch()
    message = rf"PyTorch 2\.9\.1 cannot be built for {abi}: .*2\.9\.1/{name} does not exist"
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_release("2.9.1", root=root).list_indexes(target)
    assert (caught.value.exit_code, "CONTRIBUTING.md" in caught.value.hint) == (2, True)
    (folder / name).touch()
    found = [path.name for path in load_release("2.9.1", root=root).list_indexes(target)]
    assert found == sorted({"symbols.txt", name}, key=len)


def test_what_ships_with_builder_is_read_whole():
    assert data_folder("third_party") / SHIPPED.version == SHIPPED.folder
    assert SHIPPED.lock.version == SHIPPED.version == "2.6.0"
    assert load_bytecode_versions() == load_bytecode_versions("2.6.0") == SHIPPED.facts.bytecode
    assert SHIPPED.facts.bytecode == BytecodeVersions(min=4, max=9)
    assert set(SHIPPED.indexes) == {"", "android", "ios"}
    assert all(path.is_file() for path in (*SHIPPED.indexes.values(), SHIPPED.rules))
    assert SHIPPED.operators.is_file()


def test_a_second_reading_is_the_same_value(root):
    one = load_release("2.9.1", root=root)
    assert one == load_release("2.9.1", root=root)
    assert one.source_digest == SHIPPED.source_digest
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
    monkeypatch.setattr(release_facts, "data_folder", lambda _: root)
    with pytest.raises(ConfigurationError, match=r"2\.9\.1/facts\.toml cannot be read"):
        load_bytecode_versions("2.9.1")
