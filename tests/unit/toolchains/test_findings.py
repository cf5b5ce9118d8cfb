from builder.core.targets import TARGETS
from builder.toolchains.findings import inspect_targets, inspect_tools

from .machines import GCC, Machine, full


def test_doctor_lists_every_target_and_what_is_missing():
    found = {f.subject: f for f in inspect_targets(Machine({"gcc": GCC}))}
    assert set(found) == {*(f"target {t}" for t in TARGETS), "target ios"}
    assert found["target linux-x86_64"].remedy.startswith("apt install clang")
    assert found["target arm64-v8a"].detail == "needs an Android NDK, see ndk above"


def test_doctor_finds_a_host_that_can_build():
    found = {f.subject: f for f in inspect_targets(Machine(full()))}
    assert found["target linux-x86_64"].ok
    assert found["target linux-aarch64"].ok


def test_doctor_lists_programs():
    found = {f.subject: f for f in inspect_tools(Machine(full(ccache="ccache version 4.7.5\n")))}
    assert found["clang"].detail == "Debian clang version 14.0.6 (/usr/bin/clang)"
    assert found["launchers"].detail == "ccache version 4.7.5 (/usr/bin/ccache)"
    assert {f.subject for f in found.values() if not f.ok} == {"ndk", "jdk"}
    assert "ANDROID_NDK_HOME" in found["ndk"].remedy
    assert not all(f.ok for f in inspect_tools(Machine({})))
