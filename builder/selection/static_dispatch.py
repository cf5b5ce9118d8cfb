"""Which backends static dispatch chooses between; see docs/explanation/soundness.md."""

from __future__ import annotations

from collections.abc import Iterable

from builder.core.backends import Backend, find_needed
from builder.core.model_facts import OperatorList
from builder.core.operators import Operator
from builder.core.plan import DispatchBackend

_HARMLESS = ("fake_quant", "is_quantized")
"""The first rounds floats and stays with floats, the second only asks."""
_QUANTISED_STARTS = ("aten::q_", "aten::qscheme", "aten::int_repr")


def choose_static_dispatch(
    wanted: OperatorList, backends: Iterable[Backend]
) -> tuple[DispatchBackend, ...]:
    """Returns CPU, and after it the others of DispatchBackend whose tensors can occur.

    They can where a model needs one of `backends` that has such tensors, or ATen's own operators
    for quantised tensors.

    With CPU alone `at::_ops::X::call` is a direct call; with both, torchgen emits a switch on the
    tensor's dispatch key (torchgen/gen.py, `static_dispatch`).
    """
    needed = find_needed(backends, wanted.operators, wanted.custom_classes, wanted.marks)
    # Every runtime has kernels for plain tensors on the CPU.
    met = {DispatchBackend.CPU, *(one.static_dispatch for one in needed)}
    if any(map(_meets_quantised_tensors, wanted.operators)):
        met.add(DispatchBackend.QUANTIZED_CPU)
    return tuple(one for one in DispatchBackend if one in met)


def _meets_quantised_tensors(operator: Operator) -> bool:
    if operator.name.startswith(_QUANTISED_STARTS):
        return True
    return "quantize" in operator.name and not any(word in operator.name for word in _HARMLESS)
