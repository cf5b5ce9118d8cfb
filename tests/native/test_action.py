"""The steps of the action and the script of the template, run for a real change on real runtimes.

A push and a pull request that adds a model; only what a server has is not real (ci_jobs.py).
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from ci_jobs import ROOT, Job, make_python, open_forge, run_gitlab
from documents import agrees, read_blocks

from builder.system.folders import cache_folder

from .conftest import ABI

pytestmark = pytest.mark.host
MODELS = ROOT / "tests/data/models"
FILE = """\
inputs: [{}]
targets: {{abis: [{}]}}
dtypes: [uint8, int32, int64, float32, float64, bool]
verify: {{inputs: ["float32[1,3,8,8]"]}}
"""


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "work space"
    folder.mkdir()
    for name in ("conv", "hooked"):
        shutil.copy(MODELS / f"{name}.ptl", folder)
    return folder


@pytest.fixture
def environment(tmp_path):
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        # Nothing but builder itself is installed, from its sources.
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def write(workspace, *models):
    names = ", ".join(f"{name}.ptl" for name in models)
    (workspace / "builder.yaml").write_text(FILE.format(names, ABI))


def run_action(workspace, environment, tmp_path, forge, *, pull_request=None, **inputs):
    temp = tmp_path / "temp"
    temp.mkdir(exist_ok=True)
    cache = temp / "builder-cache"
    if not cache.exists():
        # Sources and objects of other tests; the action would restore them.
        cache.symlink_to(cache_folder())
        compiled = Path(os.environ.get("CCACHE_DIR", "~/.cache/ccache")).expanduser()
        if compiled.is_dir():
            (temp / "builder-ccache").symlink_to(compiled)
    event = temp / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": pull_request}} if pull_request else {}))
    make_python(tmp_path / "python")
    github = {
        "action_path": str(ROOT),
        "token": "of-the-job",
        "ref_name": "main",
        "sha": f"{len(inputs)}{pull_request}",
        **({"base_ref": "main", "ref_name": "7/merge"} if pull_request else {}),
    }
    return Job(
        workspace=workspace,
        temp=temp,
        store=tmp_path / "store",
        github=github,
        environment={
            **environment,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "example/app",
            "GITHUB_API_URL": forge.url,
        },
        inputs={"packages": "", "python": str(tmp_path / "python/python3"), **inputs},
    ).run()


def test_a_push_and_a_pull_request_on_github(workspace, environment, tmp_path):
    with open_forge() as forge:
        write(workspace, "conv")
        push = run_action(workspace, environment, tmp_path, forge)
        assert not push.failed, push.log
        assert "comment: none" in push.log
        assert "There is no earlier release to compare with." in push.summary
        with tarfile.open(workspace / f"release/torchlite-{ABI}.tar.gz") as archive:
            assert f"{ABI}/lib/libtorchlite.so" in archive.getnames()
        assert (tmp_path / "store/artifacts/release/report.json").is_file()
        shutil.rmtree(tmp_path / "temp/builder-last")

        write(workspace, "conv", "hooked")
        change = {"pull_request": 7}
        first = run_action(workspace, environment, tmp_path, forge, **change)
        assert not first.failed, first.log
        (comment,) = forge.comments.values()
        assert comment.startswith("<!-- builder-release ")
        for line in (
            "## Release: passed",
            "The libraries grew by ",
            "The model hooked.ptl is new.",
            "3 operators more: aten::add.Scalar, which hooked.ptl needs; ",
            "### Operators that changed",
        ):
            assert line in comment.replace("\\_", "_")
        (shown,) = read_blocks("md")
        assert agrees(shown.text, comment.partition("\n")[2], mask_numbers=True), comment
        assert "Save the report" not in first.ran
        assert {token for _, _, token in forge.asked} == {"Bearer of-the-job"}

        second = run_action(workspace, environment, tmp_path, forge, **change)
        assert not second.failed, second.log
        assert list(forge.comments.values()) == [comment]
        assert [method for method, _, _ in forge.asked][-2:] == ["GET", "PATCH"]

        limited = {"pull_request": 7, "max-growth": "1%"}
        third = run_action(workspace, environment, tmp_path, forge, **limited)
        assert third.failed
        (comment,) = forge.comments.values()
        assert "## Release: failed: size" in comment
        assert "more than 1% allows" in comment
        assert (tmp_path / "store/artifacts/release-failed/report.html").is_file()


def test_a_merge_request_on_gitlab(workspace, environment, tmp_path):
    write(workspace, "conv")
    python = make_python(tmp_path / "python")
    with open_forge() as forge:
        job = {
            **environment,
            "PATH": os.pathsep.join((str(python.parent), environment["PATH"])),
            "BUILDER_SOURCE": str(ROOT),
            "BUILDER_PACKAGES": "",
            "BUILDER_CACHE": str(cache_folder()),
            "CI_PROJECT_DIR": str(workspace),
            "CI_API_V4_URL": f"{forge.url}/api/v4",
            "CI_PROJECT_ID": "12",
            "CI_MERGE_REQUEST_IID": "3",
            "BUILDER_GITLAB_TOKEN": "of-the-project",
        }
        done = run_gitlab(workspace, job)
        assert done.returncode == 0, done.stdout
        (comment,) = forge.comments.values()
        assert "## Release: passed" in comment
        ((path, token),) = [
            (path, token) for method, path, token in forge.asked if method == "POST"
        ]
        assert token == "of-the-project"
        assert path == "/api/v4/projects/12/merge_requests/3/notes"
        kept = json.loads((workspace / ".builder/last/report.json").read_text())
        assert kept["ok"]
