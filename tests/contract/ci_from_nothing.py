"""Runs the workflow that docs/how-to/ci.md shows, cold and warm, and prints times and the comment.

    .venv/bin/python tests/contract/ci_from_nothing.py --work DIR first.ptl second.ptl

The steps are those of action.yml, with caches that are empty at first. A push releases the first
model, with nothing restored. A pull request adds the second one, in a new workspace, with the
caches of the push. pip and builder use the network; packages of apt are expected to be there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))

from ci_jobs import ROOT, Forge, Job, open_forge
from documents import read_blocks

FILE = """\
inputs: [{}]
dtypes: [float32, int64, bool]
verify: {{inputs: ["float32[1,3,8,8]"]}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs=2, type=Path)
    parser.add_argument("--work", required=True, type=Path, help="a folder that is not there yet")
    given = parser.parse_args()
    given.work.mkdir(parents=True)
    (block,) = (one for one in read_blocks("yml") if "runs-on" in one.text)
    inputs = yaml.safe_load(block.text)["jobs"]["release"]["steps"][-1]["with"]
    # Without a limit, so that the second model passes.
    inputs = {name: str(value) for name, value in inputs.items() if name != "max-growth"}
    with open_forge() as forge:
        for name, count in (("push, cold", 1), ("pull request, warm", 2)):
            workspace = given.work / f"workspace-{count}"
            workspace.mkdir()
            for model in given.models[:count]:
                shutil.copy(model, workspace)
            names = ", ".join(model.name for model in given.models[:count])
            (workspace / "builder.yaml").write_text(FILE.format(names))
            run(name, given.work, workspace, forge, inputs)
        print("\n\n".join(forge.comments.values()))


def run(name: str, work: Path, workspace: Path, forge: Forge, inputs: dict[str, str]) -> None:
    """Runs one job in a temporary folder of its own, and prints what it took."""
    temp = work / f"{workspace.name}-temp"
    temp.mkdir()
    is_change = name.startswith("pull")
    event = temp / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 1}} if is_change else {}))
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    job = Job(
        workspace=workspace,
        temp=temp,
        store=work / "store",
        github={
            "action_path": str(ROOT),
            "token": "t",
            "ref_name": "main",
            "sha": workspace.name,
            **({"base_ref": "main"} if is_change else {}),
        },
        environment={
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "example/app",
            "GITHUB_API_URL": forge.url,
        },
        inputs={**inputs, "packages": ""},
    ).run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(work / "store/artifacts", ignore_errors=True)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result = "failed" if job.failed else "passed"
    print(f"{name}: {result}, {time.monotonic() - started:.0f} s, {cpu:.0f} s of CPU", flush=True)
    (work / f"{workspace.name}.log").write_text(job.log)


if __name__ == "__main__":
    main()
