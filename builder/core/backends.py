"""Backends: where a build can take kernels and delegates from, and what each adds to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from builder.core.operators import Operator
from builder.core.targets import Platform

if TYPE_CHECKING:
    from builder.core.sources import SourceTree

ANY_DISPATCH = "any"
"""In `Backend.units`: units that every build with the backend may compile."""


class Chosen(StrEnum):
    """How a backend gets into a build."""

    ALWAYS = "always"
    """Every build has it; upstream's CMake lists its units."""
    NEEDED = "needed"
    """A build has it when an operator or a custom class of a model needs it."""
    OPTION = "option"
    """A build has it when the user asks for it by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """How the generated code knows a tensor of a backend, and where it sends such a tensor."""

    key: str
    """The name in `c10::DispatchKey` (c10/core/DispatchKey.h)."""
    predicate: str
    """The method of `at::Tensor` and of `at::Device` that says so, such as `is_metal`."""
    kernels: str = ""
    """The C++ namespace of its kernels, where calls go straight to them.

    Then kernels are not registered, and the linker takes those that are called. Without it, calls
    go to the dispatcher, which finds kernels by name, so all of them have to be registered.
    """
    undeclared: tuple[str, ...] = ()
    """Names that its kernels are registered for, and that are no operators of this release."""


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A file in `backends/` of a release: its keys are these fields, without `name`.

    "The tree" below is the source tree of the feature `sources`; without one, PyTorch's tree.
    """

    name: str
    """The name of the file; plans, manifests and the command line use it too."""
    label: str
    """The name as its makers write it, for messages."""
    chosen: Chosen
    help: str = ""
    """The help text of the option; only where it is chosen by one."""
    platforms: tuple[Platform, ...] = ()
    """The platforms that have it; empty for all. Builds for others leave it out."""
    absent: str = ""
    """Why a build without it cannot have an operator of it, for error messages."""

    operators: tuple[str, ...] = ()
    """Starts of the full names of the operators that need it."""
    classes: tuple[str, ...] = ()
    """Starts of the names of the custom classes that need it, `namespace.Class`."""
    mark: str = ""
    """The attribute that an export gives to models for it: they need it, whatever they call."""

    sources: str = ""
    """The feature of the source lock that has its sources, in a tree laid out as PyTorch's."""
    units_of_pytorch: bool = False
    """Whether its `units` are in PyTorch's tree although it has `sources`, for their headers."""
    shaders: str = ""
    """Folder of PyTorch's tree with shaders in GLSL, which are compiled into the runtime."""
    units: Mapping[str, tuple[str, ...]] = field(default_factory=_nothing)
    """Units that it adds to upstream's: paths in the tree, or globs.

    The key is the backend of static dispatch (`DispatchBackend`) that a build must have for them,
    or `any`.
    """
    left_out: Mapping[str, str] = field(default_factory=_nothing)
    """Source files that no build compiles although they are beside `units`, and the reasons."""
    roots: tuple[str, ...] = ()
    """Globs of its units that are always linked.

    They register kernels in static initialisers, so no other unit has an undefined symbol that
    they define.
    """
    units_by_class: Mapping[str, tuple[str, ...]] = field(default_factory=_nothing)
    """Namespace of custom classes -> units whose static initialisers register them."""
    units_by_operator: Mapping[str, tuple[str, ...]] = field(default_factory=_nothing)
    """Namespace of operators -> units that they need although no symbol refers to them."""

    defines: tuple[str, ...] = ()
    """Macros that its own units are compiled with."""
    pytorch_includes: tuple[str, ...] = ()
    """Folders of PyTorch's tree where its own units look for headers after the usual ones."""
    includes: tuple[str, ...] = ()
    """Folders of the tree with headers for its own units and for `needed_by`."""
    needed_by: tuple[str, ...] = ()
    """Units of PyTorch that cannot be compiled without `includes`, which come first there."""
    without_arc: tuple[str, ...] = ()
    """Objective-C++ units that count references by hand; the others have it done by clang."""
    runtime_defines: tuple[str, ...] = ()
    """Macros that tell builder's own C++ (`cmake/runtime`) that the runtime has it."""
    runtime_includes: tuple[str, ...] = ()
    """Folders of builder's own C++ where its units look for headers."""
    runtime_units: tuple[str, ...] = ()
    """Units of builder's own C++ that a runtime with it has besides the others."""
    cmake_options: Mapping[str, str] = field(default_factory=_nothing)
    """Options of upstream's CMake; only where every build has it, since builds share objects."""
    frameworks: tuple[str, ...] = ()
    """Apple's frameworks that its units are compiled against and linked with."""

    static_dispatch: str = ""
    """The backend of static dispatch (`DispatchBackend`) that its tensors need."""
    dispatch: Dispatch | None = None
    """How calls that are bound to the CPU find its tensors; None where it has no tensors."""

    def __post_init__(self) -> None:
        for name in ("units", "left_out", "units_by_class", "units_by_operator", "cmake_options"):
            # Readers of the files make dicts, and all builds share one backend.
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def runs_on(self, platform: Platform) -> bool:
        """Says whether a platform has it."""
        # An empty tuple stands for all platforms, also for those that come later.
        return not self.platforms or platform in self.platforms

    def serves(self, operator: Operator) -> bool:
        """Says whether `operator` needs it."""
        return str(operator).startswith(self.operators)

    def has_class(self, name: str) -> bool:
        """Says whether the custom class `name` needs it."""
        # An empty tuple matches nothing.
        return name.startswith(self.classes)

    def is_meant(self, marks: Collection[str]) -> bool:
        """Says whether a model with these `marks` was exported for it."""
        return bool(self.mark) and self.mark in marks


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedBackend:
    """A backend and its source tree: that of its `sources`, or PyTorch's."""

    backend: Backend
    tree: SourceTree


def find_needed(
    backends: Iterable[Backend],
    operators: Iterable[Operator],
    classes: Iterable[str],
    marks: Collection[str] = (),
) -> tuple[Backend, ...]:
    """Returns those of `backends` that a model needs, sorted by name.

    Args:
        backends: to choose from.
        operators: the root operators of the model.
        classes: its custom classes.
        marks: what exports for backends have left in it.
    """
    wanted, held = tuple(operators), tuple(classes)
    return _sort(
        one
        for one in backends
        if any(map(one.serves, wanted)) or any(map(one.has_class, held)) or one.is_meant(marks)
    )


def choose_backends(
    known: Iterable[Backend],
    *,
    operators: Iterable[Operator],
    classes: Iterable[str],
    marks: Collection[str] = (),
    platform: Platform,
    asked: Collection[Backend] = (),
) -> tuple[Backend, ...]:
    """Returns the backends of a build, sorted by name.

    Args:
        known: all that there are.
        operators: the root operators of the models.
        classes: the custom classes of the models.
        marks: what exports for backends have left in the models.
        platform: what is built for; a backend that it does not have is left out.
        asked: those that the user asked for.
    """
    there = [one for one in known if one.runs_on(platform)]
    needed = find_needed(there, operators, classes, marks)
    return _sort(
        one
        for one in there
        if one.chosen is Chosen.ALWAYS
        or (one.chosen is Chosen.NEEDED and one in needed)
        or (one.chosen is Chosen.OPTION and one in asked)
    )


def _sort(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    return tuple(sorted(backends, key=lambda one: one.name))
