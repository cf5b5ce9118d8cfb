from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import make_manifest

from builder.core.runtime_manifest import ManifestFile
from builder.platforms.android.manifest import AarManifest, LibraryEntry
from builder.platforms.package_manifest import SCHEMA, parse_package_manifest

MANIFEST = AarManifest(
    group="org.pytorch",
    artifact="pytorch_android_lite",
    version="2.6.0-1",
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
    assert parse_package_manifest(MANIFEST.to_text(), AarManifest) == MANIFEST
    assert MANIFEST.to_text().endswith("}\n")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": SCHEMA + 1}, "newer"),
        ({"libraries": {}}, "libraries: Expected `object` of length >= 1"),
        ({"libraries": []}, "libraries: Expected `object`, got `array`"),
        ({"libraries": {"x86": 1}}, r"libraries\[...\]: Expected `object`, got `int`"),
        (
            {"libraries": {"x86": {**VALUE["libraries"]["x86"], "runtime": {}}}},
            r"\.runtime: Object missing",
        ),
        ({"pins": {"pytorch": 1}}, r"pins\[...\]: Expected `str`, got `int`"),
        ({"group": "../.."}, "cannot be the group"),
        ({"min_api": "21"}, "min_api: Expected `int`, got `str`"),
        (
            {"files": {"../x": {"size": 1, "sha256": "a" * 64}}},
            "key in files: Expected",
        ),
    ],
)
def test_what_is_no_manifest_is_refused(change, problem):
    with pytest.raises(ValueError, match=problem):
        parse_package_manifest(json.dumps({**VALUE, **change}), AarManifest)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda v: st.dictionaries(st.sampled_from([*VALUE, "x86"]), v),
    )
)
def test_any_json_is_read_or_refused(value):
    text = json.dumps({**VALUE, **value} if isinstance(value, dict) else value)
    with contextlib.suppress(ValueError):
        parse_package_manifest(text, AarManifest)
