from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from samples import make_manifest

from builder.core.runtime_manifest import ManifestFile, parse_manifest
from builder.errors import ConfigurationError, PackagingError
from builder.packaging import result_folder as outputs
from builder.packaging.result_folder import (
    LISTING,
    MANIFEST,
    is_whole,
    refuse_foreign_folder,
    result_folder,
)
from builder.system.files import digest_file


def contents(folder) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(params=[MANIFEST, LISTING])
def made(request, tmp_path):
    """A folder that builder wrote, and what its manifest is called."""
    folder = tmp_path / "out"
    with result_folder(folder, request.param) as new:
        (new / "lib").mkdir()
        (new / "lib/libtorchlite.so").write_text("library")
        (new / "header.h").write_text("header")
        if request.param == MANIFEST:
            write_manifest(new)
    return folder, request.param


def write_manifest(folder):
    files = {
        path.relative_to(folder).as_posix(): ManifestFile(
            size=path.stat().st_size, sha256=digest_file(path)
        )
        for path in folder.rglob("*")
        if path.is_file()
    }
    (folder / MANIFEST).write_text(make_manifest(files=files).to_text())


def replace_it(folder, manifest):
    with result_folder(folder, manifest) as new:
        (new / "new").write_text("new")


def test_what_builder_wrote_is_replaced(made):
    refuse_foreign_folder(*made)
    replace_it(*made)
    assert contents(made[0])["new"] == "new"
    assert "header.h" not in contents(made[0])


def test_files_that_are_gone_are_no_loss(made):
    (made[0] / "header.h").unlink()
    refuse_foreign_folder(*made)


@pytest.mark.parametrize("there", ["nothing", "empty"])
def test_where_nothing_is_nothing_is_lost(tmp_path, there):
    folder = tmp_path / "out"
    if there == "empty":
        folder.mkdir()
    refuse_foreign_folder(folder, MANIFEST)
    replace_it(folder, LISTING)


def test_folders_that_have_lost_their_files_are_no_loss(made):
    (made[0] / "lib/libtorchlite.so").unlink()
    refuse_foreign_folder(*made)
    replace_it(*made)


def test_empty_folders_are_no_ones_but_the_users(tmp_path):
    folder = tmp_path / "out"
    (folder / "a/b/c").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="an empty folder that is not builder's: a/b/c"):
        replace_it(folder, LISTING)
    assert (folder / "a/b/c").is_dir()


def add(folder):
    (folder / "lib/mine.txt").write_text("mine")


def add_lines(folder):
    (folder / "a\nerror: b").write_text("mine")


def edit(folder):
    (folder / "header.h").write_text("edited")


def edit_alike(folder):
    (folder / "header.h").write_text("HEADER")


def link_file(folder):
    (folder / "header.h").unlink()
    (folder / "header.h").symlink_to("lib/libtorchlite.so")


def link_folder(folder):
    (folder / "more").symlink_to(folder.parent)


def add_folder(folder):
    (folder / "lib/notes").mkdir()


def lose_manifest(folder):
    for name in (MANIFEST, LISTING):
        (folder / name).unlink(missing_ok=True)


def link_manifest(folder):
    for name in (MANIFEST, LISTING):
        if (folder / name).exists():
            (folder / name).symlink_to((folder / name).rename(folder.parent.parent / "aside"))


def break_manifest(folder):
    for name in (MANIFEST, LISTING):
        if (folder / name).exists():
            (folder / name).write_text("{")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (add, "not written by builder: lib/mine.txt"),
        (add_lines, r"not written by builder: 'a\\nerror: b'"),
        (edit, "changed since then: header.h"),
        (edit_alike, "changed since then: header.h"),
        (link_file, "changed since then: header.h"),
        (link_folder, "not written by builder: more"),
        (add_folder, "an empty folder that is not builder's: lib/notes"),
        (lose_manifest, "not written by builder: header.h"),
        (link_manifest, rf"not written by builder: ({MANIFEST}|{LISTING})"),
        (break_manifest, "not written by builder: lib/libtorchlite.so"),
    ],
)
def test_anything_else_is_refused_and_kept(made, change, named):
    folder, manifest = made
    change(folder)
    before = contents(folder)
    with pytest.raises(ConfigurationError, match=named) as caught:
        refuse_foreign_folder(folder, manifest)
    assert str(folder) in caught.value.message
    assert "output" in caught.value.hint
    assert caught.value.exit_code == 2
    with pytest.raises(ConfigurationError, match=named):
        replace_it(folder, manifest)
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("text", ["{}", '{"files": {}}', '{"files": {"../x": {}}}', "[]", ""])
def test_a_manifest_of_somebody_else_makes_nothing_builders(tmp_path, text):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ConfigurationError, match=r"not written by builder: manifest\.json"):
        refuse_foreign_folder(folder, MANIFEST)


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_what_is_no_folder_is_not_replaced(tmp_path, kind):
    path = tmp_path / "out"
    if kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(tmp_path if kind == "link" else "gone")
    with pytest.raises(ConfigurationError, match="is not a folder that builder wrote"):
        refuse_foreign_folder(path)


def test_a_file_that_is_put_there_meanwhile_is_kept(made):
    folder, manifest = made

    def build():
        with result_folder(folder, manifest):
            (folder / "meanwhile").write_text("mine")

    with pytest.raises(ConfigurationError, match="meanwhile"):
        build()
    assert (folder / "meanwhile").read_text() == "mine"


def test_many_are_counted(made):
    for number in range(9):
        (made[0] / f"{number}.txt").touch()
    with pytest.raises(ConfigurationError, match="and 4 more"):
        refuse_foreign_folder(*made)


def test_a_full_disk_is_named_by_where_results_go(tmp_path):
    def fill():
        with result_folder(tmp_path / "disk/out"):
            raise OSError(errno.ENOSPC, "No space left on device", "/cache/libtorchlite.so")

    with pytest.raises(PackagingError, match="no space is left") as caught:
        fill()
    assert str(tmp_path / "disk") in caught.value.message
    assert "/cache" not in caught.value.message
    assert caught.value.exit_code == 7
    assert list((tmp_path / "disk").iterdir()) == []


def test_the_listing_is_json_with_a_version(made):
    folder, manifest = made
    if manifest == LISTING:
        value = json.loads((folder / LISTING).read_text())
        assert value["schema"] == outputs.SCHEMA
        assert sorted(value["files"]) == ["header.h", "lib/libtorchlite.so"]
        assert not Path(LISTING).is_absolute()


@pytest.fixture
def linked(tmp_path):
    """A runtime with a link to its library."""
    folder = tmp_path / "out"
    with result_folder(folder, MANIFEST) as new:
        (new / "lib").mkdir()
        (new / "lib/libx.so.1").write_text("library")
        (new / "lib/libx.so").symlink_to("libx.so.1")
        files = {"lib/libx.so.1": ManifestFile(size=7, sha256=digest_file(new / "lib/libx.so.1"))}
        manifest = make_manifest(files=files, links={"lib/libx.so": "libx.so.1"})
        (new / MANIFEST).write_text(manifest.to_text())
    return folder


def test_a_link_that_builder_made_is_its_own(linked):
    sha256 = digest_file(linked / MANIFEST)
    assert is_whole(linked, MANIFEST, sha256)
    replace_it(linked, MANIFEST)


def test_a_copy_that_followed_the_link_is_whole_too(linked, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(linked, copied)
    assert not (copied / "lib/libx.so").is_symlink()
    assert is_whole(copied, MANIFEST, digest_file(copied / MANIFEST))
    (copied / "lib/libx.so").write_text("LIBRARY")
    with pytest.raises(ConfigurationError, match=r"changed since then: lib/libx\.so"):
        refuse_foreign_folder(copied, MANIFEST)


@pytest.mark.parametrize("place", ["../../mine", "/etc/passwd", "libx.so", "missing"])
def test_a_link_that_leads_elsewhere_is_not_builders(linked, place):
    (linked / "lib/libx.so").unlink()
    (linked / "lib/libx.so").symlink_to(place)
    assert not is_whole(linked, MANIFEST, digest_file(linked / MANIFEST))
    with pytest.raises(ConfigurationError, match=r"changed since then: lib/libx\.so"):
        refuse_foreign_folder(linked, MANIFEST)


def test_a_runtime_without_its_link_is_not_whole(linked):
    (linked / "lib/libx.so").unlink()
    assert not is_whole(linked, MANIFEST, digest_file(linked / MANIFEST))


def test_a_link_of_a_manifest_cannot_leave_the_folder():
    text = make_manifest(links={"lib/libx.so": "../../secret"}).to_text()
    with pytest.raises(ValueError, match="links"):
        parse_manifest(text)
