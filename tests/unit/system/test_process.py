"""What does not need a process; the rest is in tests/contract/test_process.py."""

from __future__ import annotations

from pathlib import Path

from builder.system.process import LAST_LINES, Completed, Runner, failure_text, find_remedy


def test_the_environment_is_a_parameter(monkeypatch):
    monkeypatch.setenv("BUILDER_SAMPLE", "inherited")
    runner = Runner.inherit(EXTRA="1")
    assert runner.environment["BUILDER_SAMPLE"] == "inherited"
    assert (runner.environment["EXTRA"], runner.environment["LC_ALL"]) == ("1", "C.UTF-8")
    changed = runner.with_environment(EXTRA="2")
    assert changed.environment["EXTRA"] == "2"
    assert changed.environment["BUILDER_SAMPLE"] == "inherited"
    assert runner.environment["EXTRA"] == "1"


def test_programs_are_found_on_the_runners_path(tmp_path):
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    runner = Runner(environment={"PATH": str(tmp_path)})
    assert runner.find_program("tool") is None
    program.chmod(0o755)
    assert runner.find_program("tool") == program
    assert runner.find_program("sh") is None


def test_a_failure_shows_the_step_the_end_of_the_output_and_the_log():
    output = "".join(f"line {number}\n" for number in range(100))
    text = failure_text("configuring", Completed(3, output), log=Path("/logs/a b.log"))
    lines = text.splitlines()
    assert lines[0] == "configuring failed with exit code 3"
    assert lines[1:-1] == [f"  | line {number}" for number in range(100 - LAST_LINES, 100)]
    assert lines[-1] == "full log: /logs/a b.log"


def test_a_full_disk_has_a_remedy():
    said = "ld.lld: error: failed to write output 'x.so': No space left on device\n"
    assert "free some space" in find_remedy(Completed(1, said))
    assert find_remedy(Completed(1, "error: no such file\n")) is None


def test_without_output_or_log():
    assert failure_text("x", Completed(1, ""), log=None).strip() == "x failed with exit code 1"
