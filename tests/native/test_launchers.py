"""Compiler launchers, with a real ccache and real distcc helpers on the loopback address."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import replace

import pytest

from builder import api
from builder.core.units import TranslationUnit
from builder.errors import ToolchainError
from builder.native.ninja import CompileFolder, Prefix, compile_units, render_ninja, write_ninja
from builder.system.process import Runner
from builder.system.progress import Silent
from builder.toolchains.launchers import locate_launcher

from .conftest import ABI

pytestmark = pytest.mark.host

HEADER = "#define STEP 3\n"
SOURCE = """
#include <map>
#include <string>
static std::map<std::string, int> counts{{__FILE__, NUMBER}};
namespace { int hidden(int x) { return x * STEP; } }
int count%d(const std::string& name) {
  return counts[name] + hidden(NUMBER);
}
"""
C_SOURCE = "const char* where(void) { return __FILE__; }\nint step(void) { return STEP; }\n"
COUNT = 8
PROBE = 1
"""Each helper compiles one line to show which compiler it has."""


class Project:
    """Generated units below a folder of their own, compiled as builder compiles PyTorch's."""

    def __init__(self, folder):
        self.source = folder / "the sources"
        self.source.mkdir(parents=True)
        root = folder / "native" / "my objects"
        self.folder = CompileFolder(
            root=root,
            ninja_file=root / "build.ninja",
            objects="objects",
            prefixes=(
                Prefix(root, ".", "."),
                Prefix(self.source, os.path.relpath(self.source, root), "sample"),
            ),
        )
        texts = {f"unit{i}.cpp": SOURCE % i for i in range(COUNT - 1)} | {"where.c": C_SOURCE}
        self.units = [self._add(number, *text) for number, text in enumerate(texts.items())]

    def _add(self, number, name, text):
        header, path = self.source / "step.h", self.source / name
        header.write_text(HEADER)
        path.write_text(text)
        language = "C" if name.endswith(".c") else "CXX"
        flags = ("-Os", "-w", "-fPIC", "-fno-ident", f"-DNUMBER={number}", "-include", str(header))
        return TranslationUnit(
            id=name, library="sample", language=language, source=str(path), flags=flags
        )

    def compile(self, choice, runner, progress=None, first=None):
        toolchain = api.locate_toolchain(api.locate_target(ABI))
        toolchain = replace(toolchain, launcher=locate_launcher(runner, choice, toolchain.cc))
        write_ninja(render_ninja(self.units, toolchain, self.folder), self.folder)
        return compile_units(
            [unit.id for unit in self.units[:first]],
            toolchain,
            self.folder,
            runner=runner,
            jobs=2,
            progress=progress or Silent(),
            log=self.folder.root / "compile.log",
        )

    def objects(self):
        paths = {unit.id: self.folder.object_path(unit.id) for unit in self.units}
        return {name: (self.folder.root / path).read_bytes() for name, path in paths.items()}


class Helper:
    """A distccd that may be killed; what it has done stands in its log."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        self.log = folder / "distccd.log"
        options = ("--listen", "127.0.0.1", "--allow", "127.0.0.1", "--port", str(self.port))
        said = ("--log-stderr", "--log-level", "info")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ("distccd", "--no-detach", "--daemon", *options, *said, "--jobs", "2"),
                stderr=log,
                start_new_session=True,
            )
        while "daemon started" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def has_compiled(self, count):
        """Says whether it compiled so many; it sends an object before it says so."""
        for _ in range(1200):
            if self.log.read_text().count("COMPILE_OK") >= count:
                break
            time.sleep(0.05)
        return self.log.read_text().count("COMPILE_OK") == count

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Notes(Silent):
    """Keeps notes, and calls `at` once, when the fourth unit is done."""

    def __init__(self, at=None):
        self.notes = []
        self.at = at

    def note(self, text):
        self.notes.append(text)

    def advance(self, done, total, what):
        if self.at and done == 4:
            self.at()


@pytest.fixture
def helper(tmp_path):
    helper = Helper(tmp_path)
    yield helper
    helper.kill()


@pytest.fixture
def runner(tmp_path, request):
    own = ("CCACHE_", "DISTCC_", "ICECC_", "SCCACHE_")
    inherited = Runner.inherit_for_tools()
    kept = {n: value for n, value in inherited.environment.items() if not n.startswith(own)}
    inherited = Runner(environment=kept)
    state = tmp_path / "distcc state"
    state.mkdir()
    runner = inherited.with_environment(CCACHE_DIR=str(tmp_path / "ccache"), DISTCC_DIR=str(state))
    if "helper" not in request.fixturenames:
        return runner
    port = request.getfixturevalue("helper").port
    return runner.with_environment(DISTCC_HOSTS=f"127.0.0.1:{port}/2")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("local"))
    assert project.compile("none", Runner.inherit()) == COUNT
    return project.objects()


def count_hits(runner):
    said = runner.check(("ccache", "--print-stats"), step="asking ccache")
    counts = dict(line.split("\t") for line in said.splitlines())
    return int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"])


@pytest.mark.ccache
def test_the_cache_hits_in_another_folder(runner, undisturbed, tmp_path):
    one, two = Project(tmp_path / "one"), Project(tmp_path / "further down" / "two")
    assert one.compile("ccache", runner) == COUNT
    assert count_hits(runner) == 0
    assert two.compile("ccache", runner) == COUNT
    assert count_hits(runner) == COUNT
    assert one.objects() == two.objects() == undisturbed


@pytest.mark.ccache
@pytest.mark.distcc
def test_another_launcher_compiles_nothing_again(runner, helper, tmp_path):
    project = Project(tmp_path / "project")
    assert project.compile("none", runner) == COUNT
    assert [project.compile(c, runner) for c in ("ccache", "distcc", "ccache+distcc")] == [0, 0, 0]


@pytest.mark.distcc
def test_a_helper_compiles_every_unit_to_the_same_bytes(runner, helper, undisturbed, tmp_path):
    project, progress = Project(tmp_path / "project"), Notes()
    assert project.compile("distcc", runner, progress) == COUNT
    assert helper.has_compiled(COUNT + PROBE)
    assert project.objects() == undisturbed
    assert progress.notes == []


@pytest.mark.distcc
def test_a_helper_that_dies_midway_is_made_up_for(runner, helper, undisturbed, tmp_path):
    """How far it came, and so what is noted, depends on the machine; the objects do not."""
    project, progress = Project(tmp_path / "project"), Notes(at=helper.kill)
    assert project.compile("distcc", runner, progress) == COUNT
    assert project.objects() == undisturbed
    assert all("because no helper could" in note for note in progress.notes)


@pytest.mark.distcc
def test_units_that_no_helper_compiled_are_counted(runner, helper, undisturbed, tmp_path):
    project, progress = Project(tmp_path / "project"), Notes()
    assert project.compile("distcc", runner, progress, first=COUNT // 2) == COUNT // 2
    assert progress.notes == []
    helper.kill()
    assert project.compile("distcc", runner, progress) == COUNT - COUNT // 2
    assert project.objects() == undisturbed
    (note,) = progress.notes
    assert f"this machine compiled {COUNT - COUNT // 2} units" in note


@pytest.mark.distcc
def test_headers_that_change_are_noticed_through_a_helper(runner, helper, tmp_path):
    project = Project(tmp_path / "project")
    project.compile("distcc", runner)
    (project.source / "step.h").write_text(HEADER.replace("3", "4"))
    assert project.compile("distcc", runner) == COUNT
    assert helper.has_compiled(2 * (COUNT + PROBE))


@pytest.mark.ccache
@pytest.mark.distcc
def test_what_the_cache_has_goes_to_no_helper(runner, helper, undisturbed, tmp_path):
    one, two = Project(tmp_path / "one"), Project(tmp_path / "two")
    one.compile("ccache+distcc", runner)
    assert helper.has_compiled(COUNT + PROBE)
    two.compile("ccache+distcc", runner)
    assert helper.has_compiled(COUNT + 2 * PROBE)
    assert count_hits(runner) == COUNT
    assert one.objects() == two.objects() == undisturbed


@pytest.mark.distcc
def test_a_helper_with_another_compiler_is_refused(runner, helper):
    compiler = api.locate_toolchain(api.locate_target(ABI)).cc
    other = replace(compiler, version="clang version 99.0.0")
    with pytest.raises(ToolchainError, match=rf"helper 127\.0\.0\.1:{helper.port}"):
        locate_launcher(runner, "distcc", other)
    assert locate_launcher(runner, "distcc", compiler) is not None
    helper.kill()
    assert locate_launcher(runner, "distcc", other) is not None
