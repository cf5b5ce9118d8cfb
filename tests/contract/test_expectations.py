"""BUILDER_EXPECT: what the run declares to be there must not be skipped in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SETTINGS = "[pytest]\nmarkers =\n  torch: t\n  host: h\n"
MARKED = "import pytest\n@pytest.mark.host\ndef test_it():\n    pass\n"
MODULE = "import pytest\npytest.importorskip('absent', reason='needs torch')\n"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "conftest.py").write_bytes(CONFTEST.read_bytes())
    (tmp_path / "pytest.ini").write_text(SETTINGS)

    def call(text: str, expect: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_sample.py").write_text(text)
        return subprocess.run(
            (sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(tmp_path)),
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": str(tmp_path), "BUILDER_EXPECT": expect},
        )

    return call


def test_missing_tools_skip(run):
    completed = run(MARKED, "")
    assert completed.returncode == 0
    assert "1 skipped" in completed.stdout
    assert "needs host" in completed.stdout


@pytest.mark.parametrize("text", [MARKED, MODULE])
def test_missing_tools_fail_where_they_are_expected(run, text):
    completed = run(text, "host")
    assert completed.returncode != 0
    assert "BUILDER_EXPECT names host, which is not there" in completed.stdout


def test_a_misspelt_expectation_is_no_expectation(run):
    completed = run("def test_it():\n    pass\n", "hots")
    assert completed.returncode != 0
    assert "BUILDER_EXPECT names hots; known are torch, host" in completed.stderr
