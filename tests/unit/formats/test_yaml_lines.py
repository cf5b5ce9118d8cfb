"""Lines of keys are found, whatever the style of the text."""

from __future__ import annotations

import pytest

from builder.formats.yaml_lines import find_lines

TEXT = """\
# a comment
inputs:
  - a.ptl
  - {name: b,
     other: c}
targets: {abis: [x, y],
          min_api: 24}
exports:
  - source: m
    quantisation:
      method: static
"last": |
  a: b
  c: d
end:
"""


def test_keys_and_items():
    assert find_lines(TEXT) == {
        ("inputs",): 2,
        ("inputs", 0): 3,
        ("inputs", 1): 4,
        ("inputs", 1, "name"): 4,
        ("inputs", 1, "other"): 5,
        ("targets",): 6,
        ("targets", "abis"): 6,
        ("targets", "abis", 0): 6,
        ("targets", "abis", 1): 6,
        ("targets", "min_api"): 7,
        ("exports",): 8,
        ("exports", 0): 9,
        ("exports", 0, "source"): 9,
        ("exports", 0, "quantisation"): 10,
        ("exports", 0, "quantisation", "method"): 11,
        ("last",): 12,
        ("end",): 15,
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "word", "---\n...\n", "--- a\n--- b: c\n"])
def test_texts_without_keys(text):
    assert find_lines(text) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' stands there twice"),
        ("p:\n  x: 1\n  y: 1\n  x: 2\n", "line 4: the key 'x' stands there twice"),
        ("a: [1,\nb: 2\n", "it is not YAML"),
        ("a: b: c\n", "line 1: it is not YAML"),
        ("a\tb: \x00", "line 1: the character U"),
        ("a: " + "[" * 300_000, "line 1: it is nested too deeply"),
        ("? " * 300_000, "it is nested too deeply"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        find_lines(text)


def test_keys_that_are_collections_do_no_harm():
    find_lines("? [a, b]\n: c\n? {d: e}\n: f\n")
    find_lines("- - - a\n    - {b: [c]}\n")
