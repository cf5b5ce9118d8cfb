"""Headers that are compiled ahead, with the installed clang and ninja."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from builder import api
from builder.core.units import TranslationUnit
from builder.native.ninja import CompileFolder, Prefix, compile_units, render_ninja, write_ninja
from builder.native.preludes import FOLDER, choose_preludes, keep, write_headers
from builder.system.machine import host_abi
from builder.system.process import Runner
from builder.system.progress import Silent
from builder.toolchains.launchers import locate_launcher

pytestmark = pytest.mark.host
RUNTIME = Path(__file__).parents[2] / "cmake/runtime"
COUNT = 6
HEADER = "#pragma once\n#include <map>\n#include <string>\n#define STEP 3\n#include <iostream>\n"
AHEAD = '#include "lib.h"\n'
SOURCE = """\
#include "lib.h"
int count%d(std::string x) {
  static std::map<std::string, int> counts;
  return counts[x] + STEP;
}
"""


class Project:
    """Units that all include one header, in folders with blanks in their names."""

    def __init__(self, folder: Path, launcher: str = "none") -> None:
        self.runner = Runner.inherit().with_environment(CCACHE_DIR=str(folder.parent / "ccache"))
        toolchain = api.locate_toolchain(api.locate_target(host_abi()))
        chosen = locate_launcher(self.runner, launcher, toolchain.cc)
        self.toolchain = replace(toolchain, launcher=chosen)
        root, self.runtime = folder / "my objects", folder / "own sources"
        root.mkdir(parents=True)
        (self.runtime / "preludes").mkdir(parents=True)
        (self.runtime / "preludes/aten.h").write_text(AHEAD)
        shutil.copy(RUNTIME / "preludes/relative.awk", self.runtime / "preludes")
        self.header = self.runtime / "lib.h"
        self.header.write_text(HEADER)
        (root / "torchlite").symlink_to(self.runtime)
        self.folder = CompileFolder(
            root=root,
            ninja_file=Path("build.ninja"),
            objects="objects",
            prefixes=(Prefix(root, "."), Prefix(self.runtime, "torchlite")),
        )
        self.units = [self._add(number) for number in range(COUNT)]
        headers = write_headers(self.runtime, root)
        arguments = (self.toolchain, headers, self.folder.relocate)
        self.preludes = choose_preludes(self.units, *arguments)
        assert len(self.preludes) == COUNT
        text = render_ninja(self.units, self.toolchain, self.folder, self.preludes)
        write_ninja(text, self.folder)

    def _add(self, number: int) -> TranslationUnit:
        path = self.runtime / f"unit{number}.cpp"
        path.write_text(SOURCE % number)
        return TranslationUnit(
            id=f"aten/src/unit{number}.cpp",
            library="sample",
            language="CXX",
            source=str(path),
            flags=("-Os", "-w", "-fno-ident", f"-I{self.runtime}", "-I", "/configured/aten/src"),
        )

    def compile(self) -> int:
        return compile_units(
            [unit.id for unit in self.units],
            self.toolchain,
            self.folder,
            runner=self.runner,
            jobs=2,
            progress=Silent(),
            log=self.folder.root / "compile.log",
            preludes=self.preludes,
        )

    def end_run(self) -> None:
        keep(self.folder.root)

    def begin_anew(self) -> int:
        """Compiles all units again; returns how many headers were compiled for that."""
        for unit in self.units:
            self.folder.find_object(unit.id).unlink()
        ahead = self.folder.root / "compile-ahead.log"
        ahead.unlink(missing_ok=True)
        assert self.compile() == COUNT
        return ahead.is_file()

    @property
    def kept(self) -> Path:
        (found,) = (self.folder.root / "preludes/compiled").glob("*.pch")
        return found

    def objects(self) -> list[bytes]:
        return [self.folder.find_object(unit.id).read_bytes() for unit in self.units]

    def hits(self) -> int:
        said = self.runner.check(("ccache", "--print-stats"), step="asking ccache")
        counts = dict(line.split("\t") for line in said.splitlines())
        return int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"])


def test_nothing_is_compiled_for_the_file_that_is_gone(tmp_path):
    project = Project(tmp_path / "a project")
    assert project.compile() == COUNT
    assert len(list((project.folder.root / FOLDER).glob("*.pch"))) == 1
    project.end_run()
    assert project.compile() == 0
    assert not (project.folder.root / FOLDER).exists()


def test_a_header_is_compiled_once_for_all_runs(tmp_path):
    project = Project(tmp_path / "a project")
    project.compile()
    before = project.objects()
    for _ in range(3):
        project.end_run()
        assert not project.begin_anew()
        assert project.objects() == before


@pytest.mark.parametrize("change", ["damaged", "gone", "another header", "cut off"])
def test_a_kept_header_that_is_not_right_is_compiled_again(change, tmp_path):
    project = Project(tmp_path / "a project")
    project.compile()
    project.end_run()
    kept = project.kept
    match change:
        case "damaged":
            kept.write_bytes(kept.read_bytes()[:-1] + b"x")
        case "gone":
            kept.unlink()
        case "another header":
            project.header.write_text(HEADER.replace("3", "5"))
        case _:
            kept.with_name(f"{kept.name}.kept").write_text("half")
    assert project.begin_anew()
    project.end_run()
    assert not project.begin_anew()


def test_a_change_of_a_header_that_was_compiled_ahead_is_noticed(tmp_path):
    project = Project(tmp_path / "a project")
    project.compile()
    before = project.objects()
    project.end_run()
    project.header.write_text(HEADER.replace("3", "4"))
    assert project.compile() == COUNT
    assert all(one != other for one, other in zip(before, project.objects(), strict=True))


def test_a_moved_folder_is_complete(tmp_path):
    project = Project(tmp_path / "a project")
    project.compile()
    project.end_run()
    moved = tmp_path / "another place"
    (tmp_path / "a project").rename(moved)
    root = moved / "my objects"
    (root / "torchlite").unlink()
    (root / "torchlite").symlink_to(moved / "own sources")
    project.folder = replace(project.folder, root=root)
    assert project.compile() == 0
    # The compiled header names the place where it was.
    assert project.begin_anew()


def test_objects_are_the_same_wherever_they_are_compiled(tmp_path):
    one, two = Project(tmp_path / "one"), Project(tmp_path / "further down" / "two")
    one.compile()
    two.compile()
    assert one.objects() == two.objects()


@pytest.mark.ccache
def test_a_compiler_cache_hits_in_another_folder(tmp_path):
    one = Project(tmp_path / "one", "ccache")
    assert one.compile() == COUNT
    assert one.hits() == 0
    two = Project(tmp_path / "another", "ccache")
    assert two.compile() == COUNT
    assert two.hits() == COUNT
    assert one.objects() == two.objects()
    two.end_run()
    assert two.compile() == 0


def test_a_header_that_does_not_compile_is_an_error_with_the_compilers_words(tmp_path):
    project = Project(tmp_path / "a project")
    project.header.write_text("#error no such thing\n")
    with pytest.raises(api.NativeBuildError, match=r"compiling headers ahead[\s\S]*no such thing"):
        project.compile()
