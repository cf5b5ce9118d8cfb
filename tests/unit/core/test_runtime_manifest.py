import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.core.dtypes import EVERYTHING
from builder.core.model_facts import ModelOrigin
from builder.core.operators import Operator
from builder.core.runtime_manifest import BytecodeVersions, Manifest, ManifestFile, parse_manifest

DIGEST = "0" * 64
MANIFEST = Manifest(
    abi="linux-x86_64",
    operators=(Operator("aten::add", "Tensor"), Operator("aten::relu")),
    custom_classes=("xnnpack.Conv2dOpContext",),
    bytecode_versions=BytecodeVersions(min=4, max=9),
    dtypes=EVERYTHING,
    features=(),
    models=(ModelOrigin("m.ptl", DIGEST, 8), ModelOrigin("list.yaml", DIGEST)),
    source_version="2.6.0",
    source_digest="abc",
    plan_key="key",
    static_dispatch=("CPU",),
    toolchain=("clang 16",),
    files={"lib/libtorchlite.so": ManifestFile(size=3, sha256=DIGEST)},
)

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@given(
    operators=st.lists(
        st.builds(Operator, names.map(lambda n: f"aten::{n}"), names), unique=True
    ).map(lambda found: tuple(sorted(found))),
    models=st.lists(st.builds(ModelOrigin, st.text(), digests, st.none() | st.integers(0, 99))).map(
        tuple
    ),
    files=st.dictionaries(
        names, st.builds(ManifestFile, size=st.integers(0, 2**40), sha256=digests)
    ),
)
def test_manifest_survives_its_text(operators, models, files) -> None:
    manifest = replace(MANIFEST, operators=operators, models=models, files=files)
    assert parse_manifest(manifest.to_text()) == manifest


def test_text_is_sorted_and_ends_in_a_newline() -> None:
    text = MANIFEST.to_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    assert json.loads(text)["bytecode_versions"] == {"min": 4, "max": 9}
    assert json.loads(text)["operators"] == ["aten::add.Tensor", "aten::relu"]


@pytest.mark.parametrize("key", sorted(MANIFEST.to_json()))
@pytest.mark.parametrize("value", [None, 3.5, True, ["x", 1], {"x": 1}, -1])
def test_wrong_and_missing_fields_are_refused(key: str, value: object) -> None:
    fields = MANIFEST.to_json()
    with pytest.raises(ValueError, match=key[:4]):
        parse_manifest(json.dumps({**fields, key: value}))
    del fields[key]
    with pytest.raises(ValueError, match=key):
        parse_manifest(json.dumps(fields))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "manifest: Input data was truncated"),
        ("{", "manifest: Input data was truncated"),
        ("[]", "manifest: Expected `object`, got `array`"),
        ("null", "manifest: Expected `object`, got `null`"),
        ("[" * 200_000, "manifest: Expected `object`, got `array`"),
        ('{"new":' * 200_000, "manifest: it is nested too deeply"),
        ('{"schema": 1, "abi": "\\ud800"}', "manifest: "),
        ('{"schema": NaN}', "manifest: JSON is malformed"),
        ('{"schema": 99}', "newer than"),
    ],
)
def test_hostile_text_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_manifest(text)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a//b", "./x"])
def test_paths_that_leave_the_runtime_are_refused(path: str) -> None:
    fields = MANIFEST.to_json()
    fields["files"] = {path: {"size": 1, "sha256": DIGEST}}
    with pytest.raises(ValueError, match="key in files: Expected `str` matching"):
        parse_manifest(json.dumps(fields))


def test_keys_of_the_future_are_ignored() -> None:
    assert parse_manifest(json.dumps({**MANIFEST.to_json(), "unheard_of": []})) == MANIFEST
