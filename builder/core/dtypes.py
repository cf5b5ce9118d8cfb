"""Sets of scalar types that a runtime has kernels for."""

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
"""Names as in torch; the place is the code (c10/core/ScalarType.h). Types after these have no
name here, and kernels only where every dtype has them."""
ALL = "all"
_CODES = {name: code for code, name in enumerate(SCALAR_TYPES)}


@dataclass(frozen=True, slots=True)
class DtypeSet:
    """Scalar types; without `names` it is all there are."""

    names: frozenset[str] | None = None

    @classmethod
    def of(cls, names: Iterable[str]) -> DtypeSet:
        """Returns the set of `names`, of everything when `all` is among them.

        Raises:
            ValueError: a name is unknown, or there is none.
        """
        given = frozenset(names)
        if ALL in given:
            return cls()
        unknown = sorted(given - _CODES.keys())
        if unknown or not given:
            what = f"no dtypes: {', '.join(unknown)}" if unknown else "no dtype is named"
            raise ValueError(f"{what}; known are {', '.join(SCALAR_TYPES)} and {ALL}")
        return cls(given)

    @property
    def mask(self) -> int | None:
        """One bit per scalar type, at its code; None for everything."""
        return None if self.names is None else sum(1 << _CODES[name] for name in self.names)

    def lacks(self, wanted: DtypeSet) -> tuple[str, ...]:
        """Returns the names of `wanted` that are not here, `all` when that is what lacks."""
        if self.names is None:
            return ()
        if wanted.names is None:
            return (ALL,)
        return _by_code(wanted.names - self.names)

    def __or__(self, other: DtypeSet) -> DtypeSet:
        if self.names is None or other.names is None:
            return DtypeSet()
        return DtypeSet(self.names | other.names)

    def to_json(self) -> list[str]:
        """Returns the names by code, as `of` takes them."""
        return [ALL] if self.names is None else list(_by_code(self.names))

    def __str__(self) -> str:
        return ",".join(self.to_json())


@dataclass(frozen=True, slots=True, kw_only=True)
class DtypeChoice:
    """Dtypes for a runtime, and why these."""

    dtypes: DtypeSet
    reason: str


def _by_code(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=_CODES.__getitem__))


EVERYTHING = DtypeSet()
