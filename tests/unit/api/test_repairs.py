"""`builder doctor --fix`: what is installed, by whom, and what is only said."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

import pytest
from samples import FakeRunner

from builder.api import Diagnosis, Finding, plan_repairs, repair, repairs
from builder.errors import ConfigurationError, Hint, Install, Use
from builder.system.machine import host_abi
from builder.system.process import Completed
from builder.system.progress import Silent
from builder.toolchains.clang import INSTALL_COMPILERS
from builder.toolchains.jdk import INSTALL_JDK

OWN = f"target {host_abi()}"
INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends")


def bad(subject: str, remedy: str = "") -> Finding:
    return Finding(subject=subject, ok=False, detail="missing", remedy=remedy)


DIAGNOSIS = Diagnosis(
    findings=(
        Finding(subject="python", ok=True, detail="3.11"),
        bad("clang", INSTALL_COMPILERS),
        bad("lld", Install("lld")),
        bad("ndk", "sdkmanager 'ndk'"),
        bad("jdk", INSTALL_JDK),
        bad("launchers", Hint(Install("ccache"), "; or build without it: ", Use("launcher"))),
        bad("sources"),
        bad(OWN, INSTALL_COMPILERS),
        bad("target x86", "see ndk above"),
    ),
    ready=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine(FakeRunner):
    """A machine with some programs."""

    programs: tuple[str, ...] = ("apt-get",)
    environment: dict[str, str] = field(default_factory=dict)

    def find_program(self, name):
        return f"/usr/bin/{name}" if name in self.programs else None


@pytest.fixture(autouse=True)
def fetched(monkeypatch):
    seen = []
    monkeypatch.setattr(repairs, "fetch_trees", lambda *_, **__: seen.append(1))
    return seen


def mend(monkeypatch, machine, *subjects, diagnosis=None):
    """Returns what is said after what can be done has been done on a machine."""
    monkeypatch.setattr(repairs.Runner, "inherit", lambda: machine)
    return repair(plan_repairs(diagnosis or DIAGNOSIS, subjects), progress=Silent())


def become(monkeypatch, user):
    monkeypatch.setattr(os, "geteuid", lambda: user)


def test_what_a_build_for_this_machine_needs():
    made = plan_repairs(DIAGNOSIS)
    assert made.packages == ("clang", "lld", "g++", "ccache")
    assert made.fetch
    assert made.others == ()


def test_only_what_is_named():
    made = plan_repairs(DIAGNOSIS, ["jdk", "ndk"])
    assert (made.packages, made.fetch) == (("default-jdk-headless",), False)
    assert [one.subject for one in made.others] == ["ndk"]
    with pytest.raises(ConfigurationError, match="knows no 'jkd'; did you mean 'jdk'"):
        plan_repairs(DIAGNOSIS, ["jkd"])


def test_what_is_there_is_not_installed(monkeypatch):
    fine = Diagnosis(findings=DIAGNOSIS.findings[:1], ready=True)
    machine = Machine()
    assert mend(monkeypatch, machine, diagnosis=fine) == ()
    assert machine.commands == []


def test_root_installs(monkeypatch, fetched):
    become(monkeypatch, 0)
    machine = Machine()
    assert mend(monkeypatch, machine) == ()
    packages = ("clang", "lld", "g++", "ccache")
    assert machine.commands == [("apt-get", "update"), (*INSTALL, *packages)]
    assert machine.extra == {"DEBIAN_FRONTEND": "noninteractive"}
    assert fetched == [1]


def test_sudo_that_asks_for_nothing_installs(monkeypatch):
    become(monkeypatch, 1000)
    machine = Machine(programs=("apt-get", "sudo"))
    assert mend(monkeypatch, machine, "jdk") == ()
    assert machine.commands[0] == ("sudo", "-n", "true")
    assert machine.commands[-1] == ("sudo", "-n", *INSTALL, "default-jdk-headless")


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (Machine(), "only root may install packages.*sudo apt-get install --yes"),
        (
            Machine(programs=("apt-get", "sudo"), answer=lambda _: Completed(1, "password")),
            "only root may install packages.*default-jdk-headless",
        ),
        (Machine(environment={"BUILDER_NO_APT": "1"}), "BUILDER_NO_APT is set.*sudo apt-get"),
        (Machine(programs=()), "there is no apt on this system.*default-jdk-headless"),
    ],
)
def test_where_it_is_not_allowed_the_command_is_said(monkeypatch, machine, said):
    become(monkeypatch, 1000)
    (line,) = mend(monkeypatch, machine, "jdk")
    assert re.search(said, line)
    assert not any("install" in command for command in machine.commands)


def test_a_failure_of_apt_is_shown_and_the_rest_is_done(monkeypatch, fetched):
    become(monkeypatch, 0)
    broken = Machine(answer=lambda _: Completed(100, "E: Unable to locate package ccache"))
    (line,) = mend(monkeypatch, broken)
    assert "failed with exit code 100" in line
    assert "Unable to locate package ccache" in line
    assert fetched == [1]


def test_what_builder_cannot_install_is_said(monkeypatch):
    (line,) = mend(monkeypatch, Machine(), "ndk")
    assert line == "ndk: builder cannot install it; sdkmanager 'ndk'"
