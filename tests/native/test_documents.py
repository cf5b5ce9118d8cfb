"""Commands and samples of README and docs that need a real runtime."""

import os
import re
import shlex
import shutil
import subprocess

import pytest
from documents import agrees, list_headers, read_blocks, read_shown

from builder.system.reference_headers import reference_path

from .conftest import run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]

PRELUDE = "cmake_minimum_required(VERSION 3.16)\nproject(app C)\n"


@pytest.fixture(scope="module")
def folder(built, tmp_path_factory):
    """A working folder as the pages have it: `mobilenet_v2.ptl`, its reference case, `out`."""
    folder = tmp_path_factory.mktemp("pages")
    model = built.models["mobilenet_v2"]
    shutil.copy(model, folder)
    shutil.copy(reference_path(model), folder)
    (folder / "out").symlink_to(built.out)
    return folder


def run_shown(folder, command):
    program, *words = shlex.split(command)
    assert program == "builder"
    said = run_builder(*words, cwd=folder)
    return said.stderr + said.stdout


def is_static(block):
    return "TorchLite::static" in block.text


@pytest.fixture(scope="module")
def static(built, tmp_path_factory):
    """The folder of a build with the option `--static`, whose objects the shared library has."""
    out = tmp_path_factory.mktemp("static")
    run_builder("build", *built.wanted, "--abi", built.root.name, "--static", "-o", out)
    return out


def is_about(shown, command):
    return shown.command == f"builder {command}"


@pytest.mark.parametrize(
    "shown",
    [s for s in read_shown() if is_about(s, "verify mobilenet_v2.ptl --runtime out")],
    ids=lambda shown: shown.id,
)
def test_a_verification_looks_as_shown(folder, shown):
    real = run_shown(folder, shown.command)
    # Torch's version differs from machine to machine.
    expected = re.sub(r"eager PyTorch .*", "eager PyTorch ...", shown.output)
    assert agrees(expected, real, mask_numbers=True), real


@pytest.mark.parametrize(
    "shown",
    [s for s in read_shown() if s.command.startswith("builder size out")],
    ids=lambda shown: f"{shown.id} {shown.command}",
)
def test_sizes_have_the_tables_that_are_shown(folder, shown):
    """The session's runtime is built for other models too, so its rows are others."""
    real = list_headers(run_shown(folder, shown.command))
    shown_headers = list_headers(shown.output)
    assert shown_headers
    assert [header for header in real if header in shown_headers] == shown_headers


def test_a_check_of_the_sources_looks_as_shown(built, folder):
    (shown,) = (s for s in read_shown() if is_about(s, "fetch --check"))
    assert agrees(shown.output, run_shown(folder, shown.command), mask_numbers=True)


@pytest.mark.parametrize("block", read_blocks("cmake"), ids=lambda block: block.id)
def test_cmake_builds_the_program_that_is_shown(request, built, folder, block, tmp_path):
    out = request.getfixturevalue("static") if is_static(block) else built.out
    (main,) = (b.text for b in read_blocks("c") if "int main(void)" in b.text)
    (tmp_path / "main.c").write_text(main)
    whole = "cmake_minimum_required" in block.text
    (tmp_path / "CMakeLists.txt").write_text(block.text if whole else PRELUDE + block.text)
    (tmp_path / "out").symlink_to(out)
    (command,) = (b.text for b in read_blocks("sh") if b.text.startswith("cmake -S"))
    command = command.replace("linux-x86_64", built.root.name)
    made = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    environment = {**os.environ, "LD_LIBRARY_PATH": str(built.library.parent)}
    if is_static(block):
        del environment["LD_LIBRARY_PATH"]
    program = tmp_path / "build/app"
    ran = subprocess.run([program], cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"1000 classes, first score \S+\n", ran.stdout)
