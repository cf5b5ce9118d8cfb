"""The two cores of a runtime: what loads, checks and interprets models."""

from __future__ import annotations

from enum import StrEnum


class Core(StrEnum):
    """What a runtime loads and interprets models with; the kernels are PyTorch's in both."""

    OWN = "own"
    """builder's own core: smaller, without dispatcher, schemas and types of PyTorch's JIT."""
    UPSTREAM = "upstream"
    """The lite interpreter of PyTorch."""


class CoreChoice(StrEnum):
    """What a user can ask for."""

    AUTO = "auto"
    """builder's own core where it has all that is needed, otherwise that of PyTorch."""
    OWN = "own"
    UPSTREAM = "upstream"
