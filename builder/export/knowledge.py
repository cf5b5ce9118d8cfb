"""What an export knows about the release of PyTorch that is to run its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder.core.known import KnownOperators
from builder.core.operator_schemas import Schemas
from builder.core.vulkan import VulkanKernels


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What an export knows about a release."""

    known: KnownOperators
    """Operators that builder can build."""
    schemas: Schemas
    vulkan: VulkanKernels | None = None
    """What Vulkan's kernels compute, for a model for Vulkan."""
    raising: Mapping[str, str]
    """Patterns of names of operators that can be built but raise when called -> why."""
