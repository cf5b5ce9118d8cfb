"""Which backends static dispatch chooses between."""

from __future__ import annotations

from collections.abc import Iterable

from builder.core.operators import Operator
from builder.core.plan import DispatchBackend

_QUANTISED_NAMESPACES = frozenset({"quantized", "_quantized", "sparse"})


def choose_static_dispatch(operators: Iterable[Operator]) -> tuple[DispatchBackend, ...]:
    """Returns CPU alone, or CPU and QuantizedCPU where quantised tensors can occur.

    With CPU alone `at::_ops::X::call` is a direct call; with both, torchgen emits a switch on the
    tensor's dispatch key (torchgen/gen.py, `static_dispatch`).
    """
    if any(_makes_quantised_tensors(operator) for operator in operators):
        return (DispatchBackend.CPU, DispatchBackend.QUANTIZED_CPU)
    return (DispatchBackend.CPU,)


def _makes_quantised_tensors(operator: Operator) -> bool:
    return operator.namespace in _QUANTISED_NAMESPACES or "quantize" in operator.name
