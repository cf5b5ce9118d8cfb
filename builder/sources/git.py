"""A provider that fetches sources from the upstream git repositories."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builder.core.sources import SourcePin
from builder.errors import Hint, Run, SourceError, Use
from builder.sources.providers import Delivery, ProviderName, Unavailable
from builder.system.process import Completed, Runner
from builder.system.trees import make_folders

_SETTINGS = (
    *("-c", "core.autocrlf=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "fetch.fsckObjects=true"),
    *("-c", "gc.auto=0"),
    *("-c", "tar.umask=0022"),
)
"""Settings that keep the user's own configuration from changing what is fetched and archived."""


@dataclass(slots=True, kw_only=True)
class GitProvider:
    """Fetches exactly the pinned commit; it identifies the content, and git checks every object.

    An archive from git has other bytes than the archive of the distribution, which may lack some
    files (`+dfsg`). So the commit is verified here, and not the sha256 of the pin.
    """

    runner: Runner
    folder: Path
    """Folder for the bare repositories and for the archives that are made from them."""
    offline: bool = False
    """Whether only commits that were fetched before are used."""
    _silent: dict[str, str] = field(default_factory=dict)
    """Host that did not answer -> the reason, so that it is not asked again for each source."""

    @property
    def name(self) -> str:
        """Name of the provider in messages."""
        return str(ProviderName.GIT)

    def deliver(self, pin: SourcePin, on_bytes: Callable[[int], None]) -> Delivery:
        """Fetches the commit unless it is already there, verifies it and archives its tree."""
        git = self.runner.find_program("git")
        if git is None:
            raise Unavailable("git is not installed (apt install git)")
        repository = self.folder / f"{pin.name}-{pin.commit[:12]}.git"
        archive = self.folder / f"{pin.name}-{pin.commit}.tar"
        if not self._has_commit(git, repository, pin):
            if self.offline:
                raise Unavailable("this is an offline fetch, and the commit was not fetched before")
            self._fetch(git, repository, pin)
        # An archive of a killed run may be half of one.
        archive.unlink(missing_ok=True)
        made = self._git(
            git, repository, "archive", "--format=tar", f"--output={archive}", pin.commit
        )
        if made.returncode != 0:
            raise SourceError(f"git cannot archive {pin.url}: {_last_line(made)}")
        on_bytes(pin.size)
        return Delivery(archive=archive, strip=0, provider=self.name, temporary=True)

    def _fetch(self, git: Path, repository: Path, pin: SourcePin) -> None:
        # A host that does not answer is asked once, and not once for each source.
        host = "/".join(pin.url.split("/")[:3])
        if host in self._silent:
            raise Unavailable(self._silent[host])
        shutil.rmtree(repository, ignore_errors=True)
        make_folders(repository.parent)
        repository.mkdir()
        # Without a template, no hooks of the user are copied.
        self._git(git, repository, "init", "--quiet", "--bare", "--template=", ".")
        completed = self._git(
            # One commit without its history; GitHub, for example, serves commits by their hash.
            git,
            repository,
            "fetch",
            "--quiet",
            "--depth",
            "1",
            "--no-tags",
            pin.url,
            pin.commit,
        )
        if completed.returncode != 0:
            reason = f"git fetch {pin.url} {pin.commit[:12]}: {_last_line(completed)}"
            shutil.rmtree(repository, ignore_errors=True)
            # Only these say something about the host; other errors are about one repository.
            if "resolve host" in completed.output or "connect to" in completed.output:
                self._silent[host] = reason
            raise Unavailable(reason)
        if not self._has_commit(git, repository, pin):
            raise SourceError(
                f"{pin.url} did not deliver commit {pin.commit}",
                hint=Hint(
                    "fetch from elsewhere: ", Run("fetch", (Use("provider", "distribution"),))
                ),
            )

    def _has_commit(self, git: Path, repository: Path, pin: SourcePin) -> bool:
        """Returns whether the pinned commit and all objects that it refers to are undamaged."""
        if not (repository / "HEAD").is_file():
            return False
        parsed = self._git(
            git, repository, "rev-parse", "--verify", "--quiet", f"{pin.commit}^{{commit}}"
        )
        if parsed.returncode != 0 or parsed.output.strip() != pin.commit:
            return False
        checked = self._git(
            # git trusts the objects on its own disk; damage there would become a wrong tree.
            git,
            repository,
            "fsck",
            "--full",
            "--no-dangling",
            "--no-progress",
            pin.commit,
        )
        return checked.returncode == 0

    def _git(self, git: Path, repository: Path, *arguments: str) -> Completed:
        # A server that wants a password makes git fail instead of waiting for an answer.
        runner = self.runner.with_environment(GIT_TERMINAL_PROMPT="0", GIT_DIR=str(repository))
        return runner.run((os.fspath(git), *_SETTINGS, *arguments), cwd=repository)


def _last_line(completed: Completed) -> str:
    lines = [line.strip() for line in completed.output.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or ["no message"])[0]
