"""Finds the Java development kit, which compiles the Java classes and contains `jni.h`."""

from __future__ import annotations

from pathlib import Path

from builder.core.toolchain import Jdk
from builder.errors import Install, ToolchainError
from builder.system.process import Runner
from builder.toolchains.tools import parse_version

OLDEST = 11
"""The oldest major version that builder supports; it can compile for Java 8 with `--release`."""
INSTALL_JDK = Install("default-jdk-headless")


def locate_jdk(runner: Runner) -> Jdk:
    """Returns the kit in JAVA_HOME, or else the kit whose `javac` is on PATH.

    Raises:
        ToolchainError: there is no kit, it has no `jni.h`, or it is too old.
    """
    home = _find_home(runner)
    if home is None:
        raise ToolchainError(
            "there is no Java development kit: JAVA_HOME is not set, and javac is not on PATH",
            hint=INSTALL_JDK,
        )
    javac = home / "bin/javac"
    if not javac.is_file():
        raise ToolchainError(f"there is no Java development kit in {home}", hint=INSTALL_JDK)
    # Without memory, a virtual machine would leave a report beside the user's files.
    command = (str(javac), "-J-XX:ErrorFile=/dev/null", "-version")
    output = runner.check(command, step="javac -version", error=ToolchainError)
    jdk = Jdk(home=home, version=output.strip())
    if (parse_version(jdk.version) or (0,))[0] < OLDEST:
        raise ToolchainError(
            f"{jdk.version} in {home} is too old; version {OLDEST} or newer is needed",
            hint=INSTALL_JDK,
        )
    if not (home / "include/jni.h").is_file():
        raise ToolchainError(f"{home} has no include/jni.h", hint=INSTALL_JDK)
    return jdk


def _find_home(runner: Runner) -> Path | None:
    if chosen := runner.environment.get("JAVA_HOME"):
        return Path(chosen).absolute()
    javac = runner.find_program("javac")
    # The javac on PATH is often a link into the kit, e.g. from /usr/bin.
    return javac.resolve().parent.parent if javac else None
