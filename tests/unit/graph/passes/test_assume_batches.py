"""Methods check for the batch dimension that their layers profit from."""

from __future__ import annotations

import numpy as np
import pytest

from builder.graph.graph import Graph
from builder.graph.guards import find_guards
from builder.graph.lift import lift_program
from builder.graph.lower import lower_program
from builder.graph.optimise import Optimisations, optimise
from builder.graph.passes.assume_batches import assume_batches, drop_guards
from builder.graph.passes.fold_shapes import fold_shapes
from builder.graph.shapes import infer
from builder.graph.tensor_arrays import to_tensor
from builder.graph.well_formed import check_program
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph, read_program, write_graph

SCHEMAS = load_schemas()
CONVOLUTION = "aten::conv2d(%{}, W, None, [1, 1], [1, 1], [1, 1], 1)"
NORM = "aten::batch_norm(%{}, None, None, M, M, False, 0.1, 1e-5, True)"
POSITIVE = to_tensor(np.arange(1, 5, dtype=np.float32))
POOL = "aten::max_pool2d(%{}, [2, 2], [2, 2], [0, 0], [1, 1], False)"


def method(*steps: str, given: str = "%x: Tensor") -> Graph:
    """Returns a method whose results are what its last step makes."""
    names = "abcdefgh"
    lines = [f"%{name} = {step}" for name, step in zip(names, steps, strict=False)]
    last = names[len(steps) - 1]
    graph = read_graph(
        "\n".join([f"(%self, {given})", *lines, f"yield %{last}"]),
        W=ramp(4, 4, 3, 3),
        V=ramp(4, 4, 3),
        M=POSITIVE,
    )
    infer(graph, SCHEMAS)
    return graph


def assumed(graph: Graph, *ranks: int | None, **wanted: bool) -> dict[str, int]:
    assume_batches(graph, SCHEMAS, ranks, **wanted)
    found = find_guards(graph.block)
    return {value.name: rank for value, (_, rank) in found.items()}


@pytest.mark.parametrize(
    ("steps", "ranks", "wanted"),
    [
        ([CONVOLUTION.format("x")], (), {"x": 4}),
        ([CONVOLUTION.format("x")], (4,), {"x": 4}),
        # A sample without a batch, so the file has to take such images.
        ([CONVOLUTION.format("x")], (3,), {}),
        (["aten::conv1d(%x, V, None, [1], [1], [1], 1)"], (), {"x": 3}),
        (["aten::unsqueeze(%x, 0)", CONVOLUTION.format("a")], (), {"x": 3}),
        (["aten::relu(%x)", CONVOLUTION.format("a"), CONVOLUTION.format("b")], (), {"x": 4}),
        # Nothing is gained.
        ([POOL.format("x"), "aten::dim(%a)"], (), {}),
        (["aten::relu(%x)"], (4,), {}),
        # What is dropped may be the batch, unless a sample tells that it is not.
        (["aten::select.int(%x, 0, 0)", CONVOLUTION.format("a")], (), {}),
        (["aten::select.int(%x, 0, 0)", CONVOLUTION.format("a")], (4,), {}),
        (["aten::select.int(%x, 0, 0)", CONVOLUTION.format("a")], (5,), {"x": 5}),
        (["aten::mean.dim(%x, [0], False, None)", CONVOLUTION.format("a")], (4,), {}),
        (["aten::squeeze(%x)", CONVOLUTION.format("a")], (), {}),
        (["aten::squeeze(%x)", CONVOLUTION.format("a")], (4,), {}),
        # Some unknown operator.
        (["aten::bincount(%x, None, 0)", CONVOLUTION.format("a")], (), {}),
        # The model tells what the rank is.
        (["aten::permute(%x, [0, 3, 1, 2])", CONVOLUTION.format("a")], (), {}),
    ],
)
def test_which_batches_are_assumed(
    steps: list[str], ranks: tuple[int, ...], wanted: dict[str, int]
):
    graph = method(*steps)
    before = [value.info for node in graph.block.nodes for value in node.outputs]
    assert assumed(graph, *ranks) == wanted
    # Trials leave nothing behind.
    after = [value.info for node in graph.block.nodes for value in node.outputs]
    assert after[len(after) - len(before) :] == before


def test_only_arguments_that_matter_are_checked():
    steps = ["aten::add.Tensor(%x, %y, 1)", CONVOLUTION.format("a"), "aten::relu(%z)"]
    given = "%x: Tensor, %y: Tensor, %z: Tensor"
    assert assumed(method(*steps, given=given)) == {"x": 4, "y": 4}
    assert assumed(method(*steps, given=given), 4, 1, 2) == {"x": 4, "y": 1}
    assert assumed(method(*steps, given=given), 4, None, 2) == {}


def test_nothing_is_assumed_of_numbers_and_of_tensors_that_change_their_shape():
    assert assumed(method(CONVOLUTION.format("x"), given="%x: int")) == {}
    assert assumed(method("aten::unsqueeze_(%x, 0)", CONVOLUTION.format("x"))) == {}


def test_without_packing_there_has_to_be_another_gain():
    steps = [CONVOLUTION.format("x"), NORM.format("a")]
    assert assumed(method(*steps[:1]), packs=False) == {}
    assert assumed(method(*steps), packs=False) == {"x": 4}
    assert assumed(method(*steps), packs=False, folds=False) == {}
    assert assumed(method(CONVOLUTION.format("x"), "aten::dim(%a)"), packs=False) == {}
    # A norm beside another layer is no gain.
    steps = ["aten::relu(%x)", CONVOLUTION.format("a"), "aten::relu(%b)", NORM.format("c")]
    assert assumed(method(*steps), packs=False) == {}


VOLUME = "aten::conv3d(%{}, V3, None, [1, 1, 1], [1, 1, 1], [1, 1, 1], 1)"


@pytest.mark.parametrize("ranks", [(), (5,), (3,), (4,)])
@pytest.mark.parametrize(
    "step",
    [
        VOLUME,
        "aten::conv_transpose1d(%{}, V, None, [1], [1], [0], 1, [1])",
        "aten::convolution(%{}, V, None, [1], [1], [1], True, [0], 1)",
        # Weights that are no constants, or no float32.
        "aten::conv2d(%{}, %w, None, [1, 1], [1, 1], [1, 1], 1)",
        "aten::conv2d(%{}, D, None, [1, 1], [1, 1], [1, 1], 1)",
    ],
)
def test_layers_that_xnnpack_does_not_have_need_no_batch(step: str, ranks: tuple[int, ...]):
    text = f"(%self, %x: Tensor, %w: Tensor)\n%a = {step.format('x')}\n"
    double = to_tensor(np.ones((4, 4, 3, 3), np.float64))
    weights = {"V": ramp(4, 4, 3), "V3": ramp(4, 4, 3, 3, 3), "D": double, "M": POSITIVE}
    graph = read_graph(f"{text}yield %a", **weights)
    infer(graph, SCHEMAS)
    assert assumed(graph, *ranks) == {}
    if step == VOLUME and ranks in ((), (5,)):
        graph = read_graph(f"{text}%b = {NORM.format('a')}\nyield %b", **weights)
        infer(graph, SCHEMAS)
        assert assumed(graph, *ranks) == {"x": 5}


BRANCH = """(%self, %x: Tensor, %m: Tensor, %c: bool)
%a = aten::relu(%x)
{lines}
%b = prim::If(%c)
  then
    %d = aten::conv2d(%{image}, W, None, [1, 1], [1, 1], [1, 1], 1)
    yield %d
  else
    yield %a
yield %b"""


@pytest.mark.parametrize("image", ["a", "m"])
def test_layers_that_do_not_run_in_each_call_do_not_count(image: str):
    text = BRANCH.format(image=image, lines="")
    graph = read_graph(text, W=ramp(4, 4, 3, 3))
    infer(graph, SCHEMAS)
    assert assumed(graph) == {}
    assert assumed(graph, 4, 4, None) == {}


def test_layers_in_a_loop_do_not_count():
    graph = read_graph(
        """
        (%self, %x: Tensor, %n: int)
        %b = prim::Loop(%n, True, %x)
          do(%i, %y)
            %d = aten::conv2d(%y, W, None, [1, 1], [1, 1], [1, 1], 1)
            yield True, %d
        yield %b
        """,
        W=ramp(4, 4, 3, 3),
    )
    infer(graph, SCHEMAS)
    assert assumed(graph) == {}


ASKING = {
    "dim": "%n = aten::dim(%x)",
    "of_a_copy": "%u = aten::contiguous(%x, 0)\n%n = aten::dim(%u)",
    "length_of_sizes": "%s = aten::size(%x)\n%n = aten::len.t(%s)",
    "of_a_quotient": "%u = aten::div.Scalar(%x, 255)\n%n = aten::dim(%u)",
    "of_a_list": "%l = prim::ListConstruct(%x, %x)\n%u = aten::cat(%l, -1)\n%n = aten::dim(%u)",
    "of_the_second": "%o = aten::relu(M)\n%u = aten::mul.Tensor(%o, %x)\n%n = aten::dim(%u)",
    "length_of_some_sizes": "%s = aten::size(%x)\n%t = aten::slice.t(%s, 1, None, 1)\n"
    "%n = aten::len.t(%t)",
    "length_of_a_list": "%s = aten::size(%x)\n%t = aten::list.t(%s)\n%n = aten::len.t(%t)",
    "equal_sizes": "%s = aten::size(%x)\n%e = aten::eq.int_list(%s, [1, 2])\n"
    "%n = aten::Int.bool(%e)",
    "length_of_strides": "%s = aten::stride(%x)\n%n = aten::len.t(%s)",
    "number_of_elements": "%n = aten::numel(%x)",
    "indices": "%s = aten::nonzero(%x)\n%n = aten::size.int(%s, 1)",
    "sizes_as_a_tensor": "%s = aten::_shape_as_tensor(%x)\n%n = aten::size.int(%s, 0)",
    "some_size": "%i = aten::dim(%x)\n%n = aten::size.int(%x, %i)",
    "called": "%u = aten::relu(%x)\n%n = prim::CallMethod(%self, %u) @ {'name': 'rank'}",
    "kept_in_a_list": "%d = aten::dim(%x)\n%l = prim::ListConstruct()\n"
    "%k = aten::append.t(%l, %d)\n%n = aten::__getitem__.t(%l, 0)",
    "of_what_a_list_keeps": "%l = prim::ListConstruct()\n%k = aten::append.t(%l, %x)\n"
    "%u = aten::__getitem__.t(%l, 0)\n%n = aten::dim(%u)",
    "kept_in_a_tensor": "%d = aten::dim(%x)\n%t = aten::clone(M, None)\n"
    "%k = aten::fill_.Scalar(%t, %d)\n%n = aten::Int.Tensor(%t)",
    "kept_in_an_attribute": "%d = aten::dim(%x)\nprim::SetAttr(%self, %d) @ {'slot': 0}\n"
    "%n = prim::GetAttr(%self) @ {'slot': 0}",
    "counted_by_a_loop": "%d = aten::dim(%x)\n%n = prim::Loop(2, True, 0)\n"
    "  do(%i, %y)\n    yield True, %d",
    "of_another_rank": "%u = aten::flatten.using_ints(%x, -2, -1)\n%n = aten::dim(%u)",
}


@pytest.mark.parametrize("lines", ASKING.values(), ids=ASKING)
def test_a_rank_that_decides_is_not_guessed(lines: str):
    text = f"(%self, %x: Tensor)\n{lines}\n%a = {CONVOLUTION.format('x')}\n"
    text += "%c = aten::eq.int(%n, 3)\n%b = prim::If(%c)\n  then\n    yield %x\n"
    text += "  else\n    yield %a\nyield %b"
    graph = read_graph(text, W=ramp(4, 4, 3, 3), M=ramp(4))
    infer(graph, SCHEMAS)
    assert assumed(graph) == {}
    result = assume_batches(graph, SCHEMAS, (4,))
    assert result.changed == 1
    # The model may take others, so the user is told.
    assert "takes x with 4 dimensions only" in result.left[0]


def test_what_a_layer_made_may_be_asked_for_its_rank():
    text = f"(%self, %x: Tensor)\n%a = {CONVOLUTION.format('x')}\n%n = aten::dim(%a)\n"
    text += "%c = aten::eq.int(%n, 3)\n%b = prim::If(%c)\n  then\n    yield %x\n"
    text += "  else\n    yield %a\nyield %b"
    graph = read_graph(text, W=ramp(4, 4, 3, 3))
    infer(graph, SCHEMAS)
    fold_shapes(graph, SCHEMAS)
    assert assumed(graph) == {"x": 4}
    # But what is in front of a layer is the argument.
    graph = read_graph(
        text.replace("dim(%a)", "dim(%r)").replace("%n =", "%r = aten::relu(%x)\n%n ="),
        W=ramp(4, 4, 3, 3),
    )
    infer(graph, SCHEMAS)
    fold_shapes(graph, SCHEMAS)
    assert assumed(graph) == {}


def test_a_check_of_the_model_decides_nothing():
    text = f"(%self, %x: Tensor)\n{CHECK.format(4)}%a = aten::relu(%x)\n"
    text += f"%b = {CONVOLUTION.format('a')}\nyield %b"
    text = text.replace("aten::ne.int(%n, 4)", "aten::eq.int(%n, 2)")
    graph = read_graph(text, W=ramp(4, 4, 3, 3))
    infer(graph, SCHEMAS)
    assert assumed(graph) == {"x": 4}


FAILING = """prim::If(%c)
  then
    prim::RaiseException("words", None)
    yield
  else
    yield
"""


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        # The first guess would make each call fail.
        ("%n = aten::dim(%x)\n%c = aten::eq.int(%n, 4)\n", {}),
        ("%n = aten::dim(%x)\n%c = aten::gt.int(%n, 3)\n", {}),
        ("%n = aten::dim(%x)\n%c = aten::eq.int(%n, 2)\n", {"x": 4}),
        # It is not known whether these do.
        ("%s = aten::size(%x)\n%n = aten::len.t(%s)\n%c = aten::ne.int(%n, 3)\n", {}),
        ("%n = aten::numel(%x)\n%c = aten::gt.int(%n, 64)\n", {}),
        # These do not depend on the number of dimensions.
        ("%n = aten::size.int(%x, 1)\n%c = aten::ne.int(%n, 4)\n", {"x": 4}),
        ("%s = aten::size(%x)\n%t = aten::slice.t(%s, -2, None, 1)\n%n = aten::len.t(%t)\n"
         "%c = aten::ne.int(%n, 2)\n", {"x": 4}),
        ("%s = aten::size(%x)\n%c = aten::__is__(%s, None)\n", {"x": 4}),
    ],
)  # fmt: skip
def test_a_guess_passes_the_checks_of_the_model(lines: str, wanted: dict[str, int]):
    text = f"(%self, %x: Tensor)\n{lines}{FAILING}%b = {CONVOLUTION.format('x')}\nyield %b"
    graph = read_graph(text, W=ramp(4, 4, 3, 3))
    infer(graph, SCHEMAS)
    assert assumed(graph) == wanted


@pytest.mark.parametrize(
    "line",
    [
        "%s = aten::size(%x)\n%p, %q, %r = prim::ListUnpack(%s)",
        "%p = aten::permute(%x, [0, 2, 1])",
    ],
)
def test_a_guess_is_a_rank_that_the_model_takes(line: str):
    text = f"(%self, %x: Tensor)\n{line}\n%b = {CONVOLUTION.format('x')}\nyield %b"
    graph = read_graph(text, W=ramp(4, 4, 3, 3))
    infer(graph, SCHEMAS)
    assert assumed(graph) == {}


def test_a_guess_is_told():
    result = assume_batches(method(CONVOLUTION.format("x")), SCHEMAS)
    assert "takes x with 4 dimensions only" in result.left[0]
    assert assume_batches(method(CONVOLUTION.format("x")), SCHEMAS, (4,)).left == ()


def test_an_argument_of_unknown_type_is_a_tensor_where_a_layer_takes_it():
    assert assumed(method(CONVOLUTION.format("x"), given="%x")) == {"x": 4}
    steps = ["prim::unchecked_cast(%x)", CONVOLUTION.format("a")]
    assert assumed(method(*steps, given="%x")) == {}


CHECK = """%n = aten::dim(%x)
%d = aten::ne.int(%n, {})
prim::If(%d)
  then
    prim::RaiseException("words", None)
    yield
  else
    yield
"""


@pytest.mark.parametrize(
    ("rank", "lines", "kept"),
    [
        (4, "%a = aten::relu(%x)\n%b = prepacked::conv2d_clamp_run(%a, %o)", 0),
        (3, "%a = aten::unsqueeze(%x, 2)\n%b = prepacked::conv2d_clamp_run(%a, %o)", 0),
        (3, "%a = aten::relu(%x)\n%b = prepacked::conv2d_clamp_run(%a, %o)", 1),
        (4, "%a = aten::squeeze(%x)\n%b = prepacked::conv2d_clamp_run(%a, %o)", 1),
        (4, "%b = aten::relu(%x)", 1),
    ],
)
def test_a_packed_layer_checks_the_rank_itself(rank: int, lines: str, kept: int):
    graph = read_graph(f"(%self, %x: Tensor, %o)\n{CHECK.format(rank)}{lines}\nyield %b")
    assert {value.name for value in find_guards(graph.block)} == {"x"}
    drop_guards(graph, SCHEMAS)
    assert len(find_guards(graph.block)) == kept


def test_a_check_tells_the_rank_and_is_not_answered_itself():
    graph = read_graph(f"(%self, %x: Tensor)\n{CHECK.format(4)}%m = aten::dim(%x)\nyield %m")
    infer(graph, SCHEMAS)
    fold_shapes(graph, SCHEMAS)
    assert write_graph(graph)[-1] == "yield 4"
    assert len(find_guards(graph.block)) == 1


def test_a_check_behind_an_effect_tells_nothing():
    text = "(%self, %x: Tensor)\n%m = aten::dim(%x)\n{}" + CHECK.format(4) + "yield %m"
    assert find_guards(read_graph(text.format("")).block)
    assert not find_guards(read_graph(text.format("%e = aten::relu_(%x)\n")).block)


def test_a_file_with_a_check_stays_as_it_is():
    made = read_program(
        """
        (%self, %x: Tensor)
        %a = aten::conv2d(%x, W, None, [1, 1], [1, 1], [1, 1], 1)
        %b = aten::batch_norm(%a, None, None, M, M, False, 0.1, 1e-5, True)
        %n = aten::dim(%b)
        %t = prim::TupleConstruct(%b, %n)
        yield %t
        """,
        W=ramp(4, 4, 3, 3),
        M=POSITIVE,
    )
    optimise(made, SCHEMAS, Optimisations(prepack=False))
    check_program(made)
    lines = write_graph(made.graphs["Net.forward"])
    assert any("TupleConstruct" in line and ", 4)" in line for line in lines)
    assert sum("RaiseException" in line for line in lines) == 1
    again = lift_program(lower_program(made, SCHEMAS), SCHEMAS)
    optimise(again, SCHEMAS, Optimisations(prepack=False))
    assert write_graph(again.graphs["Net.forward"]) == lines
