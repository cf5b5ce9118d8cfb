"""Which backends static dispatch chooses between; see docs/explanation/soundness.md."""

from __future__ import annotations

from builder.core.model import OperatorList
from builder.core.operators import Operator
from builder.core.plan import DispatchBackend

_QUANTISED_NAMESPACES = frozenset({"quantized", "_quantized", "rnn", "sparse"})
"""Of operators and of custom classes; `rnn` holds packed cells, `sparse` packed linear layers."""
_HARMLESS = ("fake_quant", "is_quantized")
"""The first rounds floats and stays with floats, the second only asks."""
_QUANTISED_STARTS = ("aten::q_", "aten::qscheme", "aten::int_repr")


def choose_static_dispatch(wanted: OperatorList) -> tuple[DispatchBackend, ...]:
    """Returns CPU alone, or CPU and QuantizedCPU where quantised tensors can occur.

    With CPU alone `at::_ops::X::call` is a direct call; with both, torchgen emits a switch on the
    tensor's dispatch key (torchgen/gen.py, `static_dispatch`).
    """
    classes = {name.partition(".")[0] for name in wanted.custom_classes}
    if classes & _QUANTISED_NAMESPACES or any(map(_meets_quantised_tensors, wanted.operators)):
        return (DispatchBackend.CPU, DispatchBackend.QUANTIZED_CPU)
    return (DispatchBackend.CPU,)


def _meets_quantised_tensors(operator: Operator) -> bool:
    if operator.namespace in _QUANTISED_NAMESPACES:
        return True
    if operator.name.startswith(_QUANTISED_STARTS):
        return True
    return "quantize" in operator.name and not any(word in operator.name for word in _HARMLESS)
