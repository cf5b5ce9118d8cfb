from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from samples import FakeRunner

from builder.core.toolchain import Jdk
from builder.errors import PackagingError
from builder.platforms.android.java import compile_java, compile_library, write_jar, write_javadoc
from builder.system.process import Completed

JDK = Jdk(home=Path("/jdk"), version="javac 17.0.15")


@pytest.fixture
def java(tmp_path):
    for name in ("src/b/B.java", "src/a/A.java", "declarations/android/C.java"):
        path = tmp_path / "java" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "java"


def test_jars_are_the_same_whenever_and_however_their_files_came_about(tmp_path):
    for name, order in (("one", ("b/B.class", "A.class")), ("two", ("A.class", "b/B.class"))):
        for time, file in enumerate(order):
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"text of {file}")
            path.chmod(0o600 + time)
            os.utime(path, (time, time))
        write_jar(tmp_path / name, tmp_path / f"{name}.jar")
    assert (tmp_path / "one.jar").read_bytes() == (tmp_path / "two.jar").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.jar") as jar:
        assert jar.namelist() == ["A.class", "b/B.class"]
        assert jar.read("b/B.class") == b"text of b/B.class"


def test_the_library_is_compiled_for_java_8_against_declarations_it_does_not_contain(java):
    def answer(command):
        classes = Path(command[command.index("-d") + 1])
        for source in command:
            if source.endswith(".java"):
                (classes / f"{Path(source).stem}.class").touch()
        return Completed(0, "")

    runner = FakeRunner(answer=answer)
    classes = java.parent / "classes"
    compile_library(java, classes, JDK, runner=runner)
    assert sorted(path.name for path in classes.iterdir()) == ["A.class", "B.class"]
    declarations, library = runner.commands
    assert declarations[:3] == ("/jdk/bin/javac", "--release", "8")
    assert declarations[-1] == str(java / "declarations/android/C.java")
    assert library[-2:] == (str(java / "src/a/A.java"), str(java / "src/b/B.java"))
    assert "-Xdoclint:all/protected" in library
    declared = declarations[declarations.index("-d") + 1]
    assert library[library.index("-classpath") + 1] == declared


def test_what_does_not_compile_leaves_nothing(java):
    runner = FakeRunner.saying("A.java:1: error: reached end of file while parsing", 1)
    with pytest.raises(PackagingError, match="reached end of file"):
        compile_library(java, java.parent / "classes", JDK, runner=runner)
    assert not (java.parent / "classes").exists()


def test_files_and_folders_of_sources_are_compiled_together(java):
    runner = FakeRunner.saying("")
    compile_java([java / "src/b", java / "src/a/A.java"], java / "out", JDK, runner=runner)
    (command,) = runner.commands
    assert command[-2:] == (str(java / "src/b/B.java"), str(java / "src/a/A.java"))


def test_javadoc_has_no_date(java):
    runner = FakeRunner.saying("")
    write_javadoc(java, java.parent / "doc", JDK, runner=runner)
    (command,) = runner.commands
    assert {"-notimestamp", "-Xdoclint:all"} <= set(command)
