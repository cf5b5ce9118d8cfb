"""The two cores of a runtime: what loads, checks and interprets models."""

from __future__ import annotations

from enum import StrEnum

from builder.core.dtypes import DtypeSet

_PLAIN = DtypeSet.of(("float32", "int64", "bool"))
"""What the plain kernels of builder's own core compute with (cmake/runtime/core/plain)."""


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


def has_plain_kernels(core: Core, dtypes: DtypeSet) -> bool:
    """Returns whether a runtime copies, fills, adds and pools by plain loops.

    PyTorch's kernels do it by a TensorIterator, with loops for each dtype.
    """
    return core is Core.OWN and dtypes.names is not None and not _PLAIN.lacks(dtypes)
