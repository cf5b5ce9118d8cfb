"""From a model of the zoo to its operator list, and what changed since the last one."""

from __future__ import annotations

import shlex
from collections.abc import Set as AbstractSet
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from builder.api.models import read_models
from builder.api.requirements import find_dtypes
from builder.cli.console import ConsoleProgress
from builder.core.model_facts import OperatorList
from builder.core.operators import OperatorSet
from zoo_models.earlier import COMMAND, make_earlier
from zoo_models.rows import FOLDER, Entry
from zoo_models.trial import run_builder


def make_list(entry: Entry, work: Path) -> OperatorList:
    """Exports the model into `work` and returns its list, with provenance.

    The list has two files where torch can optimise itself: the one that builder writes today, and
    the one that torch's own optimiser writes, which apps may have.
    """
    ConsoleProgress().step(f"exporting {entry.name}")
    work.mkdir(parents=True, exist_ok=True)
    model = (work / f"{entry.name}.ptl").resolve()
    said = run_builder("export", entry.source, *entry.options, "-o", model, "--json", cwd=FOLDER)
    torch = ".".join(said["torch_version"].split(".")[:2])
    exporter = f"torch {said['torch_version']}, torchvision {version('torchvision')}"
    made = _describe(
        model,
        name=f"{entry.name}.ptl by builder, torch {torch}",
        exporter=exporter,
        command=shlex.join(("builder", "export", *entry.arguments)),
    )
    earlier = make_earlier(entry, work)
    if earlier is None:
        return made
    name, command = f"{entry.name}.ptl by {COMMAND}", f"torch's {COMMAND}"
    return _join(made, _describe(earlier, name=name, exporter=exporter, command=command))


def add_list(old: OperatorList | None, new: OperatorList) -> OperatorList:
    """Returns `new` with the files that only `old` has, such as those by another torch."""
    if old is None:
        return new
    kept = {origin.name for origin in old.models} - {origin.name for origin in new.models}
    return _join(new, _only(old, kept)) if kept else new


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
    for field in ("name", "exporter", "command"):
        was, now = ("; ".join(getattr(m, field) for m in made.models) for made in (old, new))
        if was != now:
            lines.append(f"{field}: {was} -> {now}")
    return lines


def _describe(model: Path, *, name: str, exporter: str, command: str) -> OperatorList:
    (info,) = read_models((model,))
    made = replace(info, name=name).operator_list()
    (origin,) = made.models
    told = replace(origin, exporter=exporter, command=command)
    return replace(made, models=(told,), dtypes=find_dtypes(info, model).dtypes)


def _join(one: OperatorList, other: OperatorList) -> OperatorList:
    dtypes = None if one.dtypes is None or other.dtypes is None else one.dtypes | other.dtypes
    return replace(one | other, dtypes=dtypes)


def _only(made: OperatorList, names: AbstractSet[str]) -> OperatorList:
    """Returns the part of a list that comes from the files `names`.

    The dtypes and the classes stay: a list does not say which file has them.
    """
    wanted = {o: sources & names for o, sources in made.operators.wanted_by.items()}
    return replace(
        made,
        operators=OperatorSet({o: sources for o, sources in wanted.items() if sources}),
        models=tuple(origin for origin in made.models if origin.name in names),
    )
