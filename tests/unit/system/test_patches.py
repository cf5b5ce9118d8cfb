import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import make_patch

from builder.errors import ConfigurationError, SourceError
from builder.system.patches import _apply_hunks, apply_patch, parse_patch

CHANGE = "--- a/f.txt\n+++ b/f.txt\n@@ -2 +2,2 @@\n-two\n+2\n+2.5\n"


def test_changes_a_line(tmp_path):
    (tmp_path / "f.txt").write_text("one\ntwo\nthree\n")
    apply_patch(make_patch("Why.\n\n" + CHANGE), tmp_path)
    assert (tmp_path / "f.txt").read_text() == "one\n2\n2.5\nthree\n"


def test_inserts_without_context_after_the_named_line(tmp_path):
    (tmp_path / "f.txt").write_text("one\ntwo\n")
    apply_patch(make_patch("--- a/f.txt\n+++ b/f.txt\n@@ -1,0 +2 @@\n+1.5\n"), tmp_path)
    assert (tmp_path / "f.txt").read_text() == "one\n1.5\ntwo\n"


def test_creates_a_file_in_a_new_folder(tmp_path):
    text = "--- /dev/null\n+++ b/new/f.txt\n@@ -0,0 +1 @@\n+hello\n"
    apply_patch(make_patch(text), tmp_path)
    assert (tmp_path / "new/f.txt").read_text() == "hello\n"
    with pytest.raises(SourceError, match="overwrite"):
        apply_patch(make_patch(text), tmp_path)


@pytest.mark.parametrize("content", ["one\ntw0\nthree\n", "two\n", "", "zero\none\ntwo\n"])
def test_a_context_that_differs_is_refused_and_nothing_is_written(tmp_path, content):
    (tmp_path / "f.txt").write_text(content)
    (tmp_path / "a.txt").write_text("x\n")
    first = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-x\n+y\n"
    with pytest.raises(SourceError, match="does not fit"):
        apply_patch(make_patch(first + CHANGE), tmp_path)
    assert (tmp_path / "f.txt").read_text() == content
    assert (tmp_path / "a.txt").read_text() == "x\n"


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        apply_patch(make_patch(CHANGE), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "only words\n",
        "--- a/f\n",
        "--- a/f\n+++ c/f\n@@ -1 +1 @@\n-a\n+b\n",
        "--- a/f\n+++ b/../f\n@@ -1 +1 @@\n-a\n+b\n",
        "--- a/f\n+++ b//etc/f\n@@ -1 +1 @@\n-a\n+b\n",
        "--- a/f\n+++ b/f\n",
        "--- a/f\n+++ b/f\n@@ -1,2 +1 @@\n-a\n+b\n",
        "--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n-a\n-b\n",
        "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\nrubbish\n",
    ],
)
def test_a_malformed_patch_is_refused(text):
    with pytest.raises(ConfigurationError):
        parse_patch("bad", text)


lines = st.lists(st.sampled_from(["a", "b", "c", "", " ", "-", "+x"]), max_size=12)


@given(lines, lines, st.integers(0, 3))
def test_applies_what_difflib_writes(old, new, context):
    diff = list(difflib.unified_diff(old, new, "a/f", "b/f", lineterm="", n=context))
    if not diff:
        return
    (change,) = parse_patch("generated", "\n".join(diff) + "\n")
    before = "".join(f"{line}\n" for line in old)
    after = "".join(f"{line}\n" for line in new)
    assert _apply_hunks("generated", change, before) == (after or "\n")
