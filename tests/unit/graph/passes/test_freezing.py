"""Attributes become constants, calls are put where they stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.graph.passes.drop_attributes import drop_attributes
from builder.graph.passes.freeze import freeze
from builder.graph.passes.inline import inline
from builder.graph.program import Program
from builder.graph.well_formed import check_program
from builder.lite.objects import CustomObject, Dict, List, ScriptObject
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph, read_program, write_graph

SCHEMAS = load_schemas()


def program(text: str, **attributes: object) -> Program:
    return read_program(text, attributes)


def lines(made: Program) -> list[str]:
    check_program(made)
    return write_graph(made.graphs["Net.forward"])


@pytest.mark.parametrize("slot", [1, "w"])
def test_an_attribute_becomes_a_constant(slot: object):
    made = program(
        f"""
        (%self, %x: Tensor)
        %w = prim::GetAttr(%self) @ {{'slot': {slot!r}}}
        %y = aten::mul.Tensor(%x, %w)
        yield %y
        """,
        other=3,
        w=replace(ramp(2), requires_grad=True),
    )
    assert freeze(made, SCHEMAS).changed == 1
    assert lines(made) == ["%2 = aten::mul.Tensor(%x, float32[2])", "yield %2"]
    constant = made.graphs["Net.forward"].block.nodes[1].inputs[1].constant
    assert not constant.requires_grad
    assert drop_attributes(made).changed == 2
    assert made.root.attributes == {}


def test_attributes_of_modules_inside_are_found():
    made = program(
        """
        (%self, %x: Tensor)
        %m = prim::GetAttr(%self) @ {'slot': 0}
        %w = prim::GetAttr(%m) @ {'slot': 1}
        %t = prim::GetAttr(%m) @ {'slot': 0}
        yield %w, %t
        """,
        m=ScriptObject("M", {"training": True, "w": 7}),
    )
    found = freeze(made, SCHEMAS)
    assert found.left == ("the model was saved in training mode; it is evaluated from now on",)
    assert lines(made)[1:] == ["yield 7, False"]


def test_what_a_method_sets_stays_an_attribute():
    made = program(
        """
        (%self, %x: Tensor)
        %n = prim::GetAttr(%self) @ {'slot': 0}
        %k = prim::GetAttr(%self) @ {'slot': 2}
        %m = aten::add.int(%n, %k)
        prim::SetAttr(%self, %m) @ {'slot': 0}
        yield %m
        """,
        n=1,
        unused=2,
        k=3,
    )
    assert freeze(made, SCHEMAS).left == ("the model sets its attribute 'n'",)
    assert drop_attributes(made).changed == 2
    assert made.root.attributes == {"n": 1}
    assert lines(made) == [
        "%2 = prim::GetAttr(%self) @ {'slot': 0}",
        "%3 = aten::add.int(%2, 3)",
        "prim::SetAttr(%self, %3) @ {'slot': 0}",
        "yield %3",
    ]


def test_slots_are_numbered_again():
    made = program(
        """
        (%self, %x: Tensor)
        prim::SetAttr(%self, %x) @ {'slot': 2}
        yield %x
        """,
        a=1,
        b=2,
        c=3,
    )
    drop_attributes(made)
    assert lines(made)[0] == "prim::SetAttr(%self, %x) @ {'slot': 0}"


def test_a_setter_of_an_unknown_object_keeps_that_slot_of_all():
    made = program(
        """
        (%self, %x: Tensor, %o)
        %a = prim::GetAttr(%self) @ {'slot': 0}
        %b = prim::GetAttr(%self) @ {'slot': 1}
        prim::SetAttr(%o, %x) @ {'slot': 1}
        yield %a, %b
        """,
        a=1,
        b=2,
    )
    assert freeze(made, SCHEMAS).changed == 1
    assert drop_attributes(made).left == ("an attribute is read of an object that is not known",)
    assert lines(made)[-1] == "yield 1, %3"


def test_memory_that_is_written_in_place_stays_an_attribute():
    shared = ramp(4)
    made = program(
        """
        (%self, %x: Tensor)
        %a = prim::GetAttr(%self) @ {'slot': 0}
        %b = prim::GetAttr(%self) @ {'slot': 1}
        %c = prim::GetAttr(%self) @ {'slot': 2}
        %l = prim::GetAttr(%self) @ {'slot': 3}
        %m = prim::GetAttr(%self) @ {'slot': 4}
        %v = aten::view(%a, [4])
        %w = aten::add_.Tensor(%v, %x, 1)
        %k = aten::append.t(%l, %x)
        yield %b, %c, %m
        """,
        a=shared,
        b=replace(shared, sizes=(2,), strides=(1,)),
        c=ramp(3),
        l=List("List[Tensor]"),
        m=List("List[int]", [1]),
    )
    found = freeze(made, SCHEMAS)
    assert found.changed == 2
    assert set(found.left) == {
        "the model changes its attribute 'a' in place",
        "the model changes its attribute 'b' in place",
        "the model changes its attribute 'l' in place",
    }
    assert lines(made)[-1] == "yield %3, float32[3], [1]"


def test_modules_in_containers_stay_and_objects_of_custom_classes_become_constants():
    made = program(
        """
        (%self, %x: Tensor)
        %d = prim::GetAttr(%self) @ {'slot': 0}
        %p = prim::GetAttr(%self) @ {'slot': 1}
        yield %d, %p
        """,
        d=Dict("Dict[str, M]", [("m", ScriptObject("M", {"training": True}))]),
        p=CustomObject("quantized.LinearPackedParamsBase", ()),
    )
    freeze(made, SCHEMAS)
    assert lines(made)[-1] == "yield %2, quantized.LinearPackedParamsBase"


def test_objects_of_one_class_keep_the_same_attributes():
    first, second = (ScriptObject("M", {"a": n, "b": n, "c": n}) for n in (1, 2))
    made = program(
        """
        (%self, %x: Tensor)
        %m = prim::GetAttr(%self) @ {'slot': 0}
        %n = prim::GetAttr(%self) @ {'slot': 1}
        %a = prim::GetAttr(%m) @ {'slot': 2}
        prim::SetAttr(%n, %x) @ {'slot': 1}
        yield %a
        """,
        m=first,
        n=second,
    )
    made.graphs["M.__setstate__"] = read_graph(
        "(%self: M, %x: Tensor)\nprim::SetAttr(%self, %x) @ {'slot': 2}\nyield %x",
        name="M.__setstate__",
    )
    assert drop_attributes(made).changed == 2
    assert (first.attributes, second.attributes) == ({"b": 1, "c": 1}, {"b": 2, "c": 2})
    assert lines(made)[2:4] == [
        "%4 = prim::GetAttr(%2) @ {'slot': 1}",
        "prim::SetAttr(%3, %x) @ {'slot': 0}",
    ]
    assert write_graph(made.graphs["M.__setstate__"])[0] == "prim::SetAttr(%self, %x) @ {'slot': 1}"


def test_methods_of_other_classes_set_slots_of_these_only():
    made = program(
        """
        (%self, %x: Tensor)
        %a = prim::GetAttr(%self) @ {'slot': 0}
        %m = prim::GetAttr(%self) @ {'slot': 1}
        %b = prim::GetAttr(%m) @ {'slot': 0}
        yield %a, %b
        """,
        a=1,
        m=ScriptObject("M", {"b": 2}),
    )
    made.graphs["M.set"] = read_graph(
        "(%self: M, %x: Tensor)\nprim::SetAttr(%self, %x) @ {'slot': 0}\nyield %x", name="M.set"
    )
    assert freeze(made, SCHEMAS).changed == 1
    assert lines(made)[-1] == "yield 1, %3"


def test_methods_and_functions_are_put_where_they_are_called():
    made = program(
        """
        (%self, %x: Tensor)
        %m = prim::GetAttr(%self) @ {'slot': 0}
        %y = prim::CallMethod(%m, %x) @ {'name': 'run'}
        %z = prim::CallFunction(%y) @ {'name': 'f'}
        yield %z
        """,
        m=ScriptObject("M", {}),
    )
    made.graphs["M.run"] = read_graph(
        """
        (%self, %a: Tensor)
        %b = prim::If(True)
          then
            %c = prim::CallFunction(%a) @ {'name': 'f'}
            yield %c
          else
            yield %a
        yield %b
        """,
        name="M.run",
    )
    made.graphs["f"] = read_graph("(%a: Tensor)\n%b = aten::relu(%a)\nyield %b", name="f")
    assert inline(made).changed == 4
    assert lines(made) == [
        "%2 = prim::GetAttr(%self) @ {'slot': 0}",
        "%3 = prim::If(True)",
        "  block()",
        "    %4 = aten::relu(%x)",
        "    yield %4",
        "  block()",
        "    yield %x",
        "%5 = aten::relu(%3)",
        "yield %5",
    ]


def test_calls_in_a_circle_end():
    made = program("(%self, %x)\n%y = prim::CallFunction(%x) @ {'name': 'f'}\nyield %y")
    for name, other in (("f", "g"), ("g", "f")):
        made.graphs[name] = read_graph(
            f"(%a)\n%b = prim::CallFunction(%a) @ {{'name': {other!r}}}\nyield %b", name=name
        )
    inline(made)
    check_program(made)
    assert sum(1 for graph in made.graphs.values() for _ in graph.block.walk()) < 100


def test_calls_that_double_end():
    made = program("(%self, %x)\n%y = prim::CallFunction(%x) @ {'name': 'f0'}\nyield %y")
    for number in range(30):
        call = f"prim::CallFunction(%a) @ {{'name': 'f{number + 1}'}}"
        made.graphs[f"f{number}"] = read_graph(
            f"(%a)\n%b = {call}\n%c = {call}\nyield %c", name=f"f{number}"
        )
    assert inline(made).left
    assert sum(1 for graph in made.graphs.values() for _ in graph.block.walk()) < 4_000_000
