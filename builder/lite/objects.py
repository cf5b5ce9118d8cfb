"""The values that a model holds: tensors, lists, dicts, modules and objects of custom classes.

None, bool, int, float, complex and str stand for themselves, and a tuple of TorchScript is a
Python tuple. Everything else is a value of one of the classes below.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Storage:
    """The memory that one or several tensors share."""

    dtype: str
    """Scalar type of the elements: one of `builder.core.dtypes.SCALAR_TYPES`, or a later one of
    `builder.lite.scalar_types`, which few kernels know."""
    elements: int
    """Number of elements."""
    read: Callable[[], memoryview]
    """Returns the bytes of all elements, little-endian and without gaps, which nobody may change.

    They are read from the file when they are wanted. Raises ModelError when the file is damaged
    there."""
    location: str = "cpu"
    """Device that the storage was on; a runtime of builder only loads storages on the CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """How the integers of a quantised tensor stand for real numbers (c10::QScheme)."""

    axis: int | None = None
    """Dimension that has one scale for each index; None: one scale for the whole tensor."""
    scale: float | Tensor
    """A float64 tensor for a quantizer with an axis."""
    zero_point: int | Tensor
    """A tensor for a quantizer with an axis: usually int64; float32 if zero points are real numbers
    (`torch.per_channel_affine_float_qparams`)."""


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
        """Scalar type, as in `Storage.dtype`."""
        return self.storage.dtype


@dataclass(slots=True, eq=False)
class List:
    """A list of TorchScript, which methods may change."""

    type: str
    """Annotation of the whole list, such as `List[int]`; empty if the file does not have it."""
    items: list[object] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Dict:
    """A dict of TorchScript, which keeps the order of its items."""

    type: str
    """Annotation of the whole dict, such as `Dict[str, Tensor]`; empty if the file does not have
    it."""
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
    has_state: bool = False
    """Whether `state` is used; None may be a state too."""
    _slots: tuple[str, ...] = field(default=(), init=False, repr=False)

    def slot_name(self, slot: int) -> str:
        """Returns the name of an attribute by its slot; an empty text if there is none."""
        # Many instructions ask, and only `drop_attributes` gives an object fewer attributes.
        if len(self._slots) != len(self.attributes):
            self._slots = tuple(self.attributes)
        return self._slots[slot] if 0 <= slot < len(self._slots) else ""

    @property
    def may_be_enum(self) -> bool:
        """Whether it may be a member of a Python Enum, whose value is `state` then.

        It is one if its class has no method `__setstate__`. Runtimes cannot load files with it.
        """
        return self.has_state and type(self.state) in (int, float, str)


@dataclass(slots=True, eq=False)
class CustomObject:
    """An object of a custom class, which C++ code makes from its state."""

    class_name: str
    """Name with its namespace, such as `xnnpack.Conv2dOpContext`."""
    state: object
    """What `__getstate__` returned, usually a tuple."""


PLAIN = frozenset({type(None), bool, int, float, complex, str})
"""Types of the values that stand for themselves and contain no others."""


def parts_of(value: object) -> Collection[object]:
    """Returns the values that `value` contains directly; none for plain values."""
    match value:
        case tuple():
            return value
        case List():
            return value.items
        case Dict():
            return [part for pair in value.items for part in pair]
        case ScriptObject():
            return (value.state,) if value.has_state else value.attributes.values()
        case CustomObject():
            return (value.state,)
        # Only a quantizer with an axis has tensors; the others have numbers.
        case Tensor(quantizer=Quantizer(axis=int(), scale=scale, zero_point=zero_point)):
            return (scale, zero_point)
    return ()


def walk(values: Iterable[object]) -> Iterator[object]:
    """Yields the values and everything in them; what several places share is yielded once.

    Plain values are left out, except complex numbers.
    """
    waiting = _worth_visiting(values)
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        # Lists and dicts are mutable and have no hash, and equal ones are not the same.
        if id(value) not in seen:
            seen.add(id(value))
            yield value
            waiting.extend(_worth_visiting(parts_of(value)))


def _worth_visiting(values: Iterable[object]) -> list[object]:
    # A vocabulary has a million strings and numbers.
    return [value for value in values if type(value) not in PLAIN or type(value) is complex]
