from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from samples import FakeRunner

from builder.core.targets import parse_target
from builder.errors import NativeBuildError, VerificationError
from builder.system.process import Completed
from builder.verify.hosts import open_host

OK = Completed(0, "")


def answering(*completed):
    answers = iter(completed)
    return FakeRunner(answer=lambda _: next(answers))


@pytest.fixture
def runtime(tmp_path):
    """What `open_host` reads of a runtime for a phone, with its library."""
    library = tmp_path / "lib/libtorchlite.so"
    library.parent.mkdir()
    library.touch()
    return SimpleNamespace(
        root=tmp_path, target=parse_target("arm64-v8a"), architecture="aarch64",
        libraries=library.parent,
    )  # fmt: skip


def test_a_device_gets_the_files_and_gives_the_outputs(runtime, tmp_path):
    runner = answering(*[OK] * 20)
    program, model = tmp_path / "torchlite-run", tmp_path / "my model.ptl"
    with open_host(runtime, runner, via="adb -s emulator-5554 shell") as host:
        command = (host.put(program), host.put(model), host.put(model), host.folder(tmp_path))
        host.run(command, libraries=runtime.libraries)
        host.get(["output.0.bin"], tmp_path)
    adb = ("adb", "-s", "emulator-5554")
    root = runner.commands[0][-1].removeprefix("mkdir -p ")
    assert root.startswith("/data/local/tmp/builder-")
    assert runner.commands == [
        (*adb, "shell", f"mkdir -p {root}"),
        (*adb, "push", str(program), f"{root}/0-torchlite-run"),
        (*adb, "push", str(model), f"{root}/1-my_model.ptl"),
        (*adb, "push", str(runtime.libraries / "libtorchlite.so"), f"{root}/libtorchlite.so"),
        (
            *(*adb, "shell"),
            f"chmod 755 {root}/0-torchlite-run && LD_LIBRARY_PATH={root} "
            f"{root}/0-torchlite-run {root}/1-my_model.ptl {root}/1-my_model.ptl {root}",
        ),
        (*adb, "pull", f"{root}/output.0.bin", str(tmp_path / "output.0.bin")),
        (*adb, "shell", f"rm -rf {root}"),
    ]


def test_what_was_put_on_a_device_goes_when_something_fails(runtime):
    runner = answering(OK, Completed(1, "no space left on device"), OK)
    with (
        pytest.raises(VerificationError, match="no space left") as caught,
        open_host(runtime, runner, via="adb shell") as host,
    ):
        host.put(Path("m.ptl"))
    assert "adb devices" in caught.value.hint
    assert runner.commands[-1][-1].startswith("rm -rf /data/local/tmp/builder-")


def test_a_device_that_does_not_answer(runtime):
    runner = answering(Completed(1, "adb: no devices/emulators found"))
    with (
        pytest.raises(VerificationError, match="no devices/emulators found"),
        open_host(runtime, runner, via="adb shell"),
    ):
        pass


def test_no_adb_at_all(runtime):
    def fail(_command):
        raise NativeBuildError("adb cannot be started")

    with (
        pytest.raises(VerificationError) as caught,
        open_host(runtime, FakeRunner(answer=fail), via="adb shell"),
    ):
        pass
    assert caught.value.hint == "apt install adb"


def test_a_command_runs_files_where_they_are(runtime, tmp_path):
    runner = answering(OK)
    with open_host(runtime, runner, via="qemu-aarch64 -L '/my root'") as host:
        host.run((host.put(tmp_path / "run"), "x"), libraries=runtime.libraries)
    assert runner.commands == [("qemu-aarch64", "-L", "/my root", str(tmp_path / "run"), "x")]
    assert runner.extra == {"LD_LIBRARY_PATH": str(runtime.libraries)}


def test_android_is_not_run_by_guessing(runtime):
    with (
        pytest.raises(VerificationError, match="it needs a device or an emulator") as caught,
        open_host(runtime, answering()),
    ):
        pass
    assert "via=adb shell" in caught.value.hint
