"""What both lite formats hold, once taken out of their containers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from builder.core.dtypes import EVERYTHING, SCALAR_TYPES, DtypeSet
from builder.core.operators import Operator
from builder.core.signatures import Signature, make_signature
from builder.errors import ModelError

_CUSTOM_CLASS = re.compile(r"__torch__\.torch\.classes\.([A-Za-z_]\w*\.[A-Za-z_]\w*)", re.ASCII)
_LONGEST_NAME = 4096
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(slots=True, kw_only=True)
class LiteContents:
    """Collects what the functions of one model need, while they are being read."""

    bytecode_version: int
    operator_version: int | None = None
    operators: set[Operator] = field(default_factory=set)
    custom_classes: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    """Qualified names of methods."""
    methods: set[str] = field(default_factory=set)
    signatures: dict[str, Signature | None] = field(default_factory=dict)
    """By method; None where two functions of one name differ."""
    dtype_codes: set[int] = field(default_factory=set)
    annotations: set[str] = field(default_factory=set)
    """Type annotations that were looked at."""
    dtypes_known: bool = True
    """False when operators are asked for a scalar type that is computed."""

    def add_operator(self, name: str, overload: str) -> None:
        """Adds an operator; ModelError when its name is none."""
        try:
            self.operators.add(Operator(name, overload))
        except ValueError as error:
            raise ModelError(f"the model names an impossible operator: {error}") from None

    def add_method(self, qualified_name: str) -> None:
        """Adds the function of `__torch__.Model.forward` under the name it is called by.

        Raises:
            ModelError: that is no name, or another function has it: PyTorch writes each once.
        """
        name = qualified_name[-_LONGEST_NAME:].rpartition(".")[2]
        if len(qualified_name) > _LONGEST_NAME or not _IDENTIFIER.fullmatch(name):
            raise ModelError(f"the model has a method with an impossible name: {name[:80]!r}")
        if qualified_name in self.functions:
            raise ModelError(f"the model has several functions of one name: {qualified_name:.80}")
        self.functions.add(qualified_name)
        self.methods.add(name)

    def add_signature(
        self,
        qualified_name: str,
        arguments: Iterable[tuple[str, str, object]],
        returns: Iterable[str],
    ) -> None:
        """Adds what a function takes: names, types and defaults of arguments, types of results."""
        name = qualified_name.rpartition(".")[2]
        signature = make_signature(name, arguments, returns)
        known = self.signatures.setdefault(name, signature)
        if known != signature:
            self.signatures[name] = None

    def add_dtype_codes(self, codes: Iterable[int] | None) -> None:
        """Adds scalar types; None where they cannot be told."""
        if codes is None:
            self.dtypes_known = False
        else:
            self.dtype_codes.update(codes)

    @property
    def dtypes(self) -> DtypeSet:
        """What occurs in the file; everything when that cannot be told."""
        if not self.dtypes_known or not self.dtype_codes <= set(range(len(SCALAR_TYPES))):
            return EVERYTHING
        return DtypeSet(frozenset(SCALAR_TYPES[code] for code in self.dtype_codes))

    def add_types(self, annotations: Iterable[str]) -> None:
        """Adds the custom classes that type annotations such as `List[__torch__...]` name."""
        for annotation in set(annotations) - self.annotations:
            self.annotations.add(annotation)
            self.custom_classes.update(_CUSTOM_CLASS.findall(annotation))
