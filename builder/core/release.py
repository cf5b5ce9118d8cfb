"""A release of PyTorch: everything that builder knows about one version, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from builder.core.model_facts import BytecodeVersions
from builder.core.targets import Platform, Target
from builder.errors import ConfigurationError, Hint, Use

if TYPE_CHECKING:
    # `builder ops` loads this module for versions of bytecode, and needs neither of both.
    from builder.core.backends import Backend
    from builder.core.sources import SourceLock, SourcePatch

INDEX = "symbols"
"""Start of the names of symbol indexes: `symbols.txt`, `symbols-<platform>.txt`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedText:
    """How much builder finds in text that it reads with regular expressions.

    An expression that does not fit a release finds too little and raises nothing, so a build
    compares what it finds with these numbers.
    """

    declared: int
    """Operators that torchgen's `*_ops.h` headers declare."""
    upgraded: int
    """Operators in the table of `torch/csrc/jit/mobile/upgrader_mobile.cpp`."""
    without_kernel: Mapping[str, int]
    """Backends of static dispatch, joined by `;` -> declared operators with no kernel for them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "without_kernel", MappingProxyType(dict(self.without_kernel)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFacts:
    """The contents of `facts.toml`: facts that neither the sources' pins nor another file tells."""

    bytecode: BytecodeVersions
    """The versions of bytecode that the lite interpreter reads."""
    cmake_options: Mapping[str, str]
    """The options of upstream's CMake that every build has, besides those of its backends."""
    scanned: ScannedText

    def __post_init__(self) -> None:
        # The reader of TOML makes dicts, and all builds of a release share its facts.
        object.__setattr__(self, "cmake_options", MappingProxyType(dict(self.cmake_options)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of PyTorch: the folder `third_party/<version>`, read and checked."""

    version: str
    """The name of its folder, e.g. `2.6.0`."""
    folder: Path
    lock: SourceLock = field(repr=False)
    """The pins and patches of all of its source trees."""
    facts: ReleaseFacts = field(repr=False)
    backends: Mapping[str, Backend] = field(repr=False)
    """The backends that it can be built with, by name, sorted."""
    indexes: Mapping[str, Path] = field(repr=False)
    """Platform -> the symbol index of what is defined only there; "" -> the index of all targets.

    Linux has no index of its own: the index of all targets is made there.

    The platform of Apple's devices stands for their simulators too.
    """
    shader_patches: tuple[SourcePatch, ...] = field(default=(), repr=False)
    """Patches of shaders, applied in this order when shaders are compiled, and not to the tree.

    So a change of a shader compiles nothing else anew.
    """

    @property
    def source_digest(self) -> str:
        """Hexadecimal digest of the pins and patches of PyTorch's own tree."""
        return self.lock.select().digest

    @property
    def rules(self) -> Path:
        """The file with the rules that choose translation units."""
        return self.folder / "rules.toml"

    @property
    def operators(self) -> Path:
        """The list of all operators that a runtime of this release can have."""
        return self.folder / "operators.txt"

    @property
    def cmake_options(self) -> dict[str, str]:
        """The options of upstream's CMake with those of the backends, sorted by name."""
        backends = (one.cmake_options for one in self.backends.values())
        options = dict(self.facts.cmake_options)
        # Only backends of every build may have options (sources/read_backends.py), so all builds of
        # a release are configured alike.
        for added in backends:
            options |= added
        return dict(sorted(options.items()))

    def list_indexes(self, target: Target) -> tuple[Path, ...]:
        """Returns the symbol index of all targets, and what more holds on the target's platform.

        Raises:
            ConfigurationError: the release lacks one; without it a build would fail at the link.
        """
        family = Platform.IOS if target.is_apple else target.platform
        wanted = ("",) if family is Platform.LINUX else ("", family)
        for name in wanted:
            if name not in self.indexes:
                file = f"{INDEX}-{name}.txt" if name else f"{INDEX}.txt"
                raise ConfigurationError(
                    f"PyTorch {self.version} cannot be built for {target}: its symbol index "
                    f"{self.folder / file} does not exist",
                    hint=Hint(
                        *("choose another release with ", Use("pytorch"), ", or add the file: "),
                        "'Add a release of PyTorch' in CONTRIBUTING.md",
                    ),
                )
        return tuple(self.indexes[name] for name in wanted)
