"""Planning a runtime: all that a build would do, and nothing done."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.core_choice import choose_core
from builder.api.key_files import digest_deciding_files
from builder.api.requirements import read_requirements
from builder.core.backends import Chosen, choose_backends, find_needed
from builder.core.cores import Core, CoreChoice
from builder.core.dtypes import DtypeChoice
from builder.core.plan import BuildPlan, Flavour, Interface
from builder.errors import ConfigurationError, Hint, ModelError, Run, Use
from builder.selection.choose import refuse_certain
from builder.selection.choose_dtypes import narrow_dtypes
from builder.selection.release_rules import read_rules
from builder.selection.static_dispatch import choose_static_dispatch
from builder.sources.schemas import load_declared
from builder.system.files import describe_absent, leads_nowhere
from builder.system.folders import data_folder
from builder.system.process import Runner
from builder.toolchains.shader_compiler import with_shader_compiler

if TYPE_CHECKING:
    from builder.core.backends import Backend
    from builder.core.dtypes import DtypeSet
    from builder.core.model_facts import OperatorList
    from builder.core.plan import BuildRequest
    from builder.core.release import Release
    from builder.core.targets import Target
    from builder.core.toolchain import Toolchain, ToolVersions


def plan_build(
    paths: Sequence[Path],
    target: Target,
    *,
    release: Release,
    toolchain: Toolchain,
    flavour: Flavour | None = None,
    dtypes: DtypeSet | None = None,
    interface: Interface | None = None,
    accelerators: Sequence[Backend] = (),
    core: CoreChoice = CoreChoice.UPSTREAM,
) -> BuildPlan:
    """Returns what building a runtime for models and operator lists would do; writes nothing.

    Without `dtypes`, kernels are for those that can occur in the models; without `interface`, the
    runtime has the C API. Of `accelerators`, those are left out that the target's platform lacks.

    Raises:
        ModelError: a file cannot be read, the runtime cannot read its bytecode, the platform lacks
            a backend that the models need, or `core` asks for builder's own core, which lacks
            something that is needed.
        ToolchainError: a backend of the models needs a tool that is missing.
    """

    def find_versions(backends: Sequence[Backend]) -> ToolVersions:
        # Only the models tell which backends there are; the plan has to know what they need.
        runner = Runner.inherit_for_tools()
        return with_shader_compiler(toolchain, backends, runner).versions

    return plan_with_versions(
        paths,
        target,
        release=release,
        find_versions=find_versions,
        flavour=flavour,
        dtypes=dtypes,
        interface=interface,
        accelerators=accelerators,
        core=core,
    )


def plan_with_versions(
    paths: Sequence[Path],
    target: Target,
    *,
    release: Release,
    find_versions: Callable[[Sequence[Backend]], ToolVersions],
    flavour: Flavour | None = None,
    dtypes: DtypeSet | None = None,
    interface: Interface | None = None,
    accelerators: Sequence[Backend] = (),
    core: CoreChoice = CoreChoice.UPSTREAM,
    skip_unknown: bool = True,
) -> BuildPlan:
    """Returns what `plan_build` does, with tools of which only the versions are known.

    `find_versions` returns them for the backends of the build. It is called last, so it may fetch
    what the tools need: what cannot be planned is refused before. Without `skip_unknown`, operators
    that the release does not have are refused, as a build does later.

    Raises:
        ModelError: a file cannot be read, the runtime cannot read its bytecode, the platform lacks
            a backend that the models need, an operator is refused, or `core` asks for builder's own
            core, which lacks something that is needed.
    """
    wanted, inferred = read_requirements(paths, readable=release.facts.bytecode)
    # What the user asks for counts even where a model seems to need more.
    choice = DtypeChoice(dtypes=dtypes, reason="as asked") if dtypes else inferred
    backends = choose_backends(
        release.backends.values(),
        operators=wanted.operators,
        classes=wanted.custom_classes,
        marks=wanted.marks,
        platform=target.platform,
        asked=find_accelerators(release, accelerators),
    )
    refuse_absent_backends(wanted, target, release)
    if not skip_unknown:
        refuse_certain(wanted, load_declared(release), read_rules(release), backends)
    features = [one.sources for one in backends if one.sources]
    interface = interface or Interface.C
    chosen, reason = choose_core(
        core,
        wanted,
        release=release,
        target=target,
        accelerators=[one for one in backends if one.chosen is Chosen.OPTION],
    )
    if chosen is Core.OWN and not dtypes:
        choice = narrow_dtypes(choice, wanted.operators)
    tools = find_versions(backends)
    return BuildPlan(
        target=target,
        operator_list=wanted,
        static_dispatch=choose_static_dispatch(wanted, backends),
        flavour=flavour or Flavour(),
        release=release,
        features=tuple((name, release.lock.select(name).digest) for name in features),
        toolchain=tools.fingerprint,
        link_flags=tools.link_flags,
        # All builds of a release are configured alike, whatever backends they have, so that they
        # share objects.
        configuration=tuple(f"{name}={value}" for name, value in release.cmake_options.items()),
        native_digest=digest_deciding_files(target, release),
        dtypes=choice.dtypes,
        dtypes_reason=choice.reason,
        interface=interface,
        backends=backends,
        core=chosen,
        core_reason=reason,
    )


def refuse_absent_backends(wanted: OperatorList, target: Target, release: Release) -> None:
    """Raises ModelError where models were made for a backend that the target's platform lacks."""
    known = release.backends.values()
    needed = find_needed(known, wanted.operators, wanted.custom_classes, wanted.marks)
    for one in needed:
        if one.chosen is Chosen.NEEDED and not one.runs_on(target.platform):
            raise ModelError(
                f"the model runs on {one.label}, which {target} does not have",
                hint=Hint("export the model for the CPU: ", Run("export", ("MODEL",))),
            )


def find_accelerators(release: Release, wanted: Sequence[Backend]) -> tuple[Backend, ...]:
    """Returns the backends of `release` with the names of those in `wanted`, of any release.

    Raises:
        ConfigurationError: the release cannot be built with one of them.
    """
    for one in wanted:
        if one.name not in release.backends:
            raise ConfigurationError(
                f"PyTorch {release.version} cannot be built with {one.label}",
                hint=Hint(
                    *("leave out ", Use("accelerators", one.name)),
                    ", or choose another release of PyTorch",
                ),
            )
    return tuple(release.backends[one.name] for one in wanted)


def list_inputs(request: BuildRequest) -> tuple[Path, ...]:
    """Returns the models and the operator lists of a build.

    Raises:
        ConfigurationError: there is none, or an operator list has an unknown name.
    """
    inputs = (*request.inputs, *map(locate_op_list, request.ops_lists))
    if not inputs:
        raise ConfigurationError("there is no model and no operator list to build for")
    return inputs


def locate_op_list(name: str) -> Path:
    """Returns the operator list at the path `name`, or the shipped list with that name.

    Raises:
        ConfigurationError: there is neither of them.
    """
    path = Path(name)
    if path.is_file():
        return path
    zoo = {shipped.stem: shipped for shipped in data_folder("ops_lists").glob("*.yaml")}
    if name in zoo:
        return zoo[name]
    if leads_nowhere(path):
        raise ConfigurationError(f"the operator list {path} {describe_absent(path)}")
    near = ", ".join(difflib.get_close_matches(name, zoo, n=3) or sorted(zoo))
    raise ConfigurationError(
        f"no operator list {name!r}: it is neither a file nor a list that ships with builder",
        hint=Hint(
            f"use one of {near}, or write one: ",
            Run("ops", ("MODEL", Use("output", "ops.yaml"))),
        ),
    )
