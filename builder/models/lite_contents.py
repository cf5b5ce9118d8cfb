"""Collects the contents of a lite file, in either of the two formats."""

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
    """Qualified names of the functions."""
    methods: set[str] = field(default_factory=set)
    signatures: dict[str, Signature | None] = field(default_factory=dict)
    """Method -> signature; None if two functions with this name have different ones."""
    dtype_codes: set[int] = field(default_factory=set)
    annotations: set[str] = field(default_factory=set)
    """Type annotations that were searched for custom classes already."""
    dtypes_known: bool = True
    """False if an operator receives a scalar type that the model computes."""

    def add_operator(self, name: str, overload: str) -> None:
        """Adds an operator; raises ModelError when its name is malformed."""
        try:
            self.operators.add(Operator(name, overload))
        except ValueError as error:
            raise ModelError(f"the name of an operator is malformed: {error}") from None

    def add_method(self, qualified_name: str) -> None:
        """Adds the function with a name like `__torch__.Model.forward` as the method `forward`.

        Raises:
            ModelError: the name is malformed, or another function has it (PyTorch writes each
                function once).
        """
        # Cut first: a name of megabytes would be copied by rpartition.
        name = qualified_name[-_LONGEST_NAME:].rpartition(".")[2]
        if len(qualified_name) > _LONGEST_NAME or not _IDENTIFIER.fullmatch(name):
            raise ModelError(f"the name of a method is malformed: {name[:80]!r}")
        if qualified_name in self.functions:
            raise ModelError(f"several functions of the model have the name {qualified_name:.80}")
        self.functions.add(qualified_name)
        self.methods.add(name)

    def add_signature(
        self,
        qualified_name: str,
        arguments: Iterable[tuple[str, str, object]],
        returns: Iterable[str],
    ) -> None:
        """Adds a signature: names, types and defaults of arguments, and types of results."""
        name = qualified_name.rpartition(".")[2]
        signature = make_signature(name, arguments, returns)
        # Methods of submodules can share a name; only an unambiguous signature is used.
        known = self.signatures.setdefault(name, signature)
        if known != signature:
            self.signatures[name] = None

    def add_dtype_codes(self, codes: Iterable[int] | None) -> None:
        """Adds scalar types by their codes; None says that some are unknown."""
        if codes is None:
            self.dtypes_known = False
        else:
            self.dtype_codes.update(codes)

    @property
    def dtypes(self) -> DtypeSet:
        """The dtypes that occur in the file; `EVERYTHING` if some are unknown."""
        if not self.dtypes_known or not self.dtype_codes <= set(range(len(SCALAR_TYPES))):
            return EVERYTHING
        return DtypeSet(frozenset(SCALAR_TYPES[code] for code in self.dtype_codes))

    def add_types(self, annotations: Iterable[str]) -> None:
        """Adds the custom classes in type annotations such as `__torch__.torch.classes.a.B`."""
        # Annotations repeat thousands of times, and each search costs.
        for annotation in set(annotations) - self.annotations:
            self.annotations.add(annotation)
            self.custom_classes.update(_CUSTOM_CLASS.findall(annotation))
