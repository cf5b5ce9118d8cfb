"""Completion scripts in the shells they are for, and the command line at the end of a pipe."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from interrupts import take_interrupts

MODELS = Path(__file__).parents[1] / "data" / "models"
BUILDER = (sys.executable, "-m", "builder.cli.main")


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        tuple(map(str, command)),
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=take_interrupts,
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_accepts_the_script():
    script = run(*BUILDER, "completion", "bash")
    assert script.returncode == 0
    assert run("bash", "-n", "-c", script.stdout).returncode == 0
    completed = run("bash", "-c", f"{script.stdout}\ncomplete -p builder")
    assert completed.returncode == 0
    assert completed.stdout.rstrip().endswith(" builder")


def test_bash_is_answered():
    answer = run(
        *BUILDER, _BUILDER_COMPLETE="bash_complete", COMP_WORDS="builder ve", COMP_CWORD="1"
    )
    assert answer.stdout == "plain,verify\n"


def test_a_reader_that_goes_away_is_no_defect(tmp_path):
    model = MODELS / "control.ptl"
    command = f"'{sys.executable}' -m builder.cli.main ops '{model}' --json"
    script = f"{{ {command}; echo $? >'{tmp_path}/code'; }} | true"
    said = run("bash", "-c", script)
    assert said.stderr == ""
    assert (tmp_path / "code").read_text() == "0\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_full_disk_behind_stdout_is_an_error(options):
    command = " ".join(("ops", str(MODELS / "conv.ptl"), *options))
    said = run("bash", "-c", f"'{sys.executable}' -m builder.cli.main {command} >/dev/full")
    assert said.returncode == 2
    assert said.stderr.startswith("error: No space left on device: standard output\n")
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    "command",
    ["--help", "--version", "ops --help", "completion bash", f"ops '{MODELS / 'conv.ptl'}'"],
)
@pytest.mark.parametrize("stream", ["stdout", "both"])
def test_a_reader_that_has_enough_is_no_error(command, stream):
    """As `builder --help | true`; the pipe is closed before builder writes."""
    reader, writer = os.pipe()
    os.close(reader)
    said = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m builder {command}"],
        stdout=writer,
        stderr=writer if stream == "both" else subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (said.returncode, said.stderr or "") == (0, "")


@pytest.mark.parametrize("command", ["--no-such-option", "", "ops gone.ptl"])
def test_an_error_keeps_its_exit_code_when_nobody_reads_it(command):
    reader, writer = os.pipe()
    os.close(reader)
    said = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m builder {command}"],
        stdout=writer,
        stderr=writer,
        check=False,
    )
    os.close(writer)
    assert said.returncode == (3 if "gone" in command else 2)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams_are_no_defect(closed, tmp_path):
    out = tmp_path / "ops.yaml"
    model = MODELS / "conv.ptl"
    arguments = f"ops '{model}' -o '{out}'"
    script = f"'{sys.executable}' -m builder.cli.main {arguments} {closed}"
    said = run("bash", "-c", script)
    assert (said.returncode, out.is_file()) == (0, True)
    assert "error" not in said.stderr


def test_an_error_is_an_exit_code_with_nothing_on_stdout(tmp_path):
    said = run(*BUILDER, "ops", tmp_path / "gone.ptl")
    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr.startswith("error: ")
    assert "Traceback" not in said.stderr


def test_names_that_are_no_ascii(tmp_path):
    model = tmp_path / "mödel ☃.ptl"
    model.write_bytes((MODELS / "conv.ptl").read_bytes())
    said = run(*BUILDER, "ops", model, LC_ALL="C", PYTHONIOENCODING="utf-8")
    assert said.returncode == 0, said.stderr
    assert "mödel ☃.ptl" in said.stdout


@pytest.mark.parametrize(
    "entry", [("-m", "builder"), ("-c", "import builder.__main__ as b; b.main()")]
)
def test_an_interrupt_while_modules_are_imported_is_answered_silently(entry, tmp_path):
    # The first module of others that the command line imports.
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise SystemExit(77)\n"
    (tmp_path / "click.py").write_text(code)
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    said = run(sys.executable, *entry, "--version", PYTHONPATH=path)
    assert (said.returncode, said.stdout, said.stderr) == (-signal.SIGINT, "", "")


def test_an_interrupt_of_the_command_itself_is_told(tmp_path):
    """The signal that ends the process while modules are imported is an exception afterwards."""
    code = (
        "import os, runpy, signal, sys\n"
        "from builder.cli import ops\n"
        "ops.api.list_operators = lambda request: os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.argv = ['builder', 'ops', {str(MODELS / 'conv.ptl')!r}]\n"
        "runpy.run_module('builder', run_name='__main__')\n"
    )
    said = run(sys.executable, "-c", code)
    assert (said.returncode, said.stdout) == (130, "")
    assert said.stderr.strip() == "interrupted; run the same command again to continue"


@pytest.mark.parametrize("command", ["plan", "build --dry-run", "build", "doctor"])
def test_a_cache_that_cannot_be_made_is_refused_before_the_work(command, tmp_path):
    (tmp_path / "file").touch()
    models = () if command == "doctor" else (MODELS / "conv.ptl",)
    said = run(*BUILDER, *command.split(), *models, BUILDER_CACHE=str(tmp_path / "file"))
    assert said.returncode == (5 if command == "doctor" else 2)
    assert f"the cache {tmp_path}/file cannot be used: " in said.stdout + said.stderr
    assert "BUILDER_CACHE=<folder>" in said.stdout + said.stderr
