from __future__ import annotations

import json
import re
from dataclasses import asdict

import pytest
from click.testing import CliRunner, Result

from builder.cli.size import command
from builder.core.artifacts import SizeReport
from builder.errors import ConfigurationError
from builder.packaging.linux import SIZE_REPORT, render_size_report

NOW = SizeReport(
    file=1500,
    compressed=700,
    sections={".text": 1000, ".rodata": 500},
    parts={"ATen kernels": 1200, "c10": 300},
    units={"a.cpp": 700, "b.cpp": 500, "c.cpp": 300},
)
BEFORE = SizeReport(
    file=2500,
    compressed=900,
    sections={".text": 2500},
    parts={"ATen kernels": 1000, "XNNPACK": 1500},
    units={"a.cpp": 1000, "gone.cpp": 1500},
)


@pytest.fixture
def runtime(tmp_path):
    def make(name: str, report: SizeReport):
        path = tmp_path / name / SIZE_REPORT
        path.parent.mkdir(parents=True)
        path.write_text(render_size_report(report))
        return tmp_path / name

    return make


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments)], catch_exceptions=False)


def rows(output: str) -> dict[str, list[str]]:
    """Returns first column -> the others; columns stand two blanks apart."""
    split = (re.split(r" {2,}", line) for line in output.splitlines() if line)
    return {first: rest for first, *rest in split}


def test_tables_are_sorted_by_size(runtime):
    output = run(runtime("my out", NOW)).output
    assert rows(output)["file"] == ["1,500"]
    assert rows(output)["compressed"] == ["700"]
    assert output.index("ATen kernels") < output.index("c10")
    assert output.index(".text") < output.index(".rodata")
    assert "a.cpp" not in output


def test_units_are_shown_on_request_and_only_the_largest(runtime):
    output = run(runtime("out", NOW), "--units", "2").output
    assert rows(output)["a.cpp"] == ["700"]
    assert "b.cpp" in output
    assert "c.cpp" not in output


def test_differences(runtime):
    shown = rows(run(runtime("a", NOW), "--against", runtime("b", BEFORE), "--units", 9).output)
    assert shown["file"] == ["1,500", "2,500", "-1,000"]
    assert shown["ATen kernels"] == ["1,200", "1,000", "+200"]
    assert shown["c10"] == ["300", "0", "+300"]
    assert shown["XNNPACK"] == ["0", "1,500", "-1,500"]
    assert shown["a.cpp"] == ["700", "1,000", "-300"]


def test_json_is_the_whole_report(runtime):
    now, before = runtime("a", NOW), runtime("b", BEFORE)
    assert json.loads(run(now, "--json").output) == {"runtime": asdict(NOW)}
    both = json.loads(run(now, "--against", before, "--json").output)
    assert both == {"runtime": asdict(NOW), "against": asdict(BEFORE)}


def test_the_folder_above_is_enough_where_one_runtime_is_in_it(runtime, tmp_path):
    runtime("out/linux-x86_64", NOW)
    assert json.loads(run(tmp_path / "out", "--json").output)["runtime"]["file"] == 1500
    runtime("out/linux-aarch64", BEFORE)
    with pytest.raises(ConfigurationError, match="2 runtimes in"):
        run(tmp_path / "out")


@pytest.mark.parametrize("name", ["", "missing", "file.txt"])
def test_a_folder_without_a_runtime(tmp_path, name):
    (tmp_path / "file.txt").touch()
    with pytest.raises(ConfigurationError, match="no runtime in") as caught:
        run(tmp_path / name)
    assert "builder build" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{}", '{"file": 1}', "[1]"])
def test_a_damaged_report_is_named(runtime, text):
    root = runtime("out", NOW)
    (root / SIZE_REPORT).write_text(text)
    with pytest.raises(ConfigurationError, match=r"size\.json is no size report"):
        run(root)


@pytest.mark.parametrize("units", ["0", "-1", "x"])
def test_a_wrong_count_is_refused(runtime, units):
    assert run(runtime("out", NOW), "--units", units).exit_code == 2
