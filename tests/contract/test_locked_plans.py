"""A lock of the real toolchain, read where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.system.machine import host_abi

pytestmark = pytest.mark.host


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "builder", *arguments),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ops.txt").write_text("aten::relu\n")
    (tmp_path / "builder.yaml").write_text(
        f"inputs: [ops.txt]\ntargets: {{abis: [{host_abi()}]}}\n"
    )
    (tmp_path / "empty").mkdir()
    said = run(tmp_path, "lock")
    assert said.returncode == 0, said.stderr
    return tmp_path


def test_a_plan_needs_no_compiler(folder):
    # Another cache, so that no toolchain is remembered.
    alone = {"PATH": str(folder / "empty"), "BUILDER_CACHE": str(folder / "cache"), "CC": ""}
    assert run(folder, "plan", **alone).returncode == 5
    said = run(folder, "plan", "--locked", "--json", **alone)
    assert said.returncode == 0, said.stderr
    (plan,) = json.loads(said.stdout)["plans"]
    (here,) = json.loads(run(folder, "plan", "--json").stdout)["plans"]
    assert plan == here


def test_the_machine_is_compared_before_anything_is_compiled(folder):
    lock = folder / "builder.lock"
    content = json.loads(lock.read_text())
    content["products"][""][host_abi()]["tools"]["linker"] = "LLD 1.0"
    lock.write_text(json.dumps(content))
    said = run(folder, "build", "--locked")
    assert said.returncode == 5
    assert "and 'LLD 1.0' in the lock" in said.stderr
    assert not (folder / "out").exists()
