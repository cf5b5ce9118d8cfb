from __future__ import annotations

import json

import pytest

from builder.formats.tbd import parse_stub, render_stub

YAML = """\
--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-ios ]
install-name:    '/usr/lib/libSystem.B.dylib'
exports:
  - targets:         [ arm64-ios ]
    symbols:         [ _strlen, '$ld$hide$os11.0$_strlen' ]
    weak-symbols:    [ _weak ]
  - targets:         [ x86_64-macos ]
    symbols:         [ '_open$INODE64' ]
--- !tapi-tbd
tbd-version:     4
targets:         [ arm64-ios ]
install-name:    '/usr/lib/system/libsystem_m.dylib'
reexports:
  - targets:         [ arm64-ios ]
    symbols:         [ _sin ]
    thread-local-symbols: [ _errno ]
...
"""


def test_a_stub_lists_symbols_of_all_its_libraries_for_one_target():
    assert parse_stub(YAML, "arm64-ios") == {"_strlen", "_weak", "_sin", "_errno"}
    assert parse_stub(YAML, "x86_64-macos") == {"_open$INODE64"}
    assert parse_stub(YAML, "arm64-ios-simulator") == set()


def test_stubs_of_version_5_are_json():
    library = {
        "target_info": [{"target": "arm64-ios"}, {"target": "arm64-ios-simulator"}],
        "exported_symbols": [
            {"text": {"global": ["_f"], "weak": ["_w"]}, "data": {"global": ["_d"]}},
            {"targets": ["arm64-ios"], "text": {"global": ["_device"]}},
        ],
    }
    text = json.dumps({"tapi_tbd_version": 5, "main_library": library})
    assert parse_stub(text, "arm64-ios") == {"_f", "_w", "_d", "_device"}
    assert parse_stub(text, "arm64-ios-simulator") == {"_f", "_w", "_d"}


def test_classes_of_objective_c_are_spelt_as_linkers_do():
    listed = (
        "    objc-classes:    [ NSString ]\n    objc-eh-types:   [ E ]\n    objc-ivars: [ A.b ]\n"
    )
    text = YAML.replace("    weak-symbols:    [ _weak ]\n", listed)
    assert parse_stub(text, "arm64-ios") >= {
        *("_OBJC_CLASS_$_NSString", "_OBJC_METACLASS_$_NSString"),
        *("_OBJC_EHTYPE_$_E", "_OBJC_IVAR_$_A.b"),
    }
    data = {"objc_class": ["MTLDevice"], "objc_eh_type": ["E"], "objc_ivar": ["A.b"]}
    library = {"target_info": [{"target": "arm64-ios"}], "exported_symbols": [{"data": data}]}
    text = json.dumps({"tapi_tbd_version": 5, "main_library": library})
    assert parse_stub(text, "arm64-ios") == {
        *("_OBJC_CLASS_$_MTLDevice", "_OBJC_METACLASS_$_MTLDevice"),
        *("_OBJC_EHTYPE_$_E", "_OBJC_IVAR_$_A.b"),
    }


def test_what_is_rendered_is_read():
    text = render_stub("/usr/lib/libc++.1.dylib", ["__Znwm", "_b", "__Znwm"], ["arm64-ios"])
    assert parse_stub(text, "arm64-ios") == {"__Znwm", "_b"}
    assert text.count("__Znwm") == 1


@pytest.mark.parametrize("text", ["", "--- !tapi-tbd\n- 1\n", "{", '{"a": 1}', "a: [", "text"])
def test_what_is_no_stub_is_refused(text):
    with pytest.raises(ValueError, match=r"not a text stub|Expecting"):
        parse_stub(text or "just text", "arm64-ios")


@pytest.mark.parametrize(
    "text",
    [
        "--- !tapi-tbd\n\n...\n",
        "--- !tapi-tbd\n- a\n",
        YAML.replace("[ _strlen", "[ [ a ], _strlen"),
        YAML.replace("symbols:         [ _sin ]", "symbols: _sin"),
        '{"main_library": [[]]}',
        '{"main_library": {}, "libraries": [0]}',
        '{"main_library": {"target_info": [{"target": "arm64-ios"}], "exported_symbols": '
        '[{"text": {"global": [1]}}]}}',
        "[" * 100_000,
        '{"a": ' + "[" * 100_000,
        "a: &a [x]\nexports: [*a]\n",
    ],
)
def test_damaged_stubs_are_value_errors(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the parsers have their own words
        parse_stub(text, "arm64-ios")


def test_words_that_yaml_takes_for_others_are_names():
    odd = {"on", "1", "~"}
    assert parse_stub(render_stub("x", odd, ["arm64-ios"]), "arm64-ios") == odd
    plain = YAML.replace("_weak ]", "_weak, On, 12, 1:1 ]")
    assert parse_stub(plain, "arm64-ios") >= {"On", "12", "1:1"}
