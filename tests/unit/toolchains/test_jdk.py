from __future__ import annotations

import pytest
from samples import FakeRunner

from builder.errors import ToolchainError
from builder.system.process import Completed
from builder.toolchains.jdk import INSTALL_JDK, locate_jdk


class Machine(FakeRunner):
    """Finds the `javac` of its environment on its PATH."""

    def find_program(self, name):
        return self.environment.get(name)


@pytest.fixture
def home(tmp_path):
    for name in ("bin/javac", "include/jni.h"):
        path = tmp_path / "a jdk" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "a jdk"


def machine(version="javac 17.0.15\n", **environment):
    return Machine(answer=lambda _: Completed(0, version), environment=environment)


def test_java_home_is_taken_first(home, tmp_path):
    jdk = locate_jdk(machine(JAVA_HOME=str(home), javac=tmp_path / "other/bin/javac"))
    assert jdk.home == home
    assert jdk.version == "javac 17.0.15"
    assert jdk.headers[0] == home / "include"
    assert jdk.tool("javadoc") == home / "bin/javadoc"


def test_a_link_on_the_path_leads_to_the_kit(home, tmp_path):
    link = tmp_path / "javac"
    link.symlink_to(home / "bin/javac")
    assert locate_jdk(machine(javac=link)).home == home


@pytest.mark.parametrize(
    ("environment", "version", "said"),
    [
        ({}, "", "no Java development kit"),
        ({"JAVA_HOME": "/nowhere"}, "", "no Java development kit in /nowhere"),
        ({"JAVA_HOME": "{home}"}, "javac 1.8.0_402", "too old; version 11 or newer is needed"),
    ],
)
def test_what_is_missing_is_said(home, environment, version, said):
    filled = {name: value.format(home=home) for name, value in environment.items()}
    with pytest.raises(ToolchainError, match=said) as raised:
        locate_jdk(machine(version, **filled))
    assert raised.value.hint == INSTALL_JDK


def test_a_kit_without_headers_is_refused(home):
    (home / "include/jni.h").unlink()
    with pytest.raises(ToolchainError, match=r"no include/jni\.h"):
        locate_jdk(machine(JAVA_HOME=str(home)))
