"""Printed graphs are complete, unambiguous and bounded, whatever names a file has."""

from __future__ import annotations

import json

from builder.graph.graph import Block, Graph, Node, TensorInfo, Value
from builder.graph.printed_names import describe_constant, name_values, plain_constant
from builder.graph.text import draw_graphs, list_graph, render_graph
from builder.lite.model import Argument
from builder.lite.objects import CustomObject, Device, Dict, List, ScriptObject, Storage, Tensor
from tests.json_schemas import read_schema


def make() -> Graph:
    """`if` with a loop in it, and names that are not unique."""
    x = Value("Tensor", TensorInfo("float32", (1, None)), name="x")
    flag = Node("prim::Constant", [], [Value("bool")], {"value": True})
    most = Node("prim::Constant", [], [Value("int")], {"value": 3})
    turn, carried = Value("int"), Value("Tensor", TensorInfo("float32"), name="x")
    step = Node("aten::relu", [carried], [Value("Tensor", name="x")])
    body = Block([turn, carried], [step], [flag.output, step.output])
    loop = Node("prim::Loop", [most.output, flag.output, x], [Value("Tensor")], {}, [body])
    one, other = Block([], [loop], [loop.output]), Block([], [], [x])
    branch = Node("prim::If", [flag.output], [Value()], {}, [one, other])
    return Graph(
        name="m.forward",
        block=Block([x], [flag, most, branch], [branch.output]),
        arguments=(Argument("x", "Tensor"),),
        results=(Argument("", "Tensor"),),
    )


def test_text():
    assert render_graph(make()) == (
        """\
graph m.forward(%x : float32[1,?]) -> Tensor:
  %1 : bool = prim::Constant[value=True]()
  %2 : int = prim::Constant[value=3]()
  %3 = prim::If(%1)
    block0():
      %4 : Tensor = prim::Loop(%2, %1, %x)
        block0(%5 : int, %x.2 : float32):
          %x.3 : Tensor = aten::relu(%x.2)
          -> (%1, %x.3)
      -> (%4)
    block1():
      -> (%x)
  return (%3)
"""
    )


def test_json_names_every_field_of_the_schema():
    found = list_graph(make())
    json.dumps(found, allow_nan=False)
    schema = read_schema("graph")["properties"]["graphs"]["items"]
    assert found.keys() == schema["properties"].keys()
    assert [block["inputs"] for block in found["blocks"]] == [["x"], [], ["5", "x.2"], []]
    assert found["values"]["x"] == {"type": "Tensor", "dtype": "float32", "sizes": [1, None]}
    assert found["values"]["3"] == {"type": None, "dtype": None, "sizes": None}


def test_picture():
    text = draw_graphs([make(), make()])
    assert text.count("subgraph cluster_") == 8
    assert text.count("{") == text.count("}")
    assert 'label="prim::Loop\\n3, True\\nTensor"' in text


def test_names_of_a_file_cannot_pretend():
    graph = make()
    graph.block.inputs[0].name = 'x"\n} evil'
    graph.block.nodes[2].operator = 'a"\\\n::b'
    assert name_values(graph)[graph.block.inputs[0]] == "1"
    picture = draw_graphs([graph])
    assert 'label="a\\"\\\\\\n::b' in picture
    assert 'label="x\\"\\n} evil"' in picture


def test_line_breaks_in_names_stay_in_their_line():
    graph = make()
    odd = "__torch__\nerr\rx"
    graph.block.inputs[0].info = None
    graph.block.inputs[0].type = graph.name = odd
    text = render_graph(graph)
    assert text.startswith(r"graph __torch__\nerr\rx(%x : __torch__\nerr\rx) -> Tensor:")
    assert len(text.splitlines()) == len(render_graph(make()).splitlines())


def test_constants():
    storage = Storage(dtype="int8", elements=0, read=lambda: memoryview(b""))
    values = {
        "-0.0": -0.0,
        "'it\\'s \"quoted\"'": 'it\'s "quoted"',
        f"'{'y' * 80}'...": "y" * 1000,
        "int8[0,3]": Tensor(storage=storage, sizes=(0, 3), strides=(3, 1)),
        "[1, ...]": List("List[int]", [1, (2,)]),
        "(1,)": (1,),
        "(" + "0, " * 16 + "... 99 items)": (0,) * 99,
        "Dict[str, int] of 1 items": Dict("Dict[str, int]", [("a", 1)]),
        "m.Net": ScriptObject("m.Net"),
        "xnnpack.Context": CustomObject("xnnpack.Context", None),
        "device('cpu')": Device("cpu"),
        "a large int": 1 << 20_000,
        "nan": float("nan"),
        "1j": 1j,
        "None": None,
    }
    assert {describe_constant(value): value for value in values.values()} == values
    assert plain_constant((1, "a", float("inf"), (2,))) == [1, "a", "inf", "(2,)"]
    for value in values.values():
        json.dumps(plain_constant(value), allow_nan=False)


def test_deep_nesting_is_bounded():
    """Neither recursion nor lines whose indentation grows with the depth."""
    graph = make()
    flag = graph.block.nodes[0].output
    block = graph.block
    for _ in range(5_000):
        node = Node("prim::If", [flag], [], {}, [Block(), Block()])
        block.nodes.append(node)
        block = node.blocks[0]
    assert max(map(len, render_graph(graph).splitlines())) < 100
    json.dumps(list_graph(graph))
    assert draw_graphs([graph])
