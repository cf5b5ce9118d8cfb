"""All passes together on graphs, without torch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.errors import ModelError
from builder.graph.graph import Block, Node, Value
from builder.graph.optimise import Optimisations, optimise
from builder.graph.program import Program
from builder.graph.well_formed import check_program
from builder.graph.work import MOST_WORK, is_too_large
from builder.lite.objects import CustomObject, List, ScriptObject
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph, read_program, tensor, write_graph

SCHEMAS = load_schemas()


def module(name: str, **attributes: object) -> ScriptObject:
    return ScriptObject(f"__torch__.{name}", {"training": True, **attributes})


def network() -> Program:
    """Returns a convolution, a batch norm that could train, dropout, relu and a linear layer."""
    norm = {
        "weight": ramp(4),
        "bias": ramp(4),
        "running_mean": ramp(4),
        "running_var": tensor(1.0, 2.0, 3.0, 4.0),
        "num_batches_tracked": tensor(0, dtype="int64", shape=()),
    }
    return read_program(
        """
        (%self, %x: Tensor)
        %c = prim::GetAttr(%self) @ {'slot': 1}
        %cw = prim::GetAttr(%c) @ {'slot': 1}
        %a = aten::conv2d(%x, %cw, None, [1, 1], [1, 1], [1, 1], 1)
        %n = prim::GetAttr(%self) @ {'slot': 2}
        %t = prim::GetAttr(%n) @ {'slot': 0}
        %u = prim::If(%t)
          then
            %k = prim::GetAttr(%n) @ {'slot': 5}
            %k1 = aten::add_.Scalar(%k, 1, 1)
            yield True
          else
            yield False
        %nw = prim::GetAttr(%n) @ {'slot': 1}
        %nb = prim::GetAttr(%n) @ {'slot': 2}
        %nm = prim::GetAttr(%n) @ {'slot': 3}
        %nv = prim::GetAttr(%n) @ {'slot': 4}
        %b = aten::batch_norm(%a, %nw, %nb, %nm, %nv, %u, 0.1, 1e-05, True)
        %r = aten::relu_(%b)
        %dt = prim::GetAttr(%self) @ {'slot': 0}
        %d = aten::dropout(%r, 0.5, %dt)
        %s = aten::size.int(%d, 0)
        %l = prim::ListConstruct(%s, -1) @ {'type': 'List[int]'}
        %v = aten::view(%d, %l)
        %lm = prim::GetAttr(%self) @ {'slot': 3}
        %lw = prim::GetAttr(%lm) @ {'slot': 1}
        %y = aten::linear(%v, %lw, None)
        yield %y
        """,
        module(
            "Net",
            conv=module("Conv", weight=ramp(4, 3, 3, 3)),
            norm=module("Norm", **norm),
            linear=module("Linear", weight=ramp(2, 64)),
        ).attributes,
    )


def lines(program: Program) -> list[str]:
    check_program(program)
    return write_graph(program.graphs["Net.forward"])


PACKED = [
    "%2 = prepacked::conv2d_clamp_run(%x, xnnpack.Conv2dOpContext)",
    "%3 = aten::size.int(%2, 0)",
    "%4 = prim::ListConstruct(%3, -1) @ {'type': 'List[int]'}",
    "%5 = aten::reshape(%2, %4)",
    "%6 = prepacked::linear_clamp_run(%5, xnnpack.LinearOpContext)",
    "yield %6",
]


CALLED = Optimisations(ranks={"forward": (4,)})


def test_a_network():
    program = network()
    results = optimise(program, SCHEMAS, CALLED)
    assert lines(program) == PACKED
    assert program.root.attributes == {}
    assert results["freeze"].left == ()
    assert results["fold_batch_norms"].changed == 1
    assert results["fuse_clamps"].changed == 1


def test_again_changes_nothing():
    program = network()
    optimise(program, SCHEMAS, CALLED)
    results = optimise(program, SCHEMAS, CALLED)
    assert {name: r.changed for name, r in results.items() if r.changed} == {}
    assert lines(program) == PACKED


@pytest.mark.parametrize(
    ("wanted", "operators"),
    [
        (
            Optimisations(prepack=False),
            [
                *("aten::dim", "aten::ne.int"),
                *("aten::conv2d", "aten::relu_", "aten::size.int", "aten::view", "aten::linear"),
            ],
        ),
        (
            Optimisations(fold_batch_norms=False, ranks={"forward": (3,)}),
            [
                "aten::conv2d",
                "aten::batch_norm",
                "aten::relu_",
                "aten::size.int",
                "aten::view",
                "prepacked::linear_clamp_run",
            ],
        ),
        (
            Optimisations(fold_batch_norms=False),
            ["prepacked::conv2d_clamp_run", "aten::contiguous", "prepacked::conv2d_clamp_run"],
        ),
    ],
)
def test_passes_can_be_left_out(wanted: Optimisations, operators: list[str]):
    program = network()
    optimise(program, SCHEMAS, wanted)
    check_program(program)
    nodes = program.graphs["Net.forward"].block.nodes
    found = [n.operator for n in nodes if n.operator.startswith(("aten::", "prepacked::"))]
    if wanted.fold_batch_norms is False and not wanted.ranks:
        assert found.count("prepacked::conv2d_clamp_run") == 2
        assert "aten::batch_norm" not in found
    else:
        assert found == operators


def test_without_freezing_attributes_stay():
    program = network()
    optimise(program, SCHEMAS, Optimisations(freeze=False))
    assert any("prim::GetAttr" in line for line in lines(program))
    assert program.root.attributes["training"] is True


def test_methods_share_their_weights_or_are_left_out():
    def program() -> Program:
        made = network()
        again = read_graph("(%self, %x: Tensor)\nyield %x", name="Net.other")
        again.block = network().graphs["Net.forward"].block
        # Both methods read the same attributes.
        made.graphs["Net.other"] = again
        return made

    both = program()
    optimise(both, SCHEMAS)
    contexts = {
        node.attributes["value"]
        for graph in both.graphs.values()
        for node in graph.block.nodes
        if isinstance(node.attributes.get("value"), CustomObject)
    }
    assert len(contexts) == 2
    one = program()
    optimise(one, SCHEMAS, Optimisations(methods=frozenset({"forward"})))
    assert list(one.graphs) == ["Net.forward"]


def test_deep_nesting_is_refused():
    program = read_program("(%self, %x: Tensor, %c: bool)\nyield %x")
    graph = program.graphs["Net.forward"]
    block = graph.block
    condition = block.inputs[2]
    for _ in range(101):
        inner = Block()
        block.nodes.append(Node("prim::If", [condition], [], {}, [inner, Block()]))
        block = inner
    with pytest.raises(ModelError, match="more than 100"):
        optimise(program, SCHEMAS)


def test_calls_that_lack_arguments_are_refused():
    program = read_program("(%self, %x: Tensor)\n%y = aten::flatten.using_ints(%x, 1)\nyield %y")
    with pytest.raises(ModelError, match="has 2 inputs instead of 3"):
        optimise(program, SCHEMAS)


def test_an_older_operator_that_the_runtime_upgrades_may_lack_some():
    program = read_program("(%self, %x: Tensor)\n%y = aten::gelu(%x)\nyield %y")
    program.operator_version = 9
    optimise(program, SCHEMAS)
    assert lines(program) == ["%2 = aten::gelu(%x)", "yield %2"]


def test_a_small_file_cannot_make_large_weights():
    text = ["(%self, %x: Tensor)", "%y0 = aten::relu(%x)"]
    for n in range(40):
        # The same weight, with another batch norm each time.
        text += [
            f"%c{n} = aten::conv2d(%y{n}, W, None, [1, 1], [0, 0], [1, 1], 1)",
            f"%y{n + 1} = aten::batch_norm(%c{n}, None, None, M, V, False, 0.1, {n}e-3, True)",
        ]
    weight = tensor(*[0.5] * 640_000, shape=(800, 800, 1, 1))
    mean = tensor(*[0.5] * 800)
    program = read_program("\n".join([*text, "yield %y40"]), W=weight, M=mean, V=mean)
    results = optimise(program, SCHEMAS)
    assert any("much memory" in reason for reason in results["fold_batch_norms"].left)
    storages = {
        node.attributes["value"].state[0].storage
        for node in program.graphs["Net.forward"].block.nodes
        if isinstance(node.attributes.get("value"), CustomObject)
    }
    assert sum(storage.elements for storage in storages) < 16 * 640_000


def chain_of(program: Program, count: int) -> Program:
    """Lets `forward` apply relu so many times."""
    block = program.graphs["Net.forward"].block
    for _ in range(count):
        block.nodes.append(Node("aten::relu", block.outputs, [Value("Tensor")]))
        block.outputs = block.nodes[-1].outputs
    return program


def test_what_would_take_minutes_is_left_as_it_is():
    """A megabyte of instructions that refer to one place is half a million steps."""
    program = chain_of(read_program("(%self, %x: Tensor)\nyield %x"), MOST_WORK // 2 + 1)
    results = optimise(program, SCHEMAS)
    assert list(results) == ["optimise"]
    assert "too many steps" in results["optimise"].left[0]
    check_program(program)


def test_constants_count_as_work():
    shared = List("List[int]", list(range(256)))
    program = read_program("(%self, %x: Tensor)\nyield %x")
    made = [
        Node("prim::Constant", [], [Value("List[int]")], {"value": shared}) for _ in range(6000)
    ]
    program.graphs["Net.forward"].block.nodes[:0] = made
    assert is_too_large(program)
    del program.graphs["Net.forward"].block.nodes[3000:]
    assert not is_too_large(program)


def test_calls_that_double_a_program_are_bounded():
    program = chain_of(read_program("(%self, %x: Tensor)\nyield %x"), 30)
    program.graphs["Net.f0"] = replace(program.graphs.pop("Net.forward"), name="Net.f0")
    for depth in range(1, 20):
        text = f"""
            (%self, %x: Tensor)
            %y = prim::CallMethod(%self, %x) @ {{'name': 'f{depth - 1}'}}
            %z = prim::CallMethod(%self, %y) @ {{'name': 'f{depth - 1}'}}
            yield %z
        """
        (graph,) = read_program(text).graphs.values()
        program.graphs[f"Net.f{depth}"] = replace(graph, name=f"Net.f{depth}")
    results = optimise(program, SCHEMAS)
    assert results["inline"].left
    assert sum(1 for graph in program.graphs.values() for _ in graph.block.walk()) < 101_000
