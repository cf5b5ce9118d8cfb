"""Damaged copies of real files: each gives a model or a ModelError, never anything else."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from builder.errors import ModelError
from builder.models.archive import open_archive
from builder.models.bytecode import parse_bytecode, read_lite_archive
from builder.models.mobile_module import parse_mobile_module
from builder.models.pickles import parse_pickle

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


@given(st.sampled_from(ZIPS), st.lists(EDIT, min_size=1, max_size=4), st.sampled_from([None, 1500]))
def test_archives(content, edits, tail):
    try:
        with open_archive(io.BytesIO(_edit(content, edits, tail=tail))) as archive:
            assert read_lite_archive(archive).methods
    except ModelError:
        pass


@given(st.sampled_from(PICKLES), st.lists(EDIT, min_size=1, max_size=4))
def test_pickles(content, edits):
    with contextlib.suppress(ModelError):
        parse_bytecode(parse_pickle(_edit(content, edits), record="bytecode.pkl").value)


@given(st.sampled_from(FLATBUFFERS), st.lists(EDIT, min_size=1, max_size=4))
def test_flatbuffers(content, edits):
    with contextlib.suppress(ModelError):
        assert parse_mobile_module(memoryview(_edit(content, edits))).methods


@given(st.binary(max_size=400))
def test_any_bytes_as_a_flatbuffer(content):
    with contextlib.suppress(ModelError):
        assert parse_mobile_module(memoryview(content)).methods
