"""The use-cases: stages meet here, and only here.

A name's module is imported when the name is first used, so that a command loads only what it needs:
`builder ops` starts without what builds, packages and measures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.api.build_locks import LockedProduct as LockedProduct
    from builder.api.build_locks import choose_locked as choose_locked
    from builder.api.build_locks import lock_build as lock_build
    from builder.api.build_locks import plan_locked as plan_locked
    from builder.api.build_locks import read_lock as read_lock
    from builder.api.build_locks import refuse_other_plans as refuse_other_plans
    from builder.api.build_locks import refuse_stale as refuse_stale
    from builder.api.build_locks import refuse_unlocked as refuse_unlocked
    from builder.api.build_locks import write_lock as write_lock
    from builder.api.build_report import BuildReport as BuildReport
    from builder.api.builds import ProductBuild as ProductBuild
    from builder.api.builds import build as build
    from builder.api.builds import build_products as build_products
    from builder.api.builds import plan_builds as plan_builds
    from builder.api.builds import refuse_outputs as refuse_outputs
    from builder.api.cache import CacheAction as CacheAction
    from builder.api.cache import CacheReport as CacheReport
    from builder.api.cache import CacheRequest as CacheRequest
    from builder.api.cache import manage_cache as manage_cache
    from builder.api.cache_contents import CacheEntry as CacheEntry
    from builder.api.cache_contents import CacheKind as CacheKind
    from builder.api.cache_keys import list_cache_keys as list_cache_keys
    from builder.api.checks import check as check
    from builder.api.checks import check_package as check_package
    from builder.api.comments import post_comment as post_comment
    from builder.api.comments import render_release as render_release
    from builder.api.configuration import read_configuration as read_configuration
    from builder.api.exports import export as export
    from builder.api.exports import refuse_model as refuse_model
    from builder.api.fetch import fetch_sources as fetch_sources
    from builder.api.graphs import read_graphs as read_graphs
    from builder.api.initial_configuration import render_configuration as render_configuration
    from builder.api.measuring import MeasuredRuntime as MeasuredRuntime
    from builder.api.measuring import aar_before as aar_before
    from builder.api.measuring import measure_aar as measure_aar
    from builder.api.measuring import price_set as price_set
    from builder.api.measuring import refuse_aar_excess as refuse_aar_excess
    from builder.api.measuring import refuse_page as refuse_page
    from builder.api.measuring import render_size_page as render_size_page
    from builder.api.measuring import size as size
    from builder.api.measuring import size_before as size_before
    from builder.api.models import OperatorsRequest as OperatorsRequest
    from builder.api.models import list_operators as list_operators
    from builder.api.models import read_models as read_models
    from builder.api.plans import list_inputs as list_inputs
    from builder.api.plans import plan_build as plan_build
    from builder.api.products import Configuration as Configuration
    from builder.api.products import Product as Product
    from builder.api.release_report import ReleaseReport as ReleaseReport
    from builder.api.releases import ReleaseRequest as ReleaseRequest
    from builder.api.releases import release as release
    from builder.api.repairs import Repairs as Repairs
    from builder.api.repairs import plan_repairs as plan_repairs
    from builder.api.repairs import repair as repair
    from builder.api.settings import BuildSettings as BuildSettings
    from builder.api.settings import GrowthSettings as GrowthSettings
    from builder.api.settings import PackageCheck as PackageCheck
    from builder.api.settings import ProofSettings as ProofSettings
    from builder.api.settings import PublishSettings as PublishSettings
    from builder.api.settings import ReleaseSettings as ReleaseSettings
    from builder.api.settings import RunSettings as RunSettings
    from builder.api.settings import TargetSettings as TargetSettings
    from builder.api.signatures import DescribedInput as DescribedInput
    from builder.api.signatures import DescribedMethod as DescribedMethod
    from builder.api.signatures import DescribedModel as DescribedModel
    from builder.api.signatures import describe_methods as describe_methods
    from builder.api.size_reasons import is_library as is_library
    from builder.api.size_reasons import read_reasons as read_reasons
    from builder.api.toolchains import diagnose as diagnose
    from builder.api.toolchains import locate_target as locate_target
    from builder.api.toolchains import locate_targets as locate_targets
    from builder.api.toolchains import locate_toolchain as locate_toolchain
    from builder.api.verification import bench as bench
    from builder.api.verification import bench_together as bench_together
    from builder.api.verification import verify as verify
    from builder.core.artifacts import BenchReport as BenchReport
    from builder.core.artifacts import Diagnosis as Diagnosis
    from builder.core.artifacts import Finding as Finding
    from builder.core.artifacts import OperatorPrice as OperatorPrice
    from builder.core.artifacts import OutputDifference as OutputDifference
    from builder.core.artifacts import Package as Package
    from builder.core.artifacts import SizeReport as SizeReport
    from builder.core.artifacts import VerifyReport as VerifyReport
    from builder.core.backends import Backend as Backend
    from builder.core.budgets import Budget as Budget
    from builder.core.budgets import Budgets as Budgets
    from builder.core.budgets import Growth as Growth
    from builder.core.build_lock import BuildLock as BuildLock
    from builder.core.build_lock import LockedBuild as LockedBuild
    from builder.core.build_lock import LockedTarget as LockedTarget
    from builder.core.byte_sizes import ByteSize as ByteSize
    from builder.core.components import Component as Component
    from builder.core.cores import CoreChoice as CoreChoice
    from builder.core.dtypes import DtypeSet as DtypeSet
    from builder.core.model_facts import BytecodeVersions as BytecodeVersions
    from builder.core.model_facts import ModelFormat as ModelFormat
    from builder.core.model_facts import ModelInfo as ModelInfo
    from builder.core.model_facts import ModelOrigin as ModelOrigin
    from builder.core.model_facts import OperatorList as OperatorList
    from builder.core.nesting import Constant as Constant
    from builder.core.nesting import Group as Group
    from builder.core.nesting import GroupKind as GroupKind
    from builder.core.nesting import InputSpec as InputSpec
    from builder.core.nesting import MethodInputs as MethodInputs
    from builder.core.nesting import Named as Named
    from builder.core.nesting import Number as Number
    from builder.core.nesting import parse_input as parse_input
    from builder.core.operators import Operator as Operator
    from builder.core.operators import OperatorSet as OperatorSet
    from builder.core.plan import BuildPlan as BuildPlan
    from builder.core.plan import BuildRequest as BuildRequest
    from builder.core.plan import Flavour as Flavour
    from builder.core.plan import Interface as Interface
    from builder.core.plan import Profile as Profile
    from builder.core.release import Release as Release
    from builder.core.release import ReleaseFacts as ReleaseFacts
    from builder.core.runtime_manifest import Manifest as Manifest
    from builder.core.signatures import Signature as Signature
    from builder.core.sources import SourceTree as SourceTree
    from builder.core.stages import Agreement as Agreement
    from builder.core.stages import Stage as Stage
    from builder.core.targets import Platform as Platform
    from builder.core.targets import Target as Target
    from builder.core.tensors import DType as DType
    from builder.core.tensors import TensorSpec as TensorSpec
    from builder.core.toolchain import Stl as Stl
    from builder.core.toolchain import Toolchain as Toolchain
    from builder.core.toolchain import ToolchainOptions as ToolchainOptions
    from builder.errors import BuilderError as BuilderError
    from builder.errors import ConfigurationError as ConfigurationError
    from builder.errors import ExitCode as ExitCode
    from builder.errors import Hint as Hint
    from builder.errors import Install as Install
    from builder.errors import ModelError as ModelError
    from builder.errors import NativeBuildError as NativeBuildError
    from builder.errors import PackagingError as PackagingError
    from builder.errors import RulesError as RulesError
    from builder.errors import Run as Run
    from builder.errors import SizeError as SizeError
    from builder.errors import SourceError as SourceError
    from builder.errors import ToolchainError as ToolchainError
    from builder.errors import Use as Use
    from builder.errors import VerificationError as VerificationError
    from builder.export.request import Capture as Capture
    from builder.export.request import ExportRequest as ExportRequest
    from builder.export.request import ExportResult as ExportResult
    from builder.export.request import Flow as Flow
    from builder.export.request import LiteFormat as LiteFormat
    from builder.export.request import Method as Method
    from builder.export.request import MobileBackend as MobileBackend
    from builder.export.request import Optimisation as Optimisation
    from builder.export.request import Pass as Pass
    from builder.export.request import Quantisation as Quantisation
    from builder.export.request import Saving as Saving
    from builder.graph.program import Program as Program
    from builder.platforms.android.build import AarResult as AarResult
    from builder.platforms.android.package import AarOptions as AarOptions
    from builder.platforms.android.package import Coordinates as Coordinates
    from builder.platforms.android.package import WrittenAar as WrittenAar
    from builder.platforms.android.sizes import AarSizes as AarSizes
    from builder.platforms.android.sizes import FileSize as FileSize
    from builder.platforms.apple.accelerators import refuse_frameworks as refuse_frameworks
    from builder.platforms.apple.build import AppleResult as AppleResult
    from builder.platforms.apple.manifest import SliceEntry as SliceEntry
    from builder.platforms.apple.manifest import XcframeworkManifest as XcframeworkManifest
    from builder.platforms.apple.measure import measure_xcframework as measure_xcframework
    from builder.platforms.apple.measure import refuse_slice_excess as refuse_slice_excess
    from builder.platforms.apple.package import AppleOptions as AppleOptions
    from builder.platforms.apple.package import WrittenApple as WrittenApple
    from builder.platforms.package_options import PackageOptions as PackageOptions
    from builder.platforms.results import RuntimeResult as RuntimeResult
    from builder.size.budget_check import refuse_excess as refuse_excess
    from builder.size.budget_check import refuse_growth as refuse_growth
    from builder.size.reasons import Cut as Cut
    from builder.size.reasons import Reason as Reason
    from builder.size.reasons import Reasons as Reasons
    from builder.size.reasons import Retained as Retained
    from builder.sources.choice import FetchRequest as FetchRequest
    from builder.sources.release_facts import list_releases as list_releases
    from builder.sources.releases import list_optional_backends as list_optional_backends
    from builder.sources.releases import load_release as load_release
    from builder.sources.trees import find_sources as find_sources
    from builder.sources.trees import list_source_origins as list_source_origins
    from builder.sources.trees import locate_sources as locate_sources
    from builder.system.limits import Limits as Limits
    from builder.system.progress import Progress as Progress
    from builder.system.progress import Silent as Silent
    from builder.verify.coverage import Coverage as Coverage
    from builder.verify.coverage import Obstacle as Obstacle
    from builder.verify.coverage import ObstacleKind as ObstacleKind
    from builder.verify.policy import PolicyFinding as PolicyFinding
    from builder.verify.policy import PolicyReport as PolicyReport
    from builder.verify.policy import Verdict as Verdict
    from builder.verify.request import BenchRequest as BenchRequest
    from builder.verify.request import VerifyRequest as VerifyRequest

_MODULES = {
    "builder.api.build_locks": (
        "LockedProduct",
        "choose_locked",
        "lock_build",
        "plan_locked",
        "read_lock",
        "refuse_other_plans",
        "refuse_stale",
        "refuse_unlocked",
        "write_lock",
    ),
    "builder.api.build_report": ("BuildReport",),
    "builder.api.builds": (
        "ProductBuild",
        "build",
        "build_products",
        "plan_builds",
        "refuse_outputs",
    ),
    "builder.api.cache": (
        "CacheAction",
        "CacheReport",
        "CacheRequest",
        "manage_cache",
    ),
    "builder.api.cache_contents": ("CacheEntry", "CacheKind"),
    "builder.api.cache_keys": ("list_cache_keys",),
    "builder.api.checks": (
        "check",
        "check_package",
    ),
    "builder.api.comments": (
        "post_comment",
        "render_release",
    ),
    "builder.api.configuration": ("read_configuration",),
    "builder.api.exports": (
        "export",
        "refuse_model",
    ),
    "builder.api.fetch": ("fetch_sources",),
    "builder.api.graphs": ("read_graphs",),
    "builder.api.initial_configuration": ("render_configuration",),
    "builder.api.models": (
        "OperatorsRequest",
        "list_operators",
        "read_models",
    ),
    "builder.api.plans": (
        "list_inputs",
        "plan_build",
    ),
    "builder.api.products": (
        "Configuration",
        "Product",
    ),
    "builder.api.release_report": ("ReleaseReport",),
    "builder.api.releases": (
        "ReleaseRequest",
        "release",
    ),
    "builder.api.repairs": (
        "Repairs",
        "plan_repairs",
        "repair",
    ),
    "builder.api.settings": (
        "BuildSettings",
        "GrowthSettings",
        "PackageCheck",
        "ProofSettings",
        "PublishSettings",
        "ReleaseSettings",
        "RunSettings",
        "TargetSettings",
    ),
    "builder.api.measuring": (
        "MeasuredRuntime",
        "aar_before",
        "measure_aar",
        "price_set",
        "refuse_aar_excess",
        "refuse_page",
        "render_size_page",
        "size",
        "size_before",
    ),
    "builder.api.signatures": (
        "DescribedInput",
        "DescribedMethod",
        "DescribedModel",
        "describe_methods",
    ),
    "builder.api.size_reasons": (
        "is_library",
        "read_reasons",
    ),
    "builder.api.toolchains": (
        "diagnose",
        "locate_target",
        "locate_targets",
        "locate_toolchain",
    ),
    "builder.api.verification": (
        "bench",
        "bench_together",
        "verify",
    ),
    "builder.core.artifacts": (
        "BenchReport",
        "Diagnosis",
        "Finding",
        "OperatorPrice",
        "OutputDifference",
        "Package",
        "SizeReport",
        "VerifyReport",
    ),
    "builder.core.backends": ("Backend",),
    "builder.core.budgets": (
        "Budget",
        "Budgets",
        "Growth",
    ),
    "builder.core.build_lock": (
        "BuildLock",
        "LockedBuild",
        "LockedTarget",
    ),
    "builder.core.byte_sizes": ("ByteSize",),
    "builder.core.components": ("Component",),
    "builder.core.cores": ("CoreChoice",),
    "builder.core.dtypes": ("DtypeSet",),
    "builder.core.runtime_manifest": ("Manifest",),
    "builder.core.model_facts": (
        "BytecodeVersions",
        "ModelFormat",
        "ModelInfo",
        "ModelOrigin",
        "OperatorList",
    ),
    "builder.core.nesting": (
        "Constant",
        "Group",
        "GroupKind",
        "InputSpec",
        "MethodInputs",
        "Named",
        "Number",
        "parse_input",
    ),
    "builder.core.operators": (
        "Operator",
        "OperatorSet",
    ),
    "builder.core.plan": (
        "BuildPlan",
        "BuildRequest",
        "Flavour",
        "Interface",
        "Profile",
    ),
    "builder.core.release": (
        "Release",
        "ReleaseFacts",
    ),
    "builder.core.signatures": ("Signature",),
    "builder.core.sources": ("SourceTree",),
    "builder.core.stages": (
        "Agreement",
        "Stage",
    ),
    "builder.core.targets": (
        "Platform",
        "Target",
    ),
    "builder.core.tensors": (
        "DType",
        "TensorSpec",
    ),
    "builder.core.toolchain": (
        "Stl",
        "Toolchain",
        "ToolchainOptions",
    ),
    "builder.errors": (
        "BuilderError",
        "ConfigurationError",
        "ExitCode",
        "Hint",
        "Install",
        "ModelError",
        "NativeBuildError",
        "PackagingError",
        "RulesError",
        "Run",
        "SizeError",
        "SourceError",
        "ToolchainError",
        "Use",
        "VerificationError",
    ),
    "builder.export.request": (
        "Capture",
        "ExportRequest",
        "ExportResult",
        "Flow",
        "LiteFormat",
        "Method",
        "MobileBackend",
        "Optimisation",
        "Pass",
        "Quantisation",
        "Saving",
    ),
    "builder.graph.program": ("Program",),
    "builder.platforms.android.build": ("AarResult",),
    "builder.platforms.android.package": (
        "AarOptions",
        "Coordinates",
        "WrittenAar",
    ),
    "builder.platforms.android.sizes": (
        "AarSizes",
        "FileSize",
    ),
    "builder.platforms.apple.accelerators": ("refuse_frameworks",),
    "builder.platforms.apple.build": ("AppleResult",),
    "builder.platforms.apple.manifest": (
        "SliceEntry",
        "XcframeworkManifest",
    ),
    "builder.platforms.apple.measure": (
        "measure_xcframework",
        "refuse_slice_excess",
    ),
    "builder.platforms.apple.package": (
        "AppleOptions",
        "WrittenApple",
    ),
    "builder.platforms.package_options": ("PackageOptions",),
    "builder.platforms.results": ("RuntimeResult",),
    "builder.size.budget_check": ("refuse_excess", "refuse_growth"),
    "builder.size.reasons": (
        "Cut",
        "Reason",
        "Reasons",
        "Retained",
    ),
    "builder.sources.choice": ("FetchRequest",),
    "builder.sources.release_facts": ("list_releases",),
    "builder.sources.releases": ("list_optional_backends", "load_release"),
    "builder.sources.trees": (
        "find_sources",
        "list_source_origins",
        "locate_sources",
    ),
    "builder.system.limits": ("Limits",),
    "builder.system.progress": (
        "Progress",
        "Silent",
    ),
    "builder.verify.coverage": (
        "Coverage",
        "Obstacle",
        "ObstacleKind",
    ),
    "builder.verify.policy": (
        "PolicyFinding",
        "PolicyReport",
        "Verdict",
    ),
    "builder.verify.request": (
        "BenchRequest",
        "VerifyRequest",
    ),
}
_OWNERS = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Imports what is asked for; AttributeError for a name that is not of this package."""
    if name not in _OWNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OWNERS[name]), name)


def __dir__() -> list[str]:
    """Returns the public names, for completion."""
    return sorted(_OWNERS)
