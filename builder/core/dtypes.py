"""Sets of scalar types (dtypes), for example those that a runtime has kernels for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SCALAR_TYPES = (
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex32",
    "complex64",
    "complex128",
    "bool",
    "qint8",
    "quint8",
    "qint32",
    "bfloat16",
)
"""Names as in torch; the index is the code of the type (c10/core/ScalarType.h).

Later types have no name here. They have kernels only in a runtime for all dtypes.
"""
ALL = "all"
_CODES = {name: code for code, name in enumerate(SCALAR_TYPES)}


@dataclass(frozen=True, slots=True)
class DtypeSet:
    """A set of scalar types; without `names`, it contains all scalar types."""

    names: frozenset[str] | None = None

    @classmethod
    def of(cls, names: Iterable[str]) -> DtypeSet:
        """Returns the set of `names`; `all` among them gives the set of all scalar types.

        Raises:
            ValueError: a name is unknown, or `names` is empty.
        """
        given = frozenset(names)
        if ALL in given:
            return cls()
        unknown = sorted(given - _CODES.keys())
        if unknown or not given:
            what = f"unknown dtypes: {', '.join(unknown)}" if unknown else "no dtype is given"
            raise ValueError(f"{what}; known dtypes are {', '.join(SCALAR_TYPES)} and {ALL}")
        return cls(given)

    @classmethod
    def parse(cls, text: str) -> DtypeSet:
        """Returns the set for text like `float32,int64` or `all`; ValueError for other text."""
        return cls.of(name.strip() for name in text.split(","))

    @property
    def mask(self) -> int | None:
        """A number with one bit per scalar type, at its code; None for all scalar types."""
        return None if self.names is None else sum(1 << _CODES[name] for name in self.names)

    def lacks(self, wanted: DtypeSet) -> tuple[str, ...]:
        """Returns the names in `wanted` that this set lacks; `all` if only `wanted` is complete."""
        if self.names is None:
            return ()
        if wanted.names is None:
            return (ALL,)
        return _by_code(wanted.names - self.names)

    def __or__(self, other: DtypeSet) -> DtypeSet:
        # All dtypes and some more are all dtypes.
        if self.names is None or other.names is None:
            return DtypeSet()
        return DtypeSet(self.names | other.names)

    def to_json(self) -> list[str]:
        """Returns the names in the order of their codes; `of` accepts them."""
        return [ALL] if self.names is None else list(_by_code(self.names))

    def __str__(self) -> str:
        return ",".join(self.to_json())


EVERYTHING = DtypeSet()


@dataclass(frozen=True, slots=True, kw_only=True)
class DtypeChoice:
    """The dtypes of a runtime, and the reason for them."""

    dtypes: DtypeSet
    reason: str
    """Why these dtypes were chosen, for people."""
    named: DtypeSet = EVERYTHING
    """Those that models and their inputs name; everything where that is unknown."""


def _by_code(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=_CODES.__getitem__))
