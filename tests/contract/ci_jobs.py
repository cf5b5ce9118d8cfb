"""Runs the steps of action.yml and the script of gitlab-release.yml, as their servers would.

What only a server has is done here: expressions, files for outputs and variables, caches,
artifacts, and an API that keeps comments. Steps with `run` are run by bash, unchanged.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"'[^']*'|==|!=|&&|\|\||\(|\)|,|[A-Za-z_][\w.-]*")
_WORDS = {"&&": "and", "||": "or", "true": "'true'", "false": "''"}


class Forge:
    """The part of the APIs of GitHub and GitLab that comments need."""

    def __init__(self) -> None:
        self.comments: dict[int, str] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.refuses = False
        self.url = ""

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, object]:
        self.asked.append((method, path, token))
        # GitHub does not tell the token of a job who it is; GitLab tells a token of a project.
        if self.refuses or (path == "/user" and method == "GET"):
            return 403, {"message": "Resource not accessible by integration"}
        account = {"id": 41, "type": "Bot", "login": "github-actions[bot]"}
        if path.endswith("/user"):
            return 200, account
        by = {"user": account, "author": account}
        if method == "GET":
            return 200, [{"id": n, "body": text, **by} for n, text in self.comments.items()]
        number = len(self.comments) + 1 if method == "POST" else int(path.rpartition("/")[2])
        self.comments[number] = body["body"]
        return 200, {"id": number, "body": body["body"], **by}


@contextmanager
def open_forge() -> Iterator[Forge]:
    """Yields an API on this machine that is asked over HTTP."""
    forge = Forge()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
            status, value = forge.answer(self.command, self.path, token, body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    forge.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Job:
    """A runner of GitHub that has checked out a repository."""

    workspace: Path
    temp: Path
    store: Path
    """Where caches are kept between jobs: a folder for each key."""
    github: Mapping[str, str]
    environment: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    index: int = 0
    """Which job of its matrix it is."""
    artifacts: list[str] = field(default_factory=list)
    """Names of what was uploaded; a workflow may have each name once."""
    log: str = ""
    ran: list[str] = field(default_factory=list)
    """Names of the steps that ran."""
    failed: bool = False

    def run(self, action: Path = ROOT / "action.yml") -> Job:
        """Runs all steps of a composite action."""
        described = yaml.safe_load(action.read_text())
        assert described["runs"]["using"] == "composite"
        unknown = set(self.inputs) - set(described["inputs"])
        assert not unknown, unknown
        self.context = {
            "github": dict(self.github),
            "runner": {"temp": str(self.temp)},
            "strategy": {"job-index": self.index},
            "steps": {},
        }
        self.context["inputs"] = {
            name: str(self.inputs.get(name, self.fill(one["default"])))
            for name, one in described["inputs"].items()
        }
        self.path: list[str] = []
        self.exported: dict[str, str] = {}
        for step in described["runs"]["steps"]:
            self._run_step(step)
        return self

    @property
    def summary(self) -> str:
        path = self.temp / "summary"
        return path.read_text() if path.exists() else ""

    def _run_step(self, step: dict[str, Any]) -> None:
        condition = str(step.get("if", "success()"))
        if (self.failed and "always()" not in condition) or not self.evaluate(condition):
            return
        self.ran.append(step["name"])
        outputs = self._run_bash(step) if "run" in step else self._use(step)
        if "id" in step:
            self.context["steps"][step["id"]] = {"outputs": outputs}

    def _run_bash(self, step: dict[str, Any]) -> dict[str, str]:
        files = {n: self.temp / f"{n}-{len(self.ran)}" for n in ("output", "env", "path")}
        for file in files.values():
            file.write_text("")
        script = self.temp / "step.sh"
        script.write_text(self.fill(step["run"]))
        path = os.pathsep.join((*self.path, self.environment["PATH"]))
        done = subprocess.run(
            # As GitHub's documentation of `shell` says for bash.
            ("bash", "--noprofile", "--norc", "-eo", "pipefail", script),
            cwd=self.workspace,
            env={
                **self.environment,
                **self.exported,
                "PATH": path,
                "RUNNER_TEMP": str(self.temp),
                "GITHUB_OUTPUT": str(files["output"]),
                "GITHUB_ENV": str(files["env"]),
                "GITHUB_PATH": str(files["path"]),
                "GITHUB_STEP_SUMMARY": str(self.temp / "summary"),
                **{name: self.fill(str(value)) for name, value in step.get("env", {}).items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log += f"# {step['name']}\n{done.stdout}"
        self.failed |= done.returncode != 0
        self.path[:0] = files["path"].read_text().split()
        self.exported |= _read_pairs(files["env"])
        return _read_pairs(files["output"])

    def _use(self, step: dict[str, Any]) -> dict[str, str]:
        given = {name: self.fill(str(value)) for name, value in step["with"].items()}
        name, _, _ = step["uses"].partition("@")
        if name == "actions/setup-python":
            return {"python-path": sys.executable}
        paths = [self.workspace / line for line in given["path"].split("\n") if line.strip()]
        match name:
            case "actions/cache/restore":
                return self._restore(given, paths)
            case "actions/cache/save":
                self._save(given["key"], paths)
            case "actions/upload-artifact":
                self.artifacts.append(given["name"])
                for path in paths:
                    shutil.rmtree(self.store / "artifacts" / path.name, ignore_errors=True)
                    if path.exists():
                        shutil.copytree(path, self.store / "artifacts" / path.name)
            case _:
                raise AssertionError(name)
        return {}

    def _restore(self, given: Mapping[str, str], paths: list[Path]) -> dict[str, str]:
        assert given["key"]
        names = [given["key"]] if (self.store / given["key"]).is_dir() else []
        exact = bool(names)
        if not exact and (prefix := given.get("restore-keys", "")):
            found = (path for path in self.store.glob("*") if path.name.startswith(prefix))
            names = [path.name for path in sorted(found, key=lambda one: one.stat().st_mtime)]
        for path in paths if names else ():
            shutil.copytree(self.store / names[-1], path, dirs_exist_ok=True)
        return {"cache-hit": "true" if exact else ""}

    def _save(self, key: str, paths: list[Path]) -> None:
        (path,) = paths
        # A test may link to a cache of this machine, which is not for copying.
        if path.is_dir() and not path.is_symlink() and not (self.store / key).exists():
            shutil.copytree(path, self.store / key)

    def fill(self, text: str) -> str:
        """Returns a text with the values of its expressions."""
        return _EXPRESSION.sub(lambda found: str(self.evaluate(found[1])), text)

    def evaluate(self, expression: str) -> Any:
        """Returns the value of an expression; it has few kinds of them."""
        left = _TOKEN.sub("", expression).strip()
        assert not left, f"{expression!r} has {left!r}"
        words = (self._translate(token) for token in _TOKEN.findall(expression))
        return eval(" ".join(words))

    def _translate(self, token: str) -> str:
        if token in {"always", "success"}:
            return "(lambda: True)"
        if token == "format":
            return "(lambda text, *given: text.format(*given))"
        if token in _WORDS or not token[0].isalpha():
            return _WORDS.get(token, token)
        value: Any = self.context
        for name in token.split("."):
            value = value.get(name, {}) if isinstance(value, dict) else {}
        return repr(value if isinstance(value, str | int) else "")


def _read_pairs(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def run_gitlab(workspace: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """Runs the script of the template as a runner with bash does; returns what it printed."""
    job = yaml.safe_load((ROOT / "gitlab-release.yml").read_text())[".builder-release"]
    variables = {name: str(value) for name, value in job["variables"].items()}
    known = {**variables, **environment}
    filled = {
        name: re.sub(r"\$(\w+)", lambda found: known.get(found[1], ""), value)
        for name, value in variables.items()
    }
    lines = "\n".join(job["script"])
    return subprocess.run(
        ("bash", "-eo", "pipefail", "-c", lines),
        cwd=workspace,
        env={**filled, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def make_python(folder: Path) -> Path:
    """Returns a Python whose virtual environments find the packages of this one.

    So that pip installs builder itself, from its sources, and nothing from the network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "python3"
    sites = "\\n".join(path for path in sys.path if path.endswith("-packages"))
    script.write_text(
        "#!/bin/sh\n"
        f'"{sys.executable}" "$@" || exit\n'
        'if [ "$2" = venv ]; then\n'
        f'  printf "{sites}\\n" > "$(echo "$3"/lib/python*/site-packages)/outer.pth"\n'
        "fi\n"
    )
    script.chmod(0o755)
    return script
