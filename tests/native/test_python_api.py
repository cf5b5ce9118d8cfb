"""The samples of docs/reference/python-api.md, run as they stand there."""

import json
import subprocess
import sys

import pytest
from documents import read_blocks

from builder.system.machine import host_abi

from .conftest import ABI, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]
SAMPLE, WITHOUT_REFERENCE = (
    block.text for block in read_blocks("python", page="docs/reference/python-api.md")
)


def run_sample(program, folder):
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_sample_builds_and_verifies_what_the_command_does(tmp_path):
    printed = run_sample(SAMPLE.replace("linux-x86_64", host_abi()), tmp_path)
    sha256, size, reported = printed.split()
    model, out = tmp_path / "mobilenet_v2.ptl", tmp_path / "out"
    assert int(size) == int(reported) == (out / ABI / "lib/libtorchlite.so").stat().st_size
    listed = json.loads(run_builder("ops", model, "--json").stdout)
    assert [one["sha256"] for one in listed["models"]] == [sha256]
    again = run_builder("build", model, "--abi", ABI, "-o", tmp_path / "other", "--json")
    (runtime,) = json.loads(again.stdout)["runtimes"]
    assert (runtime["size"], runtime["units_compiled"]) == (int(size), 0)
    same = [path / ABI / "lib/libtorchlite.so" for path in (out, tmp_path / "other")]
    assert same[0].read_bytes() == same[1].read_bytes()
    (tmp_path / "mobilenet_v2.ptl.reference.safetensors").unlink()
    spec, difference, ok = run_sample(WITHOUT_REFERENCE, tmp_path).split()
    assert (spec, ok) == ("float32[1,1000]", "True")
    assert float(difference) < 1e-4
