"""The values that a model holds: tensors, lists, dicts, modules and objects of custom classes.

None, bool, int, float, complex and str stand for themselves, and a tuple of TorchScript is a
Python tuple. Everything else is a value of one of the classes below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Storage:
    """The memory that one or several tensors share."""

    dtype: str
    """Scalar type of the elements, one of `builder.core.dtypes.SCALAR_TYPES`."""
    elements: int
    """Number of elements."""
    read: Callable[[], memoryview]
    """Returns the elements, little-endian and without gaps; read from the file when first wanted.

    Raises ModelError when the file is damaged there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """How the integers of a quantised tensor stand for real numbers (c10::QScheme)."""

    axis: int | None = None
    """Dimension that has one scale for each index; None: one scale for the whole tensor."""
    scale: float | Tensor
    """A float64 tensor for a quantizer with an axis."""
    zero_point: int | Tensor
    """An int64 tensor for a quantizer with an axis."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """A strided view of a storage. Two tensors are one only if they are the same object."""

    storage: Storage
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    """In elements."""
    offset: int = 0
    """Index of the first element in the storage."""
    requires_grad: bool = False
    quantizer: Quantizer | None = None

    @property
    def dtype(self) -> str:
        """Scalar type, one of `builder.core.dtypes.SCALAR_TYPES`."""
        return self.storage.dtype


@dataclass(slots=True, eq=False)
class List:
    """A list of TorchScript, which methods may change."""

    type: str
    """Annotation of the whole list, such as `List[int]`."""
    items: list[object] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Dict:
    """A dict of TorchScript, which keeps the order of its items."""

    type: str
    """Annotation of the whole dict, such as `Dict[str, Tensor]`."""
    items: list[tuple[object, object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Device:
    """A device, such as `cpu`."""

    name: str


@dataclass(slots=True, eq=False)
class ScriptObject:
    """A module, or an object of a class that was compiled by TorchScript."""

    class_name: str
    """Qualified name, such as `__torch__.torchvision.models.MobileNetV2`."""
    attributes: dict[str, object] = field(default_factory=dict)
    """In the order of their slots, which GET_ATTR and SET_ATTR count."""
    state: object = None
    """What `__getstate__` returned, for a class that has it: then there are no attributes."""


@dataclass(slots=True, eq=False)
class CustomObject:
    """An object of a custom class, which C++ code makes from its state."""

    class_name: str
    """Name with its namespace, such as `xnnpack.Conv2dOpContext`."""
    state: object
    """What `__getstate__` returned, usually a tuple."""
