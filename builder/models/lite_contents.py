"""Collects what the content of a lite file needs from a runtime."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from builder.core.dtypes import EVERYTHING, SCALAR_TYPES, DtypeSet
from builder.core.operators import Operator
from builder.core.signatures import Signature, make_signature
from builder.errors import ModelError
from builder.lite.bytecode import values_in
from builder.lite.effort import Effort
from builder.lite.model import Argument, Function, LiteModel
from builder.lite.objects import CustomObject, Dict, List, ScriptObject, Tensor, walk
from builder.models.dtype_arguments import find_dtype_codes

_CUSTOM_CLASS = re.compile(r"__torch__\.torch\.classes\.([^\[\], ]*)")
"""A custom class in an annotation: its name goes on to where a type can end, as for the runtime."""
_CLASS_NAME = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*", re.ASCII)

_MARK = re.compile(r"optimized_for_[a-z]{1,20}", re.ASCII)
"""Upstream's passes for Metal and Vulkan leave such attributes (torch/csrc/jit/passes)."""


@dataclass(slots=True)
class LiteContents:
    """What the functions and objects of one model need."""

    operators: set[Operator] = field(default_factory=set)
    custom_classes: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    """Attributes by which an export for a backend has marked the model."""
    methods: set[str] = field(default_factory=set)
    signatures: dict[str, Signature | None] = field(default_factory=dict)
    """Method -> signature; None if two functions with this name have different ones."""
    scalar_types: set[str] = field(default_factory=set)
    annotations: set[str] = field(default_factory=set)
    """Type annotations that were searched for custom classes already."""
    dtypes_known: bool = True
    """False if an operator receives a scalar type that the model computes."""

    def add_function(self, function: Function, effort: Effort) -> None:
        """Adds what a function calls; `effort` bounds the work of following its code.

        Raises:
            ModelError: the name of an operator or of a custom class is malformed, or the code asks
                for too much work.
        """
        self.methods.add(function.name.rpartition(".")[2])
        for callee in function.callees:
            try:
                self.operators.add(Operator(callee.name, callee.overload))
            except ValueError as error:
                raise ModelError(f"the name of an operator is malformed: {error}") from None
        self.add_types(function.types)
        codes = find_dtype_codes(
            function.instructions, function.callees, function.constants, spend=effort.spend
        )
        if codes is None or not codes <= set(range(len(SCALAR_TYPES))):
            self.dtypes_known = False
        else:
            self.scalar_types.update(SCALAR_TYPES[code] for code in codes)
        # Files of old versions have functions without a schema.
        if function.arguments is not None and function.results is not None:
            self._add_signature(function.name, function.arguments, function.results)

    def _add_signature(
        self, name: str, arguments: tuple[Argument, ...], results: tuple[Argument, ...]
    ) -> None:
        self.add_types(one.type for one in (*arguments, *results))
        name = name.rpartition(".")[2]
        signature = make_signature(
            name,
            ((one.name, one.type, one.default) for one in arguments),
            (one.type for one in results),
        )
        # Methods of submodules can share a name; only an unambiguous signature is used.
        known = self.signatures.setdefault(name, signature)
        if known != signature:
            self.signatures[name] = None

    def add_value(self, value: object) -> None:
        """Adds what one value needs, without the values in it."""
        match value:
            case Tensor():
                self.scalar_types.add(value.dtype)
            case complex():
                self.scalar_types.add("complex128")
            case List(type=annotation) | Dict(type=annotation):
                self.add_types((annotation,))
            case CustomObject(class_name=name):
                self.custom_classes.add(name)
            case ScriptObject(class_name=name):
                self.add_types((name,))

    def add_types(self, annotations: Iterable[str]) -> None:
        """Adds the custom classes in type annotations such as `__torch__.torch.classes.a.B`.

        Raises:
            ModelError: the name of a custom class is malformed.
        """
        # Annotations repeat thousands of times, and each search costs.
        for annotation in set(annotations) - self.annotations:
            self.annotations.add(annotation)
            for name in _CUSTOM_CLASS.findall(annotation):
                if not _CLASS_NAME.fullmatch(name):
                    raise ModelError(f"the name of a custom class is malformed: {name!r:.80}")
                self.custom_classes.add(name)

    @property
    def dtypes(self) -> DtypeSet:
        """The dtypes that occur in the file; `EVERYTHING` if some are unknown."""
        if not self.dtypes_known or not self.scalar_types <= set(SCALAR_TYPES):
            return EVERYTHING
        return DtypeSet(frozenset(self.scalar_types))


def collect_contents(model: LiteModel, effort: Effort) -> LiteContents:
    """Returns what the functions and objects of a model need; `effort` bounds the work.

    Raises:
        ModelError: the name of an operator or of a custom class is malformed, or the code asks for
            too much work.
    """
    contents = LiteContents()
    for function in model.functions:
        contents.add_function(function, effort)
    # The runtime asks the model itself, and none of its submodules (cmake/runtime/gpu.h).
    if isinstance(model.root, ScriptObject):
        marked = (name for name, value in model.root.attributes.items() if value is True)
        contents.marks.update(filter(_MARK.fullmatch, marked))
    for value in walk((model.root, model.script_constants, *values_in(model.functions))):
        contents.add_value(value)
    return contents
