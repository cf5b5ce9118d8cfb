"""The inputs of one call as plain values, which need no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from builder.core.arguments import adapt
from builder.core.nesting import InputSpec
from builder.core.signatures import Signature
from builder.core.tensors import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The inputs of one call: their structure, and the tensors in it, depth first."""

    specs: tuple[InputSpec, ...]
    leaves: tuple[Tensor, ...]
    channels_last: bool = False

    @classmethod
    def of(cls, inputs: Sequence[Tensor]) -> Sample:
        """Returns a sample whose arguments are plain tensors."""
        return cls(specs=tuple(tensor.spec for tensor in inputs), leaves=tuple(inputs))

    def adapt(self, signature: Signature | None) -> Sample:
        """Returns the sample in the form that `signature` asks for; unchanged if that is None."""
        specs, leaves = adapt(signature, self.specs, self.leaves)
        return replace(self, specs=specs, leaves=leaves)

    def describe(self) -> str:
        """Returns the words behind `the model runs`."""
        return f"on {self}" if self.specs else "without inputs"

    def __str__(self) -> str:
        return ", ".join(map(str, self.specs))


def describe_tensors(tensors: Iterable[Tensor]) -> list[tuple[str, tuple[int, ...]]]:
    """Returns the dtype and shape of each tensor, for a header; blobs carry their bytes."""
    return [(str(tensor.spec.dtype), tensor.spec.shape) for tensor in tensors]
