"""Kill a build anywhere: nothing of it lives on, and the next ends with the bytes of another."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from .conftest import ABI, HERE, read_plan, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]

# Objects to take away so that there is something left to compile.
MISSING = ("c10/core/S*.o", "torch/csrc/jit/mobile/im*.o", "torchlite/l*.o")
NAMES = ("lib/libtorchlite.so", "bin/torchlite-run", "manifest.json")
UNCACHED = {"CCACHE_DISABLE": "1"}


@pytest.fixture
def wanted(built):
    return built.wanted


@pytest.fixture
def objects(built, wanted):
    plan = read_plan(*wanted, "--abi", ABI)
    from builder.system.folders import cache_folder

    return cache_folder() / "native" / plan["objects_key"], plan["key"]


def take_objects_away(objects):
    root, key = objects
    shutil.rmtree(root / "plans" / key)
    for pattern in MISSING:
        for path in (root / "objects/size").glob(pattern):
            path.unlink()


class Stopped:
    """A build that was ended at a point, with temporary files in a folder of its own."""

    def __init__(self, wanted, out, *, point, number, whom="builder"):
        self.mark = f"BUILDER_TEST_MARK={uuid.uuid4()}"
        self.temporary = out.parent / f"tmp {point}"
        self.temporary.mkdir()
        name, _, value = self.mark.partition("=")
        command = [sys.executable, HERE / "stopping.py", point, int(number), whom]
        build = ["build", *wanted, "--abi", ABI, "-o", out, "--jobs", 2]
        environment = {**os.environ, **UNCACHED, name: value, "TMPDIR": self.temporary}
        done = subprocess.run(
            [*map(str, (*command, *build))],
            env={key: str(text) for key, text in environment.items()},
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        self.returncode, self.said = done.returncode, done.stdout + done.stderr

    def list_processes(self):
        """Returns what runs and was started by this build, or by what it started."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if self.mark.encode() in environment.split(b"\0"):
                found.append(folder.name)
        return found


def wait_for_lock(objects):
    """Returns when no process holds the objects: what the next builder waits for."""
    from builder.system.locks import folder_lock

    with folder_lock(objects[0]):
        pass


POINTS = (
    ("compile", signal.SIGKILL, "builder"),
    ("link", signal.SIGINT, "builder"),
    ("optimise", signal.SIGTERM, "group"),
    ("swap", signal.SIGKILL, "group"),
)


def test_a_build_that_is_killed_again_and_again_ends_with_the_same_bytes(
    built, wanted, objects, tmp_path, alone
):
    take_objects_away(objects)
    out = tmp_path / "out"
    for point, number, whom in POINTS:
        stopped = Stopped(wanted, out, point=point, number=number, whom=whom)
        assert stopped.returncode == (130 if number == signal.SIGINT else -number), stopped.said
        wait_for_lock(objects)
        assert stopped.list_processes() == [], "nothing outlives a builder"
        there = [path.name for path in out.glob("*") if not path.name.startswith(".")]
        assert there == ([ABI] if point == "swap" else [])
        left = [path.name for path in stopped.temporary.iterdir()]
        assert all(name.startswith(".builder-tmp-") for name in left), "the next run knows its own"
    run_builder("build", *wanted, "--abi", ABI, "-o", out)
    for name in NAMES:
        assert (out / ABI / name).read_bytes() == (built.root / name).read_bytes()
    there = sorted(path.name for path in out.iterdir())
    assert there == ["cmake", ABI], "leftovers go with the next run"
    root, key = objects
    assert list(root.rglob(".builder-tmp-*")) == []
    assert list((root / "plans" / key).rglob("*.tmp*")) == []


def test_two_builders_do_not_meet(wanted, objects, tmp_path, alone):
    from builder.system.locks import folder_lock

    with folder_lock(objects[0]):
        said = run_builder(
            *("build", *wanted, "--abi", ABI, "-o", tmp_path / "two", "--lock-timeout", "0"),
            check=False,
        )
    assert said.returncode == 6
    assert f"process {os.getpid()}" in said.stderr
    assert not (tmp_path / "two").exists()
