"""The methods of models, and the inputs that each takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.api.models import OperatorsRequest, read_inputs
from builder.core.nesting import InputSpec, Named, Number, list_arguments, split_named
from builder.core.signatures import Argument, Signature
from builder.core.tensors import TensorSpec
from builder.errors import ConfigurationError, VerificationError
from builder.oplists.format import is_op_list
from builder.sources.release_facts import load_bytecode_versions
from builder.system.reference_cases import read_reference
from builder.system.reference_headers import reference_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from builder.core.model_facts import ModelInfo
    from builder.core.tensors import ReferenceCase


@dataclass(frozen=True, slots=True)
class DescribedInput:
    """An input of a method."""

    argument: Argument
    """Its name and type, and its default, as the model file says."""
    example: InputSpec | None = None
    """What the reference case beside the model passes: dtypes and shapes of tensors, which lite
    files do not have. None when there is no reference case, or it does not pass this input."""

    @property
    def tensor(self) -> TensorSpec | None:
        """The example, if it is a tensor."""
        return self.example if isinstance(self.example, TensorSpec) else None


@dataclass(frozen=True, slots=True)
class DescribedMethod:
    """A method that programs can call."""

    signature: Signature
    inputs: tuple[DescribedInput, ...]


@dataclass(frozen=True, slots=True)
class DescribedModel:
    """A model and its methods."""

    name: str
    """As `OperatorList.models` names it."""
    sha256: str
    methods: tuple[DescribedMethod, ...]
    """Sorted by name; empty for a file of an old torch, which has no signatures."""


def describe_methods(request: OperatorsRequest) -> tuple[DescribedModel, ...]:
    """Returns the methods of the models of `request`, and the inputs of each.

    Operator lists have none. Dtypes and shapes come from the reference case of a model, where it
    is beside the file and belongs to it.

    Raises:
        BuilderError: as `list_operators`.
    """
    files = [path for path in request.models if not is_op_list(path)]
    allowed = request.limits if request.run_torchscript else None
    readable = load_bytecode_versions(request.pytorch)
    models, _ = read_inputs(files, torchscript=allowed, readable=readable)
    return tuple(_describe(info, path) for info, path in zip(models, files, strict=True))


def _describe(info: ModelInfo, path: Path) -> DescribedModel:
    case = _find_case(path, info.sha256)
    methods = (
        DescribedMethod(signature, _join(signature, case))
        for signature in info.signatures
        if signature.is_public
    )
    return DescribedModel(info.name, info.sha256, tuple(methods))


def _find_case(path: Path, sha256: str) -> ReferenceCase | None:
    try:
        case = read_reference(reference_path(path))
    except VerificationError:
        return None  # what it would add is left out; `builder verify` says what is wrong with it
    return case if case.model_sha256 == sha256 else None


def _join(signature: Signature, case: ReferenceCase | None) -> tuple[DescribedInput, ...]:
    call = case.find(signature.method) if case else None
    try:
        given, named = split_named(list_arguments(call) if call else ())
    except ConfigurationError:
        given, named = (), {}
    return tuple(
        DescribedInput(argument, _choose(argument, at, given, named))
        for at, argument in enumerate(signature.arguments)
    )


def _choose(
    argument: Argument, at: int, given: Sequence[InputSpec], named: Mapping[str, InputSpec]
) -> InputSpec | None:
    spec = given[at] if at < len(given) else named.get(argument.name)
    # A reference case keeps numbers as tensors without dimensions, and their value is not known.
    is_number = argument.kind.name in {"int", "float", "bool"}
    if isinstance(spec, Named | Number) or (is_number and isinstance(spec, TensorSpec)):
        return None
    return spec
