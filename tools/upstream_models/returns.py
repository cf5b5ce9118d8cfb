"""Making a test module return what it computes.

Most of upstream's modules end in `return len(...)`, of which a runtime can get right the length
and nothing else. The graph is changed in place so that the operands themselves are returned, and
with them what the submodules gave. Nothing else changes: the same operators run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

CARRIED = frozenset(
    {
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
        *(torch.float16, torch.float32, torch.float64),
    }
)
"""Element types that cross the C API."""


def open_module(module: torch.jit.ScriptModule) -> None:
    """Makes `forward`, which takes no arguments, return a tuple of what it computes."""
    _open(module, "forward")


def operand_kinds(module: torch.jit.ScriptModule) -> list[str]:
    """Returns, per operand of an opened module, the kind of node it comes from: `aten::add`."""
    _, returned = _returned_tuple(module)
    return [operand.node().kind() for operand in returned.inputs()]


def fit_operands(module: torch.jit.ScriptModule, fits: Sequence[str | None]) -> None:
    """Makes the results of an opened module fit the C API.

    Args:
        module: as `open_module` left it; changed in place.
        fits: per operand what `find_fit` says: an operator to put behind it, "", or None to
            leave it out.
    """
    graph, returned = _returned_tuple(module)
    operands = []
    for operand, fit in zip(list(returned.inputs()), fits, strict=True):
        if fit:
            node = graph.create(fit, [operand], 1)
            node.insertBefore(returned)
            node.output().setType(torch._C.TensorType.get())
            operand = node.output()
        if fit is not None:
            operands.append(operand)
    _set_operands(returned, operands)


def leave_out(module: torch.jit.ScriptModule, operator: str) -> None:
    """Takes the operands that come from `operator` out of an opened module, and their nodes."""
    _, returned = _returned_tuple(module)
    operands = list(returned.inputs())
    dropped = [operand.node() for operand in operands if operand.node().kind() == operator]
    for list_node in {use.user for node in dropped for use in node.output().uses()}:
        _set_operands(list_node, [v for v in list_node.inputs() if v.node().kind() != operator])
    for node in dropped:
        node.destroy()


def find_fit(value: Any) -> str | None:  # noqa: ANN401 - an operand is anything
    """Returns the operator that makes `value` fit the C API: "" when it fits, None when none does.

    Quantised tensors are dequantised, complex ones viewed as pairs of reals.
    """
    match value:
        case torch.Tensor() if value.layout != torch.strided:
            return None
        case torch.Tensor() if value.is_quantized:
            return "aten::dequantize"
        case torch.Tensor() if value.is_complex():
            return "aten::view_as_real"
        case torch.Tensor():
            return "" if value.dtype in CARRIED else None
        case bool() | int() | float() | None:
            return ""
        case list() | tuple():
            return "" if all(find_fit(item) == "" for item in value) else None
        case _:
            return None


def _open(module: torch.jit.ScriptModule, method: str) -> Any:  # noqa: ANN401 - torch._C.Type
    graph = module._c._get_method(method).graph
    returned = next(graph.outputs())
    node = returned.node()
    if _is_own_call(graph, node):
        kind = _open(module, node.s("name"))
        returned.setType(kind)
        return kind
    opened = graph.create("prim::TupleConstruct", [], 1)
    _set_operands(opened, _operands(returned) + _submodule_outputs(graph, returned))
    graph.appendNode(opened)
    graph.eraseOutput(0)
    graph.registerOutput(opened.output())
    return opened.output().type()


def _operands(returned: Any) -> list[Any]:  # noqa: ANN401 - torch._C.Value
    """The elements of the list whose length is returned, or what is returned."""
    node = returned.node()
    if node.kind() != "aten::len":
        return [returned]
    counted = next(node.inputs())
    made_here = counted.node().kind() in {"prim::ListConstruct", "prim::TupleConstruct"}
    return list(counted.node().inputs()) if made_here else [counted]


def _submodule_outputs(graph: Any, returned: Any) -> list[Any]:  # noqa: ANN401
    taken = {value.debugName() for value in _operands(returned)}
    return [
        value
        for node in graph.nodes()
        if node.kind() == "prim::CallMethod"
        for value in node.outputs()
        if value.debugName() not in taken
    ]


def _set_operands(node: Any, operands: Sequence[Any]) -> None:  # noqa: ANN401
    node.removeAllInputs()
    for operand in operands:
        node.addInput(operand)
    if node.kind() == "prim::TupleConstruct":
        node.output().setType(torch._C.TupleType([operand.type() for operand in operands]))


def _returned_tuple(module: torch.jit.ScriptModule) -> tuple[Any, Any]:
    method = "forward"
    while True:
        graph = module._c._get_method(method).graph
        node = next(graph.outputs()).node()
        if not _is_own_call(graph, node):
            return graph, node
        method = node.s("name")


def _is_own_call(graph: Any, node: Any) -> bool:  # noqa: ANN401
    return node.kind() == "prim::CallMethod" and (
        next(node.inputs()).debugName() == next(graph.inputs()).debugName()
    )
