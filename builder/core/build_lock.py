"""The contents of `builder.lock`: what a build was made with, so that another one is noticed.

A lock has, for each product and ABI, the versions of the tools, the sources and patches, the
options, the operators, and the keys of the plans. Builds whose plans have the same key produce the
same bytes, so the keys alone could refuse another build; the other fields are there to name what is
different.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

from builder.core.cores import Core
from builder.core.dtypes import DtypeSet
from builder.core.plan import BuildPlan
from builder.core.setting_fields import Text
from builder.core.sources import SourceLock
from builder.core.toolchain import ToolchainOptions, ToolVersions
from builder.core.typed import Sha256, parse_json

SCHEMA = 1
"""Version of the layout of the file; readers refuse a newer version."""
MOST = 16 << 20
"""Characters of a lock; each ABI of a product takes about 4,000."""
_LONGEST = 160
"""Characters of a value that a message shows."""
_NAMES = {
    "archiver": "the archiver",
    "bitcode": "the place of the bitcode",
    "cc": "the C compiler",
    "cmake": "CMake",
    "cxx": "the C++ compiler",
    "link_flags": "the flags of the toolchain for links",
    "linker": "the linker",
    "packed_relocations": "the flags for relocations",
    "shader_compiler": "the compiler of shaders",
    "shader_headers": "the version of Vulkan's headers",
    "strip": "strip",
    "system_flags": "the flags of the toolchain",
    "target": "the target",
}


class DifferenceKind(IntEnum):
    """What differs between a lock and a build."""

    TOOLS = 1
    SOURCES = 2
    SETTINGS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One fact that a build and its lock do not share."""

    kind: DifferenceKind
    text: str
    """A clause such as `the linker is 'LLD 19', and 'LLD 14' in the lock`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedTree:
    """The source tree of a release of PyTorch, or that of one of its features."""

    digest: Sha256
    """Digest of its pins and patches."""
    sources: Mapping[str, str]
    """Name -> commit."""
    patches: Mapping[str, Sha256]
    """Name -> digest of its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOptions:
    """What the user and the models decide of a plan."""

    profile: str
    strip_error_messages: bool
    vulkan_precision: str
    dtypes: Text[DtypeSet]
    backends: tuple[str, ...]
    static_dispatch: tuple[str, ...]
    core: str = str(Core.UPSTREAM)
    stl: str = ""
    page_size: int | None = None
    """For Android, as in `ToolchainOptions`: the tools of a lock already have what follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedTarget:
    """One ABI of a product."""

    tools: ToolVersions
    pytorch: str
    """The release."""
    features: tuple[str, ...]
    """Features of the release whose sources are in the build, sorted."""
    options: LockedOptions
    operators: tuple[str, ...]
    """The root operators, sorted."""
    custom_classes: tuple[str, ...]
    native_digest: Sha256
    """Digest of the files of builder and of the release that decide bytes."""
    keys: Mapping[str, str]
    """Interface -> key of its plan."""

    @property
    def trees(self) -> tuple[str, ...]:
        """The names of its source trees."""
        return tuple(_name_tree(self.pytorch, feature) for feature in ("", *self.features))


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedBuild:
    """The targets of one product."""

    targets: Mapping[str, LockedTarget]
    """ABI -> what is expected."""
    trees: Mapping[str, LockedTree]
    """Name -> source tree."""

    def __or__(self, other: LockedBuild) -> LockedBuild:
        return LockedBuild(
            targets={**self.targets, **other.targets}, trees={**self.trees, **other.trees}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildLock:
    """The contents of a lock."""

    builder: str
    """The version of builder that wrote it."""
    machine: str
    """The machine that it was written on, in the form of ABIs, e.g. `linux-x86_64`."""
    products: Mapping[str, Mapping[str, LockedTarget]]
    """Product -> ABI -> what is expected; a build without products has the empty name."""
    trees: Mapping[str, LockedTree]
    """Name -> source tree."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        for product, targets in self.products.items():
            for abi, one in targets.items():
                # Without a key, nothing would say which bytes the build has.
                if not one.keys:
                    where = (
                        f"{abi!r:.80} of the product {product!r:.80}" if product else f"{abi!r:.80}"
                    )
                    raise ValueError(f"it has no keys of plans for {where}")
                for name in one.trees:
                    if name not in self.trees:
                        raise ValueError(f"it has no tree {name!r:.80}")


def make_lock(products: Mapping[str, LockedBuild], *, builder: str, machine: str) -> BuildLock:
    """Returns the contents of a lock for `products`, which were planned on `machine`."""
    return BuildLock(
        builder=builder,
        machine=machine,
        products={name: one.targets for name, one in products.items()},
        trees={name: tree for one in products.values() for name, tree in one.trees.items()},
    )


def parse_lock(text: str | bytes) -> BuildLock:
    """Returns the lock in `text`; unknown keys are ignored.

    Raises:
        ValueError: the text is no lock, or its schema is newer than `SCHEMA`.
    """
    return parse_json(text, BuildLock, "lock", newest=SCHEMA, most=MOST)


def lock_plan(
    plan: BuildPlan,
    tools: ToolVersions,
    keys: Mapping[str, str],
    *,
    chosen: ToolchainOptions,
) -> LockedBuild:
    """Returns what a lock says of a plan that was made with `tools`.

    Args:
        plan: the plan of one interface.
        tools: the versions that the plan was made with.
        keys: interface -> key of its plan.
        chosen: what the user chose of the toolchain.
    """
    target = LockedTarget(
        tools=tools,
        pytorch=plan.release.version,
        features=tuple(name for name, _ in plan.features),
        options=LockedOptions(
            profile=str(plan.flavour.profile),
            strip_error_messages=plan.flavour.strip_error_messages,
            vulkan_precision=str(plan.flavour.vulkan_precision),
            dtypes=plan.dtypes,
            backends=tuple(one.name for one in plan.backends),
            static_dispatch=tuple(map(str, plan.static_dispatch)),
            core=str(plan.core),
            stl=str(chosen.stl) if plan.target.is_android else "",
            page_size=chosen.page_size if plan.target.is_android else None,
        ),
        operators=tuple(map(str, plan.operator_list.operators)),
        custom_classes=plan.operator_list.custom_classes,
        native_digest=plan.native_digest,
        keys=dict(keys),
    )
    lock = plan.release.lock
    selected = [lock.select(feature) for feature in ("", *target.features)]
    return LockedBuild(
        targets={plan.target.abi: target},
        trees={_name_tree(lock.version, one.feature): _lock_tree(one) for one in selected},
    )


def _name_tree(version: str, feature: str) -> str:
    return f"{version}/{feature}" if feature else version


def _lock_tree(lock: SourceLock) -> LockedTree:
    return LockedTree(
        digest=lock.digest,
        sources={pin.name: pin.commit for pin in lock.pins},
        patches={one.name: hashlib.sha256(one.text.encode()).hexdigest() for one in lock.patches},
    )


def list_differences(locked: LockedBuild, here: LockedBuild, abi: str) -> tuple[Difference, ...]:
    """Returns what differs between a lock and a build for `abi`, which both have, tools first."""
    known, found = locked.targets[abi], here.targets[abi]
    trees = _compare_trees(locked, known, here, found)
    differences = (
        *_wrap(DifferenceKind.TOOLS, _compare_tools(known.tools, found.tools)),
        *_wrap(DifferenceKind.SOURCES, trees),
        *_wrap(DifferenceKind.SETTINGS, _compare_settings(known, found)),
    )
    # The fields above do not say everything that is in a key.
    if not differences and known.keys != found.keys:
        keys = f"the keys of the plans are {_show(found.keys)}"
        text = f"{keys}, and {_show(known.keys)} in the lock"
        return (Difference(kind=DifferenceKind.SETTINGS, text=text),)
    return differences


def _wrap(kind: DifferenceKind, texts: Iterator[str]) -> Iterator[Difference]:
    for text in texts:
        yield Difference(kind=kind, text=text)


def _compare_tools(locked: ToolVersions, here: ToolVersions) -> Iterator[str]:
    for one in fields(ToolVersions):
        known, found = getattr(locked, one.name), getattr(here, one.name)
        # The version of the C++ compiler begins with that of the C compiler.
        if known != found and not (one.name == "cc" and locked.cxx != here.cxx):
            yield f"{_NAMES[one.name]} is {_show(found)}, and {_show(known)} in the lock"


def _compare_trees(
    locked: LockedBuild, known: LockedTarget, here: LockedBuild, found: LockedTarget
) -> Iterator[str]:
    if known.pytorch != found.pytorch:
        # The sources of two releases have hardly anything in common.
        yield f"the release of PyTorch is {found.pytorch}, and {_show(known.pytorch)} in the lock"
        return
    if known.features != found.features:
        features = _show(known.features)
        yield f"the optional sources are {_show(found.features)}, and {features} in the lock"
    for name in found.trees:
        if name in known.trees:
            yield from _compare_tree(locked.trees[name], here.trees[name])


def _compare_tree(locked: LockedTree, here: LockedTree) -> Iterator[str]:
    names = (
        *_compare_names("source", locked.sources, here.sources),
        *_compare_names("patch", locked.patches, here.patches),
    )
    yield from names
    if not names and locked.digest != here.digest:
        yield "the sources are the same commits, but other archives or other files of them"


def _compare_names(kind: str, locked: Mapping[str, str], here: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(locked.keys() | here.keys()):
        known, found = locked.get(name), here.get(name)
        if known is None:
            yield f"the {kind} {name} is not in the lock"
        elif found is None:
            yield f"the {kind} {_show(name)} of the lock is not in this release"
        elif known != found:
            yield f"the {kind} {name} is {found[:12]}, and {_show(known[:12])} in the lock"


def _compare_settings(locked: LockedTarget, here: LockedTarget) -> Iterator[str]:
    for one in fields(LockedOptions):
        known, found = getattr(locked.options, one.name), getattr(here.options, one.name)
        if known != found:
            yield f"{one.name} is {_show(found)}, and {_show(known)} in the lock"
    for what, known, found in (
        ("operators", locked.operators, here.operators),
        ("custom classes", locked.custom_classes, here.custom_classes),
    ):
        if known != found:
            yield _describe_sets(what, known, found)
    if locked.native_digest != here.native_digest:
        yield "builder's own files are not those that the lock was written with"
    if locked.keys.keys() != here.keys.keys():
        yield (
            f"the interfaces are {_show(sorted(here.keys))}, and {_show(sorted(locked.keys))} in "
            "the lock"
        )


def _describe_sets(what: str, locked: Sequence[str], here: Sequence[str]) -> str:
    more, less = sorted({*here} - {*locked}), sorted({*locked} - {*here})
    parts = [f"{sign} {_show(names)}" for sign, names in (("new", more), ("gone", less)) if names]
    return f"the models need other {what}: {', '.join(parts) or 'in another order'}"


def _show(value: Any) -> str:  # noqa: ANN401 - what a field of a lock can be
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "not set"
    if isinstance(value, Mapping):
        value = [f"{key} {inner}" for key, inner in sorted(value.items())]
    if isinstance(value, list | tuple):
        text = ", ".join(map(str, value)) or "none"
    else:
        text = f"{str(value)!r}" if str(value) else "none"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
