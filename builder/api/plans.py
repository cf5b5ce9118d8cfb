"""Planning a runtime: all that a build would do, and nothing done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.key_files import digest_deciding_files
from builder.api.models import read_wanted
from builder.api.toolchains import locate_toolchain
from builder.core.dtypes import DtypeChoice
from builder.core.features import choose_features
from builder.core.plan import BuildPlan, Flavour, Interface
from builder.native.configure import OPTIONS
from builder.native.index import find_index_files
from builder.selection.dispatch import choose_static_dispatch
from builder.selection.rules import load_rules
from builder.sources.trees import load_source_lock
from builder.system.folders import data_folder
from builder.toolchains.launchers import refuse_unknown

if TYPE_CHECKING:
    from builder.core.accelerators import Accelerator
    from builder.core.dtypes import DtypeSet
    from builder.core.plan import BuildRequest
    from builder.core.targets import Target
    from builder.core.toolchain import Toolchain


def plan_build(
    paths: Sequence[Path],
    target: Target,
    *,
    toolchain: Toolchain,
    flavour: Flavour | None = None,
    dtypes: DtypeSet | None = None,
    interface: Interface | None = None,
    accelerators: Sequence[Accelerator] = (),
) -> BuildPlan:
    """Returns what building a runtime for models and operator lists would do; writes nothing.

    Without `dtypes`, kernels are for those that can occur in the models; without `interface`, the
    runtime has the C API. Targets that are not Apple's take no notice of `accelerators`.

    Raises:
        ModelError: a file cannot be read, or its bytecode not by the runtime.
    """
    wanted, inferred = read_wanted(paths)
    choice = DtypeChoice(dtypes=dtypes, reason="as asked") if dtypes else inferred
    sources = load_source_lock()
    lock = sources.select()
    chosen = choose_features(wanted.operators, load_rules().features)
    return BuildPlan(
        target=target,
        operator_list=wanted,
        static_dispatch=choose_static_dispatch(wanted),
        flavour=flavour or Flavour(),
        source_version=lock.version,
        source_digest=lock.digest,
        features=tuple((one.name, sources.select(one.name).digest) for one in chosen),
        toolchain=toolchain.fingerprint,
        link_flags=toolchain.link_flags,
        configuration=tuple(f"{name}={value}" for name, value in sorted(OPTIONS.items())),
        native_digest=digest_deciding_files(
            target, find_index_files(data_folder("third_party"), lock.version, target)
        ),
        dtypes=choice.dtypes,
        dtypes_reason=choice.reason,
        interface=interface or Interface.C,
        accelerators=tuple(sorted(accelerators)) if target.is_apple else (),
    )


def plan_builds(request: BuildRequest, targets: Sequence[Target]) -> list[BuildPlan]:
    """Returns what building for each of `targets` would do; writes nothing.

    Raises:
        BuilderError: as `plan_build`; ToolchainError where a tool is missing, ConfigurationError
            for a launcher that there is not.
    """
    refuse_unknown(request.tools.launcher)
    alone = replace(request.tools, launcher="none")
    return [
        plan_build(
            request.inputs,
            target,
            toolchain=locate_toolchain(target, options=alone),
            flavour=request.flavour,
            dtypes=request.dtypes,
            accelerators=request.accelerators,
        )
        for target in targets
    ]
