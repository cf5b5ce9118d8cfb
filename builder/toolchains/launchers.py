"""Programs that compilations are handed to: compiler caches, and those that use other machines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.core.toolchain import Launcher, Tool
from builder.errors import ConfigurationError, ToolchainError
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.toolchains.tools import find_tool

AUTO, NONE = "auto", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program that can stand in front of a compiler."""

    name: str
    """Also that of its package in Debian and Ubuntu."""
    caches: bool = False
    """Taken without being asked for, the first one that is there."""
    prefix_variable: str = ""
    """Variable that names the program it hands its misses to; found on PATH, no blanks."""
    jobs_option: str = ""
    """Makes it print for how many compilations at once there is room on all its machines."""
    no_room: str = ""
    """What to type when it prints none."""
    hosts_option: str = ""
    """Makes it print its helpers; only where it does not send the compiler along."""
    fallback: str = ""
    """Regular expression for its line about a unit that no helper has compiled."""


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
"""What `--launcher` takes. sccache has helpers of its own and hands nothing on."""


def locate_launcher(runner: Runner, choice: str, compiler: Tool) -> Launcher | None:
    """Returns the launcher named `choice`, or None for `none`.

    Args:
        runner: its PATH is searched, its environment tells distcc which helpers there are.
        choice: one of LAUNCHERS, `none`, or `auto` for the first compiler cache there is, if any.
        compiler: clang of this machine; helpers must have the same release.

    Raises:
        ConfigurationError: no launcher is called `choice`.
        ToolchainError: one of its programs is not installed, or has no helpers, or other compilers.
    """
    if choice == NONE:
        return None
    if choice == AUTO:
        cache = next((p for p in PROGRAMS if p.caches and find_tool(runner, p.name)), None)
        return _describe(runner, (cache,)) if cache else None
    refuse_unknown(choice)
    programs = LAUNCHERS[choice]
    launcher = _describe(runner, programs)
    if programs[-1].hosts_option:
        _refuse_other_compilers(runner, programs[-1], compiler)
    return launcher


def refuse_unknown(choice: str) -> None:
    """Raises ConfigurationError when no launcher is called `choice`."""
    if choice not in {AUTO, NONE, *LAUNCHERS}:
        raise ConfigurationError(
            f"unknown launcher {choice!r}",
            hint=f"--launcher takes {', '.join((AUTO, NONE, *LAUNCHERS))}",
        )


def find_launchers(runner: Runner) -> tuple[Tool, ...]:
    """Returns those of the known programs that are installed."""
    return tuple(tool for p in PROGRAMS if (tool := find_tool(runner, p.name)) is not None)


def _describe(runner: Runner, programs: tuple[Program, ...]) -> Launcher:
    first, last = programs[0], programs[-1]
    handed_on = ((first.prefix_variable, last.name),) if first is not last else ()
    return Launcher(
        tools=tuple(_locate(runner, program) for program in programs),
        environment=handed_on,
        jobs=_ask_jobs(runner, last),
        fallback=last.fallback,
    )


def _locate(runner: Runner, program: Program) -> Tool:
    tool = find_tool(runner, program.name)
    if tool is None:
        raise ToolchainError(
            f"there is no {program.name} on PATH",
            hint=f"apt install {program.name}; or compile without it: --launcher {NONE}",
        )
    return tool


def _ask_jobs(runner: Runner, program: Program) -> int | None:
    if not program.jobs_option:
        return None
    said = runner.run((program.name, program.jobs_option)).output
    jobs = re.search(r"^\d+$", said, re.MULTILINE)
    if jobs is None:
        raise ToolchainError(
            f"{program.name} knows no helpers: {said.strip()}", hint=program.no_room
        )
    return int(jobs[0])


def _refuse_other_compilers(runner: Runner, program: Program, compiler: Tool) -> None:
    """Has every helper compile a line, and reads from the object which compiler it was.

    clang writes its version into `.comment`. A helper that does not answer is no reason to stop:
    others, or this machine, do its work.
    """
    hosts = runner.run((program.name, program.hosts_option)).output.split()
    with scratch_folder() as name:
        source, compiled = name / "probe.c", name / "probe.o"
        source.write_text("int probe;\n")
        build = (program.name, str(compiler.path), "-c", str(source), "-o", str(compiled))
        for host in hosts:
            only = runner.with_environment(DISTCC_HOSTS=host, DISTCC_FALLBACK="0")
            answered = only.run(build).returncode == 0
            if answered and compiler.version.encode() not in compiled.read_bytes():
                raise ToolchainError(
                    f"the helper {host} has another compiler than {compiler.version}",
                    hint=f"install that release there as {compiler.path}, or take the helper out "
                    "of DISTCC_HOSTS",
                )
