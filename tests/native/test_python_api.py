"""The sample of docs/reference/python-api.md, run as it stands there."""

import json
import subprocess
import sys

import pytest
from documents import read_blocks

from builder.system.machine import host_abi

from .conftest import ABI, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]
(SAMPLE,) = (block.text for block in read_blocks("python"))


def test_the_sample_builds_and_verifies_what_the_command_does(tmp_path):
    program = SAMPLE.replace("linux-x86_64", host_abi())
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    sha256, size, reported = ran.stdout.split()
    model, out = tmp_path / "mobilenet_v2.ptl", tmp_path / "out"
    assert int(size) == int(reported) == (out / ABI / "lib/libtorchlite.so").stat().st_size
    listed = json.loads(run_builder("ops", model, "--json").stdout)
    assert [one["sha256"] for one in listed["models"]] == [sha256]
    again = run_builder("build", model, "--abi", ABI, "-o", tmp_path / "other", "--json")
    (runtime,) = json.loads(again.stdout)["runtimes"]
    assert (runtime["size"], runtime["units_compiled"]) == (int(size), 0)
    same = [path / ABI / "lib/libtorchlite.so" for path in (out, tmp_path / "other")]
    assert same[0].read_bytes() == same[1].read_bytes()
