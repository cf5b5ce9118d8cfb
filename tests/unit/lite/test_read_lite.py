from __future__ import annotations

import gc
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
from lite.alike import find_difference
from lite.made import DATA, RECORDED, make_function, make_model, make_tensor

from builder.core.model_facts import ModelFormat
from builder.errors import Hint, ModelError, Run, Use
from builder.lite.archive import open_archive
from builder.lite.bytecode import DEBUG_HANDLES
from builder.lite.objects import ScriptObject, Tensor, walk
from builder.lite.read import TorchScriptError, lite_path, read_lite
from builder.lite.source import source_of
from builder.lite.write import write_lite
from builder.lite.zip_model import read_zip_model
from builder.lite.zip_writer import write_zip_model

KINDS = (ModelFormat.LITE_ZIP, ModelFormat.LITE_FLATBUFFER)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_models_are_alike_after_writing(name, kind, tmp_path):
    path = tmp_path / "written.ptl"
    model = read_lite(DATA / name)
    write_lite(model, path, kind=kind)
    again = read_lite(path)
    same = ("flatbuffer" in name) == (kind is ModelFormat.LITE_FLATBUFFER)
    # A zip file has a version of its own, and its pickles share no objects with each other.
    other = ("bytecode_version", "script_constants")
    assert find_difference(model, again, leave_out=() if same else other) == ""
    content = path.read_bytes()
    write_lite(again, path, kind=kind)
    assert path.read_bytes() == content


def test_a_file_may_be_replaced_by_what_was_read_from_it(tmp_path):
    path = tmp_path / "model.ptl"
    path.write_bytes((DATA / "quantised.ptl").read_bytes())
    model = read_lite(path)
    write_lite(model, path, kind=ModelFormat.LITE_FLATBUFFER)
    write_lite(model, path, kind=ModelFormat.LITE_ZIP)
    path.unlink()
    assert any(bytes(one.storage.read()) for one in walk([model.root]) if isinstance(one, Tensor))


def test_what_was_read_closes_its_file():
    model = read_lite(DATA / "conv.ptl")
    assert model.functions
    del model
    gc.collect()
    assert "conv.ptl" not in Path("/proc/self/maps").read_text()


def test_the_values_of_a_known_model():
    model = read_lite(DATA / "control.ptl")
    words = model.root.attributes["words"]
    assert (words.type, words.items) == ("Dict[str, int]", [("one", 1), ("two", 2)])
    scale = model.root.attributes["scale"]
    assert (scale.dtype, scale.sizes, scale.requires_grad) == ("float32", (3,), True)
    assert bytes(scale.storage.read()) == struct.pack("<3f", 1, 1, 1)
    (forward,) = (one for one in model.functions if one.name.endswith(".forward"))
    assert [one.type for one in forward.arguments][1:] == ["str", "Tensor"]
    assert any(step.opcode == "LOOP" for step in forward.instructions)
    assert any(name.startswith("code/") for name in model.records)


def pack(model=None, **changes: bytes | None) -> bytearray:
    """A file of `model` with other records; a name ends with `_` for `.pkl`, `data_0` is data/0."""
    stream = io.BytesIO()
    write_zip_model(model or make_model({"a": make_tensor(1, 2)}), stream)
    with zipfile.ZipFile(stream) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    records |= {f"archive/{name}": content for name, content in changes.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in records.items():
            if content is not None:
                archive.writestr(name, content)
    return bytearray(stream.getvalue())


def read(data: bytes):
    return read_zip_model(open_archive(source_of(memoryview(data))))


def test_a_damaged_tensor_is_noticed_when_it_is_read():
    data = pack()
    at = data.index(struct.pack("<2f", 1, 2))
    data[at] ^= 1
    tensor = read(data).root.attributes["a"]
    with pytest.raises(ModelError, match="data/0 is damaged: its checksum"):
        tensor.storage.read()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "size of its tensor"), (bytes(7), "size"), (bytes(12), "size"), (None, "not contain")],
)
def test_storages_have_the_size_that_their_tensors_say(content, words):
    with pytest.raises(ModelError, match=words):
        read(pack(**{"data/0": content}))


def test_empty_storages_need_no_record():
    model = make_model({"a": make_tensor(sizes=(0,))})
    assert bytes(read(pack(model, **{"data/0": None})).root.attributes["a"].storage.read()) == b""


def test_packed_records_are_read():
    stream = io.BytesIO()
    write_zip_model(make_model({"a": make_tensor(*range(1000))}), stream)
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(stream) as one,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for name in one.namelist():
            other.writestr(name, one.read(name))
    found, wanted = read(packed.getvalue()), read(stream.getvalue())
    assert find_difference(found, wanted) == ""


def test_records_that_share_their_bytes_are_refused():
    """Each copy would be as large as all of the file."""
    data = pack(**{f"extra/{number}": bytes(2000) for number in range(3)})
    for number in (1, 2):
        # Their entries in the list of members point to the first of them.
        entry = data.rindex(b"archive/extra/%d" % number) - 46
        first = data.rindex(b"archive/extra/0") - 46
        data[entry + 42 : entry + 46] = data[first + 42 : first + 46]
    grown = bytearray(data.replace(bytes(2000), b"", 2))
    assert read(data).functions  # not larger than the file yet
    end = grown.rindex(b"PK\5\6")
    grown[end + 16 : end + 20] = struct.pack("<I", grown.index(b"PK\1\2"))
    with pytest.raises(ModelError, match="share their bytes"):
        read(grown)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ({"byteorder": b"big"}, "big-endian"),
        ({"data.pkl": pickle.dumps(1, protocol=2)}, "no module"),
        ({"constants.pkl": pickle.dumps(1, protocol=2)}, "no tuple"),
        ({DEBUG_HANDLES: pickle.dumps((8, 1, 2), protocol=2)}, "a tuple is expected"),
        (
            {DEBUG_HANDLES: pickle.dumps((8, ("a", ())), protocol=2)},
            "another function",
        ),
    ],
)
def test_records_of_another_shape_are_refused(records, words):
    with pytest.raises(ModelError, match=words):
        read(pack(**records))


def test_little_endian_files_and_unknown_records_are_fine():
    model = read(pack(byteorder=b"little", **{".data/serialization_id": b"1", "notes": b"x"}))
    assert dict(model.records) == {"notes": b"x"}


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
SPARSE = b"ctorch._utils\n_rebuild_sparse_tensor\n)R"
LAZY = b"N)\x85R"


def module(value: bytes) -> bytes:
    return b"\x80\x02c__torch__\nM\n)\x81}(X\1\0\0\0a" + value + b"ub."


def test_sparse_tensors_are_refused_by_name():
    with pytest.raises(ModelError, match="sparse") as caught:
        read(pack(**{"data.pkl": module(SPARSE)}))
    assert "to_dense" in caught.value.hint


def test_a_call_behind_a_sparse_tensor_is_worse_news():
    with pytest.raises(ModelError, match="nothing was run"):
        read(pack(**{"data.pkl": module(SPARSE + b"cos\nsystem\n")}))


def test_torchscript_may_have_sparse_tensors(tmp_path):
    path = tmp_path / "model.pt"
    records = {"data.pkl": module(SPARSE), "constants.pkl": b"\x80\x02).", "bytecode.pkl": None}
    path.write_bytes(pack(**records))
    with pytest.raises(TorchScriptError):
        read_lite(path)


def test_lazy_conjugates_and_unknown_storages_are_refused():
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpuK\2tQ"
    plain = TENSOR + b"(" + storage + b"K\0K\2\x85K\1\x85\x89N"
    assert isinstance(read(pack(**{"data.pkl": module(plain + b"tR")})).root, ScriptObject)
    assert read(pack(**{"data.pkl": module(plain + b"}tR")})).root.attributes["a"].sizes == (2,)
    with pytest.raises(ModelError, match="lazy conjugate"):
        read(pack(**{"data.pkl": module(plain + b"}X\4\0\0\0conj\x88stR")}))
    with pytest.raises(ModelError, match="does not know the storage OddStorage"):
        read(pack(**{"data.pkl": module(plain.replace(b"Float", b"Odd") + b"tR")}))


@pytest.mark.parametrize(
    "view", [b"K\1K\2\x85K\1\x85", b"K\0K\3\x85K\1\x85", b"K\0K\2\x85K\2\x85", b"K\0K\1\x85)"]
)
def test_tensors_lie_in_their_storages(view):
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpuK\2tQ"
    with pytest.raises(ModelError, match="larger than its storage"):
        read(pack(**{"data.pkl": module(TENSOR + b"(" + storage + view + b"\x89NtR")}))


def test_both_formats_refuse_two_functions_of_one_name(tmp_path):
    functions = (make_function(), make_function(constants=(1,)))
    for kind in KINDS:
        path = tmp_path / f"{kind}.ptl"
        write_lite(make_model(functions=functions), path, kind=kind)
        with pytest.raises(ModelError, match="several functions"):
            read_lite(path)


@pytest.mark.parametrize("left", [0, 4096])
def test_a_file_that_is_cut_while_it_is_read_is_damaged(left, tmp_path):
    path = tmp_path / "cut.ptl"
    content = bytes(1 << 20)
    write_lite(make_model(extra_files={"blob": content}), path, kind=ModelFormat.LITE_ZIP)
    model = read_lite(path)
    assert model.extra_files["blob"] == content
    os.truncate(path, left)
    with pytest.raises(ModelError, match="damaged"):
        model.extra_files["blob"]


def test_a_file_that_is_replaced_is_read_to_its_end(tmp_path):
    path = tmp_path / "replaced.ptl"
    write_lite(make_model(extra_files={"blob": b"first"}), path, kind=ModelFormat.LITE_ZIP)
    model = read_lite(path)
    path.unlink()
    assert model.extra_files["blob"] == b"first"


def test_a_flatbuffer_that_is_cut_later_was_read_whole(tmp_path):
    path = tmp_path / "cut.ptl"
    write_lite(make_model({"w": make_tensor(1, 2)}), path, kind=ModelFormat.LITE_FLATBUFFER)
    model = read_lite(path)
    os.truncate(path, 0)
    (tensor,) = (one for one in walk([model.root]) if isinstance(one, Tensor))
    assert bytes(tensor.storage.read()) == struct.pack("<2f", 1, 2)


def test_a_program_of_torch_export_is_named_with_the_command_that_converts_it():
    path = DATA.parent / "pt2/layer.pt2"
    with pytest.raises(ModelError, match=r"torch.export \(.pt2\), not a lite file") as error:
        read_lite(path)
    assert error.value.hint == Hint(
        "export it as a lite file: ",
        Run("export", (str(path), Use("output", path.with_suffix(".ptl")))),
    )


def test_no_command_replaces_the_file_that_it_reads():
    assert lite_path(Path("a/net.pt")) == Path("a/net.ptl")
    assert lite_path(Path("a/net.ptl")) == Path("a/model.ptl")
