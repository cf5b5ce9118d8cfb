"""`builder doctor --fix`: installs what is missing where it may, and names the command if not."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.typed import suggest
from builder.errors import ConfigurationError, Hint, Install
from builder.sources.choice import FetchRequest
from builder.sources.releases import load_release
from builder.sources.trees import fetch_trees
from builder.system.machine import host_abi
from builder.system.process import Runner, failure_text

if TYPE_CHECKING:
    from builder.core.artifacts import Diagnosis, Finding
    from builder.system.progress import Progress

_SOURCES = "sources"
_FORBIDDEN = "BUILDER_NO_APT"
"""The variable by which `./demo` and `./test` install nothing either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairs:
    """What would make findings of a diagnosis disappear."""

    packages: tuple[str, ...]
    """Packages of Debian or Ubuntu."""
    fetch: bool
    """Whether the sources are to be fetched."""
    others: tuple[Finding, ...]
    """Findings that builder cannot mend, such as a missing Android NDK."""


def plan_repairs(diagnosis: Diagnosis, subjects: Sequence[str] = ()) -> Repairs:
    """Returns what to do about `subjects`, or about all that this machine needs for itself.

    Raises:
        ConfigurationError: nothing in the diagnosis has the name of one of `subjects`.
    """
    known = {finding.subject for finding in diagnosis.findings}
    for name in subjects:
        if name not in known:
            raise ConfigurationError(f"builder doctor knows no {name!r}; {suggest(name, known)}")
    usual = {"clang", "lld", "cmake", "ninja", "launchers", _SOURCES, f"target {host_abi()}"}
    wanted = frozenset(subjects) or usual
    bad = [one for one in diagnosis.findings if not one.ok and one.subject in wanted]
    packages = [name for one in bad for name in _list_packages(one.remedy)]
    return Repairs(
        packages=tuple(dict.fromkeys(packages)),
        fetch=any(one.subject == _SOURCES for one in bad),
        others=tuple(
            one for one in bad if one.subject != _SOURCES and not [*_list_packages(one.remedy)]
        ),
    )


def _list_packages(remedy: str) -> Iterator[str]:
    if isinstance(remedy, Install):
        yield from remedy.packages
    elif isinstance(remedy, Hint):
        for part in remedy.parts:
            if isinstance(part, str):
                yield from _list_packages(part)


def repair(repairs: Repairs, *, progress: Progress) -> tuple[str, ...]:
    """Does what can be done, and returns a sentence for everything that was left undone.

    Packages are installed by apt, as root or with a sudo that asks for no password. Sources are
    fetched into the cache.

    Raises:
        SourceError: the sources cannot be fetched.
    """
    undone = []
    if repairs.packages:
        failure = _install(repairs.packages, Runner.inherit(), progress)
        undone += [failure] if failure else []
    if repairs.fetch:
        fetch_trees(load_release(), FetchRequest(), progress=progress)
    undone += [
        "; ".join(filter(None, (f"{one.subject}: builder cannot install it", str(one.remedy))))
        for one in repairs.others
    ]
    return tuple(undone)


def _install(packages: Sequence[str], runner: Runner, progress: Progress) -> str:
    """Installs packages; returns why that was not possible, with the command to type."""
    command = ("apt-get", "install", "--yes", "--no-install-recommends", *packages)
    by_hand = f"type: sudo {shlex.join(command)}"
    if runner.environment.get(_FORBIDDEN):
        return f"{_FORBIDDEN} is set, so nothing was installed; {by_hand}"
    if runner.find_program("apt-get") is None:
        return f"there is no apt on this system; install what Debian calls {' '.join(packages)}"
    prefix = _find_root(runner)
    if prefix is None:
        return f"only root may install packages, and sudo asks for a password; {by_hand}"
    quiet = runner.with_environment(DEBIAN_FRONTEND="noninteractive")
    progress.step(f"installing {' '.join(packages)}")
    # What fails here, such as one mirror of several, may not matter for these packages.
    quiet.run((*prefix, "apt-get", "update"))
    completed = quiet.run((*prefix, *command))
    if completed.returncode != 0:
        return failure_text(shlex.join((*prefix, *command)), completed, log=None)
    return ""


def _find_root(runner: Runner) -> tuple[str, ...] | None:
    """Returns what has to stand before a command that only root may run; None if it cannot."""
    if os.geteuid() == 0:
        return ()
    sudo = ("sudo", "-n")
    if runner.find_program("sudo") is None or runner.run((*sudo, "true")).returncode != 0:
        return None
    return sudo
