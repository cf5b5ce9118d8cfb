from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import make_manifest

from builder.core.manifest import ManifestFile
from builder.platforms.android.manifest import SCHEMA, AarManifest, LibraryEntry, parse_aar_manifest
from builder.platforms.android.package import Coordinates

MANIFEST = AarManifest(
    coordinates=Coordinates(version="2.6.0-1"),
    min_api=21,
    pins={"pytorch": "c" * 40},
    libraries={
        "x86": LibraryEntry(
            path="jni/x86/libpytorch_jni_lite.so",
            page_size=4096,
            flags=("profile=size",),
            runtime=make_manifest(abi="android-x86"),
        )
    },
    files={"classes.jar": ManifestFile(size=3, sha256="a" * 64)},
)
VALUE = json.loads(MANIFEST.to_text())


def test_what_is_written_is_read():
    assert parse_aar_manifest(MANIFEST.to_text()) == MANIFEST
    assert MANIFEST.to_text().endswith("}\n")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": SCHEMA + 1}, "newer"),
        ({"libraries": {}}, "empty"),
        ({"libraries": []}, "not a JSON object"),
        ({"libraries": {"x86": 1}}, "library 'x86' is not a JSON object"),
        ({"libraries": {"x86": {**VALUE["libraries"]["x86"], "runtime": {}}}}, "no 'schema'"),
        ({"pins": {"pytorch": 1}}, "not a string"),
        ({"group": "../.."}, "cannot be the group"),
        ({"min_api": "21"}, "not a whole number"),
        ({"files": {"../x": {"size": 1, "sha256": "a" * 64}}}, "outside"),
    ],
)
def test_what_is_no_manifest_is_refused(change, problem):
    with pytest.raises(ValueError, match=problem):
        parse_aar_manifest(json.dumps({**VALUE, **change}))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda v: st.dictionaries(st.sampled_from([*VALUE, "x86"]), v),
    )
)
def test_any_json_is_read_or_refused(value):
    text = json.dumps({**VALUE, **value} if isinstance(value, dict) else value)
    with contextlib.suppress(ValueError):
        parse_aar_manifest(text)
