from __future__ import annotations

import os
import random
import zipfile

import pytest

from builder.errors import ConfigurationError
from builder.system import zips
from builder.system.zips import open_zip
from tests.fuzz.mutators.zips import Entry, pack


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("b/deep.txt", b"x" * 1000)
        stream.writestr("folder/", b"")
        stream.writestr("a.txt", b"text")
    return path


def test_files_are_listed_sorted_and_read(archive):
    with open_zip(archive) as stream:
        assert stream.names == ("a.txt", "b/deep.txt")
        assert stream.read("b/deep.txt") == b"x" * 1000


@pytest.mark.parametrize(("limit", "fits"), [(999, False), (1000, True)])
def test_nothing_larger_than_asked_for_is_unpacked(archive, limit, fits):
    with open_zip(archive) as stream:
        if fits:
            assert len(stream.read("b/deep.txt", limit=limit)) == 1000
            return
        with pytest.raises(ConfigurationError, match="1,000 bytes, more than 999"):
            stream.read("b/deep.txt", limit=limit)


def test_all_that_is_read_has_a_limit_too(archive, monkeypatch):
    monkeypatch.setattr(zips, "_UNPACKED_FREE", 1200)
    monkeypatch.setattr(zips, "_UNPACKED_RATIO", 0)
    with open_zip(archive) as stream:
        stream.read("b/deep.txt")
        stream.read("b/deep.txt")
        with pytest.raises(ConfigurationError, match="more than 400"):
            stream.read("b/deep.txt")


def test_an_entry_unpacks_to_a_multiple_of_the_archive_only(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("zeros", bytes(9 << 20))
    with open_zip(path) as stream, pytest.raises(ConfigurationError, match="would unpack to"):
        stream.read("zeros")


def test_entries_without_a_name_are_entries(tmp_path):
    path = tmp_path / "nameless.zip"
    path.write_bytes(pack([Entry(b"", b"content"), Entry(b"folder/", b"")]))
    with open_zip(path) as stream:
        assert stream.names == ("",)
        assert stream.read("") == b"content"


def test_long_lists_are_counted_before_they_are_taken_apart(tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("zipfile reads the list")

    path = tmp_path / "many.zip"
    path.write_bytes(pack([Entry(b"%09d" % number, b"") for number in range(3000)]))
    monkeypatch.setattr(zips, "MAX_MEMBERS", 2999)
    monkeypatch.setattr(zipfile.ZipInfo, "_decodeExtra", never)
    with pytest.raises(ConfigurationError, match="3,000 entries, more than 2,999"), open_zip(path):
        pass


def test_extra_fields_that_take_quadratic_time_are_refused(tmp_path):
    path = tmp_path / "extra.zip"
    with zipfile.ZipFile(path, "w") as stream:
        for number in range(4):
            info = zipfile.ZipInfo(f"{number}")
            info.extra = bytes(65_532)
            stream.writestr(info, b"")
    with pytest.raises(ConfigurationError, match="extra fields"), open_zip(path):
        pass


def test_an_end_that_says_more_than_a_file_has_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "lies.zip"
    path.write_bytes(pack([Entry(b"a", b"")], end_lies={"size": 2**32 - 2}))
    with pytest.raises(ConfigurationError, match="damaged"), open_zip(path):
        pass


def test_too_many_entries_and_entries_of_one_name_are_refused(archive, monkeypatch):
    with zipfile.ZipFile(archive, "a") as stream, pytest.warns(UserWarning, match="Duplicate"):
        stream.writestr("a.txt", b"another")
    with (
        pytest.raises(ConfigurationError, match="several entries with the same name"),
        open_zip(archive),
    ):
        pass
    monkeypatch.setattr(zips, "MAX_MEMBERS", 2)
    with pytest.raises(ConfigurationError, match="4 entries"), open_zip(archive):
        pass


def test_what_is_not_there_is_named(archive):
    with open_zip(archive) as stream, pytest.raises(ConfigurationError, match=r"a\.zip has no c"):
        stream.read("c")


def test_a_file_that_says_another_size_than_it_has_is_refused(archive):
    data = bytearray(archive.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = (10_000).to_bytes(4, "little")
    archive.write_bytes(data)
    with open_zip(archive) as stream, pytest.raises(ConfigurationError, match=r"deep|truncated"):
        stream.read("b/deep.txt")


def test_damage_anywhere_is_an_error_that_says_so_or_harmless(archive):
    whole = archive.read_bytes()
    chance = random.Random(7)
    told = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        archive.write_bytes(data[: chance.randrange(1, len(data) + 1)] if told % 3 == 0 else data)
        try:
            with open_zip(archive) as stream:
                for name in stream.names:
                    stream.read(name)
        except ConfigurationError as error:
            told += bool(error.hint)
    assert told > 50


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_take_memory_as_they_like_are_not_read(tmp_path, method):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as stream:
        stream.writestr("a", b"x" * 100)
    with open_zip(path) as stream, pytest.raises(ConfigurationError, match="a compression that"):
        stream.read("a")


@pytest.mark.parametrize("lie", [{"method_said": 12}, {"offset": 2**32 - 2}])
def test_entries_that_lie_of_themselves_are_errors(tmp_path, lie):
    path = tmp_path / "a.zip"
    path.write_bytes(pack([Entry(b"a", b"content", lies=lie)]))
    with pytest.raises(ConfigurationError), open_zip(path) as stream:
        stream.read("a")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.aar")
    with (
        pytest.raises(ConfigurationError, match="not a regular file"),
        open_zip(tmp_path / "pipe.aar"),
    ):
        pass


@pytest.mark.parametrize(
    "name", ["jni/../libx.so", "jni/./libx.so", "jni//libx.so", "/jni/x86/libx.so", "../x", ".."]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    path = tmp_path / "a.aar"
    with zipfile.ZipFile(path, "w") as stream:
        stream.writestr("jni/x86/liby.so", b"y")
        stream.writestr(name, b"x")
    with pytest.raises(ConfigurationError) as caught, open_zip(path):
        pass
    assert caught.value.message == f"a.aar has {name!r}, whose path is not that of a file in it"
