"""The Java development kit: compiles our Java classes, and brings `jni.h` for this machine."""

from __future__ import annotations

from pathlib import Path

from builder.core.toolchain import Jdk
from builder.errors import ToolchainError
from builder.system.process import Runner
from builder.toolchains.tools import parse_version

OLDEST = 11
"""The first that compiles for Java 8 by `--release` and still has years of support ahead."""
INSTALL_JDK = "apt install default-jdk-headless"


def locate_jdk(runner: Runner) -> Jdk:
    """Returns the kit that JAVA_HOME names, else the one whose `javac` is on the PATH.

    Raises:
        ToolchainError: there is none, it has no `jni.h`, or it is too old.
    """
    home = _find_home(runner)
    if home is None:
        raise ToolchainError(
            "no Java development kit: JAVA_HOME is not set and no javac is on the PATH",
            hint=INSTALL_JDK,
        )
    javac = home / "bin/javac"
    if not javac.is_file():
        raise ToolchainError(f"no Java development kit in {home}", hint=INSTALL_JDK)
    said = runner.check((str(javac), "-version"), step="asking javac", error=ToolchainError)
    jdk = Jdk(home=home, version=said.strip())
    if (parse_version(jdk.version) or (0,))[0] < OLDEST:
        raise ToolchainError(
            f"{jdk.version} in {home} is too old, {OLDEST} is needed", hint=INSTALL_JDK
        )
    if not (home / "include/jni.h").is_file():
        raise ToolchainError(f"{home} has no include/jni.h", hint=INSTALL_JDK)
    return jdk


def _find_home(runner: Runner) -> Path | None:
    if chosen := runner.environment.get("JAVA_HOME"):
        return Path(chosen).absolute()
    javac = runner.find_program("javac")
    return javac.resolve().parent.parent if javac else None
