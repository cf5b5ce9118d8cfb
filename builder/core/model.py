"""What a model file says of itself."""

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
    """On-disk formats that builder reads."""

    LITE_ZIP = "lite-zip"
    LITE_FLATBUFFER = "lite-flatbuffer"
    TORCHSCRIPT = "torchscript"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """The facts of one model file that selection and checks need."""

    name: str
    """The file's base name; it is what provenance shows."""
    sha256: str
    """Lower-case hex digest of the whole file."""
    size: int
    """Bytes."""
    format: ModelFormat
    bytecode_version: int | None
    """Of lite files (torch/csrc/jit/mobile/import.cpp); None for plain TorchScript."""
    operator_version: int | None
    """The archive's `version` record: produced file format / operator version."""
    operators: tuple[Operator, ...]
    """Root operators of every method, sorted."""
    custom_classes: tuple[str, ...]
    """`namespace.Class` of every TorchBind class, sorted, e.g. `xnnpack.Conv2dOpContext`."""
    methods: tuple[str, ...]
    """Names of the methods that have code, sorted."""
    dtypes: DtypeSet = EVERYTHING
    """Of its tensors, and those that its code asks operators for by name; everything when the
    code computes what it asks for. What inputs bring is not in it."""
    signatures: tuple[Signature, ...] = ()
    """Of its methods, sorted by name, as far as the file has them; old files have none."""

    def operator_set(self) -> OperatorSet:
        """Returns the root operators, wanted by this model."""
        return OperatorSet.of(self.operators, source=self.name)

    def operator_list(self) -> OperatorList:
        """Returns what this model alone asks of a runtime."""
        version = self.bytecode_version
        return OperatorList(
            operators=self.operator_set(),
            custom_classes=self.custom_classes,
            bytecode_versions=() if version is None else (version,),
            models=(
                ModelOrigin(
                    self.name,
                    self.sha256,
                    version,
                    methods=tuple(str(one) for one in self.signatures if one.is_public),
                    is_torchscript=self.format is ModelFormat.TORCHSCRIPT,
                ),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorList:
    """All that a set of models asks of a runtime; what an op-list YAML file holds."""

    operators: OperatorSet
    custom_classes: tuple[str, ...] = ()
    bytecode_versions: tuple[int, ...] = ()
    models: tuple[ModelOrigin, ...] = ()
    dtypes: DtypeSet | None = None
    """That can occur; None when the list does not tell."""

    def without(self, operators: Iterable[Operator]) -> OperatorList:
        """Returns the same list without `operators`."""
        return replace(self, operators=self.operators - OperatorSet.of(operators, source=""))

    def __or__(self, other: OperatorList) -> OperatorList:
        return OperatorList(
            operators=self.operators | other.operators,
            custom_classes=_sorted_union(self.custom_classes, other.custom_classes),
            bytecode_versions=_sorted_union(self.bytecode_versions, other.bytecode_versions),
            models=_sorted_union(self.models, other.models),
        )


@dataclass(frozen=True, slots=True)
class ModelOrigin:
    """Where operators of an op list come from."""

    name: str
    sha256: str
    bytecode_version: int | None = None
    exporter: str = ""
    """What exported it, e.g. `torch 1.13.0a0, torchvision 0.14.1a0`; empty when not known."""
    command: str = ""
    """How it was called."""
    methods: tuple[str, ...] = field(default=(), compare=False)
    """Signatures, for people; operator lists do not keep them."""
    is_torchscript: bool = field(default=False, compare=False)
    """Torch had to run its code to say its operators."""

    def __lt__(self, other: ModelOrigin) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[str, str, int]:
        version = self.bytecode_version
        return (self.name, self.sha256, -1 if version is None else version)


def _sorted_union(left: Iterable[_T], right: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(sorted({*left, *right}))


OLDEST_BYTECODE = 4
"""kMinSupportedBytecodeVersion of PyTorch 2.6.0 (caffe2/serialize/versions.h)."""
NEWEST_BYTECODE = 9
"""kMaxSupportedBytecodeVersion of PyTorch 2.6.0 (caffe2/serialize/versions.h)."""
