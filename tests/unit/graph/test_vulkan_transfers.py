"""A tensor is brought to the other device only where no change in place shows it."""

from __future__ import annotations

from collections import Counter

import pytest

from builder.graph.graph import Graph
from builder.graph.passes.vulkan_forms import use_vulkan_forms
from builder.graph.shapes import infer
from builder.graph.vulkan_devices import Placement
from builder.graph.vulkan_placing import place_on_vulkan
from builder.graph.well_formed import check_graph
from builder.lite.objects import Device
from builder.sources.schemas import load_schemas
from builder.sources.vulkan_kernels import load_vulkan
from tests.unit.graph.writing import read_graph

SCHEMAS, KERNELS = load_schemas(), load_vulkan()
HEAD = "(%self, %x: Tensor float32 2,3, %c: bool, %n: int)\n"
RELU = "%y: Tensor = aten::relu(%x)\n"
STATE = "%h: Tensor = prim::GetAttr(%self) @ {'slot': 0}\n"


def graph(body: str, name: str = "Net.forward") -> Graph:
    made = read_graph(HEAD + _dedent(body), name=name)
    for _, node in made.block.walk():
        if node.operator == "prim::GetAttr":
            node.output.info = made.block.inputs[1].info
    infer(made, SCHEMAS)
    return made


def _dedent(body: str) -> str:
    """Returns the lines of a case, some of which are not indented as the others are."""
    return "\n".join(line.removeprefix(" " * 8) for line in body.splitlines())


def place(made: Graph) -> Placement:
    placement = place_on_vulkan(made, SCHEMAS, KERNELS)
    check_graph(made)
    return placement


def transfers(made: Graph) -> Counter[str]:
    found = [node.operator for _, node in made.block.walk()]
    return Counter(one for one in found if one in ("aten::cpu", "aten::to.prim_Device"))


COPIED = "it would take a copy on the other device of a tensor that is changed in place"
REFUSED = {
    # An attribute is changed by a name that it has in a list, a dict or a branch.
    "list": (
        f"""{RELU}{STATE}
        %l: List[Tensor] = prim::ListConstruct(%y, %h) @ {{'type': 'List[Tensor]'}}
        %i: Tensor = aten::__getitem__.t(%l, 1)
        %z: Tensor = aten::add_.Scalar(%i, 1, 1)
        yield %y
        """,
        ("prim::ListConstruct", COPIED),
    ),
    "append": (
        f"""{RELU}{STATE}
        %l: List[Tensor] = prim::ListConstruct(%y) @ {{'type': 'List[Tensor]'}}
        %m: List[Tensor] = aten::append.t(%l, %h)
        yield %l
        """,
        ("aten::append.t", COPIED),
    ),
    "append to a list on the CPU": (
        f"""{RELU}{STATE}
        %l: List[Tensor] = prim::ListConstruct(%h) @ {{'type': 'List[Tensor]'}}
        %m: List[Tensor] = aten::append.t(%l, %y)
        yield %l
        """,
        ("aten::append.t", COPIED),
    ),
    "dict": (
        f"""{RELU}{STATE}
        %d: Dict[str, Tensor] = prim::DictConstruct('a', %y, 'b', %h) @ {{'type': ''}}
        %i: Tensor = aten::__getitem__.Dict_str(%d, 'b')
        %z: Tensor = aten::add_.Scalar(%i, 1, 1)
        yield %d
        """,
        ("prim::DictConstruct", COPIED),
    ),
    "branch": (
        f"""{STATE}
        %i: Tensor = prim::If(%c)
            then
                {RELU}
                yield %y
            else
                yield %h
        %z: Tensor = aten::add_.Scalar(%i, 1, 1)
        yield %x
        """,
        ("prim::If", f"it yields tensors of both devices: {COPIED}"),
    ),
    "loop": (
        f"""{RELU}{STATE}
        %i: Tensor = prim::Loop(%n, True, %y)
            do(%k, %j)
                yield True, %h
        %z: Tensor = aten::add_.Scalar(%i, 1, 1)
        yield %x
        """,
        ("prim::Loop", f"it yields tensors of both devices: {COPIED}"),
    ),
    # A view is made of the copy, and the change does not reach the tensor.
    "view on the CPU": (
        """
        %y: Tensor = aten::sin(%x)
        %v: Tensor = aten::diagonal(%x, 0, 0, 1)
        %z: Tensor = aten::add_.Scalar(%v, 1, 1)
        yield %x
        """,
        ("aten::diagonal", COPIED),
    ),
    "view in a loop": (
        f"""{RELU}
        %r = prim::Loop(%n, True)
            do(%k)
                %v: Tensor = aten::diagonal(%y, 0, 0, 1)
                %z: Tensor = aten::add_.Scalar(%v, 1, 1)
                yield True
        yield %y
        """.replace("%r = ", ""),
        ("aten::diagonal", COPIED),
    ),
    "conversion that may be none": (
        """
        %v: Tensor = aten::to.dtype(%x, 6, False, False, None)
        %z: Tensor = aten::add_.Scalar(%v, 1, 1)
        yield %x
        """,
        ("aten::to.dtype", COPIED),
    ),
    "an attribute is set, and changed": (
        f"""{RELU}
        prim::SetAttr(%self, %y) @ {{'slot': 0}}
        %h: Tensor = prim::GetAttr(%self) @ {{'slot': 0}}
        %z: Tensor = aten::add_.Scalar(%h, 1, 1)
        yield %y
        """,
        ("prim::SetAttr", COPIED),
    ),
    # The next call changes what this one returned.
    "an attribute is changed, and set": (
        f"""{STATE}
        %z: Tensor = aten::add_.Scalar(%h, 1, 1)
        {RELU.strip()}
        prim::SetAttr(%self, %y) @ {{'slot': 0}}
        yield %y
        """,
        ("prim::SetAttr", COPIED),
    ),
    "the tensor has another name": (
        f"""{RELU}
        %a: Tensor = aten::add_.Scalar(%y, 1, 1)
        %b: Tensor = aten::erf_(%a)
        yield %y
        """,
        ("aten::erf_", "it changes a tensor on the GPU in place, and there is no kernel for it"),
    ),
    "the tensor is changed again in each turn": (
        f"""{RELU}
        %i: Tensor = prim::Loop(%n, True, %x)
            do(%k, %j)
                %b: Tensor = aten::erf_(%y)
                yield True, %b
        yield %i
        """,
        ("aten::erf_", "it changes a tensor on the GPU in place, and there is no kernel for it"),
    ),
    "the tensor took the memory of another one": (
        f"""{RELU}
        %w: Tensor = aten::erf(%x)
        %a: Tensor = aten::clone(%y, None)
        %b: Tensor = aten::set_.source_Tensor(%w, %a)
        %d: Tensor = aten::add_.Tensor(%b, %y, 1)
        yield %a
        """,
        ("aten::add_.Tensor", "it changes a tensor on the CPU in place"),
    ),
    # What is not known to be a tensor cannot be transferred.
    "an optional tensor": (
        f"""{RELU}
        %o: Optional[Tensor] = prim::If(%c)
            then
                yield %y
            else
                yield None
        prim::SetAttr(%self, %o) @ {{'slot': 0}}
        yield %y
        """,
        (
            "prim::SetAttr",
            "only tensors are brought to the CPU, and a value is Optional[Tensor]",
        ),
    ),
    "values of another dtype": (
        f"""{RELU}
        %i: Tensor = aten::argmax(%y, None, False)
        %l: List[Tensor] = prim::ListConstruct(%y, %i) @ {{'type': 'List[Tensor]'}}
        yield %l
        """,
        (
            "prim::ListConstruct",
            "a tensor with elements of an unknown dtype cannot be brought to the GPU",
        ),
    ),
    "a list that others hold": (
        f"""{RELU}
        %l: List[Tensor] = prim::ListConstruct(%y) @ {{'type': 'List[Tensor]'}}
        %m: List[Tensor] = aten::append.t(%l, %y)
        %z: Tensor = aten::block_diag(%l)
        yield %z
        """,
        (
            "aten::block_diag",
            "it takes a list or dict from the GPU, and there is no kernel for it",
        ),
    ),
    "identity": (
        f"{RELU}%s: bool = aten::__is__(%x, %y)\nyield %s",
        ("aten::__is__", "it asks whether two values are one, and copies are not"),
    ),
    # What comes from the GPU is contiguous.
    "strides": (
        "%y: Tensor = aten::t(%x)\n%s: bool = aten::is_contiguous(%y)\nyield %y, %s",
        (
            "aten::is_contiguous",
            "it depends on strides, and tensors that were on the GPU have others",
        ),
    ),
    "a view or a copy, as strides tell": (
        """
        %y: Tensor = aten::erf(%x)
        %v: Tensor = aten::reshape(%y, [6])
        %z: Tensor = aten::add_.Scalar(%v, 1, 1)
        yield %y
        """,
        (
            "aten::reshape",
            "it depends on strides, and tensors that were on the GPU have others",
        ),
    ),
    "a method that is called": (
        f"{RELU}%z: Tensor = prim::CallMethod(%self) @ {{'name': 'other'}}\nyield %z",
        ("prim::CallMethod", "the model calls it, and it is not part of the graph"),
    ),
    "a tuple of both devices": (
        f"""{RELU}{STATE}
        %t: Tuple[Tensor, Tensor] = prim::TupleConstruct(%y, %h)
        %l: List[Tuple[Tensor, Tensor]] = prim::ListConstruct(%t) @ {{'type': ''}}
        yield %l
        """,
        ("prim::ListConstruct", "it takes a tuple with tensors of both devices"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_copy_that_the_model_could_see_is_refused(name: str) -> None:
    body, wanted = REFUSED[name]
    assert wanted in place(graph(body)).impossible


ACCEPTED = {
    # Nothing changes what is copied.
    "list": (
        f"""{RELU}{STATE}
        %l: List[Tensor] = prim::ListConstruct(%y, %h) @ {{'type': 'List[Tensor]'}}
        %z: Tensor = aten::cat(%l, 0)
        yield %z
        """,
        {"aten::to.prim_Device": 1},
    ),
    "change before the copy": (
        f"""{RELU}
        %a: Tensor = aten::add_.Scalar(%y, 1, 1)
        %b: Tensor = aten::erf(%y)
        yield %b, %a
        """,
        {"aten::cpu": 1},
    ),
    "nobody else has the tensor": (
        f"""{RELU}
        %a: Tensor = aten::add_.Scalar(%y, 1, 1)
        %b: Tensor = aten::erf_(%a)
        %d: Tensor = aten::sin_(%b)
        yield %d
        """,
        {"aten::cpu": 1},
    ),
    "list that is filled on the GPU": (
        f"""
        %l: List[Tensor] = prim::ListConstruct() @ {{'type': 'List[Tensor]'}}
        %r: Tensor = prim::Loop(%n, True, %x)
            do(%k, %j)
                {RELU.strip()}
                %m: List[Tensor] = aten::append.t(%l, %y)
                yield True, %y
        %z: Tensor = aten::cat(%l, 0)
        yield %z, %r
        """,
        {},
    ),
    "dict": (
        f"""{RELU}
        %d: Dict[str, Tensor] = prim::DictConstruct('a', %y) @ {{'type': ''}}
        %v: List[Tensor] = aten::values.str(%d)
        %i: Tensor = aten::__getitem__.t(%v, 0)
        %z: Tensor = aten::sigmoid(%i)
        yield %z
        """,
        {},
    ),
    "tuple of both devices": (
        f"""{RELU}{STATE}
        %t: Tuple[Tensor, Tensor] = prim::TupleConstruct(%y, %h)
        %a: Tensor, %b: Tensor = prim::TupleUnpack(%t)
        %z: Tensor = aten::sigmoid(%a)
        %e: Tensor = aten::erf(%b)
        yield %z, %e, %t
        """,
        {},
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_copy_that_nothing_shows_is_made(name: str) -> None:
    body, wanted = ACCEPTED[name]
    made = graph(body)
    assert not place(made).impossible
    assert transfers(made) == wanted


def test_a_model_is_told_that_its_tensors_are_on_the_cpu() -> None:
    made = graph(f"{RELU}%d: Device = prim::device(%y)\nyield %y, %d")
    assert not place(made).impossible
    assert made.block.outputs[1].constant == Device("cpu")


def test_what_runs_when_a_model_is_loaded_stays_on_the_cpu() -> None:
    made = graph(f"{RELU}prim::SetAttr(%self, %y) @ {{'slot': 0}}\nyield None", "Net.__setstate__")
    assert place(made) == Placement()
    assert not transfers(made)


@pytest.mark.parametrize(
    "body",
    [
        # The sum is returned by its first name too.
        f"""{RELU}
        %a: Tensor = aten::add_.Scalar(%y, 1, 1)
        %b: Tensor = aten::neg_(%a)
        yield %y
        """,
        # Each turn changes what the last one left.
        f"""{RELU}
        %i: Tensor = prim::Loop(%n, True, %x)
            do(%k, %j)
                %b: Tensor = aten::neg_(%y)
                yield True, %b
        yield %i
        """,
    ],
)
def test_a_form_does_not_hide_a_change_in_place(body: str) -> None:
    made = graph(body)
    use_vulkan_forms(made, SCHEMAS)
    assert "aten::neg_" in {node.operator for _, node in made.block.walk()}
