"""Libraries that are made together, by compilers and linkers that only say what they do."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from samples import FakeRunner, make_plan, make_toolchain, make_unit

from builder.core.sources import SourceTree
from builder.errors import NativeBuildError
from builder.native import together
from builder.native.build_folders import Layout
from builder.native.job import NativeBuild, compile_folder
from builder.native.ninja import CompileFolder
from builder.native.together import Compile, Link, run_together
from builder.system.progress import Silent


class Ninja:
    """Compiles what has no object, and keeps each call: its units, its jobs, its ninja file."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], int | None, str]] = []

    def __call__(self, ids, toolchain, folder, *, jobs, on_compiled, **_):
        self.calls.append((list(ids), jobs, str(folder.ninja_file)))
        for one in ids:
            compiled = folder.find_object(one)
            if not compiled.is_file():
                compiled.parent.mkdir(parents=True, exist_ok=True)
                compiled.write_text(one)
                on_compiled(one)


@pytest.fixture
def ninja(monkeypatch):
    made = Ninja()
    monkeypatch.setattr(together, "compile_units", made)
    return made


class Library:
    """Its rounds: the units of each, then one long link."""

    def __init__(self, tmp_path: Path, name: str, *rounds: str, flags=()) -> None:
        plan = make_plan()
        layout = Layout.of(tmp_path / "cache", plan)
        self.build = NativeBuild(
            plan=plan,
            tree=SourceTree(root=tmp_path / "tree", version="2.6.0", digest="5" * 64),
            toolchain=make_toolchain(),
            layout=replace(layout, plan_key=name),
            runtime=tmp_path / "runtime",
            runner=FakeRunner(),
            progress=Silent(),
        )
        self.name, self.rounds, self.flags = name, rounds, flags
        self.counts: list[int] = []
        self.links: list[str] = []
        self.meeting: threading.Barrier | None = None

    def folder(self) -> CompileFolder:
        return compile_folder(self.build)

    def ask(self, ids: str) -> Compile:
        known = {one: make_unit(one, flags=self.flags) for one in "abcdef"}
        log = self.build.layout.logs / "compile.log"
        return Compile(build=self.build, folder=self.folder(), known=known, ids=tuple(ids), log=log)

    def link(self, text: str) -> tuple[str, ...]:
        if self.meeting:
            self.meeting.wait(timeout=20)
        self.links.append(text)
        return (text,)

    def steps(self):
        for ids in self.rounds:
            self.counts.append((yield self.ask(ids)))
            assert (yield Link(run=lambda text=ids: self.link(text))) == (ids,)
        yield Link(run=lambda: self.link("all"), is_long=True)
        return self.name


def test_what_several_want_is_compiled_once_and_in_one_call(tmp_path, ninja):
    first, second = Library(tmp_path, "1", "ab", "c"), Library(tmp_path, "2", "bd", "ce")
    assert run_together([first.steps(), second.steps()], jobs=2) == ("1", "2")
    together_file = "together.ninja"
    assert ninja.calls == [
        (["a", "b", "d"], 2, together_file),
        (["c", "e"], 2, together_file),
    ]
    # What both want counts for the first.
    assert (first.counts, second.counts) == ([2, 1], [1, 1])
    assert (first.folder().root / together_file).read_text().count("\nbuild ") == 6
    assert (first.links, second.links) == (["ab", "c", "all"], ["bd", "ce", "all"])


def test_one_library_alone_uses_its_own_ninja_file_and_this_thread(tmp_path, ninja):
    library = Library(tmp_path, "1", "ab")
    threads = []
    library.link = lambda text: (threads.append(threading.current_thread()), (text,))[1]
    assert run_together([library.steps()], jobs=None) == ("1",)
    assert ninja.calls == [(["a", "b"], None, str(library.folder().ninja_file))]
    assert set(threads) == {threading.main_thread()}


def test_an_object_of_the_other_library_is_no_unknown_one(tmp_path, ninja):
    """Its digest was written down in this run, so it is not compiled again."""
    first, second = Library(tmp_path, "1", "a", "b"), Library(tmp_path, "2", "c", "ab")
    run_together([first.steps(), second.steps()], jobs=2)
    assert second.counts == [1, 0]
    assert first.counts == [1, 1]


def test_linkers_run_at_once(tmp_path, ninja):
    libraries = [Library(tmp_path, name, name) for name in "ab"]
    # Each waits inside of its links until the other one is there.
    meeting = threading.Barrier(2)
    for one in libraries:
        one.meeting = meeting
    assert run_together([one.steps() for one in libraries], jobs=2) == ("a", "b")


def test_while_a_library_is_optimised_others_compile_with_the_jobs_that_are_left(tmp_path, ninja):
    first, second = Library(tmp_path, "1", "a"), Library(tmp_path, "2", "b", "c")
    second_compiles, original = threading.Event(), first.link

    def link(text):
        # The long link ends only when the other library has compiled once more.
        if text == "all":
            assert second_compiles.wait(timeout=20)
        return original(text)

    first.link = link
    link_second = second.link

    def watch(text):
        if text == "c":
            second_compiles.set()
        return link_second(text)

    second.link = watch
    run_together([first.steps(), second.steps()], jobs=3)
    assert [(ids, jobs) for ids, jobs, _ in ninja.calls] == [(["a", "b"], 3), (["c"], 2)]


def test_units_that_are_compiled_otherwise_are_compiled_apart(tmp_path, ninja):
    """They have one name and one object, so the second call finds nothing that is its own."""
    first, second = Library(tmp_path, "1", "ab"), Library(tmp_path, "2", "bc", flags=("-O3",))
    third = Library(tmp_path, "3", "ad")
    run_together([one.steps() for one in (first, second, third)], jobs=2)
    assert [(ids, file) for ids, _, file in ninja.calls] == [
        (["a", "b", "d"], "together.ninja"),
        (["b", "c"], str(second.folder().ninja_file)),
    ]


def test_other_configurations_are_compiled_apart(tmp_path, ninja):
    first, second = Library(tmp_path / "x", "1", "a"), Library(tmp_path / "y", "2", "a")
    run_together([first.steps(), second.steps()], jobs=2)
    assert [ids for ids, *_ in ninja.calls] == [["a"], ["a"]]
    assert (first.counts, second.counts) == ([1], [1])


def test_the_first_error_stops_the_others(tmp_path, ninja, monkeypatch):
    first, second = Library(tmp_path, "1", "a"), Library(tmp_path, "2", "b")
    ended, running = threading.Event(), threading.Event()

    def fail(text):
        assert running.wait(timeout=20)
        raise NativeBuildError("undefined")

    def last(text):
        running.set()
        assert ended.wait(timeout=20)  # as a linker that only `end_programs` ends
        return (text,)

    first.link, second.link = fail, last
    monkeypatch.setattr(together, "end_programs", ended.set)
    every = [first.steps(), second.steps()]
    with pytest.raises(NativeBuildError, match="undefined"):
        run_together(every, jobs=2)
    assert ended.is_set()
    with pytest.raises(StopIteration):
        next(every[1])
