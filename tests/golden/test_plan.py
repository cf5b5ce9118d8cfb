"""What `builder plan` prints for a small operator list; BUILDER_UPDATE_GOLDEN=1 records it anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder import api
from builder.api import builds, link
from builder.api import plans as planning
from builder.cli.build import command as build_command
from builder.cli.plan import command as plan_command
from builder.core.sources import SourceLock
from builder.core.targets import parse_target
from builder.core.toolchain import Tool, Toolchain

HERE = Path(__file__).parent


def make_toolchain(folder: str) -> Toolchain:
    def tool(name: str) -> Tool:
        return Tool(name=name, path=Path(folder, name), version=f"{name} 14.0.6")

    names = ("cc", "cxx", "linker", "cmake", "ninja", "python", "strip")
    return Toolchain(target=parse_target("linux-x86_64"), **{name: tool(name) for name in names})


@pytest.fixture
def plan(monkeypatch):
    """Prints the plan; what changes with builder itself and with the machine stands still."""
    lock = SourceLock(version="2.6.0", pins=(), patches=())
    release = replace(api.load_release(), lock=lock)
    monkeypatch.setattr(builds, "load_release", lambda: release)
    monkeypatch.setattr(planning, "digest_deciding_files", lambda *_: "0" * 64)

    def run(*arguments: object, command=plan_command, tools: str = "/usr/bin") -> str:
        monkeypatch.setattr(link, "locate_toolchain", lambda target, **_: make_toolchain(tools))
        given = [*map(str, arguments), "--abi", "linux-x86_64"]
        result = CliRunner().invoke(command, given, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_the_plan(plan, golden):
    golden(HERE / "plan.json", plan(HERE / "operators.yaml", "--json"))


def test_it_is_the_same_wherever_the_files_and_tools_are(plan, tmp_path):
    copy = tmp_path / "another place"
    copy.mkdir()
    copy /= "operators.yaml"
    copy.write_bytes((HERE / "operators.yaml").read_bytes())
    here = plan(HERE / "operators.yaml", "--json")
    assert plan(copy, "--json", tools="/opt/my llvm") == here
    assert plan(copy, "--json") == here


def test_a_dry_run_is_the_plan(plan):
    given = (HERE / "operators.yaml", "--json")
    assert plan(*given, "--dry-run", command=build_command) == plan(*given)


def test_for_people(plan, golden):
    golden(HERE / "plan.txt", plan(HERE / "operators.yaml"))
