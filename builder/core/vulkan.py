"""What the Vulkan kernels of a release compute: the contents of `vulkan.toml` in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Divisible:
    """A size that has to be a multiple of a number."""

    dim: int
    """Index of the dimension of the first tensor."""
    by: int


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What one operator takes on Vulkan; without keys, any float32 tensors there."""

    refused: str = ""
    """Why models do not call it on Vulkan at all; empty if they may."""
    ranks: tuple[int, ...] = ()
    """Numbers of dimensions that its first tensor may have; empty for all that tensors may have."""
    either: tuple[str, ...] = ()
    """Names of the tensor arguments that may also be on the CPU."""
    only: Mapping[str, tuple[bool | int | str, ...]] = field(default_factory=_nothing)
    """Argument -> the values that it may have, which must be constant; "None" is None."""
    divisible: Divisible | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "only", MappingProxyType(dict(self.only)))


@dataclass(frozen=True, slots=True, kw_only=True)
class VulkanKernels:
    """The contents of `vulkan.toml`."""

    most_dimensions: int
    """Of any tensor on the GPU."""
    questions: tuple[str, ...]
    """Operators that read no elements, and so take any tensor."""
    kernels: Mapping[str, Kernel]
    """Operator with its overload -> what its kernel takes."""
    composites: Mapping[str, Kernel]
    """The same for operators that ATen makes of kernels alone."""

    def __post_init__(self) -> None:
        for name in ("kernels", "composites"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def find(self, operator: str) -> Kernel | None:
        """Returns what `operator` takes, such as `aten::add.Tensor`; None if it has no kernel."""
        return self.kernels.get(operator) or self.composites.get(operator)
