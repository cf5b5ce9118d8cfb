"""Running programs: output, logs, failures, interruption; locks between processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from interrupts import take_interrupts

from builder.errors import NativeBuildError, ToolchainError
from builder.system.locks import folder_lock
from builder.system.process import Runner, end_programs

RUNNER = Runner.inherit()


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


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


def test_programs_that_other_threads_wait_for_can_be_ended():
    """An interruption reaches the main thread only."""
    started, code = Event(), "print('here', flush=True); import time; time.sleep(600)"
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(RUNNER.run, python(code), on_line=lambda _: started.set())
        assert started.wait(timeout=120)
        end_programs()
        assert waiting.result(timeout=120).returncode != 0
    # What was ended is forgotten, and later programs run.
    end_programs()
    assert RUNNER.run(python("pass")).returncode == 0


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


FAMILY = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
endless = [sys.executable, "-c", "import signal; signal.pause()"]
children = [subprocess.Popen(endless, start_new_session=own) for own in (False, True)]
print(*(child.pid for child in children), os.getpid(), flush=True)
signal.pause()
"""
"""A tool that does not end when asked to, with a child in its group and one in another session."""


def test_an_interrupted_run_ends_all_of_its_processes_and_keeps_the_log(tmp_path):
    pids = []

    def interrupt(line: str) -> None:
        pids.extend(map(int, line.split()))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RUNNER.run(python(FAMILY), log=tmp_path / "x.log", on_line=interrupt)
    assert len(pids) == 3
    assert not any(map(is_alive, pids))
    assert str(pids[0]) in (tmp_path / "x.log").read_text()


BUILDER = """
import pathlib, sys
from builder.system.locks import folder_lock
from builder.system.process import Runner, end_programs
with folder_lock(pathlib.Path(sys.argv[1])):
    Runner.inherit().run(
        (sys.executable, "-c", sys.argv[2]), on_line=lambda line: print(line, flush=True)
    )
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whole_group", [False, True])
def test_nothing_outlives_a_killed_builder(tmp_path, how, whole_group):
    process = subprocess.Popen(
        python(BUILDER, str(tmp_path / "shared"), FAMILY),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=take_interrupts,  # noqa: PLW1509
    )
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 3
    assert all(map(is_alive, pids))
    (os.killpg if whole_group else os.kill)(process.pid, how)
    assert process.wait() != 0
    process.stdout.close()
    # The lock is free when the last of them is gone, and not before.
    with folder_lock(tmp_path / "shared"):
        assert not any(map(is_alive, pids))


def test_a_daemon_that_a_tool_leaves_behind_is_left_alone():
    """adb and sccache start servers that are to stay."""
    code = (
        "import subprocess, sys\n"
        "quiet = subprocess.DEVNULL\n"
        "daemon = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'],"
        " stdout=quiet, stderr=quiet, start_new_session=True)\n"
        "print(daemon.pid)\n"
    )
    pid = int(RUNNER.check(python(code), step="x"))
    try:
        assert is_alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_program_that_dies_of_a_signal_says_so(number):
    code = f"import os; print('last words', flush=True); os.kill(os.getpid(), {int(number)})"
    completed = RUNNER.run(python(code))
    assert (completed.returncode, completed.output) == (-number, "last words\n")


def test_tools_get_the_usual_signals_and_no_descriptors_of_builder(tmp_path):
    code = "import os\nprint(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])\n"
    with folder_lock(tmp_path / "shared"):
        shell = ("/bin/sh", "-c", "kill -s PIPE $$")
        assert RUNNER.run(shell).returncode == -signal.SIGPIPE
        output = RUNNER.check(python(code), step="x")
    assert output == "[0, 1, 2]\n"


HOLD = """
import pathlib, signal, sys
from builder.system.locks import folder_lock
with folder_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path`/shared."""
    process = subprocess.Popen(
        python(HOLD, str(tmp_path / "shared")), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_second_process_says_whom_it_waits_for(tmp_path, holder):
    waited = []
    with (
        pytest.raises(NativeBuildError, match=f"process {holder.pid}"),
        folder_lock(tmp_path / "shared", timeout=0, on_wait=waited.append),
    ):
        pytest.fail("two builders in one folder")
    assert len(waited) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_dies_with_its_process(tmp_path, holder, how):
    os.kill(holder.pid, how)
    holder.wait()
    with folder_lock(tmp_path / "shared", timeout=0):
        pass
