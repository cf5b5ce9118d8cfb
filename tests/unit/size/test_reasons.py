from __future__ import annotations

import pytest
from samples import make_reference_graph

from builder.errors import ConfigurationError, ModelError
from builder.size.reasons import Cut, Reason, Reasons

REASONS = Reasons(make_reference_graph())
"""root -> core -> shared; add -> kernel<T>& -> shared and common; mul -> other -> common."""


def test_a_symbol_of_one_operator():
    (reason,), count = REASONS.explain("kernel<T>&", 3)
    assert count == 1
    assert reason == Reason(
        symbol="kernel<T>&",
        unit="aten/src/ATen/native/<b>.cpp",
        bytes=1000,
        retained=1000,
        path=("aten::add.Tensor", "kernel<T>&"),
        keepers=("aten::add.Tensor",),
        users=("aten::add.Tensor",),
        user_count=1,
        operators=("aten::add.Tensor",),
        is_always=False,
    )


def test_what_two_operators_share_is_kept_by_neither():
    (reason,), _ = REASONS.explain("common", 3)
    assert (reason.keepers, reason.users) == ((), ("other", "kernel<T>&"))
    assert reason.operators == ("aten::add.Tensor", "aten::mul")
    assert len(reason.path) == 3


def test_what_the_runtime_itself_needs_is_said():
    (reason,), _ = REASONS.explain("core", 3)
    assert (reason.is_always, reason.operators) == (True, ("aten::neg",))


def test_a_whole_name_is_meant_alone_and_a_part_names_the_largest():
    (reason,), count = REASONS.explain("other", 3)
    assert (reason.symbol, count) == ("other", 1)
    largest, count = REASONS.explain("o", 2)
    assert [one.symbol for one in largest] == ["common", "other"]
    assert count == 5


def test_a_name_that_no_symbol_has():
    with pytest.raises(ModelError, match="no symbol in the library has 'einsum' in its name"):
        REASONS.explain("einsum", 3)


def test_symbols_that_keep_others():
    assert REASONS.list_retained(5) == ()
    # Without neg, only core refers to the 100 bytes of shared, and kernel<T>& does too.
    graph = make_reference_graph()
    alone = Reasons(type(graph)(**{**_fields(graph), "operators": {}}))
    assert [(one.symbol, one.retained) for one in alone.list_retained(5)] == [
        ("root", 111),
        ("core", 110),
    ]


@pytest.mark.parametrize(
    ("pattern", "symbols", "size"),
    [
        ("^common$", 1, 40_000),
        (r"kernel<T>&|^other$", 2, 43_000),
        ("<b>.cpp", 7, 43_125),
        ("^core$", 1, 10),
        ("^(core|kernel)", 2, 1110),
    ],
)
def test_a_cut_takes_what_only_it_keeps(pattern, symbols, size):
    cut = REASONS.cut(pattern)
    assert (cut.symbols, cut.bytes) == (symbols, size)
    assert isinstance(cut, Cut)
    own = [one.bytes for one in cut.largest]
    assert own == sorted(own, reverse=True)
    retained = {REASONS.name(node): size for node, size in REASONS.retained.items()}
    assert all(one.retained == retained[one.symbol] >= one.bytes for one in cut.largest)


def test_patterns_that_say_nothing():
    with pytest.raises(ConfigurationError, match=r"'\(' is not a regular expression"):
        REASONS.cut("(")
    with pytest.raises(ModelError, match="no symbol and no unit of the library matches 'einsum'"):
        REASONS.cut("einsum")


def _fields(graph):
    return {name: getattr(graph, name) for name in type(graph).__slots__}
