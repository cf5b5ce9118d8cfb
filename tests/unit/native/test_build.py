from __future__ import annotations

from pathlib import Path

from samples import FakeRunner, make_plan, make_toolchain

from builder.core.sources import SourceTree
from builder.native.build_folders import Layout
from builder.native.job import NativeBuild, compile_folder
from builder.system.progress import Silent


def make_build(cache: Path, checkout: Path) -> NativeBuild:
    plan = make_plan()
    return NativeBuild(
        plan=plan,
        tree=SourceTree(root=cache / "sources/2.6.0", version="2.6.0", digest="5" * 64),
        toolchain=make_toolchain(),
        layout=Layout.of(cache, plan),
        runtime=checkout / "cmake/runtime",
        runner=FakeRunner(),
        progress=Silent(),
    )


def test_commands_are_the_same_for_every_cache_and_checkout():
    one = make_build(Path("/home/me/.cache/builder"), Path("/home/me/builder"))
    other = make_build(Path("/tmp/cache"), Path("/opt/builder"))
    flags = [compile_folder(build).map_prefixes(build.toolchain) for build in (one, other)]
    assert flags[0] == flags[1]
    for build in (one, other):
        folder = compile_folder(build)
        for path in (build.layout.runtime, build.layout.plan_folder, build.tree.root):
            assert not Path(folder.relocate(f"{path}/a.cpp")).is_absolute()
