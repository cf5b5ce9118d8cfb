"""The action and the template follow the schemas of their servers, and so does what docs show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ci_jobs import ROOT, Job
from documents import read_blocks

from builder.cli.release import command

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def check_schema(schema: str, file: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", file),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_action_follows_githubs_schema(tmp_path):
    check_schema("github-actions", ROOT / "action.yml")
    wrong = tmp_path / "action.yml"
    wrong.write_text((ROOT / "action.yml").read_text().replace("using:", "usnig:"))
    with pytest.raises(AssertionError):
        check_schema("github-actions", wrong)


def test_the_template_follows_gitlabs_schema():
    check_schema("gitlab-ci", ROOT / "gitlab-release.yml")


def test_what_the_page_shows_follows_the_schemas(tmp_path):
    blocks = read_blocks("yml")
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        file = tmp_path / f"{number}.yml"
        file.write_text(block.text)
        is_github = "runs-on" in block.text
        check_schema("github-workflows" if is_github else "gitlab-ci", file)


def test_the_workflow_is_short_and_uses_the_inputs_of_the_action():
    (block,) = (one for one in read_blocks("yml") if "runs-on" in one.text)
    assert len(block.text.splitlines()) <= 13
    steps = yaml.safe_load(block.text)["jobs"]["release"]["steps"]
    assert set(steps[-1]["with"]) <= set(ACTION["inputs"])


def test_options_in_the_files_are_options_of_the_command():
    known = {name for one in command.params for name in one.opts}
    for file in ("action.yml", "gitlab-release.yml"):
        text = (ROOT / file).read_text()
        used = set(re.findall(r"(?<=[\s+-])--[a-z][a-z-]+", text))
        assert used - known <= {"--no-install-recommends", "--quiet"}
        assert len(used & known) > 4


def test_no_input_stands_in_a_script():
    # An expression in a script would let whoever names a branch run commands.
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("inputs.export == 'true' && '[export]' || ''", "[export]"),
        ("github.base_ref || github.ref_name", "main"),
        ("github.base_ref == ''", True),
        ("strategy.job-index || ''", 2),
        ("inputs.export && format('-{0}', inputs.export) || ''", "-true"),
        ("always() && steps.keys.outputs.downloads-key != ''", False),
    ],
)
def test_expressions_are_evaluated(expression, value, tmp_path):
    job = Job(workspace=tmp_path, temp=tmp_path, store=tmp_path, github={}, environment={})
    job.context = {"inputs": {"export": "true"}, "github": {"ref_name": "main"}, "steps": {}}
    job.context["strategy"] = {"job-index": 2}
    assert job.evaluate(expression) == value


@pytest.mark.parametrize(
    ("code", "is_kept"), [(0, True), (8, True), (10, True), (4, False), (6, False), (130, False)]
)
def test_sources_are_kept_unless_some_may_be_missing(code, is_kept, tmp_path):
    temp, programs = tmp_path / "temp", tmp_path / "bin"
    (temp / "builder-cache/downloads").mkdir(parents=True)
    programs.mkdir()
    (programs / "builder").write_text(f"#!/bin/sh\nexit {code}\n")
    (programs / "builder").chmod(0o755)
    job = Job(
        workspace=tmp_path,
        temp=temp,
        store=tmp_path / "store",
        github={},
        environment={"PATH": f"{programs}:{os.environ['PATH']}"},
    )
    steps = {step["name"]: step for step in ACTION["runs"]["steps"]}
    job.context = {
        "inputs": dict.fromkeys(ACTION["inputs"], "") | {"output": "release"},
        "github": {},
        "runner": {"temp": str(temp)},
        "steps": {"downloads": {"outputs": {}}, "keys": {"outputs": {"downloads-key": "key"}}},
    }
    job.path, job.exported = [], {}
    for name in ("Release", "Save the sources"):
        job._run_step(steps[name])
    assert job.failed == (code != 0)
    assert (tmp_path / "store/key").is_dir() == is_kept
