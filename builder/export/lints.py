"""What is worth knowing of a model before it is saved, with the user's line where known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from builder.core.known import KnownOperators
from builder.errors import ModelError
from builder.export.error_texts import find_place

if TYPE_CHECKING:
    import torch

_LEFT_OVER = {
    "aten::dropout": "dropout is left in the graph; in eval mode it does nothing",
    "aten::dropout_": "dropout is left in the graph; in eval mode it does nothing",
    "aten::feature_dropout": "dropout is left in the graph; in eval mode it does nothing",
    "aten::batch_norm": "a batch norm is left that no convolution before it could take in",
}
_NOT_ON_MOBILE = {
    "aten::backward": "computes gradients, which a mobile runtime does not",
    "aten::requires_grad_": "asks for gradients, which a mobile runtime does not compute",
    "aten::cuda": "moves a tensor to CUDA, which no mobile runtime has",
    "aten::to_mkldnn": "uses oneDNN, which no mobile runtime has",
    "aten::save": "writes a file with torch.save, which no mobile runtime can",
}
_FOREIGN_NAMESPACES = ("cuda::", "mkldnn::", "mkldnn_prepacked::", "onednn::")
"""Sources that a mobile build has too register these, on other machines."""
_MOST = 3
"""Places that are told of each kind."""


def lint_module(module: torch.nn.Module, *, trained: bool) -> tuple[str, ...]:
    """Returns remarks on the Python module, which is meant to be in eval mode."""
    return (
        *(("the model came in training mode; it is exported in eval mode",) if trained else ()),
        *_training_parts(module),
        *_plain_tensors(module),
    )


def lint_graph(
    module: torch.jit.ScriptModule, methods: Sequence[str], known: KnownOperators
) -> tuple[str, ...]:
    """Returns remarks on the TorchScript that is about to be saved; `known` can be built."""
    places: dict[str, list[str]] = {}
    for node in _list_nodes(module, methods):
        if remark := _remark(node) or _remark_unknown(node, known):
            places.setdefault(remark, []).append(find_place(str(node.sourceRange())))
    return tuple(_summarise(remark, found) for remark, found in places.items())


def check_python_free(module: torch.jit.ScriptModule, methods: Sequence[str]) -> None:
    """Raises ModelError when the TorchScript calls back into Python, which no lite file can."""
    for node in _list_nodes(module, methods):
        if node.kind() == "prim::PythonOp":
            raise ModelError(
                f"the model calls back into Python: {node.pyname()}"
                f"{find_place(str(node.sourceRange()))}",
                hint="no lite file can; replace a torch.autograd.Function by operators, remove "
                "@torch.jit.ignore",
            )


def _training_parts(module: torch.nn.Module) -> Iterator[str]:
    parts = [name for name, part in module.named_modules() if name and part.training]
    if parts:
        yield (
            f"{len(parts)} submodules stay in training mode after eval(): {_some(parts)}; "
            "their train() is overridden"
        )


def _plain_tensors(module: torch.nn.Module) -> Iterator[str]:
    import torch

    for prefix, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            continue
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor) and value.requires_grad:
                yield (
                    f"{prefix}.{name}".lstrip(".") + " is a constant that requires gradients; "
                    "make it a parameter or a buffer"
                )


def _list_nodes(module: torch.jit.ScriptModule, methods: Sequence[str]) -> Iterator[Any]:
    for name in ("forward", *methods):
        yield from _walk(getattr(module, name).inlined_graph)


def _walk(block: Any) -> Iterator[Any]:  # noqa: ANN401 - torch's graphs have no types here
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _walk(inner)


def _remark(node: Any) -> str:  # noqa: ANN401
    kind = node.kind()
    if remark := _LEFT_OVER.get(kind):
        return remark
    if why := _NOT_ON_MOBILE.get(kind):
        return f"{kind} {why}"
    if kind.startswith(_FOREIGN_NAMESPACES):
        return f"{kind} exists in no mobile build"
    if kind == "prim::Constant" and _is_double(node):
        return "a float64 constant; float32 halves it and needs fewer kernels"
    return ""


def _remark_unknown(node: Any, known: KnownOperators) -> str:  # noqa: ANN401
    name, called, _ = node.schema().partition("(")
    if not called or not name or name.startswith("prim::") or known.has(name):
        return ""
    return f"{name} is in no runtime that builder can build"


def _is_double(node: Any) -> bool:  # noqa: ANN401
    import torch

    if not node.hasAttribute("value") or node.kindOf("value") != "t":
        return False
    value = node.t("value")
    return bool(value.dtype == torch.float64 and value.dim())  # numbers without dimensions adapt


def _summarise(remark: str, places: list[str]) -> str:
    known = sorted({place for place in places if place})
    count = f" ({len(places)} times)" if len(places) > 1 else ""
    return f"{remark}{count}" + "".join(known[:_MOST])


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST]) + (", ..." if len(names) > _MOST else "")
