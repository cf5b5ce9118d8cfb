import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import SourceError
from builder.system import archives
from builder.system.archives import extract_archive, strip_components
from tests.fuzz.mutators.zips import Entry, pack


def entry(name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def link(name, target, kind=tarfile.SYMTYPE):
    return entry(name, type=kind, linkname=target)


def make(path, *entries, mode="w"):
    with tarfile.open(path, mode) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_unpacks_every_compression_and_strips(tmp_path, mode):
    archive = make(
        tmp_path / "a.tar",
        entry("top", type=tarfile.DIRTYPE),
        entry("top/run.sh", b"x", mode=0o755),
        entry("./top/sub/f", b"yy", mode=0o4644),
        mode=mode,
    )
    assert extract_archive(archive, tmp_path / "out", strip=1) == 3
    assert (tmp_path / "out/sub/f").read_bytes() == b"yy"
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out/sub/f").stat().st_mode & 0o7777 == 0o644


def test_of_an_archive_one_folder_can_be_taken(tmp_path):
    names = ("top/a/b/f", "top/a/bb/g", "top/a/h", "top/a/b/c/i")
    archive = make(tmp_path / "a.tar", *(entry(name, b"x") for name in names))
    assert extract_archive(archive, tmp_path / "out", strip=1, inside="a/b") == 2
    files = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("?")}
    assert files == {Path("f"), Path("c"), Path("c/i")}


def test_leaves_out_what_is_not_wanted(tmp_path):
    archive = make(tmp_path / "a.tar", entry("docs/x", b"1"), entry("src/y", b"2"))
    extract_archive(archive, tmp_path / "out", wanted=lambda path: not path.startswith("docs"))
    assert not (tmp_path / "out/docs").exists()
    assert (tmp_path / "out/src/y").exists()


def test_keeps_links_inside_and_drops_those_to_what_was_left_out(tmp_path):
    archive = make(
        tmp_path / "a.tar",
        link("d/up", "../f"),
        link("folder", "d"),
        link("gone", "docs/x"),
        entry("f", b"1"),
        entry("docs/x", b"1"),
    )
    extract_archive(archive, tmp_path / "out", wanted=lambda path: path != "docs/x")
    assert (tmp_path / "out/d/up").read_bytes() == b"1"
    assert (tmp_path / "out/folder").is_symlink()
    assert not (tmp_path / "out/gone").is_symlink()


HOSTILE = {
    "absolute": [entry("/etc/evil", b"x")],
    "climbing": [entry("a/../../evil", b"x")],
    "control character": [entry("a\nb", b"x")],
    "backslash": [entry("a\\b", b"x")],
    "endless name": [entry("a/" * 600 + "x", b"x")],
    "device": [entry("dev", type=tarfile.CHRTYPE)],
    "pipe": [entry("pipe", type=tarfile.FIFOTYPE)],
    "hard link": [entry("a", b"x"), link("b", "a", tarfile.LNKTYPE)],
    "absolute link": [link("a", "/etc")],
    "climbing link": [link("a", "../evil")],
    "climbing link below": [link("d/a", "../../evil")],
    "link out and in again": [link("a", "../out/f"), entry("f", b"x")],
    "through a link": [link("a", "b"), entry("b/c", b"1"), entry("a/f", b"x")],
    "link through a link": [link("x", "d"), entry("d/f", b"1"), link("x/y", "f")],
    "links that add up": [entry("d/f", b"1"), link("d/x", ".."), link("y", "d/x/../f")],
    "link to itself": [link("a", "a")],
    "link to a long name": [link("a", "n" * 256)],
    "link to a long path": [link("a", "n/" * 600)],
    "file twice": [entry("a", b"1"), entry("a", b"2")],
    "file over link": [link("a", "b"), entry("a", b"2")],
    "link over file": [entry("a", b"2"), link("a", "b")],
    "too large": [entry("a", b"x" * 2000)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses_what_is_not_safe(tmp_path, name):
    archive = make(tmp_path / "a.tar", *HOSTILE[name])
    outside = tmp_path / "evil"
    with pytest.raises(SourceError):
        extract_archive(archive, tmp_path / "out", max_bytes=1000)
    assert not outside.exists()
    # Whoever lists the folder follows its links.
    assert all(path.exists() or path.is_symlink() for path in (tmp_path / "out").rglob("*"))


def test_hostile_entries_are_refused_even_where_they_are_not_wanted(tmp_path):
    archive = make(tmp_path / "a.tar", entry("../evil", b"x"))
    with pytest.raises(SourceError):
        extract_archive(archive, tmp_path / "out", wanted=lambda _: False)


def test_never_overwrites(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_bytes(b"mine")
    with pytest.raises(SourceError, match="overwrite"):
        extract_archive(make(tmp_path / "a.tar", entry("a", b"x")), tmp_path / "out")
    assert (tmp_path / "out/a").read_bytes() == b"mine"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_truncated_archive_is_an_error(tmp_path, mode):
    noise = bytes(range(256)) * 400
    archive = make(tmp_path / "a.tar", entry("a", noise), entry("b", noise), mode=mode)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"a\.tar"):
        extract_archive(archive, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b rubbish", b"BZh9 rubbish"])
def test_no_archive_is_an_error(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read"):
        extract_archive(tmp_path / "a.tar", tmp_path / "out")


@given(st.lists(st.sampled_from(["a", "b.c", ".", "", ".."]), min_size=1), st.integers(0, 3))
def test_a_stripped_name_never_leaves(parts, strip):
    name = "/".join(parts)
    try:
        result = strip_components(name, strip)
    except ValueError:
        assert ".." in parts or name.startswith("/")
        return
    assert result is None or not {"", ".", ".."}.intersection(result.split("/"))


def make_wheel(path, *entries):
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in entries:
            wheel.writestr(name, content)
    return path


def test_a_wheel_is_unpacked_as_an_archive_is(tmp_path):
    wheel = make_wheel(tmp_path / "a.whl", ("top/lib/a.h", b"12"), ("top/x", b"3"), ("top/d/", b""))
    written = extract_archive(
        wheel, tmp_path / "out", strip=1, wanted=lambda path: path.startswith("lib")
    )
    assert written == 2
    assert (tmp_path / "out/lib/a.h").read_bytes() == b"12"
    assert not (tmp_path / "out/x").exists()


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up"])
def test_a_wheel_writes_nothing_outside(tmp_path, name):
    wheel = make_wheel(tmp_path / "a.whl", (name, b"1"))
    with pytest.raises(SourceError, match="not safe to unpack"):
        extract_archive(wheel, tmp_path / "out")


def test_a_wheel_is_held_to_its_size_and_to_one_entry_for_each_name(tmp_path):
    wheel = make_wheel(tmp_path / "a.whl", ("a", b"12345"))
    with pytest.raises(SourceError, match="larger than 4 bytes"):
        extract_archive(wheel, tmp_path / "out", max_bytes=4)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = make_wheel(tmp_path / "b.whl", ("a", b"1"), ("a", b"2"))
    with pytest.raises(SourceError, match="is in the archive twice"):
        extract_archive(twice, tmp_path / "other")


def test_a_damaged_wheel_is_named(tmp_path):
    (tmp_path / "a.whl").write_bytes(b"PK no zip")
    with pytest.raises(SourceError, match=r"a.whl, which lists its entries, is damaged"):
        extract_archive(tmp_path / "a.whl", tmp_path / "out")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ((entry("a", b"1"), entry("a/b", b"2")), "a file and a folder"),
        ((entry("a/b", b"1"), entry("a", b"2")), "a file and a folder"),
        ((entry("n" * 300, b"1"),), "a name that this file system does not support"),
        ((link("a", "x"), entry("a/b", b"1")), "goes through a link"),
        ((link("a", "b/" + "n" * 300),), "a link to a name that no source file has"),
    ],
)
def test_names_that_a_file_system_refuses(tmp_path, entries, words):
    make(tmp_path / "a.tar", *entries)
    with pytest.raises(SourceError, match=words):
        extract_archive(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.bz2", "a.tar.xz"])
@pytest.mark.parametrize("is_wanted", [True, False])
def test_an_archive_far_larger_than_its_file_is_not_unpacked(
    tmp_path, monkeypatch, name, is_wanted
):
    monkeypatch.setattr(archives, "_UNPACKED_FREE", 1 << 20)
    make(tmp_path / name, entry("zeros", bytes(2 << 20)), mode=f"w:{name[6:]}")
    with pytest.raises(SourceError, match="far larger than the archive"):
        extract_archive(tmp_path / name, tmp_path / "out", wanted=lambda _: is_wanted)


def test_a_wheel_far_larger_than_its_file_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_UNPACKED_FREE", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("zeros", bytes(2 << 20))
    with pytest.raises(SourceError, match="unpacks to more than"):
        extract_archive(tmp_path / "a.whl", tmp_path / "out")


@pytest.mark.parametrize("size", [5000, 1 << 32])
def test_extended_headers_that_take_quadratic_time_are_refused(tmp_path, size):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, size
    (tmp_path / "a.tar").write_bytes(header.tobuf() + b"1" * 5000 + bytes(10_000))
    with pytest.raises(SourceError, match="extended header"):
        extract_archive(tmp_path / "a.tar", tmp_path / "out")


def test_many_extended_headers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_UNPACKED_FREE", 1 << 20)
    monkeypatch.setattr(archives, "_UNPACKED_RATIO", 0)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 4096
    (tmp_path / "a.tar").write_bytes((header.tobuf() + b"7 a=bcd".ljust(4096, b"\0")) * 20)
    with pytest.raises(SourceError, match="extended header"):
        extract_archive(tmp_path / "a.tar", tmp_path / "out")


def test_a_wheel_of_a_version_that_nobody_reads_is_an_error(tmp_path):
    path = tmp_path / "a.whl"
    path.write_bytes(pack([Entry(b"a", b"1", lies={"version": 99})]))
    with pytest.raises(SourceError, match=r"zip file version 9\.9"):
        extract_archive(path, tmp_path / "out")


@pytest.mark.parametrize("size", [1 << 32, 8**11 - 1, 1 << 62])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_an_entry_longer_than_the_archive_ends(tmp_path, name, size):
    info = tarfile.TarInfo("skipped")
    info.size = size
    pack_one = gzip.compress if name.endswith("gz") else bytes
    (tmp_path / name).write_bytes(pack_one(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)))
    with pytest.raises(SourceError, match=r"longer than the archive|unexpected end"):
        extract_archive(tmp_path / name, tmp_path / "out", wanted=lambda _: False)


def test_the_size_of_an_extended_header_cannot_make_it_endless(tmp_path):
    info = tarfile.TarInfo("skipped")
    info.pax_headers = {"size": str(1 << 62)}
    data = info.tobuf(tarfile.PAX_FORMAT) + bytes(10_240)
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(SourceError, match=r"longer than the archive|unexpected end"):
        extract_archive(tmp_path / "a.tar", tmp_path / "out", wanted=lambda _: False)
