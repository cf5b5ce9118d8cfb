from __future__ import annotations

from pathlib import Path

import pytest
from samples import FakeRunner, make_tool

from builder.errors import ConfigurationError, ToolchainError
from builder.system.process import Completed
from builder.toolchains.launchers import LAUNCHERS, find_launchers
from builder.toolchains.launchers import locate_launcher as locate

VERSIONS = {
    "ccache": "ccache version 4.7.5\nFeatures: file-storage http-storage\n",
    "sccache": "sccache 0.4.0\n",
    "distcc": "distcc 3.4 x86_64-pc-linux-gnu\n  (protocols 1, 2 and 3) (default port 3632)\n",
    "icecc": "ICECC 1.4\n",
}
NO_HOSTS = (
    "distcc[16355] (dcc_parse_hosts) Warning: $DISTCC_HOSTS contained no hosts; "
    "can't distribute work\n"
)


def locate_launcher(runner, choice):
    return locate(runner, choice, make_tool("clang", "clang version 14.0.6"))


class Machine(FakeRunner):
    """Has the named programs; distcc answers `-j` with `jobs`."""

    def find_program(self, name):
        return Path("/usr/bin", name) if name in self.environment["programs"] else None


def machine(*programs: str, jobs: str = "12\n") -> Machine:
    def answer(command: tuple[str, ...]) -> Completed:
        name = Path(command[0]).name
        if command[1:] == ("--show-hosts",):
            return Completed(0, "")
        return Completed(0, jobs if command[1:] == ("-j",) else VERSIONS[name])

    return Machine(answer=answer, environment={"programs": programs})


@pytest.mark.parametrize(
    ("programs", "chosen"),
    [
        (("sccache", "ccache", "distcc"), "ccache"),
        (("sccache", "distcc"), "sccache"),
        (("distcc", "icecc"), None),
    ],
)
def test_unasked_only_a_cache_is_taken(programs, chosen):
    found = locate_launcher(machine(*programs), "auto")
    assert (found.name if found else None) == chosen


def test_none_switches_off():
    assert locate_launcher(machine(*VERSIONS), "none") is None


@pytest.mark.parametrize("choice", LAUNCHERS)
def test_each_is_found_by_its_name(choice):
    found = locate_launcher(machine(*VERSIONS), choice)
    assert found is not None
    assert found.name == choice
    assert found.tools[0].path == Path("/usr/bin", choice.partition("+")[0])
    assert found.jobs == (12 if "distcc" in choice else None)


@pytest.mark.parametrize("second", ["distcc", "icecc"])
def test_the_cache_hands_its_misses_on(second):
    found = locate_launcher(machine(*VERSIONS), f"ccache+{second}")
    assert found is not None
    assert found.environment == (("CCACHE_PREFIX", second),)
    alone = locate_launcher(machine(*VERSIONS), "ccache")
    assert alone is not None
    assert alone.environment == ()


@pytest.mark.parametrize("choice", ["", "gcc", "distcc+ccache", "sccache+distcc", "ccache+none"])
def test_others_are_refused_with_the_known_ones(choice):
    with pytest.raises(ConfigurationError, match="unknown launcher") as caught:
        locate_launcher(machine(*VERSIONS), choice)
    assert "ccache+distcc" in caught.value.hint


def test_an_absent_program_says_what_to_type():
    with pytest.raises(ToolchainError, match="no distcc") as caught:
        locate_launcher(machine("ccache"), "ccache+distcc")
    assert "apt install distcc" in caught.value.hint


def test_distcc_without_helpers_is_refused():
    with pytest.raises(ToolchainError, match="contained no hosts") as caught:
        locate_launcher(machine("distcc", jobs=NO_HOSTS), "distcc")
    assert "DISTCC_HOSTS" in caught.value.hint


def test_the_installed_ones_are_listed():
    found = find_launchers(machine("icecc", "ccache"))
    assert [tool.version for tool in found] == ["ccache version 4.7.5", "ICECC 1.4"]
    assert find_launchers(machine()) == ()
