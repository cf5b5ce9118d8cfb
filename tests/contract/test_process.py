"""Running programs: output, logs, failures, interruption; locks between processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.errors import NativeBuildError, ToolchainError
from builder.system.locks import folder_lock
from builder.system.process import Runner

RUNNER = Runner.inherit()


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """A zombie is not alive; nobody may be there to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_output_is_one_stream_and_comes_line_by_line(tmp_path):
    code = "import os; os.write(1, b'one\\n'); os.write(2, b'tw\\xff\\n'); os.write(1, b'end')"
    lines = []
    completed = RUNNER.run(python(code), log=tmp_path / "logs/x.log", on_line=lines.append)
    assert completed.returncode == 0
    assert completed.output == "one\ntw\ufffd\nend"
    assert lines == ["one", "tw\ufffd", "end"]
    log = (tmp_path / "logs/x.log").read_text()
    assert log.startswith(f"$ {sys.executable} -c ")
    assert log.endswith(completed.output)


def test_arguments_environment_and_folder_arrive_as_they_are(tmp_path):
    folder = tmp_path / "a folder é"
    folder.mkdir()
    code = "import os, sys; print(sys.argv[1:], os.environ['NAME'], os.getcwd())"
    runner = RUNNER.with_environment(NAME="a $value")
    output = runner.check(python(code, "a b", "$HOME", "'"), step="x", cwd=folder)
    assert output == f"{['a b', '$HOME', chr(39)]} a $value {folder}\n"


@pytest.fixture
def _typed():
    """Something to read on this process's own input."""
    reader, writer = os.pipe()
    os.write(writer, b"typed")
    os.close(writer)
    saved = os.dup(0)
    os.dup2(reader, 0)
    yield
    os.dup2(saved, 0)
    os.close(saved)
    os.close(reader)


@pytest.mark.usefixtures("_typed")
def test_nothing_is_read_from_the_terminal():
    assert RUNNER.run(python("import sys; print(repr(sys.stdin.read()))")).output == "''\n"


def test_a_failure_can_be_pasted(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    command = python("import sys; print('oh no'); sys.exit(3)", "a b")
    log = tmp_path / "x.log"
    with pytest.raises(ToolchainError) as caught:
        RUNNER.check(command, step="probing", error=ToolchainError, cwd=folder, log=log)
    assert caught.value.message.startswith("probing failed with exit code 3\n  | oh no\n")
    assert str(log) in caught.value.message
    pasted = caught.value.hint.removeprefix("repeat it with: ")
    again = subprocess.run(pasted, shell=True, check=False, capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (3, "oh no\n")


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(NativeBuildError, match=r"cannot start .*gone: No such file"):
        RUNNER.run((str(tmp_path / "gone"),))


def test_an_interrupted_run_ends_all_of_its_processes_and_keeps_the_log(tmp_path):
    child = "import time; time.sleep(60)"
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    pids = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RUNNER.run(python(code), log=tmp_path / "x.log", on_line=interrupt)
    end = time.monotonic() + 10
    while is_alive(pids[0]) and time.monotonic() < end:
        time.sleep(0.02)
    assert not is_alive(pids[0])
    assert str(pids[0]) in (tmp_path / "x.log").read_text()


HOLD = """
import pathlib, sys, time
from builder.system.locks import folder_lock
with folder_lock(pathlib.Path(sys.argv[1])):
    pathlib.Path(sys.argv[2]).touch()
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path`/shared."""
    ready = tmp_path / "ready"
    process = subprocess.Popen(python(HOLD, str(tmp_path / "shared"), str(ready)))
    try:
        wait_for(ready)
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_second_process_says_whom_it_waits_for(tmp_path, holder):
    waited = []
    with (
        pytest.raises(NativeBuildError, match=f"process {holder.pid}"),
        folder_lock(tmp_path / "shared", timeout=0.1, on_wait=waited.append),
    ):
        pytest.fail("two builders in one folder")
    assert len(waited) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_dies_with_its_process(tmp_path, holder, how):
    os.kill(holder.pid, how)
    holder.wait()
    with folder_lock(tmp_path / "shared", timeout=5):
        pass
