"""From a model of the zoo to its operator list, and what changed since the last one."""

from __future__ import annotations

import shlex
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from builder.api.models import find_dtypes, read_models
from builder.cli.console import ConsoleProgress
from builder.core.model_facts import OperatorList
from zoo_models.rows import FOLDER, Entry
from zoo_models.trial import run_builder


def make_list(entry: Entry, work: Path) -> OperatorList:
    """Exports the model into `work` and returns its list, with provenance."""
    ConsoleProgress().step(f"exporting {entry.name}")
    work.mkdir(parents=True, exist_ok=True)
    model = (work / f"{entry.name}.ptl").resolve()
    said = run_builder("export", entry.source, *entry.options, "-o", model, "--json", cwd=FOLDER)
    (info,) = read_models((model,))
    made = info.operator_list()
    (origin,) = made.models
    exporter = f"torch {said['torch_version']}, torchvision {version('torchvision')}"
    told = replace(
        origin, exporter=exporter, command=shlex.join(("builder", "export", *entry.arguments))
    )
    return replace(made, models=(told,), dtypes=find_dtypes(info, model).dtypes)


def compare_lists(old: OperatorList | None, new: OperatorList) -> list[str]:
    """Returns a line for each difference; none when both are the same.

    The file's sha256 is none: traces carry the paths of the code that was traced.
    """
    if old is None:
        return ["new"]
    before, after = set(map(str, old.operators)), set(map(str, new.operators))
    lines = [f"- {name}" for name in sorted(before - after)]
    lines += [f"+ {name}" for name in sorted(after - before)]
    for what in ("custom_classes", "bytecode_versions", "dtypes"):
        if getattr(old, what) != getattr(new, what):
            lines.append(f"{what}: {getattr(old, what)} -> {getattr(new, what)}")
    for field in ("exporter", "command"):
        was, now = (", ".join(getattr(m, field) for m in made.models) for made in (old, new))
        if was != now:
            lines.append(f"{field}: {was} -> {now}")
    return lines
