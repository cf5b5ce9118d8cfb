"""What Vulkan takes and what it does not: forms and layers, each on a small graph."""

from __future__ import annotations

from collections import Counter

import pytest

from builder.errors import ModelError
from builder.export.vulkan_models import refuse_vulkan_model, split_program
from builder.graph.graph import Graph, TensorInfo
from builder.graph.packed import check_packed
from builder.graph.passes.dead_code import drop_dead_code
from builder.graph.passes.drop_identities import drop_identities
from builder.graph.passes.fuse_clamps import fuse_clamps
from builder.graph.passes.prepack_vulkan import MOST_GROUPS, prepack_vulkan
from builder.graph.passes.unpack_xnnpack import unpack_xnnpack
from builder.graph.passes.vulkan_forms import use_vulkan_forms
from builder.graph.program import Program
from builder.graph.shapes import infer
from builder.graph.vulkan_devices import Placement
from builder.graph.vulkan_placing import place_on_vulkan
from builder.graph.well_formed import check_graph
from builder.lite.objects import CustomObject, List, ScriptObject
from builder.sources.schemas import load_schemas
from builder.sources.vulkan_kernels import load_vulkan
from tests.unit.graph.writing import ramp, read_graph, tensor

SCHEMAS, KERNELS = load_schemas(), load_vulkan()


def graph(text: str, *shape: int | None, dtype: str = "float32", **names: object) -> Graph:
    made = read_graph(text, **names)
    if shape:
        made.block.inputs[1].info = TensorInfo(dtype, shape)
    infer(made, SCHEMAS)
    return made


def operators(made: Graph) -> Counter[str]:
    check_graph(made)
    return Counter(
        node.operator for _, node in made.block.walk() if not node.operator.startswith("prim::Con")
    )


def contexts(made: Graph) -> list[list[object]]:
    found = [node.attributes.get("value") for _, node in made.block.walk()]
    states = [one.state for one in found if isinstance(one, CustomObject)]
    assert all(isinstance(state, List) and not state.type for state in states)
    return [[i.items if isinstance(i, List) else i for i in state.items] for state in states]


def place(made: Graph) -> Placement:
    placement = place_on_vulkan(made, SCHEMAS, KERNELS)
    check_graph(made)
    return placement


CONV = """
    (%self, %x: Tensor)
    %y = aten::conv2d(%x, W, B, [2, 1], [1, 0], [1, 1], GROUPS)
    yield %y
    """


def test_a_convolution_and_the_clamp_behind_it_become_a_context():
    made = graph(
        """
        (%self, %x: Tensor)
        %y = aten::conv2d(%x, W, B, [2, 1], [1, 0], [1, 1], 1)
        %z = aten::hardtanh(%y, 0, 6)
        yield %z
        """,
        *(1, 8, 6, 6),
        W=ramp(4, 8, 3, 3),
        B=ramp(4),
    )
    prepack_vulkan(made, SCHEMAS)
    fuse_clamps(made, SCHEMAS)
    drop_dead_code(made, SCHEMAS)
    assert operators(made) == {"vulkan_prepack::run_conv2d_context": 1}
    state = contexts(made)[-1]
    assert state[2:] == [[2, 1], [1, 0], [1, 1], False, False, [0], 1, 0.0, 6.0]
    # `available` of Convolution.cpp takes limits that are floats only.
    assert [type(limit) for limit in state[-2:]] == [float, float]


@pytest.mark.parametrize(
    ("groups", "weight", "wanted"),
    [
        (8, (8, 1, 3, 3), {"vulkan_prepack::run_conv2d_context": 1}),
        (4, (4, 2, 3, 3), {"vulkan_prepack::run_conv2d_context": 4, "aten::slice.Tensor": 4}),
        # Two outputs for each channel: the shader for single channels does not know them.
        (8, (16, 1, 3, 3), {"vulkan_prepack::run_conv2d_context": 8, "aten::slice.Tensor": 8}),
        (16, (32, 2, 3, 3), {"aten::conv2d": 1}),
    ],
)
def test_groups(groups: int, weight: tuple[int, ...], wanted: dict[str, int]):
    made = graph(
        CONV.replace("GROUPS", str(groups)),
        *(1, weight[1] * groups, 6, 6),
        W=ramp(*weight),
        B=ramp(weight[0]),
    )
    prepack_vulkan(made, SCHEMAS)
    found = operators(made)
    assert {name: found[name] for name in wanted} == wanted
    if groups > MOST_GROUPS:
        ((_, reason),) = place(made).cpu
        assert (
            reason == f"convolutions have one group, one for each channel, or at most {MOST_GROUPS}"
        )


@pytest.mark.parametrize(("groups", "dilation"), [(2, 1), (1, 2)])
def test_transposed_convolutions_with_groups_or_dilation_are_never_packed(groups, dilation):
    made = graph(
        f"""
        (%self, %x: Tensor)
        %y = aten::conv_transpose2d.input(%x, W, None, [1, 1], [0, 0], [0, 0], {groups},
 [{dilation}, {dilation}])
        yield %y
        """.replace(",\n", ","),
        *(1, 8, 6, 6),
        W=ramp(8, 4, 3, 3),
    )
    prepack_vulkan(made, SCHEMAS)
    assert "aten::conv_transpose2d.input" in operators(made)
    ((name, reason),) = place(made).cpu
    assert (name, "neither groups nor dilation" in reason) == ("aten::conv_transpose2d.input", True)


def test_an_image_whose_batch_may_be_squeezed_is_not_packed():
    made = graph(
        "(%self, %x: Tensor)\n%s = aten::squeeze(%x)\n"
        "%y = aten::conv2d(%s, W, None, [1, 1], [0, 0], [1, 1], 1)\nyield %y",
        *(None, 8, None, None),
        W=ramp(4, 8, 3, 3),
    )
    prepack_vulkan(made, SCHEMAS)
    assert operators(made)["aten::conv2d"] == 1


def test_equal_layers_share_a_context():
    made = graph(
        """
        (%self, %x: Tensor)
        %y = aten::linear(%x, W, B)
        %z = aten::linear(%y, W, B)
        yield %z
        """,
        *(2, 4),
        W=ramp(4, 4),
        B=ramp(4),
    )
    prepack_vulkan(made, SCHEMAS)
    one, two = (n.inputs[1].constant for n in made.block.nodes if "run_linear" in n.operator)
    assert one is two
    # The same storage, with rows and columns changed.
    assert (one.state.items[0].sizes, one.state.items[0].strides) == ((4, 4), (1, 4))


def test_what_is_packed_for_xnnpack_becomes_plain_layers():
    state = (
        *(ramp(4, 8, 3, 3), ramp(4), List("List[int]", [1, 1]), List("List[int]", [0, 0])),
        *(List("List[int]", [1, 1]), 1, 0.0, None),
    )
    made = graph(
        """
        (%self, %x: Tensor)
        %y = prepacked::conv2d_clamp_run(%x, C)
        yield %y
        """,
        *(1, 8, 6, 6),
        C=CustomObject("xnnpack.Conv2dOpContext", state),
    )
    unpack_xnnpack(made, SCHEMAS)
    assert operators(made) == {"aten::conv2d": 1, "aten::clamp": 1}


@pytest.mark.parametrize(
    ("call", "shape", "wanted"),
    [
        ("aten::silu(%x)", (2, 3), {"aten::sigmoid": 1, "aten::mul.Tensor": 1}),
        ("aten::neg(%x)", (2, 3), {"aten::mul.Scalar": 1}),
        ("aten::rsub.Scalar(%x, 1, 2)", (2, 3), {"aten::mul.Scalar": 1, "aten::add.Scalar": 1}),
        ("aten::_add_relu.Tensor(%x, %x, 1)", (2,), {"aten::add.Tensor": 1, "aten::relu": 1}),
        ("aten::pow.Tensor_Scalar(%x, 2)", (2, 3), {"aten::mul.Tensor": 1}),
        ("aten::pow.Tensor_Scalar(%x, 2.5)", (2, 3), {"aten::pow.Tensor_Scalar": 1}),
        ("aten::squeeze.dim(%x, 1)", (2, 1, 3), {"aten::select.int": 1}),
        ("aten::squeeze.dim(%x, 1)", (2, None, 3), {"aten::squeeze.dim": 1}),
        ("aten::squeeze.dim(%x, -1)", (2, 1), {"aten::reshape": 1}),
        ("aten::squeeze.dim(%x, 0)", (2, 1, 3), {}),
        ("aten::pad(%x, [1, 1, 1, 1], 'reflect', None)", (1, 2, 3), {"aten::reflection_pad2d": 1}),
        ("aten::pad(%x, [1, 1, 1, 1], 'constant', None)", (1, 2, 3), {"aten::pad": 1}),
        ("aten::silu(%x)", (), {"aten::sigmoid": 1, "aten::mul.Tensor": 1}),
        # The constant has one dimension, so a tensor that may have none gets another one.
        ("aten::reciprocal(%x)", (2, 3), {"aten::div.Tensor": 1}),
        ("aten::reciprocal(%x)", (), {"aten::clamp": 1, "aten::div.Tensor": 1}),
        # The dtype is not known without a shape, and integers have to stay what they are.
        ("aten::pow.Tensor_Scalar(%x, 2.0)", (2, 3), {"aten::mul.Tensor": 1}),
        ("aten::pow.Tensor_Scalar(%x, 2.0)", (), {"aten::pow.Tensor_Scalar": 1}),
        ("aten::square(%x)", (), {"aten::mul.Scalar": 1, "aten::mul.Tensor": 1}),
        ("aten::rsub.Tensor(%x, %x, 2)", (), {"aten::sub.Tensor": 1}),
    ],
)
def test_forms(call: str, shape: tuple[int | None, ...], wanted: dict[str, int]):
    made = graph(f"(%self, %x: Tensor)\n%y = {call}\nyield %y", *shape)
    use_vulkan_forms(made, SCHEMAS)
    assert operators(made) == wanted


def test_integers_keep_their_operators():
    made = graph("(%self, %x: Tensor)\n%y = aten::neg(%x)\nyield %y", 2, 3, dtype="int64")
    use_vulkan_forms(made, SCHEMAS)
    assert operators(made) == {"aten::neg": 1}


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        ("aten::neg(%x)", [-1]),
        ("aten::rsub.Scalar(%x, 3, 2)", [-2, 3, 1]),
        # The first float makes floats of integers, before they overflow.
        ("aten::rsub.Scalar(%x, 3.5, 1)", [-1.0, 3.5, 1]),
        ("aten::relu6(%x)", [0, 6]),
        ("aten::pow.Tensor_Scalar(%x, 1)", [1]),
    ],
)
def test_numbers_keep_unknown_dtypes(call: str, numbers: list[float]):
    made = graph(f"(%self, %x: Tensor)\n%y = {call}\nyield %y")
    use_vulkan_forms(made, SCHEMAS)
    drop_dead_code(made, SCHEMAS)
    nodes = [node for node in made.block.nodes if node.operator.startswith("aten::")]
    found = [value.constant for node in nodes for value in node.inputs if value.is_constant]
    assert [(type(one), one) for one in found] == [(type(one), one) for one in numbers]


@pytest.mark.parametrize(
    "call",
    [
        "aten::contiguous(%x, 2)",
        "aten::channel_shuffle(%x, 2)",
        "aten::pixel_shuffle(%x, 1)",
    ],
)
def test_what_a_change_in_place_tells_from_its_source_stays(call: str):
    name = call.partition("(")[0]
    for target in ("x", "y"):
        made = graph(
            f"""
            (%self, %x: Tensor)
            %y = {call}
            %z = aten::mul_.Scalar(%{target}, 0.5)
            %s = aten::add.Tensor(%x, %y, 1)
            yield %s
            """,
            *(1, 4, 6, 6),
        )
        use_vulkan_forms(made, SCHEMAS)
        assert operators(made)[name] == 1
    made = graph(
        f"""
        (%self, %x: Tensor)
        %r = aten::relu(%x)
        %y = {call.replace("%x", "%r")}
        %z = aten::mul_.Scalar(%y, 0.5)
        yield %z
        """,
        *(1, 4, 6, 6),
    )
    use_vulkan_forms(made, SCHEMAS)
    assert name not in operators(made)


@pytest.mark.parametrize("call", ["aten::detach(%x)", "aten::squeeze.dim(%x, 1)"])
def test_a_view_of_all_is_its_source_while_it_has_its_shape(call: str):
    name = call.partition("(")[0]
    for change, stays in (("aten::mul_.Scalar(%y, 0.5)", 0), ("aten::unsqueeze_(%y, 0)", 1)):
        made = graph(
            f"""
            (%self, %x: Tensor)
            %y = {call}
            %z = {change}
            yield %x, %z
            """,
            *(1, 4, 6),
        )
        made.block.inputs[1].info = TensorInfo("float32", (1, 4, 6))
        use_vulkan_forms(made, SCHEMAS)
        assert operators(made)[name] == stays


def test_a_first_power_that_is_changed_in_place_is_a_tensor_of_its_own():
    for middle, wanted in (("aten::mul_.Scalar", 1), ("aten::mul.Scalar", 0)):
        made = graph(
            f"""
            (%self, %x: Tensor)
            %y = aten::pow.Tensor_Scalar(%x, 1)
            %z = {middle}(%y, 0.5)
            %s = aten::add.Tensor(%x, %y, 1)
            yield %s
            """,
            *(2, 3),
        )
        use_vulkan_forms(made, SCHEMAS)
        drop_identities(made, SCHEMAS)
        drop_dead_code(made, SCHEMAS)
        assert operators(made)["aten::mul.Scalar"] == wanted


@pytest.mark.parametrize(
    ("call", "shape", "reason"),
    [
        ("aten::gelu(%x, 'none')", (2, 3), "it takes approximate=tanh only, and it is 'none'"),
        ("aten::gelu(%x, 'tanh')", (2, 3), ""),
        ("aten::mean.dim(%x, [], False, None)", (2, 3), ""),
        ("aten::mean(%x, None)", (2, 3), ""),
        ("aten::mean(%x, 7)", (2, 3), "dtype=None or 6 only"),
        ("aten::max_pool2d(%x, [3, 3], [2, 2], [1, 1], [1, 1], True)", (1, 4, 6, 6), ""),
        ("aten::max_pool2d(%x, [2, 2], [2, 2], [0, 0], [1, 1], False)", (4, 6, 6), "4 dimensions"),
        ("aten::avg_pool2d(%x, [3, 3], [2, 2], [1, 1], True, False, None)", (1, 4, 6, 6), ""),
        (
            "aten::avg_pool2d(%x, [3, 3], [2, 2], [1, 1], False, False, 2)",
            (1, 4, 6, 6),
            "divisor_override",
        ),
        ("aten::adaptive_avg_pool2d(%x, [3, 3])", (1, 4, 7, 7), ""),
        ("aten::select.int(%x, -2, 0)", (2, 4, 3), ""),
        ("aten::glu(%x, 1)", (1, 16, 6, 6), ""),
        ("aten::glu(%x, 1)", (2, 12, 6, 6), "a multiple of 8, and is 12"),
        ("aten::log_softmax.int(%x, 1, None)", (2, 3), ""),
        ("aten::unsqueeze(%x, 0)", (1, 2, 3, 4), "0 or 1 or 2 or 3 dimensions"),
        ("aten::view(%x, [1, 2, 2, 2, 3])", (2, 3, 4), "a tensor of 5 dimensions"),
        ("aten::erf(%x)", (2, 3), "there is no kernel for it"),
        ("aten::conv2d(%x, %x, None, [1, 1], [0, 0], [1, 1], 1)", (2, 2, 3, 3), "not constant"),
        ("aten::upsample_bilinear2d(%x, [1, 5], True, None, None)", (1, 2, 3, 4), ""),
        ("aten::relu(%x)", (0, 3, 5, 7), "a tensor without elements"),
    ],
)
def test_restrictions_of_kernels(call: str, shape: tuple[int | None, ...], reason: str):
    placement = place(graph(f"(%self, %x: Tensor)\n%y = {call}\nyield %y", *shape))
    if not reason:
        assert not placement.cpu
        assert sum(placement.gpu.values()) == 1
        return
    ((_, found),) = placement.cpu
    assert reason in found
    assert placement.transfers == 1


def test_a_bias_of_one_column_is_not_repeated_along_rows():
    text = "(%self, %x: Tensor)\n%y = aten::addmm(BIAS, %x, W, 1, 1)\nyield %y"
    for bias, on_cpu in ((ramp(2, 1), 1), (ramp(1, 4), 0), (ramp(2, 4), 0), (ramp(4), 0)):
        placement = place(graph(text, 2, 3, BIAS=bias, W=ramp(3, 4)))
        assert len(placement.cpu) == on_cpu


def test_a_layer_norm_of_one_dimension_stays_and_is_told():
    text = "(%self, %x: Tensor)\n%y = aten::layer_norm(%x, [7], W, W, 0.1, True)\nyield %y"
    made = graph(text, 7, W=ramp(7))
    prepack_vulkan(made, SCHEMAS)
    ((name, reason),) = place(made).cpu
    assert name == "aten::layer_norm"
    assert "its input has one dimension" in reason


def test_transfers_stand_in_front_of_what_needs_them_and_are_made_once():
    made = graph(
        """
        (%self, %x: Tensor)
        %a = aten::sigmoid(%x)
        %b = aten::erf(%a)
        %c = aten::erf(%a)
        %d = aten::sigmoid(%b)
        %e = aten::relu(%d)
        yield %e
        """,
        *(2, 3),
    )
    placement = place(made)
    assert placement.transfers == 1
    # On the CPU from there on: nothing brings a tensor back that both devices can compute with.
    assert operators(made)["aten::cpu"] == 1


def test_packed_layers_bring_their_input_to_the_gpu():
    made = graph(
        """
        (%self, %x: Tensor)
        %a = aten::embedding(W, %x, -1, False, False)
        %b = aten::linear(%a, V, None)
        yield %b
        """,
        *(1, 6),
        dtype="int64",
        W=ramp(10, 4),
        V=ramp(3, 4),
    )
    prepack_vulkan(made, SCHEMAS)
    placement = place(made)
    assert (placement.transfers, operators(made)["aten::to.prim_Device"]) == (1, 1)
    assert list(placement.cpu) == [("aten::embedding", "it computes with int64 tensors")]


def test_branches_end_on_the_same_device():
    made = graph(
        """
        (%self, %x: Tensor, %c: bool)
        %y = prim::If(%c)
            then
                %a = aten::relu(%x)
                yield %a
            else
                %b = aten::erf(%x)
                yield %b
        %z = aten::sigmoid(%y)
        yield %z
        """,
        *(2, 3),
    )
    placement = place(made)
    assert placement.transfers == 2
    assert dict(placement.gpu) == {"aten::relu": 1, "aten::sigmoid": 1}


def program(made: Graph, **attributes: object) -> Program:
    root = ScriptObject("__torch__.Net", dict(attributes))
    return Program(root=root, graphs={made.name: made}, operator_version=3)


def test_a_model_for_vulkan_says_so():
    wanted = program(graph("(%self, %x: Tensor)\n%y = aten::relu(%x)\nyield %y", 2, 3))
    split = split_program(wanted, SCHEMAS, KERNELS, allow_cpu=False)
    assert (split.gpu, split.cpu, split.transfers, split.on_cpu) == (1, 0, 0, ())
    assert wanted.root.attributes == {"optimized_for_vulkan": True}
    with pytest.raises(ModelError, match="for Vulkan already"):
        refuse_vulkan_model(wanted)


def test_a_power_of_unknown_elements_asks_for_the_inputs():
    text = """
        (%self, %x: Tensor)
        %a = aten::relu(%x)
        %b = aten::pow.Tensor_Scalar(%a, 2.0)
        yield %b
        """
    for shape, hint in (((), "say what the inputs are"), ((2, 3), "run them on the CPU")):
        graphs = {"Net.forward": graph(text, *shape)}
        made = Program(root=ScriptObject("Net", {}), graphs=graphs, operator_version=3)
        with pytest.raises(ModelError) as caught:
            split_program(made, SCHEMAS, KERNELS, allow_cpu=False)
        assert str(caught.value.hint).startswith(hint)


def test_all_that_does_not_run_is_named_in_one_message():
    text = """
        (%self, %x: Tensor)
        %a = aten::erf(%x)
        %b = aten::erf(%x)
        %c = aten::relu(%x)
        %d = aten::gelu(%c, 'none')
        yield %d
        """
    with pytest.raises(ModelError) as caught:
        split_program(program(graph(text, 2, 3)), SCHEMAS, KERNELS, allow_cpu=False)
    assert caught.value.message == (
        "Vulkan does not run all of the model:\n"
        "  aten::erf: there is no kernel for it (2 times)\n"
        "  aten::gelu: it takes approximate=tanh only, and it is 'none'"
    )
    split = split_program(program(graph(text, 2, 3)), SCHEMAS, KERNELS, allow_cpu=True)
    assert (split.gpu, split.cpu, split.transfers) == (1, 3, 2)


def test_damaged_contexts_are_refused():
    made = graph(
        "(%self, %x: Tensor)\n%y = aten::linear(%x, W, None)\nyield %y", *(2, 4), W=ramp(3, 4)
    )
    prepack_vulkan(made, SCHEMAS)
    check_packed(program(made))
    (context,) = (
        n.attributes["value"]
        for n in made.block.nodes
        if isinstance(n.attributes.get("value"), CustomObject)
    )
    for items in ([], [tensor(1.0)], [None, None], [3, None], [ramp(3, 4), ramp(2, 2)]):
        context.state = List("", items)
        with pytest.raises(ModelError, match=r"vulkan\.LinearPackedContext are damaged"):
            check_packed(program(made))
