"""The boundary of builder.system.sandbox in force, and children that crash, loop and flood."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import confined_attempts
import pytest

from builder.system import sandbox
from builder.system.children import ChildEndedError, PythonChild
from builder.system.frames import Frame

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="there is a boundary under Linux only"
)
SECONDS = 60
"""Of CPU time for jobs that end by themselves."""


@pytest.fixture
def child():
    child = PythonChild("confined_attempts")
    yield child
    child.close()


def ask(child: PythonChild, job: str, **more: object) -> Frame:
    limit = int(str(more.pop("limit", 1 << 20)))
    return child.ask(Frame(header={"job": job, **more}), seconds=SECONDS, limit=limit)


@pytest.mark.parametrize("as_nobody", [False, True], ids=["as_we_are", "as_nobody"])
def test_nothing_breaks_out(child, tmp_path, as_nobody):
    if sandbox.find_obstacle():
        pytest.fail(sandbox.find_obstacle())
    folder = tmp_path / "folder"
    folder.mkdir()
    victim = folder / "victim"
    victim.write_bytes(b"precious")
    if os.getuid() == 0:  # root's folders are closed to others; the victim belongs to nobody then
        for part in (victim, folder, *tmp_path.parents[:2], tmp_path):
            part.chmod(part.stat().st_mode | 0o055)
        if as_nobody:
            for part in (victim, folder):
                os.chown(part, confined_attempts.NOBODY, confined_attempts.NOBODY)
    before = (victim.stat(), sorted(folder.iterdir()))
    found = ask(child, "break out", path=str(victim), as_nobody=as_nobody).header
    refused = {name for name, told in found["outcomes"].items() if told.startswith("refused")}
    assert refused == set(confined_attempts.ATTEMPTS), found["outcomes"]
    assert found["late"] == ["refused 1", "a thread"]
    assert found["read"] == "precious"
    after = victim.stat()
    assert (victim.read_bytes(), sorted(folder.iterdir())) == (b"precious", before[1])
    assert (after.st_mtime_ns, after.st_mode, after.st_uid) == (
        before[0].st_mtime_ns,
        before[0].st_mode,
        before[0].st_uid,
    )
    assert not Path("/dev/shm/builder-owned").exists()
    if as_nobody and os.getuid() == 0:
        assert found["uid"] == confined_attempts.NOBODY


@pytest.mark.parametrize(
    "name",
    ["create", "overwrite", "map shared", "truncate when reading", "remove", "rename", "fork"],
)
def test_the_attempts_would_work_without_a_boundary(tmp_path, name):
    """Else the test above could not fail."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    if name == "map shared":  # an open for reading never allows it, boundary or not
        with pytest.raises(PermissionError):
            confined_attempts.ATTEMPTS[name](victim)
        return
    confined_attempts.ATTEMPTS[name](victim)


@pytest.mark.parametrize("for_ever", [False, True])
def test_an_endless_loop_ends_at_the_limit(child, for_ever):
    with pytest.raises(ChildEndedError, match="took more than 60 seconds of CPU time") as caught:
        ask(child, "loop", seconds=1, for_ever=for_ever)
    assert caught.value.by_limit
    assert not child.is_alive


def test_code_that_ignores_the_signal_is_killed(child):
    with pytest.raises(ChildEndedError, match="was ended by SIGKILL"):
        ask(child, "ignore the limit", seconds=1, for_ever=True)


def test_memory_has_a_limit(child):
    assert ask(child, "take memory").header == {"taken": 0}


def test_what_is_printed_neither_blocks_nor_becomes_an_answer(child):
    assert ask(child, "print").header == {"printed": True}
    assert ask(child, "about").header["pid"] == child.pid


def test_a_crash_names_its_signal_and_its_last_words(child):
    with pytest.raises(ChildEndedError, match="was ended by SIGABRT") as caught:
        ask(child, "crash")
    assert caught.value.message.endswith("(last words ?[2J)")
    assert not caught.value.by_limit


def test_garbage_is_no_answer(child):
    with pytest.raises(ChildEndedError, match=r"exit code 3|gave"):
        ask(child, "garbage")
    assert not child.is_alive


def test_an_answer_has_a_limit(child):
    with pytest.raises(ChildEndedError, match="more than 1,000"):
        ask(child, "large", limit=1000)
    assert not child.is_alive


def test_waiting_without_computing_ends_too(child, monkeypatch):
    monkeypatch.setattr("builder.system.children._PATIENCE", 0)
    monkeypatch.setattr("builder.system.children._START", 2)
    with pytest.raises(
        ChildEndedError, match="did not end within 2 seconds of real time"
    ) as caught:
        ask(child, "sleep")
    assert caught.value.by_limit


def test_it_imports_what_builder_imports_and_nothing_of_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the working folder')\n")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    child = PythonChild("confined_attempts")
    try:
        path = ask(child, "about").header["path"]
    finally:
        child.close()
    assert str(tmp_path) not in path
    assert "" not in path


def test_a_child_does_not_outlive_builder():
    code = (
        "import sys, time; sys.path[:] = sys.argv[1:]\n"
        "from builder.system.children import PythonChild\n"
        "from builder.system.frames import Frame\n"
        "child = PythonChild('confined_attempts')\n"
        "child.ask(Frame(header={'job': 'about'}), seconds=60)\n"
        "print(child.pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        (sys.executable, "-S", "-c", code, *sys.path), stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(600):
        if _is_gone(pid):
            return
        time.sleep(0.1)
    pytest.fail("the child lives on")


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
