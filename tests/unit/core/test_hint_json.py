"""Hints as JSON: what comes back has the same settings and commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.core.hint_json import describe_hint, parse_hint
from builder.errors import Hint, Run, Use

EXPORT = Run("export", ("my model.pt", Use("output", Path("model.ptl")), Use("reference", False)))


def pass_on(hint: str) -> Hint:
    return parse_hint(json.loads(json.dumps(describe_hint(hint))), str)


@pytest.mark.parametrize(
    ("hint", "parts"),
    [
        ("free some space", ("free some space",)),
        (Hint("raise ", Use("limits.memory")), ("raise ", Use("limits.memory", ""))),
        (Hint("first ", Hint("try ", Use("jobs", 2))), ("first ", "try ", Use("jobs", "2"))),
        (
            Hint(EXPORT),
            (
                Run(
                    "export",
                    ("my model.pt", Use("output", "model.ptl"), Use("reference", False)),
                ),
            ),
        ),
    ],
)
def test_settings_and_commands_arrive_as_values(hint, parts):
    assert (pass_on(hint), pass_on(hint).parts) == (hint, parts)


@pytest.mark.parametrize(
    "value", [None, "a", {}, [1], [["a"]], [{"command": "ops", "parts": [[]]}]]
)
def test_what_describes_no_hint_is_refused(value):
    with pytest.raises(ValueError, match="hint"):
        parse_hint(value, str)


def test_all_strings_are_made_safe():
    hint = Hint("\x1b", Use("\x1b", "\x1b"), Run("\x1b", ("\x1b",)))
    assert "\x1b" not in parse_hint(describe_hint(hint), lambda text: text.replace("\x1b", "?"))
