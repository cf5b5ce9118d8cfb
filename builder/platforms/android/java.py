"""Our Java classes as jars: compiled for Java 8, the same bytes each time."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from builder.core.toolchain import Jdk
from builder.errors import PackagingError
from builder.system.process import Runner
from builder.system.replace_folders import replacement_folder
from builder.system.trees import make_folders
from builder.system.zips import list_folder, write_zip

RELEASE = "8"
"""Of the bytecode: what every Android tool since 2017 takes (https://d.android.com/studio/write/java8-support)."""
SOURCES = "src"
DECLARATIONS = "declarations"
"""Folder of what our classes use of Android's; compiled against and never shipped."""


def compile_library(java: Path, classes: Path, jdk: Jdk, *, runner: Runner) -> None:
    """Compiles the sources in `java` (builder's own folder of that name) into `classes`.

    Raises:
        PackagingError: javac finds an error, or documentation is missing.
    """
    with replacement_folder(classes) as folder:
        declared, compiled = folder / DECLARATIONS, folder / SOURCES
        # Compiled to a folder of their own, so that the jar does not get them.
        compile_java([java / DECLARATIONS], declared, jdk, runner=runner)
        # -options: javac warns of release 8 itself, which is what Android's tools take.
        options = ("-Xlint:all,-options", "-Xdoclint:all/protected", "-Werror")
        compile_java(
            [java / SOURCES], compiled, jdk, runner=runner, classpath=[declared], options=options
        )
        for path in compiled.iterdir():
            path.rename(folder / path.name)
        compiled.rmdir()
        shutil.rmtree(declared)


def compile_java(
    sources: Sequence[Path],
    classes: Path,
    jdk: Jdk,
    *,
    runner: Runner,
    classpath: Sequence[Path] = (),
    options: Sequence[str] = (),
) -> None:
    """Compiles files, and all files below folders, into the folder `classes`.

    Raises:
        PackagingError: javac fails.
    """
    files = [file for source in sources for file in _list_sources(source)]
    make_folders(classes)
    command = (
        *(str(jdk.tool("javac")), "--release", RELEASE, "-encoding", "UTF-8"),
        # Nothing is compiled that was not named, and no annotation processor of the classpath runs.
        *("-Xlint:-options", *options, "-implicit:none", "-proc:none"),
        *("-classpath", ":".join(map(str, classpath)), "-d", str(classes)),
        *map(str, files),
    )
    runner.check(command, step="compiling Java", error=PackagingError)


def write_javadoc(java: Path, output: Path, jdk: Jdk, *, runner: Runner) -> None:
    """Writes the documentation of the sources in `java` as HTML into `output`.

    Raises:
        PackagingError: javadoc fails.
    """
    with replacement_folder(output) as folder:
        command = (
            # Without -notimestamp, each run would give other bytes.
            *(str(jdk.tool("javadoc")), "-quiet", "-notimestamp", "-protected", "-Xdoclint:all"),
            *("-encoding", "UTF-8", "-docencoding", "UTF-8", "--release", RELEASE),
            *("-sourcepath", str(java / DECLARATIONS), "-d", str(folder)),
            *map(str, _list_sources(java / SOURCES)),
        )
        runner.check(command, step="documenting Java", error=PackagingError)


def write_jar(folder: Path, jar: Path) -> None:
    """Packs the files of `folder` into `jar`; the same files give the same bytes."""
    write_zip(list_folder(folder), jar)


def _list_sources(source: Path) -> list[Path]:
    return sorted(source.rglob("*.java")) if source.is_dir() else [source]
