from __future__ import annotations

import io
import struct
import zipfile

import pytest
from lite.alike import find_difference
from lite.made import make_function, make_model, make_tensor

from builder.errors import ModelError
from builder.lite.archive import open_archive
from builder.lite.objects import CustomObject, List
from builder.lite.source import source_of
from builder.lite.zip_model import read_zip_model
from builder.lite.zip_writer import write_zip_model


def write(model) -> bytes:
    stream = io.BytesIO()
    write_zip_model(model, stream)
    return stream.getvalue()


def read(data: bytes):
    return read_zip_model(open_archive(source_of(memoryview(data))))


def test_records_are_stored_aligned_and_undated():
    shared = make_tensor(1, 2, 3)
    data = write(make_model({"a": shared, "b": (shared,), "c": make_tensor(4)}))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        for entry in archive.infolist():
            name, extra = struct.unpack_from("<HH", data, entry.header_offset + 26)
            assert (entry.header_offset + 30 + name + extra) % 64 == 0
            assert data[entry.header_offset + 30 + name :][:2] == b"FB"
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.date_time == (1981, 1, 1, 1, 1, 2)
            assert entry.extra == b""
        assert archive.namelist() == [
            *("archive/data/0", "archive/data/1", "archive/data.pkl"),
            *("archive/bytecode.pkl", "archive/version"),
        ]
        assert archive.read("archive/data/0") == struct.pack("<3f", 1, 2, 3)


def test_the_same_model_gives_the_same_bytes():
    files = {"b": b"2", "a": b"1"}
    first = write(make_model({"x": make_tensor(1)}, extra_files=files, records=dict(files)))
    turned = dict(reversed(files.items()))
    assert first == write(make_model({"x": make_tensor(1)}, extra_files=turned, records=turned))


def test_constants_of_code_and_of_sources_share_their_storages():
    tensor = make_tensor(1, 2)
    model = make_model(
        functions=(make_function(constants=(tensor, CustomObject("ns.C", (tensor,)))),),
        script_constants=(make_tensor(3), tensor),
    )
    data = write(model)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert [one for one in archive.namelist() if "/constants/" in one] == [
            "archive/constants/0.storage",
            "archive/constants/1.storage",
        ]
    found = read(data)
    assert find_difference(model, found, leave_out=("script_constants", "functions")) == ""
    assert found.functions[0].constants[0].storage is found.script_constants[1].storage


def test_sources_are_packed_and_come_out_as_they_were():
    records = {"code/a.py": b"x = 1\n" * 100, "code/b.py": b"y", "map.debug_pkl": bytes(300)}
    model = make_model(records=records, extra_files={"ä/ß.txt": b"\0\xff", "big": bytes(300)})
    data = write(model)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        packed = {e.filename for e in archive.infolist() if e.compress_type == zipfile.ZIP_DEFLATED}
    assert packed == {"archive/code/a.py", "archive/map.debug_pkl"}
    assert find_difference(model, read(data)) == ""


@pytest.mark.parametrize(
    ("version", "written"), [(3, 4), (4, 4), (5, 5), (7, 7), (8, 8), (9, 8), (12, 8)]
)
def test_versions_are_those_that_zip_files_can_have(version, written):
    tensor = make_tensor(1)
    model = make_model(bytecode_version=version, functions=(make_function(constants=(tensor,)),))
    data = write(model)
    found = read(data)
    assert found.bytecode_version == written
    assert find_difference(model, found, leave_out=("bytecode_version",)) == ""
    # Before version 5, the constants of the bytecode had a folder of their own.
    folder = b"archive/bytecode/0" if written < 5 else b"archive/constants/0.storage"
    assert folder in data


def test_functions_without_a_schema_need_version_four():
    model = make_model(functions=(make_function(arguments=None, results=None),))
    found = read(write(model))
    assert found.bytecode_version == 4
    assert found.functions[0].arguments is None


def test_debug_handles_are_written_for_all_functions():
    functions = (make_function(debug_handles=(7, -1, 2**40)), make_function("__torch__.M.other"))
    found = read(write(make_model(functions=functions))).functions
    assert [one.debug_handles for one in found] == [(7, -1, 2**40), (-1, -1, -1)]


def test_a_file_without_an_operator_version_gets_the_oldest():
    assert read(write(make_model(operator_version=None))).operator_version == 3
    assert read(write(make_model(operator_version=10))).operator_version == 10


def test_archives_that_no_runtime_loads_are_refused():
    newer = write(make_model(operator_version=11))
    with pytest.raises(ModelError, match="has version 11; runtimes load versions 1 to 10"):
        read(newer)


@pytest.mark.parametrize("name", ["", "a\0b", "folder/", "\udc80", "x" * 9000])
def test_names_that_zip_files_cannot_have_are_refused(name):
    with pytest.raises(ModelError, match="record with the name"):
        write(make_model(extra_files={name: b""}))


def test_empty_tensors_and_lists():
    model = make_model({"none": make_tensor(sizes=(0,)), "list": List("List[Tensor]")})
    assert find_difference(model, read(write(model))) == ""
