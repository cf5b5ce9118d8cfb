from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builder.formats import plain_yaml
from builder.formats.plain_yaml import MAX_DEPTH, parse_documents


def parse(text, **options):
    return list(parse_documents(text, **options))


def test_values_are_those_of_yaml_but_numbers_and_dates_to_be_guessed():
    text = (
        "a: [1, -2, true, off, ~, '1', \"x\\n\", 1:20, 0x10, 010, 1.5, 2020-01-01, =]\nb: {c: }\n"
    )
    values = [1, -2, True, False, None, "1", "x\n", "1:20", "0x10", "010", "1.5", "2020-01-01", "="]
    assert parse(text) == [{"a": values, "b": {"c": None}}]


def test_all_scalars_can_be_strings():
    assert parse("On: [1, true, ~]", only_strings=True) == [{"On": ["1", "true", "~"]}]


def test_keys_are_what_stands_in_the_text():
    text = "{no: no, off: 1, 'yes': ~, ~: a, null: b, +1: c, 1: d, 0x1: e, ? : f}"
    keys = ["no", "off", "yes", "~", "null", "+1", "1", "0x1", ""]
    assert list(parse(text)[0]) == keys
    assert parse("a: {no: {off: off}}") == [{"a": {"no": {"off": False}}}]


def test_documents_follow_each_other():
    assert parse("") == []
    assert parse("--- 1\n---\n- 2\n...\n") == [1, [2]]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_what_pyyaml_writes_is_read(value):
    assert parse(yaml.safe_dump(value)) == [value]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [x]\nb: [*a, *a]", r"^line 2: aliases are not allowed in it$"),
        ("- !!python/object:os.system x", "^line 1: tags are not allowed in it$"),
        ("!!str x", "tags are not allowed"),
        ("!<tag:yaml.org,2002:set> {x}", "tags are not allowed"),
        ("a: 1\na: 2", r"^line 2: the key 'a' stands there twice$"),
        ("b:\n  no: 1\n  'no': 2", r"^line 3: the key 'no' stands there twice$"),
        ("b: 1\n? [a]\n: 1", r"^line 2: a key is not a scalar$"),
        ("a: 1\nb: [a\nc: d", "^line 3: it is not YAML: "),
        ("\x00", "^line 1: the character U\\+0000 is not allowed in it"),
        ("a: ä\nb: \x01", "^line 2: the character U\\+0001 is not allowed in it"),
        ("a:\n" + "- " * 5000, "^line 2: it is nested too deeply$"),
        ("- " * 5000, "nested too deeply"),
    ],
)
def test_the_rest_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse(text)


def test_depth_has_a_limit():
    depth = MAX_DEPTH - 1
    (value,) = parse("[" * depth + "]" * depth)
    for _ in range(depth - 1):
        (value,) = value
    assert value == []


def test_values_are_counted(monkeypatch):
    monkeypatch.setattr(plain_yaml, "MAX_EVENTS", 8)
    assert parse("- a\n- b") == [["a", "b"]]  # with a beginning and an end of text, document, list
    with pytest.raises(ValueError, match=r"^line 6: it has too many values$"):
        parse("- a\n- b\n- c\n- d\n- e\n- f")


def test_numbers_are_not_computed():
    assert parse("1:" * 500_000 + "1") == ["1:" * 500_000 + "1"]
    assert parse("0x" + "f" * 500_000) == ["0x" + "f" * 500_000]
    assert parse("9" * 500_000) == ["9" * 500_000]


def test_bytes_of_file_names_are_read_though_libyaml_refuses_them(monkeypatch):
    assert parse('- "\\uDCFF"') == [["\udcff"]]
    monkeypatch.setattr(plain_yaml, "_SLOW", 10)
    with pytest.raises(ValueError, match="are not UTF-8, and more than 10"):
        parse('- "\\uDCFF"  # longer')
