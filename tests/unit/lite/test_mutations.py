"""Damaged copies of real files: each gives a model or a ModelError, never anything else."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from builder.errors import ModelError
from builder.lite.archive import open_archive
from builder.lite.bytecode import parse_bytecode, values_in
from builder.lite.mobile_module import parse_mobile_module
from builder.lite.model import LiteModel
from builder.lite.objects import Tensor, walk
from builder.lite.pickles import parse_pickle
from builder.lite.source import source_of
from builder.lite.zip_model import read_zip_model

DATA = Path(__file__).parents[2] / "data" / "models"
ZIPS = [(DATA / f"{name}.ptl").read_bytes() for name in ("conv", "control", "quantised")]
FLATBUFFERS = [
    (DATA / f"{name}_flatbuffer.ptl").read_bytes() for name in ("conv", "control", "quantised")
]


def _pickles():
    for content in ZIPS:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if name.endswith("bytecode.pkl")]
            yield from (archive.read(name) for name in names)


PICKLES = list(_pickles())
EDIT = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(["replace", "insert", "delete", "cut"]),
    st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\1\0\0\0"])
    | st.binary(min_size=1, max_size=8),
)


def _edit(content: bytes, edits, *, tail: int | None = None) -> bytes:
    for place, kind, piece in edits:
        start = max(0, len(content) - tail) if tail else 0
        at = start + int(place * (len(content) - start))
        rest = {"replace": at + len(piece), "insert": at, "delete": at + len(piece)}
        kept = content[rest[kind] :] if kind in rest else b""
        content = content[:at] + (piece if kind in {"replace", "insert"} else b"") + kept
    return content


def read_whole(model: LiteModel) -> None:
    assert model.functions
    for value in walk((model.root, model.script_constants, *values_in(model.functions))):
        if isinstance(value, Tensor):
            value.storage.read()
    assert all(isinstance(content, bytes) for content in model.records.values())


@given(st.sampled_from(ZIPS), st.lists(EDIT, min_size=1, max_size=4), st.sampled_from([None, 1500]))
def test_archives(content, edits, tail):
    try:
        archive = open_archive(source_of(memoryview(_edit(content, edits, tail=tail))))
        read_whole(read_zip_model(archive))
    except ModelError:
        pass


@given(st.sampled_from(PICKLES), st.lists(EDIT, min_size=1, max_size=4))
def test_pickles(content, edits):
    with contextlib.suppress(ModelError):
        parse_bytecode(parse_pickle(_edit(content, edits), record="bytecode.pkl"))


@given(st.sampled_from(FLATBUFFERS), st.lists(EDIT, min_size=1, max_size=4))
def test_flatbuffers(content, edits):
    with contextlib.suppress(ModelError):
        read_whole(parse_mobile_module(memoryview(_edit(content, edits))))


@given(st.binary(max_size=400))
def test_any_bytes_as_a_flatbuffer(content):
    with contextlib.suppress(ModelError):
        read_whole(parse_mobile_module(memoryview(content)))
