"""Finds problems of a model before it is saved, and the lines of the user's code if possible."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch

from builder.core.known import find_reason
from builder.errors import ModelError
from builder.export.error_texts import find_place
from builder.export.knowledge import Knowledge
from builder.export.statements import check_statements, walk_nodes

_LEFT_OVER = {
    "aten::dropout": "dropout is left in the graph; it has no effect in eval mode",
    "aten::dropout_": "dropout is left in the graph; it has no effect in eval mode",
    "aten::feature_dropout": "dropout is left in the graph; it has no effect in eval mode",
    "aten::batch_norm": "a batch norm is left in the graph; no convolution could absorb it",
}
_NOT_ON_MOBILE = {
    "aten::backward": "computes gradients, which a mobile runtime cannot do",
    "aten::requires_grad_": "asks for gradients, which a mobile runtime cannot compute",
    "aten::cuda": "moves a tensor to CUDA, which a mobile runtime does not have",
    "aten::to_mkldnn": "uses oneDNN, which a mobile runtime does not have",
    "aten::save": "writes a file with torch.save, which a mobile runtime cannot do",
}
_FOREIGN_NAMESPACES = ("cuda::", "mkldnn::", "mkldnn_prepacked::", "onednn::")
"""Namespaces without operators on mobile devices, although sources of a mobile build register
operators in them for other machines."""
_MOST = 3
"""How many places a remark names."""


def lint_module(module: torch.nn.Module, *, trained: bool) -> tuple[str, ...]:
    """Returns remarks on a Python module in eval mode; `trained`: it came in training mode."""
    return (
        *(("the model came in training mode; it is exported in eval mode",) if trained else ()),
        *_training_parts(module),
        *_plain_tensors(module),
    )


def lint_graph(
    module: torch.jit.ScriptModule, methods: Sequence[str], *, rewritten: bool = False
) -> tuple[str, ...]:
    """Returns remarks on TorchScript that is about to be saved.

    Args:
        module: the TorchScript.
        methods: its methods besides forward().
        rewritten: whether passes follow, which drop dropout and fold batch norms.
    """
    places: dict[str, list[str]] = {}
    for node in _list_nodes(module, methods):
        if rewritten and node.kind() in _LEFT_OVER:
            continue
        if remark := _remark(node):
            places.setdefault(remark, []).append(find_place(str(node.sourceRange())))
    return tuple(_summarise(remark, listed) for remark, listed in places.items())


def lint_operators(
    names: Collection[str],
    knowledge: Knowledge,
    module: torch.jit.ScriptModule | None,
    methods: Sequence[str],
) -> tuple[str, ...]:
    """Returns remarks on operators that a runtime cannot have, or that raise when called.

    Args:
        names: the operators that the lite file calls, such as `aten::add.Tensor`.
        knowledge: the release that is to run the file.
        module: the TorchScript from which the file was made, which knows the lines; may be None.
        methods: its methods besides forward().
    """
    remarks = {name: _remark_operator(name, knowledge) for name in sorted(names)}
    wanted = {name: remark for name, remark in remarks.items() if remark}
    places: dict[str, list[str]] = {remark: [] for remark in wanted.values()}
    if wanted and module is not None:
        for node in _list_nodes(module, methods):
            if remark := wanted.get(node.schema().partition("(")[0]):
                places[remark].append(find_place(str(node.sourceRange())))
    return tuple(_summarise(remark, listed) for remark, listed in places.items())


def check_savable(module: torch.jit.ScriptModule, methods: Sequence[str]) -> None:
    """Raises ModelError when the TorchScript has statements that a lite file cannot have.

    These are calls of Python, and what `statements` could not take out.
    """
    check_statements(_list_nodes(module, methods))
    for node in _list_nodes(module, methods):
        if node.kind() == "prim::PythonOp":
            raise ModelError(
                f"the model calls Python: {node.pyname()}{find_place(str(node.sourceRange()))}",
                hint="a lite file cannot call Python: replace a torch.autograd.Function by "
                "operators, and remove @torch.jit.ignore",
            )


def _training_parts(module: torch.nn.Module) -> Iterator[str]:
    parts = [name for name, part in module.named_modules() if name and part.training]
    if parts:
        yield (f"eval() leaves submodules in training mode, which override train(): {_some(parts)}")


def _plain_tensors(module: torch.nn.Module) -> Iterator[str]:
    for prefix, part in module.named_modules():
        # Its attributes live in C++, not in the object's dictionary.
        if isinstance(part, torch.jit.ScriptModule):
            continue
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor) and value.requires_grad:
                yield (
                    f"{prefix}.{name}".lstrip(".") + " is a plain tensor that requires gradients; "
                    "make it a parameter or a buffer"
                )


def _list_nodes(module: torch.jit.ScriptModule, methods: Sequence[str]) -> Iterator[Any]:
    for name in ("forward", *methods):
        # Inlined, so that calls of submodules are seen as well.
        yield from walk_nodes(getattr(module, name).inlined_graph)


def _remark(node: Any) -> str:  # noqa: ANN401
    kind = node.kind()
    if remark := _LEFT_OVER.get(kind):
        return remark
    if why := _NOT_ON_MOBILE.get(kind):
        return f"{kind} {why}"
    if kind.startswith(_FOREIGN_NAMESPACES):
        return f"{kind} does not exist in mobile builds"
    if kind == "prim::Constant" and _is_double(node):
        return "a float64 constant; float32 needs half of the bytes and fewer kernels"
    return ""


def _remark_operator(name: str, knowledge: Knowledge) -> str:
    # Nodes of the language itself have no schema, and are no operators of a release.
    if "::" not in name or name.startswith("prim::"):
        return ""
    if why := find_reason(name, knowledge.raising):
        return f"raises when called: {name}, {why}"
    if knowledge.known.has(name):
        return ""
    if knowledge.schemas.find(name) is not None:
        return f"raises when called: {name}, has no kernel for dense or quantised tensors on a CPU"
    return f"builder cannot build a runtime with {name}"


def _is_double(node: Any) -> bool:  # noqa: ANN401

    if not node.hasAttribute("value") or node.kindOf("value") != "t":
        return False
    value = node.t("value")
    return bool(
        value.dtype == torch.float64 and value.dim()
    )  # a number without dimensions takes the other operand's dtype


def _summarise(remark: str, places: list[str]) -> str:
    known = sorted({place for place in places if place})
    count = f" ({len(places)} times)" if len(places) > 1 else ""
    return f"{remark}{count}" + "".join(known[:_MOST])


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST]) + (", ..." if len(names) > _MOST else "")
