"""The inputs of one call as plain values, which need no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from builder.core.interpreter_inputs import adapt, place, split_leaves
from builder.core.nesting import InputSpec, Named
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

    def place(self, signature: Signature) -> Sample:
        """Returns the sample in the order of the arguments of a method, without names.

        Raises:
            ConfigurationError: the method has no such arguments.
        """
        specs, leaves = place(signature, self.specs, self.leaves)
        return replace(self, specs=specs, leaves=leaves)

    def select(self, keys: Iterable[int | str]) -> Sample:
        """Returns a sample with the inputs at these positions, and of these names, without names.

        KeyError when there is no such input.
        """
        parts = split_leaves(self.specs, self.leaves)
        inputs = dict(zip(self.keys, zip(self.specs, parts, strict=True), strict=True))
        chosen = [inputs[key] for key in keys]
        return replace(
            self,
            # A program takes its arguments by position only.
            specs=tuple(one.spec if isinstance(one, Named) else one for one, _ in chosen),
            leaves=tuple(leaf for _, leaves in chosen for leaf in leaves),
        )

    @property
    def keys(self) -> tuple[int | str, ...]:
        """The position of each input without a name, and the name of each other one."""
        return tuple(
            spec.name if isinstance(spec, Named) else at for at, spec in enumerate(self.specs)
        )

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
