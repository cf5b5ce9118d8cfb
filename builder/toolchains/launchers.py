"""Finds launchers: compiler caches, and programs that compile on other machines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.core.toolchain import Launcher, Tool
from builder.errors import ConfigurationError, Hint, ToolchainError, Use
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.toolchains.tools import find_tool

AUTO, NONE = "auto", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program that can run in front of a compiler."""

    name: str
    """Name of the program, and of its package in Debian and Ubuntu."""
    caches: bool = False
    """Whether it is a compiler cache; `auto` chooses the first one that is installed."""
    prefix_variable: str = ""
    """Environment variable with the program that compiles what is not in the cache.

    The program must be on PATH, and the value must not have blanks.
    """
    jobs_option: str = ""
    """Option that prints how many compilations its machines can run in parallel."""
    no_room: str = ""
    """Command to type when that option prints no number."""
    hosts_option: str = ""
    """Option that prints its helpers; empty for a program that sends the compiler to them."""
    fallback: str = ""
    """Regular expression for its message that a unit was compiled on this machine instead."""


CCACHE = Program(name="ccache", caches=True, prefix_variable="CCACHE_PREFIX")
SCCACHE = Program(name="sccache", caches=True)
DISTCC = Program(
    name="distcc",
    jobs_option="-j",
    no_room="export DISTCC_HOSTS='helper/8 other-helper/4'",
    hosts_option="--show-hosts",
    fallback=r"distcc\[\d+\] .*failed to distribute.*running locally",
)
ICECC = Program(name="icecc")
PROGRAMS = (CCACHE, SCCACHE, DISTCC, ICECC)
LAUNCHERS = {
    "+".join(program.name for program in programs): programs
    for programs in (*((p,) for p in PROGRAMS), (CCACHE, DISTCC), (CCACHE, ICECC))
}
"""Values of the setting `tools.launcher`. sccache is not combined: it has helpers of its own."""


def locate_launcher(runner: Runner, choice: str, compiler: Tool) -> Launcher | None:
    """Returns the launcher named `choice`, or None for `none`.

    Args:
        runner: its PATH is searched, and its environment has the helpers of distcc.
        choice: one of LAUNCHERS, `none`, or `auto` for the first compiler cache, if there is one.
        compiler: clang of this machine; helpers must have the same release.

    Raises:
        ConfigurationError: `choice` is not the name of a launcher.
        ToolchainError: a program is not installed, has no helpers, or they have other compilers.
    """
    if choice == NONE:
        return None
    if choice == AUTO:
        # Only caches: a distributing program would send code to other machines unasked.
        cache = next((p for p in PROGRAMS if p.caches and find_tool(runner, p.name)), None)
        return _describe(runner, (cache,)) if cache else None
    refuse_unknown(choice)
    programs = LAUNCHERS[choice]
    launcher = _describe(runner, programs)
    if programs[-1].hosts_option:
        _refuse_other_compilers(runner, programs[-1], compiler)
    return launcher


def refuse_unknown(choice: str) -> None:
    """Raises ConfigurationError when `choice` is not the name of a launcher."""
    if choice not in {AUTO, NONE, *LAUNCHERS}:
        raise ConfigurationError(
            f"unknown launcher {choice!r}",
            hint=Hint(Use("tools.launcher"), f" takes {', '.join((AUTO, NONE, *LAUNCHERS))}"),
        )


def refuse_missing(runner: Runner, choice: str) -> None:
    """Raises ToolchainError when a program of a launcher that is named is not installed."""
    for program in LAUNCHERS.get(choice, ()):
        _locate(runner, program)


def find_launchers(runner: Runner) -> tuple[Tool, ...]:
    """Returns the known programs that are installed."""
    return tuple(tool for p in PROGRAMS if (tool := find_tool(runner, p.name)) is not None)


def _describe(runner: Runner, programs: tuple[Program, ...]) -> Launcher:
    first, last = programs[0], programs[-1]
    # The cache starts the second program for what it does not have.
    handed_on = ((first.prefix_variable, last.name),) if first is not last else ()
    return Launcher(
        tools=tuple(_locate(runner, program) for program in programs),
        environment=handed_on,
        # The program that distributes knows how many machines there are.
        jobs=_ask_jobs(runner, last),
        fallback=last.fallback,
    )


def _locate(runner: Runner, program: Program) -> Tool:
    tool = find_tool(runner, program.name)
    if tool is None:
        raise ToolchainError(
            f"there is no {program.name} on PATH",
            hint=Hint(
                f"apt install {program.name}; or build without it: ", Use("tools.launcher", NONE)
            ),
        )
    return tool


def _ask_jobs(runner: Runner, program: Program) -> int | None:
    if not program.jobs_option:
        return None
    output = runner.run((program.name, program.jobs_option)).output
    # Warnings may stand around the number.
    jobs = re.search(r"^\d+$", output, re.MULTILINE)
    if jobs is None:
        raise ToolchainError(
            f"{program.name} has no helpers: {output.strip()}", hint=program.no_room
        )
    return int(jobs[0])


def _refuse_other_compilers(runner: Runner, program: Program, compiler: Tool) -> None:
    """Lets every helper compile one line, and reads the version of its compiler from the object.

    clang writes its version into the section `.comment`. A helper that does not answer is not an
    error: other helpers or this machine do its work.
    """
    hosts = runner.run((program.name, program.hosts_option)).output.split()
    with scratch_folder() as name:
        source, compiled = name / "probe.c", name / "probe.o"
        source.write_text("int probe;\n")
        build = (program.name, str(compiler.path), "-c", str(source), "-o", str(compiled))
        # Each helper alone, because distcc chooses among several by itself.
        for host in hosts:
            # Without the fallback, distcc fails when the helper does not answer.
            only = runner.with_environment(DISTCC_HOSTS=host, DISTCC_FALLBACK="0")
            answered = only.run(build).returncode == 0
            if answered and compiler.version.encode() not in compiled.read_bytes():
                raise ToolchainError(
                    f"the helper {host} has another compiler than {compiler.version}",
                    hint=f"install that release there as {compiler.path}, or take the helper out "
                    "of DISTCC_HOSTS",
                )
