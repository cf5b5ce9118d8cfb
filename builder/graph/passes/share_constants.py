"""Stores what several methods compute with only once."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

from builder.core.operator_schemas import Schemas
from builder.graph.aliases import Aliases
from builder.graph.graph import CONSTANT
from builder.graph.passes.pass_result import PassResult
from builder.graph.program import Program
from builder.graph.tensor_arrays import Allowance, to_array
from builder.lite.objects import CustomObject, List, Tensor


def share_constants(program: Program, schemas: Schemas) -> PassResult:
    """Makes equal tensors and packed weights of several methods the same object.

    A method that others call is often a method of its own in a file, and folding makes new
    weights for each. Tensors that a method changes in place are left out.

    A reason to leave it out: a model with one method, or the time to read its weights.
    """
    # Within one graph, `merge_common` has done it.
    if len(program.graphs) < 2:
        return PassResult(0)
    sharer = _Sharer(Allowance(*program.graphs.values()))
    for graph in program.graphs.values():
        aliases = Aliases(graph, schemas)
        for _, node in graph.block.walk():
            if node.operator == CONSTANT and not aliases.is_written(node.output):
                node.attributes["value"] = sharer.share(node.attributes["value"])
    return PassResult(sharer.shared)


class _Sharer:
    def __init__(self, allowance: Allowance) -> None:
        self.shared = 0
        self._allowance = allowance
        self._known: dict[Hashable, object] = {}
        self._keys: dict[Tensor, Hashable] = {}

    def share(self, constant: object) -> object:
        """Returns the first constant that equals this one."""
        if isinstance(constant, Tensor):
            key = self._tensor_key(constant)
        elif isinstance(constant, CustomObject) and isinstance(constant.state, tuple):
            key = self._state_key(constant)
        else:
            return constant
        if key is None:
            return constant
        found = self._known.setdefault(key, constant)
        self.shared += found is not constant
        return found

    def _tensor_key(self, tensor: Tensor) -> Hashable:
        if tensor not in self._keys:
            array = to_array(tensor)
            if array is None or not self._allowance.take(array.size):
                digest = None
            else:
                # A digest is kept instead of the elements, so that not all weights are in memory
                # together.
                digest = hashlib.sha256(array.tobytes()).digest()
            # Equal elements in another memory format are not the same to a kernel.
            layout = (tensor.dtype, tensor.sizes, tensor.strides, tensor.requires_grad)
            self._keys[tensor] = id(tensor) if digest is None else (digest, *layout)
        return self._keys[tensor]

    def _state_key(self, holder: CustomObject) -> Hashable | None:
        assert isinstance(holder.state, tuple)
        parts: list[Hashable] = [holder.class_name]
        for item in holder.state:
            match item:
                case Tensor():
                    parts.append(self._tensor_key(item))
                case List():
                    if not all(type(number) is int for number in item.items):
                        return None
                    parts.append((item.type, *map(repr, item.items)))
                case None | bool() | int() | float():
                    # The text tells 1 from 1.0 and from True.
                    parts.append(repr(item))
                case _:
                    return None
        return tuple(parts)
