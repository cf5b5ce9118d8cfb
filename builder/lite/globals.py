"""Lists the globals that TorchScript pickles may name (unpickler.cpp, Unpickler::readGlobal)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Global:
    """The name of a class or function; the class or function itself is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


_STORAGE = re.compile(r"[A-Z]\w*Storage", re.ASCII)
_QSCHEMES = frozenset(
    {
        "per_tensor_affine",
        "per_channel_affine",
        "per_tensor_symmetric",
        "per_channel_symmetric",
        "per_channel_affine_float_qparams",
    }
)
_FUNCTIONS = frozenset(
    {
        Global("__main__", "IntList"),
        Global("__main__", "TensorID"),
        Global("builtins", "complex"),
        Global("collections", "OrderedDict"),
        Global("torch", "Tensor"),
        Global("torch", "device"),
        Global("torch._tensor", "_rebuild_from_type_v2"),
        Global("torch._utils", "_rebuild_qtensor"),
        Global("torch._utils", "_rebuild_sparse_tensor"),
        Global("torch._utils", "_rebuild_tensor_v2"),
        Global("torch.jit._pickle", "build_boollist"),
        Global("torch.jit._pickle", "build_doublelist"),
        Global("torch.jit._pickle", "build_intlist"),
        Global("torch.jit._pickle", "build_tensor_from_id"),
        Global("torch.jit._pickle", "build_tensorlist"),
        Global("torch.jit._pickle", "restore_type_tag"),
    }
)
"""Functions that create tensors and other objects."""


def is_script_class(module: str) -> bool:
    """Returns True for modules whose names are TorchScript types (typeResolverMobile)."""
    return module.startswith("__torch__.") or module in {"__torch__", "torch.jit"}


def is_known(tag: Global) -> bool:
    """Returns True if unpickler.cpp knows the global `tag`."""
    if tag in _FUNCTIONS:
        return True
    if tag.module == "torch":
        return tag.name in _QSCHEMES or _STORAGE.fullmatch(tag.name) is not None
    return is_script_class(tag.module)


def printable(name: str) -> str:
    """Returns `name`, quoted if it contains characters that could control a terminal."""
    return name if re.fullmatch(r"[\w.]+", name, re.ASCII) else repr(name)
