"""Each allocation of a load and a call fails once: a status each time, never a signal."""

import re
import subprocess
from pathlib import Path

import pytest

from builder.api.toolchains import locate_target, locate_toolchain
from tests.fuzz.models import export_models

from .conftest import ABI

pytestmark = [pytest.mark.torch, pytest.mark.host]
HERE = Path(__file__).parent
SIZES = {
    "mobile": (1, 3, 16, 16),
    "mobile_flatbuffer": (1, 3, 16, 16),
    "loops": (3, 8),
    "loops_flatbuffer": (3, 8),
}
"""Models that `built` can run, and the size of their input."""


@pytest.fixture(scope="module")
def program(built, tmp_path_factory):
    compiler = locate_toolchain(locate_target(ABI)).cc.path
    made = tmp_path_factory.mktemp("memory") / "without_memory"
    flags = (
        *("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-rdynamic"),
        f"-I{built.root}/include",
    )
    folder = built.root / "lib"
    linked = (folder / "libtorchlite.so", f"-Wl,-rpath,{folder}")
    subprocess.run([compiler, *flags, HERE / "without_memory.c", *linked, "-o", made], check=True)
    return made


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    return {one.name: one.path for one in export_models(tmp_path_factory.mktemp("targets"))}


@pytest.mark.parametrize("name", SIZES)
def test_every_allocation_that_fails_is_a_status(program, targets, name):
    sizes = map(str, SIZES[name])
    said = subprocess.run([program, targets[name], *sizes], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout
    found = re.fullmatch(r"(\d+) allocations\n(?:.*\n)*?(\d+) told\n", said.stdout)
    assert found, said.stdout
    assert int(found[1]) > 500
    assert found[1] == found[2], said.stdout
