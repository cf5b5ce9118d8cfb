"""Each promise of SECURITY.md names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions(path):
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if hasattr(node, "decorator_list")
    }


def test_every_named_test_exists():
    named = _TEST.findall(TEXT)
    assert len(named) > 20
    assert [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or name not in functions(ROOT / path)
    ] == []


def test_every_promise_names_a_test():
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not re.match(r"\| (command|promise) \|", row)]
    assert len(promises) > 12
    assert [row for row in promises if not _TEST.search(row)] == []
