"""The use-cases: stages meet here, and only here."""

from __future__ import annotations

from builder.api.accelerators import choose_accelerators, refuse_frameworks
from builder.api.android import AarOutcome, build_aar, refuse_unpackable
from builder.api.apple import (
    AppleOutcome,
    build_apple,
    check_xcframework,
    refuse_duplicates,
)
from builder.api.building import BuildOutcome, build_runtime
from builder.api.checking import check_libraries, check_model
from builder.api.exporting import export_model
from builder.api.models import list_operators, read_models, write_operators
from builder.api.outputs import refuse_list, refuse_model, refuse_outputs, refuse_page
from builder.api.planning import plan_build, plan_builds
from builder.api.sizing import (
    MeasuredRuntime,
    measure_aar,
    measure_runtime,
    measure_xcframework,
    price_set,
    refuse_aar_excess,
    refuse_excess,
    refuse_slice_excess,
    render_size_page,
)
from builder.api.sources import (
    fetch_sources,
    find_sources,
    list_source_origins,
    load_source_lock,
    locate_sources,
)
from builder.api.toolchains import (
    diagnose,
    locate_target,
    locate_targets,
    locate_toolchain,
)
from builder.api.verifying import time_model, verify_model
from builder.core.request import BuildRequest

__all__ = [
    "AarOutcome",
    "AppleOutcome",
    "BuildOutcome",
    "BuildRequest",
    "MeasuredRuntime",
    "build_aar",
    "build_apple",
    "build_runtime",
    "check_libraries",
    "check_model",
    "check_xcframework",
    "choose_accelerators",
    "diagnose",
    "export_model",
    "fetch_sources",
    "find_sources",
    "list_operators",
    "list_source_origins",
    "load_source_lock",
    "locate_sources",
    "locate_target",
    "locate_targets",
    "locate_toolchain",
    "measure_aar",
    "measure_runtime",
    "measure_xcframework",
    "plan_build",
    "plan_builds",
    "price_set",
    "read_models",
    "refuse_aar_excess",
    "refuse_duplicates",
    "refuse_excess",
    "refuse_frameworks",
    "refuse_list",
    "refuse_model",
    "refuse_outputs",
    "refuse_page",
    "refuse_slice_excess",
    "refuse_unpackable",
    "render_size_page",
    "time_model",
    "verify_model",
    "write_operators",
]
