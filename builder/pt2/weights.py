"""Makes tensors of the weights and constants of a `.pt2` file; their bytes are read when wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Protocol

from builder.core.dtypes import SCALAR_TYPES
from builder.errors import ModelError
from builder.lite.archive import Archive
from builder.lite.objects import Storage, Tensor
from builder.lite.scalar_types import BY_DTYPE
from builder.pt2.document import STRIDED, Payload, PayloadConfig, Size, TensorMeta

_RECORD = re.compile(r"[\w.\-]{1,200}", re.ASCII)
_MOST_DIMENSIONS = 64
_MOST_REPEATS, _FREE_ELEMENTS = 4096, 1 << 20
"""A tensor may have so many elements for each one that is stored, or so many in all; strides of
zero make many of few."""


class Payloads(Protocol):
    """The weights, or the constants, of a program by their name."""

    def __contains__(self, name: str) -> bool:
        """Returns whether there is a tensor with this name."""

    def tensor(self, name: str) -> Tensor:
        """Returns a tensor; tensors that shared memory in Python share a storage."""


@dataclass(frozen=True, slots=True, eq=False)
class StateDict:
    """Tensors that were pickled."""

    tensors: Mapping[str, Tensor]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def tensor(self, name: str) -> Tensor:
        """Returns a tensor; ModelError when it does not fit its storage."""
        tensor = self.tensors[name]
        check_extent(tensor, name)
        return tensor


@dataclass(slots=True, eq=False)
class Weights:
    """Tensors whose records are raw bytes, described by JSON."""

    archive: Archive
    folder: str
    """Where the records are, with a slash at the end."""
    config: PayloadConfig
    _storages: dict[tuple[str, str], Storage] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.config.config

    def tensor(self, name: str) -> Tensor:
        """Returns a tensor; tensors that shared memory in Python share a storage.

        Raises:
            ModelError: it is not a plain tensor, or its record does not fit its sizes.
        """
        payload = self.config.config[name]
        meta = payload.tensor_meta
        # Reading a pickle means running what it says. State dicts have a reader of their own;
        # objects have none.
        if meta is None or payload.use_pickle:
            raise ModelError(f"{name!r:.80} is pickled: an object or a subclass of Tensor")
        if meta.layout != STRIDED:
            raise ModelError(f"{name!r:.80} is not a dense tensor")
        tensor = Tensor(
            storage=self._storage(name, payload, meta),
            sizes=_known(meta.sizes, name),
            strides=_known(meta.strides, name),
            offset=_known([meta.storage_offset], name)[0],
        )
        check_extent(tensor, name)
        return tensor

    def _storage(self, name: str, payload: Payload, meta: TensorMeta) -> Storage:
        dtype, record = meta.dtype_name, self.folder + payload.path_name
        # A storage has one dtype. Tensors of another dtype cannot share it, even with the same
        # record.
        key = record, dtype
        if key not in self._storages:
            # A name with slashes would lead to another folder of the archive.
            if not _RECORD.fullmatch(payload.path_name):
                raise ModelError(f"the record of {name!r:.80} has a malformed name")
            if dtype not in SCALAR_TYPES:
                raise ModelError(f"{name!r:.80} is {dtype}, which no runtime has")
            elements, rest = divmod(self.archive.size_of(record), BY_DTYPE[dtype].size)
            if rest:
                raise ModelError(f"{record!r:.120} does not consist of elements of {dtype}")
            self._storages[key] = Storage(
                dtype=dtype, elements=elements, read=partial(self.archive.view, record)
            )
        return self._storages[key]


def check_extent(tensor: Tensor, name: str) -> None:
    """Raises ModelError when a tensor is outside of its storage, or has very many elements."""
    sizes, strides = len(tensor.sizes), len(tensor.strides)
    if sizes != strides or sizes > _MOST_DIMENSIONS:
        raise ModelError(f"{name!r:.80} has {sizes} sizes and {strides} strides")
    count, stored = prod(tensor.sizes), tensor.storage.elements
    if not count:
        return
    # Strides are never negative in PyTorch, so the last element has the largest offset.
    last = sum((size - 1) * step for size, step in zip(tensor.sizes, tensor.strides, strict=True))
    if tensor.offset + last >= stored:
        what = "has no bytes in the file" if not stored else "is larger than its record"
        raise ModelError(f"{name!r:.80} {what}", hint="export the model again")
    # A stride of 0 repeats one element. A small file could ask for terabytes that way.
    if count > max(_FREE_ELEMENTS, stored * _MOST_REPEATS):
        raise ModelError(f"{name!r:.80} has {count:,} elements, of which {stored:,} are stored")


def _known(sizes: list[Size], name: str) -> tuple[int, ...]:
    found = [value for kind, value in (size.choice for size in sizes) if kind == "as_int"]
    if len(found) != len(sizes) or not all(0 <= size < 1 << 48 for size in found):
        raise ModelError(f"the sizes of {name!r:.80} are not known")
    return tuple(found)
