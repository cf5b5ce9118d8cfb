"""Kill a build anywhere: the next run ends with the bytes of an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import ABI, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]

# Objects to take away so that there is something left to compile.
MISSING = ("c10/core/S*.o", "torch/csrc/jit/mobile/im*.o", "torchlite/*.o")


@pytest.fixture(autouse=True)
def heeded():
    """A shell has what it starts in the background ignore interrupts, and that is inherited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def wanted(built):
    return built.wanted


@pytest.fixture
def objects(built, wanted):
    (plan,) = json.loads(run_builder("plan", *wanted, "--abi", ABI, "--json").stdout)
    from builder.system.places import cache_folder

    return cache_folder() / "native" / plan["objects_key"], plan["key"]


def take_objects_away(objects):
    root, key = objects
    shutil.rmtree(root / "plans" / key)
    for pattern in MISSING:
        for path in (root / "objects/size").glob(pattern):
            path.unlink()


def start(wanted, out):
    command = [sys.executable, "-m", "builder.cli.main", "build", *map(str, wanted)]
    return subprocess.Popen(
        [*command, "--abi", ABI, "-o", str(out), "--jobs", "1"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "CCACHE_DISABLE": "1"},
    )


def wait_for(process, text):
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the build ended before it said {text!r}")


@pytest.mark.parametrize(
    ("point", "delay", "how"),
    [
        ("round 1:", 1.0, signal.SIGKILL),
        ("round 2:", 2.0, signal.SIGKILL),
        ("round 3:", 0.5, signal.SIGINT),
        ("packaging", 0.0, signal.SIGKILL),
    ],
)
def test_a_killed_build_continues(built, wanted, objects, tmp_path, point, delay, how):
    take_objects_away(objects)
    process = start(wanted, tmp_path)
    wait_for(process, point)
    time.sleep(delay)
    process.send_signal(how)
    process.communicate()
    assert process.returncode != 0
    leftovers = [path for path in tmp_path.glob("*") if not path.name.startswith(".")]
    assert leftovers in ([], [tmp_path / ABI])
    run_builder("build", *wanted, "--abi", ABI, "-o", tmp_path)
    for name in ("lib/libtorchlite.so", "bin/torchlite-run", "manifest.json"):
        assert (tmp_path / ABI / name).read_bytes() == (built.root / name).read_bytes()


def test_no_compiler_outlives_a_killed_builder(wanted, objects, tmp_path):
    take_objects_away(objects)
    process = start(wanted, tmp_path)
    wait_for(process, "round 2:")
    time.sleep(1)
    ninjas = children(process.pid)
    assert ninjas
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in ninjas):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run_builder("build", *wanted, "--abi", ABI, "-o", tmp_path)


def children(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def test_two_builders_do_not_meet(wanted, objects, tmp_path):
    take_objects_away(objects)
    process = start(wanted, tmp_path / "one")
    wait_for(process, "round 2:")
    said = run_builder(
        *("build", *wanted, "--abi", ABI, "-o", tmp_path / "two", "--lock-timeout", "0"),
        check=False,
    )
    process.communicate()
    assert process.returncode == 0
    assert said.returncode == 6
    assert f"process {process.pid}" in said.stderr
    assert not (tmp_path / "two").exists()
