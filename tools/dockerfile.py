"""Runs the steps of the Dockerfile in a folder with a system, where there is no container engine.

    debootstrap --variant=minbase trixie ROOT
    .venv/bin/python tools/dockerfile.py ROOT

It needs root. `RUN` runs in a chroot, with the variables that `ENV` has set; `COPY` copies what
.dockerignore leaves. At the end, the entry point runs with the arguments after ROOT. Give ROOT a
network first, e.g. its /etc/resolv.conf.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a Dockerfile."""

    name: str
    text: str
    """Its arguments, with the lines joined."""


def main() -> None:
    """Runs every step, then the entry point."""
    root, arguments = Path(sys.argv[1]).resolve(), sys.argv[2:]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    folder, entry, usual = "/", ["/bin/sh"], list[str]()
    for step in read_steps((REPOSITORY / "Dockerfile").read_text()):
        print(f"==> {step.name} {step.text}", flush=True)  # noqa: T201 - a tool for maintainers
        match step.name:
            case "RUN":
                run_in(root, ["/bin/sh", "-c", step.text], environment)
            case "COPY":
                source, target = step.text.split()
                copy(REPOSITORY / source, root / target.lstrip("/"))
            case "ENV":
                environment |= dict(word.split("=", 1) for word in shlex.split(step.text))
            case "WORKDIR":
                folder = step.text
                (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "ENTRYPOINT":
                entry = json.loads(step.text)
            case "CMD":
                usual = json.loads(step.text)
    run_in(
        root,
        ["/bin/sh", "-c", f'cd {folder} && exec "$@"', "-", *entry, *(arguments or usual)],
        environment,
    )


def read_steps(text: str) -> Iterator[Step]:
    """Yields the instructions of a Dockerfile without comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        yield Step(name, " ".join(rest.split()))


def run_in(root: Path, command: list[str], environment: dict[str, str]) -> None:
    """Runs a command in the root; CalledProcessError if it fails."""
    subprocess.run(["chroot", str(root), *command], env=environment, check=True)  # noqa: S607


def copy(source: Path, target: Path) -> None:
    """Copies the folder `source`, of which the lines `!name` of .dockerignore are left."""
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    target.mkdir(parents=True, exist_ok=True)
    for name in [line[1:] for line in lines if line.startswith("!")]:
        if (source / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source / name, target / name, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy(source / name, target / name)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("only root can run steps in a chroot")
    main()
