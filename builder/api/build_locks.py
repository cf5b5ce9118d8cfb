"""Writes what builds are made with into a file, and refuses builds that do not fit it."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder import __version__
from builder.api.link import PlannedTarget, list_interfaces, plan_target
from builder.api.plans import list_inputs, plan_with_versions
from builder.core.backends import Backend
from builder.core.build_lock import (
    MOST,
    BuildLock,
    DifferenceKind,
    LockedBuild,
    LockedTarget,
    list_differences,
    lock_plan,
    make_lock,
    parse_lock,
)
from builder.core.plan import BuildPlan, BuildRequest, Interface
from builder.core.runtime_manifest import render_json
from builder.core.targets import Target
from builder.core.toolchain import ToolchainOptions, ToolVersions
from builder.core.typed import suggest, to_json
from builder.errors import (
    BuilderError,
    ConfigurationError,
    Hint,
    Run,
    SourceError,
    ToolchainError,
)
from builder.platforms.package_options import PackageOptions
from builder.sources.releases import load_release
from builder.system.files import describe_unreadable, read_regular, write_atomically
from builder.system.machine import host_abi
from builder.system.outputs import refuse_foreign_file, refuse_unwritable, writing_file
from builder.system.progress import Progress

_ERRORS: Mapping[DifferenceKind, type[BuilderError]] = {
    DifferenceKind.TOOLS: ToolchainError,
    DifferenceKind.SOURCES: SourceError,
    DifferenceKind.SETTINGS: ConfigurationError,
}
_SHOWN = 12
"""Differences that an error names."""
_AGAIN = Hint("if this change is wanted, write the lock again: ", Run("lock"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedProduct:
    """What a lock says of one product."""

    path: Path
    """The lock, for errors."""
    name: str
    """The product; empty for a build without products."""
    machine: str
    """The machine that the lock was written on, in the form of ABIs."""
    expected: LockedBuild

    def find(self, target: Target) -> LockedTarget:
        """Returns what is expected for a target; ConfigurationError if the lock lacks its ABI."""
        targets = self.expected.targets
        locked = targets.get(target.abi)
        if locked is None:
            known = f"only {', '.join(sorted(targets))}" if targets else "and no other ABI"
            raise ConfigurationError(f"{self} has no {target.abi}, {known}", hint=_AGAIN)
        return locked

    def __str__(self) -> str:
        return f"{self.path}, product {self.name!r}," if self.name else str(self.path)


def lock_build(
    request: BuildRequest,
    targets: Sequence[Target],
    options: PackageOptions | None = None,
    *,
    progress: Progress,
) -> LockedBuild:
    """Returns what a build is made with on this machine; nothing is compiled.

    Args:
        request: what to build.
        targets: what to build for.
        options: the user's choices for the packages.
        progress: is told what is done.

    Raises:
        BuilderError: as `plan_builds`, but for what the output folder and programs other than
            compilers are the reason of.
    """
    options, release = options or PackageOptions(), request.pytorch or load_release()
    request = replace(request, pytorch=release)
    planned = [plan_target(request, target, Interface.C, progress=progress) for target in targets]
    made = [_describe_here(one, request, options) for one in planned]
    return functools.reduce(operator.or_, made)


def _describe_here(
    planned: PlannedTarget, request: BuildRequest, options: PackageOptions
) -> LockedBuild:
    interfaces = list_interfaces(planned.plan.target, options)
    return _describe(planned.plan, planned.toolchain.versions, interfaces, request.tools)


def _describe(
    plan: BuildPlan,
    tools: ToolVersions,
    interfaces: Sequence[Interface],
    chosen: ToolchainOptions,
) -> LockedBuild:
    keys = {str(one): replace(plan, interface=one).key for one in interfaces}
    return lock_plan(plan, tools, keys, chosen=chosen)


def write_lock(path: Path, products: Mapping[str, LockedBuild]) -> None:
    """Writes a lock; only a lock is replaced.

    Args:
        path: the file to write.
        products: product -> what `lock_build` returned; the name is empty without products.

    Raises:
        ConfigurationError: the file is something else, or the lock would be too large to be read.
    """
    lock = make_lock(products, builder=__version__, machine=host_abi())
    text = render_json(to_json(lock))
    if len(text) > MOST:
        raise ConfigurationError(
            f"a lock of {len(products):,} products has {len(text):,} characters, more than "
            f"{MOST:,}, and could not be read",
            hint="lock some of the products only",
        )
    refuse_unwritable(path)
    refuse_foreign_file(path, _is_lock, "lock of builder")
    with writing_file(path):
        write_atomically(path, text)


def _is_lock(path: Path) -> bool:
    try:
        parse_lock(read_regular(path, MOST))
    except ValueError:
        return False
    return True


def read_lock(path: Path) -> BuildLock:
    """Returns the contents of a lock.

    Raises:
        ConfigurationError: the file cannot be read, is no lock, or is of a newer builder.
    """
    try:
        return parse_lock(read_regular(path, MOST))
    except OSError as error:
        raise ConfigurationError(
            f"the lock {path} {describe_unreadable(path, error)}",
            hint=Hint("write one: ", Run("lock")),
        ) from None
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not a lock that this builder can read: {error}",
            hint=Hint("name another file, or write one: ", Run("lock")),
        ) from None


def choose_locked(path: Path, lock: BuildLock, product: str) -> LockedProduct:
    """Returns what a lock says of a product; ConfigurationError if it does not have it."""
    if product not in lock.products:
        called = f"product {product!r}" if product else "build without products"
        known = [name for name in lock.products if name]
        said = f"; {suggest(product, known)}" if product and known else ""
        raise ConfigurationError(f"{path} has no {called}{said}", hint=_AGAIN)
    return LockedProduct(
        path=path,
        name=product,
        machine=lock.machine,
        expected=LockedBuild(targets=lock.products[product], trees=lock.trees),
    )


def plan_locked(
    request: BuildRequest, targets: Sequence[Target], locked: LockedProduct
) -> list[BuildPlan]:
    """Returns the plans of a build with the tools of a lock; none of the tools needs to be here.

    Raises:
        ModelError: a file cannot be read, or an operator is unknown and `skip_unknown` is not set.
        ConfigurationError: the lock does not have one of the targets, or lacks a tool that the
            models need.
    """
    release = request.pytorch or load_release()
    return [
        plan_with_versions(
            list_inputs(request),
            target,
            release=release,
            find_versions=_find_versions(locked, target),
            flavour=request.flavour,
            dtypes=request.dtypes,
            accelerators=request.accelerators,
            core=request.core,
            skip_unknown=request.skip_unknown,
        )
        for target in targets
    ]


def _find_versions(locked: LockedProduct, target: Target) -> _LockedVersions:
    tools = locked.find(target).tools
    if tools.target != target.id:
        raise ConfigurationError(
            f"{locked} was written for {tools.target!r}, and this build is for {target.id!r}",
            hint=_AGAIN,
        )
    return _LockedVersions(locked=locked, tools=tools)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LockedVersions:
    """Answers which versions of tools a lock has for the backends of a build."""

    locked: LockedProduct
    tools: ToolVersions

    def __call__(self, backends: Sequence[Backend]) -> ToolVersions:
        if not any(one.shaders for one in backends):
            return replace(self.tools, shader_compiler="", shader_headers="")
        if not self.tools.shader_compiler:
            raise ConfigurationError(
                f"{self.locked} has no compiler of shaders, which the models need", hint=_AGAIN
            )
        return self.tools


def refuse_other_plans(
    plans: Sequence[BuildPlan], request: BuildRequest, locked: LockedProduct
) -> None:
    """Raises an error that names how plans that `plan_locked` made differ from their lock."""
    for plan in plans:
        known = locked.find(plan.target)
        tools = _find_versions(locked, plan.target)(plan.backends)
        # The interfaces follow from options of packages, which plans do not have.
        interfaces = [one for one in Interface if str(one) in known.keys]
        here = _describe(plan, tools, interfaces, request.tools)
        _refuse(here, plan.target, locked)


def refuse_stale(path: Path, lock: BuildLock, wanted: Mapping[str, Sequence[Target]]) -> None:
    """Raises ConfigurationError for products and ABIs of a lock that nobody builds any more.

    Args:
        path: the lock, for errors.
        lock: its contents.
        wanted: product -> its targets, for all products.
    """
    stale = [
        f"the product {name!r}" if name not in wanted else f"{abi} of {name!r}" if name else abi
        for name, targets in lock.products.items()
        for abi in targets
        if abi not in {target.abi for target in wanted.get(name, ())}
    ]
    if stale:
        names = ", ".join(dict.fromkeys(stale[:_SHOWN])) + (" and more" if stale[_SHOWN:] else "")
        raise ConfigurationError(f"{path} has what is not built any more: {names}", hint=_AGAIN)


def refuse_unlocked(
    request: BuildRequest,
    targets: Sequence[Target],
    options: PackageOptions,
    locked: LockedProduct,
    *,
    progress: Progress,
) -> None:
    """Raises what `build` with the same lock would raise; nothing is compiled."""
    planned = [plan_target(request, target, Interface.C, progress=progress) for target in targets]
    refuse_other_build(planned, request, options, locked)


def refuse_other_build(
    planned: Sequence[PlannedTarget],
    request: BuildRequest,
    options: PackageOptions,
    locked: LockedProduct,
) -> None:
    """Raises an error that names how a build on this machine differs from its lock.

    Raises:
        ConfigurationError: the lock is of a machine of another kind, lacks a target, or has other
            options or operators.
        ToolchainError: a tool has another version.
        SourceError: the sources are others.
    """
    machine = host_abi()
    if locked.machine != machine:
        raise ConfigurationError(
            f"{locked.path} was written on {locked.machine!r}, and this machine is {machine!r}, "
            "which has other tools",
            hint=Hint("write a lock on a machine like this one: ", Run("lock")),
        )
    for one in planned:
        target = one.plan.target
        _refuse(_describe_here(one, request, options), target, locked)


def _refuse(here: LockedBuild, target: Target, locked: LockedProduct) -> None:
    locked.find(target)
    found = list_differences(locked.expected, here, target.abi)
    if not found:
        return
    texts = [one.text for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        texts.append(f"and {len(found) - _SHOWN} more")
    message = f"{locked} does not fit this build for {target}: {'; '.join(texts)}"
    kind = found[0].kind
    hint = _AGAIN
    if kind is DifferenceKind.TOOLS:
        hint = Hint("install the tools of the lock, or ", _AGAIN)
    raise _ERRORS[kind](message, hint=hint)
