"""Small values that many unit tests start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builder.core.artifacts import LinkResult
from builder.core.components import BUILDER, Component
from builder.core.dtypes import EVERYTHING
from builder.core.model_facts import (
    BytecodeVersions,
    ModelFormat,
    ModelInfo,
    ModelOrigin,
    OperatorList,
)
from builder.core.operators import Operator, OperatorSet
from builder.core.plan import BuildPlan, DispatchBackend, Flavour
from builder.core.release import Release, ReleaseFacts, ScannedText
from builder.core.runtime_manifest import Manifest
from builder.core.sources import SourceLock, SourcePatch
from builder.core.targets import parse_target
from builder.core.toolchain import Tool, Toolchain
from builder.core.units import TranslationUnit, UnitGraph
from builder.size.reference_graph import ReferenceGraph
from builder.system.process import Completed, Runner


def building(build):
    """Returns a `build_products` that makes each build by `build`, which is as `api.build`."""

    def build_products(builds, *, progress):
        return [
            build(
                one.request,
                one.targets,
                one.output,
                one.options,
                progress=progress,
                locked=one.locked,
            )
            for one in builds
        ]

    return build_products


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRunner(Runner):
    """Answers every command with what `answer` makes of it, and feeds its lines on."""

    answer: Callable[[tuple[str, ...]], Completed] = lambda _: Completed(0, "")
    environment: dict[str, str] = field(default_factory=dict)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    folders: list[Path | None] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)

    @classmethod
    def saying(cls, output: str, returncode: int = 0) -> FakeRunner:
        return cls(answer=lambda _: Completed(returncode, output))

    def with_environment(self, **extra: str) -> FakeRunner:
        self.extra.update(extra)
        return self

    def run(self, command, *, cwd=None, log=None, on_line=None) -> Completed:
        self.commands.append(command)
        self.folders.append(cwd)
        completed = self.answer(command)
        for line in completed.output.splitlines():
            if on_line is not None:
                on_line(line)
        return completed


def make_tool(name: str, version: str = "14.0.6") -> Tool:
    return Tool(name=name, path=Path("/usr/bin", name), version=version)


def make_toolchain(**changes: object) -> Toolchain:
    values = {
        "target": parse_target("linux-x86_64"),
        "cc": make_tool("clang"),
        "cxx": make_tool("clang++"),
        "linker": make_tool("ld.lld"),
        "cmake": make_tool("cmake", "3.28"),
        "ninja": make_tool("ninja", "1.11"),
        "python": make_tool("python3", "3.11"),
        "strip": make_tool("llvm-strip"),
    }
    return Toolchain(**{**values, **changes})


def make_operators(*names: str, source: str = "m.ptl") -> OperatorSet:
    return OperatorSet.of(map(Operator.parse, names), source=source)


def make_list(*names: str, source: str = "m.ptl", classes: tuple[str, ...] = ()) -> OperatorList:
    return OperatorList(operators=make_operators(*names, source=source), custom_classes=classes)


def make_info(*operators: str, **changes: object) -> ModelInfo:
    values = {
        "name": "m.ptl",
        "sha256": "a" * 64,
        "size": 1,
        "format": ModelFormat.LITE_ZIP,
        "bytecode_version": 8,
        "operator_version": 3,
        "operators": tuple(map(Operator.parse, operators)),
        "custom_classes": (),
        "methods": ("forward",),
    }
    return ModelInfo(**{**values, **changes})


def make_release(version: str = "2.6.0", **changes: object) -> Release:
    """Returns a release without sources, backends and files."""
    values = {
        "version": version,
        "folder": Path("/releases", version),
        "lock": SourceLock(version=version, pins=(), patches=()),
        "facts": ReleaseFacts(
            bytecode=BytecodeVersions(min=4, max=9),
            cmake_options={"BUILD_TEST": "OFF"},
            scanned=ScannedText(declared=3, upgraded=2, without_kernel={"CPU": 1}),
        ),
        "backends": {},
        "indexes": {"": Path("/releases", version, "symbols.txt")},
    }
    return Release(**{**values, **changes})


def make_plan(**changes: object) -> BuildPlan:
    values = {
        "target": parse_target("linux-x86_64"),
        "operator_list": make_list("aten::add.Tensor", "aten::relu"),
        "static_dispatch": (DispatchBackend.CPU,),
        "flavour": Flavour(),
        "release": make_release(),
        "toolchain": make_toolchain().fingerprint,
        "configuration": ("BUILD_TEST=OFF", "USE_XNNPACK=ON"),
        "native_digest": "7" * 64,
    }
    return BuildPlan(**{**values, **changes})


def make_patch(text: str, name: str = "0001-fix") -> SourcePatch:
    return SourcePatch(name=name, text=text, reason="a reason")


def make_unit(unit_id: str, **changes: object) -> TranslationUnit:
    values = {
        "id": unit_id,
        "library": "torch_cpu",
        "language": "CXX",
        "source": f"/src/{unit_id}",
        "flags": ("-O2",),
        "generated": unit_id.startswith("generated/"),
    }
    return TranslationUnit(**{**values, **changes})


def make_graph(*units: TranslationUnit | str) -> UnitGraph:
    made = [make_unit(unit) if isinstance(unit, str) else unit for unit in units]
    return UnitGraph(units={unit.id: unit for unit in made})


def make_link(work: Path, **changes: object) -> LinkResult:
    """Returns what a link of one unit has left in `work`: a library and a runner."""
    values: dict[str, object] = {
        "library": work / "libtorchlite.so",
        "unstripped": work / "unstripped.so",
        "map_file": work / "x.map",
        "runner": work / "torchlite-run",
        "units": ("c10/a.cpp",),
        "units_compiled": 1,
        "units_known": 2,
        "rounds": 1,
        "seconds": 0.5,
    }
    return LinkResult(**values | changes)  # type: ignore[arg-type]


def make_manifest(**changes: object) -> Manifest:
    values = {
        "abi": "linux-x86_64",
        "operators": (Operator.parse("aten::relu"),),
        "custom_classes": ("xnnpack.Conv2dOpContext",),
        "bytecode_versions": BytecodeVersions(min=4, max=9),
        "models": (ModelOrigin("m.ptl", "a" * 64, 8),),
        "source_version": "2.6.0",
        "source_digest": "5" * 64,
        "features": ("torchvision",),
        "plan_key": "k",
        "static_dispatch": ("CPU",),
        "toolchain": ("clang 14",),
        "dtypes": EVERYTHING,
        "files": {},
    }
    return Manifest(**{**values, **changes})


COMPONENTS = (
    Component(
        name="eigen",
        version="3.4.0",
        licence="MPL-2.0 AND Apache-2.0",
        url="https://gitlab.com/libeigen/eigen",
        commit="3" * 40,
        archive="eigen3_3.4.0.orig.tar.bz2",
        sha256="b" * 64,
    ),
    Component(
        name="libstdc++",
        group="gcc",
        version="20220819",
        licence="GPL-3.0-or-later WITH GCC-exception-3.1",
        prebuilt=True,
    ),
    Component(name="qnnpack", licence="BSD-3-Clause", url="https://github.com/pytorch/QNNPACK"),
    Component(
        name="xnnpack",
        version="0.0~git20241108",
        licence="BSD-3-Clause",
        url="https://github.com/google/XNNPACK",
        commit="4" * 40,
        archive="xnnpack_0.0~git20241108.4ea82e5.orig.tar.xz",
        sha256="9" * 64,
    ),
    BUILDER,
)
"""One of each kind: of another host, of the compiler, in another source, of GitHub, our own."""


NODES = {
    "root": (1, ["core"]),
    "core": (10, ["shared"]),
    "shared": (100, []),
    "kernel<T>&": (1000, ["shared", "common"]),
    "other": (2000, ["common", "other"]),
    "common": (40_000, []),
    "aten::add.Tensor": (3, ["kernel<T>&"]),
    "aten::mul": (5, ["other"]),
    "aten::neg": (7, ["core"]),
}


def make_reference_graph() -> ReferenceGraph:
    """Returns the graph of `NODES`; two nodes in three belong to the second unit."""
    order = {name: index for index, name in enumerate(NODES)}
    return ReferenceGraph(
        names=tuple(NODES),
        sizes=tuple(size for size, _ in NODES.values()),
        units=("torch/a.cpp", "aten/src/ATen/native/<b>.cpp"),
        unit_of=tuple(int("e" in name) for name in NODES),
        targets=tuple(tuple(sorted(order[t] for t in targets)) for _, targets in NODES.values()),
        roots=(0,),
        operators={name: index for name, index in order.items() if "::" in name},
    )
