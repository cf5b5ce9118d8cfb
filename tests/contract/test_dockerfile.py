"""The Dockerfile, as far as it can be checked without a container engine.

`tools/dockerfile.py` runs its steps in a chroot.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from builder.toolchains.clang import INSTALL_COMPILERS
from builder.toolchains.jdk import INSTALL_JDK
from dockerfile import read_steps

ROOT = Path(__file__).parents[2]
STEPS = tuple(read_steps((ROOT / "Dockerfile").read_text()))
KNOWN = {"CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "VOLUME", "WORKDIR"}


def texts(name: str) -> list[str]:
    return [step.text for step in STEPS if step.name == name]


def test_the_instructions_are_known_and_begin_with_the_system():
    assert {step.name for step in STEPS} <= KNOWN
    assert STEPS[0].name == "FROM"
    assert texts("FROM") == ["debian:trixie-slim"]
    assert json.loads(texts("ENTRYPOINT")[0]) == ["builder"]


@pytest.mark.parametrize("text", texts("RUN"))
def test_each_command_is_shell(text):
    subprocess.run(("sh", "-n", "-c", text), check=True)


def test_it_has_what_builder_doctor_asks_for():
    installed = set(re.findall(r"[a-z0-9+-]+", texts("RUN")[0]))
    assert {*INSTALL_COMPILERS.packages, *INSTALL_JDK.packages, "ccache", "git"} <= installed


def test_everything_that_the_wheel_is_made_of_is_copied():
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["scikit-build"]["wheel"]["packages"]
    assert {*packages.values(), project["project"]["readme"], "pyproject.toml"} <= kept
    assert all((ROOT / name).exists() for name in kept)


def test_builders_cache_is_its_own_folder():
    (environment,) = texts("ENV")
    values = dict(word.split("=", 1) for word in environment.split())
    assert Path(values["BUILDER_CACHE"]) != Path(values["CCACHE_DIR"])
    assert Path(values["BUILDER_CACHE"]) not in Path(values["CCACHE_DIR"]).parents
    assert {Path(values[name]).parent for name in ("BUILDER_CACHE", "CCACHE_DIR")} == {
        Path(texts("VOLUME")[0])
    }
