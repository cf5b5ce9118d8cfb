"""What each option of the size profile saves, alone and together, on one model in one run.

    .venv/bin/python benchmarks/options.py mobilenet_v2.ptl [--abi linux-aarch64] [-o table.md]

Every row is a whole build: compiled, linked, stripped, and run where this machine can. Latency is
the quickest of many forward calls on one thread, as a ratio to the first row: what upstream's flags
give for the same translation units.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from builder import api
from builder.cli.console import ConsoleProgress
from builder.core.dtypes import DtypeSet
from builder.core.profile import Flavour, Profile
from builder.core.toolchain import Toolchain
from builder.native import flags, layout
from builder.native.flags import Tuning, load_tuning
from builder.system.emulators import find_emulator
from builder.system.machine import host_architecture
from builder.system.process import Runner
from builder.system.references import read_reference, reference_path

REPEAT = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    size: int
    compressed: int
    latency: float | None
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A change to upstream's flags."""

    name: str
    apply: Callable[[Tuning], Tuning]
    dtypes: bool = False
    """Whether kernels are limited to the dtypes of the model."""


def options(size: Tuning) -> tuple[Option, ...]:
    """Returns the options that make up the size profile, and one beside it."""

    def change(**values: object) -> Callable[[Tuning], Tuning]:
        return lambda tuning: dataclasses.replace(tuning, **values)  # type: ignore[arg-type]

    def add(**values: tuple[str, ...]) -> Callable[[Tuning], Tuning]:
        return lambda tuning: dataclasses.replace(
            tuning, **{name: (*getattr(tuning, name), *more) for name, more in values.items()}
        )

    kinds = tuple(flag for flag in size.cxx if "TORCHLITE" in flag)
    bitcode = tuple(flag for flag in size.compile if "lto" in flag)
    packed = tuple(flag for flag in size.link if "relocs" in flag)
    found = [
        Option(name="identical code folding", apply=add(link=("-Wl,--icf=safe",))),
        Option(
            name="small C locale, no demangler",
            apply=lambda t: dataclasses.replace(
                t, small_libstdcxx=True, link=(*t.link, "-Wl,-z,muldefs")
            ),
        ),
        Option(name="no unwind tables in C", apply=add(c=size.c)),
        Option(name="no debug handles", apply=change(dropped=size.dropped)),
        Option(name="kinds of tensors", apply=add(cxx=kinds)),
        Option(name="dtypes of the model", apply=lambda tuning: tuning, dtypes=True),
        Option(name="-Oz but for kernels", apply=change(level="-Oz")),
    ]
    if packed:
        found.append(Option(name="relative relocations packed", apply=add(link=packed)))
    if bitcode:
        found.append(
            Option(
                name="link-time optimisation",
                apply=lambda t: dataclasses.replace(t, compile=(*t.compile, *bitcode), lto=True),
            )
        )
    return tuple(found)


def plain(tuning: Tuning) -> Tuning:
    """Returns upstream's flags with nothing of ours but what makes objects reproducible."""
    kept = tuple(flag for flag in tuning.cxx if "TORCHLITE" not in flag)
    return dataclasses.replace(tuning, cxx=kept, link=())


@contextmanager
def tuned(name: str, tuning: Tuning) -> Iterator[None]:
    """Builds with `tuning`, in a folder of objects of its own."""
    folder = re.sub(r"\W+", "-", name)
    of = layout.Layout.of

    def elsewhere(cache: Path, plan: object) -> layout.Layout:
        return dataclasses.replace(of(cache, plan), flavour=f"benchmark-{folder}")  # type: ignore[arg-type]

    with (
        mock.patch.object(layout.Layout, "of", elsewhere),
        mock.patch("builder.native.building.load_tuning", return_value=tuning),
    ):
        yield


def build(
    name: str, tuning: Tuning, model: Path, toolchain: Toolchain, *, dtypes: DtypeSet | None
) -> Row:
    """Builds one variant and measures it."""
    print(f"== {name}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, tuned(name, tuning):
        outcome = api.build_runtime(
            (model,), toolchain.target, Path(folder), progress=ConsoleProgress(), dtypes=dtypes
        )
        return Row(
            name=name,
            size=outcome.size.file,
            compressed=outcome.size.compressed,
            latency=time_model(outcome.package.runner, model, toolchain),
        )


def time_model(runner: Path, model: Path, toolchain: Toolchain) -> float | None:
    """Returns the seconds of the quickest forward call, or None on another processor."""
    if toolchain.target.architecture != host_architecture():
        return None
    case = read_reference(reference_path(model))
    scratch = runner.parent / "benchmark"
    scratch.mkdir(exist_ok=True)
    command = [str(runner), str(model), "--output-dir", str(scratch), "--threads", "1"]
    for index, tensor in enumerate(case.inputs):
        file = scratch / f"input.{index}.bin"
        file.write_bytes(tensor.data)
        sizes = "x".join(map(str, tensor.spec.shape))
        command += ["--input", f"{tensor.spec.dtype}:{sizes}:{file}"]
    said = subprocess.run(
        [*command, "--repeat", str(REPEAT)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = re.search(r'"seconds":([0-9.e-]+)', said)
    assert found, said
    return float(found[1])


def measure(model: Path, toolchain: Toolchain) -> Iterator[Row]:
    """Yields the baseline, each option alone, and all together."""
    upstream = plain(load(toolchain, Flavour(profile=Profile.SPEED)))
    size = load(toolchain, Flavour())
    terse = load(toolchain, Flavour(strip_error_messages=True))
    every = DtypeSet.of(["all"])
    yield build("upstream's flags", upstream, model, toolchain, dtypes=every)
    for option in options(size):
        limited = None if option.dtypes else every
        yield build(option.name, option.apply(upstream), model, toolchain, dtypes=limited)
    messages = dataclasses.replace(
        upstream,
        cxx=(*upstream.cxx, *(set(terse.cxx) - set(size.cxx))),
        with_messages=terse.with_messages,
    )
    yield build("stripped error messages", messages, model, toolchain, dtypes=every)
    speed = load(toolchain, Flavour(profile=Profile.SPEED))
    yield build("profile speed", speed, model, toolchain, dtypes=None)
    yield build("profile size", size, model, toolchain, dtypes=None)
    yield build("profile size, stripped messages", terse, model, toolchain, dtypes=None)


def load(toolchain: Toolchain, flavour: Flavour) -> Tuning:
    """Returns the tuning of `flavour` for float models."""
    return load_tuning(flavour, toolchain, (flags.DispatchBackend.CPU,))


def render(rows: list[Row], toolchain: Toolchain, model: Path) -> str:
    """Returns the table as Markdown."""
    base = rows[0]
    versions = f"{toolchain.cxx.version}, {toolchain.linker.version}"
    lines = [
        f"Model {model.name}, {toolchain.target}, {versions}.",
        "",
        "| option | bytes | to upstream's flags | compressed | to upstream's flags | latency |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        latency = f"{row.latency / base.latency:.2f}" if row.latency and base.latency else "-"
        lines.append(
            f"| {row.name} | {row.size:,} | {row.size / base.size:.3f} | {row.compressed:,} "
            f"| {row.compressed / base.compressed:.3f} | {latency} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Builds all variants and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--abi", default=f"linux-{host_architecture()}")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    toolchain = api.locate_toolchain(api.locate_target(arguments.abi), launcher="auto")
    if find_emulator(toolchain.target.architecture, Runner.inherit()) is None:
        print("nothing here runs the built programs; operators are not checked", file=sys.stderr)
    rows = list(measure(arguments.model.absolute(), toolchain))
    table = render(rows, toolchain, arguments.model)
    print(table)
    if arguments.output:
        arguments.output.write_text(table)


if __name__ == "__main__":
    main()
