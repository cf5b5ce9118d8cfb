from __future__ import annotations

from types import SimpleNamespace

import pytest
from samples import make_plan, make_toolchain

from builder.platforms.contents import find_licences
from builder.sources.releases import load_release
from builder.system.folders import locate_licence


@pytest.fixture
def build(tmp_path):
    (tmp_path / "third_party/fmt").mkdir(parents=True)
    for name in ("LICENSE", "NOTICE", "README.md", "third_party/fmt/LICENSE.rst"):
        (tmp_path / name).touch()
    tree = SimpleNamespace(root=tmp_path)
    plan = make_plan(release=load_release())
    return SimpleNamespace(plan=plan, tree=tree, features=(), toolchain=make_toolchain())


def test_the_licences_are_builders_own_and_those_of_the_sources(build):
    assert build.plan.release.lock.select().pins[0].path == "."
    found = find_licences(build)
    assert found == {
        "builder-LICENSE": locate_licence(),
        "pytorch-LICENSE": build.tree.root / "LICENSE",
        "pytorch-NOTICE": build.tree.root / "NOTICE",
        "fmt-LICENSE.rst": build.tree.root / "third_party/fmt/LICENSE.rst",
    }
