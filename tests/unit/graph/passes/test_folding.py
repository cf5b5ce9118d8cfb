"""Constants are folded, dead code dropped, equal nodes merged, identities left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from builder.core.operator_schemas import Schemas
from builder.graph.graph import Graph, TensorInfo
from builder.graph.passes.dead_code import drop_dead_code
from builder.graph.passes.drop_identities import drop_identities
from builder.graph.passes.fold_constants import fold_constants
from builder.graph.passes.fold_shapes import fold_shapes
from builder.graph.passes.follow_in_place import follow_in_place
from builder.graph.passes.merge_common import merge_common
from builder.graph.passes.pass_result import PassResult
from builder.graph.passes.settle_lists import settle_lists
from builder.graph.shapes import infer
from builder.graph.well_formed import check_graph
from builder.lite.objects import Device
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph, tensor, values, write_graph

SCHEMAS = load_schemas()
Pass = Callable[[Graph, Schemas], PassResult]


def after(rule: Pass, text: str, **names: object) -> list[str]:
    graph = read_graph(text, **names)
    infer(graph, SCHEMAS)
    before = write_graph(graph)
    changed = rule(graph, SCHEMAS).changed
    check_graph(graph)
    found = write_graph(graph)
    assert bool(changed) == (found != before)
    return found


def one(rule: Pass, line: str, given: str = "%x: Tensor", **names: object) -> str:
    """Returns the last line of a graph with one operator."""
    return after(rule, f"(%self, {given})\n%y = {line}\nyield %y", **names)[-1]


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("aten::add.int(2, 3)", "5"),
        ("aten::add.int(9223372036854775807, 1)", "%2"),
        ("aten::floordiv.int(-7, 2)", "-4"),
        ("aten::floordiv.int(7, 0)", "%2"),
        ("aten::remainder.int(-7, 3)", "2"),
        ("aten::div.int(1, 4)", "0.25"),
        ("aten::div.int(1, 0)", "%2"),
        ("aten::mul.float(0.1, 3.0)", "0.30000000000000004"),
        ("aten::ne.int_list([1, 2], [1, 3])", "True"),
        ("aten::__not__(True)", "False"),
        ("aten::__is__(None, None)", "True"),
        ("aten::__isnot__(3, None)", "True"),
        ("aten::__is__(%x, None)", "False"),
        ("aten::len.t([4, 5])", "2"),
        ("aten::__getitem__.t([4, 5], -1)", "5"),
        ("aten::__getitem__.t([4, 5], 2)", "%2"),
        ("aten::pow.int_float(64, 0.5)", "8.0"),
        ("aten::pow.int_float(32, 0.5)", "%2"),
        ("aten::pow.int_float(-4, 0.5)", "%2"),
        ("aten::pow.int_float(4, 1.5)", "%2"),
        ("aten::pow.int_float(9007199254740996, 0.5)", "%2"),
        ("aten::Float.int(3)", "3.0"),
        ("aten::floor.float(-1.5)", "-2"),
        ("aten::__range_length(0, 7, 2)", "4"),
        ("aten::relu(%x)", "%2"),
        ("aten::rand([2], None, None, None, None)", "%2"),
        ("aten::made_up(2)", "%2"),
    ],
)
def test_scalars(line: str, result: str):
    assert one(fold_constants, line) == f"yield {result}"


W = np.arange(6, dtype=np.float32).reshape(2, 3) / 3
TENSORS = [
    ("aten::t(W)", W.T),
    ("aten::permute(W, [1, 0])", W.T),
    ("aten::reshape(W, [3, -1])", W.reshape(3, 2)),
    ("aten::flatten.using_ints(W, 0, -1)", W.reshape(6)),
    ("aten::unsqueeze(W, -1)", W[..., None]),
    ("aten::select.int(W, 0, -1)", W[1]),
    ("aten::mul.Scalar(W, 0.1)", W * np.float32(0.1)),
    ("aten::add.Tensor(W, W, 1)", W + W),
    ("aten::div.Tensor(W, W)", np.float32([[np.nan, 1, 1], [1, 1, 1]])),
    ("aten::sqrt(W)", np.sqrt(W)),
    ("aten::to.dtype(W, 7, False, False, None)", W.astype(np.float64)),
    ("aten::zeros([1, 2], None, None, None, None)", np.zeros((1, 2), np.float32)),
    ("aten::zeros([2], 4, 0, None, False)", np.zeros(2, np.int64)),
    ("aten::zeros([], 7, None, CPU, None)", np.zeros((), np.float64)),
    ("aten::zeros([17], None, None, None, None)", None),
    ("aten::zeros([-1], None, None, None, None)", None),
    ("aten::zeros([0.5], None, None, None, None)", None),
    ("aten::zeros([1], None, 1, None, None)", None),
    ("aten::zeros([1], None, None, GPU, None)", None),
    ("aten::zeros([1], None, None, None, True)", None),
    ("aten::zeros([1], 99, None, None, None)", None),
    ("aten::zeros([1], None, None, W, None)", None),
    ("aten::add.Tensor(W, W, 2)", None),
    ("aten::to.dtype(W, 4, False, False, None)", None),
    ("aten::exp(W)", None),
    ("aten::relu_(W)", None),
    ("aten::reshape(W, [4, 2])", None),
    ("aten::add.Tensor(K, R, 1)", None),
    # Damaged calls.
    ("aten::contiguous([1], 0)", None),
    ("aten::select.int(3, 0, 0)", None),
    ("aten::permute(W, [0, 5])", None),
]


@pytest.mark.parametrize(("line", "result"), TENSORS)
def test_tensors(line: str, result: np.ndarray | None):
    graph = read_graph(
        f"(%self, %x: Tensor)\n%y = {line}\n%z = aten::add.Tensor(%y, %x, 1)\nyield %z",
        W=tensor(*W.flat, shape=(2, 3)),
        K=tensor(*range(100), shape=(100, 1)),
        R=tensor(*range(100), shape=(1, 100)),
        CPU=Device("cpu"),
        GPU=Device("cuda:0"),
    )
    assert bool(fold_constants(graph, SCHEMAS).changed) == (result is not None)
    if result is not None:
        found = values(graph.block.nodes[-1].inputs[0].constant)
        assert found.dtype == result.dtype
        np.testing.assert_array_equal(found, result)


def test_constants_that_are_written_or_handed_out_are_not_folded():
    assert after(
        fold_constants,
        """
        (%self, %x: Tensor)
        %a = aten::t(W)
        %b = aten::add_.Tensor(%a, %x, 1)
        %c = aten::t(V)
        yield %c
        """,
        W=ramp(2, 2),
        V=ramp(2, 3),
    ) == [
        "%2 = aten::t(float32[2, 2])",
        "%3 = aten::add_.Tensor(%2, %x, 1)",
        "%4 = aten::t(float32[2, 3])",
        "yield %4",
    ]


def test_zeros_that_are_written_are_not_folded():
    text = """
        (%self, %x: Tensor)
        %a = aten::zeros([2], None, None, None, None)
        %b = aten::add_.Tensor(%a, %x, 1)
        yield %b
        """
    assert after(fold_constants, text)[0] == "%2 = aten::zeros([2], None, None, None, None)"


def test_lists_of_constants_are_constants_unless_they_grow_or_leave():
    assert after(
        fold_constants,
        """
        (%self, %x: Tensor)
        %a = prim::ListConstruct(1, 2)
        %b = aten::view(%x, %a)
        %c = prim::ListConstruct(3)
        %d = aten::append.t(%c, 4)
        %e = prim::ListConstruct(5)
        %f = prim::ListConstruct() @ {'type': 'List[float]'}
        %g = aten::reshape(%b, %f)
        yield %g, %c, %e
        """,
    ) == [
        "%2 = aten::view(%x, [1, 2])",
        "%3 = prim::ListConstruct(3)",
        "%4 = aten::append.t(%3, 4)",
        "%5 = prim::ListConstruct(5)",
        "%6 = aten::reshape(%2, [])",
        "yield %6, %3, %5",
    ]


def test_sizes_are_constant_although_their_tensor_is_changed_in_place():
    text = """
        (%self, %x: Tensor)
        %a = prim::ListConstruct(1, 2)
        %b = aten::pad(%x, %a, 'reflect', None)
        %c = aten::relu_(%b)
        yield %c
        """
    assert after(fold_constants, text)[0] == "%2 = aten::pad(%x, [1, 2], 'reflect', None)"


def test_branches_and_loops_with_known_conditions():
    assert after(
        fold_constants,
        """
        (%self, %x: Tensor, %c: bool)
        %t = aten::gt.int(3, 2)
        %y = prim::If(%t)
          then
            %a = aten::relu(%x)
            %b = prim::If(%c)
              then
                yield %a
              else
                yield %x
            yield %b
          else
            yield %x
        %z = prim::Loop(0, True, %y)
          do(%i, %e)
            yield True, %x
        yield %z
        """,
    ) == [
        "%3 = aten::relu(%x)",
        "%4 = prim::If(%c)",
        "  block()",
        "    yield %3",
        "  block()",
        "    yield %x",
        "yield %4",
    ]


def test_tuples_and_lists_are_unpacked():
    assert (
        after(
            fold_constants,
            """
        (%self, %x: Tensor)
        %r = aten::relu(%x)
        %t = prim::TupleConstruct(%x, %r)
        %a, %b = prim::TupleUnpack(%t)
        %c = prim::TupleIndex(%t, 1)
        %l = prim::ListConstruct(%a, %b)
        %d, %e = prim::ListUnpack(%l)
        yield %c, %d, %e
        """,
        )[-1]
        == "yield %2, %x, %2"
    )


def test_numbers_that_were_made_tensors():
    assert (
        after(
            fold_constants,
            """
        (%self, %x: Tensor)
        %n = aten::size.int(%x, 0)
        %t = prim::NumToTensor.Scalar(%n)
        %i = aten::Int.Tensor(%t)
        %u = prim::NumToTensor.Scalar(1.5)
        %j = aten::Int.Tensor(%u)
        yield %i, %j
        """,
        )[-1]
        == "yield %2, %4"
    )


SHAPES = [
    ("aten::dim(%x)", "3"),
    ("aten::size.int(%x, -1)", "5"),
    ("aten::size.int(%x, 0)", "%2"),
    ("aten::size.int(%x, 3)", "%2"),
    ("prim::dtype(%x)", "6"),
    ("aten::is_floating_point(%x)", "True"),
]


@pytest.mark.parametrize(("line", "result"), SHAPES)
def test_known_shapes(line: str, result: str):
    assert one(fold_shapes, line, "%x: Tensor float32 ?,4,5") == f"yield {result}"


def test_parts_of_sizes_are_known():
    assert (
        after(
            fold_shapes,
            """
        (%self, %x: Tensor float32 ?,4,5)
        %s = aten::size(%x)
        %n = aten::len.t(%s)
        %p = aten::slice.t(%s, 1, None, 1)
        %m = aten::len.t(%p)
        %a = aten::__getitem__.t(%s, 1)
        %b = aten::__getitem__.t(%s, 0)
        yield %n, %m, %a, %b
        """,
        )[-1]
        == "yield 3, 2, 4, %4"
    )


def test_the_rank_of_a_layer_is_asked_of_its_input():
    assert after(
        fold_shapes,
        """
        (%self, %x: Tensor)
        %l = aten::linear(%x, W, None)
        %r = aten::relu(%l)
        %d = aten::dim(%r)
        yield %d
        """,
        W=ramp(2, 2),
    )[2:] == ["%4 = aten::dim(%x)", "yield %4"]


def test_a_weight_that_is_a_vector_drops_a_dimension():
    text = """
        (%self, %x: Tensor)
        %l = aten::linear(%x, W, None)
        %d = aten::dim(%l)
        yield %d
    """
    assert after(fold_shapes, text, W=ramp(2))[-2:] == ["%3 = aten::dim(%2)", "yield %3"]


def test_the_rank_of_a_tensor_whose_shape_changes_is_not_asked_later():
    text = """
        (%self, %x: Tensor)
        %a = aten::sigmoid(%x)
        %b = aten::relu(%a)
        %c = aten::unsqueeze_(%a, 0)
        %d = aten::dim(%b)
        yield %d, %c
    """
    assert "aten::dim(%3)" in "".join(after(fold_shapes, text))


@pytest.mark.parametrize(
    ("change", "stays"),
    [("aten::unsqueeze_(%b, 0)", True), ("aten::zero_(%b)", True), ("aten::neg(%b)", False)],
)
def test_detach_of_what_is_changed_in_place_stays(change: str, stays: bool):
    text = f"""
        (%self, %x: Tensor)
        %a = aten::sigmoid(%x)
        %b = aten::detach(%a)
        %c = {change}
        yield %a, %c
    """
    assert any("detach" in line for line in after(drop_identities, text)) is stays


def test_views_stay_if_their_shape_or_that_of_their_base_changes():
    text = """
        (%self, %x: Tensor float32 2,3)
        %a = aten::sigmoid(%x)
        %b = aten::view(%a, [2, 3])
        %c = aten::t_(%b)
        yield %a
    """
    assert any("view" in line for line in after(drop_identities, text))


def test_dead_code():
    assert after(
        drop_dead_code,
        """
        (%self, %x: Tensor, %c: bool)
        %a = aten::relu(%x)
        %b = aten::rand([1], None, None, None, None)
        %d = aten::sigmoid(%x)
        %e = aten::add_.Tensor(%d, %d, 1)
        %f = prim::If(%c)
          then
            %g = aten::tanh(%x)
            yield %g
          else
            yield %x
        %h, %k = prim::If(%c)
          then
            %l = aten::tanh(%x)
            %m = aten::cos(%x)
            yield %l, %m
          else
            yield %x, %x
        %o = prim::If(%c)
          then
            prim::RaiseException('no', None)
            yield %x
          else
            yield %x
        yield %k
        """,
    ) == [
        "%3 = aten::rand([1], None, None, None, None)",
        "%4 = aten::sigmoid(%x)",
        "%5 = aten::add_.Tensor(%4, %4, 1)",
        "%6 = prim::If(%c)",
        "  block()",
        "    %7 = aten::cos(%x)",
        "    yield %7",
        "  block()",
        "    yield %x",
        " = prim::If(%c)".strip(" ="),
        "  block()",
        "    prim::RaiseException('no', None)",
        "    yield ",
        "  block()",
        "    yield ",
        "yield %6",
    ]


def test_a_loop_that_may_never_end_stays():
    text = """
        (%self, %x: Tensor, %c: bool)
        %a = prim::Loop({}, %c, %x)
          do(%i, %e)
            yield %c, %e
        yield %x
    """
    assert len(after(drop_dead_code, text.format(3))) == 1
    graph = read_graph(text.format("%i0").replace("%c: bool", "%c: bool, %i0: int"))
    assert drop_dead_code(graph, SCHEMAS).changed == 0


def test_equal_nodes_are_merged_within_their_scope():
    assert after(
        merge_common,
        """
        (%self, %x: Tensor, %c: bool)
        %a = aten::size.int(%x, 0)
        %b = aten::size.int(%x, 0)
        %d = aten::add.int(%a, %b)
        %e = prim::If(%c)
          then
            %f = aten::size.int(%x, 0)
            %g = aten::size.int(%x, 1)
            %h = aten::add.int(%f, %g)
            yield %h
          else
            %k = aten::size.int(%x, 1)
            yield %k
        %l = aten::rand([1], None, None, None, None)
        %m = aten::rand([1], None, None, None, None)
        yield %d, %e, %l, %m
        """,
    ) == [
        "%3 = aten::size.int(%x, 0)",
        "%4 = aten::add.int(%3, %3)",
        "%5 = prim::If(%c)",
        "  block()",
        "    %6 = aten::size.int(%x, 1)",
        "    %7 = aten::add.int(%3, %6)",
        "    yield %7",
        "  block()",
        "    %8 = aten::size.int(%x, 1)",
        "    yield %8",
        "%9 = aten::rand([1], None, None, None, None)",
        "%10 = aten::rand([1], None, None, None, None)",
        "yield %4, %5, %9, %10",
    ]


def test_what_is_written_or_handed_out_is_not_merged():
    graph = read_graph("""
        (%self, %x: Tensor)
        %a = aten::relu(%x)
        %b = aten::relu(%x)
        %c = aten::zero_(%b)
        %d = aten::sigmoid(%x)
        %e = aten::sigmoid(%x)
        %f = aten::cos(%a)
        yield %d, %e, %f
    """)
    assert merge_common(graph, SCHEMAS).changed == 0


def test_minus_zero_and_true_are_constants_of_their_own():
    graph = read_graph("""
        (%self, %x: Tensor)
        %a = aten::add.Scalar(%x, 0.0, 1)
        %b = aten::add.Scalar(%x, -0.0, True)
        %c = aten::add.Tensor(%a, %b, 1)
        yield %c
    """)
    merge_common(graph, SCHEMAS)
    assert write_graph(graph)[:2] == [
        "%2 = aten::add.Scalar(%x, 0.0, 1)",
        "%3 = aten::add.Scalar(%x, -0.0, True)",
    ]


F = "%x: Tensor float32 2,3"
IDENTITIES = [
    ("aten::dropout(%x, 0.5, False)", True),
    ("aten::dropout_(%x, 0.5, False)", True),
    ("aten::feature_dropout(%x, 0.5, False)", True),
    ("aten::dropout(%x, 0.5, True)", False),
    ("aten::dropout(%x, 0.0, True)", True),
    ("aten::detach(%x)", True),
    ("aten::to.dtype(%x, 6, False, False, None)", True),
    ("aten::to.dtype(%x, 6, False, True, None)", False),
    ("aten::to.dtype(%x, 6, False, False, 2)", False),
    ("aten::to.dtype(%x, 7, False, False, None)", False),
    ("aten::view(%x, [2, 3])", True),
    ("aten::reshape(%x, [2, -1])", True),
    ("aten::reshape(%x, [3, 2])", False),
    ("aten::flatten.using_ints(%x, 1, -1)", True),
    ("aten::flatten.using_ints(%x, 0, -1)", False),
    ("aten::expand(%x, [-1, 3], False)", True),
    ("aten::expand(%x, [4, 2, 3], False)", False),
    ("aten::permute(%x, [0, 1])", True),
    ("aten::permute(%x, [1, 0])", False),
    ("aten::transpose.int(%x, 1, 1)", True),
    ("aten::contiguous(%x, 0)", False),
]


@pytest.mark.parametrize(("line", "drops"), IDENTITIES)
def test_identities(line: str, drops: bool):
    assert one(drop_identities, line, F) == ("yield %x" if drops else "yield %2")


def test_an_order_that_refuses_other_ranks_stays():
    text = """
        (%self, %x: Tensor float32)
        %y = aten::permute(%x, [0, 1])
        yield %y
    """
    made = read_graph(text)
    assert drop_identities(made, SCHEMAS).changed == 0


COPIES = [
    ("aten::clone(%r, None)", True),
    ("aten::clone(%r, 0)", False),
    ("aten::mul.Scalar(%r, 1)", True),
    ("aten::mul.Scalar(%r, 2)", False),
    ("aten::div.Scalar(%r, 1.0)", True),
    ("aten::cat(%l, 0)", True),
]


@pytest.mark.parametrize(("line", "drops"), COPIES)
def test_copies(line: str, drops: bool):
    text = f"""
        (%self, %x: Tensor float32 2,3)
        %r = aten::relu(%x)
        %l = prim::ListConstruct(%r)
        %y = {line}
        {{}}
        %z = aten::cos(%y)
        yield {{}}
    """
    reads = after(drop_identities, text.format("", "%z"))
    assert ("aten::cos(%2)" in reads[-2]) == drops
    for change, output in (
        ("%w = aten::zero_(%r)", "%z"),
        ("%w = aten::zero_(%y)", "%z"),
        ("", "%y"),
    ):
        graph = read_graph(text.format(change, output))
        infer(graph, SCHEMAS)
        assert drop_identities(graph, SCHEMAS).changed == 0


def test_integers_times_one_keep_their_dtype():
    assert one(drop_identities, "aten::mul.Scalar(%x, 1.0)", "%x: Tensor int64 3") == "yield %2"


def test_bytes_seen_as_another_dtype_are_something_else():
    source = read_graph("(%self, %x: Tensor float32 2,2)\n%y = aten::view.dtype(%x, 3)\nyield %y")
    # A program of torch.export knows the sizes of all values.
    source.block.nodes[0].output.info = TensorInfo("int32", (2, 2))
    assert drop_identities(source, SCHEMAS).changed == 0


def test_a_dropped_dimension_that_is_put_back():
    assert (
        after(
            drop_identities,
            """
        (%self, %x: Tensor float32 2,3,1,4, %z: Tensor float32 2,3,?,4)
        %a = aten::squeeze.dim(%x, 2)
        %b = aten::unsqueeze(%a, 2)
        %c = aten::squeeze.dim(%z, 2)
        %d = aten::unsqueeze(%c, 2)
        yield %b, %d
        """,
        )[-1]
        == "yield %x, %5"
    )


def test_a_changed_tensor_is_named_by_the_result():
    assert after(
        follow_in_place,
        """
        (%self, %x: Tensor, %c: bool)
        %a = aten::cos(%x)
        %b = aten::relu_(%a)
        %d = aten::sin(%a)
        %e = aten::zero_(%a)
        %f = prim::If(%c)
          then
            %g = aten::tanh_(%a)
            %h = aten::sin(%b)
            yield %h
          else
            yield %a
        yield %a, %f
        """,
    ) == [
        "%3 = aten::cos(%x)",
        "%4 = aten::relu_(%3)",
        "%5 = aten::sin(%4)",
        "%6 = aten::zero_(%4)",
        "%7 = prim::If(%c)",
        "  block()",
        "    %8 = aten::tanh_(%6)",
        "    %9 = aten::sin(%8)",
        "    yield %9",
        "  block()",
        "    yield %6",
        "yield %6, %7",
    ]


def test_lists_that_only_grow_are_written_where_they_are_read():
    assert after(
        settle_lists,
        """
        (%self, %x: Tensor)
        %l = prim::ListConstruct(%x) @ {'type': 'List[Tensor]'}
        %a = aten::relu(%x)
        aten::append.t(%l, %a)
        %b = aten::cat(%l, 1)
        %u = aten::append.t(%l, %b)
        %c = aten::cat(%l, 1)
        yield %c
        """,
    ) == [
        "%2 = aten::relu(%x)",
        "%3 = prim::ListConstruct(%x, %2) @ {'type': 'List[Tensor]'}",
        "%4 = aten::cat(%3, 1)",
        "%5 = prim::ListConstruct(%x, %2, %4) @ {'type': 'List[Tensor]'}",
        "%6 = aten::cat(%5, 1)",
        "yield %6",
    ]


@pytest.mark.parametrize(
    "change",
    [
        "%u = aten::append.t(%l, %x)\n%v = aten::append.t(%u, %x)",
        "aten::append.t(%l, %x)\naten::clear.t(%l)",
        "aten::append.t(%l, %x)\n%i = aten::__getitem__.t(%l, 0)",
        "prim::Loop(3, True)\n  do(%i)\n    aten::append.t(%l, %x)\n    yield True",
    ],
)
def test_other_lists_stay(change: str):
    made = "(%self, %x: Tensor)\n%l = prim::ListConstruct(%x)"
    graph = read_graph(f"{made}\n{change}\n%c = aten::cat(%l, 1)\nyield %c")
    assert settle_lists(graph, SCHEMAS).changed == 0
