"""The facts of a model file, and operator lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.operators import Operator, OperatorSet
from builder.core.signatures import Signature

_T = TypeVar("_T", bound=Any)


class ModelFormat(StrEnum):
    """File formats of models that builder reads."""

    LITE_ZIP = "lite-zip"
    LITE_FLATBUFFER = "lite-flatbuffer"
    TORCHSCRIPT = "torchscript"


@dataclass(frozen=True, slots=True, kw_only=True)
class BytecodeVersions:
    """The range of bytecode versions that a runtime can load, both ends included."""

    min: int
    max: int

    def __contains__(self, version: int) -> bool:
        return self.min <= version <= self.max

    def __str__(self) -> str:
        return f"{self.min} to {self.max}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """The facts of one model file that are needed to build and check a runtime."""

    name: str
    """Base name of the file; lists and reports show it as the origin of operators."""
    sha256: str
    """Lower-case hexadecimal digest of the whole file."""
    size: int
    """Bytes of the file."""
    format: ModelFormat
    bytecode_version: int | None
    """Version of a lite file (torch/csrc/jit/mobile/import.cpp); None for plain TorchScript."""
    operator_version: int | None
    """The `version` record of the archive: version of the file format and of the operators."""
    operators: tuple[Operator, ...]
    """Root operators of all methods, sorted."""
    custom_classes: tuple[str, ...]
    """Names of TorchBind classes, sorted, e.g. `xnnpack.Conv2dOpContext`."""
    marks: tuple[str, ...] = ()
    """What exports for backends have left in the model, sorted, e.g. `optimized_for_vulkan`."""
    methods: tuple[str, ...]
    """Names of the methods that have code, sorted."""
    dtypes: DtypeSet = EVERYTHING
    """Dtypes of its tensors, and dtypes that its code passes to operators.

    All dtypes when the code computes a dtype. Dtypes of inputs are not included.
    """
    signatures: tuple[Signature, ...] = ()
    """Signatures of its methods, sorted by name; old files have none."""

    def operator_set(self) -> OperatorSet:
        """Returns the root operators with this model as their origin."""
        return OperatorSet.of(self.operators, source=self.name)

    def operator_list(self) -> OperatorList:
        """Returns the operator list of this model alone."""
        version = self.bytecode_version
        return OperatorList(
            operators=self.operator_set(),
            custom_classes=self.custom_classes,
            marks=self.marks,
            bytecode_versions=() if version is None else (version,),
            models=(
                ModelOrigin(
                    self.name,
                    self.sha256,
                    version,
                    methods=tuple(str(one) for one in self.signatures if one.is_public),
                    is_torchscript=self.format is ModelFormat.TORCHSCRIPT,
                    is_flatbuffer=self.format is ModelFormat.LITE_FLATBUFFER,
                    operator_version=self.operator_version,
                ),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorList:
    """Everything that a set of models needs from a runtime; a YAML operator list contains it."""

    operators: OperatorSet
    custom_classes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    """What exports for backends have left in the models, sorted."""
    bytecode_versions: tuple[int, ...] = ()
    models: tuple[ModelOrigin, ...] = ()
    dtypes: DtypeSet | None = None
    """Dtypes that can occur in the models; None when the list does not contain them."""

    def without(self, operators: Iterable[Operator]) -> OperatorList:
        """Returns the same list without `operators`."""
        # The source does not matter: only the names of what goes are compared.
        return replace(self, operators=self.operators - OperatorSet.of(operators, source=""))

    def __or__(self, other: OperatorList) -> OperatorList:
        return OperatorList(
            operators=self.operators | other.operators,
            custom_classes=_sorted_union(self.custom_classes, other.custom_classes),
            marks=_sorted_union(self.marks, other.marks),
            bytecode_versions=_sorted_union(self.bytecode_versions, other.bytecode_versions),
            # The dtypes of two lists are combined by `choose_dtypes`, which also keeps the reasons
            # (api/requirements.py).
            models=_sorted_union(self.models, other.models),
        )


@dataclass(frozen=True, slots=True)
class ModelOrigin:
    """A model that operators of an operator list come from."""

    name: str
    """Base name of the file."""
    sha256: str
    bytecode_version: int | None = None
    exporter: str = ""
    """The exporter, e.g. `torch 1.13.0a0, torchvision 0.14.1a0`; empty when it is not known."""
    command: str = ""
    """The command that exported the model; empty when it is not known."""
    methods: tuple[str, ...] = field(default=(), compare=False)
    """Signatures of its methods, for people; operator lists do not keep them."""
    is_torchscript: bool = field(default=False, compare=False)
    """Whether torch had to run the code of the model to find its operators."""
    is_flatbuffer: bool = field(default=False, compare=False)
    """Whether the file is a flatbuffer, and not a zip; operator lists do not keep it."""
    operator_version: int | None = field(default=None, compare=False)
    """The version of its operators; None when it is not known. Operator lists do not keep it."""

    def __lt__(self, other: ModelOrigin) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[str, str, int]:
        version = self.bytecode_version  # None cannot be compared with numbers
        return (self.name, self.sha256, -1 if version is None else version)


def _sorted_union(left: Iterable[_T], right: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(sorted({*left, *right}))
