"""What a JVM on Linux needs of a runtime: the library with the native methods, and the classes."""

from __future__ import annotations

from pathlib import Path

from builder.packaging.runtime_folder import OtherFile
from builder.platforms.android.java import compile_library, write_jar
from builder.platforms.results import LibraryResult
from builder.system.folders import data_folder
from builder.system.process import Runner
from builder.toolchains.jdk import locate_jdk

JAR = "share/java/torchlite.jar"


def list_java_files(one: LibraryResult, scratch: Path) -> tuple[OtherFile, ...]:
    """Returns the files for the folder of a runtime; the jar is made in the folder `scratch`.

    The classes are those of the AAR. Those of Android that they name are not among them.

    Raises:
        ToolchainError: there is no JDK.
        PackagingError: the classes cannot be compiled.
    """
    runner, library = Runner.inherit_for_tools(), one.linked.library
    classes, jar = scratch / "classes", scratch / Path(JAR).name
    compile_library(data_folder("java"), classes, locate_jdk(runner), runner=runner)
    write_jar(classes, jar)
    return (
        OtherFile(path=f"lib/{library.name}", file=library, components=one.components),
        OtherFile(path=JAR, file=jar, components=()),
    )
