from __future__ import annotations

import string
from importlib import resources
from pathlib import Path

import pytest

from builder.core.targets import TARGETS
from builder.platforms.android.policies import load_policies, parse_policies
from builder.platforms.android.rules import CHECKS

TEXT = resources.files("builder.platforms.android").joinpath("policies.toml").read_text()


def test_every_rule_has_a_check_and_every_check_a_rule():
    assert [rule.name for rule in load_policies().rules] == list(CHECKS)


def test_every_rule_is_documented():
    text = (Path(__file__).parents[4] / "docs/reference/android-package.md").read_text()
    assert all(f"| `{rule.name}` |" in text for rule in load_policies().rules)


def test_texts_name_only_what_is_filled_in():
    for rule in load_policies().rules:
        fields = {name for _, name, _, _ in string.Formatter().parse(rule.wanted + rule.remedy)}
        assert fields <= {None, "file", "page_size", "min_api", "exports"}
        assert rule.source == "" or rule.source.startswith("https://")


def test_every_target_of_android_has_a_policy():
    known = set(load_policies().abis)
    assert known == {"arm64-v8a", "armeabi-v7a", "x86", "x86_64"}
    android = {target.abi for target in TARGETS if str(target.platform) == "android"}
    assert android <= known | {f"android-{abi}" for abi in known}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("page_size = 16384", "page = 16384"),
        ("machine = 183\n", ""),
        ('name = "abi"', 'title = "abi"'),
        ("[paths]", "[path]"),
        ("device = [", "devices = ["),
        ("since = 29", "until = 29"),
        ("[system_libraries]", "[unknown]\na = 1\n[system_libraries]"),
    ],
)
def test_a_key_that_is_wrong_is_refused(old, new):
    assert old in TEXT
    with pytest.raises((TypeError, KeyError, ValueError)):
        parse_policies(TEXT.replace(old, new, 1))
