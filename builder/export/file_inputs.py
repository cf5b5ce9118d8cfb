"""Finds the inputs on which a model in a file is compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.core.arrays import sample_inputs
from builder.core.input_checks import INPUTS_HINT, find_misfit
from builder.core.nesting import InputSpec, Number, list_arguments, list_leaves
from builder.core.signatures import Signature
from builder.core.tensors import Call, ReferenceCase, Tensor, TensorSpec
from builder.errors import ConfigurationError, Hint, Use
from builder.export.request import ExportRequest
from builder.export.samples import Sample
from builder.system.reference_cases import read_reference
from builder.system.reference_headers import reference_path

_CASES = 2
"""How many random samples are compared."""
_MOST_SAMPLES = 1 << 30
"""Bytes of samples, all together, that a file may ask for: a file of a few KB may ask for any."""
_MOST_DIMENSIONS = 32
"""The same for dimensions; older versions of NumPy have no more."""


def describe_owed(reason: str) -> Hint:
    """Returns a remark on an export whose outputs were not compared."""
    return Hint(
        f"nothing was compared with PyTorch ({reason}): run builder verify with inputs on a "
        "runtime, or export with ",
        Use("prove"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInputs:
    """What the forms of a model in a file run on."""

    samples: tuple[Sample, ...] = ()
    """Empty if the inputs are unknown."""
    expected: tuple[Tensor, ...] = ()
    """The outputs for the first sample, of a reference case; empty without one."""
    torch_version: str = ""
    """Of the torch that made `expected`."""
    methods: tuple[Call, ...] = ()
    """Calls of other methods, of a reference case."""
    remark: str = describe_owed("the inputs are unknown")
    """Why there are no samples."""


def find_inputs(
    path: Path,
    request: ExportRequest,
    signature: Signature,
    described: tuple[InputSpec, ...],
) -> FileInputs:
    """Returns the inputs of the reference case beside the file at `path`, or random ones.

    Args:
        path: the file of the model.
        request: says which inputs to draw, if any, and from which seed.
        signature: of forward.
        described: what the file says of its inputs; empty if it says nothing.

    Raises:
        ConfigurationError: the inputs do not fit the method, or the memory.
        VerificationError: the reference case is damaged.
    """
    case = _read_case(path)
    methods = case.methods if case else ()
    if case is not None and not request.inputs:
        sample = Sample(specs=list_arguments(case), leaves=case.inputs)
        return FileInputs(
            samples=(sample,),
            expected=case.outputs,
            torch_version=case.torch_version,
            methods=methods,
        )
    specs = request.inputs or described
    # A method that needs no inputs can be run although nothing is known about them.
    if not specs and find_misfit(signature, ()):
        return FileInputs(methods=methods)
    # What the user asks for is the user's own.
    if not request.inputs and (large := _find_large(specs)):
        return FileInputs(remark=_describe_large(path, large), methods=methods)
    # A second sample finds what is equal by chance for the first, such as a branch that is never
    # taken.
    seeds = range(request.seed, request.seed + _CASES)
    samples = [Sample(specs=specs, leaves=sample_inputs(specs, seed=seed)) for seed in seeds]
    placed = tuple(sample.place(signature) for sample in samples)
    if misfit := find_misfit(signature, placed[0].specs):
        raise ConfigurationError(f"{path.name}: {misfit}", hint=INPUTS_HINT)
    return FileInputs(samples=placed, methods=methods)


def _read_case(path: Path) -> ReferenceCase | None:
    """Returns the reference case beside the file; None if it is missing, or of another file."""
    case_path = reference_path(path)
    if not case_path.is_file():
        return None
    case = read_reference(case_path)
    return case if case.model_sha256 == hashlib.sha256(path.read_bytes()).hexdigest() else None


def _find_large(specs: Sequence[InputSpec]) -> TensorSpec | None:
    """Returns the first input with which the samples are larger than a file may ask for."""
    left = _MOST_SAMPLES // _CASES
    for leaf in list_leaves(specs):
        if isinstance(leaf, Number):
            continue
        size = leaf.dtype.itemsize
        for one in leaf.shape[:_MOST_DIMENSIONS]:
            size *= max(one, 1)  # a size of 0 does not make the others possible
        left -= size
        if left < 0 or len(leaf.shape) > _MOST_DIMENSIONS:
            return leaf
    return None


def _describe_large(path: Path, large: TensorSpec) -> Hint:
    return Hint(
        f"nothing was compared with PyTorch: with {large!s:.120}, the inputs that {path.name} "
        "describes are too large; describe smaller ones with ",
        Use("inputs", "float32[1,3,224,224]"),
    )
