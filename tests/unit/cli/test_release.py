"""`builder release`: what it prints, appends and posts; the release itself is in unit/api."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder import __version__, api
from builder.api.release_report import (
    Gate,
    GateResult,
    Outcome,
    ReleaseReport,
    fail,
    finish_gates,
)
from builder.cli.release import command
from builder.errors import ConfigurationError, SizeError
from builder.system.files import append_text, refuse_no_appending

FILE = "inputs: [m.ptl]\n"
PASSED = ReleaseReport(
    builder=__version__,
    gates=finish_gates((GateResult(gate=Gate.BUILD, outcome=Outcome.PASSED),)),
    folder=Path("release"),
)
TOO_LARGE = SizeError("linux-x86_64: it grew", hint="allow more")
FAILED = ReleaseReport(
    builder=__version__,
    gates=finish_gates((fail(Gate.SIZE, TOO_LARGE),)),
    folder=Path("release-failed"),
)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("builder.yaml").write_text(FILE)
    Path("m.ptl").write_text("model")
    seen = {"reports": PASSED, "requests": [], "comments": []}

    def release(request, *, progress):
        seen["requests"].append(request)
        return seen["reports"]

    def post(*arguments):
        seen["comments"].append(arguments)
        return "https://example.com/1"

    monkeypatch.setattr(api, "release", release)
    monkeypatch.setattr(api, "post_comment", post)
    return seen


def run(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)


def test_options_are_settings_of_the_release(asked):
    said = run("-o", "dist", "--against", "a.json", "--max-growth", "2%", "--product", "p")
    assert said.exit_code == 0
    (request,) = asked["requests"]
    assert request.given == {
        ("release", "output"): Path("dist"),
        ("release", "against"): Path("a.json"),
        ("release", "max_growth"): api.Growth.parse("2%"),
    }
    assert (request.products, request.export) == (("p",), False)
    assert request.configuration.path == Path("builder.yaml")


def test_without_options_the_file_counts(asked):
    run("--export", "--config", "builder.yaml")
    assert asked["requests"][0].given == {}
    assert asked["requests"][0].export


def test_the_table_names_the_folder_and_all_gates(asked):
    output = run().output
    assert output.startswith("release  release\n")
    for gate in Gate:
        assert f"\n{gate}" in output


def test_the_summary_is_appended_and_the_comment_posted_in_any_case(asked):
    Path("summary.md").write_text("before\n")
    asked["reports"] = FAILED
    with pytest.raises(SizeError):
        run("--summary", "summary.md", "--comment", "github")
    text = Path("summary.md").read_text()
    assert text.startswith("before\n## Release: failed: size\n")
    ((forge, posted, *about),) = asked["comments"]
    assert (forge, about) == ("github", ["builder.yaml", ""])
    assert text == f"before\n{posted}"


def test_a_leg_of_a_matrix_has_a_key_for_its_comment(asked):
    assert run("--comment", "github", "--comment-key", "1").exit_code == 0
    assert asked["comments"][0][2:] == ("builder.yaml", "1")
    assert "no effect without --comment" in run("--comment-key", "1").stderr


@pytest.mark.parametrize("kind", ["pipe", "folder above", "link", "closed folder"])
def test_a_summary_that_cannot_be_written_is_refused_before_the_work(asked, kind):
    path = Path("sub/summary.md")
    if kind != "folder above":
        path.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "link":
        path.symlink_to("nothing")
    if kind == "closed folder":
        path = Path("/proc/1/summary.md")
    with pytest.raises(ConfigurationError, match=f"cannot append to {path}: ") as said:
        run("--summary", path)
    assert "--summary" in said.value.hint
    assert kind != "pipe" or said.value.message.endswith("not a regular file")
    assert asked["requests"] == []


@pytest.mark.parametrize("path", ["new.md", "/dev/null"])
def test_a_summary_that_is_new_or_nowhere(asked, path):
    assert run("--summary", path).exit_code == 0
    assert Path("new.md").exists() == (path == "new.md")


def test_a_summary_into_a_pipe_of_the_own_process(asked):
    """A shell gives one for `--summary >(cat)`; a full pipe is waited for."""
    read, write = os.pipe()
    with ThreadPoolExecutor(1) as pool, open(read) as stream:  # noqa: PTH123 - of a descriptor
        os.set_blocking(write, False)
        path = Path(f"/dev/fd/{write}")
        refuse_no_appending(path)
        got = pool.submit(stream.read)
        append_text(path, "x" * 300_000)
        os.close(write)
        assert got.result() == "x" * 300_000


def test_as_markdown_and_as_json(asked):
    assert run("--markdown").stdout.startswith("## Release: passed\n")
    value = json.loads(run("--json").stdout)
    assert (value["ok"], value["schema"]) == (True, 1)
    assert "error" not in value
    assert run("--markdown", "--json").exit_code == 2


def test_a_failure_as_json_has_the_error(asked):
    asked["reports"] = FAILED
    done = CliRunner().invoke(command, ["--json"])
    assert done.exception is TOO_LARGE
    value = json.loads(done.stdout)
    assert value["error"] == {
        "code": "size",
        "exit_code": 10,
        "hints": ["allow more"],
        "message": "linux-x86_64: it grew",
    }
    (gate,) = (one for one in value["gates"] if one["outcome"] == "failed")
    assert (gate["gate"], gate["exit_code"]) == ("size", 10)


def test_keys_are_lines_for_a_job(asked):
    lines = run("--cache-keys").stdout.splitlines()
    names = [line.partition("=")[0] for line in lines]
    assert names == ["downloads-key", "objects-key", "objects-restore-key", "report-key"]
    assert asked["requests"] == []


def test_without_a_file_the_next_command_is_init(asked):
    Path("builder.yaml").unlink()
    with pytest.raises(ConfigurationError, match=r"builder\.yaml cannot be read") as said:
        run()
    assert "init" in said.value.hint
