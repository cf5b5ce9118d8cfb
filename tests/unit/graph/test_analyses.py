"""Aliases, effects, and shapes of graphs."""

from __future__ import annotations

import pytest

from builder.graph.aliases import Aliases
from builder.graph.effects import is_pure, may_draw
from builder.graph.graph import TensorInfo
from builder.graph.shapes import infer
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph, tensor

SCHEMAS = load_schemas()


def aliases(text: str):
    graph = read_graph(text)
    named = {value.name: value for value in graph.block.inputs}
    nodes = {}
    for _, node in graph.block.walk():
        named |= {value.name: value for value in node.outputs if value.name}
        nodes[node.operator] = node
    return Aliases(graph, SCHEMAS), named, nodes


def test_a_view_is_written_with_its_base():
    found, named, nodes = aliases("""
        (%self, %x: Tensor)
        %y = aten::relu(%x)
        %z = aten::sigmoid(%y)
        %v = aten::view(%y, [2])
        %w = aten::add_.Tensor(%v, %z, 1)
        yield %z
    """)
    assert [n for n in named if found.is_written(named[n])] == ["y", "v", "w"]
    assert found.is_written_after(named["y"], nodes["aten::sigmoid"])
    assert not found.is_written_after(named["y"], nodes["aten::add_.Tensor"])
    assert found.escapes(named["z"])
    assert not found.escapes(named["y"])


def test_dropout_is_an_alias_though_its_schema_does_not_say_so():
    found, named, _ = aliases("""
        (%self, %x: Tensor)
        %y = aten::relu(%x)
        %v = aten::dropout(%y, 0.5, False)
        %w = aten::zero_(%v)
        yield %y
    """)
    assert found.is_written(named["y"])
    assert not found.is_written(named["x"])


def test_items_of_a_list_are_one_set_only_if_the_list_is_more_than_read():
    text = """
        (%self, %x: Tensor)
        %a = aten::relu(%x)
        %b = aten::sigmoid(%x)
        %l = prim::ListConstruct(%a, %b)
        %c = {}
        %w = aten::zero_(%b)
        yield %c
    """
    read, named, _ = aliases(text.format("aten::cat(%l, 1)"))
    assert not read.is_written(named["a"])
    kept, named, _ = aliases(text.format("aten::__getitem__.t(%l, 0)"))
    assert kept.is_written(named["a"])


def test_what_a_branch_or_loop_writes_is_written_outside():
    found, named, nodes = aliases("""
        (%self, %x: Tensor, %c: bool)
        %a = aten::relu(%x)
        %s = aten::sigmoid(%a)
        %b = prim::If(%c)
          then
            yield %a
          else
            yield %s
        %d = prim::Loop(3, True, %b)
          do(%i, %e)
            %f = aten::zero_(%e)
            yield True, %f
        yield %c
    """)
    assert all(found.is_written(named[name]) for name in "absdf")
    # Each turn of the loop comes after any node inside of it.
    assert found.is_written_after(named["a"], nodes["aten::zero_"])


def test_attributes_of_one_slot_are_one_set_and_unknown_calls_write_everything():
    found, named, _ = aliases("""
        (%self, %x: Tensor)
        %a = prim::GetAttr(%self) @ {'slot': 3}
        %b = prim::GetAttr(%self) @ {'slot': 3}
        %k = prim::GetAttr(%self) @ {'slot': 4}
        %w = aten::zero_(%b)
        %y = prim::CallFunction(%k) @ {'name': 'f'}
        yield %y
    """)
    assert found.is_written(named["a"])
    assert found.is_written(named["k"])
    assert not found.is_written(named["x"])


def test_training_batch_norm_writes_its_statistics():
    text = """
        (%self, %x: Tensor, %m: Tensor)
        %a = aten::relu(%m)
        %y = aten::batch_norm(%x, None, None, %a, %a, {}, 0.1, 1e-05, True)
        yield %y
    """
    trained, named, nodes = aliases(text.format(True))
    assert trained.is_written(named["a"])
    assert not is_pure(nodes["aten::batch_norm"], SCHEMAS)
    evaluated, named, nodes = aliases(text.format(False))
    assert not evaluated.is_written(named["a"])
    assert is_pure(nodes["aten::batch_norm"], SCHEMAS)


COPIES = [
    ("%m = prim::ListConstruct(%b)", "%k = aten::add.t(%l, %m)"),
    ("", "%k = aten::mul.left_t(%l, 2)"),
    ("", "%k = aten::slice.t(%l, None, 1, 1)"),
    ("", "%k = aten::list.t(%l)"),
    ("%k = prim::ListConstruct()", "aten::extend.t(%k, %l)"),
    ("%d = prim::DictConstruct('a', %a)", "%k = aten::values.str(%d)"),
    ("%d = prim::DictConstruct('a', %a)", "%k = aten::get.str(%d, 'a')"),
    ("%d = prim::DictConstruct('a', %b)", "%k = aten::get.default_str(%d, 'c', %a)"),
]


@pytest.mark.parametrize(("before", "line"), COPIES)
def test_a_copy_of_a_container_holds_the_same_items(before: str, line: str):
    found, named, _ = aliases(f"""
        (%self, %x: Tensor)
        %a = aten::relu(%x)
        %b = aten::sigmoid(%x)
        %l = prim::ListConstruct(%a)
        {before}
        {line}
        %t = aten::__getitem__.t(%k, 0)
        %w = aten::zero_(%t)
        yield %a
    """)
    assert found.is_written(named["a"])
    assert not found.is_written(named["x"])


def test_parts_of_a_tensor_do_not_share_memory_with_the_list_of_their_sizes():
    found, named, _ = aliases("""
        (%self, %x: Tensor)
        %a = aten::relu(%x)
        %s: List[int] = aten::size(%x)
        %l = aten::split_with_sizes(%a, %s, 0)
        %k = aten::append.t(%s, 1)
        yield %l
    """)
    assert not found.is_written(named["a"])


@pytest.mark.parametrize(
    ("line", "reshaped"),
    [
        ("aten::unsqueeze_(%v, 0)", True),
        ("aten::transpose_(%v, 0, 1)", True),
        ("aten::swapaxes_(%v, 0, 1)", True),
        ("aten::squeeze_.dim(%v, 0)", True),
        ("aten::resize_as_(%v, %b, None)", True),
        ("aten::set_.source_Tensor(%b, %v)", True),
        ("aten::add.out(%b, %b, 1, %v)", True),
        ("prim::CallMethod(%self, %v) @ {'name': 'f'}", True),
        ("aten::copy_(%v, %b, False)", False),
        ("aten::relu_(%v)", False),
        ("aten::detach_(%v)", False),
        ("aten::unsqueeze(%v, 0)", False),
    ],
)
def test_tensors_whose_shape_changes_in_place_have_no_shape(line: str, reshaped: bool):
    graph = read_graph(f"""
        (%self, %x: Tensor float32 2,3)
        %a = aten::relu(%x)
        %b = aten::sigmoid(%x)
        %v = aten::detach(%a)
        %w = {line}
        yield %a, %b
    """)
    infer(graph, SCHEMAS)
    sizes = None if reshaped else (2, 3)
    assert graph.block.outputs[0].info == TensorInfo("float32", sizes)


NORMS = [
    "aten::instance_norm(%x, None, None, %a, %a, {}, 0.1, 1e-05, True)",
    "aten::native_batch_norm(%x, None, None, %a, %a, {}, 0.1, 1e-05)",
    "aten::_batch_norm_impl_index(%x, None, None, %a, %a, {}, 0.1, 1e-05, True)",
]


@pytest.mark.parametrize("line", NORMS)
def test_all_norms_write_their_statistics(line: str):
    text = "(%self, %x: Tensor, %m: Tensor)\n%a = aten::relu(%m)\n%y = {}\nyield %y"
    for trains in (True, False):
        found, named, nodes = aliases(text.format(line.format(trains)))
        assert found.is_written(named["a"]) is trains
        assert is_pure(nodes[line.partition("(")[0]], SCHEMAS) is not trains
    without = text.format(line.format(True).replace("%a", "None"))
    _, _, nodes = aliases(without)
    assert is_pure(nodes[line.partition("(")[0]], SCHEMAS)


def test_every_operator_with_a_generator_or_dropout_may_draw():
    drawing = [
        name
        for name in SCHEMAS
        if any(
            one.type.startswith("Generator") or one.name in ("dropout", "dropout_p")
            for one in SCHEMAS.find(name).arguments
        )
    ]
    assert len(drawing) > 100
    assert [name for name in drawing if not may_draw(name)] == []


@pytest.mark.parametrize(
    ("line", "pure"),
    [
        ("aten::relu(%x)", True),
        ("aten::relu_(%x)", False),
        ("aten::rand_like(%x, None, None, None, None, None)", False),
        ("aten::dropout(%x, 0.5, True)", False),
        ("aten::dropout(%x, 0.5, False)", True),
        ("aten::dropout(%x, 0.0, True)", True),
        ("aten::native_dropout(%x, 0.0, None)", False),
        ("aten::native_dropout(%x, 0.5, False)", True),
        ("aten::_fused_dropout(%x, 0.5, None)", False),
        ("aten::exponential(%x, 1.0, None)", False),
        ("aten::_sample_dirichlet(%x, None)", False),
        ("aten::_scaled_dot_product_flash_attention_for_cpu(%x, %x, %x, 0.1, False, None, None)",
         False),
        ("aten::_scaled_dot_product_flash_attention_for_cpu(%x, %x, %x, 0.0, False, None, None)",
         True),
        ("custom::operator(%x)", False),
        ("prim::GetAttr(%self) @ {'slot': 0}", True),
        ("prim::CallMethod(%self) @ {'name': 'f'}", False),
        ("aten::add.out(%x, %x, 1, %x)", False),
    ],
)  # fmt: skip
def test_purity(line: str, pure: bool):
    graph = read_graph(f"(%self, %x: Tensor)\n%y = {line}\nyield %y")
    (node,) = [n for n in graph.block.nodes if n.outputs[0].name == "y"]
    assert is_pure(node, SCHEMAS) is pure


def test_prints_are_not_pure():
    graph = read_graph("(%self, %x: Tensor)\nprim::Print(%x)\nyield %x")
    assert not is_pure(graph.block.nodes[0], SCHEMAS)


N = None
X = "float32 1,6,9,8"
INFERRED = [
    (X, "aten::conv2d(%x, W, None, [2, 2], [1, 1], [1, 1], 1)", "float32", (1, 5, 5, 4)),
    ("float32 ?,6,9,8", "aten::conv2d(%x, W, None, [1, 1], [0, 0], [2, 2], 1)", "float32",
     (N, 5, 5, 4)),
    ("?", "aten::conv2d(%x, W, None, [1, 1], [0, 0], [1, 1], 1)", "float32", None),
    (X, "aten::conv_transpose2d.input(%x, V, None, [2, 2], [1, 1], [1, 1], 2, [1, 1])", "float32",
     (1, 8, 18, 16)),
    (X, "aten::_convolution(%x, W, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, False, False,"
     " False, True)", "float32", (1, 5, 9, 8)),
    (X, "aten::linear(%x, M, None)", "float32", (1, 6, 9, 2)),
    (X, "aten::matmul(%x, T)", "float32", (1, 6, 9, 2)),
    (X, "aten::add.Tensor(%x, B, 1)", "float32", (1, 6, 9, 8)),
    (X, "aten::add.Tensor(%x, I, 1)", None, (1, 6, 9, 8)),
    ("int64 3", "aten::mul.Scalar(%x, 2)", "int64", (3,)),
    ("int64 3", "aten::mul.Scalar(%x, 2.0)", None, (3,)),
    ("int64 3", "aten::sigmoid(%x)", None, (3,)),
    ("float32 3", "aten::gt.Scalar(%x, 2)", "bool", (3,)),
    (X, "aten::max_pool2d(%x, [3, 3], [2, 2], [1, 1], [1, 1], False)", "float32", (1, 6, 5, 4)),
    (X, "aten::avg_pool2d(%x, [2, 2], [], [0, 0], False, True, None)", "float32", (1, 6, 4, 4)),
    (X, "aten::avg_pool2d(%x, [2, 2], [], [0, 0], True, True, None)", "float32", (1, 6, N, N)),
    (X, "aten::adaptive_avg_pool2d(%x, [1, 1])", "float32", (1, 6, 1, 1)),
    (X, "aten::flatten.using_ints(%x, 1, -1)", "float32", (1, 432)),
    (X, "aten::view(%x, [1, -1, 8])", "float32", (1, 54, 8)),
    ("float32 ?,6", "aten::view(%x, [2, -1])", "float32", (2, N)),
    (X, "aten::permute(%x, [0, 2, 3, 1])", "float32", (1, 9, 8, 6)),
    (X, "aten::transpose.int(%x, 1, -1)", "float32", (1, 8, 9, 6)),
    (X, "aten::unsqueeze(%x, -1)", "float32", (1, 6, 9, 8, 1)),
    (X, "aten::squeeze.dim(%x, 0)", "float32", (6, 9, 8)),
    (X, "aten::squeeze.dim(%x, 1)", "float32", (1, 6, 9, 8)),
    (X, "aten::select.int(%x, 1, 0)", "float32", (1, 9, 8)),
    (X, "aten::slice.Tensor(%x, 2, 1, 9223372036854775807, 2)", "float32", (1, 6, 4, 8)),
    (X, "aten::mean.dim(%x, [2, 3], False, None)", "float32", (1, 6)),
    (X, "aten::sum.dim_IntList(%x, [-1], True, None)", "float32", (1, 6, 9, 1)),
    ("int64 3", "aten::sum.dim_IntList(%x, [0], True, None)", None, (1,)),
    ("int64 2,4", "aten::embedding(M, %x, -1, False, False)", "float32", (2, 4, 8)),
    (X, "aten::softmax.int(%x, 1, None)", "float32", (1, 6, 9, 8)),
    (X, "aten::to.dtype(%x, 4, False, False, None)", "int64", (1, 6, 9, 8)),
    (X, "aten::upsample_nearest2d(%x, [18, 16], None, None)", "float32", (1, 6, 18, 16)),
    (X, "aten::constant_pad_nd(%x, [1, 2, 3, 4], 0)", "float32", (1, 6, 16, 11)),
    (X, "aten::batch_norm(%x, None, None, None, None, False, 0.1, 1e-05, True)", "float32",
     (1, 6, 9, 8)),
    (X, "aten::relu_(%x)", "float32", (1, 6, 9, 8)),
    ("complex64 3", "aten::abs(%x)", None, (3,)),
    ("bool 3", "aten::square(%x)", None, (3,)),
    ("int64 3", "aten::square(%x)", "int64", (3,)),
    (X, "aten::exp.out(%x, %o)", None, None),
    (X, "aten::made_up(%x)", None, None),
    (X, "aten::bincount(%x, None, 0)", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("given", "line", "dtype", "sizes"), INFERRED)
def test_shapes(given: str, line: str, dtype: str | None, sizes: tuple[int | None, ...] | None):
    graph = read_graph(
        f"(%self, %x: Tensor {given}, %o: Tensor)\n%y = {line}\nyield %y",
        W=ramp(5, 6, 3, 3),
        V=ramp(6, 4, 3, 3),
        M=ramp(2, 8),
        T=ramp(8, 2),
        B=ramp(6, 1, 1),
        I=tensor(1, 2, 3, 4, 5, 6, shape=(6, 1, 1), dtype="int64"),
    )
    infer(graph, SCHEMAS)
    found = graph.block.outputs[0].info or TensorInfo()
    assert (found.dtype, found.sizes) == (dtype, sizes)


def test_a_number_of_unknown_kind_may_make_complex_results():
    graph = read_graph("""
        (%self, %x: Tensor float32 2, %c: Tensor)
        %n = aten::item(%c)
        %y = aten::mul.Scalar(%x, %n)
        yield %y
    """)
    graph.block.nodes[0].output.type = "Scalar"
    infer(graph, SCHEMAS)
    assert graph.block.outputs[0].info == TensorInfo(None, (2,))


IMAGE = "float32 ?,4,?,?"
LIST, ITEM = "%l = prim::ListConstruct(%x)\n", "%r = aten::__getitem__.t(%l, 0)"


@pytest.mark.parametrize(
    ("steps", "rank"),
    [
        ("%r = aten::mean.dim(%x, [0], False, None)", 3),
        ("%r = aten::mean.dim(%x, None, False, None)", 0),
        ("%r = aten::mean.dim(%x, None, True, None)", 4),
        ("%r = aten::mean(%x, None)", 0),
        ("%r = aten::amax(%x, [0, 1], False)", 2),
        ("%r = aten::amax(%x, [], False)", None),
        ("%r, %i = aten::max.dim(%x, 1, False)", 3),
        ("%r = aten::max(%x)", 0),
        ("%r = aten::max.other(%x, %k)", 4),
        ("%r = aten::argmax(%x, None, False)", 0),
        ("%r, %i = aten::sort(%x, 0, False)", 4),
        ("%r = aten::squeeze(%x)", None),
        ("%r = aten::squeeze.dim(%x, 0)", None),
        ("%r = aten::index_select(%x, 0, %k)", 4),
        ("%r = aten::masked_fill.Scalar(%k, %x, 1)", 4),
        (LIST + '%r = aten::einsum("bchw->chw", %l, None)', 3),
        ("%l = prim::ListConstruct(%x, %x)\n%r = aten::stack(%l, 0)", 5),
        ("%l = aten::unbind.int(%x, 0)\n%r, %i = prim::ListUnpack(%l)", 3),
        ("%l = aten::split.Tensor(%x, 2, 1)\n" + ITEM, 4),
        # A list that changes, or that has a second name.
        ("%l = aten::chunk(%x, 2, 1)\n%m = aten::append.t(%l, %k)\n" + ITEM, None),
        (LIST + "%m = aten::append.t(%l, %k)\n%r = aten::cat(%l, 0)", None),
        (LIST + "%m = aten::append.t(%l, %x)\n" + ITEM, 4),
        (LIST + "%s = aten::_set_item.t(%l, 0, %k)\n" + ITEM, None),
        (LIST + "%o = prim::ListConstruct(%l)\n" + ITEM, None),
        ("%l = prim::ListConstruct(%x, %k)\n" + ITEM, 4),
        ("%l = prim::ListConstruct(%x, %k)\n%r = aten::__getitem__.t(%l, -1)", 1),
        ("%l = prim::ListConstruct(%x, %k)\n%r = aten::pop.t(%l, -1)", None),
        ("%l = prim::TupleConstruct(%x, %k)\n%r, %i = prim::TupleUnpack(%l)", 4),
        ('%l = prim::DictConstruct("a", %x, "b", %x)\n%r = prim::DictIndex(%l, "a")', 4),
        ('%l = prim::DictConstruct("a", %x, "b", %k)\n%r = prim::DictIndex(%l, "a")', None),
        # Sizes that are a list of the graph.
        ("%s = aten::size(%x)\n%t = aten::slice.t(%s, 1, None, 1)\n%r = aten::view(%x, %t)", 3),
        (
            "%s = prim::ListConstruct(1, 2)\n%t = aten::append.t(%s, 3)\n%r = aten::view(%x, %s)",
            None,
        ),
        ("%s = aten::size(%x)\n%t = aten::add.t([1], %s)\n%r = aten::reshape(%x, %t)", 5),
        ("%l = prim::ListConstruct(None, %k)\n%r = aten::index.Tensor(%x, %l)", 4),
        ("%l = prim::ListConstruct(%b)\n%r = aten::index.Tensor(%x, %l)", None),
        ("%r = aten::copy_(%x, %k, False)", 4),
        ("%r = aten::unsqueeze_(%x, 0)", None),
        ("%r = aten::bincount(%x, None, 0)", None),
    ],
)
def test_numbers_of_dimensions(steps: str, rank: int | None):
    graph = read_graph(
        f"(%self, %x: Tensor {IMAGE}, %k: Tensor int64 3, %b: Tensor bool ?,?)\n{steps}\nyield %r"
    )
    infer(graph, SCHEMAS)
    info = graph.block.outputs[0].info
    assert (None if info is None or info.sizes is None else len(info.sizes)) == rank


@pytest.mark.parametrize(
    ("turn", "rank"),
    [
        ("%t = aten::relu(%v)", 4),
        ("%t = aten::unsqueeze(%v, 0)", None),
        ("%t = aten::squeeze(%v)", None),
        ("%t = aten::relu(%w)", 4),
    ],
)
def test_what_a_loop_carries_keeps_its_rank_if_each_turn_does(turn: str, rank: int | None):
    graph = read_graph(
        f"""
        (%self, %x: Tensor {IMAGE})
        %y, %z = prim::Loop(3, True, %x, %x)
          do(%i, %v, %w)
            {turn}
            %u = aten::relu(%w)
            yield True, %t, %u
        yield %y
        """
    )
    infer(graph, SCHEMAS)
    info = graph.block.outputs[0].info
    assert (None if info is None or info.sizes is None else len(info.sizes)) == rank


@pytest.mark.parametrize(("number", "rank"), [(3, 4), (4, 5)])
def test_a_branch_that_a_rank_decides(number: int, rank: int):
    graph = read_graph(
        f"""
        (%self, %x: Tensor {IMAGE})
        %n = aten::dim(%x)
        %c = aten::eq.int(%n, {number})
        %y = prim::If(%c)
          then
            %u = aten::unsqueeze(%x, 0)
            yield %u
          else
            yield %x
        yield %y
        """
    )
    infer(graph, SCHEMAS)
    info = graph.block.outputs[0].info
    assert info is not None
    assert info.sizes is not None
    assert len(info.sizes) == rank


def test_bytes_seen_as_another_dtype_have_no_known_type():
    graph = read_graph("(%self, %x: Tensor float32 2,2)\n%y = aten::view.dtype(%x, 3)\nyield %y")
    infer(graph, SCHEMAS)
    assert graph.block.outputs[0].info is None


def test_all_sizes_tell_what_is_squeezed():
    graph = read_graph("(%self, %x: Tensor float32 1,4,1,6)\n%y = aten::squeeze(%x)\nyield %y")
    infer(graph, SCHEMAS)
    assert graph.block.outputs[0].info == TensorInfo("float32", (4, 6))


def test_branches_tell_what_both_have():
    graph = read_graph("""
        (%self, %x: Tensor float32 2,3, %z: Tensor float32 2,4, %c: bool)
        %y = prim::If(%c)
          then
            %a = aten::relu(%x)
            yield %a
          else
            yield %z
        %l = prim::ListConstruct(%x, %z)
        %k = aten::cat(%l, 1)
        yield %y, %k
    """)
    infer(graph, SCHEMAS)
    assert [value.info for value in graph.block.outputs] == [
        TensorInfo("float32", (2, None)),
        TensorInfo("float32", (2, 7)),
    ]


def test_what_was_known_before_is_kept():
    graph = read_graph("(%self, %x)\n%y: Tensor = aten::nonzero(%x)\nyield %y")
    graph.block.outputs[0].info = TensorInfo("int64", (None, 2))
    infer(graph, SCHEMAS)
    assert graph.block.outputs[0].info == TensorInfo("int64", (None, 2))
