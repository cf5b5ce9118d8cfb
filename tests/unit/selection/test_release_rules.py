from __future__ import annotations

import fnmatch
from dataclasses import replace

import pytest

from builder import api
from builder.core.known import find_reason
from builder.errors import ConfigurationError
from builder.native.index import parse_index
from builder.selection.release_rules import read_rules
from builder.sources.releases import load_release
from builder.sources.schemas import load_schemas

RULES = read_rules(load_release())
UNITS = sorted(
    {
        *RULES.always,
        *RULES.ignored,
        *RULES.preferred,
        *(unit for units in RULES.custom_classes.values() for unit in units),
        *(unit for units in RULES.by_name.values() for unit in units),
    }
)
INDEX = load_release().indexes[""]
INDEXED = {unit for units in parse_index(INDEX.read_text()).values() for unit in units}

REASONS = [*RULES.libraries.values(), *RULES.raising.values()]


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_that_the_rules_name_exists(unit):
    """Units that define no name of their own are not in the index; the tree has them."""
    if unit in INDEXED:
        return
    tree = api.find_sources(api.load_release())
    if tree is None:
        pytest.skip("the sources are not fetched")
    assert (tree.root / unit).is_file()


def test_what_classes_are_made_of_can_be_registered():
    parts = {part for parts in RULES.made_of.values() for part in parts}
    assert {name.split(".")[0] for name in parts | set(RULES.made_of)} <= set(RULES.custom_classes)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b"\xff", "codec"), (b"x", "Expected '='"), (b"x = 1", "unknown key")],
)
def test_rules_that_cannot_be_meant_are_refused_with_the_file(tmp_path, content, message):
    if content is not None:
        (tmp_path / "rules.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_rules(replace(load_release(), folder=tmp_path))
    assert str(tmp_path / "rules.toml") in caught.value.message


def test_rules_do_not_contradict_each_other():
    assert not RULES.ignored & (RULES.preferred | RULES.always)
    assert RULES.always
    assert not set(RULES.libraries) & set(RULES.by_name)


@pytest.mark.parametrize("reason", REASONS)
def test_reasons_fit_behind_a_colon(reason):
    assert reason
    assert not reason.endswith(".")


@pytest.mark.parametrize("pattern", RULES.raising)
def test_every_operator_that_raises_is_known(pattern):
    names = {name.partition(".")[0] for name in load_schemas(load_release().version)}
    assert fnmatch.filter(names, pattern)


def test_operators_beside_those_that_raise_do_not():
    for name in ("aten::detach", "aten::linalg_vector_norm", "aten::lu_unpack", "aten::eq.Tensor"):
        assert not find_reason(name, RULES.raising)
    assert "LAPACK" in find_reason("aten::linalg_pinv.atol_rtol_tensor", RULES.raising)
