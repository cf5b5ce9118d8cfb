"""One torch, asked for one export after the other; each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from builder.export.capabilities import probe_torch

FOLDER = Path(__file__).resolve().parent
ZOO = FOLDER.parent / "zoo_models"
_DIFFERS = 8
"""Exit code of an export whose file does not give the model's numbers."""
_ENDINGS = {"pt2": "pt2", "traced": "pt", "scripted": "pt", "lite": "ptl"}
"""Names of files that torch saves, by `Probe.made`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One thing that a torch can do, or not."""

    what: str
    """Its row."""
    arguments: tuple[str, ...]
    made: str = ""
    """How torch itself saves the model of networks.py, which is the first argument; `builder
    export` gets that file then. Empty: it gets the model."""
    runs: bool = True
    """Its file can run on the CPU."""

    @property
    def file(self) -> str:
        """Name of the exported file."""
        return "_".join("".join(c if c.isalnum() else " " for c in self.what).split()) + ".ptl"


def load_probes() -> list[Probe]:
    """Returns the rows of probes.toml in its order."""
    data = tomllib.loads((FOLDER / "probes.toml").read_text())
    return [Probe(**row | {"arguments": tuple(row["arguments"])}) for row in data["probe"]]


def describe_torch() -> dict[str, Any]:
    """Returns what the installed torch and its surroundings are."""
    import torch

    found = probe_torch()
    return {
        "torch": found.version,
        "torchvision": _find_version("torchvision"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "engines": list(torch.backends.quantized.supported_engines),
        "xnnpack": found.xnnpack,
    }


def run_probe(probe: Probe, kept: Path | None = None) -> dict[str, Any]:
    """Exports as the probe says; returns `ok` with figures of the file, or `why` not.

    With `kept`, the file stays in that folder.
    """
    with tempfile.TemporaryDirectory(prefix="builder-torches-") as scratch:
        model = ((kept or Path(scratch)) / probe.file).resolve()
        source, *options = probe.arguments
        if probe.made:
            name, source = source, str(Path(scratch) / f"model.{_ENDINGS[probe.made]}")
            made = _run("source_files.py", probe.made, name, source)
            if made.returncode:
                return {"ok": False, "why": f"it does not write the file: {_last_line(made)}"}
        command = ("export", source, *options, "--json", "-o", str(model))
        done = _run("-m", "builder.cli.main", *command)
        if done.returncode:
            return {"ok": False, "why": _explain(done)}
        return _judge(probe, model, json.loads(done.stdout))


def verify_probe(probe: Probe, model: Path, runtime: Path) -> bool:
    """Returns whether the exported file gives on `runtime` what the model gave in torch."""
    options = probe.arguments
    tolerance = options[options.index("--tolerance") :][:2] if "--tolerance" in options else ()
    command = ("verify", str(model), "--runtime", str(runtime), *tolerance, "--json")
    return _run("-m", "builder.cli.main", *command).returncode == 0


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join((str(FOLDER.parent.parent), os.environ.get("PYTHONPATH", "")))
    models_of_zoo = any(argument.startswith("models:") for argument in arguments)
    return subprocess.run(
        (sys.executable, *arguments),
        cwd=ZOO if models_of_zoo else FOLDER,
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=False,
    )


def _judge(probe: Probe, model: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """Compares the operators that builder reads in the file with those that torch does."""
    from builder.api.models import read_models

    (info,) = read_models((model,))
    ours = set(map(str, info.operators))
    loads = probe.runs and (probe_torch().xnnpack or not any(map(_is_packed, ours)))
    if loads and (differ := ours ^ _ask_torch(model)):
        return {"ok": False, "why": f"operators that only one reads: {', '.join(sorted(differ))}"}
    return {
        "ok": True,
        "capture": said["capture"],
        "optimised": said["optimized"] or "--no-optimize" in probe.arguments,
        "bytecode": said["bytecode_version"],
        "bytes": said["size"],
        "operators": len(ours),
    }


def _is_packed(operator: str) -> bool:
    """Whether a torch without XNNPACK has no such operator, and cannot load the file."""
    return operator.startswith("prepacked::")


def _ask_torch(model: Path) -> set[str]:
    from torch.jit.mobile import _export_operator_list, _load_for_lite_interpreter

    with contextlib.suppress(ImportError):
        import torchvision  # noqa: F401 - registers its operators
    return set(_export_operator_list(_load_for_lite_interpreter(str(model))))


def _explain(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == _DIFFERS and done.stdout:
        return "its numbers differ from the model's"
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    if not lines:
        return f"it ended with {done.returncode}: {done.stderr.strip()[-200:]}"
    return lines[-1].removeprefix("error: ")


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip().splitlines()[-1][:200]


def _find_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
